"""Filtered historical simulation: GARCH volatility, the window's own residuals as innovations.

Reference: Barone-Adesi, Giannopoulos and Vosper (1999), "VaR without correlations for portfolios of
derivative securities", Journal of Futures Markets 19(5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, frozen
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.core.result import Failure, Success
from commonmode.forecast.garch import FittedGarch, Garch, garch_parts
from commonmode.forecast.garch_filter import GarchParameters, garch_variance
from commonmode.forecast.garch_fit import GarchSolver
from commonmode.forecast.parts import NAMED_BY_SETTINGS, SPOT_CLOSE, risk_card
from commonmode.forecast.returns import returns_since
from commonmode.forecast.tails import Tail, empirical_tail
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import FittedRisk, Requirements, RiskForecast

__all__ = ["FilteredHistoricalSimulation", "FittedFilteredHistorical", "simulate_sums"]


def simulate_sums(
    next_variance: float,
    parameters: GarchParameters,
    residuals: FloatArray,
    *,
    horizon: int,
    paths: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Sums of ``horizon`` returns whose innovations are drawn from ``residuals``.

    Parameters
    ----------
    next_variance : float
        Variance of the next bar.
    parameters : GarchParameters
    residuals : float64, shape (m,)
        Standardised.
    horizon, paths : int
    rng : numpy.random.Generator

    Returns
    -------
    float64, shape (paths,)
    """
    p = parameters
    drawn = residuals[rng.integers(len(residuals), size=(horizon, paths))]
    variance = np.full(paths, next_variance)
    total = np.zeros(paths)
    for innovation in drawn:
        step = np.sqrt(variance) * innovation
        total += step
        variance = p.omega + (p.alpha + p.gamma * (step < 0.0)) * step**2 + p.beta * variance
    return total


@dataclass(frozen=True, slots=True, eq=False)
class FittedFilteredHistorical:
    """A fitted GARCH filter and the residuals it left in its window.

    Attributes
    ----------
    model : ModelId
        Names the random streams.
    garch : FittedGarch
        The very fit of the GARCH model on the same window.
    residuals : float64, shape (m,)
    paths, seed : int
    """

    model: ModelId
    garch: FittedGarch
    residuals: FloatArray
    paths: int
    seed: int

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """One bar: volatility times the residuals' tail. More: simulated, one stream an origin."""
        estimate = self.garch.estimate
        returns = returns_since(history, self.garch.start_ms)
        variance = garch_variance(returns.values, estimate.parameters, estimate.backcast)
        following = variance[returns.known[origins]]
        if horizon == 1:
            vol = np.sqrt(following)
            tail = empirical_tail(self.residuals, level)
            return RiskForecast(vol, vol * tail.quantile, vol * tail.shortfall)
        vol = np.empty(len(origins))
        tails: list[Tail] = []
        for i, origin in enumerate(origins):
            time_ms = int(history.times_ms[origin])
            sums = simulate_sums(
                float(following[i]),
                estimate.parameters,
                self.residuals,
                horizon=horizon,
                paths=self.paths,
                rng=stream(self.seed, self.model, history.instrument, time_ms, horizon),
            )
            vol[i] = np.std(sums)
            tails.append(empirical_tail(sums, level))
        return RiskForecast(
            vol,
            np.array([tail.quantile for tail in tails]),
            np.array([tail.shortfall for tail in tails]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredHistoricalSimulation:
    """Historical simulation of the residuals of a GARCH(1,1) or GJR filter.

    Parameters
    ----------
    asymmetric : bool
        Filter by GJR-GARCH instead of GARCH.
    window : int
        Bars of the fit and of the residuals.
    refit_every : int
    paths : int
        Simulated paths per origin for horizons over one bar.
    seed : int
    solver : {"slsqp", "trust-constr"}
        Of the filter's likelihood; see :data:`~commonmode.forecast.garch_fit.GarchSolver`.
    data, owner, purpose : str
        For the card.
    id : ModelId
        Made from the settings if empty.
    """

    asymmetric: bool = False
    window: int = 2000
    refit_every: int = 24
    paths: int = 5000
    seed: int = 0
    solver: GarchSolver = "slsqp"
    data: str = SPOT_CLOSE
    owner: str = ""
    purpose: str = ""
    id: ModelId = NAMED_BY_SETTINGS

    def __post_init__(self) -> None:
        """Check the number of paths and, through the filter, the window."""
        if self.paths < 100:
            raise ConfigurationError(
                f"filtered historical simulation with {self.paths} paths",
                remedy="use at least 100, better a few thousand",
            )
        self._filter()
        if not self.id:
            object.__setattr__(self, "id", ModelId("fhs-gjr" if self.asymmetric else "fhs-garch"))

    def _filter(self) -> Garch:
        # The same quasi-maximum-likelihood fit as the model "garch", start values included: it is
        # one component used twice, and estimate_garch computes it once.
        return Garch(
            asymmetric=self.asymmetric,
            innovations="normal",
            window=self.window,
            refit_every=self.refit_every,
            solver=self.solver,
            data=self.data,
        )

    @property
    def requires(self) -> Requirements:
        """Closing prices over the window."""
        return Requirements(("close",), self.window, self.refit_every)

    @property
    def card(self) -> Card:
        """What it is made of; the filter's fit is shared with the GARCH model."""
        parts = garch_parts(self.asymmetric, "normal", self.window, self.solver)
        return risk_card(
            self.id,
            purpose=self.purpose or "Volatility, VaR and ES by filtered historical simulation",
            owner=self.owner,
            data=(self.data,),
            assumption=[*parts["assumption"], "standardised residuals iid in window"],
            technique=[*parts["technique"], "empirical quantile of standardised residuals"],
            calibration=parts["calibration"],
            vendor=parts["vendor"],
            code=parts["code"],
        )

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Fit the filter from default starting values and take its residuals."""
        return self._with_residuals(history, self._filter().fit(history))

    def recalibrate(self, history: History, previous: FittedRisk) -> Success[FittedRisk] | Failure:
        """Fit the filter starting from the previous estimate."""
        known = previous.garch if isinstance(previous, FittedFilteredHistorical) else None
        return self._with_residuals(history, self._filter().fit(history, known))

    def _with_residuals(
        self, history: History, fitted: Success[FittedGarch] | Failure
    ) -> Success[FittedRisk] | Failure:
        if isinstance(fitted, Failure):
            return fitted
        garch = fitted.value
        returns = returns_since(history, garch.start_ms).values
        variance = garch_variance(returns, garch.estimate.parameters, garch.estimate.backcast)
        residuals = frozen(returns / np.sqrt(variance[:-1]))
        return Success(FittedFilteredHistorical(self.id, garch, residuals, self.paths, self.seed))
