"""The interventional graph in plain words."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from commonmode.converge.finding import Finding
from commonmode.converge.interventions import (
    CardDisagreement,
    CardFault,
    InterventionalGraph,
)
from commonmode.converge.severity import Severity
from commonmode.core.arrays import FloatArray

__all__ = ["disagreement_sentence", "intervention_findings", "move_words", "moves_found"]

_ROUNDING: Final = 1e-4
"""Of a log quantile, a position or a vol point: smaller moves are the last digits of an optimiser
or of a sum, and nobody acts on them."""


def move_words(size: float) -> str:
    """A move to two digits; one that only rounding is smaller than, in words."""
    return f"{size:.2g}" if abs(size) >= _ROUNDING else "rounding"


def moves_found(size: float, unit: str = "") -> str:
    """The move that would have been found, in words."""
    if not math.isfinite(size):
        return "no move could have been found"
    if size < _ROUNDING:
        return "any move above rounding would have been found"
    unit = f" ({unit})" if unit else ""
    return f"a move of {size:.2g}{unit} would have been found with 80 % probability"


def disagreement_sentence(one: CardDisagreement) -> str:
    """What the card says, what the model did, by how much, and what to do."""
    part = f"{one.component} ({one.layer.value})"
    if one.fault is CardFault.UNUSED:
        return (
            f"{one.model} declares {part} but does not move when it is changed "
            f"({one.intervention}; no interval around no move; "
            f"{moves_found(one.detectable, one.unit)}). What to do: correct the card, or find out "
            "why the part has no effect."
        )
    did = (
        "gives no answer without it"
        if one.broke
        else f"moves by {move_words(one.response)} ({one.unit}) when it is changed"
    )
    return (
        f"{one.model} does not declare {part} but {did} ({one.intervention}; "
        f"{moves_found(one.detectable)}). What to do: put it on the card; it is a shared cause "
        "that nobody counted."
    )


def intervention_findings(name: str, graph: InterventionalGraph) -> tuple[Finding, ...]:
    """Disagreements with the cards, then who answers to most.

    Parameters
    ----------
    name : str
        Of the panel, or of the population.
    graph : InterventionalGraph
    """
    found = [
        Finding(
            "C1",
            name,
            Severity.ALERT if one.fault is CardFault.UNDECLARED else Severity.NOTE,
            disagreement_sentence(one),
            {"response": one.response, "detectable": one.detectable},
        )
        for one in graph.disagreements
    ]
    tested = len(graph.models) * len(graph.components)
    if not found:
        text = (
            f"Cards and interventions agree: {tested} pairs of model and component tried at "
            f"{graph.times} times; {moves_found(_largest(graph.detectable), graph.unit)}. What to "
            "do: nothing at these parts."
        )
        found.append(Finding("C1", name, Severity.FINE, text))
    widest = _widest(graph)
    if widest is not None:
        one = graph.interventions[widest]
        users = graph.moves[:, widest]
        sizes = graph.response[users, widest]
        low, median, high = (float(q) for q in np.nanquantile(sizes, [0.0, 0.5, 1.0]))
        text = (
            f"{int(users.sum())} of {len(graph.models)} models move when {one.component} is "
            f"changed ({one.name}: median move {move_words(median)}, from {move_words(low)} to "
            f"{move_words(high)} over the models, {graph.unit}; "
            f"{moves_found(_largest(graph.detectable[:, [widest]]))}). What to do: let some of "
            "them use another."
        )
        numbers = {
            "models": float(users.sum()),
            "median_response": median,
            "low": low,
            "high": high,
        }
        found.append(Finding("C1", name, Severity.NOTE, text, numbers))
    return tuple(found)


def _widest(graph: InterventionalGraph) -> int | None:
    """The intervention on a component of the cards that moves most models, then most in all."""
    total = np.nansum(np.where(graph.moves, graph.response, 0.0), axis=0)
    count = graph.moves.sum(axis=0)
    answered = (graph.moves & np.isfinite(graph.response)).sum(axis=0) > 0
    usable = [
        k
        for k, one in enumerate(graph.interventions)
        if one.on_cards and count[k] > 1 and answered[k]
    ]
    return max(usable, key=lambda k: (count[k], total[k]), default=None)


def _largest(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else float("nan")
