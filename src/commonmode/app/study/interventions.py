"""The look *interventions*: change each part of every family of models, and see who moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from commonmode.app.study.intervention_layers import layers
from commonmode.app.study.intervention_report import (
    LEVEL,
    NAME,
    Tried,
    moves,
    similarities,
    summary,
    untried,
    uses,
)
from commonmode.app.study.look_context import LookAnswer, LookContext, inapplicable
from commonmode.app.study.signals import signal_histories
from commonmode.converge.findings import Severity
from commonmode.converge.intervention_words import intervention_findings
from commonmode.converge.interventions import (
    interventional_graph,
)
from commonmode.core.errors import CommonmodeError, DataError
from commonmode.core.ids import ComponentId
from commonmode.core.result import Failure
from commonmode.forecast.blackbox import BlackBox
from commonmode.forecast.parts import SPOT_CLOSE
from commonmode.market.chain import OptionChain
from commonmode.market.clock import utc_iso
from commonmode.market.history import History
from commonmode.panel.intervention_probes import RiskProbe, SignalProbe, SurfaceProbe
from commonmode.panel.interventions import (
    Intervention,
    InterventionResponses,
    Probe,
    run_interventions,
)
from commonmode.panel.standard_interventions import (
    chain_interventions,
    feed_interventions,
    memory_interventions,
    setting_interventions,
)
from commonmode.register.model import Model

__all__ = ["interventions_look", "study_chains"]

_BAR_TIMES: Final = 12
_CHAIN_TIMES: Final = 8  # the fewest that tell a response from chance; a chain costs seconds
_PRICES: Final = ("open", "high", "low", "close")


def interventions_look(context: LookContext) -> LookAnswer | Failure:
    """Perturb what the study's models rest on and hold their moves against their cards.

    Risk models and strategies are asked at 12 times, on each underlying in turn, surface models at
    8. Black boxes that answer from a file of forecasts are left out: nothing can be changed in
    them.
    """
    tried: list[Tried] = []
    notes: list[str] = []
    families = (
        ("risk models", context.models.risk, _bars, _risk_probe(context)),
        ("strategies", context.models.signal, _bars, SignalProbe()),
        ("surface models", context.models.surface, _asked_chains, SurfaceProbe()),
    )
    for family, given, data_of, probe in families:
        models = [model for model in given if not isinstance(model, BlackBox)]
        notes += [
            f"{model.id} answers from a file of forecasts: nothing can be changed in it."
            for model in given
            if isinstance(model, BlackBox)
        ]
        if not models:
            continue
        try:
            data, when = data_of(context, models)
            one, silent = _try(context, family, models, data, when, probe)
        except CommonmodeError as error:
            notes.append(f"The {family} could not be asked: {error.message} ({error.remedy}).")
            continue
        tried.append(one)
        notes += silent
    if not tried:
        if notes:
            return inapplicable(" ".join(notes).rstrip("."), "give models that can be calibrated")
        return inapplicable("the study has no models", "add [[models]]")
    notes += [untried(one) for one in tried]
    measured, said = layers(tried, context.panels, context.study)
    notes += said
    findings = [summary(one) for one in tried]
    for one in tried:
        findings += [
            finding
            for finding in intervention_findings(one.family, one.graph)
            if finding.severity is not Severity.FINE
        ]
    findings.sort(key=lambda f: f.severity is not Severity.ALERT and f.index != NAME)
    return LookAnswer(
        findings=tuple(findings),
        tables=(similarities(tried), measured, uses(tried), moves(tried)),
        notes=tuple(note for note in notes if note),
    )


def _risk_probe(context: LookContext) -> RiskProbe:
    """Models are asked as the study's first risk panel asks them."""
    for panel in context.study.panels:
        if panel.family == "risk":
            return RiskProbe(horizon=panel.horizon_hours, level=panel.level)
    return RiskProbe()


def _bars(context: LookContext, models: Sequence[Model]) -> tuple[list[History], str]:
    """Histories that end at 12 times spread over the study's period, one underlying after another.

    Each is as long as the longest window, and than the panel's training where there is one.
    """
    panel = next((p for p in context.study.panels if p.family == "risk"), None)
    start, end = (None, None) if panel is None else (panel.start, panel.end)
    coins = context.study.market.underlyings
    histories = list(signal_histories(context.feed, coins, models, start, end)[0].values())
    need = max([model.requires.window for model in models] + [0 if panel is None else panel.train])
    shortest = min(len(history) for history in histories)
    if shortest < need + _BAR_TIMES:
        raise DataError(
            f"{shortest} bars for a window of {need}", remedy="give a longer history to the study"
        )
    data = []
    for k, last in enumerate(np.linspace(need, shortest - 1, _BAR_TIMES).astype(int)):
        history = histories[k % len(histories)]
        data.append(history.rows(int(last) - need, int(last) + 1))
    return data, _period([int(one.times_ms[-1]) for one in data])


def _asked_chains(context: LookContext, models: Sequence[Model]) -> tuple[list[OptionChain], str]:
    chains, times = study_chains(context)
    return chains, _period(times)


def study_chains(context: LookContext) -> tuple[list[OptionChain], list[int]]:
    """Option chains at 8 times spread over the study's, one underlying after another.

    Raises
    ------
    DataError
        The market has option chains at fewer times.
    """
    coins = context.study.market.underlyings
    panel = next((p for p in context.study.panels if p.family == "surface"), None)
    if panel is not None and panel.start is not None and panel.end is not None:
        times = context.feed.snapshot_times(panel.start, panel.end, panel.every_minutes)
    else:
        span = context.feed.history(coins[0]).times_ms
        times = context.feed.snapshot_times(int(span[0]), int(span[-1]), 60)
    if len(times) < _CHAIN_TIMES:
        raise DataError(
            f"option chains at {len(times)} times", remedy=f"{_CHAIN_TIMES} are needed at least"
        )
    picked = times[np.linspace(0, len(times) - 1, _CHAIN_TIMES).astype(int)]
    chains = [
        snapshot.chain(coins[k % len(coins)])
        for k, snapshot in enumerate(context.feed.snapshots(picked, coins))
    ]
    return chains, [int(time) for time in picked]


def _period(times_ms: Sequence[int]) -> str:
    return f"at {len(times_ms)} times from {utc_iso(times_ms[0])} to {utc_iso(times_ms[-1])}"


def _try(
    context: LookContext,
    family: str,
    models: Sequence[Model],
    data: Sequence[Any],
    when: str,
    probe: Probe[Any],
) -> tuple[Tried, list[str]]:
    """Everything changed that this family has; models that never answer are left out."""
    battery = _battery(context, models, data[0])
    seed = context.study.study.seed
    responses = run_interventions(models, data, battery, probe=probe, seed=seed)
    asked = np.isfinite(responses.jitter).any(axis=0) & np.isfinite(responses.rerun).any(axis=0)
    mute = np.asarray(~asked)
    notes = []
    if mute.any():
        why = {one.model: one.failure.message for one in responses.failures if not one.intervention}
        notes = [
            f"{model} never answered: {why.get(model, 'no number')}."
            for model, silent in zip(responses.models, mute, strict=True)
            if silent
        ]
        if mute.all():
            raise DataError("; ".join(notes), remedy="see why they fail in the panels")
        responses = _only(responses, np.flatnonzero(~mute))
    said = {card.model: card for card in context.models.cards}
    cards = tuple(said[model] for model in responses.models if model in said)
    graph = interventional_graph(responses, cards, alpha=LEVEL, rng=seed)
    return Tried(family, when, cards, responses, graph), notes


def _only(responses: InterventionResponses, keep: np.typing.NDArray[Any]) -> InterventionResponses:
    kept = tuple(responses.models[i] for i in keep)
    return replace(
        responses,
        models=kept,
        size=responses.size[:, keep],
        signed=responses.signed[:, keep],
        broke=responses.broke[:, keep],
        rerun=responses.rerun[:, keep],
        jitter=responses.jitter[:, keep],
        failures=tuple(one for one in responses.failures if one.model in kept),
    )


def _battery(
    context: LookContext, models: Sequence[Model], first: Any
) -> tuple[Intervention[Any], ...]:
    settings = setting_interventions(models)
    if not isinstance(first, History):
        return (*chain_interventions(_venue(models)), *settings)
    names = tuple(first.columns)
    prices = tuple(name for name in _PRICES if name in names)
    feeds: dict[ComponentId, tuple[str, ...]] = {
        ComponentId(feed): columns for feed, columns in context.study.looks.feeds.items()
    }
    if not feeds:
        feeds[ComponentId(SPOT_CLOSE)] = prices
    for name in names:
        if not any(name in columns for columns in (*feeds.values(), prices)):
            feeds[_feed_of(name, models)] = (name,)
    return (*feed_interventions(feeds), *memory_interventions(prices), *settings)


def _feed_of(column: str, models: Sequence[Model]) -> ComponentId:
    """As the cards of the models that read it call a column's feed."""
    said = (getattr(model, f"{column}_data", None) for model in models)
    return ComponentId(next((feed for feed in said if feed), SPOT_CLOSE.replace("close", column)))


def _venue(models: Sequence[Model]) -> str:
    """As the models' cards call it; Deribit if none says."""
    return next((str(venue) for m in models if (venue := getattr(m, "venue", None))), "deribit")
