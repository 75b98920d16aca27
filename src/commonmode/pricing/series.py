"""Calibration of a whole series of snapshots: parameters, errors and reasons by time and expiry.

Mid quotes out of the money, each with its own forward; lone bids and asks may take part as bounds.
Each fit may start at the previous snapshot's, slice by slice. The result is what the functions of
:mod:`commonmode.pricing.stability` read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, freeze_arrays
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import Failure
from commonmode.market.chain import OptionChain, QuoteFlag
from commonmode.pricing._compiled import Engine
from commonmode.pricing._normalised import normal_density
from commonmode.pricing.batch import fit_sabr_batch, fit_svi_batch
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.slices import ChainSlices, Weighting, chain_slices
from commonmode.pricing.ssvi import ssvi_total_variance
from commonmode.pricing.ssvi_model import fit_chain_slices
from commonmode.pricing.svi import svi_total_variance

__all__ = ["CalibrationSeries", "SeriesKind", "calibrate_series"]

SeriesKind = Literal["svi", "sabr", "ssvi", "essvi"]

_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "svi": ("a", "b", "rho", "m", "sigma"),
        "sabr": ("alpha", "rho", "nu"),
        "ssvi": ("theta", "rho", "psi"),
        "essvi": ("theta", "rho", "psi"),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationSeries:
    """Fits of S snapshots with E expiries in all; NaN where there is no fit.

    Attributes
    ----------
    kind : str
    names : tuple of str
    time_ms : int64, shape (S,)
    expiry_ms : int64, shape (E,), ascending
    years : float64, shape (S, E)
        Time to expiry of the fitted slices.
    parameters : float64, shape (S, E, p)
    covariance : float64, shape (S, E, p, p)
    condition : float64, shape (S, E)
        Of the scaled Jacobian, of the slice or (ssvi, essvi) of the whole surface.
    rmse : float64, shape (S, E)
        Weighted root mean square error in volatility (decimal), two-sided quotes.
    inside, quotes : int64, shape (S, E)
        Two-sided quotes fitted within their bid and ask, and all of them.
    converged : bool, shape (S, E)
    failures : mapping of (time_ms, expiry_ms) to Failure
        ``expiry_ms`` is -1 where the whole snapshot failed.
    """

    kind: str
    names: tuple[str, ...]
    time_ms: IntArray
    expiry_ms: IntArray
    years: FloatArray
    parameters: FloatArray
    covariance: FloatArray
    condition: FloatArray
    rmse: FloatArray
    inside: IntArray
    quotes: IntArray
    converged: BoolArray
    failures: Mapping[tuple[int, int], Failure]

    def __post_init__(self) -> None:
        """The arrays become read-only."""
        freeze_arrays(self)

    @property
    def standard_error(self) -> FloatArray:
        """Shape (S, E, p)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(np.einsum("sepp->sep", self.covariance)))

    @property
    def share_inside(self) -> float:
        """Two-sided quotes fitted inside bid and ask, over all of them."""
        return float(self.inside.sum() / max(int(self.quotes.sum()), 1))


@dataclass(frozen=True, slots=True, eq=False)
class _Fits:
    parameters: FloatArray
    covariance: FloatArray
    condition: FloatArray
    converged: BoolArray
    vol: FloatArray
    failures: Mapping[int, Failure]
    free: FloatArray | None = None


def _band(chain: OptionChain, s: ChainSlices) -> tuple[FloatArray, FloatArray]:
    """Bid and ask volatility of each selected quote, shape (E, n)."""
    mid = 0.5 * (chain.bid_iv + chain.ask_iv)
    columns = (chain.expiry_ms, chain.strike, mid, chain.bid_iv, chain.ask_iv)
    found = {
        (e, k, v): (b, a) for e, k, v, b, a in zip(*(c.tolist() for c in columns), strict=True)
    }
    both = np.array(
        [
            [found[e, k, v] for k, v in zip(strikes, vols, strict=True)]
            for e, strikes, vols in zip(
                s.expiry_ms.tolist(), s.strike.tolist(), s.vol.tolist(), strict=True
            )
        ]
    )
    return both[..., 0], both[..., 1]


def _with_lone_sides(chain: OptionChain, s: ChainSlices) -> tuple[ChainSlices, IntArray]:
    """The slices widened by lone bids and asks out of the money, and the side of each quote."""
    no_bid = (chain.flags & int(QuoteFlag.NO_BID)) != 0
    no_ask = (chain.flags & int(QuoteFlag.NO_ASK)) != 0
    out = (chain.sign > 0) == (chain.strike >= chain.forward)
    level = np.where(no_ask, chain.bid_iv, chain.ask_iv)
    good = chain.usable & (no_bid ^ no_ask) & out & np.isfinite(level) & (level > 0)
    rows = [
        np.flatnonzero(good & (chain.expiry_ms == e) & ~np.isin(chain.strike, k[:n]))
        for e, k, n in zip(s.expiry_ms.tolist(), s.strike, s.count.tolist(), strict=True)
    ]
    more = max((len(r) for r in rows), default=0)
    pad = ((0, 0), (0, more))
    wide = {
        name: np.pad(getattr(s, name), pad, mode="edge") if more else getattr(s, name)
        for name in ("strike", "forward", "vol")
    }
    weight, side = np.pad(s.weight, pad), np.zeros((len(rows), s.weight.shape[1] + more), np.int64)
    for e, (r, n) in enumerate(zip(rows, s.count.tolist(), strict=True)):
        place = slice(s.weight.shape[1], s.weight.shape[1] + len(r))
        wide["strike"][e, place], wide["forward"][e, place] = chain.strike[r], chain.forward[r]
        wide["vol"][e, place] = level[r]
        side[e, place] = np.where(no_ask[r], 1, -1)
        total = wide["vol"][e] * np.sqrt(s.years[e])
        k = np.log(wide["strike"][e] / wide["forward"][e])
        vega = normal_density(-k / total + 0.5 * total) ** 2
        scale = np.sum(s.weight[e, :n]) / np.sum(vega[:n])
        weight[e, place] = np.maximum(vega[place] * scale, 1e-12)
    return (
        ChainSlices(s.expiry_ms, s.years, wide["strike"], wide["forward"], wide["vol"], weight,
                    s.count, s.failures),
        side,
    )  # fmt: skip


def _fit(
    kind: str, s: ChainSlices, side: IntArray | None, start: FloatArray | None, beta: float,
    huber: float, engine: Engine,
) -> _Fits | Failure:  # fmt: skip
    t, k = s.years[:, None], s.log_moneyness
    if kind in ("ssvi", "essvi"):
        family: Literal["essvi", "ssvi-power"] = "essvi" if kind == "essvi" else "ssvi-power"
        found = fit_chain_slices(s, family=family, start=start, huber=huber, engine=engine)
        if isinstance(found, Failure):
            return found
        fit, x = found.value, found.value.slices
        n = len(t)
        return _Fits(
            np.stack([x.theta, x.rho, x.psi], axis=1),
            fit.covariance,
            np.full(n, fit.condition),
            np.full(n, fit.converged),
            np.sqrt(ssvi_total_variance(k, x.theta[:, None], x.rho[:, None], x.psi[:, None]) / t),
            {},
            fit.free,
        )
    if kind == "svi":
        rows = fit_svi_batch(
            k, s.vol**2 * t, s.weight / (2.0 * s.vol * t) ** 2,
            side=side, start=start, huber=huber, engine=engine,
        )  # fmt: skip
        with np.errstate(invalid="ignore"):
            vol = np.sqrt(svi_total_variance(k, *rows.parameters.T[..., None]) / t)
    else:
        rows = fit_sabr_batch(
            s.forward, s.strike, s.years, s.vol, s.weight,
            beta=beta, side=side, start=start, huber=huber, engine=engine,
        )  # fmt: skip
        alpha, rho, nu = rows.parameters.T[..., None]
        vol = hagan_lognormal_vol(s.forward, s.strike, t, alpha, beta, rho, nu)
    return _Fits(
        rows.parameters, rows.covariance, rows.condition, rows.converged, vol, rows.failures
    )


def calibrate_series(
    chains: Iterable[OptionChain],
    *,
    kind: SeriesKind,
    weighting: Weighting = "vega",
    min_quotes: int = 6,
    one_sided: bool = False,
    beta: float = 1.0,
    huber: float = 0.0,
    warm: bool = True,
    engine: Engine = "auto",
) -> CalibrationSeries:
    """Fit every snapshot of a series, in order.

    Parameters
    ----------
    chains : iterable of OptionChain
        In order of time.
    kind : {"svi", "sabr", "ssvi", "essvi"}
    weighting, min_quotes
        As in :func:`~commonmode.pricing.slices.chain_slices`.
    one_sided : bool
        Lone bids and asks bound the fit (svi and sabr).
    beta : float
        Of SABR.
    huber : float
        As in :func:`~commonmode.pricing.batch.fit_svi_batch`.
    warm : bool
        Start each slice at its previous fit (ssvi and essvi: where the expiries are the same).
    engine : {"auto", "numba", "numpy"}

    Raises
    ------
    ConfigurationError
        If the kind is not known, or does not take one-sided quotes.
    DataError
        If there is no chain.
    """
    if kind not in _NAMES or (one_sided and kind in ("ssvi", "essvi")):
        raise ConfigurationError(
            f"kind={kind!r} is not known" if kind not in _NAMES
            else f"{kind} does not take one-sided quotes",
            remedy="use svi or sabr" if kind in _NAMES else f"use one of {', '.join(_NAMES)}",
        )  # fmt: skip
    failures: dict[tuple[int, int], Failure] = {}
    kept: list[tuple[int, ChainSlices, _Fits, IntArray, IntArray, FloatArray]] = []
    times: list[int] = []
    before: tuple[IntArray, _Fits] | None = None
    for chain in chains:
        row = len(times)
        times.append(chain.time_ms)
        selected = chain_slices(chain, quotes="mid", weighting=weighting, min_quotes=min_quotes)
        if isinstance(selected, Failure):
            failures[chain.time_ms, -1] = selected
            continue
        s = selected.value
        bid, ask = _band(chain, s)
        failures.update({(chain.time_ms, e): f for e, f in s.failures.items()})
        wide, side = _with_lone_sides(chain, s) if one_sided else (s, None)
        start = _start(kind, s.expiry_ms, before) if warm else None
        fit = _fit(kind, wide, side, start, beta, huber, engine)
        if isinstance(fit, Failure):
            failures[chain.time_ms, -1] = fit
            continue
        before = (s.expiry_ms, fit)
        failures.update({(chain.time_ms, int(s.expiry_ms[e])): f for e, f in fit.failures.items()})
        vol = fit.vol[:, : s.vol.shape[1]]
        quoted = s.weight > 0
        inside = np.sum(quoted & (vol >= bid) & (vol <= ask), axis=1)
        kept.append((row, s, fit, inside, np.sum(quoted, axis=1), s.rmse(np.where(quoted, vol, 0))))
    if not times:
        raise DataError("there is no chain to calibrate", remedy="check the feed and the times")
    return _assembled(kind, times, kept, failures)


def _start(kind: str, expiry: IntArray, before: tuple[IntArray, _Fits] | None) -> FloatArray | None:
    if before is None:
        return None
    known, fit = before
    if fit.free is not None:
        return fit.free if np.array_equal(known, expiry) else None
    start = np.full((len(expiry), len(_NAMES[kind])), np.nan)
    _, here, there = np.intersect1d(expiry, known, return_indices=True)
    start[here] = fit.parameters[there]
    return start


def _assembled(
    kind: str,
    times: list[int],
    kept: list[tuple[int, ChainSlices, _Fits, IntArray, IntArray, FloatArray]],
    failures: dict[tuple[int, int], Failure],
) -> CalibrationSeries:
    expiries = np.unique([e for _, s, *_ in kept for e in s.expiry_ms.tolist()]).astype(np.int64)
    shape, p = (len(times), len(expiries)), len(_NAMES[kind])
    years, condition, rmse = (np.full(shape, np.nan) for _ in range(3))
    inside, quotes = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    converged = np.zeros(shape, np.bool_)
    parameters, covariance = np.full((*shape, p), np.nan), np.full((*shape, p, p), np.nan)
    for row, s, fit, good, count, miss in kept:
        at = np.searchsorted(expiries, s.expiry_ms)
        years[row, at], condition[row, at], rmse[row, at] = s.years, fit.condition, miss
        inside[row, at], quotes[row, at], converged[row, at] = good, count, fit.converged
        parameters[row, at], covariance[row, at] = fit.parameters, fit.covariance
    return CalibrationSeries(
        kind=kind,
        names=_NAMES[kind],
        time_ms=np.array(times, np.int64),
        expiry_ms=expiries,
        years=years,
        parameters=parameters,
        covariance=covariance,
        condition=condition,
        rmse=rmse,
        inside=inside,
        quotes=quotes,
        converged=converged,
        failures=MappingProxyType(failures),
    )
