"""Margin in the report of a study: one section, and one line for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.margin import failed_cells
from commonmode.app.report.margin_figures import models_figure, parts_figure
from commonmode.app.report.margin_solvency import solvency_shown
from commonmode.app.report.margin_tables import (
    gate_lines,
    margin_table,
    nearest_tables,
    parts_table,
)
from commonmode.app.report.margin_words import money, promises, reason
from commonmode.app.report.words import clean, number

__all__ = ["margin_line", "margin_section"]


def margin_section(value: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the report's template shows about margin.

    Parameters
    ----------
    value : mapping
        ``margin`` of the results.
    """
    return {
        "summary": margin_line(value),
        "promises": list(promises(value)),
        "table": margin_table(value),
        "parts": parts_figure(value),
        "parts_table": parts_table(value),
        "models": models_figure(value),
        "nearest": nearest_tables(value),
        "gates": gate_lines(value),
        "solvency": solvency_shown(value),
        "failures": [
            *(f"{one['method']}: {reason(one)}" for one in value["failures"]),
            *(
                f"{clean(account)} under {methods}: {reason(why)}"
                for methods, account, why in failed_cells(value)
            ),
        ],
    }


def margin_line(value: Mapping[str, Any], *, brief: bool = False) -> str:
    """Totals by method, what surface models change in them, who is to be liquidated.

    Parameters
    ----------
    value : mapping
        ``margin`` of the results.
    brief : bool
        The totals alone, for a line of the terminal.
    """
    totals, failing, apart = [], [], 0.0
    everybody = len(value["accounts"])
    for one in value["methods"]:
        method = one["method"]
        cells = [account["methods"][method] for account in value["accounts"]]
        able = [cell for cell in cells if cell["failure"] is None]
        total = sum(cell["initial"] for cell in able)
        missing = f" ({len(able)})" if len(able) < everybody else ""
        covers = clean(one.get("covers", "").partition(",")[0])
        meant = f" (for {covers})" if covers else ""
        totals.append(f"{method} {money(total)}{missing}{meant}")
        below = sum(not cell["healthy"] for cell in able)
        failing += [f"{below} under {method}"] if below else []
        apart = max([apart, *(_apart(cell) for cell in able)])
    if not totals:
        return "No margin method could be used."
    said = f"Margin of {everybody} accounts: {', '.join(totals)}."
    if brief:
        return said
    if apart:
        said += f" Surface models move an account's by up to {number(100 * apart, 0)} %."
    return said + (f" Below maintenance: {', '.join(failing)}." if failing else "")


def _apart(cell: Mapping[str, Any]) -> float:
    """Largest less least initial margin over the surface models, relative to that in use."""
    known = [v for v in cell["initial_by_model"].values() if v is not None]
    return (max(known) - min(known)) / cell["initial"] if known and cell["initial"] else 0.0
