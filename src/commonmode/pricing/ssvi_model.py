"""Surface models over all expiries at once: SSVI and eSSVI, free of static arbitrage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, Success
from commonmode.core.units import YEAR_MS
from commonmode.market.chain import OptionChain
from commonmode.pricing._compiled import Engine, use_numba
from commonmode.pricing.fitted import SliceSurface, slice_table
from commonmode.pricing.least_squares import Solver, check_solver
from commonmode.pricing.quoted import QuotedModel
from commonmode.pricing.slices import ChainSlices
from commonmode.pricing.ssvi import SsviSlices, ssvi_total_variance
from commonmode.pricing.surface_fit import SurfaceFamily, SurfaceFit, fit_surface
from commonmode.register.cards import Card

__all__ = ["EssviJoint", "SsviJoint", "SsviSurface", "fit_chain_slices"]

_PHI: Final[Mapping[str, SurfaceFamily]] = MappingProxyType(
    {"power": "ssvi-power", "heston": "ssvi-heston"}
)


@dataclass(frozen=True, slots=True, eq=False)
class SsviSurface(SliceSurface):
    """A fitted SSVI or eSSVI surface; the smile moves with the forward.

    Attributes
    ----------
    slices : SliceTable
        Parameters ``theta, rho, psi`` (total variance at calibration), their standard errors
        ``theta_se, rho_se, psi_se`` and, the same for all slices, ``converged``.
    fit : SurfaceFit
        Covariance, condition and warm start.
    """

    fit: SurfaceFit

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """``sqrt(w(ln K/F, T) / T)`` with T of the expiry at calibration.

        Expiries that were not fitted are reached by interpolation without calendar arbitrage;
        NaN for an expiry at or before the calibration.
        """
        t = self.years_at_calibration(expiry_ms)
        with np.errstate(all="ignore"):
            w = self.fit.slices.total_variance(np.log(strike / forward), t)
            return np.where(t > 0, np.sqrt(w / t), np.nan)

    def years_at_calibration(self, expiry_ms: IntArray) -> FloatArray:
        """Time to expiry as it was at calibration, years, same shape; linear between slices."""
        known, years = self.slices.expiry_ms, self.slices.years
        wanted = np.asarray(expiry_ms, np.int64)
        before = years[0] - (known[0] - wanted) / YEAR_MS
        after = years[-1] + (wanted - known[-1]) / YEAR_MS
        inside = np.interp(wanted, known, years)
        return np.where(wanted < known[0], before, np.where(wanted > known[-1], after, inside))


def fit_chain_slices(
    s: ChainSlices,
    *,
    family: SurfaceFamily,
    start: FloatArray | None = None,
    huber: float = 0.0,
    engine: Engine = "auto",
    solver: Solver = "levenberg-marquardt",
) -> Success[SurfaceFit] | Failure:
    """:func:`~commonmode.pricing.surface_fit.fit_surface` on selected quotes of a chain."""
    t = s.years[:, None]
    # Squared volatility errors to first order: dw = 2 vol T dvol.
    return fit_surface(
        s.years,
        s.log_moneyness,
        s.vol**2 * t,
        s.weight / (2.0 * s.vol * t) ** 2,
        family=family,
        start=start,
        huber=huber,
        engine=engine,
        solver=solver,
    )


def _calibrate(
    chain: OptionChain,
    selected: Success[ChainSlices] | Failure,
    family: SurfaceFamily,
    huber: float,
    engine: Engine,
    solver: Solver,
) -> Success[SsviSurface] | Failure:
    if isinstance(selected, Failure):
        return selected
    s = selected.value
    fit = fit_chain_slices(s, family=family, huber=huber, engine=engine, solver=solver)
    if isinstance(fit, Failure):
        return Failure(
            fit.reason, f"{family} of {chain.underlying} at {chain.time_ms}: {fit.message}",
            fit.remedy,
        )  # fmt: skip
    found: SsviSlices = fit.value.slices
    w = ssvi_total_variance(
        s.log_moneyness, found.theta[:, None], found.rho[:, None], found.psi[:, None]
    )
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.einsum("epp->ep", fit.value.covariance))
    parameters = {
        "theta": found.theta,
        "rho": found.rho,
        "psi": found.psi,
        "theta_se": error[:, 0],
        "rho_se": error[:, 1],
        "psi_se": error[:, 2],
        "converged": np.full(len(s.years), float(fit.value.converged)),
    }
    table = slice_table(
        s, parameters, np.sqrt(w / s.years[:, None]), what=f"{family} of {chain.underlying}"
    )
    return table if isinstance(table, Failure) else Success(SsviSurface(table, fit.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joint(QuotedModel):
    """What the joint models share; the parameters are described at :class:`EssviJoint`."""

    least_quotes = 3

    huber: float = 0.0
    engine: Engine = "numpy"
    solver: Solver = "levenberg-marquardt"

    def __post_init__(self) -> None:
        """Check the options."""
        QuotedModel.__post_init__(self)
        use_numba(self.engine)
        check_solver(self.solver, self.id)
        if not self.huber >= 0.0:
            raise ConfigurationError(
                f"huber={self.huber} of {self.id} is negative",
                remedy="0 for least squares; 1.345 is the usual choice",
            )

    def _fit(self, chain: OptionChain, family: SurfaceFamily) -> Success[SsviSurface] | Failure:
        selected = self._slices(chain)
        return _calibrate(chain, selected, family, self.huber, self.engine, self.solver)

    def _joint_card(self, shape: str) -> Card:
        robust = ("huber weights",) if self.huber > 0 else ()
        return self._card(
            assumption=("sticky moneyness", shape, "no static arbitrage"),
            technique=(self.solver, *robust),
            calibration=("all expiries jointly",),
            code=("commonmode.pricing.ssvi", "commonmode.pricing.surface_fit"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SsviJoint(_Joint):
    """SSVI over all expiries (Gatheral and Jacquier 2014): one rho, one phi.

    Parameters
    ----------
    phi : {"power", "heston"}
        Family of phi; the other parameters are those of :class:`EssviJoint`.
    """

    phi: Literal["power", "heston"] = "power"

    def __post_init__(self) -> None:
        """Check the options."""
        _Joint.__post_init__(self)
        if self.phi not in _PHI:
            raise ConfigurationError(
                f"phi={self.phi!r} of {self.id} is not known", remedy="use 'power' or 'heston'"
            )

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._joint_card(f"ssvi {self.phi} smile shape")

    def calibrate(self, chain: OptionChain) -> Success[SsviSurface] | Failure:
        """Fit all expiries jointly."""
        return self._fit(chain, _PHI[self.phi])


@dataclass(frozen=True, slots=True, kw_only=True)
class EssviJoint(_Joint):
    """eSSVI over all expiries, free of arbitrage by construction (Mingone 2022).

    Parameters
    ----------
    id : ModelId
    quotes : {"mark", "mid"}
    weighting : {"vega", "spread"}
    min_quotes : int
        Strikes that a slice needs; at least three.
    huber : float
        0: least squares; else errors beyond this many robust deviations count linearly.
    engine : {"auto", "numba", "numpy"}
        numpy takes a few milliseconds per surface and starts at once; numba takes less than one,
        after a second to load (several to compile, once): for hundreds of surfaces.
    solver : {"levenberg-marquardt", "trust-region"}
        The second is scipy's, in numpy, whatever the engine: slower, to see what a search adds.
    venue, owner, purpose : str
        For the card.
    """

    @property
    def card(self) -> Card:
        """What it is made of."""
        return self._joint_card("essvi smile shape")

    def calibrate(self, chain: OptionChain) -> Success[SsviSurface] | Failure:
        """Fit all expiries jointly."""
        return self._fit(chain, "essvi")
