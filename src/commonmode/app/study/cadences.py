"""Look ``cadence``: how often should each model be recalibrated?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from commonmode.app.study.look_context import LookAnswer, LookContext, LookTable, inapplicable
from commonmode.app.study.schema import PanelSettings
from commonmode.converge.cadence import CadenceAdvice
from commonmode.converge.cadence_sweep import (
    CadenceSweep,
    sweep_risk_cadences,
    sweep_surface_cadences,
)
from commonmode.converge.findings import Finding, Severity
from commonmode.core.errors import CommonmodeError, ConfigurationError
from commonmode.core.ids import CurrencyCode
from commonmode.core.result import Failure
from commonmode.core.units import HOUR_MS
from commonmode.market.chain import OptionChain
from commonmode.panel.refits import spread_spans
from commonmode.panel.surface_refits import walk_surfaces
from commonmode.register.model import RiskModel, SurfaceModel

__all__ = ["look_at_cadences"]

_EVALUATED = 150  # times of a surface sweep at which errors are measured, about
_REFITS = 24  # of a span at most: shorter cadences are tried on its first bars
_STEPS = 2  # steps that every span has at least, as in walk_at_cadence
_FEWEST = 6

_COLUMNS = (
    "model",
    "target",
    "family",
    "interval",
    "hours",
    "present",
    "recommended",
    "loss",
    "change_share",
    "low_share",
    "high_share",
    "detectable_share",
    "p_better",
    "p_worse",
    "step",
    "step_a_week",
    "comes_back_share",
    "gone_at_once_share",
    "synchrony",
    "p_foretold",
)


@dataclass(frozen=True, slots=True)
class _Swept:
    target: str
    family: str
    sweep: CadenceSweep


def look_at_cadences(context: LookContext) -> LookAnswer | Failure:
    """Try every model at several intervals between recalibrations, on every coin."""
    study, settings = context.study, context.study.looks.cadence
    notes: list[str] = []
    swept: list[_Swept] = []
    risk = _named(context.models.risk, settings.risk_models, "looks.cadence.risk_models")
    surface = _named(
        context.models.surface, settings.surface_models, "looks.cadence.surface_models"
    )
    for coin in study.market.underlyings:
        for family, models in (("risk", risk), ("surface", surface)):
            if not models:
                notes.append(f"{family} models: the study has none")
                continue
            try:
                found = (
                    _risk(context, coin, models)
                    if family == "risk"
                    else _surface(context, coin, models, notes)
                )
            except CommonmodeError as error:
                notes.append(f"{coin}, {family} models: {error.message} ({error.remedy})")
                continue
            if found is not None:
                swept.append(_Swept(coin, family, found))
    if not swept:
        return inapplicable(
            "no model could be walked at several intervals: " + "; ".join(dict.fromkeys(notes)),
            "the look needs risk models with hourly bars, or surface models and a surface panel "
            "with start and end",
        )
    return LookAnswer(_findings(swept), (_table(swept),), tuple(dict.fromkeys(notes)))


def _named(models: Sequence[Any], names: Sequence[str], key: str) -> tuple[Any, ...]:
    known = [model.id for model in models]
    strange = [name for name in names if name not in known]
    if strange:
        raise ConfigurationError(
            f"{key} names {', '.join(strange)}", remedy=f"the study has: {', '.join(known)}"
        )
    return tuple(model for model in models if not names or model.id in names)


def _panel(context: LookContext, family: str) -> PanelSettings | None:
    """The study's first panel of a family: its period is the one looked at."""
    return next((p for p in context.study.panels if p.family == family), None)


def _risk(context: LookContext, coin: str, models: Sequence[RiskModel]) -> CadenceSweep:
    settings = context.study.looks.cadence
    panel = _panel(context, "risk")
    history = context.feed.history(
        coin, panel.start if panel else None, panel.end if panel else None
    )
    bar = history.step_ms / HOUR_MS
    cadences = sorted({max(round(hours / bar), 1) for hours in settings.hours})
    length = max(round(settings.span_hours / bar), 1)
    first = max(
        model.requires.window + max(_STEPS + 1 - math.ceil(length / every), 1) * every
        for model in models
        for every in (*cadences, model.requires.refit_every)
    )
    rows = len(history) - 1
    spans = spread_spans(
        rows,
        first=first,
        length=length,
        count=min(settings.spans, max((rows - first) // length, _FEWEST)),
    )
    return sweep_risk_cadences(
        history,
        models,
        spans,
        cadences=cadences,
        level=panel.level if panel else 0.025,
        most_refits=_REFITS,
        margin=settings.give_up,
        alpha=context.study.indices.alpha,
        flips=context.study.indices.flips,
        rng=context.study.study.seed,
        executor=context.executor,
    )


def _surface(
    context: LookContext, coin: str, models: Sequence[SurfaceModel], notes: list[str]
) -> CadenceSweep | None:
    settings = context.study.looks.cadence
    panel = _panel(context, "surface")
    if panel is None or panel.start is None or panel.end is None:
        notes.append("surface models: the study has no surface panel with start and end")
        return None
    grid = min(*settings.surface_minutes, panel.every_minutes)
    times = context.feed.snapshot_times(panel.start, panel.end, grid)
    name = CurrencyCode(coin)
    chains: list[OptionChain] = [
        one.chains[name] for one in context.feed.snapshots(times, (coin,)) if name in one.chains
    ]
    present = max(panel.every_minutes // grid, 1)
    tried = sorted({max(minutes // grid, 1) for minutes in settings.surface_minutes} | {present})
    too_long = [every for every in tried if every >= len(chains)]
    if too_long:
        notes.append(
            f"{coin}, surface models: {len(chains)} snapshots {grid} minutes apart hold no refit "
            f"every {', '.join(str(every * grid) for every in too_long)} minutes"
        )
    walks = walk_surfaces(
        chains,
        models,
        cadences=[every for every in tried if every < len(chains)],
        evaluate_every=max(round(len(chains) / _EVALUATED), 1),
    )
    notes += [
        f"{coin}, {model}: {count} of {len(chains)} snapshots could not be fitted; the last "
        "surface stayed in use"
        for model, count in walks.failures.items()
        if count
    ]
    return sweep_surface_cadences(
        walks,
        present=present,
        margin=settings.give_up,
        alpha=context.study.indices.alpha,
        flips=context.study.indices.flips,
        rng=context.study.study.seed,
    )


def _findings(swept: Sequence[_Swept]) -> tuple[Finding, ...]:
    advice = [(one, each) for one in swept for each in one.sweep.advice]
    change = [(one, each) for one, each in advice if each.recommended != each.present]
    moves: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one, each in change:
        move = moves.setdefault((each.present, each.recommended), {})
        move.setdefault(str(each.model), []).append(one.target)
    names = "; ".join(
        f"from every {now} to every {then} "
        + ", ".join(f"{model} ({', '.join(targets)})" for model, targets in models.items())
        for (now, then), models in moves.items()
    )
    tested = [
        (one.target, each, row)
        for one, each in advice
        for row in each.rows
        if row.label == each.recommended and row.label != each.present
    ]
    surest = ""
    if tested:
        target, each, row = max(tested, key=lambda one: abs(one[2].change))
        surest = f" The largest difference: {target}, {each.words_of(row)}."
    said = (
        f"{len(change)} of {len(advice)} models (counted on each coin) would do better at another "
        "interval between recalibrations, or as well at a longer one, losing less than "
        f"{100 * advice[0][1].margin:g} %: {names or 'none'} (a count: no interval; each one's "
        f"stands below, with the gain that would have been found).{surest} What to do: "
        + (
            "move these, and not on one date; every recalibration moves a figure that others use."
            if change
            else "leave the intervals as they are."
        )
    )
    numbers = {"models": float(len(advice)), "should_change": float(len(change))}
    severity = Severity.NOTE if change else Severity.FINE
    found = [Finding("cadence", "", severity, said, numbers)]
    for one in swept:
        title = f"{one.target}, {one.family} models"
        found += [
            Finding(
                "cadence",
                title,
                Severity.FINE if each.recommended == each.present else Severity.NOTE,
                f"{one.target}, {each.sentence}",
                _numbers(each),
            )
            for each in one.sweep.advice
        ]
    return tuple(found)


def _numbers(advice: CadenceAdvice) -> dict[str, float]:
    best = next(row for row in advice.rows if row.label == advice.recommended)
    return {
        "hours": best.hours,
        "change": best.change,
        "low": best.low,
        "high": best.high,
        "detectable": best.detectable,
        "synchrony": best.synchrony,
        "blocks": float(advice.blocks),
    }


def _table(swept: Sequence[_Swept]) -> LookTable:
    rows = []
    for one in swept:
        for advice in one.sweep.advice:
            for row in advice.rows:
                noise = row.noise
                rows.append(
                    (
                        str(advice.model),
                        one.target,
                        one.family,
                        row.label,
                        row.hours,
                        row.label == advice.present,
                        row.label == advice.recommended,
                        row.loss,
                        row.change,
                        row.low,
                        row.high,
                        row.detectable,
                        row.p_better,
                        row.p_worse,
                        None if noise is None else noise.size,
                        None if noise is None else noise.per_week,
                        None if noise is None else noise.comes_back,
                        None if noise is None else noise.at_once,
                        row.synchrony,
                        None if row.conditional is None else row.conditional.p_value,
                    )
                )
    return LookTable(
        "cadences",
        "Every model at every interval against its present one. Loss: tick loss over the day's "
        "volatility (risk), mean error in volatility (surface). Step: how far one refit moves the "
        "figure while the market stands still (log quantile, volatility); what comes back was "
        "noise. Synchrony: mean correlation of steps with the other models'.",
        _COLUMNS,
        rows,
    )
