"""Historical simulation: the recent past, taken as it was, is the distribution of tomorrow.

Reference: Hendricks (1996), "Evaluation of value-at-risk models using historical data", FRBNY
Economic Policy Review 2(1). Over more than one bar, overlapping sums inside the window are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.forecast.parts import (
    NAMED_BY_SETTINGS,
    NUMPY_CODE,
    SPOT_CLOSE,
    risk_card,
    window_name,
)
from commonmode.forecast.returns import horizon_returns, too_short
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import FittedRisk, Requirements, RiskForecast

__all__ = ["FittedHistoricalSimulation", "HistoricalSimulation"]

_ROWS_AT_ONCE = 512  # keeps the sorted copy of the windows in cache-sized pieces


@dataclass(frozen=True, slots=True)
class FittedHistoricalSimulation:
    """Nothing is estimated: the window itself rolls with each origin.

    Attributes
    ----------
    window : int
        Bars.
    """

    window: int

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """Quantile, shortfall and deviation of the window that ends at each origin.

        Only sums that lie wholly inside the window count: ``window - horizon + 1`` of them.
        """
        sums = horizon_returns(history, horizon)
        width = self.window - horizon + 1
        vol, quantile, shortfall = (np.full(len(origins), np.nan) for _ in range(3))
        first = origins - width + 1
        usable = np.flatnonzero(first >= 0) if width > 1 else np.zeros(0, dtype=np.int64)
        if len(usable):
            windows = sliding_window_view(sums, width)
            for chunk in np.array_split(usable, -(-len(usable) // _ROWS_AT_ONCE)):
                rows = np.sort(windows[first[chunk]], axis=1)  # NaN sorts to the end
                part = _tails(rows, level)
                vol[chunk], quantile[chunk], shortfall[chunk] = part
        return RiskForecast(vol, quantile, shortfall)


def _tails(rows: FloatArray, level: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Deviation, quantile (linear, as numpy's default) and tail mean of sorted rows."""
    count = np.isfinite(rows).sum(axis=1)
    enough = count > 1
    position = np.where(enough, (count - 1) * level, 0.0)
    low = position.astype(np.int64)
    weight = position - low
    index = np.arange(len(rows))
    below = rows[index, low]
    above = rows[index, np.minimum(low + 1, rows.shape[1] - 1)]
    quantile = below + weight * (above - below)
    in_tail = np.arange(rows.shape[1])[None, :] <= low[:, None]
    shortfall = np.where(in_tail, rows, 0.0).sum(axis=1) / (low + 1)
    finite = np.isfinite(rows)
    filled = np.where(finite, rows, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=1) / count
        spread = np.where(finite, rows - mean[:, None], 0.0)
        vol = np.sqrt((spread**2).sum(axis=1) / (count - 1))
    for array in (vol, quantile, shortfall):
        array[~enough] = np.nan
    return vol, quantile, shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricalSimulation:
    """Equally weighted historical simulation.

    Parameters
    ----------
    window : int
        Bars.
    refit_every : int
        Bars handed over at a time; it does not change the forecasts, the window rolls anyway.
    data, owner, purpose : str
        For the card.
    id : ModelId
        Made from the settings if empty.
    """

    window: int = 500
    refit_every: int = 24
    data: str = SPOT_CLOSE
    owner: str = ""
    purpose: str = ""
    id: ModelId = NAMED_BY_SETTINGS

    def __post_init__(self) -> None:
        """Check the window."""
        if self.window < 2:
            raise ConfigurationError(
                f"historical simulation over {self.window} bars",
                remedy="use a window of at least 2 bars, usually 250 or more",
            )
        if not self.id:
            object.__setattr__(self, "id", ModelId(f"hs-{self.window}h"))

    @property
    def requires(self) -> Requirements:
        """Closing prices over the window."""
        return Requirements(("close",), self.window, self.refit_every)

    @property
    def card(self) -> Card:
        """What it is made of."""
        return risk_card(
            self.id,
            purpose=self.purpose or "Volatility, VaR and ES by historical simulation",
            owner=self.owner,
            data=(self.data,),
            assumption=("returns iid in window",),
            technique=("empirical quantile of returns",),
            calibration=(window_name(self.window),),
            code=(NUMPY_CODE,),
        )

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Check that the window is there."""
        short = too_short(history, self.window, self.id)
        return short or Success(FittedHistoricalSimulation(self.window))
