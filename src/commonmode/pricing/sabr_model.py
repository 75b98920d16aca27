"""SABR fitted to each expiry on its own, by Hagan's formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import SliceSurface, slice_table, surface_card, surface_requirements
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.sabr_fit import fit_sabr_slices
from commonmode.pricing.slices import QuoteSource, Weighting, chain_slices, check_quote_options
from commonmode.register.cards import Card
from commonmode.register.model import Requirements

__all__ = ["SabrPerExpiry", "SabrSurface"]


@dataclass(frozen=True, slots=True, eq=False)
class SabrSurface(SliceSurface):
    """SABR slices; the smile moves with the forward along the backbone of beta.

    Attributes
    ----------
    slices : SliceTable
        Parameters ``alpha, rho, nu, converged``.
    beta : float
    """

    beta: float

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """Hagan's volatility; NaN for an expiry not fitted or where the formula is not positive."""
        row, found = self.slices.locate(expiry_ms)
        alpha, rho, nu = (self.slices.parameters[name][row] for name in ("alpha", "rho", "nu"))
        vol = hagan_lognormal_vol(forward, strike, years, alpha, self.beta, rho, nu)
        return np.where(found & (vol > 0), vol, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrPerExpiry:
    """SABR by expiry with a fixed beta.

    Parameters
    ----------
    id : ModelId
    beta : float
        Backbone exponent in [0, 1].
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
    min_quotes : int
        Strikes that a slice needs; at least three.
    venue, owner, purpose : str
        For the card.
    """

    id: ModelId
    beta: float = 1.0
    quotes: QuoteSource = "mark"
    weighting: Weighting = "vega"
    min_quotes: int = 5
    venue: str = "deribit"
    owner: str = ""
    purpose: str = ""

    def __post_init__(self) -> None:
        """Check the options."""
        check_quote_options(self.quotes, self.weighting, self.min_quotes, least=3)
        if not 0.0 <= self.beta <= 1.0:
            raise ConfigurationError(
                f"beta={self.beta} of {self.id} is not in [0, 1]",
                remedy="1 (lognormal backbone) is the usual choice in crypto",
            )

    @property
    def card(self) -> Card:
        """What it is made of."""
        # With a lognormal backbone the smile depends on the moneyness alone.
        backbone = "sticky moneyness" if self.beta == 1.0 else f"sabr beta {self.beta:g}"
        return surface_card(
            self.id,
            venue=self.venue,
            quotes=self.quotes,
            owner=self.owner,
            purpose=self.purpose,
            assumption=("sabr dynamics", backbone),
            technique=("hagan expansion", "levenberg-marquardt"),
            calibration=(f"{self.weighting}-weighted least squares", "each expiry on its own"),
            code=("commonmode.pricing.sabr", "commonmode.pricing.least_squares"),
        )

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        return surface_requirements(self.quotes, self.weighting)

    def calibrate(self, chain: OptionChain) -> Success[SabrSurface] | Failure:
        """Fit every expiry; one that fails is kept as a failure of the fitted object."""
        selected = chain_slices(
            chain, quotes=self.quotes, weighting=self.weighting, min_quotes=self.min_quotes
        )
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        fit = fit_sabr_slices(s.forward, s.strike, s.years, s.vol, s.weight, beta=self.beta)
        parameters = {
            "alpha": fit.alpha,
            "rho": fit.rho,
            "nu": fit.nu,
            "converged": fit.converged.astype(np.float64),
        }
        fitted = hagan_lognormal_vol(
            s.forward,
            s.strike,
            s.years[:, None],
            fit.alpha[:, None],
            self.beta,
            fit.rho[:, None],
            fit.nu[:, None],
        )
        table = slice_table(s, parameters, fitted, what=f"SABR of {chain.underlying}")
        return table if isinstance(table, Failure) else Success(SabrSurface(table, self.beta))
