"""Blocks of dependent series."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from commonmode.stats.blocks import (
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
