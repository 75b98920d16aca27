"""Floor, buffer, speed limit and the gap to other models' marks in our own method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_assemble_accounts import ROWS
from test_dynamic_method import BTC, DEEP, ETH, MIXED, SETS, account, margined, moves

from commonmode.core.errors import DataError
from commonmode.margin.dynamic import JointScenarios, MarginMix, ScenarioKind
from commonmode.margin.dynamic.liquidity import HedgeMarket, Liquidity
from commonmode.margin.dynamic.method import Dynamic
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.dynamic.sets import ScenarioSets
from commonmode.margin.dynamic.settings import shipped_dynamic
from commonmode.margin.gate import parameter_gate
from commonmode.margin.gate_probes import reference_market

PLAIN = DynamicParameters(
    initial_level=0.975, maintenance_level=0.975, mix=MarginMix(), reaction_minutes=0.0
)
CALM = moves(1, 0.01, ScenarioKind.FILTERED)
STRESS = moves(2, 0.05, ScenarioKind.STRESSED)
LONG = moves(3, 0.03, ScenarioKind.HISTORICAL)
WILD = moves(1, 0.04, ScenarioKind.FILTERED)
NOW = ScenarioSets(CALM, STRESS, long=LONG)


HELD = (*MIXED[:3], MIXED[4])  # an everlasting option takes long and tells nothing more
BOTH, METHOD = margined(*HELD)
MARKET = replace(BOTH.market, alternatives={})


def losses(sets: ScenarioSets, parameters: DynamicParameters) -> np.ndarray:
    own = replace(METHOD, scenarios=sets, parameters=parameters)
    table = own.margin(BOTH.accounts, MARKET)
    assert not table.failures
    for row in range(len(HELD)):
        legs = own.legs(BOTH.accounts, MARKET, row)
        np.testing.assert_allclose(legs.initial.sum(), table.initial[row], rtol=1e-9)
        np.testing.assert_allclose(legs.maintenance.sum(), table.maintenance[row], rtol=1e-9)
        assert legs.scenario
    return table.components["loss"]


def alone(one: JointScenarios) -> np.ndarray:
    """The shortfall of every account in one set."""
    return losses(ScenarioSets(one, one), PLAIN)


def test_a_floor_holds_the_loss_at_its_share_of_the_long_history() -> None:
    mixed = 0.75 * alone(CALM) + 0.25 * alone(STRESS)
    for share in (0.0, 0.5, 1.0, 2.0):
        found = losses(NOW, replace(PLAIN, floor=share))
        np.testing.assert_allclose(found, np.maximum(mixed, share * alone(LONG)), rtol=1e-9)


def test_the_buffer_is_exhausted_at_the_stressed_loss() -> None:
    mixed, stressed = 0.75 * alone(CALM) + 0.25 * alone(STRESS), alone(STRESS)
    for buffer in (0.25, 10.0):
        found = losses(NOW, replace(PLAIN, buffer=buffer))
        wanted = np.maximum(mixed, np.minimum((1.0 + buffer) * mixed, stressed))
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert (found > mixed).all()


def test_a_speed_limit_is_replayed_over_the_days_before() -> None:
    """Two calm days, then a wild one: the loss may rise by the limit from what it was."""
    day = ScenarioSets(CALM, STRESS)
    sets = ScenarioSets(WILD, STRESS, before=(day, day))
    was = 0.75 * alone(CALM) + 0.25 * alone(STRESS)
    asked = 0.75 * alone(WILD) + 0.25 * alone(STRESS)
    assert (asked > 1.2 * was).all()
    np.testing.assert_allclose(losses(sets, PLAIN), asked, rtol=1e-9)
    limited = losses(sets, replace(PLAIN, daily_limit=1.2))
    np.testing.assert_allclose(limited, 1.2 * was, rtol=1e-9)
    # Two wild days: the limit of the first carries into the second.
    two = ScenarioSets(WILD, STRESS, before=(day, ScenarioSets(WILD, STRESS)))
    limited = losses(two, replace(PLAIN, daily_limit=1.2))
    np.testing.assert_allclose(limited, np.minimum(asked, 1.44 * was), rtol=1e-9)


def test_the_multiplier_scales_the_controlled_loss_but_no_hypothetical_move() -> None:
    half = replace(PLAIN, floor=1.0, multiplier=0.5)
    np.testing.assert_allclose(
        losses(NOW, half), 0.5 * losses(NOW, replace(half, multiplier=1.0)), rtol=1e-12
    )
    covered = MarginMix(hypothetical_share=50.0)
    sets = replace(NOW, hypothetical=SETS.hypothetical)
    np.testing.assert_allclose(
        losses(sets, replace(PLAIN, mix=covered, multiplier=0.5))[:2],
        losses(sets, replace(PLAIN, mix=covered))[:2],
        rtol=1e-12,
    )


def test_a_control_without_its_history_is_refused() -> None:
    _, method = margined(*MIXED)
    for parameters in (replace(PLAIN, floor=0.5), replace(PLAIN, daily_limit=1.5)):
        with pytest.raises(DataError, match="without"):
            Dynamic(SETS, method.liquidity, parameters)


def test_the_horizon_does_not_scale_what_a_model_finds_missing_today() -> None:
    """In a world that stands still the disagreement is the gap to the marks, however slow it is."""
    zero = np.zeros((2, 3))
    still = JointScenarios.of(
        SETS.normal.factors,
        zero,
        kind=ScenarioKind.FILTERED,
        labels=["a", "b"],
        horizon_minutes=60.0,
    )
    both, method = margined(account("short", (ROWS[3][0], -10.0)))
    quiet = replace(
        method,
        scenarios=ScenarioSets(still, still),
        parameters=replace(PLAIN, disagreement_quantile=1.0),
    )
    slow = HedgeMarket(half_spread=1e-4, usd_per_day=1e6, daily_vol=0.03)
    charges = [
        replace(quiet, liquidity=replace(method.liquidity, hedge=dict.fromkeys((BTC, ETH), deep)))
        .margin(both.accounts, both.market)
        .components["disagreement"][0]
        for deep in (DEEP, slow)
    ]
    assert charges[0] > 0.0
    assert charges[0] == charges[1]


def test_interpolated_profits_are_close_and_their_legs_exact() -> None:
    both, method = margined(*MIXED)
    exact = replace(method, scenarios=replace(NOW, hypothetical=SETS.hypothetical))
    exact = replace(exact, parameters=replace(exact.parameters, floor=1.0))
    quick = replace(exact, quick=True)
    one, other = (m.margin(both.accounts, both.market) for m in (exact, quick))
    np.testing.assert_allclose(other.components["loss"], one.components["loss"], rtol=5e-3)
    np.testing.assert_array_equal(other.equity, one.equity)
    # An account of one coin alone in a market of two.
    first = quick.margin(both.accounts.select(np.array([0])), both.market)
    np.testing.assert_allclose(first.initial, other.initial[:1], rtol=1e-3)
    legs = [m.legs(both.accounts, both.market, 0).initial for m in (exact, quick)]
    np.testing.assert_array_equal(*legs)


def test_the_shipped_parameters_pass_the_parameter_gate() -> None:
    """As the command line asks it of the published sets: no rate, a thousandth of notional."""
    market = reference_market(rate=0.0)
    needs = market.instruments.is_option
    liquidity = Liquidity({BTC: DEEP}, np.where(needs, 0.01, 0.0), np.full(len(needs), np.nan))
    parameters = shipped_dynamic("2022-01-01").parameters
    report = parameter_gate(Dynamic(NOW, liquidity, parameters), market, materiality=1e-3)
    assert report.accepted
