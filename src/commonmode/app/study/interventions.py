"""The look *interventions*: change each part of every family of models, and see who moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from commonmode.app.study.look_context import LookAnswer, LookContext, LookTable, inapplicable
from commonmode.converge.findings import Finding, Severity
from commonmode.converge.intervention_words import intervention_findings
from commonmode.converge.interventions import (
    CardFault,
    InterventionalGraph,
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
from commonmode.register.cards import Card, Layer
from commonmode.register.graph import common_cause_graph
from commonmode.register.model import Model

__all__ = ["interventions_look", "study_chains"]

_NAME: Final = "interventions"
_BAR_TIMES: Final = 12
_CHAIN_TIMES: Final = 8  # the fewest that tell a response from chance; a chain costs seconds
_PRICES: Final = ("open", "high", "low", "close")
_UNLIKE: Final = 0.05
"""Level of the tests: of moves of models that do not repeat themselves."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """One family of models, changed and asked."""

    family: str
    when: str
    cards: tuple[Card, ...]
    responses: InterventionResponses
    graph: InterventionalGraph


def interventions_look(context: LookContext) -> LookAnswer | Failure:
    """Perturb what the study's models rest on and hold their moves against their cards.

    Risk models and strategies are asked at 12 times, on each underlying in turn, surface models at
    8. Black boxes that answer from a file of forecasts are left out: nothing can be changed in
    them.
    """
    tried: list[_Tried] = []
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
    notes += [_untried(one) for one in tried]
    findings = [_summary(one) for one in tried]
    for one in tried:
        findings += [
            finding
            for finding in intervention_findings(one.family, one.graph)
            if finding.severity is not Severity.FINE
        ]
    findings.sort(key=lambda f: f.severity is not Severity.ALERT and f.index != _NAME)
    return LookAnswer(
        findings=tuple(findings),
        tables=(_similarities(tried), _uses(tried), _moves(tried)),
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
    histories = [
        context.feed.history(coin, start, end) for coin in context.study.market.underlyings
    ]
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
) -> tuple[_Tried, list[str]]:
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
    graph = interventional_graph(responses, cards, alpha=_UNLIKE, rng=seed)
    return _Tried(family, when, cards, responses, graph), notes


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
            # Not on the cards of models that do not read it; on those of plug-ins that do.
            feeds[ComponentId(SPOT_CLOSE.replace("close", name))] = (name,)
    return (*feed_interventions(feeds), *memory_interventions(prices), *settings)


def _venue(models: Sequence[Model]) -> str:
    """As the models' cards call it; Deribit if none says."""
    return next((str(venue) for m in models if (venue := getattr(m, "venue", None))), "deribit")


def _summary(one: _Tried) -> Finding:
    """How many responses and disagreements, and what would have been found."""
    graph = one.graph
    tried = {(change.layer, change.component) for change in graph.interventions if change.on_cards}
    declared = {(use.layer, use.component) for card in one.cards for use in card.components}
    wrong = [d.fault for d in graph.disagreements]
    undeclared, unused = wrong.count(CardFault.UNDECLARED), wrong.count(CardFault.UNUSED)
    known = graph.detectable[np.isfinite(graph.detectable)]
    least = float(known.max()) if len(known) else float("nan")
    certain = bool(graph.repeatable.all())
    sizes = graph.response[graph.moves & (np.nan_to_num(graph.response) > 0.0)]
    moved = (
        f"Moves run from {sizes.min():.2g} to {sizes.max():.2g} {graph.unit}"
        if len(sizes)
        else "Nothing moved"
    )
    chance = (
        "the models repeat themselves bit for bit, so a move is cause and effect and has no "
        "interval but its range over the times"
        if certain
        else f"p is adjusted for all {graph.moves.size} pairs of model and change (level {_UNLIKE})"
    )
    todo = (
        "correct the cards that are named here first; C1 and C4 rest on them"
        if wrong
        else "nothing at these parts; the parts nobody could change stand in the notes"
    )
    sentence = (
        f"{one.family.capitalize()}: {len(graph.models)} models under {len(graph.interventions)} "
        f"changes {one.when}. Of the {len(declared)} parts on their cards {len(declared & tried)} "
        f"were changed; {undeclared} uses are not declared and {unused} declared parts have no "
        f"effect, of {len(graph.models) * len(tried)} pairs tried. {moved}; {least:.2g} would have "
        f"been found everywhere; {chance}. What to do: {todo}."
    )
    numbers = {
        "models": float(len(graph.models)),
        "changes": float(len(graph.interventions)),
        "times": float(graph.times),
        "parts_declared": float(len(declared)),
        "parts_changed": float(len(declared & tried)),
        "undeclared": float(undeclared),
        "unused": float(unused),
        "moves": float(graph.moves.sum()),
        "detectable": least,
    }
    severity = Severity.ALERT if undeclared else Severity.NOTE if unused else Severity.FINE
    return Finding(_NAME, one.family, severity, sentence, numbers)


def _untried(one: _Tried) -> str:
    """Declared parts that no change stands for."""
    tried = {(change.layer, change.component) for change in one.graph.interventions}
    left = sorted(
        {
            f"{use.component} ({use.layer.value})"
            for card in one.cards
            for use in card.components
            if (use.layer, use.component) not in tried
        }
    )
    if not left:
        return ""
    return f"Nobody changed, so nothing is known of (cards of {one.family}): {', '.join(left)}."


def _uses(tried: Sequence[_Tried]) -> LookTable:
    """Measured and declared use of every part that was changed, by model."""
    rows = []
    for one in tried:
        fault = {(d.model, d.layer, d.component): d.fault for d in one.graph.disagreements}
        weight = {
            (card.model, use.layer, use.component): use.weight
            for card in one.cards
            for use in card.components
        }
        probes = {
            (change.layer, change.component)
            for change in one.graph.interventions
            if not change.on_cards
        }
        for c, (layer, component) in enumerate(one.graph.components):
            for i, model in enumerate(one.graph.models):
                key = (model, layer, component)
                measured, said = float(one.graph.use[i, c]), weight.get(key, 0.0)
                if not measured and not said:
                    continue
                verdict = "agree" if said else "below what a card has to declare"
                if (layer, component) in probes:
                    verdict = "no card names it"
                if key in fault:
                    verdict = fault[key].value
                rows.append((model, one.family, layer.value, component, measured, said, verdict))
    return LookTable(
        "uses",
        "Parts that were changed: the model's move over the largest of any model's (measured), and "
        "the weight on its card (declared)",
        ("model", "family", "layer", "part", "measured", "declared", "verdict"),
        rows,
    )


def _similarities(tried: Sequence[_Tried]) -> LookTable:
    """How alike the models are by layer: as declared (C1) and as measured."""
    rows = []
    for one in tried:
        measured, n = one.graph.similarity, len(one.graph.models)
        if n < 2 or len(one.cards) != n:
            continue
        upper = np.triu_indices(n, 1)
        declared = common_cause_graph(one.cards).similarity
        for layer in Layer:
            said, seen = declared.get(layer), measured.get(layer.value)
            if said is None or seen is None:
                continue
            rows.append(
                (
                    one.family,
                    layer.value,
                    len(upper[0]),
                    float(said[upper].mean()),
                    float(seen[upper].mean()),
                    _correlation(said[upper], seen[upper]),
                )
            )
    return LookTable(
        "similarity",
        "Mean similarity of pairs of models, as their cards declare it (C1) and as their moves "
        "measure it, by layer; correlation over pairs",
        ("family", "layer", "pairs", "declared", "measured", "correlation"),
        rows,
    )


def _correlation(a: np.typing.NDArray[Any], b: np.typing.NDArray[Any]) -> float | None:
    if len(a) < 3 or not a.std() > 0 or not b.std() > 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _moves(tried: Sequence[_Tried]) -> LookTable:
    """Every response that is one, with its range over the times."""
    rows = []
    for one in tried:
        size, graph = one.responses.size, one.graph
        for k, change in enumerate(graph.interventions):
            for i, model in enumerate(graph.models):
                if not graph.moves[i, k]:
                    continue
                seen = size[np.isfinite(size[:, i, k]), i, k]
                rows.append(
                    (
                        model,
                        change.name,
                        change.component,
                        _number(graph.response[i, k]),
                        float(seen.min()) if len(seen) else None,
                        float(seen.max()) if len(seen) else None,
                        graph.unit,
                        _number(graph.detectable[i, k]),
                        float(graph.p_value[i, k]),
                        "no answer" if graph.broke[i, k] else "",
                    )
                )
    return LookTable(
        "moves",
        "Who moved under what: root mean square move beyond the placebo's, and its smallest and "
        "largest size over the times; p is 0 where the model repeats itself and no test is needed",
        (
            "model",
            "change",
            "part",
            "move",
            "least",
            "most",
            "unit",
            "detectable",
            "p_adjusted",
            "broke",
        ),
        rows,
    )


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
