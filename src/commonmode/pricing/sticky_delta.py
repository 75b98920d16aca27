"""Sticky delta: a smoothed volatility per moneyness or delta that moves with the forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr

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

__all__ = ["Coordinate", "StickyDelta", "StickyDeltaSurface"]

Coordinate = Literal["moneyness", "delta"]


def _coordinate(
    k: FloatArray, years: FloatArray, atm_vol: FloatArray, coordinate: Coordinate
) -> FloatArray:
    """Where log-moneyness k lies on the smile's axis; ascending in k.

    ``moneyness``: ``k / sqrt(T)``; ``delta``: ``N(-d1)`` at the slice's at-the-money volatility,
    the absolute delta of the put.
    """
    root = np.sqrt(years)
    if coordinate == "moneyness":
        return np.asarray(k / root)
    total = atm_vol * root
    return np.asarray(ndtr(k / total - 0.5 * total))


@dataclass(frozen=True, slots=True, eq=False)
class StickyDeltaSurface(SliceSurface):
    """Volatility as a function of moneyness (or delta) and expiry.

    Attributes
    ----------
    slices : SliceTable
        Parameters ``atm_vol`` and ``vol_z...``: the curve at standardised moneyness
        ``z = ln(K/F) / (atm_vol sqrt(T))``.
    curves : SmoothCurves
        Nodes in the coordinate.
    coordinate : {"moneyness", "delta"}
    """

    curves: SmoothCurves
    coordinate: Coordinate

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """The smoothed volatility where the strike lies now, constant beyond the quoted range."""
        row, found = self.slices.locate(expiry_ms)
        atm = self.slices.parameters["atm_vol"][row]
        with np.errstate(all="ignore"):
            at = _coordinate(np.log(strike / forward), years, atm, self.coordinate)
        vol = self.curves(row, np.where(np.isnan(at), 0.0, at))
        return np.where(found & ~np.isnan(at), vol, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class StickyDelta:
    """Each expiry smoothed in moneyness or delta (Derman 1999: sticky delta).

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    coordinate : {"moneyness", "delta"}
        ``ln(K/F) / sqrt(T)``, or the Black delta at the slice's at-the-money volatility.
    bandwidth : float
        Kernel width in units of the local spacing of the quotes, > 0.
    min_quotes : int
        Strikes that a slice needs; at least three.
    venue, owner, purpose : str
        For the card.
    """

    id: ModelId
    quotes: QuoteSource = "mark"
    coordinate: Coordinate = "moneyness"
    bandwidth: float = 1.0
    min_quotes: int = 5
    venue: str = "deribit"
    owner: str = ""
    purpose: str = ""

    def __post_init__(self) -> None:
        """Check the options."""
        check_quote_options(self.quotes, "vega", self.min_quotes, least=3)
        if self.coordinate not in ("moneyness", "delta"):
            raise ConfigurationError(
                f"coordinate={self.coordinate!r} of {self.id} is not known",
                remedy="use 'moneyness' or 'delta'",
            )
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
            assumption=(f"sticky {self.coordinate}",),
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
        years, atm = s.years[:, None], s.at_money_vol[:, None]
        nodes = _coordinate(s.log_moneyness, years, atm, self.coordinate)
        curves = smooth_curves(nodes, s.vol, s.count, bandwidth=self.bandwidth)
        parameters = curve_parameters(
            curves,
            s.at_money_vol,
            lambda z: _coordinate(z * atm * np.sqrt(years), years, atm, self.coordinate),
        )
        what = f"sticky {self.coordinate} of {chain.underlying}"
        table = slice_table(s, parameters, curves.value, what=what)
        if isinstance(table, Failure):
            return table
        kept = curves.rows(s.expiry_ms, table.expiry_ms)
        return Success(StickyDeltaSurface(table, kept, self.coordinate))
