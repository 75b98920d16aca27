"""Flat Black: one volatility for the whole chain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import SliceSurface, slice_table
from commonmode.pricing.quoted import QuotedModel
from commonmode.register.cards import Card

__all__ = ["FlatBlack", "FlatSurface"]


@dataclass(frozen=True, slots=True, eq=False)
class FlatSurface(SliceSurface):
    """One volatility; it reaches every expiry.

    Attributes
    ----------
    slices : SliceTable
        Parameter ``vol``; errors by slice.
    vol : float
        Annualised decimal.
    """

    vol: float

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """The volatility, whatever the option; shape (n,)."""
        return np.full(np.shape(strike), self.vol)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatBlack(QuotedModel):
    """Black (1976) as written: the weighted mean of all quoted volatilities.

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
        Within a slice; slices count by their quotes and their ``years`` (squared USD vega).
    min_quotes : int
        Strikes that a slice needs in order to count.
    venue, owner, purpose : str
        For the card.
    """

    min_quotes: int = 1

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card(
            assumption=("constant volatility",),
            technique=("weighted mean",),
            calibration=(),
            code=("commonmode.pricing.flat",),
        )

    def calibrate(self, chain: OptionChain) -> Success[FlatSurface] | Failure:
        """The least-squares constant."""
        selected = self._slices(chain)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        weight = s.weight * s.years[:, None]
        vol = float(np.sum(weight * s.vol) / np.sum(weight))
        level = np.full_like(s.vol, vol)
        table = slice_table(s, {"vol": level[:, 0]}, level, what=f"flat vol of {chain.underlying}")
        return table if isinstance(table, Failure) else Success(FlatSurface(table, vol))
