"""Breaches, their tests and equal coverage on small paths."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.coverage import (
    ALL,
    coverage_cells,
    coverage_frontier,
    equal_coverage_scale,
    overlapping_rate,
    regimes_by_volatility,
)
from commonmode.stats.coverage import christoffersen


def test_cells_agree_with_the_tests_on_the_plain_series():
    rng = np.random.default_rng(4)
    losses = rng.normal(size=(400, 2))
    margin = np.full_like(losses, 1.5)
    cells = coverage_cells(margin, losses, level=0.05, portfolios=("BTC", "ETH"))
    assert [cell.portfolio for cell in cells] == ["BTC", "ETH"]
    for a, cell in enumerate(cells):
        plain = christoffersen(losses[:, a] > 1.5, 0.05)
        assert (cell.regime, cell.observations, cell.left_out) == (ALL, 400, 0)
        assert cell.breaches == plain.exceptions
        assert cell.kupiec_p == pytest.approx(float(plain.unconditional.p_value))
        assert cell.independence_p == pytest.approx(float(plain.independence.p_value))
        assert cell.conditional_p == pytest.approx(float(plain.conditional.p_value))
        assert cell.mean_excess == pytest.approx((losses[losses[:, a] > 1.5, a] - 1.5).mean())


def test_only_rows_whose_horizons_do_not_overlap_are_tested():
    losses = np.zeros((10, 1))
    losses[[3, 4, 5]] = 2.0
    margin = np.ones((10, 1))
    by_offset = [
        coverage_cells(margin, losses, level=0.1, horizon=3, offset=k)[0] for k in range(3)
    ]
    assert [cell.observations for cell in by_offset] == [4, 3, 3]
    assert [cell.breaches for cell in by_offset] == [1, 1, 1]
    assert by_offset[0].rate == 0.25
    with pytest.raises(ConfigurationError, match="offset"):
        coverage_cells(margin, losses, level=0.1, horizon=3, offset=3)


def test_regimes_and_holes_are_counted_apart():
    margin = np.array([[1.0], [1.0], [np.nan], [1.0], [1.0], [1.0]])
    losses = np.array([[2.0], [0.0], [5.0], [2.0], [0.0], [3.0]])
    regimes = ["a", "a", "a", "b", "b", "c"]
    cells = {
        cell.regime: cell for cell in coverage_cells(margin, losses, level=0.1, regimes=regimes)
    }
    assert (cells[ALL].observations, cells[ALL].breaches, cells[ALL].left_out) == (5, 3, 1)
    assert (cells["a"].observations, cells["a"].breaches, cells["a"].left_out) == (2, 1, 1)
    assert (cells["b"].observations, cells["b"].breaches) == (2, 1)
    assert cells["b"].mean_excess == 1.0
    # One row of regime c: no neighbours, so nothing to say on independence.
    assert np.isnan(cells["c"].independence_p)
    assert cells["c"].kupiec_p < 0.05
    empty = coverage_cells(np.full((2, 1), np.nan), np.zeros((2, 1)), level=0.1)[0]
    assert (empty.observations, empty.left_out) == (0, 2)
    assert np.isnan(empty.rate)


def test_scale_to_equal_coverage_by_hand():
    losses = np.array([[1.0], [2.0], [3.0], [4.0], [-5.0]])
    margin = np.full((5, 1), 2.0)
    # Ratios .5 1 1.5 2 -2.5: of five, one may breach at 20 %, two at 40 %, all but one at 80 %.
    assert equal_coverage_scale(margin, losses, 0.2)[0] == pytest.approx(1.5)
    assert equal_coverage_scale(margin, losses, 0.4)[0] == pytest.approx(1.0)
    assert equal_coverage_scale(margin, losses, 0.0)[0] == pytest.approx(2.0)
    assert equal_coverage_scale(margin, losses, 0.8)[0] == 0.0
    assert equal_coverage_scale(0.0 * margin, losses, 0.2)[0] == np.inf
    assert np.isnan(equal_coverage_scale(np.nan * margin, losses, 0.2)[0])
    with pytest.raises(DataError, match="negative requirement"):
        equal_coverage_scale(-margin, losses, 0.2)


def test_frontier_by_hand():
    losses = np.array([[1.0], [2.0], [3.0], [np.nan]])
    margin = np.array([[2.0], [2.0], [2.0], [9.0]])
    got = coverage_frontier(margin, losses, [0.0, 1.0, 1.5])
    np.testing.assert_allclose(got.cost[:, 0], [0.0, 2.0, 3.0])
    np.testing.assert_allclose(got.breach_rate[:, 0], [1.0, 1 / 3, 0.0])
    np.testing.assert_allclose(got.mean_shortfall[:, 0], [2.0, 1 / 3, 0.0])
    assert got.observations.tolist() == [3]
    with pytest.raises(ConfigurationError, match="scales"):
        coverage_frontier(margin, losses, [-1.0])


def test_overlapping_rate_widens_its_error():
    hits = np.zeros(300)
    for start in (20, 110, 230):
        hits[start : start + 6] = 1.0
    losses, margin = hits[:, None], np.full((300, 1), 0.5)
    rate, naive = overlapping_rate(margin, losses, horizon=1)
    same, honest = overlapping_rate(margin, losses, horizon=6)
    assert rate[0] == same[0] == pytest.approx(18 / 300)
    assert naive[0] == pytest.approx(np.sqrt(0.06 * 0.94 / 300))
    assert 1.8 < honest[0] / naive[0] < 2.3
    unknown, _ = overlapping_rate(np.nan * margin, losses, horizon=2)
    assert np.isnan(unknown[0])


def test_regimes_split_the_sample_in_equal_parts():
    vol = np.array([3.0, 1.0, 2.0, np.nan, 6.0, 5.0, 4.0])
    assert regimes_by_volatility(vol).tolist() == [
        "normal",
        "calm",
        "calm",
        "unknown",
        "stressed",
        "stressed",
        "normal",
    ]
    with pytest.raises(DataError, match="volatility of shape"):
        regimes_by_volatility(np.array([np.nan]))


def test_shapes_and_names_must_fit():
    with pytest.raises(DataError, match="both are"):
        coverage_cells(np.ones((2, 1)), np.ones((3, 1)), level=0.1)
    with pytest.raises(DataError, match="one name per column"):
        coverage_cells(np.ones((2, 1)), np.ones((2, 1)), level=0.1, portfolios=("a", "b"))
