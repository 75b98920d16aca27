"""Pictures of margin: parts by account and method, surface models, liquidation, worst scenarios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from commonmode.app.report.drawing import (
    MODEL_COLOURS,
    Figure,
    base,
    short,
    subplot,
    subplot_title,
    text,
)

__all__ = ["legs_figure", "liquidation_figure", "models_figure", "parts_figure"]

_ROW: Final = 21  # pixels of one bar
_LEGS: Final = 9  # of one waterfall
_FAIL_TO_SAFE: Final = ([0, "var(--warm)"], [0.5, "var(--card)"], [1, "var(--cold)"])


def _able(value: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(account, method, cell) of what was margined."""
    return [
        (account["account"], method, cell)
        for account in value["accounts"]
        for method, cell in account["methods"].items()
        if cell["failure"] is None
    ]


def _rows(cells: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[list[str]]:
    """Account and method, as the two levels of an axis."""
    return [[short(account, 22) for account, _, _ in cells], [m for _, m, _ in cells]]


def _layout(cells: Sequence[Any], title: str, **more: Any) -> dict[str, Any]:
    return base(
        _ROW * len(cells) + 120,
        xaxis={
            "title": {"text": title},
            "gridcolor": "var(--line)",
            "zerolinecolor": "var(--muted)",
            **more.pop("xaxis", {}),
        },
        yaxis={"type": "multicategory", "autorange": "reversed", "automargin": True},
        showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"l": 10, "r": 10, "t": 60, "b": 45},
        **more,
    )


def parts_figure(value: Mapping[str, Any]) -> Figure | None:
    """Initial margin of every account by method, stacked by what it is made of."""
    cells = _able(value)
    parts = list(dict.fromkeys(part for _, _, cell in cells for part in cell["components"]))
    parts = [p for p in parts if any(cell["components"].get(p) for _, _, cell in cells)]
    if not parts:
        return None
    rows = _rows(cells)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": text(part.replace("_", " ")),
            "y": rows,
            "x": [cell["components"].get(part) for _, _, cell in cells],
            "marker": {
                "color": MODEL_COLOURS[at % len(MODEL_COLOURS)],
                "pattern": {"shape": ("", "/", ".")[at // len(MODEL_COLOURS) % 3]},
            },
            "hovertemplate": f"%{{y}}, {text(part.replace('_', ' '))}: %{{x:$.4s}}<extra></extra>",
        }
        for at, part in enumerate(parts)
    ]
    axis = {"tickformat": "$~s"}
    layout = _layout(cells, "initial margin", barmode="relative", bargap=0.25, xaxis=axis)
    return {"data": data, "layout": layout}


def models_figure(value: Mapping[str, Any]) -> Figure | None:
    """Initial margin under every surface model, in percent of that under the marks."""
    cells = [
        one
        for one in _able(value)
        if one[2]["initial_by_model"].get(value["marks"]) and len(one[2]["initial_by_model"]) > 1
    ]
    if not cells:
        return None
    rows = _rows(cells)
    data = []
    for at, model in enumerate(value["models"]):
        ratios = []
        for _, _, cell in cells:
            own, marks = (
                cell["initial_by_model"].get(model),
                cell["initial_by_model"][value["marks"]],
            )
            ratios.append(None if own is None else 100 * (own / marks - 1))
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": short(model, 26),
                "x": ratios,
                "y": rows,
                "marker": {
                    "color": MODEL_COLOURS[at % len(MODEL_COLOURS)],
                    "symbol": at // len(MODEL_COLOURS),
                    "size": 8,
                    "opacity": 0.8,
                },
                "hovertemplate": "%{y}: %{x:+.2f} %<extra>" + text(model) + "</extra>",
            }
        )
    axis = {"ticksuffix": " %"}
    title = f"initial margin against that under the marks of {text(value['marks'])}"
    return {"data": data, "layout": _layout(cells, title, xaxis=axis)}


def liquidation_figure(picture: Mapping[str, Any]) -> Figure | None:
    """Maintenance balance over spot and volatility, one map per method, zero as a line."""
    surfaces = picture["surfaces"]
    if not surfaces:
        return None
    lines = -(-len(surfaces) // 2)
    layout = base(
        290 * lines + 60,
        grid={"rows": lines, "columns": 2, "pattern": "independent", "ygap": 0.32, "xgap": 0.22},
        margin={"l": 80, "r": 10, "t": 40, "b": 50},
    )
    data: list[dict[str, Any]] = []
    notes = []
    for place, surface in enumerate(surfaces):
        tail, axes = subplot(place)
        x = [100 * (spot - 1) for spot in surface["spot"]]
        y = [100 * (vol - 1) for vol in surface["vol"]]
        known = [v for line in surface["balance"] for v in line if v is not None]
        # Each method on its own scale, symmetric: white is zero. The extremes may saturate.
        sizes = sorted(abs(v) for v in known)
        most = sizes[int(0.8 * (len(sizes) - 1))] or 1.0
        key = f"coloraxis{tail}"
        layout[key] = {"colorscale": _FAIL_TO_SAFE, "cmin": -most, "cmax": most, "showscale": False}
        layout[f"xaxis{tail}"] = {"ticksuffix": " %", "zeroline": False, "title": {"text": "spot"}}
        layout[f"yaxis{tail}"] = {"ticksuffix": " %", "zeroline": False, "nticks": 6}
        if place % 2 == 0:
            layout[f"yaxis{tail}"]["title"] = {"text": "volatility", "standoff": 14}
        worst = min(known, default=0.0)
        notes.append(
            subplot_title(f"{surface['method']}{'' if worst < 0 else ': never below zero'}", tail)
        )
        shared = {"x": x, "y": y, "z": surface["balance"], **axes}
        said = "spot %{x:+.0f} %, vol %{y:+.0f} %: %{z:$.4s}<extra></extra>"
        data.append({"type": "heatmap", "coloraxis": key, "hovertemplate": said, **shared})
        if worst < 0 < max(known):
            data.append(
                {
                    "type": "contour",
                    "contours": {"start": 0, "end": 0, "size": 1, "coloring": "none"},
                    "line": {"color": "var(--ink)", "width": 2},
                    "showscale": False,
                    "hoverinfo": "skip",
                    **shared,
                }
            )
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [0],
                "y": [0],
                "marker": {"color": "var(--ink)", "symbol": "x-thin-open", "size": 9},
                "hovertemplate": "today<extra></extra>",
                **axes,
            }
        )
    layout["annotations"] = notes
    return {"data": data, "layout": layout}


def legs_figure(picture: Mapping[str, Any]) -> Figure | None:
    """Initial margin leg by leg in the worst scenario of each method, largest first."""
    found = [(m, legs) for m, legs in picture["legs"].items() if legs["legs"]]
    if not found:
        return None
    lines = -(-len(found) // 2)
    layout = base(
        330 * lines + 40,
        grid={"rows": lines, "columns": 2, "pattern": "independent", "ygap": 0.3, "xgap": 0.45},
        margin={"l": 175, "r": 10, "t": 40, "b": 40},
    )
    data, notes = [], []
    for place, (method, legs) in enumerate(found):
        tail, axes = subplot(place)
        names, steps = _steps(legs["legs"])
        layout[f"xaxis{tail}"] = {"tickformat": "$~s", "gridcolor": "var(--line)", "nticks": 5}
        layout[f"yaxis{tail}"] = {"type": "category", "autorange": "reversed"}
        notes.append(subplot_title(f"{method}: {short(legs['scenario'], 40)}", tail))
        data.append(
            {
                "type": "waterfall",
                "orientation": "h",
                "y": [*names, "initial margin"],
                "x": [*steps, 0],
                "measure": [*("relative" for _ in steps), "total"],
                "increasing": {"marker": {"color": "var(--warm)"}},
                "decreasing": {"marker": {"color": "var(--cold)"}},
                "totals": {"marker": {"color": "var(--muted)"}},
                "connector": {"line": {"color": "var(--line)", "width": 1}},
                "hovertemplate": "%{y}: %{delta:$.4s}<extra></extra>",
                **axes,
            }
        )
    layout["annotations"] = notes
    return {"data": data, "layout": layout}


def _steps(legs: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[float]]:
    """The largest legs and the sum of the others."""
    order = sorted(legs, key=lambda leg: -abs(leg["initial"]))
    names = [short(leg["leg"], 24) for leg in order[:_LEGS]]
    steps = [float(leg["initial"]) for leg in order[:_LEGS]]
    rest = order[_LEGS:]
    if rest:
        names.append(f"{len(rest)} smaller ones")
        steps.append(float(sum(leg["initial"] for leg in rest)))
    return names, steps
