"""A black box: a model of which only the forecasts are known.

The arrays come from whoever read the file; the box itself answers from them and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.parts import risk_card
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.model import FittedRisk, Requirements, RiskForecast

__all__ = ["BlackBox", "FittedBlackBox", "RecordedForecasts"]


@dataclass(frozen=True, slots=True, eq=False)
class RecordedForecasts:
    """Forecasts of one instrument, horizon and level.

    Attributes
    ----------
    instrument : InstrumentId
    horizon : int
        Bars.
    level : float
    times_ms : int64, shape (m,)
        When each forecast was made, strictly increasing.
    quantile : float64, shape (m,)
    vol, shortfall : float64, shape (m,), or None
        None where the box does not say.
    """

    instrument: InstrumentId
    horizon: int
    level: float
    times_ms: IntArray
    quantile: FloatArray
    vol: FloatArray | None = None
    shortfall: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check shapes and the order of times."""
        n = len(self.times_ms)
        for name in ("quantile", "vol", "shortfall"):
            array = getattr(self, name)
            if array is not None and array.shape != (n,):
                raise DataError(
                    f"black box on {self.instrument}: {name} has shape {array.shape}, "
                    f"expected ({n},)",
                    remedy="give one forecast per time",
                )
        if n and np.any(np.diff(self.times_ms) <= 0):
            raise DataError(
                f"black box on {self.instrument}: times are not strictly increasing",
                remedy="sort the rows and drop duplicate times",
            )

    def at(self, times_ms: IntArray) -> RiskForecast:
        """Forecasts made exactly at ``times_ms``, shape (n,); NaN where there is none."""
        n = len(self.times_ms)
        if not n:
            nothing = np.full(len(times_ms), np.nan)
            return RiskForecast(nothing, nothing, nothing)
        place = np.minimum(np.searchsorted(self.times_ms, times_ms), n - 1)
        found = self.times_ms[place] == times_ms

        def pick(array: FloatArray | None) -> FloatArray:
            if array is None:
                return np.full(len(times_ms), np.nan)
            return np.where(found, array[place], np.nan)

        return RiskForecast(pick(self.vol), pick(self.quantile), pick(self.shortfall))


@dataclass(frozen=True, slots=True, eq=False)
class FittedBlackBox:
    """Answers from what was recorded; NaN for what was not.

    Attributes
    ----------
    recorded : tuple of RecordedForecasts
    """

    recorded: tuple[RecordedForecasts, ...]

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        """Look up the forecasts made at the times of the origins."""
        for series in self.recorded:
            same = series.instrument == history.instrument and series.horizon == horizon
            if same and abs(series.level - level) < 1e-12:
                return series.at(history.times_ms[origins])
        nothing = np.full(len(origins), np.nan)
        return RiskForecast(nothing, nothing, nothing)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlackBox:
    """A model known by its forecasts alone.

    Parameters
    ----------
    id : ModelId
    recorded : sequence of RecordedForecasts
    declared : Card, optional
        What its owner declares about it; an empty card otherwise.
    """

    id: ModelId
    recorded: Sequence[RecordedForecasts]
    declared: Card | None = field(default=None)

    @property
    def requires(self) -> Requirements:
        """Only the clock: its forecasts are looked up by time."""
        return Requirements(("close",), 0, 24)

    @property
    def card(self) -> Card:
        """What its owner declares; nothing is known otherwise."""
        return self.declared or risk_card(
            self.id, purpose="Forecasts read from a file", owner="undeclared"
        )

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        """Find the instrument among what was recorded."""
        mine = tuple(r for r in self.recorded if r.instrument == history.instrument)
        if not mine:
            known = ", ".join(sorted({r.instrument for r in self.recorded})) or "nothing"
            return Failure(
                FailureReason.MISSING_DATA,
                f"{self.id} holds no forecasts of {history.instrument}",
                f"its file covers: {known}",
            )
        return Success(FittedBlackBox(mine))
