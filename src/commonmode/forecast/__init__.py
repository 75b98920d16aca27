"""Forecasts of volatility, value at risk and expected shortfall."""

from __future__ import annotations

from commonmode.forecast.blackbox import BlackBox, FittedBlackBox, RecordedForecasts
from commonmode.forecast.builtin import RISK_MODELS, ordinary_risk_models
from commonmode.forecast.ewma import Ewma, FittedEwma
from commonmode.forecast.filtered_historical import (
    FilteredHistoricalSimulation,
    FittedFilteredHistorical,
)
from commonmode.forecast.garch import FittedGarch, Garch
from commonmode.forecast.garch_filter import GarchParameters
from commonmode.forecast.garch_fit import GarchEstimate
from commonmode.forecast.historical import FittedHistoricalSimulation, HistoricalSimulation

__all__ = [
    "RISK_MODELS",
    "BlackBox",
    "Ewma",
    "FilteredHistoricalSimulation",
    "FittedBlackBox",
    "FittedEwma",
    "FittedFilteredHistorical",
    "FittedGarch",
    "FittedHistoricalSimulation",
    "Garch",
    "GarchEstimate",
    "GarchParameters",
    "HistoricalSimulation",
    "RecordedForecasts",
    "ordinary_risk_models",
]
