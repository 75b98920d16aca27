"""Blocks of dependent series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from commonmode.stats.blocks import (
    block_dependence,
    block_edges,
    block_sums,
    choose_block_count,
    integrated_autocorrelation_time,
)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_an_autoregression(phi: float) -> None:
    noise = np.random.default_rng(3).standard_normal((200_000, 5))
    series = lfilter([1.0], [1.0, -phi], noise, axis=0)
    truth = (1 + phi) / (1 - phi)
    assert integrated_autocorrelation_time(series) == pytest.approx(truth, rel=0.1)


def test_autocorrelation_time_ignores_gaps_and_constants() -> None:
    series = np.random.default_rng(1).standard_normal((5000, 2))
    series[::7, 0] = np.nan
    assert 1.0 <= integrated_autocorrelation_time(series) < 1.3
    assert integrated_autocorrelation_time(np.ones(100)) == 1.0
    assert integrated_autocorrelation_time(np.arange(3.0)) == 1.0


def test_autocorrelation_time_never_exceeds_the_length() -> None:
    assert integrated_autocorrelation_time(np.arange(50.0)) <= 50.0


def exact_dependence(phi: float, rows: int, blocks: int) -> float:
    """Variance of the sum over ``rows`` of an autoregression over that of its blocks added up."""

    def variance(n: int) -> float:
        lag = np.arange(1, n)
        return float(n + 2 * np.sum((n - lag) * phi**lag))

    return variance(rows) / (blocks * variance(rows // blocks))


@pytest.mark.parametrize(("phi", "blocks"), [(0.5, 40), (0.9, 10), (0.9, 25), (0.98, 16)])
def test_neighbouring_blocks_share_what_an_autoregression_says(phi: float, blocks: int) -> None:
    noise = np.random.default_rng(7).standard_normal((20_000, 9))
    series = lfilter([1.0], [1.0, -phi], noise, axis=0)
    exact = exact_dependence(phi, 20_000, blocks)
    assert block_dependence(series, blocks) - 1.0 == pytest.approx(exact - 1.0, rel=0.3)


def test_flips_of_blocks_miss_just_what_neighbours_share() -> None:
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((1200, 4000))
    series = lfilter([1.0], [1.0, -0.95], noise, axis=0)[200:]
    sums = block_sums(series, block_edges(1000, 16))
    missed = (sums.sum(axis=0) ** 2).mean() / (sums**2).sum(axis=0).mean()
    assert missed > 1.2
    assert exact_dependence(0.95, 1008, 16) == pytest.approx(missed, rel=0.06)
    # Each series alone, of 25 autocorrelation times, knows most of it.
    assert 1.15 < block_dependence(series, 16) < missed


def test_blocks_of_white_noise_and_of_constants_share_nothing() -> None:
    white = np.random.default_rng(4).standard_normal((5000, 3))
    assert block_dependence(white, 40) == 1.0
    assert block_dependence(np.ones(100), 10) == 1.0
    assert block_dependence(np.arange(3.0), 3) == 1.0


@pytest.mark.parametrize(
    ("rows", "tau", "count"), [(5000, 1.0, 40), (5000, 20.0, 25), (5000, 100.0, 16), (9, 50.0, 9)]
)
def test_block_count_follows_memory_within_its_bounds(rows: int, tau: float, count: int) -> None:
    assert choose_block_count(rows, tau) == count


def test_edges_cover_all_rows_in_nearly_equal_blocks() -> None:
    edges = block_edges(1003, 40)
    lengths = np.diff(edges)
    assert edges[0] == 0
    assert edges[-1] == 1003
    assert lengths.max() - lengths.min() <= 1


def test_block_sums_add_up_to_the_total_of_the_rows_that_count() -> None:
    values = np.random.default_rng(2).standard_normal((101, 3, 2))
    mask = np.arange(101) % 3 > 0
    edges = block_edges(101, 7)
    np.testing.assert_allclose(block_sums(values, edges).sum(axis=0), values.sum(axis=0))
    np.testing.assert_allclose(
        block_sums(values, edges, mask=mask).sum(axis=0), values[mask].sum(axis=0)
    )
