"""Exponentially weighted moving average of squared returns (RiskMetrics).

Reference: J.P. Morgan/Reuters (1996), "RiskMetrics - Technical Document", 4th ed., eq. 5.3:
``sigma2_{t+1} = lambda sigma2_t + (1 - lambda) r_t^2``. Over h bars the variance is h times that of
one bar (square root of time). The quantile is that of the normal, or that of the window's own
standardised residuals (Hull and White 1998, "Incorporating volatility updating into the historical
simulation method for value-at-risk", Journal of Risk 1(1)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import FloatArray, IntArray, frozen
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.forecast.parts import (
    NAMED_BY_SETTINGS,
    SCIPY_CODE,
    SPOT_CLOSE,
    risk_card,
    window_name,
)
from commonmode.forecast.returns import returns_since, window_returns
from commonmode.forecast.tails import empirical_tail, normal_tail
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import FittedRisk, Requirements, RiskForecast

__all__ = ["Ewma", "FittedEwma", "ewma_variance"]

Innovations = Literal["normal", "empirical"]


def ewma_variance(returns: FloatArray, decay: float, initial: float) -> FloatArray:
    """Variance of each bar before it is seen, and of the one after the last.

    Parameters
    ----------
    returns : float64, shape (m,)
        Finite.
    decay : float
        ``lambda`` in (0, 1).
    initial : float
        Variance of the first bar.

    Returns
    -------
    float64, shape (m + 1,)
    """
    out = np.empty(len(returns) + 1)
    out[0] = initial
    if len(returns):
        out[1:] = lfilter([1.0 - decay], [1.0, -decay], returns**2, zi=np.array([decay * initial]))[
            0
        ]
    return out


@dataclass(frozen=True, slots=True, eq=False)
class FittedEwma:
    """The filter from the start of its window, and the shape of its residuals.

    Attributes
    ----------
    decay : float
    start_ms : int
        End of the bar before the first return of the window.
    initial : float
        Variance at the start of the window: the window's mean square.
    residuals : float64, shape (m,), or None
        Standardised returns of the window after burn-in; None for normal innovations.
    """

    decay: float
    start_ms: int
    initial: float
    residuals: FloatArray | None

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """Filter forward to each origin and scale by the square root of the horizon."""
        stream = returns_since(history, self.start_ms)
        variance = ewma_variance(stream.values, self.decay, self.initial)
        vol = np.sqrt(variance[stream.known[origins]] * horizon)
        if self.residuals is None:
            tail = normal_tail(level)
        else:
            tail = empirical_tail(self.residuals, level)
        return RiskForecast(vol, vol * tail.quantile, vol * tail.shortfall)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ewma:
    """RiskMetrics volatility with normal or empirical standardised residuals.

    Parameters
    ----------
    decay : float
        ``lambda`` per bar, in (0, 1).
    innovations : "normal" or "empirical"
    window : int
        Bars; the filter starts at its beginning, residuals are taken from it.
    refit_every : int
        Bars between refreshes of the starting variance and of the residuals.
    data, owner, purpose : str
        For the card.
    id : ModelId
        Made from the settings if empty.
    """

    decay: float = 0.97
    innovations: Innovations = "normal"
    window: int = 500
    refit_every: int = 24
    data: str = SPOT_CLOSE
    owner: str = ""
    purpose: str = ""
    id: ModelId = NAMED_BY_SETTINGS

    def __post_init__(self) -> None:
        """Check the decay and the window."""
        if not 0.0 < self.decay < 1.0:
            raise ConfigurationError(
                f"EWMA decay {self.decay} is not in (0, 1)",
                remedy="RiskMetrics uses 0.94 for daily returns; hourly ones take 0.97 to 0.99",
            )
        if self.innovations not in ("normal", "empirical"):
            raise ConfigurationError(
                f"EWMA innovations {self.innovations!r}", remedy="use 'normal' or 'empirical'"
            )
        if self.window <= self.burn_in:
            raise ConfigurationError(
                f"EWMA window of {self.window} bars is shorter than its burn-in {self.burn_in}",
                remedy="use a longer window or a smaller decay",
            )
        if not self.id:
            shape = "" if self.innovations == "normal" else "-empirical"
            object.__setattr__(self, "id", ModelId(f"ewma-{self.decay:g}{shape}"))

    @property
    def burn_in(self) -> int:
        """Bars after which the start carries a weight below 5 percent."""
        return int(np.ceil(np.log(0.05) / np.log(self.decay)))

    @property
    def requires(self) -> Requirements:
        """Closing prices over the window."""
        return Requirements(("close",), self.window, self.refit_every)

    @property
    def card(self) -> Card:
        """What it is made of."""
        normal = self.innovations == "normal"
        return risk_card(
            self.id,
            purpose=self.purpose
            or "Volatility, VaR and ES by exponentially weighted moving average",
            owner=self.owner,
            data=(self.data,),
            assumption=(
                "normal innovations" if normal else "standardised residuals iid in window",
                "zero mean return",
                "square root of time",
            ),
            technique=(
                "exponentially weighted variance",
                *(() if normal else ("empirical quantile of standardised residuals",)),
            ),
            calibration=(
                f"fixed decay {self.decay:g}",
                *(() if normal else (window_name(self.window),)),
            ),
            vendor=("RiskMetrics method",),
            code=(SCIPY_CODE,),
        )

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Take the starting variance and the residuals from the last ``window`` bars."""
        seen = window_returns(history, self.window, burn_in=self.burn_in, model=self.id)
        if isinstance(seen, Failure):
            return seen
        start = seen.value
        residuals: FloatArray | None = None
        if self.innovations == "empirical":
            sigma = np.sqrt(ewma_variance(start.values, self.decay, start.variance)[:-1])
            residuals = frozen((start.values / sigma)[self.burn_in :])
        return Success(FittedEwma(self.decay, start.start_ms, start.variance, residuals))
