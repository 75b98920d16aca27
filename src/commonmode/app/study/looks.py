"""Looks at a whole study, asked for by name; one that fails harms no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from commonmode.app.study.cadences import look_at_cadences
from commonmode.app.study.hedging import look_at_hedging
from commonmode.app.study.interventions import interventions_look
from commonmode.app.study.look_context import Look, LookAnswer, LookContext, LookTable
from commonmode.app.study.model_risk import look_at_model_risk
from commonmode.app.study.passports import passports_look
from commonmode.app.study.results import failure_to_json, plain
from commonmode.app.study.strategies import look_at_strategies
from commonmode.converge.finding import failure_sentence
from commonmode.converge.severity import Severity
from commonmode.core.errors import CommonmodeError
from commonmode.core.result import Failure, FailureReason

__all__ = [
    "LookAnswer",
    "LookContext",
    "LookTable",
    "run_looks",
    "study_look_failures",
    "with_missing",
]

_LOOKS: Final[Mapping[str, Look]] = MappingProxyType(
    {
        "interventions": interventions_look,
        "passports": passports_look,
        "cadence": look_at_cadences,
        "strategies": look_at_strategies,
        "model-risk": look_at_model_risk,
        "hedging": look_at_hedging,
    }
)
"""What computes each of :data:`~commonmode.app.study.look_names.STUDY_LOOKS`."""


def run_looks(names: Sequence[str], context: LookContext) -> tuple[dict[str, Any], ...]:
    """Look at a study.

    Parameters
    ----------
    names : sequence of str
        Of :data:`~commonmode.app.study.look_names.STUDY_LOOKS`.
    context : LookContext

    Returns
    -------
    tuple of dict
        As in the results: name, status, findings, tables and notes; a failed one with its reason.
    """
    return tuple(_to_json(name, _ask(_LOOKS[name], context)) for name in names)


def with_missing(
    kept: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> tuple[Mapping[str, Any], ...]:
    """Every look that the evidence keeps; one of ``names`` that is not among them says so."""
    known = {look["name"] for look in kept}
    away = Failure(
        FailureReason.NOT_APPLICABLE,
        "the evidence does not hold it",
        "look with the data: --source recorded where the recordings are",
    )
    return (*kept, *(_to_json(name, away) for name in names if name not in known))


def study_look_failures(looks: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Looks that apply and could not be computed."""
    return [
        {"where": look["name"], **{k: look[k] for k in ("reason", "message", "remedy")}}
        for look in looks
        if look["status"] == "failed" and look["reason"] != FailureReason.NOT_APPLICABLE.value
    ]


def _ask(look: Look, context: LookContext) -> LookAnswer | Failure:
    try:
        return look(context)
    except CommonmodeError as error:
        return Failure(FailureReason.CALCULATION_FAILED, error.message, error.remedy)


def _to_json(name: str, answer: LookAnswer | Failure) -> dict[str, Any]:
    value: dict[str, Any] = {"name": name, "status": "ok", "findings": [], "tables": []}
    if isinstance(answer, Failure):
        value |= {"status": "failed", **failure_to_json(answer), "notes": []}
        value["findings"] = [
            {
                "index": name,
                "severity": Severity.UNKNOWN.value,
                "sentence": failure_sentence(name, answer),
                "numbers": {},
            }
        ]
    else:
        value["findings"] = [
            {
                "index": one.index,
                "severity": one.severity.value,
                "sentence": one.sentence,
                "numbers": dict(one.numbers),
            }
            for one in answer.findings
        ]
        value["tables"] = [
            {
                "name": table.name,
                "title": table.title,
                "columns": list(table.columns),
                "rows": [list(row) for row in table.rows],
            }
            for table in answer.tables
        ]
        value["notes"] = list(answer.notes)
    cleaned: dict[str, Any] = plain(value)
    return cleaned
