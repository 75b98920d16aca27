"""The report's pictures as Plotly figures: plain mappings, colours by name of a CSS variable.

A colour is written ``var(--name)``; the page's script puts the reader's light or dark colour in its
place. Names come from users, so every text is escaped: Plotly reads a subset of HTML.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import escape

from commonmode.app.report.ordering import LAYERS, by_cluster, two_columns
from commonmode.app.report.words import clean, joined, number, percent, usd

__all__ = [
    "MANY_MODELS",
    "Figure",
    "correlation_map",
    "dependency_graph",
    "failure_split",
    "shared_parts",
    "who_depends",
]

Figure = dict[str, Any]

MODEL_COLOURS = (
    "var(--layer-data)",
    "var(--layer-code)",
    "var(--layer-technique)",
    "var(--layer-calibration)",
    "var(--layer-assumption)",
    "var(--layer-vendor)",
    "var(--muted)",
)

MANY_MODELS = 60
"""Models above which a line for each use is a cloud: parts are drawn alone."""

_MOST_PARTS = 40
_LABELLED = 40  # models up to which every cell of a matrix has room for its number
_ROW = 30  # pixels of one row in the dependency graph
_BEND = tuple(k / 12 for k in range(13))


def text(value: object) -> str:
    """User text for a Plotly label."""
    return str(escape(clean(value)))


def short(value: object, most: int = 34) -> str:
    """User text for a label that has little room; head and tail stay, for both tell names apart."""
    whole = clean(value)
    if len(whole) > most:
        tail = most // 3
        whole = f"{whole[: most - tail - 1]}…{whole[-tail:]}"
    return text(whole)


def base(height: int, **layout: Any) -> dict[str, Any]:
    return {
        "height": height,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink)"},
        "showlegend": False,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "hoverlabel": {"align": "left"},
        **layout,
    }


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


def correlation_map(panel: Mapping[str, Any]) -> Figure | None:
    """Deviation correlation of every pair, models that act as one framed; None if C2 failed."""
    c2 = panel["c2"]
    if c2["status"] != "ok":
        return None
    models = [m["id"] for m in panel["models"]]
    order = by_cluster(models, c2["clusters"])
    n = len(order)
    if not c2["correlation"]:
        return None
    cells = [[None if i == j else c2["correlation"][i][j] for j in order] for i in order]
    names = [short(models[i], 19) for i in order]
    shapes = []
    start = 0
    for cluster in c2["clusters"]:
        end = start + sum(m in models for m in cluster["models"])
        shapes.append(
            {
                "type": "rect",
                "x0": start - 0.5,
                "x1": end - 0.5,
                "y0": start - 0.5,
                "y1": end - 0.5,
                "line": {"color": "var(--ink)", "width": 2},
            }
        )
        start = end
    axis = {"tickvals": list(range(n)), "ticktext": names, "fixedrange": True, "showgrid": False}
    heat = {
        "type": "heatmap",
        "z": cells,
        "zmin": -1,
        "zmax": 1,
        "colorscale": [[0, "var(--cold)"], [0.5, "var(--card)"], [1, "var(--warm)"]],
        "hovertemplate": "%{y} and %{x}: %{z:.2f}<extra></extra>",
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickvals": [-1, -0.5, 0, 0.5, 1]},
    }
    if n <= _LABELLED:
        heat |= {
            "text": [["" if v is None else number(v) for v in row] for row in cells],
            "texttemplate": "%{text}",
            "textfont": {"color": "var(--ink)"},
            "hovertemplate": "%{y} and %{x}: %{text}<extra></extra>",
            "xgap": 2,
            "ygap": 2,
        }
    else:  # names are in the hover: there is no room for them all
        axis |= {"showticklabels": False}
        heat |= {"x": names, "y": names}
    layout = base(
        40 * n + 150 if n <= _LABELLED else 900,
        margin={"l": 150, "r": 10, "t": 10, "b": 110},
        xaxis={**axis, "tickangle": -40, "range": [-0.5, n - 0.5], "zeroline": False},
        yaxis={**axis, "range": [n - 0.5, -0.5], "zeroline": False},
        shapes=shapes,
    )
    return {"data": [heat], "layout": layout}


_SPLIT = (
    ("market", "the market's doing", "var(--market)"),
    ("shared_design", "shared design", "var(--design)"),
    ("individual", "individual chance", "var(--chance)"),
)


def failure_split(c3: Mapping[str, Any]) -> Figure | None:
    """Joint failures as one stacked bar; None where they cannot be split."""
    if c3["status"] != "ok" or c3["split"] is None:
        return None
    bars = []
    for key, label, colour in _SPLIT:
        part = c3["split"][key]
        bars.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": label,
                "y": [""],
                "x": [part["value"]],
                "text": [percent(part["value"])],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "insidetextfont": {"color": "var(--on-bar)", "size": 15},
                "hovertemplate": f"{label}: {percent(part['value'])}<extra></extra>",
                "marker": {"color": colour, "line": {"color": "var(--card)", "width": 2}},
            }
        )
    layout = base(
        130,
        barmode="relative",
        showlegend=True,
        legend={"orientation": "h", "y": 1.1, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        margin={"l": 10, "r": 20, "t": 30, "b": 30},
        xaxis={
            "tickformat": ".0%",
            "fixedrange": True,
            "zeroline": False,
            "gridcolor": "var(--line)",
        },
        yaxis={"fixedrange": True, "visible": False},
    )
    return {"data": bars, "layout": layout}


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
