"""Market making: the inventory that a quoting dealer is left with after the market has moved.

Reference: Avellaneda & Stoikov (2008), "High-frequency trading in a limit order book", Quantitative
Finance 8(3); Gueant, Lehalle & Fernandez-Tapia (2013), "Dealing with the inventory risk",
Mathematics and Financial Economics 7(4). A price that rises has lifted the dealer's asks, so the
inventory falls by the (standardised) move; quotes skewed against the inventory, in proportion to
it, bring it back at a constant rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.forecast.strategies._base import EWMA_VARIANCE, FilterStart, Strategy
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.signal import FittedSignal

__all__ = ["FittedMarketMaker", "MarketMaker"]


@dataclass(frozen=True, slots=True)
class FittedMarketMaker:
    """Inventory by fills and by skew.

    Attributes
    ----------
    start : FilterStart
    keep : float
        Share of the inventory that is still there after one bar.
    fill : float
        Inventory taken on per standard deviation of the price, share of the limit.
    """

    start: FilterStart
    keep: float
    fill: float

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """``q_t = keep q_{t-1} - fill r_t / sigma_t``, within the limits."""
        prices = self.start.run(history)
        moves = prices.returns / prices.sigma[:-1]
        inventory = np.concatenate(([0.0], lfilter([-self.fill], [1.0, -self.keep], moves)))
        return np.asarray(np.clip(inventory[prices.known[origins]], -1.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketMaker(Strategy):
    """A dealer with linear inventory skew.

    Parameters
    ----------
    half_life : float
        Bars in which the skew halves the inventory.
    limit : float
        Inventory limit in standard deviations of the inventory.
    window, refit_every, vol_decay, data, owner, purpose, id
        As in :class:`~commonmode.forecast.strategies._base.Strategy`.
    """

    half_life: float = 12.0
    limit: float = 2.0

    def __post_init__(self) -> None:
        """Check half-life and limit."""
        if not self.half_life > 0.0 or not self.limit > 0.0:
            raise ConfigurationError(
                f"market maker with half-life {self.half_life} and limit {self.limit}",
                remedy="both are above zero",
            )
        Strategy.__post_init__(self)

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card(
            "Inventory of a dealer who skews quotes",
            assumption=("prices revert after fills",),
            technique=(EWMA_VARIANCE, "inventory skew"),
            calibration=(f"{self.half_life:g} h half-life", f"fixed decay {self.vol_decay:g}"),
        )

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Start the volatility filter; the inventory is flat there."""
        start = self._start(history)
        if isinstance(start, Failure):
            return start
        keep = 0.5 ** (1.0 / self.half_life)
        # The stationary deviation of the inventory is fill / sqrt(1 - keep^2).
        fill = float(np.sqrt(1.0 - keep**2)) / self.limit
        return Success(FittedMarketMaker(start.value, keep, fill))

    def _name(self) -> str:
        return f"market-maker-{self.half_life:g}h"
