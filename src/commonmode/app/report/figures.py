"""Who moves with whom, and why models fail together, as Plotly figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.drawing import Figure, base, short
from commonmode.app.report.ordering import by_cluster
from commonmode.app.report.words import number, percent

__all__ = ["correlation_map", "failure_split"]

_LABELLED = 40  # models up to which every cell of a matrix has room for its number


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
