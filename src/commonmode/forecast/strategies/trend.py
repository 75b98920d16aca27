"""Trend following: hold what rose, in proportion to how surely it rose.

Reference: Moskowitz, Ooi & Pedersen (2012), "Time series momentum", Journal of Financial Economics
104(2): the sign of the past return, sized by ex-ante volatility. Here the past return over the
lookback is taken in its own standard deviations and capped, so that the position is continuous.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.forecast.strategies._base import EWMA_VARIANCE, FilterStart, Strategy
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.signal import FittedSignal

__all__ = ["FittedTrend", "Trend"]


@dataclass(frozen=True, slots=True)
class FittedTrend:
    """Past return over its standard deviation, capped.

    Attributes
    ----------
    start : FilterStart
    lookback : int
        Bars.
    full_at : float
        Standard deviations at which the position is full.
    """

    start: FilterStart
    lookback: int
    full_at: float

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """``clip(r / (full_at sigma sqrt(lookback)), -1, 1)``."""
        prices = self.start.run(history)
        level = np.concatenate(([0.0], np.cumsum(prices.returns)))
        last = prices.known[origins]
        first = last - self.lookback
        moved = level[last] - level[np.maximum(first, 0)]
        deviations = moved / (prices.sigma[last] * np.sqrt(self.lookback) * self.full_at)
        return np.where(first >= 0, np.clip(deviations, -1.0, 1.0), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend(Strategy):
    """Time-series momentum.

    Parameters
    ----------
    lookback : int
        Bars.
    full_at : float
        Standard deviations of the past return at which the position is full.
    window, refit_every, vol_decay, data, owner, purpose, id
        As in :class:`~commonmode.forecast.strategies._base.Strategy`.
    """

    lookback: int = 168
    full_at: float = 1.0

    def __post_init__(self) -> None:
        """Check lookback and cap."""
        if self.lookback < 1 or not self.full_at > 0.0:
            raise ConfigurationError(
                f"trend over {self.lookback} bars, full at {self.full_at} deviations",
                remedy="the lookback is 1 bar or more, the cap above zero",
            )
        Strategy.__post_init__(self)

    @property
    def least_window(self) -> int:
        """The lookback and as much for the filter, with some bars to miss."""
        return int(1.1 * self.lookback) + self.burn_in

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card(
            "Position that follows the trend",
            assumption=("trends persist", "square root of time"),
            technique=(EWMA_VARIANCE, "time-series momentum"),
            calibration=(f"{self.lookback} h lookback", f"fixed decay {self.vol_decay:g}"),
        )

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Start the volatility filter."""
        start = self._start(history)
        if isinstance(start, Failure):
            return start
        return Success(FittedTrend(start.value, self.lookback, self.full_at))

    def _name(self) -> str:
        return f"trend-{self.lookback}h"
