"""Deviations as monitoring reads them: moments by block of time, each from the past alone.

Blocks follow one another without overlap. Deviations are centred by an exponentially weighted mean
of the blocks before; scales and weights of targets come from the baseline.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from commonmode.converge.comovement import benchmark_noise_ratio
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import PanelError, ShortPanelError
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.blocks import integrated_autocorrelation_time

__all__ = ["BlockSeries", "block_series"]

_FEWEST_BLOCKS = 30
_SPANS = 10.0  # autocorrelation times after which two blocks count as independent, as in blocks.py


@dataclass(frozen=True, slots=True, eq=False)
class BlockSeries:
    """Moments of the deviations by block.

    Attributes
    ----------
    edges : int64, shape (B + 1,)
        Rows of the panel.
    start_ms, known_ms : int64, shape (B,)
        Of the first forecast, and when the last outcome was known.
    baseline : int
        Blocks that the baseline holds: the first ones.
    second : float64, shape (K, B, N, N)
        Sums of ``(x_i y_j + x_j y_i) / 2``, deviations in units of the baseline's spread.
    first_x, first_y : float64, shape (K, B, N)
        Sums of the deviations.
    count : float64, shape (K, B)
        Rows that count.
    score : float64, shape (B,)
        Mean pair correlation of the block, within [-1, 1]; NaN without rows.
    memory : float
        Autocorrelation time of deviation products over the baseline, rows.
    noise_ratio : float
        Noise of one benchmark over what the models choose for themselves, in the baseline.
    """

    edges: IntArray
    start_ms: IntArray
    known_ms: IntArray
    baseline: int
    second: FloatArray
    first_x: FloatArray
    first_y: FloatArray
    count: FloatArray
    score: FloatArray
    memory: float
    noise_ratio: float

    def __len__(self) -> int:
        return len(self.start_ms)

    @property
    def blocks_apart(self) -> int:
        """Blocks in a span after which what a model does is forgotten."""
        rows = int(self.edges[1] - self.edges[0])
        return max(1, int(np.ceil(_SPANS * self.memory / rows)))

    def weighted(self, last: int, half_life: float) -> FloatArray:
        """Exponentially weighted moments up to block ``last``, about their own weighted mean.

        Cut into groups of ``blocks_apart`` blocks, latest first, six half-lives deep; they add up
        to the weighted covariance, shape (K, groups, N, N).
        """
        depth = min(last + 1, int(np.ceil(6.0 * half_life)))
        at = last - np.arange(depth)
        weight = 0.5 ** (np.arange(depth) / half_life)
        total = (weight * self.count[:, at]).sum(axis=1)
        weight = weight / np.where(total > 0, total, 1.0)[:, None]
        cx = np.einsum("kb,kbi->ki", weight, self.first_x[:, at])
        cy = np.einsum("kb,kbi->ki", weight, self.first_y[:, at])
        centred = _about(
            self.second[:, at],
            self.first_x[:, at],
            self.first_y[:, at],
            self.count[:, at],
            cx[:, None],
            cy[:, None],
        )
        heavy = weight[:, :, None, None] * centred
        return np.add.reduceat(heavy, np.arange(0, depth, self.blocks_apart), axis=1)


def _about(
    second: FloatArray,
    first_x: FloatArray,
    first_y: FloatArray,
    count: FloatArray,
    cx: FloatArray,
    cy: FloatArray,
) -> FloatArray:
    """Sums of products of (x - cx) and (y - cy), symmetrised; (K, B, N, N)."""
    cross = (
        first_x[..., :, None] * cy[..., None, :]
        + cx[..., :, None] * first_y[..., None, :]
        - count[..., None, None] * cx[..., :, None] * cy[..., None, :]
    )
    return second - 0.5 * (cross + np.swapaxes(cross, -1, -2))


def block_series(
    panel: ErrorPanel, *, baseline_until_ms: int, block_rows: int, half_life: float
) -> BlockSeries:
    """Cut a panel into blocks and measure each.

    Parameters
    ----------
    panel : ErrorPanel
        With two benchmarks.
    baseline_until_ms : int
        The baseline holds the blocks whose outcomes were known by then.
    block_rows : int
    half_life : float
        Blocks; of the mean that deviations are centred by.

    Raises
    ------
    PanelError
        No benchmarks, fewer than two models, or fewer than 30 blocks of baseline
        (ShortPanelError if a baseline of half the panel has as few).
    """
    a, b = panel.benchmark_a, panel.benchmark_b
    if a is None or b is None or len(panel.models) < 2:
        raise PanelError(
            f"panel {panel.name}: monitoring needs two benchmarks and two models",
            remedy="give both benchmarks, each from data the other never sees",
        )
    blocks = len(panel.times_ms) // block_rows
    edges = np.arange(blocks + 1, dtype=np.int64) * block_rows
    known = panel.times_ms[edges[1:] - 1] + panel.horizon_ms
    baseline = int(np.searchsorted(known, baseline_until_ms, side="right"))
    if baseline < _FEWEST_BLOCKS or baseline >= blocks:
        # Too short, unless a baseline that ends in the middle would have been long enough.
        middle = panel.times_ms[len(panel.times_ms) // 2 :][:1]
        half = int(np.searchsorted(known, middle, side="right").max(initial=0))
        raise (ShortPanelError if half < _FEWEST_BLOCKS else PanelError)(
            f"panel {panel.name}: {baseline} of {blocks} blocks of {block_rows} rows in the "
            "baseline",
            remedy=f"give a baseline of at least {_FEWEST_BLOCKS} blocks and something after it",
        )
    rows = panel.complete
    with np.errstate(invalid="ignore"):
        x, y = panel.deviation(a), panel.deviation(b)
    x, y = np.where(rows[..., None], x, 0.0), np.where(rows[..., None], y, 0.0)
    early = rows[: edges[baseline]]
    if early.sum(axis=0).min() < _FEWEST_BLOCKS:
        raise PanelError(
            f"panel {panel.name}: a target has hardly a complete row in the baseline",
            remedy="leave the target out, or give a later baseline",
        )
    end = int(edges[baseline])
    noise = benchmark_noise_ratio(x[:end], y[:end], early)
    x, y, memory = _standardised(x, y, rows, end)
    count = np.stack([rows[lo:hi].sum(axis=0) for lo, hi in pairwise(edges)], axis=1)
    second = np.stack(
        [np.einsum("tki,tkj->kij", x[lo:hi], y[lo:hi]) for lo, hi in pairwise(edges)], axis=1
    )
    first_x, first_y = (np.add.reduceat(v[: edges[-1]], edges[:-1], axis=0) for v in (x, y))
    series = BlockSeries(
        edges=edges,
        start_ms=panel.times_ms[edges[:-1]],
        known_ms=known,
        baseline=baseline,
        second=0.5 * (second + np.swapaxes(second, -1, -2)),
        first_x=np.moveaxis(first_x, 1, 0),
        first_y=np.moveaxis(first_y, 1, 0),
        count=count.astype(np.float64),
        score=np.empty(blocks),
        memory=memory,
        noise_ratio=noise,
    )
    series.score[:] = _scores(series, half_life)
    return series


def _standardised(
    x: FloatArray, y: FloatArray, rows: BoolArray, end: int
) -> tuple[FloatArray, FloatArray, float]:
    """Deviations less the baseline's mean, in units of its spread; and how long they last."""
    mask = rows[:end, :, None]
    number = np.maximum(mask.sum(axis=0), 1)
    cx, cy = ((v[:end] * mask).sum(axis=0) / number for v in (x, y))
    x, y = ((v - c) * rows[..., None] for v, c in ((x, cx), (y, cy)))
    variance = (x[:end] * y[:end]).sum(axis=0) / number
    # A cross-moment may be negative where a model hardly deviates: the target's median stands in.
    typical = np.maximum(np.median(variance, axis=1, keepdims=True), 1e-12)
    sd = np.sqrt(np.where(variance > 0.1 * typical, variance, typical))
    x, y = x / sd, y / sd
    n = x.shape[2]
    others = [(v.sum(axis=2, keepdims=True) - v) / (n - 1) for v in (x, y)]
    product = 0.5 * (x * others[1] + y * others[0])[:end]
    memory = max(integrated_autocorrelation_time(product[:, k]) for k in range(x.shape[1]))
    return x, y, memory


def _scores(series: BlockSeries, half_life: float) -> FloatArray:
    """Mean pair correlation of each block, centred by the weighted mean of the blocks before."""
    keep = 0.5 ** (1.0 / half_life)
    targets, blocks, n = series.first_x.shape
    # The baseline's mean is zero by construction: it opens the recursion as one half-life of rows.
    size = np.full(targets, series.count[:, : series.baseline].mean() / (1.0 - keep))
    sum_x, sum_y = np.zeros((targets, n)), np.zeros((targets, n))
    out = np.full(blocks, np.nan)
    for b in range(blocks):
        moment = _about(
            series.second[:, b],
            series.first_x[:, b],
            series.first_y[:, b],
            series.count[:, b],
            sum_x / size[:, None],
            sum_y / size[:, None],
        ).sum(axis=0)
        own = float(np.trace(moment))
        if own > 0:
            out[b] = np.clip((moment.sum() - own) / ((n - 1) * own), -1.0, 1.0)
        size = keep * size + series.count[:, b]
        sum_x = keep * sum_x + series.first_x[:, b]
        sum_y = keep * sum_y + series.first_y[:, b]
    return out
