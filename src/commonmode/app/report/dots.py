"""Every index of a panel as a dot with its 95 % whisker, each on its own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commonmode.app.report.words import estimate, number, p_value, percent

__all__ = ["IndexRow", "index_dots", "index_rows"]

_ROW = 62  # pixels


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One index as shown: in the picture and in the table below it.

    Attributes
    ----------
    name, reading : str
        What it is, and how to read it.
    value : float or None
    bounds : (float, float) or None
    shown : str
        Value and interval in words.
    p, detectable : str
        Of its test; what would have been found with 80 % probability.
    low, high : float
        Ends of its scale.
    reference : (float, str)
        Where independence or full agreement lies.
    blind_to : float or None
        Effects between the reference and this value would have been missed.
    """

    name: str
    reading: str
    value: float | None
    bounds: tuple[float, float] | None
    shown: str
    p: str
    detectable: str
    low: float
    high: float
    reference: tuple[float, str]
    blind_to: float | None = None


def _bounds(pair: Sequence[float | None] | None) -> tuple[float, float] | None:
    if pair is None:
        return None
    low, high = pair
    return None if low is None or high is None else (low, high)


def index_rows(panel: Mapping[str, Any]) -> list[IndexRow]:
    """Indices that were computed, most telling first."""
    rows = []
    if panel["c2"]["status"] == "ok":
        rows.append(_effective_number(panel["c2"]))
    if panel["c3"]["status"] == "ok" and panel["c3"]["ratio"] is not None:
        rows.append(_cofailure(panel["c3"]))
    if panel["c1"]["status"] == "ok":
        rows.append(_similarity(panel["c1"]))
    if panel["c6"]["status"] == "ok":
        rows += _dispersion(panel["c6"])
    return rows


def _effective_number(c2: Mapping[str, Any]) -> IndexRow:
    share, common = c2["minimum_detectable_share"], c2["minimum_detectable_common"]
    found = []
    if share is not None:
        found.append("no part of 3 models" if share >= 1 else f"{percent(share)} in 3 models")
    if common is not None:
        found.append("none of all" if common >= 1 else f"{percent(common)} in all")
    return IndexRow(
        name="Independent models (C2)",
        reading=f"{c2['models']} = all independent, 1 = all act as one",
        value=c2["effective_number"],
        bounds=_bounds(c2["interval"]),
        shown=estimate(c2["effective_number"], c2["interval"], 1),
        p=p_value(c2["p_value"]),
        detectable=", ".join(found),
        low=1.0,
        high=float(c2["models"]),
        reference=(float(c2["models"]), "all independent"),
    )


def _cofailure(c3: Mapping[str, Any]) -> IndexRow:
    bounds = _bounds(c3["interval"])
    least = c3["minimum_detectable_ratio"]
    marks = [1.0, c3["ratio"], *(bounds or ()), *([least] if least is not None else [])]
    return IndexRow(
        name="Fail together (C3)",
        reading="1 = as often as independent models in the same market",
        value=c3["ratio"],
        bounds=bounds,
        shown=estimate(c3["ratio"], c3["interval"]),
        p=p_value(c3["p_value"]),
        detectable=f"a ratio of {number(least)}",
        low=min(marks),
        high=max(marks),
        reference=(1.0, "independent"),
        blind_to=least,
    )


def _similarity(c1: Mapping[str, Any]) -> IndexRow:
    return IndexRow(
        name="Declared similarity (C1)",
        reading="share of parts in common, by the cards; 0 = nothing shared, 1 = the same model",
        value=c1["mean_similarity"],
        bounds=_bounds(c1["interval"]),
        shown=estimate(c1["mean_similarity"], c1["interval"]),
        p="",
        detectable="declared, not estimated",
        low=0.0,
        high=1.0,
        reference=(0.0, "nothing shared"),
    )


def _dispersion(c6: Mapping[str, Any]) -> list[IndexRow]:
    texts = (
        ("risk_ratio", "Largest over smallest (C6)", "1 = all models say the same", 1.0),
        (
            "interquartile_dispersion",
            "Quartile dispersion (C6)",
            "(Q3 - Q1) / (Q3 + Q1); 0 = all models say the same",
            0.0,
        ),
        (
            "cont_range",
            "Range of the equally good (C6)",
            "of models that outcomes cannot tell apart, in units of the figure itself",
            0.0,
        ),
    )
    rows = []
    for key, name, reading, same in texts:
        part = c6[key]
        if part["value"] is None or (key == "cont_range" and len(c6["equally_good"]) < 2):
            continue
        pair = (part["low"], part["high"])
        known = [v for v in (part["value"], *pair) if v is not None]
        digits = 2 if max(known) >= 0.1 else 4
        rows.append(
            IndexRow(
                name=name,
                reading=reading,
                value=part["value"],
                bounds=_bounds(pair),
                shown=estimate(part["value"], pair, digits),
                p="",
                detectable="a description, no test",
                low=same,
                high=max([same + 0.01, *known]),
                reference=(same, "no disagreement"),
            )
        )
    return rows


def index_dots(rows: Sequence[IndexRow]) -> dict[str, Any] | None:
    """The picture of ``rows``; None without any value."""
    rows = [row for row in rows if row.value is not None]
    if not rows:
        return None
    data: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i, row in enumerate(rows):
        tag = "" if i == 0 else str(i + 1)
        top = 1.0 - i / len(rows)
        span = 1.0 / len(rows)
        margin = 0.06 * (row.high - row.low or 1.0)
        layout[f"xaxis{tag}"] = {
            "domain": [0.27, 0.72],
            "range": [row.low - margin, row.high + margin],
            "anchor": f"y{tag}",
            "fixedrange": True,
            "nticks": 6,
            "gridcolor": "var(--line)",
            "zeroline": False,
            "tickfont": {"size": 11, "color": "var(--muted)"},
        }
        layout[f"yaxis{tag}"] = {
            "domain": [top - 0.72 * span, top - 0.06 * span],
            "range": [-1, 1],
            "visible": False,
            "fixedrange": True,
            "anchor": f"x{tag}",
        }
        axes = {"xref": f"x{tag}", "yref": f"y{tag} domain", "y0": 0, "y1": 1}
        if row.blind_to is not None:
            at = sorted((row.reference[0], row.blind_to))
            band = {"type": "rect", "x0": at[0], "x1": at[1], "layer": "below", **axes}
            shapes.append({**band, "line": {"width": 0}, "fillcolor": "var(--band)"})
        line = {"type": "line", "x0": row.reference[0], "x1": row.reference[0], **axes}
        shapes.append({**line, "line": {"color": "var(--muted)", "width": 1.5, "dash": "dot"}})
        if row.bounds is not None:
            data.append(_whisker(row.bounds, tag))
        data.append(_dot(row, tag))
        middle = top - 0.39 * span
        notes.append(_note(0.0, middle, "left", f"<b>{row.name}</b>"))
        notes.append(
            _note(
                0.74,
                middle,
                "left",
                f"<b>{row.shown}</b><br><span style='font-size:11px'>{_seen(row)}</span>",
            )
        )
    layout |= {
        "height": _ROW * len(rows) + 20,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "var(--ink)"},
        "margin": {"l": 0, "r": 0, "t": 4, "b": 16},
        "showlegend": False,
        "annotations": notes,
        "shapes": shapes,
    }
    return {"data": data, "layout": layout}


def _seen(row: IndexRow) -> str:
    return f"p {row.p}; would have found:<br>{row.detectable}" if row.p else row.detectable


def _whisker(bounds: tuple[float, float], tag: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(bounds),
        "y": [0, 0],
        "xaxis": f"x{tag}",
        "yaxis": f"y{tag}",
        "line": {"color": "var(--accent)", "width": 3},
        "marker": {"symbol": "line-ns", "size": 12, "line": {"color": "var(--accent)", "width": 3}},
        "hoverinfo": "skip",
    }


def _dot(row: IndexRow, tag: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [row.value],
        "y": [0],
        "xaxis": f"x{tag}",
        "yaxis": f"y{tag}",
        "marker": {"size": 13, "color": "var(--accent)"},
        "hovertemplate": f"{row.name}: {row.shown}<br>{row.reading}<extra></extra>",
    }


def _note(x: float, y: float, anchor: str, words: str) -> dict[str, Any]:
    return {
        "xref": "paper",
        "yref": "paper",
        "x": x,
        "y": y,
        "xanchor": anchor,
        "yanchor": "middle",
        "align": anchor,
        "showarrow": False,
        "text": words,
    }
