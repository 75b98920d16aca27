"""Calibration of models with a characteristic function to implied volatilities.

Least squares of put prices, each divided by the vega at the money of its expiry (with the weights
of :class:`~commonmode.pricing.slices.ChainSlices`, squared vega, that is a fit of volatilities to
first order), by Levenberg-Marquardt with the analytic gradient of the characteristic function.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, freeze_arrays
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.pricing._normalised import normal_density
from commonmode.pricing.black76 import black76_price
from commonmode.pricing.fourier.book import PutBook, widened
from commonmode.pricing.fourier.descent import Descent, descend, descend_by_trust_region
from commonmode.pricing.fourier.spaces import (
    SPACES,
    CalibratedModel,
    ParameterSpace,
    of_parameters,
)
from commonmode.pricing.least_squares import Solver

__all__ = ["CfFit", "Scope", "fit_cf"]

Scope = Literal["chain", "expiry"]

_WIDENINGS: Final = 4
_REWEIGHTINGS: Final = 2
_TRIED: Final = 10  # evaluations after which the best of several starts goes on alone
_SAME_WEIGHT: Final = 0.1
_MIN_SCALE: Final = 1e-5  # robust scale of residuals below which nothing counts as an outlier


@dataclass(frozen=True, slots=True, eq=False)
class CfFit:
    """Fitted parameters; G = 1 group for a chain fitted as one, else one per expiry.

    Attributes
    ----------
    kind : str
    names : tuple of str
    parameters : float64, shape (G, p)
    covariance : float64, shape (G, p, p)
        Of the parameters, by the usual first-order formula with the residual variance; NaN where
        the Jacobian is singular. Residuals of a misspecified model are not noise: read it as
        identifiability, not as sampling error.
    condition : float64, shape (G,)
        Condition number of the Jacobian in the coordinates of the search (logarithms of positive
        parameters), columns not scaled; infinite where singular.
    at_bound : bool, shape (G, p)
    converged : bool, shape (G,)
    evaluations : int64, shape (G,)
    residual : float64, shape (E, n)
        Weighted errors in volatility to first order; padding is 0.
    outlier_weight : float64, shape (E, n)
        Below 1 where a quote was taken for an outlier.
    fitted_put : float64, shape (E, n)
        Puts of the law over the forward at the quotes, as the search priced them.
    """

    kind: CalibratedModel
    names: tuple[str, ...]
    parameters: FloatArray
    covariance: FloatArray
    condition: FloatArray
    at_bound: BoolArray
    converged: BoolArray
    evaluations: IntArray
    residual: FloatArray
    outlier_weight: FloatArray
    fitted_put: FloatArray

    def __post_init__(self) -> None:
        """The arrays become read-only."""
        freeze_arrays(self)


def fit_cf(
    kind: CalibratedModel,
    k: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    weight: FloatArray,
    *,
    scope: Scope = "chain",
    start: FloatArray | None = None,
    outlier: float = 4.0,
    solver: Solver = "levenberg-marquardt",
) -> Success[CfFit] | Failure:
    """Fit one law to all expiries together, or one to each.

    Parameters
    ----------
    kind : {"heston", "bates", "merton", "kou", "variance-gamma"}
    k, vol, weight : float64, shape (E, n)
        Log-moneyness, quoted volatility, weights of squared volatility errors (0: padding).
    years : float64, shape (E,)
    scope : {"chain", "expiry"}
    start : float64, shape (p,) or (G, p), optional
        Where to start, e.g. the last fit; otherwise from the volatilities at the money.
    outlier : float
        Residuals beyond this many robust standard deviations lose weight (Huber); inf: none do.
    solver : {"levenberg-marquardt", "trust-region"}

    Returns
    -------
    Success of CfFit, or Failure
        Failure where a group has no more quotes than parameters or no start is finite.
    """
    if kind not in SPACES:
        raise ConfigurationError(f"kind={kind!r} is not known", remedy=f"one of {list(SPACES)}")
    space = SPACES[kind]
    expiries = len(k)
    groups = 1 if scope == "chain" else expiries
    quoted = weight > 0
    counts = quoted.reshape(groups, -1).sum(axis=1)
    if np.any(counts <= len(space.names)):
        return Failure(
            FailureReason.MISSING_DATA,
            f"{kind}: {int(counts.min())} quotes for {len(space.names)} parameters",
            "give more quotes, or fit all expiries together",
        )
    target, scale = _targets(k, years, vol, weight)
    at_money = _at_money(k, vol, quoted)
    if start is not None:
        x = np.broadcast_to(start, (1, groups, len(space.names)))
    elif scope == "chain":
        x = space.starts(years, at_money)[:, None, :]
    else:
        each = [space.starts(years[e : e + 1], at_money[e : e + 1]) for e in range(expiries)]
        x = np.stack(each, axis=1)
    x = space.coordinates(x)
    book = PutBook.of(k, years, at_money)
    robust = np.ones_like(weight)
    total = np.zeros(groups, dtype=np.int64)
    found: Descent | None = None
    widenings = reweightings = 0
    for _ in range(_WIDENINGS + _REWEIGHTINGS + 1):
        found = _search(space, book, target, scale * np.sqrt(robust), x, solver)
        total += found.evaluations
        if not np.any(np.isfinite(found.cost)):
            return Failure(
                FailureReason.CALIBRATION_FAILED,
                f"{kind}: prices are not finite at any start",
                "look at the quoted volatilities and maturities",
            )
        x = found.x[None]
        wider = _wider(space, book, found, at_money) if widenings < _WIDENINGS else None
        if wider is not None:
            book, widenings = wider, widenings + 1
            continue
        fresh = _outlier_weights(found, quoted, robust, outlier)
        if reweightings == _REWEIGHTINGS or np.max(np.abs(fresh - robust)) < _SAME_WEIGHT:
            break
        robust, reweightings = fresh, reweightings + 1
    assert found is not None  # the loop ran
    used = scale * np.sqrt(robust)
    with np.errstate(all="ignore"):
        fitted = target + np.where(quoted, found.residual.reshape(k.shape) / used, 0.0)
    return Success(_report(kind, space, found, quoted, robust, counts, total, fitted))


def _targets(
    k: FloatArray, years: FloatArray, vol: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Quoted puts over the forward and what their errors are multiplied by, (E, n).

    Weights are those of volatility errors; a price error over the vega is one to first order. The
    vega is floored so that a far quote with a weight of its own (by spread) cannot blow up.
    """
    t = years[:, None]
    put = np.asarray(black76_price(1.0, np.exp(k), t, vol, sign=-1))
    s = vol * np.sqrt(t)
    vega = np.sqrt(t) * normal_density(-k / s + 0.5 * s)
    vega = np.maximum(vega, 1e-3 * np.sqrt(t) * normal_density(np.zeros(1)))
    return put, np.sqrt(weight) / vega


def _at_money(k: FloatArray, vol: FloatArray, quoted: BoolArray) -> FloatArray:
    return np.array([np.interp(0.0, k[e, row], vol[e, row]) for e, row in enumerate(quoted)])


def _search(
    space: ParameterSpace,
    book: PutBook,
    target: FloatArray,
    scale: FloatArray,
    start: FloatArray,
    solver: Solver,
) -> Descent:
    """From the starts (S, G, p), the best of which goes on after a few steps; one per group."""
    starts, groups, p = start.shape
    expiries, n = target.shape
    lower, upper = space.coordinates(space.lower), space.coordinates(space.upper)
    per_group = expiries // groups
    asked = np.arange(groups)
    part = (book, target, scale)
    search = descend if solver == "levenberg-marquardt" else descend_by_trust_region

    def residuals(x: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        nonlocal part, asked
        if not np.array_equal(rows, asked):  # groups have come to rest, or a new descent begins
            part = (
                (book, target, scale) if len(rows) == groups else _rows(book, target, scale, rows)
            )
            asked = rows
        here, wanted, weight = part
        at = space.parameters(x)
        with np.errstate(all="ignore"):
            made = here.prices(of_parameters(space.kind, at))
            made[:, 0, :] -= wanted
            made *= weight[:, None, :]
        chain = np.where(space.positive, at, 1.0)
        split = made.reshape(len(x), per_group, 1 + p, n)
        r = split[:, :, 0].reshape(len(x), per_group * n)
        jacobian = np.moveaxis(split[:, :, 1:], 2, 1).reshape(len(x), p, per_group * n)
        return r, jacobian * chain[:, :, None]

    tried, x = np.zeros(groups, dtype=np.int64), start[0]
    if starts > 1:
        first = [
            search(residuals, at, lower=lower, upper=upper, max_evaluations=_TRIED) for at in start
        ]
        cost = np.stack([np.where(np.isfinite(f.cost), f.cost, np.inf) for f in first])
        best = np.argmin(cost, axis=0)
        x = np.stack([f.x for f in first])[best, np.arange(groups)]
        tried = np.sum([f.evaluations for f in first], axis=0)
    found = search(residuals, x, lower=lower, upper=upper)
    return replace(found, evaluations=found.evaluations + tried)


def _rows(
    book: PutBook, target: FloatArray, scale: FloatArray, rows: IntArray
) -> tuple[PutBook, FloatArray, FloatArray]:
    columns = {f.name: getattr(book, f.name)[rows] for f in fields(book)}
    return PutBook(**columns), target[rows], scale[rows]


def _wider(
    space: ParameterSpace, book: PutBook, found: Descent, at_money: FloatArray
) -> PutBook | None:
    with np.errstate(all="ignore"):
        model = of_parameters(space.kind, space.parameters(found.x))
        return widened(book, model, at_money)


def _outlier_weights(
    found: Descent, quoted: BoolArray, robust: FloatArray, outlier: float
) -> FloatArray:
    """Huber weights of the residuals as they are without the present weights."""
    if not np.isfinite(outlier):
        return robust
    groups = len(found.residual)
    rows = quoted.reshape(groups, -1)
    plain = np.abs(found.residual) / np.sqrt(robust.reshape(groups, -1))
    spread = np.array([1.4826 * np.median(r[row]) for r, row in zip(plain, rows, strict=True)])
    limit = outlier * np.maximum(spread, _MIN_SCALE)[:, None]
    with np.errstate(all="ignore"):
        weight = np.where(plain > limit, limit / plain, 1.0)
    return np.asarray(weight.reshape(quoted.shape))


def _report(
    kind: CalibratedModel,
    space: ParameterSpace,
    found: Descent,
    quoted: BoolArray,
    robust: FloatArray,
    counts: IntArray,
    evaluations: IntArray,
    fitted: FloatArray,
) -> CfFit:
    at = space.parameters(found.x)
    normal = found.jacobian @ np.swapaxes(found.jacobian, 1, 2)
    p = len(space.names)
    with np.errstate(all="ignore"):
        values, vectors = np.linalg.eigh(np.where(np.isfinite(normal), normal, 0.0))
        good = values[:, 0] > 1e-15 * values[:, -1]
        condition = np.where(good, np.sqrt(values[:, -1] / values[:, 0]), np.inf)
        noise = found.cost / (counts - p)
        inverse = (vectors / values[:, None, :]) @ np.swapaxes(vectors, 1, 2)
        stretch = np.where(space.positive, at, 1.0)
        covariance = noise[:, None, None] * inverse * stretch[:, :, None] * stretch[:, None, :]
    lower, upper = space.coordinates(space.lower), space.coordinates(space.upper)
    return CfFit(
        kind=kind,
        names=space.names,
        parameters=at,
        covariance=np.where(good[:, None, None], covariance, np.nan),
        condition=condition,
        at_bound=(found.x <= lower) | (found.x >= upper),
        converged=found.converged,
        evaluations=evaluations,
        residual=found.residual.reshape(quoted.shape),
        outlier_weight=robust,
        fitted_put=fitted,
    )
