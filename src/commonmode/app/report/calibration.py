"""calibration.html and its terminal table: smiles, residuals, g(k), surfaces, parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from commonmode.app.report.drawing import MODEL_COLOURS, Figure, base, subplot, subplot_title, text
from commonmode.app.report.html import environment, plotly_script
from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, number, percent, usd

__all__ = ["render_calibration", "render_calibration_html", "render_stability"]

_COLUMNS = 3


def render_calibration(results: Mapping[str, Any], console: Console) -> None:
    """Print one line per model: fit, share inside bid-ask, arbitrage, failed slices.

    Parameters
    ----------
    results : mapping
        As made by :func:`commonmode.app.study.calibrate.calibrate_study`.
    console : Console
    """
    head = f"{results['underlying']} on {results['venue']} at {results['snapshot']}"
    table = RichTable(title=Text(head))
    for name in _HEADINGS:
        table.add_column(name, justify="left" if name == "model" else "right")
    for row in _rows(results):
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
    for model in results["models"]:
        for failure in _failures(model):
            console.print(failure, markup=False, highlight=False)


def render_stability(results: Mapping[str, Any], console: Console) -> None:
    """Print what the market and what recalibration did to a book, one line per model.

    Parameters
    ----------
    results : mapping
        As made by :func:`commonmode.app.study.stability.study_stability`.
    console : Console
    """
    first, last = results["snapshots"][0], results["snapshots"][-1]
    head = f"{results['book']}, {results['positions']} option positions, {first} to {last}"
    table = RichTable(title=Text(head))
    table.add_column("model")
    for name in ("P&L", "market, gross", "recalibration, gross", "per step", "comes back"):
        table.add_column(name, justify="right")
    for model in results["models"]:
        table.add_row(
            Text(clean(model["id"])),
            usd(model["total"]),
            usd(model["absolute_market"]),
            usd(model["absolute_recalibration"]),
            usd(model["recalibration_std"]),
            percent(model["reversed_share"]),
        )
    console.print(table)
    console.print(
        "gross: sum of absolute steps. per step: root mean square of the recalibration P&L. comes "
        "back: the share that the next recalibration reverses, which noise does and a moved market "
        "does not.",
        highlight=False,
    )


def render_calibration_html(results: Mapping[str, Any], *, version: str) -> str:
    """The calibration as one HTML page that asks nothing of the network.

    Parameters
    ----------
    results : mapping
        As for :func:`render_calibration`.
    version : str
        Of the program.
    """
    fitted = [model for model in results["models"] if model["status"] == "ok"]
    template = environment().get_template("calibration.html.j2")
    return template.render(
        results=results,
        version=version,
        summary=Table(
            "How well each model fits", _HEADINGS, tuple(_rows(results)), (1, 2, 3, 4, 5)
        ),
        smiles=_small_multiples(results, fitted, "vol"),
        residuals=_small_multiples(results, fitted, "residual"),
        density=_small_multiples(results, fitted, "g"),
        surfaces=[(clean(model["id"]), figure) for model in fitted if (figure := _surface(model))],
        parameters=[
            (clean(model["id"]), table) for model in fitted if (table := _parameters(model))
        ],
        failures=[line for model in results["models"] for line in _failures(model)],
        plotly=plotly_script(),
    )


_HEADINGS = (
    "model",
    "median rmse, vol points",
    "inside bid-ask",
    "expiries",
    "butterfly",
    "calendar",
)


def _rows(results: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for model in results["models"]:
        if model["status"] != "ok":
            rows.append((clean(model["id"]), "failed", "-", "0", "-", "-"))
            continue
        good = [s for s in model["slices"] if s["status"] == "ok"]
        errors = sorted(s["rmse"] for s in good if s["rmse"] is not None)
        middle = number(100 * errors[len(errors) // 2]) if errors else "-"
        inside = "-" if model["inside"] is None else percent(model["inside"])
        rows.append(
            (
                clean(model["id"]),
                middle,
                inside,
                f"{len(good)} of {len(model['slices'])}",
                str(model["butterfly_violations"]),
                str(model["calendar_violations"]),
            )
        )
    return rows


def _failures(model: Mapping[str, Any]) -> list[str]:
    if model["status"] != "ok":
        return [f"{clean(model['id'])}: {model['message']} ({model['remedy']})"]
    return [
        f"{clean(model['id'])}, {s['expiry']}: {s['message']}"
        for s in model["slices"]
        if s["status"] != "ok"
    ]


def _small_multiples(
    results: Mapping[str, Any], fitted: Sequence[Mapping[str, Any]], what: str
) -> Figure | None:
    """One small chart per expiry with every model's line."""
    expiries = results["expiries"]
    if not expiries or not fitted:
        return None
    lines = -(-len(expiries) // _COLUMNS)
    layout = base(
        230 * lines + 90,
        grid={"rows": lines, "columns": _COLUMNS, "pattern": "independent", "ygap": 0.35},
        showlegend=True,
        legend={"orientation": "h", "y": 1.0, "yref": "container", "yanchor": "top", "x": 0},
        margin={"l": 45, "r": 10, "t": 90, "b": 30},
    )
    data: list[dict[str, Any]] = []
    notes = []
    for e, expiry in enumerate(expiries):
        axis, axes = subplot(e)
        layout[f"xaxis{axis}"] = {"gridcolor": "var(--line)", "zeroline": False}
        layout[f"yaxis{axis}"] = {
            "gridcolor": "var(--line)",
            "zeroline": what != "vol",
            "zerolinecolor": "var(--muted)",
            "ticksuffix": "" if what == "g" else "%",
        }
        notes.append(subplot_title(text(expiry["expiry"][:10]), axis, y=1.06))
        if what == "vol":
            data.append(_quotes(expiry, axes, first=e == 0))
        for m, model in enumerate(fitted):
            piece = next((s for s in model["slices"] if s["expiry"] == expiry["expiry"]), None)
            if piece is not None and piece["status"] == "ok":
                data.append(_line(piece, what, text(model["id"]), m, axes, first=e == 0))
    layout["annotations"] = notes
    return {"data": data, "layout": layout}


def _quotes(expiry: Mapping[str, Any], axes: Mapping[str, str], *, first: bool) -> dict[str, Any]:
    """Bid to ask of each quote out of the money as a vertical stroke."""
    x: list[float | None] = []
    y: list[float | None] = []
    columns = ("k", "bid_iv", "ask_iv", "out_of_the_money")
    for k, bid, ask, otm in zip(*(expiry[c] for c in columns), strict=True):
        if otm and bid is not None and ask is not None:
            x += [k, k, None]
            y += [100 * bid, 100 * ask, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "bid to ask",
        "legendgroup": "quotes",
        "showlegend": first,
        "x": x,
        "y": y,
        "line": {"color": "var(--muted)", "width": 3},
        "opacity": 0.6,
        "hoverinfo": "skip",
        **axes,
    }


def _line(
    piece: Mapping[str, Any],
    what: str,
    name: str,
    place: int,
    axes: Mapping[str, str],
    *,
    first: bool,
) -> dict[str, Any]:
    scale = 1.0 if what == "g" else 100.0
    x = piece["residual_k"] if what == "residual" else piece["k"]
    y = [None if v is None else scale * v for v in piece[what]]
    return {
        "type": "scatter",
        "mode": "markers" if what == "residual" else "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": first,
        "x": x,
        "y": y,
        "line": {"color": MODEL_COLOURS[place % len(MODEL_COLOURS)], "width": 1.6},
        "marker": {"color": MODEL_COLOURS[place % len(MODEL_COLOURS)], "size": 4},
        **axes,
    }


def _surface(model: Mapping[str, Any]) -> Figure | None:
    """Implied volatility over log-moneyness and expiry, as a heat map by slice."""
    good = [s for s in model["slices"] if s["status"] == "ok"]
    if len(good) < 2:
        return None
    low = max(min(s["k"]) for s in good)
    high = min(max(s["k"]) for s in good)
    if high <= low:
        low, high = min(good[0]["k"]), max(good[0]["k"])
    steps = [low + (high - low) * i / 40 for i in range(41)]
    z = [[_at(s, k) for k in steps] for s in good]
    layout = base(
        60 + 26 * len(good),
        xaxis={"title": {"text": "log-moneyness"}, "gridcolor": "var(--line)"},
        yaxis={"type": "category", "autorange": "reversed"},
        margin={"l": 90, "r": 10, "t": 10, "b": 40},
    )
    heat = {
        "type": "heatmap",
        "x": steps,
        "y": [text(s["expiry"][:10]) for s in good],
        "z": z,
        "colorscale": "Viridis",
        "colorbar": {"ticksuffix": "%"},
        "hovertemplate": "%{y}, k = %{x:.2f}: %{z:.1f}%<extra></extra>",
    }
    return {"data": [heat], "layout": layout}


def _at(piece: Mapping[str, Any], k: float) -> float | None:
    """The curve's value at the grid point nearest to ``k``."""
    grid = piece["k"]
    place = round((k - grid[0]) / (grid[-1] - grid[0]) * (len(grid) - 1))
    if not 0 <= place < len(grid) or piece["vol"][place] is None:
        return None
    return 100 * float(piece["vol"][place])


def _parameters(model: Mapping[str, Any]) -> Table | None:
    good = [s for s in model["slices"] if s["status"] == "ok" and s["parameters"]]
    if not good:
        return None
    names = tuple(good[0]["parameters"])
    rows = tuple(
        (s["expiry"][:10], *(number(s["parameters"].get(name)) for name in names)) for s in good
    )
    columns = ("Expiry", *(clean(name) for name in names))
    return Table(
        f"{clean(model['id'])}: parameters", columns, rows, tuple(range(1, len(names) + 1))
    )
