"""Trading strategies as models: calibrated on a history, they yield the position they want."""

from __future__ import annotations

from enum import Enum
from typing import Protocol, runtime_checkable

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, Success
from commonmode.market.history import History
from commonmode.register.model import Model

__all__ = ["FittedSignal", "SignalModel", "Traded"]


class Traded(Enum):
    """What a strategy holds when its signal is +1.

    ``COIN``    the coin itself, outright: a fall of the signal sells coin.
    ``SPREAD``  long spot against short perpetual: a fall sells spot and buys the perpetual back.
    """

    COIN = "coin"
    SPREAD = "spread"


class FittedSignal(Protocol):
    """A calibrated strategy; immutable."""

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """The position wanted after each origin.

        Parameters
        ----------
        history : History
            Rows up to the last origin; parameters stay as calibrated, states are filtered.
        origins : int64, shape (n,)
            Rows of ``history``; the signal of origin t may use rows 0..t only.

        Returns
        -------
        float64, shape (n,)
            In [-1, 1], share of the strategy's largest position; NaN where it cannot say.
        """
        ...


@runtime_checkable
class SignalModel(Model, Protocol):
    """A trading strategy in one instrument."""

    @property
    def traded(self) -> Traded:
        """What it holds."""
        ...

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Fit to the history as known at its last row."""
        ...
