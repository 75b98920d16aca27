"""The one factor on a margin path at a promised coverage, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.random import as_generator
from commonmode.margin.coverage import equal_coverage_scale

__all__ = ["Interval", "block_counts", "pooled_scale", "scale_interval"]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with a bootstrap interval."""

    value: float
    low: float
    high: float


def block_counts(rows: int, length: int, draws: int, rng: int | np.random.Generator) -> FloatArray:
    """How often each row is drawn in a circular block bootstrap, shape (draws, rows)."""
    generator = as_generator(rng, "margin backtest", "blocks")
    count = int(np.ceil(rows / length))
    starts = generator.integers(0, rows, size=(draws, count))
    out = np.zeros((draws, rows))
    for d in range(draws):
        at = (starts[d][:, None] + np.arange(length)).ravel()[:rows] % rows
        out[d] = np.bincount(at, minlength=rows)
    return out


def pooled_scale(margin: FloatArray, losses: FloatArray, level: float) -> float:
    """The one factor on all columns at which the pooled breach rate is at most ``level``."""
    pair = np.isfinite(margin) & np.isfinite(losses)
    if not pair.any():
        return float("nan")
    return float(equal_coverage_scale(margin[pair][:, None], losses[pair][:, None], level)[0])


def scale_interval(
    margin: FloatArray,
    losses: FloatArray,
    level: float,
    *,
    block: int,
    draws: int = 300,
    rng: int | np.random.Generator = 0,
) -> Interval:
    """Equal-coverage multiplier with a 95 % circular block bootstrap over time."""
    both = np.isfinite(margin) & np.isfinite(losses)
    rows = np.flatnonzero(both.any(axis=1))
    both = both[rows]
    t, a = np.nonzero(both)
    ratio = losses[rows][t, a] / margin[rows][t, a]
    keep = np.argsort(-ratio, kind="stable")[: max(int(10 * level * len(ratio)), 1)]
    ratio, t = ratio[keep], t[keep]
    count = both.sum(axis=1).astype(np.float64)
    values = []
    for w in block_counts(len(rows), min(block, len(rows)), draws, rng):
        at = int(np.searchsorted(np.cumsum(w[t]), level * float(w @ count), side="right"))
        values.append(float(ratio[min(at, len(ratio) - 1)]))
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(pooled_scale(margin, losses, level), float(low), float(high))
