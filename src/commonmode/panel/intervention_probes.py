"""How each family of models is asked under an intervention, and in what unit a move counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.market.chain import OptionChain
from commonmode.market.history import History
from commonmode.register.model import RiskModel, SurfaceModel
from commonmode.register.signal import SignalModel

__all__ = ["JUNK_COLUMN", "RiskProbe", "SignalProbe", "SurfaceProbe"]

JUNK_COLUMN: Final = "a column of noise"
"""Name of the column that the rerun placebo puts beside the data."""

_LAST_DIGIT: Final = 1e-12
_NEAR: Final = 1.5  # standard deviations of log-moneyness within which a surface is asked
_VOL_POINT: Final = 0.01
_CHAIN_NUMBERS: Final = ("bid_iv", "ask_iv", "mark_iv", "forward")


@dataclass(frozen=True, slots=True)
class _HistoryProbe:
    def junk(self, data: History, rng: np.random.Generator) -> History:
        """Beside a column of noise."""
        noise = rng.standard_normal(len(data))
        return replace(data, columns={**data.columns, JUNK_COLUMN: noise})

    def jitter(self, data: History, rng: np.random.Generator) -> History:
        """Every number changed in the 12th digit."""
        columns = {
            name: column * (1.0 + _LAST_DIGIT * rng.standard_normal(len(column)))
            for name, column in data.columns.items()
        }
        return replace(data, columns=columns)


@dataclass(frozen=True, slots=True)
class RiskProbe(_HistoryProbe):
    """Risk models: the logarithm of the quantile forecast at the last row.

    Attributes
    ----------
    horizon : int
        Bars.
    level : float
        Probability of the lower tail.
    """

    horizon: int = 1
    level: float = 0.025

    @property
    def unit(self) -> str:
        """Unit of a move."""
        return "log of the quantile"

    def ask(self, model: RiskModel, data: History, asked: History) -> Result[FloatArray]:
        """Calibrate at the last row, forecast from it."""
        fitted = model.calibrate(data)
        if isinstance(fitted, Failure):
            return fitted
        last = np.array([len(data) - 1])
        made = fitted.value.forecast(data, last, horizon=self.horizon, level=self.level)
        quantile = np.asarray(made.quantile, dtype=np.float64)
        return Success(np.log(np.where(quantile < 0.0, -quantile, np.nan)))

    def move(self, before: FloatArray, after: FloatArray) -> tuple[float, float]:
        """Of the logarithm."""
        return _rms_and_mean(after - before)


@dataclass(frozen=True, slots=True)
class SignalProbe(_HistoryProbe):
    """Strategies: the position wanted at the last row, as a share of the largest."""

    @property
    def unit(self) -> str:
        """Unit of a move."""
        return "share of the largest position"

    def ask(self, model: SignalModel, data: History, asked: History) -> Result[FloatArray]:
        """Calibrate at the last row, take the signal there."""
        fitted = model.calibrate(data)
        if isinstance(fitted, Failure):
            return fitted
        return Success(np.asarray(fitted.value.signal(data, np.array([len(data) - 1]))))

    def move(self, before: FloatArray, after: FloatArray) -> tuple[float, float]:
        """Of the position."""
        return _rms_and_mean(after - before)


@dataclass(frozen=True, slots=True)
class SurfaceProbe:
    """Surface models: volatility at the usable quotes within 1.5 deviations of the forward.

    Quotes of expiries that a model no longer reaches are left out of the move.
    """

    @property
    def unit(self) -> str:
        """Unit of a move."""
        return "vol points"

    def ask(self, model: SurfaceModel, data: OptionChain, asked: OptionChain) -> Result[FloatArray]:
        """Calibrate on ``data``, read the surface where ``asked`` has quotes."""
        fitted = model.calibrate(data)
        if isinstance(fitted, Failure):
            return fitted
        with np.errstate(invalid="ignore"):
            near = np.abs(asked.log_moneyness) <= _NEAR * asked.mark_iv * np.sqrt(asked.years)
        rows = np.flatnonzero(asked.usable & near)
        if not len(rows):
            return Failure(FailureReason.MISSING_DATA, "no usable quote near the forward")
        vols = fitted.value.implied_vol(
            asked.strike[rows], asked.years[rows], asked.forward[rows], asked.expiry_ms[rows]
        )
        return Success(np.asarray(vols, dtype=np.float64) / _VOL_POINT)

    def move(self, before: FloatArray, after: FloatArray) -> tuple[float, float]:
        """Over the quotes that both reach."""
        return _rms_and_mean(after - before)

    def junk(self, data: OptionChain, rng: np.random.Generator) -> OptionChain:
        """A copy: a chain has no room for a column nobody knows."""
        return replace(data)

    def jitter(self, data: OptionChain, rng: np.random.Generator) -> OptionChain:
        """Volatilities and forwards changed in the 12th digit."""
        changes: dict[str, Any] = {
            name: getattr(data, name) * (1.0 + _LAST_DIGIT * rng.standard_normal(len(data)))
            for name in _CHAIN_NUMBERS
        }
        return replace(data, **changes)


def _rms_and_mean(change: FloatArray) -> tuple[float, float]:
    there = change[np.isfinite(change)]
    if not len(there):
        return float("nan"), float("nan")
    return float(np.sqrt(np.mean(there**2))), float(np.mean(there))
