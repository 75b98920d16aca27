"""Pictures of the looks at cadence, strategies, model risk and hedging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from commonmode.app.report.drawing import MODEL_COLOURS, Figure, base, short, text
from commonmode.app.report.words import number, usd

__all__ = ["cadence_pictures", "hedging_pictures", "model_risk_pictures", "strategy_pictures"]

Look = Mapping[str, Any]
Row = Mapping[str, Any]
Picture = tuple[str, Figure, str]

_ROW = 34  # pixels of a row of dots
_SCALE = [[0, "var(--cold)"], [0.5, "var(--card)"], [1, "var(--warm)"]]


def _rows(look: Look, name: str) -> list[Row]:
    """Rows of one of the look's tables, as mappings; none if it has no such table."""
    for table in look["tables"]:
        if table["name"] == name:
            return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
    return []


def _dots(
    rows: Sequence[Row],
    height: Sequence[float],
    *,
    name: str,
    colour: str,
    hover: Sequence[str],
    centre: str,
    low: str,
    high: str,
    scale: float = 1.0,
    symbol: str | Sequence[str] = "circle",
) -> dict[str, Any]:
    """Values with whiskers from ``low`` to ``high``, none where those are unknown."""

    def reach(row: Row, end: str, sign: float) -> float:
        known = row[end] is not None and row[centre] is not None
        return sign * scale * (row[end] - row[centre]) if known else 0.0

    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [None if row[centre] is None else scale * row[centre] for row in rows],
        "y": list(height),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [reach(row, high, 1.0) for row in rows],
            "arrayminus": [reach(row, low, -1.0) for row in rows],
            "color": colour,
            "thickness": 1.5,
            "width": 3,
        },
        "marker": {"size": 9, "color": colour, "symbol": symbol},
        "hovertext": list(hover),
        "hoverinfo": "text",
    }


def _dot_layout(names: Sequence[str], title: str, *, legend: bool, **axis: Any) -> dict[str, Any]:
    n = len(names)
    return base(
        _ROW * n + (110 if legend else 80),
        margin={"l": 170, "r": 20, "t": 40 if legend else 10, "b": 50},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        hovermode="closest",
        xaxis={
            "title": {"text": title},
            "zeroline": True,
            "zerolinecolor": "var(--muted)",
            "gridcolor": "var(--line)",
            "fixedrange": True,
            **axis,
        },
        yaxis={
            "tickvals": list(range(n)),
            "ticktext": [short(name, 22) for name in names],
            "range": [n - 0.4, -0.6],
            "fixedrange": True,
            "zeroline": False,
            "gridcolor": "var(--line)",
        },
    )


def cadence_pictures(look: Look) -> list[Picture]:
    """One for every coin and family: what each interval loses against the present one."""
    rows = _rows(look, "cadences")
    found = []
    for number_, (target, family) in enumerate(
        dict.fromkeys((row["target"], row["family"]) for row in rows), 1
    ):
        mine = [row for row in rows if (row["target"], row["family"]) == (target, family)]
        # A model that recalibration does not change has no differences to show.
        moved = {row["model"] for row in mine if row["step"] is not None}
        mine = [row for row in mine if row["model"] in moved]
        names = list(dict.fromkeys(row["model"] for row in mine))
        tried = sorted(
            {row["interval"]: row["hours"] for row in mine if not row["present"]}.items(),
            key=lambda item: item[1],
        )
        if not names or not tried:
            continue
        data = []
        for i, (label, _) in enumerate(tried):
            here = [row for row in mine if row["interval"] == label and not row["present"]]
            shift = 0.5 * ((i + 0.5) / len(tried) - 0.5)
            data.append(
                _dots(
                    here,
                    [names.index(row["model"]) + shift for row in here],
                    name=f"every {text(label)}",
                    colour=MODEL_COLOURS[i % len(MODEL_COLOURS)],
                    symbol=["diamond" if row["recommended"] else "circle-open" for row in here],
                    hover=[_cadence_hover(row) for row in here],
                    centre="change_share",
                    low="low_share",
                    high="high_share",
                    scale=100.0,
                )
            )
        layout = _dot_layout(names, "loss against the present interval, %", legend=True)
        found.append(
            (
                f"cadence-{number_}",
                {"data": data, "layout": layout},
                f"{target}, {family} models: loss at other intervals between recalibrations, with "
                "95 % intervals; right of zero is worse than now. Full diamond: recommended.",
            )
        )
    return found


def _cadence_hover(row: Row) -> str:
    said = f"{text(row['model'])} every {text(row['interval'])}: "
    if row["change_share"] is None:
        return said + "not tried"
    return (
        f"{said}{number(100 * row['change_share'])} % ({number(100 * row['low_share'])} to "
        f"{number(100 * row['high_share'])})<br>steps come back: "
        f"{number(100 * row['comes_back_share'], 0)} %"
    )


def _heat(
    names: Sequence[str],
    across: Sequence[str],
    cells: Sequence[Sequence[float | None]],
    words: Sequence[Sequence[str]],
) -> Figure:
    axis = {"fixedrange": True, "showgrid": False, "zeroline": False}
    heat = {
        "type": "heatmap",
        "z": [list(row) for row in cells],
        "zmin": -1,
        "zmax": 1,
        "colorscale": _SCALE,
        "text": [list(row) for row in words],
        "texttemplate": "%{text}",
        "textfont": {"color": "var(--ink)"},
        "hovertemplate": "%{y} and %{x}: %{text}<extra></extra>",
        "xgap": 2,
        "ygap": 2,
        "colorbar": {"thickness": 10, "outlinewidth": 0, "tickvals": [-1, -0.5, 0, 0.5, 1]},
    }
    layout = base(
        44 * len(names) + 150,
        margin={"l": 150, "r": 10, "t": 10, "b": 130},
        xaxis={
            **axis,
            "tickvals": list(range(len(across))),
            "ticktext": [short(name, 19) for name in across],
            "tickangle": -40,
        },
        yaxis={
            **axis,
            "tickvals": list(range(len(names))),
            "ticktext": [short(name, 19) for name in names],
            "range": [len(names) - 0.5, -0.5],
        },
    )
    return {"data": [heat], "layout": layout}


def strategy_pictures(look: Look) -> list[Picture]:
    """Strategies against risk models, and strategies against one another."""
    found = []
    pairs = _rows(look, "couplings")
    if pairs:
        names = list(dict.fromkeys(sorted(row["strategy"] for row in pairs)))
        across = list(dict.fromkeys(sorted(row["risk_model"] for row in pairs)))
        at = {(row["strategy"], row["risk_model"]): row for row in pairs}
        grid = [[at[a, b] for b in across] for a in names]
        found.append(
            (
                "strategies-risk",
                _heat(
                    names,
                    across,
                    [[row["together"] for row in line] for line in grid],
                    [[f"{number(r['together'])}<br>({_given(r)})" for r in line] for line in grid],
                ),
                "Does the risk model (across) cut in the bar in which the strategy (down) sells? "
                "Correlation, and in brackets what is left given the market's own move, at the "
                "surest lag; a star: beyond chance.",
            )
        )
    positions = _rows(look, "positions")
    if positions:
        names = [row["strategy"] for row in positions]
        cells = [[None if a == row["strategy"] else row[a] for a in names] for row in positions]
        found.append(
            (
                "strategies-positions",
                _heat(
                    names,
                    names,
                    cells,
                    [["" if v is None else number(v) for v in line] for line in cells],
                ),
                "Correlation of the positions that strategies want.",
            )
        )
    return found


def _given(row: Row) -> str:
    return number(row["given_move"]) + ("*" if (row["p_given_move"] or 0.0) <= 0.05 else "")


def model_risk_pictures(look: Look) -> list[Picture]:
    """Value of each book under the models that reproduce the quotes, above the value carried."""
    values = [row for row in _rows(look, "values") if row["admitted"]]
    books = {row["book"]: row for row in _rows(look, "books")}
    names = [book for book in books if any(row["book"] == book for row in values)]
    if not names:
        return []
    models = list(dict.fromkeys(row["model"] for row in values))
    data = []
    for i, model in enumerate(models):
        here = [_with_noise(row) for row in values if row["model"] == model]
        shift = 0.6 * ((i + 0.5) / len(models) - 0.5)
        data.append(
            _dots(
                here,
                [names.index(row["book"]) + shift for row in here],
                name=short(model, 20),
                colour=MODEL_COLOURS[i % len(MODEL_COLOURS)],
                symbol="circle" if i < len(MODEL_COLOURS) else "square",
                hover=[
                    f"{text(row['book'])} under {text(model)}: {usd(row['value_usd'])}, "
                    f"{usd(row['above_carried_usd'])} above what it is carried at"
                    for row in here
                ],
                centre="above_carried_usd",
                low="low",
                high="high",
            )
        )
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "less the reserve",
            "x": [-books[name]["reserve_usd"] for name in names],
            "y": list(range(len(names))),
            "marker": {
                "symbol": "line-ns",
                "size": 24,
                "line": {"color": "var(--ink)", "width": 3},
            },
            "hovertext": [
                f"{text(name)}: reserve {usd(books[name]['reserve_usd'])}" for name in names
            ],
            "hoverinfo": "text",
        }
    )
    layout = _dot_layout(names, "USD above the value carried", legend=True, tickformat="~s")
    layout["margin"]["t"] = 70
    layout["height"] += 12 * len(names) + 40
    return [
        (
            "model-risk-books",
            {"data": data, "layout": layout},
            "What every book is worth under each model that reproduces the quotes, against the "
            "value it is carried at (zero); whiskers: two standard deviations of the calibration's "
            "noise where it is known. Bar: value less the reserve.",
        )
    ]


def _with_noise(row: Row) -> Row:
    sd, centre = row["sd_usd"], row["above_carried_usd"]
    if sd is None:
        return {**row, "low": None, "high": None}
    return {**row, "low": centre - 2.0 * sd, "high": centre + 2.0 * sd}


def hedging_pictures(look: Look) -> list[Picture]:
    """Mean squared hedging error of each model against the reference's."""
    rows = _rows(look, "models")
    if not rows:
        return []
    names = [row["model"] for row in rows]
    dots = _dots(
        rows,
        list(range(len(rows))),
        name="",
        colour="var(--accent)",
        hover=[
            f"{text(row['model'])}: {number(100 * row['apart_share'], 1)} % "
            f"({number(100 * row['apart_low_share'], 1)} to "
            f"{number(100 * row['apart_high_share'], 1)})"
            for row in rows
        ],
        centre="apart_share",
        low="apart_low_share",
        high="apart_high_share",
        scale=100.0,
    )
    layout = _dot_layout(names, "mean squared error against the reference, %", legend=False)
    return [
        (
            "hedging-models",
            {"data": [dots], "layout": layout},
            "Mean squared error of the hedges with each model's delta against that of the "
            "reference, with 95 % intervals over blocks of time; right of zero hedges worse.",
        )
    ]
