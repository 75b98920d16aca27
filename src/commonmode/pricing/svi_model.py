"""SVI fitted to each expiry on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing._compiled import Engine, use_numba
from commonmode.pricing.batch import fit_svi_batch
from commonmode.pricing.fitted import SliceSurface, slice_table
from commonmode.pricing.least_squares import Solver, check_solver
from commonmode.pricing.quoted import QuotedModel
from commonmode.pricing.svi import svi_durrleman_g, svi_total_variance
from commonmode.pricing.svi_fit import fit_svi_slices
from commonmode.register.cards import Card

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
class SviPerExpiry(QuotedModel):
    """Gatheral's SVI by expiry, quasi-explicit calibration.

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
    min_quotes : int
        Strikes that a slice needs; at least five, as SVI has five parameters.
    engine : {"auto", "numba", "numpy"}
        numpy starts at once; numba fits a surface several times faster after a second to load
        (several to compile, once): for hundreds of surfaces. The two agree to the tolerance of the
        fit, not to the bit.
    solver : {"levenberg-marquardt", "trust-region"}
        The second is scipy's, in numpy, whatever the engine: slower, to see what a search adds.
    venue, owner, purpose : str
        For the card.
    """

    least_quotes = 5

    min_quotes: int = 6
    engine: Engine = "numpy"
    solver: Solver = "levenberg-marquardt"

    def __post_init__(self) -> None:
        """Check the options."""
        QuotedModel.__post_init__(self)
        use_numba(self.engine)
        check_solver(self.solver, self.id)

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._card(
            assumption=("sticky moneyness", "svi smile shape"),
            technique=("svi quasi-explicit", self.solver),
            calibration=("each expiry on its own",),
            code=("commonmode.pricing.svi", "commonmode.pricing.least_squares"),
        )

    def calibrate(self, chain: OptionChain) -> Success[SviSurface] | Failure:
        """Fit every expiry; one that fails is kept as a failure of the fitted object."""
        selected = self._slices(chain)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        k, t = s.log_moneyness, s.years[:, None]
        # Squared volatility errors to first order: dw = 2 vol T dvol.
        w, weight = s.vol**2 * t, s.weight / (2.0 * s.vol * t) ** 2
        if self.solver == "levenberg-marquardt" and use_numba(self.engine):
            batch = fit_svi_batch(k, w, weight, engine="numba")
            raw, converged = {name: batch.column(name) for name in _RAW}, batch.converged
        else:
            fit = fit_svi_slices(k, w, weight, solver=self.solver)
            raw, converged = {name: getattr(fit, name) for name in _RAW}, fit.converged
        column = {name: value[:, None] for name, value in raw.items()}
        with np.errstate(invalid="ignore"):
            fitted = np.sqrt(svi_total_variance(k, **column) / t)
        low, high = k.min(axis=1, keepdims=True), k.max(axis=1, keepdims=True)
        g = svi_durrleman_g(low + _G_NODES * (high - low), **column)
        extra = {"min_g": g.min(axis=1), "converged": converged.astype(np.float64)}
        table = slice_table(s, raw | extra, fitted, what=f"SVI of {chain.underlying}")
        return table if isinstance(table, Failure) else Success(SviSurface(table))
