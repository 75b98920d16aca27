"""report.html: one file with everything in it, pictures and their script included."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from commonmode.app.report import attribution, people_tables, tables
from commonmode.app.report.dependency_figures import (
    dependency_graph,
    shared_parts,
    who_depends,
)
from commonmode.app.report.dots import index_dots, index_rows
from commonmode.app.report.figures import correlation_map, failure_split
from commonmode.app.report.further import further_section
from commonmode.app.report.limits import limits
from commonmode.app.report.looks import look_sections, looks_alone
from commonmode.app.report.margin_section import margin_section
from commonmode.app.report.ordering import LAYERS
from commonmode.app.report.words import clean, duration, joined, number, percent, period

__all__ = ["render_html"]

_SOURCES = {
    "recorded": "recorded",
    "evidence": "evidence",
    "laboratory": "simulated",
    "files": "own tables",
    "file": "panel file",
}
_KINDS = {"quantile": "quantile", "vol": "volatility", "value": "value", "signal": "signal"}
_TARGETS = 4  # named at the head of a panel; more are folded away
_INDEX_NAMES = {
    "c1": "Declared similarity (C1)",
    "c2": "Independent models (C2)",
    "c3": "Fail together (C3)",
    "c4": "Attribution (C4)",
    "c6": "Disagreement (C6)",
}


@cache
def environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("commonmode.app.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False}
    environment.filters["clean"] = _words
    return environment


def _words(text: object) -> str:
    """User text; no line breaks before a percent sign."""
    return clean(text).replace(" %", "\N{NO-BREAK SPACE}%")


def plotly_script() -> str:
    """Plotly's JavaScript from the Python package, safe inside a script element."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script.replace("</script", r"<\/script")


def render_html(results: Mapping[str, Any]) -> str:
    """The report as one HTML page that asks nothing of the network.

    Parameters
    ----------
    results : mapping
        As published in ``schema/results.schema.json``.

    Returns
    -------
    str
        UTF-8 text of report.html.
    """
    population, greeks = results["population"], results["greeks"]
    template = environment().get_template("report.html.j2")
    return template.render(
        results=results,
        study=results["study"],
        source=_SOURCES[results["study"]["source"]],
        panels=[_panel(panel, _cards_of(panel, results)) for panel in results["panels"]],
        layers=LAYERS,
        dependence=who_depends(population),
        participants=None if population is None else people_tables.participant_table(population),
        exposure=None if population is None else people_tables.exposure_table(population),
        greek_table=None if greeks is None else tables.greek_table(greeks),
        greek_details=None if greeks is None else tables.greek_details(greeks),
        outsiders=None if population is None else people_tables.outsider_table(population),
        margin=None if results["margin"] is None else margin_section(results["margin"]),
        cards=tables.card_table(results["cards"], LAYERS) if results["cards"] else None,
        looks=look_sections(results),
        looks_alone=looks_alone(results),
        limits=limits(results),
        plotly=plotly_script(),
    )


def _cards_of(panel: Mapping[str, Any], results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Cards of this panel alone if it has any (a world's), else the study's."""
    own = [card for card in results["cards"] if card.get("panel") == panel["name"]]
    return own or [card for card in results["cards"] if not card.get("panel")]


def _panel(panel: Mapping[str, Any], cards: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything the template shows about one panel."""
    rows = index_rows(panel)
    kind = _KINDS[panel["kind"]]
    if panel["kind"] == "quantile" and panel["level"] is not None:
        kind = f"{percent(panel['level'], 1)} quantile"
    many = len(panel["targets"]) > _TARGETS
    c2 = panel["c2"]
    noise = c2["benchmark_noise_ratio"] if c2["status"] == "ok" else None
    return {
        "raw": panel,
        "facts": (
            ("Forecast", kind),
            ("Horizon", duration(panel["horizon_ms"])),
            ("Period", period(panel["first_ms"], panel["last_ms"])),
            ("Times", f"{panel['times']:,}"),
            ("Targets", joined(panel["targets"], _TARGETS)),
            ("Models", str(len(panel["models"]))),
        ),
        "targets": joined(panel["targets"], len(panel["targets"])) if many else "",
        "rows": rows,
        "failed": [
            {"name": name, **panel[key]}
            for key, name in _INDEX_NAMES.items()
            if panel[key]["status"] == "failed"
            # What C4 lacks where C2 failed is C2's failure, said once.
            and not (key == "c4" and panel["c2"]["status"] == "failed")
        ],
        "dots": index_dots(rows),
        "graph": dependency_graph(panel, cards),
        "parts": shared_parts(panel),
        "unshared": tables.unshared(panel),
        "map": correlation_map(panel),
        "split": failure_split(panel["c3"]),
        "split_table": tables.split_words(panel["c3"]),
        "components": tables.component_table(panel),
        "found": tables.found_table(panel),
        "causes": attribution.cause_table(panel["c4"]),
        "layers": attribution.layer_table(panel["c4"]),
        "undeclared": attribution.undeclared_words(panel["c4"]),
        "models": tables.model_table(panel),
        "further": further_section(panel),
        "benchmark": tables.benchmark_table(panel),
        "noise": "" if noise is None else number(noise),
        "cells": tables.cell_table(panel),
    }
