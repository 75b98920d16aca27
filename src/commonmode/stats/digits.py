"""First digits and power tails of sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import fdtrc, stdtrit

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.stats.blocks import block_edges, block_sums

__all__ = ["BENFORD", "BenfordTest", "TailExponent", "benford_test", "first_digits", "hill_tail"]

BENFORD: Final = np.log10(1.0 + 1.0 / np.arange(1, 10))
"""Benford's law: share of each first digit 1 to 9."""


def first_digits(values: FloatArray) -> IntArray:
    """First significant digit of positive numbers, 1 to 9."""
    x = np.asarray(values, dtype=np.float64)
    # 1e-9: a decimal such as 0.003 lies a rounding error below its own first digit.
    mantissa = x * (1 + 1e-9) / 10.0 ** np.floor(np.log10(x * (1 + 1e-9)))
    return np.clip(np.floor(mantissa), 1, 9).astype(np.int64)


@dataclass(frozen=True, slots=True)
class BenfordTest:
    """First digits held against Benford's law.

    Attributes
    ----------
    deviation : float
        Mean absolute deviation of the nine shares.
    statistic : float
        Pearson's chi-squared over the design effect; an eighth of it is held against F.
    p_value : float
    design_effect : float
        Variance of digit counts between blocks over that of independent draws; at least 1.
    """

    deviation: float
    statistic: float
    p_value: float
    design_effect: float


def benford_test(values: FloatArray, *, blocks: int = 40) -> BenfordTest:
    """Pearson's test of Benford's law, corrected for sizes that come in runs.

    Consecutive trades repeat sizes, so the plain chi-squared rejects far too often; it is divided
    by the mean design effect of the nine counts (Rao & Scott 1984, Annals of Statistics 12(1), the
    first-order correction). The effect is known from the blocks only, so the law is F with as many
    degrees of freedom as there are blocks but one.

    Parameters
    ----------
    values : float64, shape (n,)
        Positive, in order of time.
    blocks : int
        Of time, over which counts are compared.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 10 * blocks or np.any(x <= 0):
        raise DataError(
            f"{len(x)} sizes for first digits in {blocks} blocks",
            remedy="give at least ten positive sizes per block",
        )
    hit = first_digits(x)[:, None] == np.arange(1, 10)
    counts = hit.sum(axis=0)
    n = len(x)
    chi2 = float((((counts - n * BENFORD) ** 2) / (n * BENFORD)).sum())
    shares = counts / n
    edges = block_edges(n, blocks)
    size = np.diff(edges)
    gap = np.add.reduceat(hit, edges[:-1], axis=0) - size[:, None] * shares
    spread = (gap**2 / size[:, None]).sum(axis=0) / (blocks - 1)
    effect = float((spread / np.maximum(shares * (1 - shares), 1e-12)).mean())
    effect = max(effect, 1.0)
    return BenfordTest(
        deviation=float(np.abs(shares - BENFORD).mean()),
        statistic=chi2 / effect,
        p_value=float(fdtrc(8.0, blocks - 1.0, chi2 / effect / 8.0)),
        design_effect=effect,
    )


@dataclass(frozen=True, slots=True)
class TailExponent:
    """Power tail ``P(X > x) ~ x^-exponent``.

    Attributes
    ----------
    exponent : float
    interval : (float, float)
        95 %, for sizes that come in runs; the choice of ``start`` is not in it.
    start : float
        Where the tail begins.
    count : int
        Values beyond.
    """

    exponent: float
    interval: tuple[float, float]
    start: float
    count: int


def hill_tail(
    values: FloatArray,
    *,
    smallest: int = 50,
    largest_share: float = 0.2,
    level: float = 0.95,
    blocks: int = 40,
) -> TailExponent:
    """Hill's estimate over the tail that a power law fits best.

    Hill (1975), Annals of Statistics 3(5); the start minimises the Kolmogorov-Smirnov distance
    (Clauset, Shalizi & Newman 2009, SIAM Review 51(4), section 3.3) among a hundred starts. The
    interval is Student's over blocks of time, since one order is filled in several equal parts.

    Parameters
    ----------
    values : float64, shape (n,)
        Positive, in order of time.
    smallest : int
        Fewest values beyond the start.
    largest_share : float
        Largest share of the sample that may count as its tail.
    level : float
        Of the interval.
    blocks : int
        Of time.
    """
    x = np.asarray(values, dtype=np.float64)
    ordered = np.sort(x)[::-1]
    most = int(len(x) * largest_share)
    if most <= smallest:
        raise DataError(
            f"{len(x)} sizes for a tail of at least {smallest}",
            remedy="give a longer sample",
        )
    best: tuple[float, int, float] | None = None
    for k in np.unique(np.geomspace(smallest, most, 100).astype(np.int64)).tolist():
        start = ordered[k]
        beyond = ordered[ordered > start]
        if len(beyond) < smallest:
            continue
        exponent = 1.0 / float(np.log(beyond / start).mean())
        model = (beyond / start) ** -exponent
        seen = np.arange(1, len(beyond) + 1) / len(beyond)
        distance = float(np.abs(seen - model).max())
        if best is None or distance < best[0]:
            best = (distance, len(beyond), start)
    if best is None:
        raise DataError(
            "too many equal sizes for a tail", remedy="the sizes are capped or come from a few lots"
        )
    _, count, start = best
    mean = float(np.log(ordered[:count] / start).mean())
    beyond = x > start
    left = np.where(beyond, np.log(np.maximum(x, start) / start) - mean, 0.0)
    sums = block_sums(left, block_edges(len(x), min(blocks, len(x))))
    error = float(np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2))) / (count * mean)
    exponent = 1.0 / mean
    reach = float(stdtrit(len(sums) - 1, 0.5 + level / 2.0)) * exponent * error
    return TailExponent(exponent, (exponent - reach, exponent + reach), float(start), count)
