"""The strategies that ship with commonmode, by the name of their type in a study file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from commonmode.forecast.strategies.basis_carry import BasisCarry
from commonmode.forecast.strategies.market_maker import MarketMaker
from commonmode.forecast.strategies.trend import Trend
from commonmode.forecast.strategies.vol_seller import VolSellingVault
from commonmode.forecast.strategies.vol_target import VolTarget
from commonmode.register.signal import SignalModel

__all__ = ["SIGNAL_MODELS", "ordinary_strategies"]

SIGNAL_MODELS: Final[Mapping[str, Callable[..., SignalModel]]] = MappingProxyType(
    {
        "basis-carry": BasisCarry,
        "market-maker": MarketMaker,
        "trend": Trend,
        "vol-selling-vault": VolSellingVault,
        "vol-target": VolTarget,
    }
)


def ordinary_strategies(*, funding: bool = True) -> tuple[SignalModel, ...]:
    """The strategies that most of the market would recognise, with usual settings.

    Parameters
    ----------
    funding : bool
        With the basis carry trade, which needs a column ``funding``.
    """
    carry: tuple[SignalModel, ...] = (BasisCarry(),) if funding else ()
    return (
        VolSellingVault(),
        *carry,
        VolTarget(),
        Trend(lookback=168),
        Trend(lookback=720),
        MarketMaker(),
    )
