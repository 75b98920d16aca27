"""The five questions that a fresh reader asks of a study, answered from its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from commonmode.converge.findings import some_of
from commonmode.core.words import usd
from commonmode.register.cards import Layer

__all__ = ["answer_questions"]

Panel = Mapping[str, Any]


def answer_questions(
    panels: Sequence[Panel],
    headline: str,
    population: Mapping[str, Any] | None,
    greeks: Mapping[str, Any] | None,
) -> list[dict[str, str]]:
    """Answer, from results as published, the five questions.

    Parameters
    ----------
    panels : sequence of mapping
        Panels of the results.
    headline : str
        Name of the panel that leads.
    population, greeks : mapping or None
        As in the results.
    """
    leading = sorted(panels, key=lambda p: p["name"] != headline)
    return [
        _answer("independent", "How many models act as one?", _independent(leading)),
        _answer("shared", "What do they share?", _shared(leading)),
        _answer("confidence", "How sure are we?", _confidence(leading)),
        _answer("dollars", "What does it touch in dollars?", _dollars(leading, population, greeks)),
        _answer("first", "What to do first?", _first(leading)),
    ]


def _answer(name: str, question: str, answer: str) -> dict[str, str]:
    return {"id": name, "question": question, "answer": answer}


def _ok(panel: Panel, index: str) -> Mapping[str, Any] | None:
    value: Mapping[str, Any] = panel[index]
    return value if value["status"] == "ok" else None


def _independent(panels: Sequence[Panel]) -> str:
    parts = []
    for number, panel in enumerate(panels):
        c2 = _ok(panel, "c2")
        if c2 is None:
            parts.append(f"{panel['name']}: cannot be said ({panel['c2']['message']})")
        elif c2["effective_number"] is None:
            parts.append(f"{panel['name']}: cannot be said without benchmarks")
        elif not c2["rejects"]:
            parts.append(f"{panel['name']}: none of {c2['models']} beyond chance")
        else:
            together = ""
            if number == 0 and c2["clusters"]:
                together = f" ({some_of(c2['clusters'][0]['models'])} act as one)"
            parts.append(
                f"{panel['name']}: {c2['models']} models count as {c2['effective_number']:.1f} "
                f"independent ones{together}"
            )
    return "; ".join(parts) + "." if parts else "No panel could be built; see the failures."


def _shared(panels: Sequence[Panel]) -> str:
    parts = []
    for panel in panels:
        c2 = _ok(panel, "c2")
        if c2 is None or not c2["rejects"]:
            continue
        found = [
            c for c in c2["components"] if c["p_adjusted"] <= c2["alpha"] and not c["explained_by"]
        ]
        # What can be told from everything else comes first.
        named = sorted(
            (c for c in found if c["identified"]), key=lambda c: bool(c["confounded_with"])
        )
        wide = [c for c in found if not c["identified"]]
        texts = [f"{_parts(c)} ({len(c['members'])} models)" for c in named[:1]]
        texts += [
            f"{'all' if len(c['members']) == c2['models'] else 'nearly all'}: {_parts(c)}"
            for c in wide[:1]
        ]
        parts.append(f"{panel['name']}: {'; '.join(texts) or 'nothing their cards declare'}")
    return ". ".join(parts) + "." if parts else "Nothing that shows in how they move or fail."


def _parts(contrast: Mapping[str, Any], most: int = 3) -> str:
    """Names of the components with these users, data first, the rest counted."""
    names = list(dict.fromkeys(name for _, name in sorted(contrast["components"], key=_layer_rank)))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return " + ".join(names[:most]) + more


def _layer_rank(component: Sequence[str]) -> int:
    return [layer.value for layer in Layer].index(component[0])


def _confidence(panels: Sequence[Panel]) -> str:
    parts = []
    for panel in panels:
        c2, c3 = _ok(panel, "c2"), _ok(panel, "c3")
        if c2 is None:
            continue
        text = f"{panel['name']}: p = {c2['p_value']:.2g} for co-movement"
        if c3 is not None and c3["p_value"] is not None:
            text += f", {c3['p_value']:.2g} for co-failure"
        elif c3 is None:
            away = panel["c3"]["reason"] == "not_applicable"
            text += ", no tail claim" if away else ", co-failure could not be computed"
        parts.append(text)
    if not parts:
        return "No index could be computed; see the failures."
    text = "; ".join(parts) + "."
    share = (_ok(panels[0], "c2") or {}).get("minimum_detectable_share")
    if share is not None:
        text += (
            f" A part carrying {100 * share:.0f} % of what a few models choose for themselves "
            f"would be found 4 times in 5 in {panels[0]['name']}."
        )
    return text + " A weakness that benchmark and crowd share does not show."


def _dollars(
    panels: Sequence[Panel],
    population: Mapping[str, Any] | None,
    greeks: Mapping[str, Any] | None,
) -> str:
    if population is None:
        return _stated_dollars(panels)
    total = sum(p["gross_usd"] for p in population["participants"])
    parts = [f"{len(population['participants'])} participants with {usd(total)} of gross exposure."]
    by_model = {entry["model"]: set(entry["participants"]) for entry in population["exposure"]}
    gross = {p["id"]: p["gross_usd"] for p in population["participants"]}
    for panel in panels:
        c2 = _ok(panel, "c2")
        if c2 is None or not c2["clusters"]:
            continue
        cluster = c2["clusters"][0]["models"]
        who = set().union(*(by_model.get(model, set()) for model in cluster))
        touched = sum(gross[name] for name in who)
        part = f" ({100 * touched / total:.0f} %)" if total > 0 else ""
        parts.append(f"{usd(touched)}{part} rest on the models that act as one in {panel['name']}.")
    if greeks is not None:
        apart = _largest_disagreement(greeks)
        if apart:
            parts.append(apart)
    parts.append("Who holds what is assumed.")
    return " ".join(parts)


def _stated_dollars(panels: Sequence[Panel]) -> str:
    """From the USD that a panel file or its cards put behind each model."""
    parts = []
    for panel in panels:
        behind = [model["exposure_usd"] for model in panel["models"]]
        if all(amount == 1.0 for amount in behind):  # what a panel has when nobody says
            continue
        parts.append(f"{panel['name']}: {usd(sum(behind))} rest on its models.")
        c2 = _ok(panel, "c2")
        if c2 is not None and c2["clusters"]:
            together = c2["clusters"][0]
            parts[-1] += f" {usd(together['exposure_usd'])} of them on models that act as one."
    return " ".join(parts) or "No participants and no exposures are named: no dollars to put on it."


def _largest_disagreement(greeks: Mapping[str, Any]) -> str:
    total = 0.0
    for row in greeks["disagreement"]:
        if row["greek"] == "delta" and row["range"] is not None:
            total += row["range"]
    if total <= 0:
        return ""
    return f"The surface models disagree about the books' delta by {usd(total)} in all."


def _first(panels: Sequence[Panel]) -> str:
    remedies = [(p, f) for p in panels for f in p["findings"] if f["index"] == "remedy"]
    if remedies:
        # What C4 confirms in any panel comes before what it does not confirm in the headline's.
        panel, first = min(remedies, key=lambda one: one[1]["severity"] != "alert")
        sentence: str = first["sentence"]
        return sentence if panel is panels[0] else f"{sentence} (Found in {panel['name']}.)"
    for panel in panels:
        c2 = _ok(panel, "c2")
        if c2 is not None and c2["rejects"]:
            return "Ask the owners of the models found together what they share: no card says it."
    for panel in panels:
        if _ok(panel, "c2") is None:
            remedy = panel["c2"]["remedy"]
            return (
                f"Repair {panel['name']}: {panel['c2']['message']}{f'; {remedy}' * bool(remedy)}."
            )
    if not panels:
        return "Repair what failed: no panel could be built."
    return "Nothing: keep watching, and lengthen the panel if the detectable effect is too large."
