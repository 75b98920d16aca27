"""What a model is: it declares what it needs, calibrates, and yields a frozen fitted object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.market.chain import OptionChain
from commonmode.market.history import History
from commonmode.register.cards import Card

__all__ = [
    "FittedRisk",
    "FittedSurface",
    "Model",
    "Requirements",
    "RiskForecast",
    "RiskModel",
    "SurfaceModel",
    "WarmStarted",
]


@dataclass(frozen=True, slots=True)
class Requirements:
    """The data a model declares that it reads; it is given nothing else.

    Attributes
    ----------
    columns : tuple of str
        Columns of the :class:`History` (risk models) or of the :class:`OptionChain` (surfaces).
    window : int
        Bars of history needed before the first forecast; 0 for surface models.
    refit_every : int
        Bars between recalibrations; in between the fitted object is only filtered forward.
    """

    columns: tuple[str, ...] = field(default=("close",))
    window: int = 0
    refit_every: int = 1


@runtime_checkable
class Model(Protocol):
    """Common to all families."""

    @property
    def id(self) -> ModelId:
        """Unique name."""
        ...

    @property
    def card(self) -> Card:
        """What it is made of."""
        ...

    @property
    def requires(self) -> Requirements:
        """What it reads."""
        ...


class FittedSurface(Protocol):
    """A calibrated implied-volatility surface; immutable."""

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """Black implied volatility, annualised decimal.

        Parameters
        ----------
        strike, years, forward : float64, shape (n,)
            USD, years to expiry, USD; the forward may differ from that of the calibration
            (that is what sticky-strike and sticky-delta mean).
        expiry_ms : int64, shape (n,)
            Names the slice for models fitted per expiry.

        Returns
        -------
        float64, shape (n,)
            NaN where the surface does not reach (an expiry it was not fitted on).
        """
        ...


@runtime_checkable
class SurfaceModel(Model, Protocol):
    """A model of option prices."""

    def calibrate(self, chain: OptionChain) -> Success[FittedSurface] | Failure:
        """Fit to one chain; a failure is a value with a reason, not an exception."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RiskForecast:
    """Forecasts of the log return over a horizon, one per origin, float64, shape (n,).

    Attributes
    ----------
    vol : standard deviation of the return over the horizon (not annualised), > 0
    quantile : lower quantile of the return at the level (negative for a loss)
    shortfall : expected return given that it is below the quantile (negative)
    """

    vol: FloatArray
    quantile: FloatArray
    shortfall: FloatArray


class FittedRisk(Protocol):
    """A calibrated risk model; immutable."""

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """Forecast the return from each origin row to ``horizon`` bars later.

        Parameters
        ----------
        history : History
            Rows up to the last origin; parameters stay as calibrated, states are filtered.
        origins : int64, shape (n,)
            Rows of ``history``; the forecast of origin t may use rows 0..t only.
        horizon : int
            Bars.
        level : float
            Probability of the lower tail, e.g. 0.025.
        """
        ...


@runtime_checkable
class RiskModel(Model, Protocol):
    """A model of the risk of one instrument."""

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Fit to the history as known at its last row."""
        ...


@runtime_checkable
class WarmStarted(Protocol):
    """A risk model whose refits can begin at the previous one (optional).

    Within one block of refits the walk-forward driver calls this instead of ``calibrate`` for all
    but the first; a chain of warm starts never crosses a block, so how the work is cut up does not
    change any number.
    """

    def recalibrate(self, history: History, previous: FittedRisk) -> Success[FittedRisk] | Failure:
        """Fit to the history as known at its last row, starting from ``previous``."""
        ...
