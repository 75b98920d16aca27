"""Scenarios from small panels whose answers can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.margin.dynamic import (
    JointScenarios,
    NamedMove,
    Proxy,
    ReturnPanel,
    ScenarioKind,
    VolatilityFilter,
    complete_factors,
    filter_volatility,
    filtered_scenarios,
    historical_scenarios,
    hypothetical_scenarios,
    mixture,
    realised_vol_moves,
    sign_patterns,
    stressed_rows,
    stressed_scenarios,
)

HOUR = 3_600_000


def panel(returns: list[list[float]], factors: tuple[str, ...] = ("BTC", "ETH")) -> ReturnPanel:
    times = HOUR * np.arange(1, len(returns) + 1, dtype=np.int64)
    return ReturnPanel(factors, times, np.array(returns, dtype=np.float64), HOUR)


def test_prices_with_a_gap_leave_the_return_across_it_out():
    times = HOUR * np.array([0, 1, 2, 4, 5])
    prices = np.array([[100.0, 10.0], [110.0, 10.0], [99.0, 0.0], [99.0, 11.0], [100.0, 11.0]])
    made = ReturnPanel.from_prices(("BTC", "ETH"), times, prices, step_ms=HOUR)
    np.testing.assert_allclose(
        made.returns[:, 0], [math.log(1.1), math.log(0.9), np.nan, math.log(100 / 99)]
    )
    # A price of zero is a missing price: no return into it and none out of it.
    np.testing.assert_array_equal(made.returns[:, 1], [0.0, np.nan, np.nan, 0.0])
    assert made.known.tolist() == [3, 2]
    assert made.complete.tolist() == [True, False, False, True]


def test_historical_windows_overlap_and_incomplete_ones_are_counted():
    made = panel([[0.01, 0.0], [0.02, 0.1], [np.nan, 0.1], [0.03, 0.2], [0.04, -0.1]])
    two = historical_scenarios(made, bars=2)
    np.testing.assert_allclose(two.log_returns, [[0.03, 0.1], [0.07, 0.1]])
    assert two.left_out == 2
    assert two.weights.tolist() == [0.5, 0.5]
    assert two.labels.tolist() == ["1970-01-01T02:00Z", "1970-01-01T05:00Z"]
    assert two.horizon_minutes == 120.0
    assert set(two.kinds.tolist()) == {ScenarioKind.HISTORICAL}
    apart = historical_scenarios(made, bars=2, stride=2)
    np.testing.assert_allclose(apart.log_returns, [[0.03, 0.1]])


def test_no_complete_window_says_what_to_do():
    with pytest.raises(DataError, match="no window of 3 bars is complete") as error:
        historical_scenarios(panel([[0.1, np.nan], [0.1, 0.1], [np.nan, 0.1]]), bars=3)
    assert "proxy" in error.value.remedy


def test_short_factor_takes_its_proxy_or_fails_alone():
    made = panel(
        [[0.01, np.nan, 0.0], [-0.02, np.nan, 0.0], [0.03, 0.5, 0.0]], ("ETH", "LST", "PEG")
    )
    done = complete_factors(made, minimum=3, proxies=(Proxy("LST", "ETH", 0.9),))
    assert done.panel.factors == ("ETH", "LST")
    np.testing.assert_allclose(done.panel.returns[:, 1], [0.009, -0.018, 0.027])
    assert dict(done.panel.proxies) == {"LST": "0.9 x ETH"}
    assert dict(historical_scenarios(done.panel).proxies) == {"LST": "0.9 x ETH"}
    assert done.failures["PEG"].reason is FailureReason.MISSING_DATA
    without = complete_factors(made, minimum=3)
    assert without.panel.factors == ("ETH",)
    assert "1 returns" in without.failures["LST"].message
    # A stand-in that is itself too short helps nobody; a factor outside the panel may be named.
    chain = complete_factors(made, minimum=3, proxies=(Proxy("LST", "PEG"), Proxy("NEW", "ETH")))
    assert chain.panel.factors == ("ETH", "NEW")
    assert "PEG" in chain.failures["LST"].message


def test_stressed_window_is_the_most_volatile_in_units_of_each_factor():
    calm, wild = [0.01, 0.001], [0.02, 0.004]
    made = panel([calm, calm, calm, wild, [-0.02, 0.005], calm, calm])
    assert stressed_rows(made, 2) == slice(3, 5)
    stressed = stressed_scenarios(made, 2)
    np.testing.assert_allclose(stressed.log_returns, [wild, [-0.02, 0.005]])
    assert set(stressed.kinds.tolist()) == {ScenarioKind.STRESSED}
    scaled = panel((made.returns * np.array([1.0, 1e4])).tolist())
    assert stressed_rows(scaled, 2) == slice(3, 5)
    moves = np.arange(14.0).reshape(7, 2)
    cut = stressed_scenarios(made, 2, vol_moves=moves)
    np.testing.assert_allclose(cut.vol_moves, moves[3:5])


def test_stressed_window_refuses_what_it_cannot_judge():
    with pytest.raises(DataError, match="in a history of 2"):
        stressed_rows(panel([[0.1, 0.1], [0.1, 0.1]]), 3)
    with pytest.raises(DataError, match="moves"):
        stressed_rows(panel([[0.0, 0.0], [0.0, 0.0]]), 1)


def test_filtered_scenarios_by_hand():
    # lambda 0.5 and a burn-in that keeps everything from the fifth return on.
    settings = VolatilityFilter(decay=0.5)
    assert settings.burn_in == 5
    r = np.array([0.01, -0.02, 0.01, 0.03, -0.01, 0.02, 0.04])
    variance = [float(np.mean(r**2))]
    for value in r:
        variance.append(0.5 * variance[-1] + 0.5 * value**2)
    made = filtered_scenarios(panel([[x] for x in r], ("BTC",)), settings)
    assert isinstance(made, Success)
    now = math.sqrt(variance[-1])
    expected = [r[5] * now / math.sqrt(variance[5]), r[6] * now / math.sqrt(variance[6])]
    np.testing.assert_allclose(made.value.log_returns[:, 0], expected, rtol=1e-12)
    assert made.value.left_out == 5
    assert set(made.value.kinds.tolist()) == {ScenarioKind.FILTERED}


def test_a_factor_that_stood_still_does_not_blow_up_under_a_bound():
    r = np.concatenate([[0.01, -0.01] * 5, np.zeros(100), [0.01], [0.01, -0.01] * 5])
    quiet = panel([[x] for x in r], ("PEG",))
    free = filtered_scenarios(quiet, VolatilityFilter(decay=0.5))
    bound = filtered_scenarios(quiet, VolatilityFilter(decay=0.5, highest_scaling=3.0))
    assert isinstance(free, Success)
    assert isinstance(bound, Success)
    assert np.abs(free.value.log_returns).max() > 1e3
    assert np.abs(bound.value.log_returns).max() <= 0.03 + 1e-12


def test_filter_names_the_factor_it_cannot_follow():
    rng = np.random.default_rng(1)
    still = np.stack([rng.normal(0, 0.01, 300), np.zeros(300)], axis=1)
    failed = filtered_scenarios(panel(still.tolist(), ("BTC", "USDC")))
    assert isinstance(failed, Failure)
    assert "USDC" in failed.message


@pytest.mark.parametrize("model", ["garch", "gjr"])
def test_garch_filter_rescales_to_its_own_current_forecast(model):
    rng = np.random.default_rng(2)
    scale = np.where(np.arange(1500) < 1200, 0.01, 0.03)
    made = panel((rng.normal(size=(1500, 2)) * scale[:, None]).tolist())
    settings = VolatilityFilter(model=model)
    path = filter_volatility(made, settings, bars=2)
    moves = filtered_scenarios(made, settings, bars=2)
    assert isinstance(path, Success)
    assert isinstance(moves, Success)
    # Now is the volatile regime: far above the calm one, and every past move is read in its unit.
    assert np.all(path.value.current > 2.0 * 0.01 * math.sqrt(2.0))
    unit = moves.value.log_returns / path.value.current
    np.testing.assert_allclose(unit.std(axis=0), 1.0, rtol=0.1)
    then = path.value.forecast[settings.burn_in : -2]
    sums = made.returns[settings.burn_in : -1] + made.returns[settings.burn_in + 1 :]
    np.testing.assert_allclose(unit, sums / then, rtol=1e-12)


def test_hypothetical_moves_are_named_and_checked():
    made = hypothetical_scenarios(
        [
            NamedMove("crash", {"BTC": -0.35, "ETH": -0.45}, {"BTC": 0.5}),
            NamedMove("depeg", {"USDC": -0.12}, weight=3.0),
        ],
        ("BTC", "ETH", "USDC"),
    )
    np.testing.assert_allclose(made.price_factors, [[0.65, 0.55, 1.0], [1.0, 1.0, 0.88]])
    np.testing.assert_allclose(made.vol_factors, [[1.5, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert made.weights.tolist() == [0.25, 0.75]
    assert made.labels.tolist() == ["crash", "depeg"]
    with pytest.raises(ConfigurationError, match="shocks 'BCT'"):
        hypothetical_scenarios([NamedMove("typo", {"BCT": -0.1})], ("BTC",))
    with pytest.raises(ConfigurationError, match="by -1"):
        hypothetical_scenarios([NamedMove("gone", {"BTC": -1.0})], ("BTC",))
    with pytest.raises(ConfigurationError, match="share a label"):
        hypothetical_scenarios([NamedMove("a", {}), NamedMove("a", {})], ("BTC",))
    with pytest.raises(DataError, match="no hypothetical moves"):
        hypothetical_scenarios([], ("BTC",))


def test_realised_volatility_moves_compare_before_and_after_the_window():
    r = np.array([0.01, -0.02, 0.01, 0.03, -0.01, 0.02, 0.04])
    variance = [float(np.mean(r**2))]
    for value in r:
        variance.append(0.5 * variance[-1] + 0.5 * value**2)
    sigma = np.sqrt(variance)
    moves = realised_vol_moves(
        panel([[x] for x in r], ("BTC",)), bars=2, settings=VolatilityFilter(decay=0.5)
    )
    assert moves.shape == (6, 1)
    assert np.isnan(moves[:5]).all()
    assert moves[5, 0] == pytest.approx(sigma[7] / sigma[5] - 1.0)


def test_mixture_and_selection_keep_probabilities():
    a = hypothetical_scenarios([NamedMove("a", {"BTC": 0.1})], ("BTC",), horizon_minutes=60)
    b = JointScenarios.of(
        ("BTC",),
        [[0.0], [0.1]],
        kind=ScenarioKind.HISTORICAL,
        labels=["x", "y"],
        horizon_minutes=60.0,
        left_out=4,
    )
    both = mixture([a, b], [1.0, 3.0])
    assert both.weights.tolist() == [0.25, 0.375, 0.375]
    assert both.left_out == 4
    assert both.kinds.tolist() == [5, 0, 0]
    only = both.select(both.kinds == ScenarioKind.HISTORICAL)
    assert only.weights.tolist() == [0.5, 0.5]
    assert only.effective_count == pytest.approx(2.0)
    with pytest.raises(DataError, match="cannot be mixed"):
        mixture([a, b.over(30.0)], [1, 1])
    with pytest.raises(DataError, match="cannot be mixed"):
        mixture(
            [a, hypothetical_scenarios([NamedMove("e", {})], ("ETH",), horizon_minutes=60)], [1, 1]
        )


def test_scenarios_refuse_bad_input():
    def of(**changes: object) -> JointScenarios:
        given: dict[str, object] = {
            "factors": ("BTC",),
            "log_returns": [[0.1]],
            "kind": ScenarioKind.HISTORICAL,
            "labels": ["x"],
            "horizon_minutes": 60.0,
        }
        return JointScenarios.of(**(given | changes))  # type: ignore[arg-type]

    good = of()
    with pytest.raises(ValueError, match="read-only"):
        good.log_returns[0, 0] = 1.0
    assert good.column("BTC") == 0
    with pytest.raises(DataError, match="no risk factor 'ETH'"):
        good.column("ETH")
    for changes, message in (
        ({"log_returns": [[-np.inf]]}, "not finite"),
        ({"vol_moves": [[-1.0]]}, "not above -1"),
        ({"vol_moves": [[np.nan]]}, "not above -1"),
        ({"weights": [-1.0]}, "weights"),
        ({"weights": [0.0]}, "weights"),
        ({"factors": ("BTC", "ETH")}, "shapes"),
        ({"factors": ("BTC", "BTC"), "log_returns": [[0.1, 0.1]]}, "repeat"),
        ({"labels": ["x", "y"]}, "labels"),
    ):
        with pytest.raises(DataError, match=message):
            of(**changes)
    with pytest.raises(ConfigurationError, match="cannot stretch"):
        of(horizon_minutes=0.0).over(10.0)


def test_sign_patterns_are_all_of_them_up_to_a_common_sign():
    assert sign_patterns(1).tolist() == [[1]]
    assert sign_patterns(3).tolist() == [[1, 1, 1], [1, 1, -1], [1, -1, 1], [1, -1, -1]]
    with pytest.raises(ConfigurationError, match="sign patterns"):
        sign_patterns(11)
