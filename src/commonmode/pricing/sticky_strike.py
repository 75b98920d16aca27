"""Sticky strike: a smoothed volatility per strike that stays when the forward moves."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyStrike:
    """Each expiry smoothed in strike (Derman 1999, "Regimes of volatility": sticky strike).

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
            assumption=("sticky strike",),
            technique=("local-linear smoothing",),
            calibration=(f"kernel bandwidth {self.bandwidth:g}", "each expiry on its own"),
            code=("commonmode.pricing.smoothing",),
        )

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        return surface_requirements(self.quotes, "vega")

    def calibrate(self, chain: OptionChain) -> Success[StickyStrikeSurface] | Failure:
        """Smooth every expiry; one that fails is kept as a failure of the fitted object."""
        selected = chain_slices(chain, quotes=self.quotes, min_quotes=self.min_quotes)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        curves = smooth_curves(s.strike, s.vol, s.count, bandwidth=self.bandwidth)
        atm = s.at_money_vol
        forward, root = s.slice_forward[:, None], np.sqrt(s.years)[:, None]
        parameters = curve_parameters(
            curves, atm, lambda z: forward * np.exp(z * atm[:, None] * root)
        )
        what = f"sticky strike of {chain.underlying}"
        table = slice_table(s, parameters, curves.value, what=what)
        if isinstance(table, Failure):
            return table
        return Success(StickyStrikeSurface(table, curves.rows(s.expiry_ms, table.expiry_ms)))
