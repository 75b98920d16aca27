"""Looks at the whole study, in the report and on the terminal: sentences, pictures, tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from commonmode.app.report.drawing import Figure
from commonmode.app.report.further import first_sentences
from commonmode.app.report.intervention_figures import intervention_pictures
from commonmode.app.report.look_figures import (
    cadence_pictures,
    hedging_pictures,
    model_risk_pictures,
    strategy_pictures,
)
from commonmode.app.report.passport_figures import passport_pictures
from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, moment, number, p_value, percent, usd

__all__ = ["Picture", "look_sections", "look_sentences", "looks_alone"]

Picture = tuple[str, Figure, str]
"""Its id, the plot and the caption."""

_HEADINGS: Final = {
    "interventions": "What really moves the models",
    "cadence": "How often to recalibrate",
    "strategies": "Trading strategies, and the risk models beside them",
    "model-risk": "Model risk of the books, in USD",
    "hedging": "What the models' hedges leave",
    "passports": "What the data can carry",
}
_OPENINGS: Final = {
    "interventions": "Feeds, settings, optimisers and the length of memory were changed one at a "
    "time, and every model asked again; parts of the cards that nobody can change stand in the "
    "notes.",
    "cadence": "Every model was refitted at several intervals and judged out of sample; an "
    "interval is acceptable if it is known to lose less than the share stated, and of those the "
    "longest is recommended.",
    "strategies": "A strategy's position is a forecast too. A risk model that raises its figure in "
    "the hours in which a strategy sells makes others sell with it.",
    "model-risk": "The same books at the same moment under every surface model: what their values "
    "and their losses owe to the choice of model.",
    "hedging": "Every model sells the same options at the same marks and hedges them with its own "
    "delta; the path that the market took decides.",
    "passports": "What each model was calibrated on, what that is not enough for, and whether the "
    "data look authentic.",
}
_PICTURES: Final[dict[str, Callable[[Mapping[str, Any]], list[Picture]]]] = {
    "interventions": intervention_pictures,
    "passports": passport_pictures,
    "cadence": cadence_pictures,
    "strategies": strategy_pictures,
    "model-risk": model_risk_pictures,
    "hedging": hedging_pictures,
}
_NONE: Final = ("", "", "")
_WITH_INTERVAL: Final = {
    "couplings": ("given_move", "low", "high"),
    "passports": ("worth", "low", "high"),
    "cadences": ("change_share", "low_share", "high_share"),
    "models": ("apart_share", "apart_low_share", "apart_high_share"),
}
"""Tables with an estimate and the ends of its interval, which are shown in one column."""
_SAID_ALREADY: Final = {"cadences": ("hours", "family")}  # by interval and model
_LEAST: Final = 0.0005  # below it three digits would say nothing where there is something
_OPEN_ROWS: Final = 16  # a table that comes first and is no longer is shown, others are folded


def look_sections(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the template shows of the looks at a study; empty where none were asked for."""
    return [_section(look) for look in results.get("looks", ())]


def looks_alone(results: Mapping[str, Any]) -> bool:
    """Nothing but looks was asked for: the five questions were not."""
    return bool(results.get("looks")) and not results["panels"]


def look_sentences(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """:func:`~commonmode.app.report.further.first_sentences` of the looks at the study."""
    return first_sentences(results.get("looks", ()))


def _section(look: Mapping[str, Any]) -> dict[str, Any]:
    name, there = look["name"], look["status"] == "ok"
    tables = [_table(table) for table in look["tables"] if table["rows"]]
    shown = int(bool(tables) and len(tables[0].rows) <= _OPEN_ROWS)
    return {
        "name": name,
        "heading": _HEADINGS.get(name, name),
        "opening": _OPENINGS.get(name, ""),
        "findings": look["findings"],
        "pictures": _PICTURES[name](look) if there and name in _PICTURES else [],
        "tables": tables[:shown],
        "folded": [(_clause(table.caption), table) for table in tables[shown:]],
        "notes": look["notes"],
    }


def _table(table: Mapping[str, Any]) -> Table:
    columns = table["columns"]
    texts = {
        i for i in range(len(columns)) if any(isinstance(row[i], str) for row in table["rows"])
    }
    value, low, high = (
        columns.index(name) if name else -1 for name in _WITH_INTERVAL.get(table["name"], _NONE)
    )
    left_out = _SAID_ALREADY.get(table["name"], ())
    shown = [i for i, name in enumerate(columns) if i not in (low, high) and name not in left_out]
    rows = []
    for row in table["rows"]:
        cells = [_shown(name, cell) for name, cell in zip(columns, row, strict=True)]
        if value >= 0 and cells[low] and cells[high]:
            cells[value] += f" ({cells[low].removesuffix(' %')} to {cells[high]})"
        rows.append(tuple(cells[i] for i in shown))
    return Table(
        clean(table["title"]),
        tuple(_heading(columns[i]) + (" (95 %)" if i == value else "") for i in shown),
        tuple(rows),
        numeric=tuple(place for place, i in enumerate(shown) if i not in texts),
    )


def _clause(caption: str) -> str:
    """What a caption says before its first mark or bracket: the line to unfold it by."""
    return re.split(r"[:;,.]|\s\(", caption, maxsplit=1)[0]


def _heading(name: str) -> str:
    for ending, said in (("_ms", ""), ("_usd", ", USD"), ("_share", "")):
        if name.endswith(ending):
            return name.removesuffix(ending).replace("_", " ") + said
    return name.replace("_", " ")


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_ms"):
        return moment(value)
    if name.endswith("_usd"):
        return usd(value)
    if name.endswith("_share"):
        return percent(value, 1)
    if name.startswith("p_") or name.endswith("p_value"):
        return p_value(value).replace(" ", "\N{NO-BREAK SPACE}")
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    if 0.0 < value < _LEAST:
        return "<\N{NO-BREAK SPACE}0.001"
    return number(value, 3 if abs(value) < 10 else 1)
