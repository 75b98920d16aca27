"""A risk model of one's own: exponentially weighted Parkinson ranges, normal tail.

Reference: Parkinson (1980), "The extreme value method for estimating the variance of the rate of
return", Journal of Business 53(1): a bar's variance is ``ln(high/low)^2 / (4 ln 2)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.stats import norm

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.market.history import History
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.model import FittedRisk, Requirements, RiskForecast

__all__ = ["FittedParkinsonEwma", "ParkinsonEwma"]

DEFAULT_ID = ModelId("parkinson-ewma")


def parkinson_variance(history: History) -> FloatArray:
    """Variance of each bar from its range, shape (T,); NaN where a price is missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(history.column("high") / history.column("low"))
    return np.asarray(np.where(np.isfinite(spread), spread, np.nan) ** 2 / (4.0 * np.log(2.0)))


@dataclass(frozen=True, slots=True)
class FittedParkinsonEwma:
    """The filter's memory, where it starts, and the returns' variance per unit of range variance.

    Attributes
    ----------
    decay : float
    start_ms : int
    initial : float
    scale : float
    """

    decay: float
    start_ms: int
    initial: float
    scale: float

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """Filter the ranges forward to each origin; square root of time, normal tail."""
        variance = parkinson_variance(history)
        use = np.isfinite(variance) & (history.times_ms > self.start_ms)
        start = np.array([self.decay * self.initial])
        seen, _ = lfilter([1.0 - self.decay], [1.0, -self.decay], variance[use], zi=start)
        state = np.concatenate(([self.initial], seen))[np.cumsum(use)[origins]]
        vol = np.sqrt(self.scale * state * horizon)
        quantile = float(norm.ppf(level))
        shortfall = -float(norm.pdf(quantile)) / level
        return RiskForecast(vol, vol * quantile, vol * shortfall)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkinsonEwma:
    """Exponentially weighted ranges.

    Parameters
    ----------
    decay : float
    window : int
        Bars; the returns' own variance over it fixes the level.
    id : ModelId
    """

    decay: float = 0.95
    window: int = 500
    id: ModelId = DEFAULT_ID

    @property
    def requires(self) -> Requirements:
        """High, low and close over the window, refitted daily."""
        return Requirements(("close", "high", "low"), self.window, 24)

    @property
    def card(self) -> Card:
        """What it is made of; names equal to those of other cards mean shared parts."""
        parts = {
            Layer.DATA: ("binance spot hourly high and low",),
            Layer.ASSUMPTION: ("normal innovations", "square root of time"),
            Layer.TECHNIQUE: ("exponentially weighted variance", "Parkinson range"),
            Layer.CALIBRATION: (f"fixed decay {self.decay:g}", f"{self.window} h window"),
            Layer.CODE: ("my_model",),
        }
        return Card(
            model=self.id,
            family=ModelFamily.RISK,
            owner="you",
            purpose="An example of a model from outside",
            components=tuple(
                ComponentUse(ComponentId(name), layer)
                for layer, names in parts.items()
                for name in names
            ),
        )

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Match the mean of the ranges to the variance of the returns over the window."""
        if len(history) <= self.window:
            return Failure(
                FailureReason.MISSING_DATA,
                f"{self.id} needs {self.window + 1} bars, got {len(history)}",
                "give a longer history or a shorter window",
            )
        recent = history.rows(len(history) - self.window - 1, len(history))
        returns, ranges = recent.log_returns[1:], parkinson_variance(recent)[1:]
        both = np.isfinite(returns) & np.isfinite(ranges)
        initial = float(ranges[both].mean()) if both.any() else 0.0
        if not initial > 0.0:
            return Failure(
                FailureReason.INVALID_INPUT,
                f"{self.id}: no bar of {history.instrument} moved in the window",
                "check the feed for stale bars",
            )
        scale = float(np.mean(returns[both] ** 2)) / initial
        start_ms = int(recent.times_ms[0])
        return Success(FittedParkinsonEwma(self.decay, start_ms, initial, scale))
