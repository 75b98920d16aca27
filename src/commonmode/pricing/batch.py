"""Many slices at once: SVI and SABR fits with weights, robustness, covariance and reasons.

Rows are expiries of one surface or of many snapshots. The compiled path (numba) and the numpy path
minimise the same sum of squares; each quote may carry its own forward (asynchronous quotes).
Robust fits reweight by Huber's factors (Huber 1964; Holland and Welsch 1977) from the median
absolute deviation of the slice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, freeze_arrays
from commonmode.core.errors import DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.pricing._compiled import Engine, use_numba
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.sabr_fit import ALPHA_BOUNDS, NU_BOUNDS, fit_sabr_slices
from commonmode.pricing.svi import svi_total_variance
from commonmode.pricing.svi_fit import fit_svi_slices, polish_svi

__all__ = ["SliceFits", "fit_sabr_batch", "fit_svi_batch", "huber_factor"]

_ROUNDS: Final = 8
_SVI: Final = ("a", "b", "rho", "m", "sigma")
_SABR: Final = ("alpha", "rho", "nu")


@dataclass(frozen=True, slots=True, eq=False)
class SliceFits:
    """Fitted rows; E rows, p parameters, n quotes.

    Attributes
    ----------
    names : tuple of str
    parameters : float64, shape (E, p)
        NaN where there is no fit.
    covariance : float64, shape (E, p, p)
        ``s^2 (J' W J)^-1`` with ``s^2`` the weighted residual variance; NaN where the row has no
        degrees of freedom or the parameters are not identified.
    condition : float64, shape (E,)
        Condition number of the weighted Jacobian, its columns scaled to unit length; inf: singular.
    cost : float64, shape (E,)
        Weighted sum of squared errors (total variance for SVI, volatility for SABR).
    iterations : int64, shape (E,)
    converged : bool, shape (E,)
    robust_weight : float64, shape (E, n)
        Factor in [0, 1] on each quote's weight; 0 for padding and for a bound that is not active.
    failures : mapping of row to Failure
    """

    names: tuple[str, ...]
    parameters: FloatArray
    covariance: FloatArray
    condition: FloatArray
    cost: FloatArray
    iterations: IntArray
    converged: BoolArray
    robust_weight: FloatArray
    failures: Mapping[int, Failure]

    def __post_init__(self) -> None:
        """The arrays become read-only."""
        freeze_arrays(self)

    def column(self, name: str) -> FloatArray:
        """One parameter, shape (E,)."""
        return self.parameters[:, self.names.index(name)]

    @property
    def standard_error(self) -> FloatArray:
        """Root of the diagonal of the covariance, shape (E, p)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.einsum("epp->ep", self.covariance)))


def _checked(
    values: Mapping[str, FloatArray], side: IntArray | None, start: FloatArray | None, p: int
) -> tuple[IntArray, FloatArray]:
    shape = next(iter(values.values())).shape
    sides = np.zeros(shape, np.int64) if side is None else np.asarray(side, np.int64)
    wrong = [name for name, value in values.items() if value.shape != shape]
    if wrong or len(shape) != 2 or sides.shape != shape:
        raise DataError(
            f"batch of shape {shape}: {', '.join(wrong) or 'side'} has another shape",
            remedy="give arrays of shape (rows, quotes), padded with weight 0",
        )
    begin = np.full((shape[0], p), np.nan) if start is None else np.array(start, np.float64)
    if begin.shape != (shape[0], p):
        raise DataError(
            f"start has shape {begin.shape}, expected {(shape[0], p)}",
            remedy="one row of parameters per slice; NaN for a row without a warm start",
        )
    return sides, begin


def _clean(weight: FloatArray, *values: FloatArray) -> FloatArray:
    """Weights with zero at quotes that are not finite and positive where they have to be."""
    good: BoolArray = np.asarray(np.isfinite(weight) & (weight > 0))
    for value in values:
        good = good & np.isfinite(value)
    return np.ascontiguousarray(np.where(good, weight, 0.0))


def huber_factor(miss: FloatArray, weight: FloatArray, side: IntArray, huber: float) -> FloatArray:
    """Twin of the compiled ``reweight``, shape (E, n)."""
    quoted = weight > 0
    size = np.abs(miss) * np.sqrt(weight)
    two = np.where(quoted & (side == 0), size, np.nan)
    scale = 1.4826 * np.nanmedian(two, axis=1, keepdims=True) if huber > 0 else np.zeros((1, 1))
    bent = np.asarray((scale > 0) & (size > huber * scale))
    factor = np.where(bent, huber * scale / np.where(size > 0, size, 1.0), 1.0)
    return np.where(quoted & ((side == 0) | (side * miss < 0)), factor, 0.0)


def _numpy_rows(
    fit: Callable[[FloatArray], tuple[FloatArray, BoolArray]],
    model: Callable[[FloatArray], FloatArray],
    observed: FloatArray,
    weight: FloatArray,
    side: IntArray,
    huber: float,
    rounds: int,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, BoolArray]:
    """Parameters, covariance, condition, factors, converged by the numpy path."""
    factor = np.where((weight > 0) & (side == 0), 1.0, 0.0)
    x, converged = fit(weight * factor)
    for _ in range(rounds):
        fresh = huber_factor(model(x) - observed, weight, side, huber)
        change = np.max(np.abs(_share(weight * fresh) - _share(weight * factor)))
        factor = fresh
        if change < 1e-4:
            break
        x, converged = fit(weight * factor)
    rows, p = x.shape
    jacobian = np.empty((rows, observed.shape[1], p))
    for j in range(p):
        width = 1e-5 * np.maximum(np.abs(x[:, j]), 1e-3)
        up, down = x.copy(), x.copy()
        up[:, j] += width
        down[:, j] -= width
        jacobian[:, :, j] = (model(up) - model(down)) / (2.0 * width[:, None])
    whole = weight * factor
    normal = np.einsum("en,enp,enq->epq", whole, jacobian, jacobian)
    cost = np.sum(whole * (model(x) - observed) ** 2, axis=1)
    spare = np.sum((weight > 0) & (side == 0), axis=1) - p
    covariance, condition = np.full((rows, p, p), np.nan), np.full(rows, np.inf)
    for e in range(rows):
        root = np.sqrt(np.diagonal(normal[e]))
        if np.all(np.isfinite(root) & (root > 0)):
            unit = normal[e] / root[:, None] / root
            low, *_, high = np.linalg.eigvalsh(unit)
            condition[e] = np.sqrt(high / low) if low > 0 else np.inf
            if condition[e] < 1e7 and spare[e] > 0:
                inverse = np.linalg.inv(unit) / root[:, None] / root
                covariance[e] = inverse * cost[e] / spare[e]
    return x, covariance, condition, factor, converged


def _share(weight: FloatArray) -> FloatArray:
    return np.asarray(weight / np.sum(weight, axis=1, keepdims=True))


def _result(
    names: tuple[str, ...],
    parameters: FloatArray,
    covariance: FloatArray,
    factors: FloatArray,
    report: FloatArray,
    quoted: IntArray,
    what: str,
) -> SliceFits:
    used = report[:, 2].astype(np.int64)
    fitted: BoolArray = np.asarray(np.isfinite(parameters).all(axis=1))
    failures: dict[int, Failure] = {}
    settled = fitted & (used > 0)
    for e in np.flatnonzero(~settled).tolist():
        if not fitted[e]:
            failures[e] = Failure(
                FailureReason.MISSING_DATA,
                f"{what} of row {e}: {int(quoted[e])} usable two-sided quotes",
                f"a slice needs at least {len(names)} different strikes with finite values",
            )
        else:
            failures[e] = Failure(
                FailureReason.CALIBRATION_FAILED,
                f"{what} of row {e}: no convergence in {abs(int(used[e]))} iterations",
                "look at the quotes of this slice, raise max_iterations, or give a start",
            )
    return SliceFits(
        names,
        parameters,
        covariance,
        report[:, 1],
        report[:, 0],
        np.abs(used),
        settled,
        factors,
        MappingProxyType(failures),
    )


def fit_svi_batch(
    k: FloatArray,
    total_variance: FloatArray,
    weight: FloatArray,
    *,
    side: IntArray | None = None,
    start: FloatArray | None = None,
    huber: float = 0.0,
    max_iterations: int = 250,
    tolerance: float = 1e-10,
    engine: Engine = "auto",
    rescue: bool = True,
) -> SliceFits:
    """Quasi-explicit SVI of every row.

    Parameters
    ----------
    k, total_variance, weight : float64, shape (E, n)
        Log-moneyness, each quote with its own forward; total variance; weights of squared
        total-variance errors, 0 for padding and absent quotes.
    side : int64, shape (E, n), optional
        0: a two-sided quote; +1: the value is a lone bid, -1: a lone ask. A lone side counts
        only while the fit violates it.
    start : float64, shape (E, 5), optional
        Warm start ``a, b, rho, m, sigma`` (m and sigma are used); NaN rows start from the grid.
        Only the compiled path uses it.
    huber : float
        Errors beyond this many robust standard deviations count linearly; 0: least squares.
        1.345 keeps 95 % efficiency under normal errors.
    engine : {"auto", "numba", "numpy"}
    rescue : bool
        Finish rows that ran out of iterations with scipy's trust region.

    Raises
    ------
    DataError
        If shapes do not agree. A row that cannot be fitted is a ``Failure`` of the result.
    """
    sides, begin = _checked({"k": k, "total_variance": total_variance, "weight": weight},
                            side, start, 5)  # fmt: skip
    w = _clean(weight, k, total_variance, np.where(total_variance > 0, 0.0, np.nan))
    two = np.sum((w > 0) & (sides == 0), axis=1)
    w[two < 5] = 0.0
    rounds = _ROUNDS if huber > 0 or np.any(sides != 0) else 0
    shape = (len(w), 5)
    parameters, covariance = np.full(shape, np.nan), np.full((*shape, 5), np.nan)
    factors, report = np.zeros(w.shape), np.tile([np.nan, np.inf, 0.0], (len(w), 1))
    if use_numba(engine):
        from commonmode.pricing._svi_kernels import svi_rows

        svi_rows(
            np.ascontiguousarray(k, dtype=np.float64),
            np.ascontiguousarray(total_variance, dtype=np.float64),
            w, sides, begin, huber, rounds, max_iterations, tolerance,
            parameters, covariance, factors, report,
        )  # fmt: skip
    elif (two >= 5).any():
        on = np.asarray(two >= 5)
        kk, vv = np.where(w > 0, k, _first(k, w))[on], np.where(w > 0, total_variance, 1.0)[on]

        def fit(weights: FloatArray) -> tuple[FloatArray, BoolArray]:
            found = fit_svi_slices(kk, vv, weights)
            return np.stack([getattr(found, name) for name in _SVI], axis=1), found.converged

        def model(x: FloatArray) -> FloatArray:
            return svi_total_variance(kk, *(x[:, j, None] for j in range(5)))

        x, cov, cond, fac, good = _numpy_rows(fit, model, vv, w[on], sides[on], huber, rounds)
        parameters[on], covariance[on], factors[on] = x, cov, fac
        report[on, 0] = np.sum(w[on] * fac * (model(x) - vv) ** 2, axis=1)
        report[on, 1], report[on, 2] = cond, np.where(good, 1.0, -1.0)
    for e in np.flatnonzero(report[:, 2] < 0).tolist() if rescue else ():
        weighted = w[e] * factors[e]
        kept = weighted > 0
        raw, settled = polish_svi(
            k[e, kept], total_variance[e, kept], weighted[kept], *parameters[e, 3:]
        )
        again = fit_svi_batch(
            k[e : e + 1], total_variance[e : e + 1], weighted[None],
            start=raw[None], max_iterations=0, engine=engine, rescue=False,
        )  # fmt: skip
        if settled and again.cost[0] <= report[e, 0]:
            parameters[e], covariance[e] = again.parameters[0], again.covariance[0]
            report[e] = again.cost[0], again.condition[0], -report[e, 2]
    return _result(_SVI, parameters, covariance, factors, report, two, "SVI")


def fit_sabr_batch(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    weight: FloatArray,
    *,
    beta: float = 1.0,
    side: IntArray | None = None,
    start: FloatArray | None = None,
    huber: float = 0.0,
    max_iterations: int = 60,
    tolerance: float = 1e-10,
    engine: Engine = "auto",
) -> SliceFits:
    """SABR (Hagan's formula, beta fixed) of every row.

    Parameters
    ----------
    forward, strike, vol, weight : float64, shape (E, n)
        Each quote with its own forward; weights of squared volatility errors, 0 for padding.
    years : float64, shape (E,)
    beta : float
        In [0, 1].
    start : float64, shape (E, 3), optional
        Warm start ``alpha, rho, nu``; NaN rows start from a parabola.
    side, huber, max_iterations, tolerance, engine
        As in :func:`fit_svi_batch`.
    """
    values = {"forward": forward, "strike": strike, "vol": vol, "weight": weight}
    sides, begin = _checked(values, side, start, 3)
    positive = (forward > 0) & (strike > 0) & (vol > 0) & (years > 0)[:, None]
    w = _clean(weight, forward, strike, vol, np.where(positive, 0.0, np.nan))
    two = np.sum((w > 0) & (sides == 0), axis=1)
    w[two < 3] = 0.0
    rounds = _ROUNDS if huber > 0 or np.any(sides != 0) else 0
    parameters, covariance = np.full((len(w), 3), np.nan), np.full((len(w), 3, 3), np.nan)
    factors, report = np.zeros(w.shape), np.tile([np.nan, np.inf, 0.0], (len(w), 1))
    if use_numba(engine):
        from commonmode.pricing._sabr_kernels import sabr_rows

        bounds = np.log(np.array([ALPHA_BOUNDS, NU_BOUNDS])).T.copy()
        sabr_rows(
            np.ascontiguousarray(forward, dtype=np.float64),
            np.ascontiguousarray(strike, dtype=np.float64),
            np.ascontiguousarray(years, dtype=np.float64),
            np.ascontiguousarray(vol, dtype=np.float64),
            w, sides, float(beta), begin, bounds, huber, rounds, max_iterations, tolerance,
            parameters, covariance, factors, report,
        )  # fmt: skip
    elif (two >= 3).any():
        on = np.asarray(two >= 3)
        good = w[on] > 0
        ff, kk, vv = (np.where(good, x[on], _first(x, w)[on]) for x in (forward, strike, vol))
        tt = years[on]

        def fit(weights: FloatArray) -> tuple[FloatArray, BoolArray]:
            found = fit_sabr_slices(ff, kk, tt, vv, weights, beta=beta)
            return np.stack([found.alpha, found.rho, found.nu], axis=1), found.converged

        def model(x: FloatArray) -> FloatArray:
            alpha, rho, nu = (x[:, j, None] for j in range(3))
            return hagan_lognormal_vol(ff, kk, tt[:, None], alpha, beta, rho, nu)

        x, cov, cond, fac, ok = _numpy_rows(fit, model, vv, w[on], sides[on], huber, rounds)
        parameters[on], covariance[on], factors[on] = x, cov, fac
        report[on, 0] = np.sum(w[on] * fac * (model(x) - vv) ** 2, axis=1)
        report[on, 1], report[on, 2] = cond, np.where(ok, 1.0, -1.0)
    return _result(_SABR, parameters, covariance, factors, report, two, "SABR")


def _first(x: FloatArray, w: FloatArray) -> FloatArray:
    """First quoted value of each row, for the padding; shape (E, 1)."""
    return np.take_along_axis(x, np.argmax(w > 0, axis=1)[:, None], axis=1)
