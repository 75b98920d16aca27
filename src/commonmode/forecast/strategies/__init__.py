"""Trading strategies as models: calibrated on a history, they say what position they want."""

from __future__ import annotations

from commonmode.forecast.strategies.basis_carry import BasisCarry, FittedBasisCarry
from commonmode.forecast.strategies.builtin import SIGNAL_MODELS, ordinary_strategies
from commonmode.forecast.strategies.market_maker import FittedMarketMaker, MarketMaker
from commonmode.forecast.strategies.trend import FittedTrend, Trend
from commonmode.forecast.strategies.vol_seller import FittedVolSellingVault, VolSellingVault
from commonmode.forecast.strategies.vol_target import FittedVolTarget, VolTarget

__all__ = [
    "SIGNAL_MODELS",
    "BasisCarry",
    "FittedBasisCarry",
    "FittedMarketMaker",
    "FittedTrend",
    "FittedVolSellingVault",
    "FittedVolTarget",
    "MarketMaker",
    "Trend",
    "VolSellingVault",
    "VolTarget",
    "ordinary_strategies",
]
