"""Which models deviate from the benchmarks by more than the benchmarks' own noise."""

from __future__ import annotations

import numpy as np

from commonmode.converge.comovement import block_plan, deviations
from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.comovement import cross_moment_blocks, pool_targets

__all__ = ["stands_apart"]


def stands_apart(panel: ErrorPanel, *, minimum_rows: int = 1, margin: float = 1.0) -> BoolArray:
    """Whether each model deviates from the benchmarks beyond their own noise, shape (N,).

    The cross-moment ``cov(f - m^a, f - m^b)`` is the variance of what the model chose. A model that
    reads what the benchmarks are made of follows their noise and has none, or a negative one: its
    independence cannot be judged, and counting it as independent would flatter the crowd.

    Parameters
    ----------
    panel : ErrorPanel
        Without benchmarks every model stands apart.
    minimum_rows : int
        Shortest block.
    margin : float
        How many standard errors (between blocks) above zero the variance, pooled over targets,
        must lie. One: a model is left out when its variance is lost in the noise, not already when
        it is not significant, which in a short panel would throw honest models out.
    """
    if panel.benchmark_a is None:
        return np.ones(len(panel.models), dtype=np.bool_)
    rows = usable_rows(panel)
    x, y, _ = deviations(panel)
    _, edges = block_plan(x, y, rows, minimum_rows)
    moments = [
        cross_moment_blocks(x[:, k], y[:, k], edges, mask=rows[:, k]) for k in range(x.shape[1])
    ]
    total = np.einsum("bii->bi", pool_targets(np.stack(moments)))
    blocks = len(total)
    error = total.std(axis=0, ddof=1) * np.sqrt(blocks) if blocks > 1 else np.inf
    return np.asarray(total.sum(axis=0) > margin * error)
