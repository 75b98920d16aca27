"""Sticky strike: a smoothed volatility per strike that stays when the forward moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import SliceSurface
from commonmode.pricing.slices import ChainSlices
from commonmode.pricing.smoothing import SmoothCurves
from commonmode.pricing.sticky import SmoothedSmile
from commonmode.register.cards import Card

__all__ = ["StickyStrike", "StickyStrikeSurface"]


@dataclass(frozen=True, slots=True, eq=False)
class StickyStrikeSurface(SliceSurface):
    """Volatility as a function of strike and expiry alone.

    Attributes
    ----------
    slices : SliceTable
        Parameters ``atm_vol`` and ``vol_z...``: the curve at standardised moneyness
        ``z = ln(K/F) / (atm_vol sqrt(T))`` of the calibration.
    curves : SmoothCurves
        Nodes in USD.
    """

    curves: SmoothCurves

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """The smoothed volatility at the strike, constant beyond the quoted strikes."""
        row, found = self.slices.locate(expiry_ms)
        return np.where(found, self.curves(row, np.asarray(strike, np.float64)), np.nan)


def _strike_axis(s: ChainSlices) -> tuple[FloatArray, Callable[[float], FloatArray]]:
    forward, spread = s.slice_forward[:, None], (s.at_money_vol * np.sqrt(s.years))[:, None]
    return s.strike, lambda z: np.asarray(forward * np.exp(z * spread))


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyStrike(SmoothedSmile):
    """Each expiry smoothed in strike (Derman 1999, "Regimes of volatility": sticky strike).

    Parameters are those of :class:`~commonmode.pricing.sticky.SmoothedSmile`.
    """

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card("sticky strike")

    def calibrate(self, chain: OptionChain) -> Success[StickyStrikeSurface] | Failure:
        """Smooth every expiry; one that fails is kept as a failure of the fitted object."""
        smoothed = self._smooth(chain, _strike_axis, "sticky strike")
        if isinstance(smoothed, Failure):
            return smoothed
        return Success(StickyStrikeSurface(*smoothed.value))
