"""The published methods with parameters for every coin of the backtest.

PM2, the standard manager and Deribit publish parameters for BTC and ETH. For the other coins those
of ETH are used (PM2 has one set): a venue would set wider ones, so results over all coins flatter
our method; the headline is on BTC and ETH.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from commonmode.margin.backtest.portfolios import COINS
from commonmode.margin.deribit import DeribitMargin, shipped_deribit
from commonmode.margin.method import MarginMethod
from commonmode.margin.pm2.method import PM2
from commonmode.margin.pm2.parameters import PM2Parameters, Scenario, shipped_parameters
from commonmode.margin.standard_method import StandardMargin
from commonmode.margin.standard_parameters import shipped_standard

__all__ = ["PM2_VERSION", "SHOCKS_COLLATERAL", "published_methods", "with_scan_range"]

PM2_VERSION: Final = "2026-09-24"

SHOCKS_COLLATERAL: Final[Mapping[str, bool]] = {"pm2": True, "standard": True, "deribit": False}
"""Whether posted coins are shocked or haircut. Deribit's rule for that is not published, so it is
compared on portfolios without coin collateral."""

_STAND_IN: Final = "ETH"


def _pm2(coins: Sequence[str]) -> PM2Parameters:
    return replace(shipped_parameters(PM2_VERSION), underlyings=tuple(coins))


def published_methods(coins: Sequence[str] = COINS) -> dict[str, MarginMethod]:
    """PM2, Deribit's portfolio margin and the standard manager, by id.

    Parameters
    ----------
    coins : sequence of str
        Coins without published parameters take those of ETH.
    """
    standard, deribit = shipped_standard(), shipped_deribit()
    markets = {coin: standard.markets.get(coin, standard.markets[_STAND_IN]) for coin in coins}
    pairs = {coin: deribit.pairs.get(coin, deribit.pairs[_STAND_IN]) for coin in coins}
    money = {coin: deribit.currencies.get(coin, deribit.currencies[_STAND_IN]) for coin in coins}
    money["USD"] = deribit.currencies["USD"]
    return {
        "pm2": PM2(_pm2(coins)),
        "deribit": DeribitMargin(replace(deribit, pairs=pairs, currencies=money)),
        "standard": StandardMargin(replace(standard, markets=markets)),
    }


def with_scan_range(method: str, factor: float, coins: Sequence[str] = COINS) -> MarginMethod:
    """PM2 or Deribit's method with its spot moves times ``factor``; charges and vol moves stay.

    Parameters
    ----------
    method : "pm2" or "deribit"
    factor : float
        On every spot move of PM2's scenarios, on the price range of Deribit's pairs.
    coins : sequence of str
    """
    if method == "deribit":
        base = published_methods(coins)["deribit"]
        assert isinstance(base, DeribitMargin), "the table of methods says so"
        pairs = {
            coin: replace(terms, price_range=factor * terms.price_range)
            for coin, terms in base.parameters.pairs.items()
        }
        return DeribitMargin(replace(base.parameters, pairs=pairs))
    parameters = _pm2(coins)
    scenarios = tuple(
        Scenario(1.0 + factor * (scenario.spot - 1.0), scenario.vol, scenario.damping)
        for scenario in parameters.scenarios
    )
    return PM2(replace(parameters, scenarios=scenarios))
