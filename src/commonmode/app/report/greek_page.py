"""greeks.html: Greeks by expiry, P&L over spot and vol, and where the models disagree."""

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
from commonmode.app.report.html import environment, plotly_script
from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, number, percent, usd

__all__ = ["render_greeks_html"]

_COLUMNS: Final = 3
_MOST: Final = 15  # instruments in the table
# Near expiries dark, far ones light: readable on a light and on a dark page.
_NEAR_TO_FAR: Final = (
    (68, 57, 131),
    (48, 103, 142),
    (33, 144, 140),
    (80, 184, 103),
    (214, 200, 60),
)
_LOSS_TO_GAIN: Final = ([0, "var(--warm)"], [0.5, "var(--card)"], [1, "var(--cold)"])
_APART: Final = ([0, "var(--card)"], [1, "var(--design)"])


def render_greeks_html(table: Mapping[str, Any], *, version: str) -> str:
    """The exposure of a study's books as one HTML page that asks nothing of the network.

    Parameters
    ----------
    table : mapping
        As made by :func:`commonmode.app.study.greeks.study_greeks` with its pictures.
    version : str
        Of the program.
    """
    pictures, models = table["pictures"], table["models"]
    template = environment().get_template("greeks.html.j2")
    return template.render(
        table=table,
        version=version,
        books=[
            {
                "name": clean(book["book"]),
                "gross": usd(book["gross_usd"]),
                "expiries": [
                    (clean(part["underlying"]), _expiry_figure(part, models))
                    for part in book["expiries"]
                ],
                "pnl": _book_figure(pictures, book, models),
                "worst": _worst(pictures, book, models),
            }
            for book in pictures["books"]
        ],
        other_books=[clean(name) for name in pictures["other_books"]],
        instruments=[
            (
                clean(part["underlying"]),
                _instrument_figure(part, models),
                _instrument_table(part),
            )
            for part in pictures["instruments"]
        ],
        totals=_totals(table),
        failures=[
            f"{clean(f.get('model', ''))} {clean(f.get('instrument') or 'all options')}: "
            f"{clean(f['message'])} ({clean(f['remedy'])})".strip()
            for f in (*table["failures"], *table["failed_positions"])
        ],
        plotly=plotly_script(),
    )


def _blend(place: int, count: int) -> str:
    """Colour number ``place`` of ``count`` from near to far."""
    at = 0.0 if count < 2 else place / (count - 1) * (len(_NEAR_TO_FAR) - 1)
    low = min(int(at), len(_NEAR_TO_FAR) - 2)
    mix = [
        round(a + (at - low) * (b - a))
        for a, b in zip(_NEAR_TO_FAR[low], _NEAR_TO_FAR[low + 1], strict=True)
    ]
    return f"rgb({mix[0]}, {mix[1]}, {mix[2]})"


def _expiry_figure(part: Mapping[str, Any], models: Sequence[str]) -> Figure:
    """One chart per Greek: a bar per model, stacked by expiry."""
    greeks, expiries = part["greeks"], part["expiries"]
    names = [short(model, 18) for model in models]
    lines = -(-len(greeks) // 2)
    layout = base(
        280 * lines + 60,
        grid={"rows": lines, "columns": 2, "pattern": "independent", "ygap": 0.45, "xgap": 0.16},
        barmode="relative",
        bargap=0.3,
        showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"l": 60, "r": 10, "t": 100, "b": 70},
    )
    data, notes = [], []
    for g, greek in enumerate(greeks):
        tail, axes = subplot(g)
        layout[f"xaxis{tail}"] = {"type": "category", "tickangle": -35}
        layout[f"yaxis{tail}"] = {
            "gridcolor": "var(--line)",
            "zerolinecolor": "var(--muted)",
            "tickformat": "$~s",
        }
        notes.append(subplot_title(f"{text(greek['greek'])}, {text(greek['unit'])}", tail))
        for e, expiry in enumerate(expiries):
            name = text(expiry[:10])
            data.append(
                {
                    "type": "bar",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": g == 0,
                    "x": names,
                    "y": [greek["usd"][model][e] for model in models],
                    "marker": {"color": _blend(e, len(expiries))},
                    "hovertemplate": f"%{{x}}, {name}: %{{y:$.4s}}<extra></extra>",
                    **axes,
                }
            )
    layout["annotations"] = notes
    return {"data": data, "layout": layout}


def _book_figure(grid: Mapping[str, Any], book: Mapping[str, Any], models: Sequence[str]) -> Figure:
    """A heat map of P&L per model on one scale, and one of how far the models are apart."""
    charts = [(short(model, 26), book["pnl"][model], False) for model in models]
    if len(models) > 1:
        charts.append(("models apart by", book["range"], True))
    lines = -(-len(charts) // _COLUMNS)
    x = [round(100 * (spot - 1)) for spot in grid["spot"]]
    y = [round(100 * shift) for shift in grid["vol_shift"]]
    most = max(
        (abs(v) for model in models for line in book["pnl"][model] for v in line if v is not None),
        default=1.0,
    )
    layout = base(
        245 * lines + 70,
        grid={
            "rows": lines,
            "columns": _COLUMNS,
            "pattern": "independent",
            "ygap": 0.35,
            "xgap": 0.14,
        },
        margin={"l": 55, "r": 10, "t": 30, "b": 45},
        coloraxis={
            "colorscale": _LOSS_TO_GAIN,
            "cmin": -most,
            "cmax": most,
            "colorbar": {"tickformat": "$~s", "title": {"text": "P&L"}},
        },
        coloraxis2={
            "colorscale": _APART,
            "cmin": 0,
            "colorbar": {
                "tickformat": "$~s",
                "title": {"text": "apart"},
                "x": 1.14,
            },
        },
    )
    data, notes = [], []
    for place, (name, values, apart) in enumerate(charts):
        tail, axes = subplot(place)
        layout[f"xaxis{tail}"] = {"ticksuffix": "%", "zeroline": False, "nticks": 5}
        layout[f"yaxis{tail}"] = {"zeroline": False, "nticks": 6}
        if place % _COLUMNS == 0:
            layout[f"yaxis{tail}"]["title"] = {"text": "vol points"}
        notes.append(subplot_title(name, tail))
        data.append(
            {
                "type": "heatmap",
                "x": x,
                "y": y,
                "z": [list(column) for column in zip(*values, strict=True)],
                "coloraxis": "coloraxis2" if apart else "coloraxis",
                "hovertemplate": "spot %{x}%, vol %{y} points: %{z:$.4s}<extra></extra>",
                **axes,
            }
        )
    layout["annotations"] = notes
    return {"data": data, "layout": layout}


def _worst(grid: Mapping[str, Any], book: Mapping[str, Any], models: Sequence[str]) -> Table:
    """The worst scenario of the grid under each model."""
    rows = []
    for model in models:
        cells = [
            (value, spot, shift)
            for spot, line in zip(grid["spot"], book["pnl"][model], strict=True)
            for shift, value in zip(grid["vol_shift"], line, strict=True)
            if value is not None
        ]
        if not cells:
            missing = f"{book['unpriced'][model]} positions without a value"
            rows.append((clean(model), missing, "", ""))
            continue
        value, spot, shift = min(cells)
        rows.append(
            (clean(model), _money(value), percent(spot - 1), f"{number(100 * shift, 0)} points")
        )
    return Table(
        f"Worst of the grid for {clean(book['book'])}",
        ("Model", "P&L", "Spot", "Volatility"),
        tuple(rows),
        (1, 2, 3),
    )


def _instrument_figure(part: Mapping[str, Any], models: Sequence[str]) -> Figure:
    """Each model's delta and vega less the models' median, by moneyness."""
    titles = {
        "delta": "delta less the median, coins per coin",
        "vega": "vega less the median, USD per vol point and coin",
    }
    layout = base(
        430,
        grid={"rows": 1, "columns": 2, "pattern": "independent", "xgap": 0.16},
        showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"l": 60, "r": 10, "t": 90, "b": 45},
    )
    data, notes = [], []
    for place, (greek, title) in enumerate(titles.items()):
        tail, axes = subplot(place)
        layout[f"xaxis{tail}"] = {
            "gridcolor": "var(--line)",
            "zeroline": False,
            "title": {"text": "log-moneyness"},
        }
        layout[f"yaxis{tail}"] = {"gridcolor": "var(--line)", "zerolinecolor": "var(--muted)"}
        notes.append(subplot_title(title, tail))
        for m, model in enumerate(models):
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": short(model),
                    "legendgroup": text(model),
                    "showlegend": place == 0,
                    "x": part["moneyness"],
                    "y": part[greek]["from_median"][model],
                    "text": [text(name) for name in part["instrument"]],
                    "marker": {
                        "color": MODEL_COLOURS[m % len(MODEL_COLOURS)],
                        "symbol": m // len(MODEL_COLOURS),
                        "size": 4,
                        "opacity": 0.8,
                    },
                    "hovertemplate": "%{text}: %{y:.4g}<extra>" + text(model) + "</extra>",
                    **axes,
                }
            )
    layout["annotations"] = notes
    return {"data": data, "layout": layout}


def _instrument_table(part: Mapping[str, Any]) -> Table:
    """The instruments whose delta the models dispute most."""
    delta, vega = part["delta"], part["vega"]
    order = sorted(
        (i for i, apart in enumerate(delta["range"]) if apart is not None),
        key=lambda i: -delta["range"][i],
    )
    rows = tuple(
        (
            clean(part["instrument"][i]),
            number(delta["median"][i], 3),
            number(delta["range"][i], 3),
            number(vega["median"][i]),
            number(vega["range"][i]),
        )
        for i in order[:_MOST]
    )
    return Table(
        f"The {len(rows)} of {len(delta['range'])} options with the most disputed delta",
        ("Instrument", "delta, median", "apart by", "vega, median", "apart by"),
        rows,
        (1, 2, 3, 4),
    )


def _totals(table: Mapping[str, Any]) -> Table:
    """The command's own table, folded away on the page."""
    own = ("greek", "unit", "usd", "coin", "range", "dispersion")
    keys = [name for name in table["rows"][0] if name not in own] if table["rows"] else []
    rows = tuple(
        (
            *(clean(row[key]) for key in keys),
            row["greek"],
            *(_money(row["usd"][model]) for model in table["models"]),
            _money(row["range"]),
        )
        for row in table["rows"]
    )
    models = tuple(clean(model) for model in table["models"])
    columns = (*(key.capitalize() for key in keys), "Greek", *models, "models apart by")
    first = len(keys) + 1
    return Table("Totals in USD", columns, rows, tuple(range(first, first + len(models) + 1)))


def _money(value: float | None) -> str:
    return "-" if value is None else usd(value).replace("$-", "-$")
