"""One parameter of a published method fitted to a target coverage: its scan range, walk-forward.

A requirement is not proportional to the scan range (charges and tails are added), so the method is
run on a ladder of ranges and the range is read off where the pooled breach rate meets the promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.margin.backtest.bootstrap import Interval, block_counts
from commonmode.margin.backtest.walk import month_starts

__all__ = ["Ladder", "LadderFit", "fit_ladder", "walk_ladder"]


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """Margin paths of one method at several values of a parameter.

    Attributes
    ----------
    factors : float64, shape (K,)
        Ascending; margin does not fall along them.
    margin : float64, shape (K, R, A)
    """

    factors: FloatArray
    margin: FloatArray

    def __post_init__(self) -> None:
        """Check the order of the rungs."""
        if np.any(np.diff(self.factors) <= 0) or len(self.factors) != len(self.margin):
            raise DataError(
                f"{len(self.factors)} factors for {len(self.margin)} margin paths",
                remedy="give ascending factors, one path each",
            )

    def at(self, factor: float) -> FloatArray:
        """Margin at a factor between the rungs, linear between them, shape (R, A)."""
        k = int(np.clip(np.searchsorted(self.factors, factor), 1, len(self.factors) - 1))
        low, high = self.factors[k - 1], self.factors[k]
        part = min(max((factor - low) / (high - low), 0.0), 1.0)
        return np.asarray((1.0 - part) * self.margin[k - 1] + part * self.margin[k])


def _crossing(factors: FloatArray, rates: FloatArray, level: float) -> float:
    """Smallest factor with at most ``level``, linear in the rate; the end of the ladder if none."""
    below = np.flatnonzero(rates <= level)
    if not len(below):
        return float(factors[-1])
    k = int(below[0])
    if k == 0:
        return float(factors[0])
    part = (rates[k - 1] - level) / (rates[k - 1] - rates[k])
    return float(factors[k - 1] + part * (factors[k] - factors[k - 1]))


def _hits(ladder: Ladder, losses: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Breaches per rung and row (K, R), and observations per row (R,)."""
    known = np.isfinite(losses) & np.isfinite(ladder.margin).all(axis=0)
    hits = (known & (losses > ladder.margin)).sum(axis=2)
    return hits.astype(np.float64), known.sum(axis=1).astype(np.float64)


def fit_ladder(
    ladder: Ladder,
    losses: FloatArray,
    level: float,
    *,
    block: int,
    draws: int = 200,
    rng: int | np.random.Generator = 0,
) -> Interval:
    """The factor at which the pooled breach rate meets the promise, with a 95 % interval.

    Parameters
    ----------
    ladder : Ladder
    losses : float64, shape (R, A)
    level : float
    block, draws : int
        Of the circular block bootstrap over time.
    rng : int or numpy.random.Generator
    """
    hits, count = _hits(ladder, losses)
    value = _crossing(ladder.factors, hits.sum(axis=1) / count.sum(), level)
    weights = block_counts(len(count), min(block, len(count)), draws, rng)
    rates = (weights @ hits.T) / (weights @ count)[:, None]
    drawn = [_crossing(ladder.factors, each, level) for each in rates]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(value, float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class LadderFit:
    """A parameter refitted every month.

    Attributes
    ----------
    factor : float64, shape (M,)
    margin : float64, shape (R, A)
    """

    factor: FloatArray
    margin: FloatArray


def walk_ladder(
    ladder: Ladder,
    losses: FloatArray,
    times_ms: IntArray,
    *,
    level: float,
    window_ms: int,
    least_ms: int,
    horizon_ms: int,
) -> LadderFit:
    """Refit the factor at every month's start on the losses that had ended by then."""
    hits, count = _hits(ladder, losses)
    months = month_starts(times_ms)
    begun = times_ms[int(np.argmax(count > 0))]
    starts = months[times_ms[months] - begun >= least_ms]
    margin = np.full(ladder.margin.shape[1:], np.nan)
    factors = []
    stops: Sequence[int] = [*starts[1:].tolist(), len(losses)]
    for start, stop in zip(starts.tolist(), stops, strict=True):
        now = int(times_ms[start])
        past = (times_ms >= now - window_ms) & (times_ms <= now - horizon_ms)
        rates = hits[:, past].sum(axis=1) / max(float(count[past].sum()), 1.0)
        factors.append(_crossing(ladder.factors, rates, level))
        margin[start:stop] = ladder.at(factors[-1])[start:stop]
    return LadderFit(np.array(factors), margin)
