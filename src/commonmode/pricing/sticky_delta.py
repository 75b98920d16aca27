"""Sticky delta: a smoothed volatility per moneyness that moves with the forward.

The axis is ``z = ln(K/F) / sqrt(T)``. The delta of an option with volatility ``vol(z)`` is a
function of z alone up to the small term ``vol sqrt(T) / 2``: a smile fixed in z is fixed in delta.
"""

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

__all__ = ["StickyDelta", "StickyDeltaSurface"]


@dataclass(frozen=True, slots=True, eq=False)
class StickyDeltaSurface(SliceSurface):
    """Volatility as a function of ``ln(K/F) / sqrt(T)`` and expiry.

    Attributes
    ----------
    slices : SliceTable
        Parameters ``atm_vol`` and ``vol_z...``: the curve at standardised moneyness
        ``z = ln(K/F) / (atm_vol sqrt(T))``.
    curves : SmoothCurves
        Nodes in ``ln(K/F) / sqrt(T)``.
    """

    curves: SmoothCurves

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """The smoothed volatility where the strike lies now, constant beyond the quoted range."""
        row, found = self.slices.locate(expiry_ms)
        with np.errstate(all="ignore"):
            at = np.log(strike / forward) / np.sqrt(years)
        vol = self.curves(row, np.where(np.isnan(at), 0.0, at))
        return np.where(found & ~np.isnan(at), vol, np.nan)


def _moneyness_axis(s: ChainSlices) -> tuple[FloatArray, Callable[[float], FloatArray]]:
    nodes = s.log_moneyness / np.sqrt(s.years)[:, None]
    return nodes, lambda z: np.asarray(z * s.at_money_vol[:, None])


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyDelta(SmoothedSmile):
    """Each expiry smoothed in moneyness (Derman 1999, "Regimes of volatility": sticky delta).

    Parameters are those of :class:`~commonmode.pricing.sticky.SmoothedSmile`.
    """

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card("sticky moneyness")

    def calibrate(self, chain: OptionChain) -> Success[StickyDeltaSurface] | Failure:
        """Smooth every expiry; one that fails is kept as a failure of the fitted object."""
        smoothed = self._smooth(chain, _moneyness_axis, "sticky delta")
        if isinstance(smoothed, Failure):
            return smoothed
        return Success(StickyDeltaSurface(*smoothed.value))
