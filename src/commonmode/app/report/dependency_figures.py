"""What models share, and who depends on them, as Plotly figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from commonmode.app.report.drawing import Figure, base, short, text
from commonmode.app.report.ordering import LAYERS, two_columns
from commonmode.app.report.words import joined, percent, usd

__all__ = ["MANY_MODELS", "dependency_graph", "shared_parts", "who_depends"]

MANY_MODELS = 60
"""Models above which a line for each use is a cloud: parts are drawn alone."""

_MOST_PARTS = 40
_ROW = 30  # pixels of one row in the dependency graph
_BEND = tuple(k / 12 for k in range(13))


def _hidden(low: float, high: float) -> dict[str, Any]:
    return {"visible": False, "range": [low, high], "fixedrange": True}


def dependency_graph(panel: Mapping[str, Any], cards: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Models on the left, the parts that two or more of them use on the right; None without any.

    Above :data:`MANY_MODELS` there is none either: see :func:`shared_parts`.
    """
    c1 = panel["c1"]
    if c1["status"] != "ok" or len(panel["models"]) > MANY_MODELS:
        return None
    exposure = {m["id"]: m["exposure_usd"] or 0.0 for m in panel["models"]}
    shared = [part for part in c1["components"] if len(part["models"]) >= 2]
    if not shared:
        return None
    left, right = two_columns(list(exposure), shared)
    weight = {
        (card["model"], layer, name): w
        for card in cards
        for layer, parts in card["components"].items()
        for name, w in parts.items()
    }
    rows = max(len(left), len(right))
    at_left = {m: _spread(i, len(left), rows) for i, m in enumerate(left)}
    at_right = [_spread(i, len(right), rows) for i in range(len(right))]
    data = [
        _edge(at_left[m], y, part["layer"], weight.get((m, part["layer"], part["component"]), 1.0))
        for y, part in zip(at_right, right, strict=True)
        for m in part["models"]
        if m in at_left
    ]
    largest = max([*exposure.values(), *(p["exposure_usd"] or 0.0 for p in shared), 1e-300])
    data.append(
        _nodes(
            x=0.0,
            y=[at_left[m] for m in left],
            labels=[short(m, 24) for m in left],
            hover=[f"{text(m)}<br>{usd(exposure[m])} rest on it" for m in left],
            size=[_size(exposure[m], largest) for m in left],
            colour="var(--ink)",
            side="middle left",
            name="models",
        )
    )
    for layer in LAYERS:
        mine = [(y, p) for y, p in zip(at_right, right, strict=True) if p["layer"] == layer]
        if mine:
            data.append(
                _nodes(
                    x=1.0,
                    y=[y for y, _ in mine],
                    labels=[f"{short(p['component'])} <i>({layer})</i>" for _, p in mine],
                    hover=[_part_hover(p) for _, p in mine],
                    size=[_size(p["exposure_usd"] or 0.0, largest) for _, p in mine],
                    colour=f"var(--layer-{layer})",
                    side="middle right",
                    name=layer,
                )
            )
    layout = base(
        rows * _ROW + 50,
        margin={"l": 190, "r": 330, "t": 10, "b": 10},
        xaxis=_hidden(-0.04, 1.04),
        yaxis=_hidden(rows - 0.3, -0.7),
        hovermode="closest",
    )
    return {"data": data, "layout": layout}


def shared_parts(panel: Mapping[str, Any]) -> Figure | None:
    """For crowds: the parts that most models use, as bars; None for few models or no shared part.

    The 40 with most users.
    """
    c1 = panel["c1"]
    if c1["status"] != "ok" or len(panel["models"]) <= MANY_MODELS:
        return None
    shared = [part for part in c1["components"] if len(part["models"]) >= 2]
    shared.sort(key=lambda part: (-len(part["models"]), part["component"]))
    drawn = shared[:_MOST_PARTS]
    if not drawn:
        return None
    bars = []
    for layer in LAYERS:
        mine = [(i, part) for i, part in enumerate(drawn) if part["layer"] == layer]
        if mine:
            bars.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": layer,
                    "y": [i for i, _ in mine],
                    "x": [len(part["models"]) for _, part in mine],
                    "width": 0.75,
                    "text": [f"{len(part['models']):,}" for _, part in mine],
                    "textposition": "outside",
                    "cliponaxis": False,
                    "hovertext": [_part_hover(part) for _, part in mine],
                    "hoverinfo": "text",
                    "marker": {"color": f"var(--layer-{layer})"},
                }
            )
    layout = base(
        24 * len(drawn) + 60,
        margin={"l": 290, "r": 60, "t": 10, "b": 40},
        barmode="overlay",
        xaxis={"fixedrange": True, "gridcolor": "var(--line)", "zeroline": False},
        yaxis={
            "tickvals": list(range(len(drawn))),
            "ticktext": [short(part["component"]) for part in drawn],
            "range": [len(drawn) - 0.4, -0.6],
            "fixedrange": True,
        },
    )
    return {"data": bars, "layout": layout}


def _spread(place: int, count: int, rows: int) -> float:
    """Row number of the ``place``-th of ``count`` nodes spread over ``rows``."""
    return (place + 0.5) * rows / count - 0.5


def _size(exposure: float, largest: float) -> float:
    return 9.0 + 17.0 * math.sqrt(exposure / largest)


def _part_hover(part: Mapping[str, Any]) -> str:
    return (
        f"{text(part['component'])} ({part['layer']})<br>{len(part['models'])} models: "
        f"{text(joined(part['models'], 6))}<br>{percent(part['share'])} of the exposure"
    )


def _edge(start: float, end: float, layer: str, weight: float) -> dict[str, Any]:
    """A line that leaves and arrives level."""
    ease = [s * s * (3.0 - 2.0 * s) for s in _BEND]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(_BEND),
        "y": [start + (end - start) * e for e in ease],
        "line": {"color": f"var(--layer-{layer})", "width": 0.8 + 1.6 * weight},
        "opacity": 0.55,
        "hoverinfo": "skip",
    }


def _nodes(
    *,
    x: float,
    y: list[float],
    labels: list[str],
    hover: list[str],
    size: list[float],
    colour: str,
    side: str,
    name: str,
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "x": [x] * len(y),
        "y": y,
        "text": labels,
        "textposition": side,
        "hovertext": hover,
        "hoverinfo": "text",
        "cliponaxis": False,
        "marker": {
            "size": size,
            "color": colour,
            "opacity": 1,
            "line": {"color": "var(--card)", "width": 1.5},
        },
    }


def who_depends(population: Mapping[str, Any] | None) -> Figure | None:
    """Surface models, participants and risk models, joined by the USD that rest on them."""
    if population is None or not any(p["gross_usd"] for p in population["participants"]):
        return None
    people = [p for p in population["participants"] if p["gross_usd"]]
    keys: dict[tuple[str, str], int] = {}
    for kind in ("surface_model", "id", "risk_model"):
        for p in people:
            keys.setdefault((kind, p[kind]), len(keys))
    colour = {"surface_model": "var(--market)", "id": "var(--muted)", "risk_model": "var(--design)"}
    place = {"surface_model": 0.001, "id": 0.5, "risk_model": 0.999}
    source, target, value = [], [], []
    for p in people:
        here = keys["id", p["id"]]
        source += [keys["surface_model", p["surface_model"]], here]
        target += [here, keys["risk_model", p["risk_model"]]]
        value += [p["gross_usd"]] * 2
    sankey = {
        "type": "sankey",
        "arrangement": "snap",
        "node": {
            "label": [short(name, 28) for _, name in keys],
            "color": [colour[kind] for kind, _ in keys],
            "x": [place[kind] for kind, _ in keys],
            "pad": 12,
            "thickness": 12,
            "line": {"width": 0},
            "hovertemplate": "%{label}: $%{value:.3s}<extra></extra>",
        },
        "link": {
            "source": source,
            "target": target,
            "value": value,
            "color": ["var(--flow)"] * len(value),
            "hovertemplate": "%{source.label} to %{target.label}: $%{value:.3s}<extra></extra>",
        },
        "textfont": {"color": "var(--ink)", "shadow": "none"},
    }
    layout = base(max(360, 34 * len(people)), margin={"l": 10, "r": 10, "t": 10, "b": 20})
    return {"data": [sankey], "layout": layout}
