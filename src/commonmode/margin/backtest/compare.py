"""Methods at equal coverage: what each costs, how far its margin travels, how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.margin.backtest.bootstrap import Interval, block_counts, pooled_scale
from commonmode.margin.procyclicality_measures import n_step_rise, peak_to_trough

__all__ = [
    "PooledRate",
    "Travel",
    "breach_rate",
    "cost_ratio",
    "cost_ratio_interval",
    "pooled_rate",
    "travel",
]


def breach_rate(margin: FloatArray, losses: FloatArray) -> float:
    """Breaches over observations, all columns pooled."""
    known = np.isfinite(margin) & np.isfinite(losses)
    return float(np.sum(known & (losses > margin)) / max(int(known.sum()), 1))


@dataclass(frozen=True, slots=True)
class PooledRate:
    """Breach rate of several portfolios together.

    Attributes
    ----------
    rate, standard_error, p_value : float
        Portfolios breach at the same times and breaches follow breaches, so the error comes from
        blocks of time; the p-value is two-sided normal against the promised rate.
    observations, breaches : int
    times : int
        Rows of time: the number of occasions behind the observations.
    """

    rate: float
    standard_error: float
    p_value: float
    observations: int
    breaches: int
    times: int


def pooled_rate(
    margin: FloatArray,
    losses: FloatArray,
    level: float,
    *,
    block: int,
    draws: int = 500,
    rng: int | np.random.Generator = 0,
) -> PooledRate:
    """Pooled breach rate tested by a circular block bootstrap over time.

    Parameters
    ----------
    margin, losses : float64, shape (T, A)
    level : float
    block : int
        Rows per block: long enough to hold a cluster of breaches (a week).
    draws : int
    rng : int or numpy.random.Generator
    """
    known = np.isfinite(margin) & np.isfinite(losses)
    hits = (known & (losses > margin)).sum(axis=1).astype(np.float64)
    count = known.sum(axis=1).astype(np.float64)
    used = count > 0
    hits, count = hits[used], count[used]
    if not len(hits):
        nan = float("nan")
        return PooledRate(nan, nan, nan, 0, 0, 0)
    weights = block_counts(len(hits), min(block, len(hits)), draws, rng)
    rates = (weights @ hits) / (weights @ count)
    rate, error = float(hits.sum() / count.sum()), float(rates.std(ddof=1))
    # Under the promise the error is that of the promised rate: scaled from the one observed.
    null = error * np.sqrt(level / rate) if rate > 0 else np.sqrt(level / count.sum())
    p = 2.0 * float(ndtr(-abs(rate - level) / null))
    return PooledRate(rate, error, p, int(count.sum()), int(hits.sum()), len(hits))


def cost_ratio(ours: FloatArray, theirs: FloatArray, losses: FloatArray) -> tuple[float, float]:
    """Mean margin of ours over theirs at our breach rate, and the factor that theirs needed.

    One factor for all columns; margin is per dollar of notional, so every portfolio counts with
    the same notional. Rows where either path is unknown are left out of both.
    """
    both = np.isfinite(ours) & np.isfinite(theirs) & np.isfinite(losses)
    mine = np.where(both, ours, np.nan)
    other = np.where(both, theirs, np.nan)
    scale = pooled_scale(other, losses, breach_rate(mine, losses))
    return float(np.nanmean(mine) / (scale * np.nanmean(other))), scale


def cost_ratio_interval(
    ours: FloatArray,
    theirs: FloatArray,
    losses: FloatArray,
    *,
    block: int,
    draws: int = 300,
    rng: int | np.random.Generator = 0,
) -> Interval:
    """:func:`cost_ratio` with a 95 % circular block bootstrap over time."""
    both = np.isfinite(ours) & np.isfinite(theirs) & np.isfinite(losses)
    rows = np.flatnonzero(both.any(axis=1))
    mine, other, loss = ours[rows], theirs[rows], losses[rows]
    both = both[rows]
    hits = (both & (loss > mine)).sum(axis=1).astype(np.float64)
    cost_mine = np.where(both, mine, 0.0).sum(axis=1)
    cost_other = np.where(both, other, 0.0).sum(axis=1)
    # Only the largest ratios can be the factor; the rest are below it in every draw.
    t, a = np.nonzero(both)
    ratio = loss[t, a] / other[t, a]
    keep = np.argsort(-ratio, kind="stable")[: max(int(0.1 * len(ratio)), min(len(ratio), 1000))]
    ratio, t = ratio[keep], t[keep]
    weights = block_counts(len(rows), min(block, len(rows)), draws, rng)
    values = []
    for w in weights:
        allowed = float(w @ hits)
        passed = np.cumsum(w[t])
        at = int(np.searchsorted(passed, allowed, side="right"))
        scale = ratio[min(at, len(ratio) - 1)]
        values.append(float(w @ cost_mine) / (scale * float(w @ cost_other)))
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(cost_ratio(ours, theirs, losses)[0], float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class Travel:
    """How far the margin of each portfolio travelled; arrays of shape (A,).

    Attributes
    ----------
    peak_to_trough : float64
    rises : mapping-like tuple of (days, float64 of shape (A,))
        Largest ratio of a margin to that of 1, 5 and 30 days before.
    """

    peak_to_trough: FloatArray
    rises: tuple[tuple[int, FloatArray], ...]


def travel(margin: FloatArray, inside: BoolArray, *, rows_per_day: int) -> Travel:
    """Peak to trough and n-day rises over the rows ``inside``; unknown rows are left out.

    Parameters
    ----------
    margin : float64, shape (T, A)
        In USD for a portfolio of constant coins, or per dollar of notional.
    inside : bool, shape (T,)
    rows_per_day : int
    """
    known = inside & np.isfinite(margin).all(axis=1)
    path = margin[known]
    rises = tuple((days, n_step_rise(path, days * rows_per_day)) for days in (1, 5, 30))
    return Travel(peak_to_trough(path).ratio, rises)
