"""Expected shortfall, horizons and mixes on cases that can be done on paper."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.dynamic import (
    MarginMix,
    at_horizon,
    exposed_minutes,
    horizon_scale,
    liquidation_minutes,
    shortfall_error,
    tail_measure,
    undiversified,
    worst_loss,
)


def equal(n: int) -> np.ndarray:
    return np.full(n, 1.0 / n)


def test_ten_scenarios_by_hand():
    pnl = -np.arange(1.0, 11.0)[None, :]
    at80 = tail_measure(pnl, equal(10), 0.8)
    # The worst fifth is {10, 9}.
    assert at80.value_at_risk[0] == 9.0
    assert at80.shortfall[0] == pytest.approx(9.5)
    at75 = tail_measure(pnl, equal(10), 0.75)
    # A quarter is {10, 9} and half of {8}.
    assert at75.value_at_risk[0] == 8.0
    assert at75.shortfall[0] == pytest.approx((10 + 9 + 0.5 * 8) / 2.5)
    np.testing.assert_allclose(at75.tail_weights[0, -3:], [0.2, 0.4, 0.4])
    assert tail_measure(pnl, equal(10), 0.99).shortfall[0] == pytest.approx(10.0)


def test_weights_by_hand():
    pnl = np.array([[-10.0, -100.0, 5.0, -20.0]])
    weights = np.array([0.5, 0.01, 0.44, 0.05])
    got = tail_measure(pnl, weights, 0.95)
    # 0.01 at 100 and 0.04 of the 0.05 at 20.
    assert got.value_at_risk[0] == 20.0
    assert got.shortfall[0] == pytest.approx((0.01 * 100 + 0.04 * 20) / 0.05)
    no_weight = tail_measure(np.array([[-1.0, -50.0]]), np.array([1.0, 0.0]), 0.9)
    assert no_weight.value_at_risk[0] == 1.0
    assert no_weight.shortfall[0] == 1.0


def test_tied_scenarios_share_the_tail_whatever_their_order():
    legs = np.array([[-4.0, 0.0, -2.0, 1.0], [0.0, -4.0, -2.0, 1.0]])
    got = tail_measure(legs.sum(axis=0)[None, :], equal(4), 0.75)
    np.testing.assert_allclose(got.tail_weights[0], [1 / 3, 1 / 3, 1 / 3, 0.0])
    np.testing.assert_allclose(got.contributions(legs, 0), [2.0, 2.0])


def test_contributions_by_hand():
    legs = np.array([[-8.0, 3.0, 1.0, 0.0], [2.0, -5.0, 1.0, 0.0]])
    got = tail_measure(legs.sum(axis=0)[None, :], equal(4), 0.5)
    # The worst half is scenario 0 (6) and scenario 1 (2).
    assert got.shortfall[0] == pytest.approx(4.0)
    np.testing.assert_allclose(got.contributions(legs, np.zeros(2, dtype=np.int64)), [2.5, 1.5])


def test_one_bad_account_harms_no_other():
    pnl = np.array([[-1.0, -2.0, 0.0], [np.nan, 1.0, 1.0], [-3.0, 0.0, np.inf]])
    good = tail_measure(pnl[:1], equal(3), 0.9)
    got = tail_measure(pnl, equal(3), 0.9)
    assert got.shortfall[0] == good.shortfall[0] == 2.0
    assert np.isnan(got.shortfall[1:]).all()
    assert np.isnan(got.value_at_risk[1:]).all()
    assert np.isnan(got.tail_weights[1:]).all()
    worst = worst_loss(pnl)
    np.testing.assert_array_equal(worst.loss, [2.0, np.nan, np.nan])
    assert worst.scenario.tolist() == [1, -1, -1]


def test_undiversified_adds_what_each_factor_loses_alone():
    by_factor = np.array([[[-10.0, 9.0], [9.0, -10.0], [0.0, 0.0]]])
    assert tail_measure(by_factor.sum(axis=2), equal(3), 0.9).shortfall[0] == pytest.approx(1.0)
    np.testing.assert_allclose(undiversified(by_factor, equal(3), 0.9), [[10.0, 10.0]])


def test_bad_levels_weights_and_shapes_are_refused():
    with pytest.raises(ConfigurationError, match="tail level"):
        tail_measure(np.zeros((1, 2)), equal(2), 1.0)
    with pytest.raises(DataError, match="weights sum to"):
        tail_measure(np.zeros((1, 2)), np.array([0.5, 0.4]), 0.9)
    with pytest.raises(DataError, match="P&L of shape"):
        tail_measure(np.zeros(2), equal(2), 0.9)
    with pytest.raises(DataError, match="by factor"):
        undiversified(np.zeros((1, 2)), equal(2), 0.9)
    with pytest.raises(DataError, match="P&L of shape"):
        worst_loss(np.zeros((1, 0)))


def test_liquidation_time_by_hand():
    minutes = liquidation_minutes(
        np.array([-50.0, 50.0, 0.0, 1.0, np.nan]),
        np.array([10.0, 20.0, 0.0, np.nan, 1.0]),
        participation=0.1,
    )
    np.testing.assert_allclose(minutes, [50.0, 25.0, 0.0, np.inf, np.nan])
    np.testing.assert_allclose(exposed_minutes(np.array([30.0]), reaction=5.0), [15.0])
    np.testing.assert_allclose(
        exposed_minutes(np.array([30.0]), reaction=5.0, schedule="block"), [35.0]
    )
    np.testing.assert_allclose(horizon_scale(np.array([10.0, 60.0, 240.0]), 60.0), [1.0, 1.0, 2.0])
    np.testing.assert_allclose(horizon_scale(np.array([240.0]), 60.0, exponent=1.0), [4.0])


def test_even_liquidation_counts_a_third():
    # P&L of a position sold evenly in n pieces: sum of (1 - k/n) r_k, variance (n-1)(2n-1)/6n.
    n = 3000
    exposure = 1.0 - np.arange(1, n + 1) / n
    assert exposed_minutes(np.array([float(n)]))[0] == pytest.approx(
        float(np.sum(exposure**2)), rel=1e-3
    )


def test_shortfall_at_an_accounts_own_horizon():
    es = np.array([[10.0, 30.0], [10.0, 30.0], [10.0, 30.0], [10.0, 30.0], [-5.0, -5.0]])
    minutes = np.array([1.0, 4.0, 9.0, 64.0, np.inf])
    got = at_horizon(es, np.array([4.0, 16.0]), minutes)
    # Square roots 2 and 4 at the knots; 9 minutes is half-way; 64 is twice the longest.
    np.testing.assert_allclose(got, [10.0, 10.0, 20.0, 60.0, -5.0])
    assert at_horizon(es[:1], np.array([4.0, 16.0]), np.array([np.inf]))[0] == np.inf
    np.testing.assert_allclose(at_horizon(es[:1, :1], np.array([4.0]), np.array([36.0])), [30.0])


def test_horizon_settings_are_checked():
    with pytest.raises(ConfigurationError, match="participation"):
        liquidation_minutes(np.ones(1), np.ones(1), participation=0.0)
    with pytest.raises(DataError, match="negative market volume"):
        liquidation_minutes(np.ones(1), -np.ones(1), participation=0.1)
    with pytest.raises(ConfigurationError, match="schedule"):
        exposed_minutes(np.ones(1), reaction=-1.0)
    with pytest.raises(ConfigurationError, match="exponent"):
        horizon_scale(np.ones(1), 60.0, exponent=2.0)
    with pytest.raises(ConfigurationError, match="increasing"):
        at_horizon(np.ones((1, 2)), np.array([2.0, 1.0]), np.ones(1))
    with pytest.raises(DataError, match="horizons"):
        at_horizon(np.ones((1, 2)), np.array([2.0]), np.ones(1))


def test_mix_by_hand():
    n, s = np.array([100.0, 100.0]), np.array([200.0, 50.0])
    weighted = MarginMix(stressed_weight=0.25)
    np.testing.assert_allclose(weighted.requirement(n, s), [125.0, 87.5])
    np.testing.assert_allclose(MarginMix(rule="max").requirement(n, s), [200.0, 100.0])
    broken = np.array([325.0, 10.0])
    half = MarginMix(stressed_weight=0.25, correlation_stress=0.5)
    # 125 + 0.5 (325 - 125); a broken correlation that helps does not count.
    np.testing.assert_allclose(half.requirement(n, s, broken), [225.0, 87.5])
    hypo = MarginMix(stressed_weight=0.25, hypothetical_share=0.5)
    h = np.array([600.0, 100.0])
    np.testing.assert_allclose(hypo.requirement(n, s, None, h), [300.0, 87.5])
    np.testing.assert_allclose(
        hypo.coefficients(n, s, None, h), [[0, 0, 0, 0.5], [0.75, 0.25, 0, 0]]
    )
    assert weighted.requirement(np.array([-5.0]), np.array([-1.0])).tolist() == [0.0]
    unknown = half.requirement(n, s, np.array([np.nan, 10.0]))
    assert np.isnan(unknown[0])
    assert unknown[1] == 87.5
    assert weighted.requirement(n, np.array([np.inf, 50.0])).tolist() == [np.inf, 87.5]


def test_mix_wants_the_components_it_uses():
    with pytest.raises(ConfigurationError, match="not given"):
        MarginMix(correlation_stress=0.5).requirement(np.ones(1), np.ones(1))
    with pytest.raises(ConfigurationError, match="not in"):
        MarginMix(stressed_weight=1.5)
    with pytest.raises(ConfigurationError, match="mixing rule"):
        MarginMix(rule="sum")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="hypothetical share"):
        MarginMix(hypothetical_share=-0.5)


def test_error_of_the_shortfall_shrinks_with_the_square_root_of_the_sample():
    rng = np.random.default_rng(3)
    few, many = rng.normal(size=(1, 2_000)), rng.normal(size=(1, 200_000))
    ratio = shortfall_error(few, equal(2_000), 0.9) / shortfall_error(many, equal(200_000), 0.9)
    assert ratio[0] == pytest.approx(10.0, rel=0.15)
    doubled = shortfall_error(few, equal(2_000), 0.9, overlap=4.0)
    assert doubled[0] == pytest.approx(2.0 * shortfall_error(few, equal(2_000), 0.9)[0])
