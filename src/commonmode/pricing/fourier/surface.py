"""Surface models with a characteristic function: Heston, Bates, Merton, Kou, variance gamma.

Heston and Bates are fitted to all expiries of a chain together: their variance has a term structure
of its own. The Lévy models have none (their smiles flatten as fast as independent increments say,
which no market does), so desks fit them to each expiry on its own; that is the default here, the
card says which, and ``scope="chain"`` asks for one law for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.pricing.fitted import SliceSurface, slice_table
from commonmode.pricing.fourier.fit import CfFit, Scope, fit_cf
from commonmode.pricing.fourier.model import CharacteristicModel
from commonmode.pricing.fourier.price import cf_implied_vol
from commonmode.pricing.fourier.spaces import SPACES, CalibratedModel
from commonmode.pricing.implied_vol import normalised_black_implied_vol
from commonmode.pricing.least_squares import Solver, check_solver
from commonmode.pricing.quoted import QuotedModel
from commonmode.pricing.slices import (
    ChainSlices,
    check_quote_options,
)
from commonmode.register.cards import Card

__all__ = [
    "BatesModel",
    "CfSurface",
    "HestonModel",
    "KouModel",
    "MertonModel",
    "VarianceGammaModel",
]

# Error of prices over the forward; those below 1e-6 are computed to relative precision instead.
_PRICE_ERROR: Final = 1e-10
_FAINT: Final = 1e-4
_LEAST_VOL: Final = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class CfSurface(SliceSurface):
    """A fitted law of ``ln(S_T / F)``; the smile moves with the forward.

    Attributes
    ----------
    slices : SliceTable
        Parameters by name (repeated where one law serves all expiries), ``converged`` and
        ``condition`` (of the Jacobian).
    fit : CfFit
        With the covariance of the parameters.
    """

    fit: CfFit

    def law(self, row: int) -> CharacteristicModel:
        """The law at a row of ``slices``, with scalar parameters."""
        space = SPACES[self.fit.kind]
        return space.kind(*(float(self.slices.parameters[name][row]) for name in space.names))

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """Volatility of the law's price at the given maturity; NaN for an expiry not fitted."""
        row, found = self.slices.locate(expiry_ms)
        out = np.full(row.shape, np.nan)
        one_law = len(self.fit.parameters) == 1
        for at in [0] if one_law else np.unique(row[found]).tolist():
            here = np.flatnonzero(found if one_law else found & (row == at))
            out[here] = cf_implied_vol(
                self.law(at), forward[here], strike[here], years[here], tolerance=_PRICE_ERROR
            )
        return np.where(out > 0, out, np.nan)


def _fitted_vol(slices: ChainSlices, fit: CfFit) -> FloatArray:
    """Volatility of the fit at its quotes, shape (E, n).

    Prices of the search are turned into volatilities where they are large against the error of the
    search. In the far wings the error that the search saw stands, a volatility to first order: the
    weight of those quotes is a hundred-thousandth of one at the money.
    """
    k, t = slices.log_moneyness, slices.years[:, None]
    with np.errstate(all="ignore"):
        unit = np.where(k > 0, fit.fitted_put - np.expm1(k), fit.fitted_put)
        total = normalised_black_implied_vol(k, unit * np.exp(-0.5 * k))
        near = slices.vol + fit.residual / np.sqrt(slices.weight * fit.outlier_weight)
        faint = np.isfinite(near) & (unit < _FAINT * np.sqrt(t))
        vol = np.where(faint, np.maximum(near, _LEAST_VOL), total / np.sqrt(t))
    vol = np.where(slices.weight > 0, vol, slices.vol)  # padding counts for nothing
    return np.where(vol > 0, vol, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CfModel(QuotedModel):
    """What the models share; see the subclasses.

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
    scope : {"chain", "expiry"}
        One law for all expiries, or one for each.
    min_quotes : int
        Strikes that a slice needs; with one law for each, more than it has parameters.
    outlier : float
        Quotes that miss by more robust standard deviations than this lose weight; inf: none.
    solver : {"levenberg-marquardt", "trust-region"}
        The second is scipy's, one problem after another: slower, to see what a search adds.
    venue, owner, purpose : str
        For the card.
    """

    kind: ClassVar[CalibratedModel]
    assumption: ClassVar[tuple[str, ...]]

    scope: Scope = "chain"
    min_quotes: int = 6
    outlier: float = 4.0
    solver: Solver = "levenberg-marquardt"

    def __post_init__(self) -> None:
        """Check the options."""
        if self.scope not in ("chain", "expiry"):
            raise ConfigurationError(
                f"scope={self.scope!r} of {self.id} is not known", remedy="use 'chain' or 'expiry'"
            )
        if not self.outlier > 0:
            raise ConfigurationError(
                f"outlier={self.outlier} of {self.id} is not positive", remedy="inf switches it off"
            )
        check_solver(self.solver, self.id)
        least = 1 + (len(SPACES[self.kind].names) if self.scope == "expiry" else 0)
        check_quote_options(self.quotes, self.weighting, self.min_quotes, least=least)

    @property
    def card(self) -> Card:
        """What it is made of."""
        together = "all expiries together" if self.scope == "chain" else "each expiry on its own"
        robust = ("huber outlier weights",) if np.isfinite(self.outlier) else ()
        return self._card(
            assumption=("sticky moneyness", *self.assumption),
            technique=("characteristic function", "cosine series", self.solver),
            calibration=(*robust, together),
            code=("commonmode.pricing.fourier",),
        )

    def calibrate(self, chain: OptionChain) -> Success[CfSurface] | Failure:
        """Fit; an expiry that cannot be used or fitted is kept as a failure of the surface."""
        return self._fit(chain, None)

    def recalibrate(self, chain: OptionChain, previous: CfSurface) -> Success[CfSurface] | Failure:
        """Fit from the parameters of ``previous``, e.g. of the last snapshot.

        From the model's own start where the previous parameters lie on a bound, or where an expiry
        is new to a model with one law for each.
        """
        return self._fit(chain, previous)

    def _fit(self, chain: OptionChain, previous: CfSurface | None) -> Success[CfSurface] | Failure:
        selected = self._slices(chain)
        if isinstance(selected, Failure):
            return selected
        s = selected.value
        what = f"{self.kind} of {chain.underlying}"
        made = fit_cf(
            self.kind,
            s.log_moneyness,
            s.years,
            s.vol,
            s.weight,
            scope=self.scope,
            outlier=self.outlier,
            solver=self.solver,
            start=None if previous is None else self._start(previous, s.expiry_ms),
        )
        if isinstance(made, Failure):
            return Failure(made.reason, f"{what}: {made.message}", made.remedy)
        fit = made.value
        columns = {name: fit.parameters[:, j] for j, name in enumerate(fit.names)}
        columns |= {"converged": fit.converged.astype(np.float64), "condition": fit.condition}
        spread = {name: np.broadcast_to(c, s.years.shape).copy() for name, c in columns.items()}
        table = slice_table(s, spread, _fitted_vol(s, fit), what=what)
        return table if isinstance(table, Failure) else Success(CfSurface(table, fit))

    def _start(self, previous: CfSurface, expiry_ms: IntArray) -> FloatArray | None:
        if previous.fit.kind != self.kind or previous.fit.at_bound.any():
            return None
        columns = [previous.slices.parameters[name] for name in SPACES[self.kind].names]
        if self.scope == "chain":
            return np.array([column[0] for column in columns])
        row, found = previous.slices.locate(expiry_ms)
        return np.stack([column[row] for column in columns], axis=1) if found.all() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class HestonModel(_CfModel):
    """Heston's stochastic variance, one law for all expiries."""

    kind = "heston"
    assumption = ("stochastic variance", "continuous price")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatesModel(_CfModel):
    """Heston's stochastic variance with normal jumps of the log price."""

    kind = "bates"
    assumption = ("stochastic variance", "normal jumps")


@dataclass(frozen=True, slots=True, kw_only=True)
class MertonModel(_CfModel):
    """Merton's jump diffusion, one law for each expiry."""

    kind = "merton"
    assumption = ("independent increments", "normal jumps")

    scope: Scope = "expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class KouModel(_CfModel):
    """Kou's double-exponential jump diffusion, one law for each expiry."""

    kind = "kou"
    assumption = ("independent increments", "double-exponential jumps")

    scope: Scope = "expiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceGammaModel(_CfModel):
    """Variance gamma, one law for each expiry."""

    kind = "variance-gamma"
    assumption = ("independent increments", "gamma clock")

    scope: Scope = "expiry"
