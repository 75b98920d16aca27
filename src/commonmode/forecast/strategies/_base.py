"""What the strategies share: settings, the volatility they size by, and their card."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.forecast.ewma import ewma_variance
from commonmode.forecast.parts import (
    NAMED_BY_SETTINGS,
    SCIPY_CODE,
    SPOT_CLOSE,
    Parts,
    risk_card,
    window_name,
)
from commonmode.forecast.returns import returns_since, window_returns
from commonmode.market.history import History
from commonmode.register.cards import Card, ModelFamily
from commonmode.register.model import Requirements
from commonmode.register.signal import Traded

__all__ = ["EWMA_VARIANCE", "FilterStart", "FilteredPrices", "Strategy"]

EWMA_VARIANCE: Final = "exponentially weighted variance"


@dataclass(frozen=True, slots=True, eq=False)
class FilteredPrices:
    """Returns known at each row of a history and the volatility of the bar after it.

    Attributes
    ----------
    returns : float64, shape (m,)
    sigma : float64, shape (m + 1,)
        Standard deviation of each bar before it is seen, and of the one after the last.
    known : int64, shape (T,)
        ``returns[: known[t]]`` are those known at row t.
    """

    returns: FloatArray
    sigma: FloatArray
    known: IntArray


@dataclass(frozen=True, slots=True)
class FilterStart:
    """Where the volatility filter begins.

    Attributes
    ----------
    decay : float
    start_ms : int
        End of the bar before the first return of the window.
    initial : float
        Variance there: the window's mean square.
    """

    decay: float
    start_ms: int
    initial: float

    def run(self, history: History) -> FilteredPrices:
        """Filter to the end of ``history``."""
        stream = returns_since(history, self.start_ms)
        sigma = np.sqrt(ewma_variance(stream.values, self.decay, self.initial))
        return FilteredPrices(stream.values, sigma, stream.known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy(ABC):
    """Settings that all strategies have; see the subclasses.

    Parameters
    ----------
    window : int
        Bars; the filters start at its beginning.
    refit_every : int
        Bars between refreshes of the filters' start and of what is estimated.
    vol_decay : float
        Of the exponentially weighted variance that positions are sized by, per bar.
    data, owner, purpose : str
        For the card.
    id : ModelId
        Made from the settings if empty.
    """

    traded: ClassVar[Traded] = Traded.COIN

    window: int = 1000
    refit_every: int = 24
    vol_decay: float = 0.97
    data: str = SPOT_CLOSE
    owner: str = ""
    purpose: str = ""
    id: ModelId = NAMED_BY_SETTINGS

    def __post_init__(self) -> None:
        """Check what all have in common and name the strategy by its settings."""
        if not 0.0 < self.vol_decay < 1.0:
            raise ConfigurationError(
                f"{type(self).__name__}: volatility decay {self.vol_decay} is not in (0, 1)",
                remedy="hourly returns take 0.97 to 0.99",
            )
        if self.window < self.least_window:
            raise ConfigurationError(
                f"{type(self).__name__}: window of {self.window} bars",
                remedy=f"with these settings it takes at least {self.least_window} bars",
            )
        if not self.id:
            object.__setattr__(self, "id", ModelId(self._name()))

    @property
    def burn_in(self) -> int:
        """Bars after which the filter's start carries a weight below 5 percent."""
        return int(np.ceil(np.log(0.05) / np.log(self.vol_decay)))

    @property
    def least_window(self) -> int:
        """Shortest window that makes sense."""
        return self.burn_in + 1

    @property
    def requires(self) -> Requirements:
        """Closing prices over the window."""
        return Requirements(("close",), self.window, self.refit_every)

    @abstractmethod
    def _name(self) -> str:
        """The id made from the settings."""

    def _start(self, history: History) -> Success[FilterStart] | Failure:
        """Start of the filter on the last ``window`` bars."""
        seen = window_returns(history, self.window, burn_in=self.burn_in, model=self.id)
        if isinstance(seen, Failure):
            return seen
        start = seen.value
        return Success(FilterStart(self.vol_decay, start.start_ms, start.variance))

    def _card(
        self,
        purpose: str,
        *,
        data: Parts = (),
        assumption: Parts = (),
        technique: Parts = (),
        calibration: Parts = (),
        vendor: Parts = (),
    ) -> Card:
        card = risk_card(
            self.id,
            purpose=self.purpose or purpose,
            owner=self.owner,
            data=(self.data, *data),
            assumption=assumption,
            technique=technique,
            calibration=(window_name(self.window), *calibration),
            vendor=vendor,
            code=(SCIPY_CODE,),
        )
        return replace(card, family=ModelFamily.SIGNAL)
