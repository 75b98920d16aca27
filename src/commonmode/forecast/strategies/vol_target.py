"""Volatility targeting: hold the coin, less of it the more it moves.

Reference: Moreira & Muir (2017), "Volatility-managed portfolios", Journal of Finance 72(4); Harvey
et al. (2018), "The impact of volatility targeting", Journal of Portfolio Management 45(1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, Success
from commonmode.forecast.strategies._base import EWMA_VARIANCE, FilterStart, Strategy
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.signal import FittedSignal

__all__ = ["FittedVolTarget", "VolTarget"]


@dataclass(frozen=True, slots=True)
class FittedVolTarget:
    """Target over volatility, never more than the whole position.

    Attributes
    ----------
    start : FilterStart
    target : float
        Standard deviation of one bar.
    """

    start: FilterStart
    target: float

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """``min(target / sigma, 1)``."""
        prices = self.start.run(history)
        return np.asarray(np.minimum(self.target / prices.sigma[prices.known[origins]], 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class VolTarget(Strategy):
    """Long the coin at a constant target of volatility: the median one of its window.

    Parameters
    ----------
    window, refit_every, vol_decay, data, owner, purpose, id
        As in :class:`~commonmode.forecast.strategies._base.Strategy`.
    """

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card(
            "Long position at constant volatility",
            assumption=("volatility persists", "zero mean return"),
            technique=(EWMA_VARIANCE, "volatility targeting"),
            calibration=("median volatility of window", f"fixed decay {self.vol_decay:g}"),
        )

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Take the target from the window."""
        start = self._start(history)
        if isinstance(start, Failure):
            return start
        sigma = start.value.run(history).sigma[self.burn_in :]
        return Success(FittedVolTarget(start.value, float(np.median(sigma))))

    def _name(self) -> str:
        return f"vol-target-{self.vol_decay:g}"
