"""The risk models that ship with commonmode, by the name of their type in a study file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from commonmode.forecast.blackbox import BlackBox
from commonmode.forecast.ewma import Ewma
from commonmode.forecast.filtered_historical import FilteredHistoricalSimulation
from commonmode.forecast.garch import Garch
from commonmode.forecast.historical import HistoricalSimulation
from commonmode.register.model import RiskModel

__all__ = ["RISK_MODELS", "ordinary_risk_models"]

RISK_MODELS: Final[Mapping[str, Callable[..., RiskModel]]] = MappingProxyType(
    {
        "black-box": BlackBox,
        "ewma": Ewma,
        "filtered-historical-simulation": FilteredHistoricalSimulation,
        "garch": Garch,
        "gjr-garch": partial(Garch, asymmetric=True, innovations="student"),
        "historical-simulation": HistoricalSimulation,
    }
)


def ordinary_risk_models() -> tuple[RiskModel, ...]:
    """The seven risk models that most desks would recognise, with their usual settings."""
    return (
        HistoricalSimulation(window=500),
        HistoricalSimulation(window=2000),
        Ewma(decay=0.97),
        Ewma(decay=0.99, innovations="empirical", window=2000),
        Garch(),
        Garch(asymmetric=True, innovations="student"),
        FilteredHistoricalSimulation(),
    )
