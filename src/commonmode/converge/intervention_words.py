"""The interventional graph in plain words."""

from __future__ import annotations

import numpy as np

from commonmode.converge.findings import Finding, Severity
from commonmode.converge.interventions import (
    CardDisagreement,
    CardFault,
    InterventionalGraph,
)

__all__ = ["disagreement_sentence", "intervention_findings"]


def disagreement_sentence(one: CardDisagreement) -> str:
    """What the card says, what the model did, by how much, and what to do."""
    part = f"{one.component} ({one.layer.value})"
    if one.fault is CardFault.UNUSED:
        return (
            f"{one.model} declares {part} but does not move when it is changed "
            f"({one.intervention}; a move of {one.detectable:.2g} {one.unit} would have been "
            "found). What to do: correct the card, or find out why the part has no effect."
        )
    did = (
        "gives no answer without it"
        if one.broke
        else f"moves by {one.response:.2g} {one.unit} when it is changed"
    )
    return (
        f"{one.model} does not declare {part} but {did} ({one.intervention}; found from "
        f"{one.detectable:.2g} on). What to do: put it on the card; it is a shared cause that "
        "nobody counted."
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
            f"{graph.times} times, the least move that was sure to be found at most "
            f"{_largest(graph.detectable)} {graph.unit}."
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
            f"changed ({one.name}: median move {median:.2g} {graph.unit}, from "
            f"{low:.2g} to {high:.2g} over the models). What to do: let some of them use another."
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


def _largest(values: np.typing.NDArray[np.float64]) -> str:
    known = values[np.isfinite(values)]
    return f"{known.max():.2g}" if len(known) else "unknown"
