"""Greek exposure on a terminal: one line per book and Greek, one column per model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commonmode.core.words import usd

__all__ = ["render_greeks"]

_OWN = ("greek", "unit", "usd", "coin", "range", "dispersion")


def render_greeks(table: Mapping[str, Any], console: Console) -> None:
    """Print totals in USD under each model, and how far the models are apart.

    Parameters
    ----------
    table : mapping
        As made by :func:`commonmode.app.study.greeks.study_greeks`.
    console : Console
    """
    models, rows = table["models"], table["rows"]
    keys = [name for name in rows[0] if name not in _OWN] if rows else []
    shown = Table(title=Text(f"USD at {table['snapshot']}; coin figures: --json"))
    for name in (*keys, "greek"):
        shown.add_column(name)
    for name in (*models, "models apart by"):
        shown.add_column(Text(name), justify="right")
    for row in rows:
        values = [_amount(row["usd"][model]) for model in models]
        shown.add_row(
            *(Text(str(row[name])) for name in keys), row["greek"], *values, _amount(row["range"])
        )
    console.print(shown)
    units = {row["greek"]: row["unit"] for row in rows}
    for greek, unit in units.items():
        console.print(f"{greek}: {unit}", markup=False, highlight=False)
    for failure in (*table["failures"], *table["failed_positions"]):
        what = failure.get("instrument") or "all options"
        who = f"{failure['model']}: " if "model" in failure else ""
        text = f"failed: {who}{what}: {failure['message']} ({failure['remedy']})"
        console.print(text, markup=False, highlight=False)


def _amount(value: float | None) -> str:
    return "-" if value is None else usd(value).replace("$-", "-$")
