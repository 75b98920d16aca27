"""The look *interventions* in a sentence and in tables: who moved, and what the cards say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from commonmode.app.study.look_context import LookTable
from commonmode.converge.finding import Finding
from commonmode.converge.intervention_words import move_words, moves_found
from commonmode.converge.interventions import CardFault, InterventionalGraph
from commonmode.converge.severity import Severity
from commonmode.panel.interventions import InterventionResponses
from commonmode.register.cards import Card, Layer
from commonmode.register.graph import common_cause_graph

__all__ = ["LEVEL", "NAME", "Tried", "moves", "similarities", "summary", "untried", "uses"]

NAME: Final = "interventions"
LEVEL: Final = 0.05
"""Level of the tests: of moves of models that do not repeat themselves."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One family of models, changed and asked."""

    family: str
    when: str
    cards: tuple[Card, ...]
    responses: InterventionResponses
    graph: InterventionalGraph


def summary(one: Tried) -> Finding:
    """How many responses and disagreements, and what would have been found."""
    graph = one.graph
    tried = {(change.layer, change.component) for change in graph.interventions if change.on_cards}
    declared = {(use.layer, use.component) for card in one.cards for use in card.components}
    share = len(declared & tried) / len(declared) if declared else float("nan")
    wrong = [d.fault for d in graph.disagreements]
    undeclared, unused = wrong.count(CardFault.UNDECLARED), wrong.count(CardFault.UNUSED)
    known = graph.detectable[np.isfinite(graph.detectable)]
    least = float(known.max()) if len(known) else float("nan")
    certain = bool(graph.repeatable.all())
    sizes = graph.response[graph.moves & (np.nan_to_num(graph.response) > 0.0)]
    moved = "Nothing moved"
    if len(sizes):
        moved = (
            f"Moves reach {move_words(float(sizes.max()))} ({graph.unit}), half of them "
            f"{move_words(float(np.median(sizes)))} or more"
        )
    chance = (
        "the models repeat themselves bit for bit, so a move is cause and effect and has no "
        "interval but its range over the times"
        if certain
        else f"p is adjusted for all {graph.moves.size} pairs of model and change (level {LEVEL}), "
        "and a move's interval is its range over the times"
    )
    todo = (
        "correct the cards that are named here first; C1 and C4 rest on them"
        if wrong
        else "nothing at these parts; the parts nobody could change stand in the notes"
    )
    sentence = (
        f"{one.family.capitalize()}: {len(graph.models)} models under {len(graph.interventions)} "
        f"changes {one.when}. Of the {len(declared)} parts on their cards {len(declared & tried)} "
        f"({share:.0%}) were changed; {undeclared} uses are not declared and {unused} declared "
        f"parts have no effect, of {len(graph.models) * len(tried)} pairs tried. {moved}; "
        f"{moves_found(least)} in every model; {chance}. What to do: {todo}."
    )
    numbers = {
        "models": float(len(graph.models)),
        "changes": float(len(graph.interventions)),
        "times": float(graph.times),
        "parts_declared": float(len(declared)),
        "parts_changed": float(len(declared & tried)),
        "share_changed": share,
        "undeclared": float(undeclared),
        "unused": float(unused),
        "moves": float(graph.moves.sum()),
        "detectable": least,
    }
    severity = Severity.ALERT if undeclared else Severity.NOTE if unused else Severity.FINE
    return Finding(NAME, one.family, severity, sentence, numbers)


def untried(one: Tried) -> str:
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


def uses(tried: Sequence[Tried]) -> LookTable:
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
                if said and not measured:
                    verdict = "changed and kept still, as it may"
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


def similarities(tried: Sequence[Tried]) -> LookTable:
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


def moves(tried: Sequence[Tried]) -> LookTable:
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
