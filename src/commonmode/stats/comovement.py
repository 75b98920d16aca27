"""Co-movement of deviations measured against two benchmarks from disjoint data.

With ``x = f - m^a`` and ``y = f - m^b`` and independent benchmark noises, the cross-moment
``E[x_i y_j]`` is free of benchmark noise, while ``E[x_i x_j]`` holds its variance in every pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.random import as_generator

__all__ = [
    "BlockCorrelation",
    "block_correlation",
    "contrast_weights",
    "cross_moment_blocks",
    "debiased_excess",
    "effective_number",
    "excess_interval",
    "pair_block_sums",
    "pair_covariance_blocks",
    "pair_index",
    "pool_targets",
]


def pair_index(models: int) -> tuple[IntArray, IntArray]:
    """Row and column numbers of the pairs i < j, in the order used for every pair vector."""
    rows, columns = np.triu_indices(models, 1)
    return rows.astype(np.int64), columns.astype(np.int64)


def cross_moment_blocks(
    x: FloatArray, y: FloatArray, edges: IntArray, *, mask: BoolArray | None = None
) -> FloatArray:
    """Symmetrised cross-moments per block; they add up to the panel's covariance.

    Parameters
    ----------
    x, y : float64, shape (T, N)
        Deviations from benchmark a and from benchmark b; centred here over the valid rows.
    edges : int64, shape (B + 1,)
    mask : bool, shape (T,), optional
        Rows that count.

    Returns
    -------
    float64, shape (B, N, N)
        ``(1/T) sum_{t in b} (x_i y_j + x_j y_i) / 2``.
    """
    valid = np.ones(len(x), dtype=bool) if mask is None else mask
    count = int(valid.sum())
    xc = np.where(valid[:, None], x - x[valid].mean(axis=0), 0.0)
    yc = np.where(valid[:, None], y - y[valid].mean(axis=0), 0.0)
    blocks = np.stack([xc[lo:hi].T @ yc[lo:hi] for lo, hi in pairwise(edges)])
    return np.asarray((blocks + blocks.transpose(0, 2, 1)) / (2.0 * count))


@dataclass(frozen=True, slots=True, eq=False)
class BlockCorrelation:
    """A correlation matrix as a sum over blocks.

    Attributes
    ----------
    correlation : float64, shape (N, N)
    pairs : float64, shape (P,)
        Its entries i < j, within [-1, 1].
    contributions : float64, shape (B, P)
        Per block; they add up to ``pairs`` before these are held within [-1, 1]. Under no
        co-movement each has mean zero.
    influence : float64, shape (B, P)
        Contributions less the part that estimating the variances adds (delta method).
    leverage : float64, shape (B, P)
        Share of the pair's variances that each block holds; adds up to 1.
    """

    correlation: FloatArray
    pairs: FloatArray
    contributions: FloatArray
    influence: FloatArray
    leverage: FloatArray


def pair_covariance_blocks(moments: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Block contributions to the pooled covariance of every pair, and every model's deviation.

    Parameters
    ----------
    moments : float64, shape (K, B, N, N)

    Returns
    -------
    contributions : float64, shape (B, P)
    sd : float64, shape (N,)
    """
    pooled = pool_targets(moments)
    rows, columns = pair_index(pooled.shape[-1])
    variance = np.einsum("bii->i", pooled)
    return pooled[:, rows, columns], np.sqrt(np.clip(variance, 0.0, None))


def pool_targets(moments: FloatArray) -> FloatArray:
    """Moments added up over targets, each in units of its median model's variance.

    Parameters
    ----------
    moments : float64, shape (K, B, N, N)
        A target whose median variance is not positive has no weight, unless all are so.

    Returns
    -------
    float64, shape (B, N, N)
    """
    typical = np.median(np.einsum("kbii->ki", moments), axis=1)
    weight = np.where(typical > 0, 1.0 / np.where(typical > 0, typical, 1.0), 0.0)
    if not weight.any():
        weight = np.ones(len(moments))
    return np.asarray(np.einsum("k,kbij->bij", weight, moments))


def block_correlation(moments: FloatArray) -> BlockCorrelation:
    """Correlations over one or several targets from their block moments.

    Correlations are taken of the moments added up over targets (:func:`pool_targets`): a ratio of
    sums, since a mean of ratios would follow the targets in which some model's variance is lost in
    the benchmarks' noise.

    Parameters
    ----------
    moments : float64, shape (K, B, N, N) or (B, N, N)
        A model whose pooled variance is not positive (possible with cross-moments when it hardly
        deviates) has correlation zero with everybody.
    """
    pooled = pool_targets(moments[None] if moments.ndim == 3 else moments)
    variance = np.einsum("bii->i", pooled)
    scale = np.where(variance > 0, 1.0 / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
    scaled = pooled * scale[:, None] * scale[None, :]
    rows, columns = pair_index(pooled.shape[-1])
    contributions = scaled[:, rows, columns]
    ratio = contributions.sum(axis=0)
    diagonal = np.einsum("bii->bi", scaled)
    leverage = 0.5 * (diagonal[:, rows] + diagonal[:, columns])
    influence = contributions - ratio * leverage
    # A cross-moment may put a small variance too low and a correlation beyond one.
    pairs = np.clip(ratio, -1.0, 1.0)
    correlation = np.eye(pooled.shape[-1])
    correlation[rows, columns] = pairs
    correlation[columns, rows] = pairs
    return BlockCorrelation(
        correlation=correlation,
        pairs=pairs,
        contributions=contributions,
        influence=influence,
        leverage=leverage,
    )


def debiased_excess(block: BlockCorrelation) -> float:
    """``sum_{i<j} r_ij^2`` less its expected sampling error, from the spread between blocks.

    The classical correction ``n^2/((n-1)(n+2)) (tr C^2 - N^2/n)`` assumes independent rows and a
    known benchmark; this one holds for dependent rows and noisy benchmarks. Never negative.
    """
    b = block.influence.shape[0]
    spread = block.influence - block.influence.mean(axis=0)
    variance = (spread**2).sum(axis=0) * b / max(b - 1, 1)
    return float(max((block.pairs**2 - variance).sum(), 0.0))


def effective_number(excess: FloatArray | float, models: int) -> FloatArray:
    """Participation ratio ``N^2 / tr(C^2) = N^2 / (N + 2 sum_{i<j} r_ij^2)``, in [1, N]."""
    trace = models + 2.0 * np.clip(np.asarray(excess, dtype=np.float64), 0.0, None)
    return np.asarray(np.clip(models**2 / trace, 1.0, models))


def excess_interval(
    moments: FloatArray,
    *,
    level: float = 0.95,
    draws: int = 999,
    rng: int | np.random.Generator = 0,
) -> tuple[float, float]:
    """Bootstrap interval of ``sum_{i<j} r_ij^2``, debiased, resampling whole blocks.

    A resampled sum of squares carries the sampling error twice (once from the data, once from the
    resampling), so twice the variance is taken off before the percentiles are read. Without that
    the interval covers 0-70 % of a nominal 95 % (see docs/evidence.md). Targets keep the weights
    that they have in the whole panel (:func:`pool_targets`).

    Parameters
    ----------
    moments : float64, shape (K, B, N, N) or (B, N, N)
    level : float
    draws : int
    rng : int or Generator
    """
    pooled = pool_targets(moments[None] if moments.ndim == 3 else moments)
    blocks, n = len(pooled), pooled.shape[-1]
    rows, columns = pair_index(n)
    pair = pooled[:, rows, columns]
    variance = np.ascontiguousarray(np.einsum("bii->bi", pooled))
    one, two = variance[:, rows], variance[:, columns]
    products = (pair**2, pair * one, pair * two, one**2, one * two, two**2)
    generator = as_generator(rng, "excess-interval", draws)
    drawn = np.stack([generator.integers(0, blocks, blocks) for _ in range(draws)])
    times = np.stack([np.bincount(row, minlength=blocks) for row in drawn]).astype(np.float64)
    values = np.empty(draws)
    step = max(1, _CELLS // len(rows))
    for low in range(0, draws, step):
        values[low : low + step] = _debiased_draws(
            times[low : low + step], pair, variance, products, rows, columns
        )
    low_value, high_value = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(max(low_value, 0.0)), float(max(high_value, 0.0))


# Cells of resampled pair vectors held at once (16 MiB each).
_CELLS = 2_000_000


def _debiased_draws(
    times: FloatArray,
    pair: FloatArray,
    variance: FloatArray,
    products: tuple[FloatArray, ...],
    rows: IntArray,
    columns: IntArray,
) -> FloatArray:
    """``sum r^2 - 2 variance`` of every resample, shape (R,).

    A resample counts block b ``times[b]`` times, so its correlations and the spread of their
    influence are sums over blocks with those counts: matrix products, whatever the draws.
    """
    blocks = times.shape[1]
    total = times @ variance
    scale = np.where(total > 0, 1.0 / np.sqrt(np.where(total > 0, total, 1.0)), 0.0)
    si, sj = scale[:, rows], scale[:, columns]
    both = si * sj
    ratio = (times @ pair) * both
    cc, ci, cj, ii, ij, jj = (times @ product for product in products)
    squares = (
        both**2 * cc
        - ratio * both * (si**2 * ci + sj**2 * cj)
        + 0.25 * ratio**2 * (si**4 * ii + 2.0 * both**2 * ij + sj**4 * jj)
    )
    # The influence adds up to zero over the blocks of a resample, so its squares are its spread.
    spread = np.maximum(squares, 0.0) * blocks / max(blocks - 1, 1)
    return np.asarray((np.clip(ratio, -1.0, 1.0) ** 2 - 2.0 * spread).sum(axis=1))


def contrast_weights(
    groups: BoolArray, given: BoolArray | None = None, *, strict: bool = False
) -> FloatArray:
    """Weights that turn a pair vector into one co-movement contrast per group of models.

    For each group the contrast is the coefficient of "both in the group" in a regression of the
    pair vector on one effect per model and the group's indicator: what the group's pairs have
    beyond what their members have with everybody. Benchmark noise that is common to all pairs, or
    to all pairs of one model, cancels. Where the indicator is a combination of model effects (the
    group is everybody, or everybody but one) the contrast is the group's mean instead. With four
    models or fewer the effects would leave nothing to compare: one mean of all pairs stands in
    their place.

    Parameters
    ----------
    groups : bool, shape (M, N)
        At least two members each.
    given : bool, shape (G, N), optional
        Groups already accounted for: their indicators join the regression, and a contrast is what
        is left beyond them (zero weights where nothing can be).
    strict : bool
        One effect per model however few there are, and zero weights where that leaves nothing.

    Returns
    -------
    float64, shape (M, P)
    """
    n = groups.shape[1]
    rows, columns = pair_index(n)
    number = len(rows)
    effects = np.zeros((number, n))
    effects[np.arange(number), rows] = 1.0
    effects[np.arange(number), columns] = 1.0
    nuisance = effects if strict or n >= 5 else np.ones((number, 1))
    if given is not None:
        nuisance = np.column_stack([nuisance, (given[:, rows] & given[:, columns]).T])
    left, size, _ = np.linalg.svd(nuisance, full_matrices=False)
    basis = left[:, size > 1e-9 * size[0]]
    weights = np.empty((len(groups), number))
    for g, members in enumerate(groups):
        inside = (members[rows] & members[columns]).astype(np.float64)
        rest = inside - basis @ (basis.T @ inside)
        norm = float(rest @ rest)
        if norm > 1e-9 * inside.sum():
            weights[g] = rest / norm
        else:
            weights[g] = 0.0 if strict or given is not None else inside / inside.sum()
    return weights


def pair_block_sums(residual_x: FloatArray, residual_y: FloatArray, edges: IntArray) -> FloatArray:
    """Block sums of symmetrised products of all pairs, float64, shape (B, P)."""
    rows, columns = pair_index(residual_x.shape[1])
    grams = np.stack(
        [residual_x[low:high].T @ residual_y[low:high] for low, high in pairwise(edges)]
    )
    return np.asarray(0.5 * (grams[:, rows, columns] + grams[:, columns, rows]))
