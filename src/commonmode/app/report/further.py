"""Further looks in the report and on the terminal: their sentences, and their numbers folded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from commonmode.app.report.drawing import Figure
from commonmode.app.report.monitoring_figures import MONITORING_CAPTION, monitoring_picture
from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, moment, number, p_value

__all__ = ["first_sentences", "further_section", "further_sentences"]

_HEADINGS = {
    "bias": "Bias",
    "propagation": "Who follows whom (C5)",
    "tail": "Who follows whom into the tail (C5)",
    "recalibration": "Recalibrating together",
    "herding": "Herding",
    "procyclicality": "The cycle",
    "monitoring": "Alarms along time",
}


def further_section(panel: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the template shows of a panel's further looks; empty where none were asked for."""
    return [
        {
            "heading": _HEADINGS[look["name"]],
            "findings": look["findings"],
            "picture": _picture(look, len(panel["models"])),
            "numbers": _numbers(look),
            "table": _table(look),
            "tables": [
                _shown_table(table["title"], table["columns"], table["rows"])
                for table in look.get("tables", ())
                if table["rows"]
            ],
        }
        for look in panel.get("further", ())
    ]


def further_sentences(panel: Mapping[str, Any], *, named: bool = False) -> list[tuple[str, str]]:
    """:func:`first_sentences` of the looks at a panel; ``named`` if there are several panels."""
    said = first_sentences(panel.get("further", ()))
    return [(f"{look}, {panel['name']}", text) for look, text in said] if named else said


def first_sentences(looks: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Name and first sentence of every look, with how many more there are."""
    said = []
    for look in looks:
        more = len(look["findings"]) - 1
        # A failure's sentence begins with the name, which stands before it already.
        first = look["findings"][0]["sentence"].removeprefix(f"{look['name']} ")
        said.append((look["name"], f"{first} ({more} more in --json)" if more else first))
    return said


def _picture(look: Mapping[str, Any], models: int) -> tuple[Figure, str] | None:
    plot = monitoring_picture(look, models) if look["name"] == "monitoring" else None
    return None if plot is None else (plot, MONITORING_CAPTION)


def _numbers(look: Mapping[str, Any]) -> Table | None:
    rows = tuple(
        (name.replace("_", " "), _shown(name, value))
        for finding in look["findings"][:1]
        for name, value in finding["numbers"].items()
    )
    return Table("The first sentence's numbers", ("Number", "Value"), rows, (1,)) if rows else None


def _table(look: Mapping[str, Any]) -> Table | None:
    if not look["rows"]:
        return None
    title = f"{_HEADINGS[look['name']]}: one row for each model, link or alarm"
    return _shown_table(title, look["columns"], look["rows"])


def _shown_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    text = {"index", "model", "kind", "sender", "receiver", "rule", "time_ms", "since_ms"}
    return Table(
        title,
        tuple(name.removesuffix("_ms").replace("_", " ") for name in columns),
        tuple(
            tuple(_shown(name, cell) for name, cell in zip(columns, row, strict=True))
            for row in rows
        ),
        numeric=tuple(i for i, name in enumerate(columns) if name not in text),
    )


def _shown(name: str, value: Any) -> str:
    if isinstance(value, str):
        return clean(value)
    if name.endswith("_ms"):
        return moment(value)
    if name.startswith("p_") or name.endswith("p_value"):
        return p_value(value)
    return number(value, 0 if isinstance(value, int) else 3)
