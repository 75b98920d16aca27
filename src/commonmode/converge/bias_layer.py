"""Biases of the first half of a history and co-movement in the second, for attribution (C4).

Within the same hours two models that happened to move together also look biased alike, whatever
they share: biases and co-movement have to come from different hours. Deviations of long memory
reach across the halves all the same: models that stood too high at the end of the first come back
together in the second. So co-movement is taken within spans of the second half, each about its
own mean, which leaves out what moves as slowly as that.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from commonmode.converge.bias import bias_similarity
from commonmode.converge.comovement import deviations
from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import PanelError
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.blocks import block_edges
from commonmode.stats.comovement import (
    block_correlation,
    cross_moment_blocks,
    pair_covariance_blocks,
)

__all__ = ["EarlyBias", "early_bias"]

_FEWEST_TIMES = 60
_SPANS = 16


@dataclass(frozen=True, slots=True, eq=False)
class EarlyBias:
    """Alikeness of biases, and co-movement that it could not have seen.

    Attributes
    ----------
    similarity : float64, shape (N, N)
        Of the biases in the first half.
    later : float64, shape (P,)
        Correlations of deviations within spans of a sixteenth of the second half.
    spread : float64, shape (N,)
        Standard deviations of the deviations there; 0 where they are lost in the
        benchmarks' noise.
    """

    similarity: FloatArray
    later: FloatArray
    spread: FloatArray


def early_bias(panel: ErrorPanel, *, minimum_block_rows: int = 1) -> EarlyBias:
    """Biases of the first half of the panel, co-movement of the second.

    Parameters
    ----------
    panel : ErrorPanel
    minimum_block_rows : int

    Raises
    ------
    PanelError
        A half too short for biases, or for co-movement.
    """
    middle = len(panel.times_ms) // 2
    similarity = bias_similarity(
        panel.select_rows(slice(0, middle)), minimum_block_rows=minimum_block_rows
    )
    late = panel.select_rows(slice(middle, None))
    rows = usable_rows(late)
    if int(rows.sum(axis=0).min()) < _FEWEST_TIMES:
        raise PanelError(
            f"panel {panel.name}: all models answer at fewer than {_FEWEST_TIMES} times of its "
            "second half",
            remedy="give a longer panel",
        )
    x, y, _ = deviations(late)
    moments = [_within_spans(x[:, k], y[:, k], rows[:, k]) for k in range(x.shape[1])]
    together = np.stack(moments)
    _, spread = pair_covariance_blocks(together)
    return EarlyBias(similarity, block_correlation(together).pairs, spread)


def _within_spans(x: FloatArray, y: FloatArray, rows: BoolArray) -> FloatArray:
    """Cross-moments about the means of spans, shape (1, N, N); x and y have shape (T, N)."""
    together, count = np.zeros((1, x.shape[1], x.shape[1])), 0
    for low, high in pairwise(block_edges(len(x), _SPANS)):
        use = rows[low:high]
        if (here := int(use.sum())) < 2:
            continue
        whole = np.array([0, high - low], dtype=np.int64)
        together += here * cross_moment_blocks(x[low:high], y[low:high], whole, mask=use)
        count += here
    return np.asarray(together / max(count, 1))
