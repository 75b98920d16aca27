"""Basis carry: long spot, short perpetual, for the funding that longs pay.

Reference: Koijen, Moskowitz, Pedersen & Vrugt (2018), "Carry", Journal of Financial Economics
127(2); on crypto: Schmeling, Schrimpf & Todorov (2023), "Crypto carry", BIS Working Paper 1087.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.returns import too_short
from commonmode.forecast.strategies._base import Strategy
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import Requirements
from commonmode.register.signal import FittedSignal, Traded

__all__ = ["BasisCarry", "FittedBasisCarry"]


@dataclass(frozen=True, slots=True)
class FittedBasisCarry:
    """Recent funding over what counts as much.

    Attributes
    ----------
    hold : int
        Bars over which funding is averaged.
    cost : float
        Funding per 8 h that pays for the trade.
    much : float
        Funding per 8 h, cost taken off, at which the position is full.
    """

    hold: int
    cost: float
    much: float

    def signal(self, history: History, origins: IntArray) -> FloatArray:
        """``clip((mean funding - cost) / much, 0, 1)``; NaN where no funding is known."""
        paid = _recent_mean(history.column("funding"), self.hold)[origins]
        return np.asarray(np.clip((paid - self.cost) / self.much, 0.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisCarry(Strategy):
    """Cash and carry, sized by recent funding.

    Parameters
    ----------
    hold : int
        Bars over which funding is averaged.
    cost : float
        Funding per 8 h, decimal, below which nothing is held.
    full_at : float
        Share of the window's times with less funding than that at which the position is full.
    funding_data : str
        Name of the funding feed, for the card.
    window, refit_every, vol_decay, data, owner, purpose, id
        As in :class:`~commonmode.forecast.strategies._base.Strategy`; no volatility enters.

    Notes
    -----
    Reads the column ``funding``: decimal per 8 hours, as last paid at each row.
    """

    traded: ClassVar[Traded] = Traded.SPREAD

    hold: int = 72
    cost: float = 0.0
    full_at: float = 0.9
    funding_data: str = "binance perpetual funding"

    def __post_init__(self) -> None:
        """Check the averaging and the quantile."""
        if self.hold < 1 or not 0.0 < self.full_at < 1.0:
            raise ConfigurationError(
                f"basis carry over {self.hold} bars, full at quantile {self.full_at}",
                remedy="the average is over 1 bar or more, the quantile in (0, 1)",
            )
        Strategy.__post_init__(self)

    @property
    def requires(self) -> Requirements:
        """Funding; the close is there in any history."""
        return Requirements(("close", "funding"), self.window, self.refit_every)

    @property
    def card(self) -> Card:
        """What it is made of."""
        card = self._card(
            "Long spot against short perpetual for the funding",
            data=(self.funding_data,),
            assumption=("funding persists", "basis converges"),
            technique=("carry over recent funding",),
            calibration=(f"{self.hold} h average", f"full at quantile {self.full_at:g} of window"),
        )
        return _without(card, self.data)

    def calibrate(self, history: History) -> Success[FittedSignal] | Failure:
        """Take what counts as much funding from the window."""
        short = too_short(history, self.window, self.id)
        if short:
            return short
        paid = _recent_mean(history.column("funding"), self.hold)[-self.window :] - self.cost
        there = paid[np.isfinite(paid)]
        much = float(np.quantile(there, self.full_at)) if len(there) else 0.0
        if not much > 0.0:
            return Failure(
                FailureReason.NOT_APPLICABLE,
                f"{self.id}: funding paid nothing over {self.window} bars of {history.instrument}",
                "a carry trade has no position there; check the column if it should have",
            )
        return Success(FittedBasisCarry(self.hold, self.cost, much))

    def _name(self) -> str:
        return f"basis-carry-{self.hold}h"


def _recent_mean(values: FloatArray, bars: int) -> FloatArray:
    """Mean of the finite values among the last ``bars`` rows, shape (T,); NaN without any."""
    there = np.isfinite(values)
    # Row by row over a window, not by differences of a running sum: the beginning of the history
    # must not enter the rounding.
    padded = np.concatenate([np.zeros(bars - 1), np.where(there, values, 0.0)])
    count = np.convolve(there.astype(np.float64), np.ones(bars))[: len(values)]
    total = np.lib.stride_tricks.sliding_window_view(padded, bars).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan))


def _without(card: Card, data: str) -> Card:
    """The card without the price feed, which this strategy does not read."""
    kept = tuple(use for use in card.components if use.component != data)
    return replace(card, components=kept)
