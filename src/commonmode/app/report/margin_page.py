"""The page of ``commonmode margin``: who has to hold what, by which method, and where he falls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.html import environment, plotly_script
from commonmode.app.report.margin import failed_cells
from commonmode.app.report.margin_figures import (
    legs_figure,
    liquidation_figure,
    models_figure,
    parts_figure,
)
from commonmode.app.report.margin_solvency import solvency_shown
from commonmode.app.report.margin_tables import (
    gate_lines,
    margin_table,
    nearest_tables,
    parts_table,
    trades_table,
)
from commonmode.app.report.margin_words import promises, reason
from commonmode.app.report.words import clean

__all__ = ["render_margin_html"]


def render_margin_html(value: Mapping[str, Any], *, version: str) -> str:
    """Margin as one HTML page that asks nothing of the network.

    Parameters
    ----------
    value : mapping
        As made by :func:`commonmode.app.study.margin.study_margin` with its pictures.
    version : str
        Of the program.
    """
    template = environment().get_template("margin.html.j2")
    return template.render(
        value=value,
        version=version,
        summary=margin_table(value),
        promises=list(promises(value)),
        parts=parts_figure(value),
        parts_table=parts_table(value),
        models=models_figure(value),
        trades=trades_table(value),
        accounts=[
            {
                "name": clean(picture["account"]),
                "surface": liquidation_figure(picture),
                "legs": legs_figure(picture),
            }
            for picture in value["pictures"]
            if picture["surfaces"] or picture["legs"]
        ],
        nearest=nearest_tables(value),
        gates=gate_lines(value),
        solvency=solvency_shown(value),
        failures=[
            *(f"{one['method']}: {reason(one)}" for one in value["failures"]),
            *(
                f"{clean(account)} under {methods}: {reason(why)}"
                for methods, account, why in failed_cells(value)
            ),
        ],
        notices=sorted(
            {
                f"{method}: {clean(notice)}"
                for account in value["accounts"]
                for method, cell in account["methods"].items()
                for notice in cell["notices"]
            }
        ),
        plotly=plotly_script(),
    )
