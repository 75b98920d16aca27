"""SABR fitted to each expiry on its own, by Hagan's formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing._compiled import Engine, use_numba
from commonmode.pricing.batch import fit_sabr_batch
from commonmode.pricing.fitted import SliceSurface, slice_table
from commonmode.pricing.least_squares import Solver, check_solver
from commonmode.pricing.quoted import QuotedModel
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.sabr_fit import fit_sabr_slices
from commonmode.register.cards import Card

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
class SabrPerExpiry(QuotedModel):
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
    engine : {"auto", "numba", "numpy"}
        numpy starts at once; numba fits a surface several times faster after a second to load
        (several to compile, once): for hundreds of surfaces. The two agree to the tolerance of the
        fit, not to the bit.
    solver : {"levenberg-marquardt", "trust-region"}
        The second is scipy's, in numpy, whatever the engine: slower, to see what a search adds.
    venue, owner, purpose : str
        For the card.
    """

    least_quotes = 3

    beta: float = 1.0
    engine: Engine = "numpy"
    solver: Solver = "levenberg-marquardt"

    def __post_init__(self) -> None:
        """Check the options."""
        QuotedModel.__post_init__(self)
        use_numba(self.engine)
        check_solver(self.solver, self.id)
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
        return self._card(
            assumption=("sabr dynamics", backbone),
            technique=("hagan expansion", self.solver),
            calibration=("each expiry on its own",),
            code=("commonmode.pricing.sabr", "commonmode.pricing.least_squares"),
        )

    def calibrate(self, chain: OptionChain) -> Success[SabrSurface] | Failure:
        """Fit every expiry; one that fails is kept as a failure of the fitted object."""
        selected = self._slices(chain)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        quotes = (s.forward, s.strike, s.years, s.vol, s.weight)
        if self.solver == "levenberg-marquardt" and use_numba(self.engine):
            batch = fit_sabr_batch(*quotes, beta=self.beta, engine="numba")
            alpha, rho, nu = (batch.column(name) for name in ("alpha", "rho", "nu"))
            converged = batch.converged
        else:
            fit = fit_sabr_slices(*quotes, beta=self.beta, solver=self.solver)
            alpha, rho, nu, converged = fit.alpha, fit.rho, fit.nu, fit.converged
        parameters = {
            "alpha": alpha,
            "rho": rho,
            "nu": nu,
            "converged": converged.astype(np.float64),
        }
        fitted = hagan_lognormal_vol(
            s.forward,
            s.strike,
            s.years[:, None],
            alpha[:, None],
            self.beta,
            rho[:, None],
            nu[:, None],
        )
        table = slice_table(s, parameters, fitted, what=f"SABR of {chain.underlying}")
        return table if isinstance(table, Failure) else Success(SabrSurface(table, self.beta))
