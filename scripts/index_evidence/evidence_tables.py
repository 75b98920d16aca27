"""The tables of docs/evidence.md from the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evidence_case import Case, Kind, Question, Rate, rate_of

__all__ = ["missed", "rates", "table"]

_USUAL = {Kind.SIZE: 0.05, Kind.COVERAGE: 0.95, Kind.POWER: None}


def rates(case: Case, told: Mapping[str, Any]) -> list[tuple[Question, Rate, Rate | None]]:
    """Rate of every question, and of the second round where there was one."""
    again = told.get("again")
    return [
        (
            question,
            rate_of("".join(world[place] for world in told["answers"])),
            rate_of("".join(world[place] for world in again)) if again else None,
        )
        for place, question in enumerate(case.questions)
    ]


def _percent(rate: Rate) -> str:
    return "none" if not rate.worlds else f"{100 * rate.value:.1f} ± {100 * rate.error:.1f}"


def _cell(question: Question, first: Rate, again: Rate | None) -> str:
    """One figure; bold where the last round misses what is promised."""
    text = _percent(first)
    if again is not None:
        text += f", again {_percent(again)}"
    if (again or first).off(question):
        text = f"**{text}**"
    if question.nominal is not None and question.nominal != _USUAL[question.kind]:
        text += f" (promised {100 * question.nominal:.3g})"
    return f"{question.name} {text}"


def table(cases: Sequence[Case], results: Mapping[str, Any]) -> str:
    """Markdown; one line per kind of world."""
    lines = [
        "| worlds | false alarms % | holds the truth % | found % |",
        "| --- | --- | --- | --- |",
    ]
    for case in cases:
        told = results[case.name]
        cells: dict[Kind, list[str]] = {kind: [] for kind in Kind}
        for question, first, again in rates(case, told):
            cells[question.kind].append(_cell(question, first, again))
        size = "" if told["planted"] is None else f" ({told['planted']:.3g})"
        shown = " | ".join("; ".join(cells[k]) for k in (Kind.SIZE, Kind.COVERAGE, Kind.POWER))
        lines.append(f"| {case.world.strip()}{size}, {case.worlds} | {shown} |")
    return "\n".join(lines)


def missed(cases: Sequence[Case], results: Mapping[str, Any]) -> str:
    """All that misses its promise in the last round, and how many questions had one."""
    lines, asked = [], 0
    for case in cases:
        for question, first, again in rates(case, results[case.name]):
            asked += question.nominal is not None
            if (again or first).off(question):
                lines.append(f"{case.name}: {_cell(question, first, again)}")
    return "\n".join([*lines, f"{len(lines)} of {asked} promises missed"])
