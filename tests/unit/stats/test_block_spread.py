"""Standard errors and intervals from blocks: brute force, and blocks of unequal weight."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.stats.block_spread import (
    block_error,
    effective_degrees,
    jackknife_error,
    weighted_interval,
)


def test_a_ratio_of_sums_is_left_out_block_by_block() -> None:
    rng = np.random.default_rng(3)
    below = rng.exponential(1.0, 12) ** 3
    above = 0.4 * below + rng.standard_normal(12)
    ratio = above.sum() / below.sum()
    without = np.array(
        [(above.sum() - a) / (below.sum() - b) for a, b in zip(above, below, strict=True)]
    )
    brute = np.sqrt(11 / 12 * np.sum((without - ratio) ** 2))
    leverage = below / below.sum()
    influence = (above - ratio * below) / below.sum()
    assert jackknife_error(influence, leverage) == pytest.approx(brute)
    assert jackknife_error(influence, leverage) > block_error(influence)


def test_equal_blocks_count_one_each_and_a_dominant_one_counts_alone() -> None:
    assert effective_degrees(np.full(20, 0.05)) == pytest.approx(19.0)
    assert effective_degrees(np.array([0.97, 0.01, 0.01, 0.01])) == 1.0


def test_intervals_hold_where_few_blocks_weigh_most() -> None:
    """A mean of blocks whose rows, and noise, are as unequal as those of a market in storms."""
    rng = np.random.default_rng(9)
    worlds, held, naive = 4000, 0, 0
    for _ in range(worlds):
        weight = rng.exponential(1.0, 20) ** 2 + 0.05
        share = weight / weight.sum()
        block = np.sqrt(weight) * rng.standard_normal(20) / weight.sum()
        estimate = block.sum()
        influence = block - share * estimate
        low, high = weighted_interval(np.asarray(estimate), influence, share)
        held += low <= 0.0 <= high
        naive += abs(estimate) <= 2.09 * block_error(influence)
    assert naive / worlds < 0.92
    assert 0.94 <= held / worlds <= 0.98
