"""The backtest's fast pass over time gives what the method class gives at one time."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.ids import CurrencyCode
from commonmode.core.result import Success
from commonmode.margin.backtest.market_path import MarketPath
from commonmode.margin.backtest.ours import Recipe, components
from commonmode.margin.backtest.portfolios import Leg, Portfolio
from commonmode.margin.backtest.stacked import ACCOUNT_USD, stack
from commonmode.margin.dynamic.filtered import VolatilityFilter, filtered_scenarios
from commonmode.margin.dynamic.history import ReturnPanel, stressed_scenarios
from commonmode.margin.dynamic.liquidity import HedgeMarket, Liquidity
from commonmode.margin.dynamic.method import Dynamic, ScenarioSets
from commonmode.margin.dynamic.mixing import MarginMix
from commonmode.margin.dynamic.parameters import DynamicParameters

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
