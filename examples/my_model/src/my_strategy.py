"""A trading strategy of one's own: buy new highs, sell new lows.

Reference: Donchian (1960), "High finance in copper", Financial Analysts Journal 16(6).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.market.history import History
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.model import Requirements
from commonmode.register.signal import FittedSignal, Traded

__all__ = ["Donchian", "FittedDonchian"]

DEFAULT_ID = ModelId("donchian")


@dataclass(frozen=True, slots=True)
class FittedDonchian:
    """Nothing is estimated.

    Attributes
    ----------
    bars : int
    """

    bars: int

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """Where the close lies in the range of the last bars: -1 at its low, 1 at its high."""
        out = np.full(len(origins), np.nan)
        close = history.column("close")
        for place, row in enumerate(origins.tolist()):
            seen = close[max(row + 1 - self.bars, 0) : row + 1]
            low, high = np.nanmin(seen), np.nanmax(seen)
            if high > low and np.isfinite(close[row]):
                out[place] = 2.0 * (close[row] - low) / (high - low) - 1.0
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Donchian:
    """Position in the range of the last bars.

    Parameters
    ----------
    bars : int
    id : ModelId
    """

    bars: int = 480
    id: ModelId = DEFAULT_ID

    @property
    def traded(self) -> Traded:
        """The coin, outright."""
        return Traded.COIN

    @property
    def requires(self) -> Requirements:
        """Closing prices of the channel."""
        return Requirements(("close",), self.bars, 24)

    @property
    def card(self) -> Card:
        """What it is made of; names equal to those of other cards mean shared parts."""
        parts = {
            Layer.DATA: ("binance spot hourly close",),
            Layer.ASSUMPTION: ("trends persist",),
            Layer.TECHNIQUE: ("price channel",),
            Layer.CALIBRATION: (f"{self.bars} h lookback",),
            Layer.CODE: ("my_strategy",),
        }
        return Card(
            model=self.id,
            family=ModelFamily.SIGNAL,
            owner="you",
            purpose="An example of a strategy from outside",
            components=tuple(
                ComponentUse(ComponentId(name), layer)
                for layer, names in parts.items()
                for name in names
            ),
        )

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Take the length of the channel."""
        if len(history) <= self.bars:
            return Failure(
                FailureReason.MISSING_DATA,
                f"{self.id} needs {self.bars + 1} bars, got {len(history)}",
                "give a longer history or a shorter channel",
            )
        return Success(FittedDonchian(self.bars))
