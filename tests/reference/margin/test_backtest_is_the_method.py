"""The backtest's fast pass over time gives what the method class gives at one time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.ids import CurrencyCode, InstrumentId
from commonmode.core.result import Failure, Success
from commonmode.margin.backtest.market_path import MarketPath, portfolio_losses
from commonmode.margin.backtest.ours import Recipe, components, long_history_margin
from commonmode.margin.backtest.portfolios import Leg, Portfolio
from commonmode.margin.backtest.refit import market_path, multiplier_at
from commonmode.margin.backtest.stacked import ACCOUNT_USD, stack
from commonmode.margin.backtest.walk import Settings, controlled, month_starts, walk_forward
from commonmode.margin.dynamic.build import build_scenarios, return_panel
from commonmode.margin.dynamic.filtered import VolatilityFilter, filtered_scenarios
from commonmode.margin.dynamic.history import ReturnPanel, stressed_scenarios
from commonmode.margin.dynamic.liquidity import HedgeMarket, Liquidity
from commonmode.margin.dynamic.method import Dynamic, ScenarioSets
from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.dynamic.settings import shipped_dynamic
from commonmode.market.history import History

HOUR = 3_600_000
HALF_LIFE = 24.0

PORTFOLIOS = (
    Portfolio("long", (Leg("BTC", 1.0),)),
    Portfolio("pair", (Leg("BTC", 1.0), Leg("ETH", -1.0))),
    Portfolio("on coin", (Leg("BTC", -0.5), Leg("BTC", 1.0, "collateral"))),
    Portfolio("straddle", (Leg("ETH", -1.0, "call", 7.0), Leg("ETH", -1.0, "put", 7.0))),
    Portfolio(
        "dispersion",
        (Leg("BTC", -1.0, "call", 30.0, 0.25), Leg("ETH", 1.0, "put", 30.0, 0.25)),
        hedged=True,
    ),
)


def a_path(hours: int) -> MarketPath:
    rng = np.random.default_rng(11)
    common = 0.008 * rng.standard_t(5, size=(hours, 1))
    steps = common + 0.004 * rng.standard_t(5, size=(hours, 2))
    moves = np.exp(0.01 * rng.standard_normal((hours, 2)))
    vol = 0.6 * np.cumprod(moves, axis=0) ** 0.3
    times = int(np.datetime64("2022-01-01", "ms").astype(np.int64)) + HOUR * np.arange(hours)
    price = np.array([40_000.0, 3_000.0]) * np.exp(np.cumsum(steps, axis=0))
    return MarketPath(("BTC", "ETH"), times, price, vol, HOUR)


@pytest.mark.parametrize(("weight", "broken"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_every_component_and_their_mix(weight: float, broken: float) -> None:
    path, at, begun = a_path(2_800), 2_700, 2_500
    recipe = Recipe(half_lives=(HALF_LIFE,), window=2_000, burn_in=100)
    parts = components(path, PORTFOLIOS, recipe, np.array([at]), np.array([begun]))
    panel = ReturnPanel(path.coins, path.times_ms[1:], path.returns[1:], HOUR)
    moves = path.vol_moves[1:]
    filtered = filtered_scenarios(
        panel.rows(slice(0, at)),
        VolatilityFilter(decay=0.5 ** (1.0 / HALF_LIFE)),
        vol_moves=moves[:at],
    )
    assert isinstance(filtered, Success)
    sets = ScenarioSets(
        filtered.value.select(slice(-recipe.window, None)),
        stressed_scenarios(
            panel.rows(slice(0, begun)), recipe.stressed_window, vol_moves=moves[:begun]
        ),
    )
    market, accounts = stack(path, PORTFOLIOS, np.array([at]))
    nothing = np.zeros(len(market.instruments))
    method = Dynamic(
        scenarios=sets,
        liquidity=Liquidity(
            {CurrencyCode(c): HedgeMarket(0.0, 1e15, 0.0) for c in path.coins},
            nothing,
            np.full(len(nothing), np.nan),
        ),
        parameters=DynamicParameters(
            initial_level=0.975,
            maintenance_level=0.975,
            mix=MarginMix(stressed_weight=weight, correlation_stress=broken),
        ),
    )
    table = method.margin(accounts, market)
    assert not table.failures
    # The class starts its filter from the whole panel's variance; by now that has faded.
    np.testing.assert_allclose(
        parts.mixed(0, weight, broken)[0], table.components["loss"] / ACCOUNT_USD, rtol=1e-9
    )


def histories(path: MarketPath) -> dict[str, History]:
    return {
        coin: History(InstrumentId(coin), HOUR, path.times_ms, {"close": path.price[:, u]})
        for u, coin in enumerate(path.coins)
    }


LINEAR = PORTFOLIOS[:3]


def test_the_shipped_settings_at_one_time_are_the_backtests_path() -> None:
    """Scenarios, floor and multiplier as the command line makes them, against the walk forward."""
    path = a_path(4_300)
    at = len(path) - 1
    known = histories(path)
    chosen = shipped_dynamic("2022-01-01")
    scenarios, terms, p = chosen.scenarios, chosen.multiplier, chosen.parameters
    assert scenarios is not None
    assert terms is not None
    settings = Settings(
        half_lives=(scenarios.half_life_hours,),
        level=p.initial_level,
        stressed_weight=p.mix.stressed_weight,
        correlation_stress=p.mix.correlation_stress,
        floor=p.floor,
        window_days=round(terms.window_days),
    )
    bare = market_path(known, until_ms=int(path.times_ms[at]))
    assert isinstance(bare, MarketPath)
    found = multiplier_at(
        bare,
        LINEAR,
        settings,
        breach_rate=terms.breach_rate,
        highest_scaling=scenarios.highest_scaling,
    )
    assert isinstance(found, Success)
    begun, multiplier = found.value

    months = month_starts(path.times_ms)
    rows = np.arange(2_000, len(path))
    recipe = Recipe(half_lives=settings.half_lives, highest_scaling=scenarios.highest_scaling)
    all_losses = portfolio_losses(path, LINEAR)
    walked = walk_forward(
        controlled(
            components(path, LINEAR, recipe, rows, months),
            settings,
            long_history_margin(all_losses, rows, months, settings.level),
        ),
        all_losses[rows],
        path.times_ms[rows],
        level=terms.breach_rate,
        window_ms=settings.window_days * 24 * HOUR,
        least_ms=0,
        horizon_ms=HOUR,
    )
    assert begun == walked.starts_ms[-1]
    np.testing.assert_allclose(multiplier.value, walked.multiplier[-1], rtol=1e-12)

    panel = return_panel(known, until_ms=int(path.times_ms[at]))
    sets, failed = build_scenarios(panel, recipe=chosen.recipe(HOUR))
    assert not failed
    market, accounts = stack(path, LINEAR, np.array([at]))
    nothing = np.zeros(len(market.instruments))
    method = Dynamic(
        scenarios=sets,
        liquidity=Liquidity(
            {CurrencyCode(c): HedgeMarket(0.0, 1e15, 0.0) for c in path.coins},
            nothing,
            np.full(len(nothing), np.nan),
        ),
        parameters=replace(p, multiplier=multiplier.value),
    )
    table = method.margin(accounts, market)
    np.testing.assert_allclose(table.components["loss"] / ACCOUNT_USD, walked.margin[-1], rtol=1e-6)


def test_without_two_months_of_margins_there_is_no_multiplier() -> None:
    path = a_path(2_800)
    settings = Settings(half_lives=(72.0,), window_days=90)
    found = multiplier_at(path, LINEAR, settings, breach_rate=0.01)
    assert isinstance(found, Failure)
    assert "60 days" in found.message
    short = market_path(histories(path), until_ms=int(path.times_ms[0]))
    assert isinstance(short, Failure)
