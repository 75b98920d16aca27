"""A vault that sells a straddle every week and hedges it: it buys what rises, sells what falls.

The strike is the price at the roll (Friday 08:00 UTC, when Deribit's weeklies expire); the position
in the coin is the hedge of the short straddle, ``2 N(d1) - 1`` (Black 1976, "The pricing of
commodity contracts", Journal of Financial Economics 3), at the volatility of the roll. Hedging a
short option is positive feedback: Barbon & Buraschi (2021), "Gamma fragility".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, Success
from commonmode.core.units import HOUR_MS
from commonmode.forecast.strategies._base import EWMA_VARIANCE, FilterStart, Strategy
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import Requirements
from commonmode.register.signal import FittedSignal

__all__ = ["FittedVolSellingVault", "VolSellingVault"]

_WEEK_MS: Final = 7 * 24 * HOUR_MS
_ROLL_MS: Final = 24 * HOUR_MS + 8 * HOUR_MS  # 1970-01-02 was a Friday
_YEAR_MS: Final = 365 * 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class FittedVolSellingVault:
    """The hedge of the straddle sold at the last roll.

    Attributes
    ----------
    start : FilterStart
    vol_column : str
        Where the volatility of the roll is read; "" for the filter's own.
    """

    start: FilterStart
    vol_column: str

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """``2 N(d1) - 1``; NaN where the roll lies before the history or its price is missing."""
        times, close = history.times_ms[origins], history.column("close")
        rolled = times - (times - _ROLL_MS) % _WEEK_MS
        at = np.searchsorted(history.times_ms, rolled, side="right") - 1
        row = np.maximum(at, 0)
        years = (rolled + _WEEK_MS - times) / _YEAR_MS
        if self.vol_column:
            vol = history.column(self.vol_column)[row]
        else:
            prices = self.start.run(history)
            vol = prices.sigma[prices.known[row]] * np.sqrt(_YEAR_MS / history.step_ms)
        with np.errstate(divide="ignore", invalid="ignore"):
            total = vol * np.sqrt(years)
            d1 = np.log(close[origins] / close[row]) / total + 0.5 * total
        return np.where(at >= 0, 2.0 * ndtr(d1) - 1.0, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolSellingVault(Strategy):
    """Weekly short straddle, delta-hedged.

    Parameters
    ----------
    vol_column : str
        Column with the annualised volatility at which the straddle is hedged, e.g.
        ``implied_vol``; "" for the strategy's own forecast.
    vol_data : str
        Name of that column's feed, for the card.
    window, refit_every, vol_decay, data, owner, purpose, id
        As in :class:`~commonmode.forecast.strategies._base.Strategy`.
    """

    vol_column: str = ""
    vol_data: str = "deribit volatility index"

    @property
    def requires(self) -> Requirements:
        """Closing prices, and the volatility where it is read."""
        columns = ("close", self.vol_column) if self.vol_column else ("close",)
        return Requirements(columns, self.window, self.refit_every)

    @property
    def card(self) -> Card:
        """What it is made of."""
        own = () if self.vol_column else (EWMA_VARIANCE,)
        return self._card(
            "Hedge of a straddle sold every week",
            data=(self.vol_data,) if self.vol_column else (),
            assumption=("black-76 quoting", "hedging is free"),
            technique=(*own, "delta hedge of short options"),
            calibration=(
                "weekly roll on Friday 08:00 UTC",
                *(() if self.vol_column else (f"fixed decay {self.vol_decay:g}",)),
            ),
        )

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Start the volatility filter."""
        start = self._start(history)
        if isinstance(start, Failure):
            return start
        return Success(FittedVolSellingVault(start.value, self.vol_column))

    def _name(self) -> str:
        return "vol-vault-implied" if self.vol_column else "vol-vault"
