"""SVI fitted to each expiry on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import SliceSurface, slice_table, surface_card, surface_requirements
from commonmode.pricing.slices import QuoteSource, Weighting, chain_slices, check_quote_options
from commonmode.pricing.svi import svi_durrleman_g, svi_total_variance
from commonmode.pricing.svi_fit import fit_svi_slices
from commonmode.register.cards import Card
from commonmode.register.model import Requirements

__all__ = ["SviPerExpiry", "SviSurface"]

_RAW: Final = ("a", "b", "rho", "m", "sigma")
_G_NODES: Final = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True, eq=False)
class SviSurface(SliceSurface):
    """Raw SVI slices; the smile moves with the forward, vol at a moneyness stays as time passes.

    Attributes
    ----------
    slices : SliceTable
        Parameters ``a, b, rho, m, sigma`` (total variance at calibration), ``min_g`` (smallest
        Durrleman function over the quoted range; negative: butterfly arbitrage), ``converged``.
    """

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """``sqrt(w(ln K/F) / T)`` with T of the calibration; NaN for an expiry not fitted."""
        row, found = self.slices.locate(expiry_ms)
        raw = (self.slices.parameters[name][row] for name in _RAW)
        with np.errstate(all="ignore"):
            w = svi_total_variance(np.log(strike / forward), *raw)
            return np.where(found, np.sqrt(w / self.slices.years[row]), np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class SviPerExpiry:
    """Gatheral's SVI by expiry, quasi-explicit calibration.

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
    min_quotes : int
        Strikes that a slice needs; at least five, as SVI has five parameters.
    venue, owner, purpose : str
        For the card.
    """

    id: ModelId
    quotes: QuoteSource = "mark"
    weighting: Weighting = "vega"
    min_quotes: int = 6
    venue: str = "deribit"
    owner: str = ""
    purpose: str = ""

    def __post_init__(self) -> None:
        """Check the options."""
        check_quote_options(self.quotes, self.weighting, self.min_quotes, least=5)

    @property
    def card(self) -> Card:
        """What it is made of."""
        return surface_card(
            self.id,
            venue=self.venue,
            quotes=self.quotes,
            owner=self.owner,
            purpose=self.purpose,
            assumption=("sticky moneyness", "svi smile shape"),
            technique=("svi quasi-explicit", "levenberg-marquardt"),
            calibration=(f"{self.weighting}-weighted least squares", "each expiry on its own"),
            code=("commonmode.pricing.svi", "commonmode.pricing.least_squares"),
        )

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        return surface_requirements(self.quotes, self.weighting)

    def calibrate(self, chain: OptionChain) -> Success[SviSurface] | Failure:
        """Fit every expiry; one that fails is kept as a failure of the fitted object."""
        selected = chain_slices(
            chain, quotes=self.quotes, weighting=self.weighting, min_quotes=self.min_quotes
        )
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        k, t = s.log_moneyness, s.years[:, None]
        # Squared volatility errors to first order: dw = 2 vol T dvol.
        fit = fit_svi_slices(k, s.vol**2 * t, s.weight / (2.0 * s.vol * t) ** 2)
        raw = {name: getattr(fit, name) for name in _RAW}
        column = {name: value[:, None] for name, value in raw.items()}
        with np.errstate(invalid="ignore"):
            fitted = np.sqrt(svi_total_variance(k, **column) / t)
        low, high = k.min(axis=1, keepdims=True), k.max(axis=1, keepdims=True)
        g = svi_durrleman_g(low + _G_NODES * (high - low), **column)
        extra = {"min_g": g.min(axis=1), "converged": fit.converged.astype(np.float64)}
        table = slice_table(s, raw | extra, fitted, what=f"SVI of {chain.underlying}")
        return table if isinstance(table, Failure) else Success(SviSurface(table))
