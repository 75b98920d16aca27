"""Sticky delta: a smoothed volatility per moneyness that moves with the forward.

The axis is ``z = ln(K/F) / sqrt(T)``. The delta of an option with volatility ``vol(z)`` is a
function of z alone up to the small term ``vol sqrt(T) / 2``: a smile fixed in z is fixed in delta.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import (
    SliceSurface,
    slice_table,
    surface_card,
    surface_requirements,
)
from commonmode.pricing.slices import QuoteSource, chain_slices, check_quote_options
from commonmode.pricing.smoothing import SmoothCurves, curve_parameters, smooth_curves
from commonmode.register.cards import Card
from commonmode.register.model import Requirements

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyDelta:
    """Each expiry smoothed in moneyness (Derman 1999, "Regimes of volatility": sticky delta).

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    bandwidth : float
        Kernel width in units of the distance to the nearer quoted strike, > 0.
    min_quotes : int
        Strikes that a slice needs; at least three.
    venue, owner, purpose : str
        For the card.
    """

    id: ModelId
    quotes: QuoteSource = "mark"
    bandwidth: float = 1.0
    min_quotes: int = 5
    venue: str = "deribit"
    owner: str = ""
    purpose: str = ""

    def __post_init__(self) -> None:
        """Check the options."""
        check_quote_options(self.quotes, "vega", self.min_quotes, least=3)
        if not self.bandwidth > 0:
            raise ConfigurationError(
                f"bandwidth={self.bandwidth} of {self.id} is not positive",
                remedy="1 smooths over about five strikes; smaller follows the quotes closer",
            )

    @property
    def card(self) -> Card:
        """What it is made of."""
        return surface_card(
            self.id,
            venue=self.venue,
            quotes=self.quotes,
            owner=self.owner,
            purpose=self.purpose,
            assumption=("sticky moneyness",),
            technique=("local-linear smoothing",),
            calibration=(f"kernel bandwidth {self.bandwidth:g}", "each expiry on its own"),
            code=("commonmode.pricing.smoothing",),
        )

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        return surface_requirements(self.quotes, "vega")

    def calibrate(self, chain: OptionChain) -> Success[StickyDeltaSurface] | Failure:
        """Smooth every expiry; one that fails is kept as a failure of the fitted object."""
        selected = chain_slices(chain, quotes=self.quotes, min_quotes=self.min_quotes)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        atm = s.at_money_vol
        nodes = s.log_moneyness / np.sqrt(s.years)[:, None]
        curves = smooth_curves(nodes, s.vol, s.count, bandwidth=self.bandwidth)
        parameters = curve_parameters(curves, atm, lambda z: z * atm[:, None])
        what = f"sticky delta of {chain.underlying}"
        table = slice_table(s, parameters, curves.value, what=what)
        if isinstance(table, Failure):
            return table
        return Success(StickyDeltaSurface(table, curves.rows(s.expiry_ms, table.expiry_ms)))
