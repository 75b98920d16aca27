"""Picture of the monitor: its weighted indices along time, and when its rules went off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from commonmode.app.report.drawing import Figure, base, subplot, subplot_title, text
from commonmode.app.report.words import moment, number

__all__ = ["MONITORING_CAPTION", "monitoring_picture"]

MONITORING_CAPTION: Final = (
    "Weighted indices since the end of the baseline. Shaded: 95 % interval of each window, where "
    "there is one. Dotted line: independence. Upright lines: alarms."
)

_HEIGHT: Final = 260  # pixels of one index
_INDEPENDENT: Final = {"co-failure ratio": 1.0}


def monitoring_picture(look: Mapping[str, Any], models: int) -> Figure | None:
    """One chart for each index; nothing where the look failed or has no paths.

    Parameters
    ----------
    look : mapping
        The look ``monitoring`` of a panel, as in ``results.json``.
    models : int
        Of the panel: the effective number of independent models.
    """
    paths = next((t for t in look.get("tables", ()) if t["name"] == "paths"), None)
    if paths is None or not paths["rows"]:
        return None
    rows = [dict(zip(paths["columns"], row, strict=True)) for row in paths["rows"]]
    names = list(dict.fromkeys(row["index"] for row in rows))
    alarms = [dict(zip(look["columns"], row, strict=True)) for row in look["rows"]]
    layout = base(
        _HEIGHT * len(names) + 40,
        margin={"l": 50, "r": 15, "t": 35, "b": 40},
        annotations=[],
        shapes=[],
        hovermode="closest",
    )
    data: list[dict[str, Any]] = []
    share = 1.0 / len(names)
    for place, name in enumerate(names):
        tail, axes = subplot(place)
        mine = [row for row in rows if row["index"] == name]
        bottom = 1.0 - (place + 1) * share
        layout[f"xaxis{tail}"] = {
            "type": "date",
            "gridcolor": "var(--line)",
            "fixedrange": True,
            "anchor": axes["yaxis"],
        }
        layout[f"yaxis{tail}"] = {
            "domain": [
                bottom + (0.12 * share if place + 1 < len(names) else 0.0),
                bottom + 0.9 * share,
            ],
            "gridcolor": "var(--line)",
            "zeroline": False,
            "fixedrange": True,
        }
        data += [*_band(mine, axes), _line(mine, name, axes)]
        level = _INDEPENDENT.get(name, float(models))
        layout["shapes"].append(
            {
                "type": "line",
                "xref": f"x{tail} domain",
                "yref": f"y{tail}",
                "x0": 0,
                "x1": 1,
                "y0": level,
                "y1": level,
                "line": {"color": "var(--muted)", "width": 1, "dash": "dot"},
            }
        )
        layout["shapes"] += [
            {
                "type": "line",
                "xref": f"x{tail}",
                "yref": f"y{tail} domain",
                "x0": alarm["time_ms"],
                "x1": alarm["time_ms"],
                "y0": 0,
                "y1": 1,
                "line": {"color": "var(--warm)", "width": 1},
            }
            for alarm in alarms
        ]
        layout["annotations"].append(subplot_title(text(name), tail))
    return {"data": data, "layout": layout}


def _line(rows: list[dict[str, Any]], name: str, axes: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [row["time_ms"] for row in rows],
        "y": [row["value"] for row in rows],
        "line": {"color": "var(--ink)", "width": 1.5},
        "hovertext": [_said(row, name) for row in rows],
        "hoverinfo": "text",
        **axes,
    }


def _band(rows: list[dict[str, Any]], axes: dict[str, str]) -> list[dict[str, Any]]:
    """One area for each run of windows that have an interval."""
    runs: list[list[dict[str, Any]]] = [[]]
    for row in rows:
        if row["low"] is None or row["high"] is None:
            if runs[-1]:
                runs.append([])
        else:
            runs[-1].append(row)
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "x": [row["time_ms"] for row in (*run, *reversed(run))],
            "y": [row["low"] for row in run] + [row["high"] for row in reversed(run)],
            "fill": "toself",
            "fillcolor": "var(--line)",
            "line": {"width": 0},
            "hoverinfo": "skip",
            **axes,
        }
        for run in runs
        if run
    ]


def _said(row: dict[str, Any], name: str) -> str:
    said = "not known" if row["value"] is None else number(row["value"])
    if row["low"] is not None and row["high"] is not None:
        said += f" ({number(row['low'])} to {number(row['high'])})"
    return text(f"{moment(row['time_ms'])}: {name} {said}")
