"""Ways of measuring convergence that fail, kept to show in the laboratory that they do.

None of them is used for a finding: each leaves out one step of C2 or C3, and ``docs/evidence.md``
gives the rate at which it then sees convergence where none is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import PanelError
from commonmode.core.random import as_generator
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.blocks import (
    block_edges,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.comovement import pair_block_sums, pair_index
from commonmode.stats.signflip import SignFlipTest, sign_flip_test

__all__ = ["circular_shift_test", "raw_ratio_test", "with_single_benchmark"]


def with_single_benchmark(panel: ErrorPanel) -> ErrorPanel:
    """The panel with its first benchmark in both places: its noise enters every pair."""
    return replace(panel, benchmark_b=panel.benchmark_a)


def raw_ratio_test(
    panel: ErrorPanel, *, flips: int = 1999, rng: int | np.random.Generator = 0
) -> SignFlipTest:
    """Test that models fail together no more often than at constant rates.

    The same sign flips of blocks as C3, but nothing is known about the market's surprise.
    """
    rows = usable_rows(panel)
    failed = panel.failed & rows[:, :, None]
    rate = np.stack([failed[rows[:, k], k].mean(axis=0) for k in range(rows.shape[1])])
    residual = np.where(rows[:, :, None], failed - rate, 0.0)
    tau = integrated_autocorrelation_time(failed.sum(axis=(1, 2), dtype=np.float64))
    edges = block_edges(len(rows), choose_block_count(len(rows), tau))
    pairs = sum(pair_block_sums(residual[:, k], residual[:, k], edges) for k in range(len(rate)))
    return sign_flip_test(np.asarray(pairs).sum(axis=1), flips=flips, rng=rng)


def circular_shift_test(
    panel: ErrorPanel, *, shifts: int = 199, rng: int | np.random.Generator = 0
) -> float:
    """p-value of ``sum_{i<j} r_ij^2`` when each model is shifted in time on its own.

    Deviations are those of C2, from both benchmarks, and so are the correlations. Shifting breaks
    the ties between models but also the benchmark noise that all of them hold in common, which the
    observed statistic has and the shifted ones have not.

    Parameters
    ----------
    panel : ErrorPanel
        Of one target, with benchmarks and without gaps.
    shifts : int
    rng : int or Generator

    Raises
    ------
    PanelError
        More than one target, no benchmarks, or missing cells.
    """
    a, b = panel.benchmark_a, panel.benchmark_b
    if a is None or b is None or len(panel.targets) != 1 or not panel.complete.all():
        raise PanelError(
            f"panel {panel.name}: the circular-shift control needs one target, two benchmarks and"
            " no gaps",
            remedy="it is meant for panels of the laboratory",
        )
    x, y = panel.deviation(a)[:, 0], panel.deviation(b)[:, 0]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    generator = as_generator(rng, "circular-shift", shifts)
    times, models = x.shape
    observed = _sum_of_squares(x, y)
    at_least = 0
    for offsets in generator.integers(0, times, size=(shifts, models)):
        moved_x, moved_y = (
            np.stack([np.roll(v[:, i], offset) for i, offset in enumerate(offsets)], axis=1)
            for v in (x, y)
        )
        at_least += _sum_of_squares(moved_x, moved_y) >= observed
    return (1.0 + at_least) / (1.0 + shifts)


def _sum_of_squares(x: FloatArray, y: FloatArray) -> float:
    moment = x.T @ y
    moment = 0.5 * (moment + moment.T)
    variance = np.clip(np.diag(moment), 1e-300, None)
    rows, columns = pair_index(len(moment))
    squared = moment[rows, columns] ** 2 / (variance[rows] * variance[columns])
    return float(squared.sum())
