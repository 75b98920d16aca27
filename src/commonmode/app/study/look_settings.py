"""What looks at a study need to be told: sections ``[looks.NAME]`` of the study file."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field, field_validator

from commonmode.converge.monitoring_settings import MonitoringSettings
from commonmode.core.errors import CommonmodeError
from commonmode.market.clock import utc_ms

__all__ = [
    "CadenceSettings",
    "HedgingSettings",
    "ModelRiskLookSettings",
    "MonitoringLookSettings",
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


class MonitoringLookSettings(_Strict):
    """What is fixed before the monitor starts, for every panel of the study."""

    baseline_until: datetime | date | str | None = None
    false_alarms_per_year: float = Field(default=0.5, gt=0, lt=1)
    windows: tuple[int, ...] = Field(default=(7, 14, 28, 56), min_length=1)
    block_rows: int = Field(default=24, ge=1)
    half_life: float = Field(default=30.0, gt=0)

    @field_validator("baseline_until")
    @classmethod
    def _a_time(cls, until: datetime | date | str | None) -> datetime | date | str | None:
        if until is None:
            return until
        try:
            utc_ms(until)
        except CommonmodeError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
        return until

    @field_validator("windows")
    @classmethod
    def _ascending(cls, windows: tuple[int, ...]) -> tuple[int, ...]:
        if min(windows) < 1 or list(windows) != sorted(set(windows)):
            raise ValueError("windows are numbers of blocks, ascending, from 1 on")
        return windows

    @property
    def baseline_until_ms(self) -> int | None:
        """End of the baseline, UTC; None for the middle of each panel."""
        return None if self.baseline_until is None else utc_ms(self.baseline_until)

    def settings(self) -> MonitoringSettings:
        """As the monitor takes them."""
        return MonitoringSettings(
            block_rows=self.block_rows,
            half_life=self.half_life,
            windows=self.windows,
            false_alarms_per_year=self.false_alarms_per_year,
        )
