"""Surface models at several cadences: errors out of sample and steps in volatility points.

Each model is fitted once to every snapshot. At a cadence, the quotes of a snapshot are priced by
the last surface fitted before it on that cadence's grid, at their own forwards and times, and held
against what the market then says. A step is the vega-weighted mean move of the volatilities of a
bucket's quotes when the new surface replaces the old one: times vega, USD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success, capture
from commonmode.exposure.surfaces import CALCULATION_ERRORS, calibrate_surface
from commonmode.market.chain import OptionChain
from commonmode.panel.surface_market import (
    BUCKETS,
    Evaluation,
    bucket_mean,
    evaluation_quotes,
    sticky_smile,
)
from commonmode.register.model import FittedSurface, SurfaceModel

__all__ = ["SurfaceWalk", "SurfaceWalks", "walk_surfaces"]


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceWalk:
    """One cadence.

    Attributes
    ----------
    every : int
        Snapshots between refits.
    error : float64, shape (S, N)
        Vega-weighted mean absolute error of the quotes of a snapshot, volatility; NaN where some
        model or cadence does not reach any of them, and at the first snapshots.
    step : float64, shape (R, K, N)
        At each refit but the first, by bucket.
    market_a, market_b : float64, shape (R, K)
        The same of the quotes of either half of the strikes, by no model.
    times_ms : int64, shape (R,)
    """

    every: int
    error: FloatArray
    step: FloatArray
    market_a: FloatArray
    market_b: FloatArray
    times_ms: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceWalks:
    """All cadences over S snapshots of one underlying.

    Attributes
    ----------
    models : tuple of ModelId
    times_ms : int64, shape (S,)
    half_spread : float64, shape (S,)
        Vega-weighted mean half spread of the quotes priced, volatility.
    walks : mapping of int to SurfaceWalk
        By snapshots between refits.
    failures : mapping of ModelId to int
        Snapshots a model could not be fitted to; its last surface stays in use.
    """

    models: tuple[ModelId, ...]
    times_ms: IntArray
    half_spread: FloatArray
    walks: Mapping[int, SurfaceWalk]
    failures: Mapping[ModelId, int]


def walk_surfaces(
    chains: Sequence[OptionChain],
    models: Sequence[SurfaceModel],
    *,
    cadences: Sequence[int],
    evaluate_every: int = 1,
) -> SurfaceWalks:
    """Walk the models through one underlying's chains at several cadences.

    Parameters
    ----------
    chains : sequence of OptionChain
        In order of time.
    models : sequence of SurfaceModel
    cadences : sequence of int
        Snapshots between refits.
    evaluate_every : int
        Snapshots between evaluations.

    Raises
    ------
    DataError
        Fewer chains than two refits of the shortest cadence.
    """
    if min(cadences, default=0) < 1 or len(chains) < 2 * min(cadences) + 1 or not models:
        raise DataError(
            f"{len(chains)} chains, {len(models)} models, cadences {tuple(cadences)}",
            remedy="give models, and chains that span two refits",
        )
    fits: list[list[FittedSurface | None]] = []
    failed: dict[ModelId, int] = {model.id: 0 for model in models}
    for chain in chains:
        row: list[FittedSurface | None] = []
        for m, model in enumerate(models):
            made = calibrate_surface(model, chain)
            if isinstance(made, Failure):
                failed[model.id] += 1
                row.append(fits[-1][m] if fits else None)
            else:
                row.append(made.value)
        fits.append(row)
    s, n = len(chains), len(models)
    error = {c: np.full((s, n), np.nan) for c in cadences}
    half_spread = np.full(s, np.nan)
    for t in range(1, s, evaluate_every):
        quotes = evaluation_quotes(chains[t - 1], chains[t])
        if not len(quotes.strike):
            continue
        told = {c: [_vol(f, quotes) for f in fits[(t - 1) // c * c]] for c in cadences}
        reached = np.all([np.isfinite(v) for rows in told.values() for v in rows], axis=0)
        weight = np.where(reached, quotes.weight, 0.0)
        if not weight.sum() > 0:
            continue
        for c, rows in told.items():
            for m, vol in enumerate(rows):
                miss = np.where(reached, np.abs(vol - quotes.outcome), 0.0)
                error[c][t, m] = float(weight @ miss / weight.sum())
        sure = np.where(np.isfinite(quotes.half_spread), weight, 0.0)
        if sure.sum() > 0:
            half_spread[t] = float(sure @ np.nan_to_num(quotes.half_spread) / sure.sum())
    return SurfaceWalks(
        models=tuple(model.id for model in models),
        times_ms=np.array([chain.time_ms for chain in chains], dtype=np.int64),
        half_spread=half_spread,
        walks={c: _steps(c, chains, fits, error[c], n) for c in cadences},
        failures=failed,
    )


def _steps(
    every: int,
    chains: Sequence[OptionChain],
    fits: Sequence[Sequence[FittedSurface | None]],
    error: FloatArray,
    models: int,
) -> SurfaceWalk:
    rows = np.arange(every, len(chains), every)
    step = np.full((len(rows), len(BUCKETS), models), np.nan)
    market = np.full((2, len(rows), len(BUCKETS)), np.nan)
    for r, t in enumerate(rows.tolist()):
        before, now = chains[t - every], chains[t]
        quotes = evaluation_quotes(before, now)
        for m in range(models):
            moved = _vol(fits[t][m], quotes) - _vol(fits[t - every][m], quotes)
            step[r, :, m] = bucket_mean(moved, quotes, skip_missing=True)
        for half in (0, 1):
            moved = sticky_smile(now, quotes, half) - sticky_smile(before, quotes, half)
            market[half, r] = bucket_mean(moved, quotes, skip_missing=True)
    return SurfaceWalk(
        every=every,
        error=error,
        step=step,
        market_a=market[0],
        market_b=market[1],
        times_ms=np.array([chains[t].time_ms for t in rows.tolist()], dtype=np.int64),
    )


def _vol(fitted: FittedSurface | None, quotes: Evaluation) -> FloatArray:
    """Volatilities of the quotes; NaN where the surface does not reach, or fails."""
    nothing = np.full(len(quotes.strike), np.nan)
    if fitted is None:
        return nothing
    told = capture(
        lambda: np.asarray(
            fitted.implied_vol(quotes.strike, quotes.years, quotes.forward, quotes.expiry_ms),
            dtype=np.float64,
        ),
        what="volatilities of a carried surface",
        errors=CALCULATION_ERRORS,
    )
    if isinstance(told, Success) and told.value.shape == nothing.shape:
        return np.where(np.isfinite(told.value) & (told.value > 0), told.value, np.nan)
    return nothing
