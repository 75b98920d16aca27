"""What looks at a study need to be told: sections ``[looks.NAME]`` of the study file."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CadenceSettings",
    "HedgingSettings",
    "ModelRiskLookSettings",
    "StrategySettings",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CadenceSettings(_Strict):
    """How often models are recalibrated, tried out."""

    hours: tuple[int, ...] = Field(default=(1, 24, 168), min_length=1)
    risk_models: tuple[str, ...] = ()
    spans: int = Field(default=24, ge=6)
    span_hours: int = Field(default=168, ge=24)
    surface_minutes: tuple[int, ...] = (60, 240)
    surface_models: tuple[str, ...] = ()
    give_up: float = Field(default=0.01, gt=0, lt=1)


class StrategySettings(_Strict):
    """Trading strategies, and the risk models they are held against."""

    risk_panel: str = ""
    exposure_usd: dict[str, float] = Field(default_factory=dict)
    lags: int = Field(default=3, ge=0)


class ModelRiskLookSettings(_Strict):
    """Model risk of books in money."""

    inside: float = Field(default=0.5, ge=0, le=1)
    confidence: float = Field(default=0.9, gt=0, lt=1)
    radii: tuple[float, ...] = (0.02, 0.1, 0.5)
    scenario_days: int = Field(default=365, ge=30)
    scenario_hours: int = Field(default=24, ge=1)


class HedgingSettings(_Strict):
    """Hedging errors on the market's own path."""

    reference: str = ""
    hours: int = Field(default=36, ge=8)
    every_minutes: int = Field(default=60, ge=5)
