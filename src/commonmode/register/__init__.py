"""Models, their cards and who runs what; the common-cause graph C1."""

from __future__ import annotations

from commonmode.register.book import Book, Position
from commonmode.register.cards import Card, ComponentUse, Layer, Materiality, ModelFamily
from commonmode.register.graph import BlastRadius, CommonCauseGraph, common_cause_graph
from commonmode.register.model import (
    FittedRisk,
    FittedSurface,
    Model,
    Requirements,
    RiskForecast,
    RiskModel,
    SurfaceModel,
    WarmStarted,
)
from commonmode.register.passport import DataPassport, data_passport
from commonmode.register.population import (
    Dependence,
    Outsider,
    Participant,
    ParticipantKind,
    Population,
)
from commonmode.register.signal import FittedSignal, SignalModel, Traded

__all__ = [
    "BlastRadius",
    "Book",
    "Card",
    "CommonCauseGraph",
    "ComponentUse",
    "DataPassport",
    "Dependence",
    "FittedRisk",
    "FittedSignal",
    "FittedSurface",
    "Layer",
    "Materiality",
    "Model",
    "ModelFamily",
    "Outsider",
    "Participant",
    "ParticipantKind",
    "Population",
    "Position",
    "Requirements",
    "RiskForecast",
    "RiskModel",
    "SignalModel",
    "SurfaceModel",
    "Traded",
    "WarmStarted",
    "common_cause_graph",
    "data_passport",
]
