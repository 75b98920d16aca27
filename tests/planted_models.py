"""Risk models that read what is planted in them, whatever their cards say, and feeds to change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.market.history import History
from commonmode.panel.interventions import Intervention
from commonmode.panel.perturbations import add_noise, delay, drop, shift
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.model import Requirements, RiskForecast
from simulated_bars import make_history

DATA = Layer.DATA


@dataclass(frozen=True, eq=False)
class Fitted:
    scale: float

    def forecast(self, history: History, origins, *, horizon: int, level: float) -> RiskForecast:
        q = np.full(len(origins), -self.scale)
        return RiskForecast(-q / 2, q, 1.2 * q)


@dataclass(frozen=True, eq=False)
class Planted:
    """Quantile from the recent spread of the columns it reads, whatever its card says."""

    id: ModelId
    reads: tuple[str, ...]
    declares: tuple[str, ...]
    noise: np.random.Generator | None = field(default=None)
    spread: float = 0.02
    lift: float = 1.0
    requires: Requirements = field(default=Requirements(("close",), 100))

    @property
    def card(self) -> Card:
        uses = tuple(ComponentUse(ComponentId(f"feed of {name}"), DATA) for name in self.declares)
        return Card(self.id, ModelFamily.RISK, components=uses)

    def calibrate(self, history: History) -> Any:
        scale = 0.01
        for name in self.reads:
            recent = history.column(name)[-50:]
            if not np.isfinite(recent).all():
                return Failure(FailureReason.MISSING_DATA, f"{name} is not there")
            scale += float(np.std(np.diff(recent)) / (1 + np.abs(recent).mean()))
        if self.noise is not None:
            scale *= float(np.exp(self.spread * self.noise.standard_normal()))
        return Success(Fitted(self.lift * scale))


def market(times: int = 12, n: int = 2600) -> list[History]:
    bars = make_history(n, 5)
    rng = np.random.default_rng(8)
    funding = 1e-4 * (1 + 0.3 * np.cumsum(rng.standard_normal(n)) / np.sqrt(n))
    whole = replace(bars, columns={**bars.columns, "funding": funding, "tweets": funding[::-1]})
    ends = np.linspace(n // 2, n - 1, times).astype(int)
    return [whole.rows(end - 600, end + 1) for end in ends]


def feed(name: str, change: Any, what: str, size: float = 1.0) -> Intervention[History]:
    return Intervention(
        name=f"{name} {what}",
        layer=DATA,
        component=ComponentId(f"feed of {name}"),
        size=size,
        unit=what,
        perturb=change,
    )


FEEDS = tuple(
    feed(name, change, what)
    for name in ("close", "funding", "tweets")
    for change, what in (
        (drop((name,)), "drop"),
        (add_noise((name,), 1.0), "noise"),
        (shift((name,), 50.0), "shift"),
        (delay((name,), 3), "delay"),
    )
)
