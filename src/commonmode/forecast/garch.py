"""GARCH(1,1) and GJR-GARCH(1,1,1): refitted on a window, filtered forward in between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.garch_filter import garch_variance, total_variance
from commonmode.forecast.garch_fit import (
    SOLVERS,
    GarchEstimate,
    GarchSolver,
    Innovations,
    estimate_garch,
)
from commonmode.forecast.parts import (
    NAMED_BY_SETTINGS,
    SCIPY_CODE,
    SPOT_CLOSE,
    risk_card,
    window_name,
)
from commonmode.forecast.returns import returns_since, too_short
from commonmode.forecast.tails import student_tail
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import FittedRisk, Requirements, RiskForecast

__all__ = ["FittedGarch", "Garch", "garch_parts"]

# Fewer returns than this cannot tell the parameters apart (Hwang and Valls Pereira 2006, European
# Journal of Finance 12, find strong small-sample bias of GARCH estimates below 500).
_MIN_WINDOW = 500


@dataclass(frozen=True, slots=True)
class FittedGarch:
    """Estimated parameters, and where their filter starts.

    Attributes
    ----------
    estimate : GarchEstimate
    start_ms : int
        End of the bar before the first return of the window.
    """

    estimate: GarchEstimate
    start_ms: int

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """Filter to each origin; over several bars the variance is the analytic sum.

        The shape of the sum is taken to be that of one innovation, which is conservative for
        Student t (sums are closer to the normal).
        """
        p = self.estimate.parameters
        stream = returns_since(history, self.start_ms)
        variance = garch_variance(stream.values, p, self.estimate.backcast)
        vol = np.sqrt(total_variance(variance[stream.known[origins]], p, horizon))
        tail = student_tail(level, p.dof)
        return RiskForecast(vol, vol * tail.quantile, vol * tail.shortfall)


def garch_parts(
    asymmetric: bool, innovations: Innovations, window: int, solver: GarchSolver = "slsqp"
) -> dict[str, list[str]]:
    """Components that every user of a GARCH filter shares, by layer."""
    by = "" if solver == "slsqp" else f", {solver}"
    return {
        "assumption": ["zero mean return", "variance mean reversion (GARCH)"]
        + (["leverage effect"] if asymmetric else []),
        "technique": ["gjr-garch(1,1,1) filter" if asymmetric else "garch(1,1) filter"],
        "calibration": [window_name(window), f"maximum likelihood, {innovations}{by}"],
        "vendor": ["arch"],
        "code": [SCIPY_CODE, "arch"],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Garch:
    """GARCH(1,1), or GJR-GARCH(1,1,1) with ``asymmetric``.

    Parameters
    ----------
    asymmetric : bool
        Losses raise the variance more than gains (GJR).
    innovations : "normal" or "student"
    window : int
        Bars of each fit, at least 500.
    refit_every : int
        Bars between fits.
    solver : {"slsqp", "trust-constr"}
        Who maximises the likelihood; see :data:`~commonmode.forecast.garch_fit.GarchSolver`.
    data, owner, purpose : str
        For the card.
    id : ModelId
        Made from the settings if empty.
    """

    asymmetric: bool = False
    innovations: Innovations = "normal"
    window: int = 2000
    refit_every: int = 24
    solver: GarchSolver = "slsqp"
    data: str = SPOT_CLOSE
    owner: str = ""
    purpose: str = ""
    id: ModelId = NAMED_BY_SETTINGS

    def __post_init__(self) -> None:
        """Check the window and the distribution."""
        if self.window < _MIN_WINDOW:
            raise ConfigurationError(
                f"GARCH on {self.window} bars", remedy=f"use a window of at least {_MIN_WINDOW}"
            )
        if self.innovations not in ("normal", "student"):
            raise ConfigurationError(
                f"GARCH innovations {self.innovations!r}", remedy="use 'normal' or 'student'"
            )
        if self.solver not in SOLVERS:
            raise ConfigurationError(
                f"GARCH solver {self.solver!r}", remedy=f"use one of {', '.join(SOLVERS)}"
            )
        if not self.id:
            kind = "gjr-garch" if self.asymmetric else "garch"
            letter = "t" if self.innovations == "student" else "n"
            object.__setattr__(self, "id", ModelId(f"{kind}-{letter}"))

    @property
    def requires(self) -> Requirements:
        """Closing prices over the window."""
        return Requirements(("close",), self.window, self.refit_every)

    @property
    def card(self) -> Card:
        """What it is made of."""
        parts = garch_parts(self.asymmetric, self.innovations, self.window, self.solver)
        shape = "normal innovations" if self.innovations == "normal" else "Student t innovations"
        parts["assumption"].append(shape)
        return risk_card(
            self.id,
            purpose=self.purpose or "Volatility, VaR and ES by a conditional variance model",
            owner=self.owner,
            data=(self.data,),
            assumption=parts["assumption"],
            technique=parts["technique"],
            calibration=parts["calibration"],
            vendor=parts["vendor"],
            code=parts["code"],
        )

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Fit from default starting values."""
        fitted = self.fit(history)
        return fitted if isinstance(fitted, Failure) else Success(fitted.value)

    def recalibrate(self, history: History, previous: FittedRisk) -> Success[FittedRisk] | Failure:
        """Fit starting from the previous estimate."""
        known = previous if isinstance(previous, FittedGarch) else None
        fitted = self.fit(history, known)
        return fitted if isinstance(fitted, Failure) else Success(fitted.value)

    def fit(
        self, history: History, previous: FittedGarch | None = None
    ) -> Success[FittedGarch] | Failure:
        """Fit on the last ``window`` bars, beginning at ``previous`` where there is one."""
        short = too_short(history, self.window, self.id)
        if short:
            return short
        start_ms = int(history.times_ms[-self.window - 1])
        returns = returns_since(history, start_ms).values
        if len(returns) < self.window // 2:
            return Failure(
                FailureReason.MISSING_DATA,
                f"{self.id}: {len(returns)} of {self.window} returns of {history.instrument} "
                "are there",
                "fill the gaps of the feed or use a longer history",
            )
        estimate = estimate_garch(
            returns,
            asymmetric=self.asymmetric,
            innovations=self.innovations,
            start=previous.estimate.parameters if previous else None,
            solver=self.solver,
        )
        if isinstance(estimate, Failure):
            return estimate
        return Success(FittedGarch(estimate.value, start_ms))
