"""Joint-scenario margin on a small market: what it is made of, and that the legs add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_assemble_accounts import FLAT, ROWS, Line, account, snapshot

from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import FailureReason, Success
from commonmode.margin import Account, Asset, Holding, Portfolio, assemble
from commonmode.margin.dynamic import JointScenarios, MarginMix, NamedMove, ScenarioKind
from commonmode.margin.dynamic.hypothetical import hypothetical_scenarios
from commonmode.margin.dynamic.liquidity import HedgeMarket, Liquidity, measure_liquidity
from commonmode.margin.dynamic.method import Dynamic, ScenarioSets
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.gate import parameter_gate
from commonmode.margin.gate_probes import reference_market
from commonmode.margin.gate_report import Property
from commonmode.market.chain import OptionChain
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book

BTC, ETH = CurrencyCode("BTC"), CurrencyCode("ETH")
FACTORS = ("BTC", "ETH", "WSTETH")
DEEP = HedgeMarket(half_spread=1e-4, usd_per_day=2e10, daily_vol=0.03)
CALL, PUT, FAR = ROWS[1][0], ROWS[2][0], ROWS[0][0]


def moves(seed: int, size: float, kind: ScenarioKind, n: int = 400) -> JointScenarios:
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n, 1))
    log_returns = size * (np.sqrt(0.8) * common + np.sqrt(0.2) * rng.standard_normal((n, 3)))
    log_returns[:, 2] = 0.002 * rng.standard_normal(n)
    vol_moves = np.expm1(-2.0 * log_returns + 0.05 * rng.standard_normal((n, 3)))
    vol_moves[:, 2] = 0.0
    labels = [f"{kind.name}-{row}" for row in range(n)]
    return JointScenarios.of(
        FACTORS, log_returns, kind=kind, labels=labels, horizon_minutes=60.0, vol_moves=vol_moves
    )


SETS = ScenarioSets(
    moves(1, 0.02, ScenarioKind.FILTERED),
    moves(2, 0.05, ScenarioKind.STRESSED),
    hypothetical_scenarios(
        [NamedMove("crash", {"BTC": -0.2, "ETH": -0.25}, {"BTC": 0.5, "ETH": 0.5})],
        FACTORS,
        horizon_minutes=60.0,
    ),
)


def both_coins() -> Snapshot:
    one = snapshot()
    chain = one.chains[BTC]
    eth = replace(
        chain,
        underlying=ETH,
        names=np.char.replace(chain.names, "BTC", "ETH"),
        strike=chain.strike / 15,
        forward=chain.forward / 15,
        index=chain.index / 15,
    )
    chains: dict[CurrencyCode, OptionChain] = {BTC: chain, ETH: eth}
    return Snapshot(one.time_ms, chains)


def margined(*accounts: Account, **options: object) -> tuple[Portfolio, Dynamic]:
    market = both_coins()
    surfaces = {
        coin: {
            FLAT: Success(Line()),
            ModelId("steep"): Success(Line(-0.3)),
            ModelId("smile"): Success(Line(0.3)),
        }
        for coin in (BTC, ETH)
    }
    assets = [Asset(CurrencyCode("WSTETH"), price=2_200.0, follows=ETH)]
    both = assemble(accounts, market, surfaces, FLAT, assets=assets)
    liquidity = measure_liquidity(both.market, market, {BTC: DEEP, ETH: DEEP})
    return both, Dynamic(SETS, liquidity, **options)  # type: ignore[arg-type]  # fields of Dynamic


MIXED = (
    account("straddle", (CALL, -10.0), (PUT, -10.0), cash=1e6),
    account("hedged", (CALL, -10.0), ("BTC-PERPETUAL", 15_000.0), cash=1e6),
    account("across", ("BTC-PERPETUAL", 30_000.0), ("ETH-PERPETUAL", -300_000.0), cash=1e6),
    account("novel", ("BTC-POWER-2", -5.0), ("BTC-EVERLASTING-30000-P", -5.0), cash=1e6),
    Account(
        Book.of("staked", [("ETH-PERPETUAL", -100_000.0)]),
        collateral=(Holding(CurrencyCode("WSTETH"), 50.0),),
    ),
)


def test_components_and_legs_add_up_for_every_kind_of_account() -> None:
    both, method = margined(*MIXED, convergence_charge={"straddle": 1_234.0})
    table = method.margin(both.accounts, both.market)
    assert not table.failures
    np.testing.assert_allclose(table.initial, sum(table.components.values()), rtol=1e-14)
    np.testing.assert_allclose(
        table.maintenance, sum(table.maintenance_components.values()), rtol=1e-14
    )
    assert table.components["convergence"].tolist() == [1_234.0, 0.0, 0.0, 0.0, 0.0]
    assert (table.components["disagreement"] >= 0).all()
    # An account that opens at its limit has room before it is liquidated.
    assert (table.initial > 1.02 * table.maintenance).all()
    assert (table.maintenance > 0).all()
    for row in range(len(MIXED)):
        legs = method.legs(both.accounts, both.market, row)
        np.testing.assert_allclose(legs.initial.sum(), table.initial[row], rtol=1e-10)
        np.testing.assert_allclose(legs.maintenance.sum(), table.maintenance[row], rtol=1e-10)
        assert legs.scenario


def test_the_shortfall_is_that_of_the_scenarios() -> None:
    """A perpetual alone: its loss is its size times the mean of the worst moves."""
    plain = DynamicParameters(
        mix=MarginMix(stressed_weight=0.25), participation=1.0, reaction_minutes=0.0
    )
    both, method = margined(account("long", ("BTC-PERPETUAL", 3_000.0)), parameters=plain)
    table = method.margin(both.accounts, both.market)

    def shortfall(scenarios: JointScenarios) -> float:
        worst = np.sort(scenarios.log_returns[:, 0])[:4]
        return float(-30_000.0 * np.expm1(worst).mean())

    expected = 0.75 * shortfall(SETS.normal) + 0.25 * shortfall(SETS.stressed)
    np.testing.assert_allclose(table.components["loss"], [expected], rtol=1e-12)
    # Half the spread and the square-root impact of 30 000 USD in a market of 20 bn a day.
    cost = 30_000.0 * (1e-4 + 0.03 * np.sqrt(30_000.0 / 2e10))
    np.testing.assert_allclose(table.components["close_out"], [cost], rtol=1e-12)


def test_a_hedge_across_coins_counts_unless_correlation_breaks() -> None:
    pair = account("pair", ("BTC-PERPETUAL", 30_000.0), ("ETH-PERPETUAL", -300_000.0))
    long = account("long", ("BTC-PERPETUAL", 30_000.0))
    short = account("short", ("ETH-PERPETUAL", -300_000.0))

    def losses(stress: float) -> np.ndarray:
        parameters = DynamicParameters(mix=MarginMix(correlation_stress=stress))
        both, method = margined(pair, long, short, parameters=parameters)
        return method.margin(both.accounts, both.market).components["loss"]

    trusted, broken = losses(0.0), losses(1.0)
    assert trusted[0] < 0.8 * (trusted[1] + trusted[2])
    np.testing.assert_allclose(broken[0], broken[1] + broken[2], rtol=1e-12)
    np.testing.assert_array_equal(trusted[1:], broken[1:])


def test_collateral_that_falls_with_the_position_raises_the_margin() -> None:
    staked = (Holding(CurrencyCode("WSTETH"), 50.0),)
    wrong = Account(Book.of("wrong", [("ETH-PERPETUAL", 110_000.0)]), collateral=staked)
    right = Account(Book.of("right", [("ETH-PERPETUAL", -110_000.0)]), collateral=staked)
    bare = Account(Book.of("bare", [("ETH-PERPETUAL", 110_000.0)]))
    both, method = margined(wrong, right, bare)
    loss = method.margin(both.accounts, both.market).components["loss"]
    assert loss[1] < loss[2] < loss[0]


def test_models_that_disagree_cost_margin_and_their_legs_are_shown() -> None:
    skewed = account("skewed", (ROWS[3][0], -200.0), cash=1e6)
    both, method = margined(skewed)
    table = method.margin(both.accounts, both.market)
    assert table.components["disagreement"][0] > 0.0
    alone = replace(both.market, alternatives={})
    assert method.margin(both.accounts, alone).components["disagreement"][0] == 0.0
    legs = method.legs(both.accounts, both.market, 0)
    np.testing.assert_allclose(legs.initial.sum(), table.initial[0], rtol=1e-10)


def test_a_model_that_cannot_value_a_position_is_named() -> None:
    both, method = margined(account("a", (CALL, -1.0), cash=1e5))
    blind = replace(
        both.market,
        alternatives={**both.market.alternatives, ModelId("blind"): np.full(1, np.nan)},
    )
    seen = method.margin(both.accounts, both.market)
    table = method.margin(both.accounts, blind)
    assert not seen.notices
    assert "blind: no volatility" in table.notices[0][0]
    np.testing.assert_array_equal(table.maintenance, seen.maintenance)


def test_oracle_confidence_costs_continuously() -> None:
    charges = []
    for confidence in (1.0, 0.95, 0.75, 0.55, 0.5499, 0.0):
        both, method = margined(account("a", ("BTC-PERPETUAL", 3_000.0), (CALL, 2.0), cash=1e6))
        u = both.market.underlyings
        market = replace(
            both.market, underlyings=replace(u, spot_confidence=np.full(2, confidence))
        )
        charges.append(method.margin(both.accounts, market).components["oracle"][0])
    notional = 30_000.0 + 2 * 30_015.0
    np.testing.assert_allclose(charges[:2], 0.0, atol=1e-9)
    np.testing.assert_allclose(charges[2], 0.4 * notional * 0.2 / 0.95, rtol=1e-12)
    np.testing.assert_allclose(charges[3], charges[4], rtol=1e-3)
    np.testing.assert_allclose(charges[5], 0.4 * notional, rtol=1e-12)


def test_larger_positions_take_longer_to_close_and_cost_more_than_in_proportion() -> None:
    thin = HedgeMarket(half_spread=1e-4, usd_per_day=1e7, daily_vol=0.03)
    both, method = margined(
        *(account(str(q), ("BTC-PERPETUAL", q)) for q in (1_000.0, 100_000.0, 1_000_000.0))
    )
    slow = replace(method, liquidity=replace(method.liquidity, hedge={BTC: thin, ETH: thin}))
    per_unit = slow.margin(both.accounts, both.market).initial / np.array([1.0, 100.0, 1_000.0])
    assert per_unit[0] < per_unit[1] < per_unit[2]


def test_bad_accounts_and_factors_harm_no_other() -> None:
    good = account("good", (CALL, -1.0), cash=1e5)
    bad = account("bad", ("GOLD-BAR", 1.0))
    posted = Account(Book.of("posted", []), collateral=(Holding(CurrencyCode("PEPE"), 9.0),))
    market = both_coins()
    surfaces = {coin: {FLAT: Success(Line())} for coin in (BTC, ETH)}
    assets = [Asset(CurrencyCode("PEPE"), price=1.0)]
    both = assemble([good, bad, posted, good], market, surfaces, FLAT, assets=assets)
    liquidity = measure_liquidity(both.market, market, {BTC: DEEP, ETH: DEEP})
    table = Dynamic(SETS, liquidity).margin(both.accounts, both.market)
    assert table.failures[1].reason is FailureReason.INVALID_INPUT
    assert "PEPE" in table.failures[2].message
    assert set(table.failures) == {1, 2}
    assert np.isnan(table.initial[[1, 2]]).all()
    assert table.initial[0] == table.initial[3] > 0.0
    alone = assemble([good], market, surfaces, FLAT, assets=assets)
    own = measure_liquidity(alone.market, market, {BTC: DEEP, ETH: DEEP})
    np.testing.assert_array_equal(
        Dynamic(SETS, own).margin(alone.accounts, alone.market).initial, table.initial[:1]
    )


@pytest.mark.parametrize("column", ["price", "confidence"])
def test_an_asset_without_price_or_confidence_fails_its_holders_only(column: str) -> None:
    both, method = margined(*MIXED[:2], MIXED[4])
    sound = method.margin(both.accounts, both.market)
    assets = both.market.assets
    values = np.where(assets.name == "WSTETH", np.nan, getattr(assets, column))
    damaged = replace(both.market, assets=replace(assets, **{column: values}))
    table = method.margin(both.accounts, damaged)
    assert set(table.failures) == {2}
    for name in ("initial", "maintenance", "equity"):
        np.testing.assert_array_equal(getattr(table, name)[:2], getattr(sound, name)[:2])
    legs = method.legs(both.accounts, damaged, 1)
    np.testing.assert_allclose(legs.initial.sum(), table.initial[1], rtol=1e-9)


def test_an_underlying_without_scenarios_or_hedge_market_fails_its_holders() -> None:
    both, method = margined(*MIXED[:3])
    no_eth = replace(method.liquidity, hedge={BTC: DEEP})
    table = replace(method, liquidity=no_eth).margin(both.accounts, both.market)
    assert set(table.failures) == {2}
    only = JointScenarios.of(
        ("ETH",),
        np.array([[-0.1], [0.1]]),
        kind=ScenarioKind.HISTORICAL,
        labels=["a", "b"],
        horizon_minutes=60.0,
    )
    parameters = DynamicParameters(mix=MarginMix())
    table = Dynamic(ScenarioSets(only, only), method.liquidity, parameters).margin(
        both.accounts, both.market
    )
    assert set(table.failures) == {0, 1, 2}
    assert "BTC" in table.failures[0].message


def test_a_depegged_stablecoin_is_noticed() -> None:
    both, method = margined(account("a", ("BTC-PERPETUAL", 10.0), cash=1_000.0))
    broken = replace(both.market, stable_price=0.65)
    table = method.margin(both.accounts, broken)
    assert "0.65" in table.notices[0][0]
    np.testing.assert_allclose(table.equity, [650.0])


def test_sets_that_do_not_fit_are_refused() -> None:
    other = JointScenarios.of(
        ("BTC",),
        np.zeros((1, 1)),
        kind=ScenarioKind.STRESSED,
        labels=["x"],
        horizon_minutes=60.0,
    )
    with pytest.raises(DataError, match="factors"):
        ScenarioSets(SETS.normal, other)
    with pytest.raises(DataError, match="minutes"):
        ScenarioSets(SETS.normal, SETS.stressed.over(120.0))


def test_liquidity_is_read_from_the_quotes() -> None:
    both, method = margined(account("a", (CALL, 1.0), ("BTC-POWER-2", 1.0), ("BTC-PERPETUAL", 1.0)))
    names = both.market.instruments.instrument.tolist()
    half = dict(zip(names, method.liquidity.vol_half_spread, strict=True))
    np.testing.assert_allclose([half[CALL], half["BTC-POWER-2"]], [0.05, 0.05])
    assert half["BTC-PERPETUAL"] == 0.0
    assert isinstance(method.liquidity, Liquidity)


def test_the_defaults_pass_the_parameter_gate() -> None:
    """As the command line asks it of the published sets: no rate, a thousandth of notional."""
    market = reference_market(rate=0.0)
    needs = market.instruments.is_option
    liquidity = Liquidity({BTC: DEEP}, np.where(needs, 0.01, 0.0), np.full(len(needs), np.nan))
    report = parameter_gate(Dynamic(SETS, liquidity), market, materiality=1e-3)
    assert report.accepted
    # Five times the shortfall asks more for a bought option than it is worth: refused.
    wild = DynamicParameters(multiplier=5.0)
    refused = parameter_gate(Dynamic(SETS, liquidity, wild), market, materiality=1e-3)
    assert Property.LONG_OPTION in {finding.property for finding in refused.refusals}
