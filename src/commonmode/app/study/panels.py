"""Error panels of a study, from a feed or from the laboratory's forecast worlds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from commonmode.app.study.models import StudyModels
from commonmode.app.study.schema import PanelSettings, StudyFile
from commonmode.app.study.signals import signal_histories
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import CommonmodeError, ConfigurationError
from commonmode.core.protocols import Executor, Progress
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.core.units import HOUR_MS
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.market.feed import Feed
from commonmode.market.history import History
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world
from commonmode.panel.risk import RiskPanelSpec, build_risk_panels
from commonmode.panel.signals import build_signal_panel
from commonmode.panel.surface import FittedParameters, build_surface_panel
from commonmode.register.cards import Card

__all__ = ["BuiltPanel", "build_panels", "failed_panel", "with_exposure"]


@dataclass(frozen=True, slots=True, eq=False)
class BuiltPanel:
    """One panel, or why there is none.

    Attributes
    ----------
    settings : PanelSettings
    panel : Success of ErrorPanel, or Failure
    cards : tuple of Card
        Cards that only this panel has (a laboratory world's).
    parameters : FittedParameters or None
        Of surface calibrations.
    notes : tuple of str
    inputs : mapping of name to hash
        Content of what it was built from.
    """

    settings: PanelSettings
    panel: Result[ErrorPanel]
    cards: tuple[Card, ...] = ()
    parameters: FittedParameters | None = None
    notes: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)


def failed_panel(settings: PanelSettings, error: Exception) -> BuiltPanel:
    """A panel that could not be built, with the reason."""
    message = getattr(error, "message", f"{type(error).__name__}: {error}")
    failure = Failure(
        FailureReason.CALCULATION_FAILED,
        f"panel {settings.name}: {message}",
        getattr(error, "remedy", ""),
    )
    return BuiltPanel(settings, failure)


def build_panels(
    study: StudyFile,
    models: StudyModels,
    feed: Feed,
    *,
    executor: Executor,
    progress: Progress,
) -> tuple[BuiltPanel, ...]:
    """Build every panel; one that fails is a failure with a reason, the others are unharmed.

    Risk panels over the same bars share their fits.
    """
    built: dict[str, BuiltPanel] = {}
    risk = [panel for panel in study.panels if panel.family == "risk"]
    for group in _same_bars(risk):
        built |= _attempt(group, lambda g=group: _risk(g, study, models, feed, executor, progress))
    for panel in study.panels:
        if panel.family == "surface":
            built |= _attempt(
                [panel],
                lambda p=panel: _surface(p, study, models, feed, executor, progress),
            )
        elif panel.family == "signal":
            built |= _attempt([panel], lambda p=panel: _signal(p, study, models, feed, executor))
        elif panel.family == "world":
            built |= _attempt([panel], lambda p=panel: _world(p, study.study.seed))
    return tuple(built[panel.name] for panel in study.panels)


def _attempt(settings: Sequence[PanelSettings], build: Any) -> dict[str, BuiltPanel]:
    try:
        result: dict[str, BuiltPanel] = build()
    except CommonmodeError as error:
        return {one.name: failed_panel(one, error) for one in settings}
    return result


def _same_bars(panels: Sequence[PanelSettings]) -> list[list[PanelSettings]]:
    groups: dict[tuple[Any, ...], list[PanelSettings]] = {}
    for panel in panels:
        key = (str(panel.start), str(panel.end), panel.train, panel.models)
        groups.setdefault(key, []).append(panel)
    return list(groups.values())


def _risk(
    group: Sequence[PanelSettings],
    study: StudyFile,
    models: StudyModels,
    feed: Feed,
    executor: Executor,
    progress: Progress,
) -> dict[str, BuiltPanel]:
    first = group[0]
    histories: dict[str, History] = {
        coin: feed.history(coin, first.start, first.end) for coin in study.market.underlyings
    }
    panels = build_risk_panels(
        histories,
        models.pick_risk(first.models),
        [
            RiskPanelSpec(
                name=panel.name,
                horizon=panel.horizon_hours,
                level=panel.level,
                non_overlapping=panel.non_overlapping,
            )
            for panel in group
        ],
        train=first.train,
        executor=executor,
        progress=progress,
    )
    notes = tuple(
        f"{coin}: {note.message}" for coin, history in histories.items() for note in history.notes
    )
    inputs = {f"history {coin}": history.content_hash for coin, history in histories.items()}
    return {
        settings.name: BuiltPanel(settings, Success(panel), notes=notes, inputs=inputs)
        for settings, panel in zip(group, panels, strict=True)
    }


def _surface(
    settings: PanelSettings,
    study: StudyFile,
    models: StudyModels,
    feed: Feed,
    executor: Executor,
    progress: Progress,
) -> dict[str, BuiltPanel]:
    if settings.start is None or settings.end is None:
        raise ConfigurationError(
            f"surface panel {settings.name} has no start or no end",
            remedy="give both, e.g. start = 2023-04-12T11:00:00Z",
        )
    times = feed.snapshot_times(settings.start, settings.end, settings.every_minutes)
    snapshots = list(feed.snapshots(times, study.market.underlyings))
    made = build_surface_panel(
        snapshots,
        models.pick_surface(settings.models),
        underlyings=study.market.underlyings,
        horizon_ms=settings.horizon_hours * HOUR_MS,
        name=settings.name,
        executor=executor,
        progress=progress,
    )
    seen: dict[str, int] = {}
    for note in (*made.notes, *(n for s in snapshots for n in s.notes)):
        seen[note.message] = seen.get(note.message, 0) + 1
    notes = tuple(text if count == 1 else f"{text} ({count} times)" for text, count in seen.items())
    return {
        settings.name: BuiltPanel(
            settings, Success(made.panel), parameters=made.parameters, notes=notes
        )
    }


def _signal(
    settings: PanelSettings, study: StudyFile, models: StudyModels, feed: Feed, executor: Executor
) -> dict[str, BuiltPanel]:
    strategies = models.pick_signal(settings.models)
    histories, notes = signal_histories(
        feed, study.market.underlyings, strategies, settings.start, settings.end
    )
    panel = build_signal_panel(
        histories,
        strategies,
        train=settings.train,
        horizon=settings.horizon_hours,
        name=settings.name,
        executor=executor,
    )
    inputs = {f"signals {coin}": history.content_hash for coin, history in histories.items()}
    return {settings.name: BuiltPanel(settings, Success(panel), notes=notes, inputs=inputs)}


def _world(settings: PanelSettings, seed: int) -> dict[str, BuiltPanel]:
    known = {f.name: f.type for f in fields(WorldConfig)}
    unknown = [name for name in settings.world if name not in known]
    if unknown:
        raise ConfigurationError(
            f"panel {settings.name}: a world has no parameter {', '.join(unknown)}",
            remedy=f"its parameters are: {', '.join(known)}",
        )
    values: dict[str, Any] = {
        name: int(value) if known[name] == "int" else float(value)
        for name, value in settings.world.items()
    }
    world = simulate_world(WorldConfig(**values), seed=seed)
    planted = (
        f"simulated world: {world.planted} planted in {', '.join(world.planted_models)}"
        if world.planted
        else "simulated world: nothing planted"
    )
    panel = panel_of_world(world, name=settings.name)
    return {
        settings.name: BuiltPanel(settings, Success(panel), cards=world.cards, notes=(planted,))
    }


def with_exposure(panel: ErrorPanel, exposure: FloatArray) -> ErrorPanel:
    """The panel with the USD behind each model; unchanged if nobody depends on any of them."""
    return replace(panel, exposure_usd=exposure) if np.any(exposure > 0) else panel
