"""The margin backtest on a terminal, and its frontier as two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commonmode.app.report.drawing import Figure, base, text
from commonmode.app.report.html import environment, plotly_script
from commonmode.app.report.tables import Table as Grid
from commonmode.app.report.words import percent

__all__ = [
    "backtest_page",
    "coverage_figure",
    "frontier_figure",
    "october_rows",
    "render_backtest",
]

_OURS: Final = "var(--design)"
_THEIRS: Final = "var(--market)"
_QUIET: Final = "var(--muted)"
_STRICT_NOTE: Final = (
    "Ratio: our mean margin over the other's, scaled in hindsight on the period to our breach rate "
    "by one factor; strict: by one factor per portfolio. Travel: our peak to trough of margin in "
    "USD over the other's, geometric mean over portfolios; per dollar: of margin per notional."
)


def _rows(table: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def frontier_figure(evidence: Mapping[str, Any]) -> Figure | None:
    """Cost at the promised coverage against peak to trough on the test; None without points."""
    points = [p for p in _rows(evidence["frontier"]) if p["period"] == "test"]
    reference = next((p["cost"] for p in points if p["label"] == "pm2"), None)
    shown = [p for p in points if p["promised"] == evidence["target"]]
    if reference is None:
        return None
    groups = (
        ("ours, controls one by one", ("controls",), _QUIET, "circle", False),
        ("ours, as chosen on the training period", ("bounded", "cheapest"), _OURS, "diamond", True),
        ("other methods", ("other",), _THEIRS, "square", True),
    )
    data = []
    for name, wanted, colour, symbol, labelled in groups:
        mine = [p for p in shown if p["group"] in wanted]
        labels = [p["group"] if p["group"] in ("bounded", "cheapest") else p["label"] for p in mine]
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text" if labelled else "markers",
                "name": name,
                "x": [p["travel_usd"] for p in mine],
                "y": [p["cost"] / reference for p in mine],
                "text": [text(label) for label in labels] if labelled else None,
                "textposition": "middle right",
                "hovertext": [
                    f"{text(p['label'])}<br>cost {percent(p['cost'] / reference)} of PM2's<br>"
                    f"peak to trough {p['travel_usd']:.2f} times the price's<br>"
                    f"breached {percent(p['rate'], 2)} of hours"
                    for p in mine
                ],
                "hoverinfo": "text",
                "cliponaxis": False,
                "marker": {"size": 8 if not labelled else 12, "color": colour, "symbol": symbol},
            }
        )
    return {
        "data": data,
        "layout": base(
            420,
            showlegend=True,
            legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            margin={"l": 70, "r": 90, "t": 50, "b": 55},
            xaxis={
                "type": "log",
                "title": {"text": "peak to trough of margin in USD, times that of the price"},
                "gridcolor": "var(--line)",
                "fixedrange": True,
                "zeroline": False,
                "tickvals": [0.8, 1, 1.5, 2, 3],
            },
            yaxis={
                "title": {"text": "mean margin, PM2 = 100 %"},
                "tickformat": ".0%",
                "gridcolor": "var(--line)",
                "fixedrange": True,
                "zeroline": False,
            },
        ),
    }


def coverage_figure(evidence: Mapping[str, Any]) -> Figure | None:
    """Mean margin at three promised coverages, every method; None without points."""
    points = [p for p in _rows(evidence["frontier"]) if p["period"] == "test"]
    lines: dict[str, dict[float, float]] = {}
    for p in points:
        if p["group"] in ("other", "other levels"):
            lines.setdefault(p["label"], {})[p["promised"]] = p["cost"]
        elif p["group"] in ("bounded", "levels"):
            lines.setdefault("dynamic", {})[p["promised"]] = p["cost"]
    if not lines:
        return None
    data = []
    for name, costs in lines.items():
        levels = sorted(costs)
        data.append(
            {
                "type": "scatter",
                "mode": "lines+markers+text",
                "name": name,
                "x": [1.0 - level for level in levels],
                "y": [costs[level] for level in levels],
                "text": [text(name)] + [""] * (len(levels) - 1),
                "textposition": "middle right",
                "cliponaxis": False,
                "hovertemplate": f"{text(name)}: %{{y:.2%}} at %{{x:.1%}}<extra></extra>",
                "line": {"color": _OURS if name == "dynamic" else _QUIET, "width": 2},
                "marker": {"color": _OURS if name == "dynamic" else _THEIRS, "size": 8},
            }
        )
    return {
        "data": data,
        "layout": base(
            380,
            margin={"l": 70, "r": 120, "t": 20, "b": 55},
            xaxis={
                "title": {"text": "coverage of an hour's loss, scaled in hindsight to it"},
                "tickformat": ".1%",
                "tickvals": [0.975, 0.99, 0.995],
                "gridcolor": "var(--line)",
                "fixedrange": True,
                "zeroline": False,
            },
            yaxis={
                "title": {"text": "mean margin per portfolio"},
                "tickformat": ".1%",
                "gridcolor": "var(--line)",
                "fixedrange": True,
                "rangemode": "tozero",
            },
        ),
    }


def _chosen(evidence: Mapping[str, Any], console: Console) -> None:
    table = Table(title="Chosen on the training period (linear portfolios, 1 h, 99 %)")
    for name in ("configuration", "settings", "breached", "p", "USD travel against PM2"):
        table.add_column(name)
    for name, each in evidence["chosen"].items():
        settings = each["settings"]
        table.add_row(
            name,
            Text(f"{settings['label']}, fitted on {settings['window_days']} days"),
            percent(each["rate"], 2),
            f"{each['p_value']:.3f}",
            f"{each['travel_usd']:.2f}",
        )
    console.print(table)


def render_backtest(evidence: Mapping[str, Any], console: Console) -> None:
    """Print what was chosen, coverage and comparisons of every run, the fits and October 2025.

    Parameters
    ----------
    evidence : mapping
        As made by :func:`commonmode.app.study.margin_evidence.backtest_evidence`.
    console : Console
    """
    _chosen(evidence, console)
    for run in evidence["runs"]:
        modelled = ", MODELLED volatility" if run["family"] == "options" else ""
        title = f"{run['family']} portfolios{modelled}, horizon {run['horizon_hours']} h"
        coverage = Table(title=Text(f"{title}: coverage"))
        for name in ("settings", "period", "coins", "breached", "p", "Kupiec rejects"):
            coverage.add_column(name)
        cost = Table(title=Text(f"{title}: cost"), caption=Text(_STRICT_NOTE))
        for name in ("settings", "against"):
            cost.add_column(name)
        for name in ("ratio", "95 %", "strict", "travel"):
            cost.add_column(name, justify="right", no_wrap=True)
        for result in run["results"]:
            head = _head(result)
            coverage.add_row(*head)
            for k, other in enumerate(result["comparisons"]):
                cost.add_row(", ".join(head[:3]) if k == 0 else "", *_against(other)[:5])
            cost.add_section()
        console.print(coverage)
        console.print(cost)
    _fits(evidence, console)
    if evidence["october_2025"] is not None:
        _october(evidence["october_2025"], console)


def backtest_page(evidence: Mapping[str, Any], *, version: str) -> str:
    """The frontier, the coverage and the comparisons as one page that asks nothing of the network.

    Parameters
    ----------
    evidence : mapping
        As for :func:`render_backtest`.
    version : str
        Of the program.
    """
    rows = [
        (
            f"{run['family']}, {run['horizon_hours']} h",
            *_head(result)[:5],
            *_against(other)[:4],
        )
        for run in evidence["runs"]
        for result in run["results"]
        for other in result["comparisons"]
    ]
    columns = ("Portfolios", "Settings", "Period", "Coins", "Breached", "p")
    comparisons = Grid(
        _STRICT_NOTE,
        (*columns, "Against", "Ratio", "95 %", "Strict"),
        tuple(rows),
        numeric=(4, 5, 7, 8, 9),
    )
    return (
        environment()
        .get_template("margin_backtest.html.j2")
        .render(
            version=version,
            frontier=frontier_figure(evidence),
            coverage=coverage_figure(evidence),
            comparisons=comparisons,
            october=evidence["october_2025"] is not None,
            plotly=plotly_script(),
        )
    )


def _head(result: Mapping[str, Any]) -> list[str]:
    pooled = result["pooled"]
    group = "BTC, ETH" if result["group"] == "published" else "all"
    count = len(result["portfolios"]["portfolio"])
    return [
        result["configuration"],
        result["period"],
        group,
        percent(pooled["rate"], 2),
        f"{pooled['p_value']:.3f}",
        f"{result['rejected_kupiec']} of {count}, {result['expected']:.1f} by chance",
    ]


def _against(other: Mapping[str, Any]) -> list[str]:
    ratio = other["ratio"]
    return [
        other["method"],
        f"{ratio['value']:.2f}",
        f"{ratio['low']:.2f}-{ratio['high']:.2f}",
        f"{other['strict_ratio']:.2f}",
        f"{other['travel_usd']:.2f}",
        f"{other['travel_rate']:.2f}",
    ]


def _fits(evidence: Mapping[str, Any], console: Console) -> None:
    table = Table(title="Parameters fitted to 99 %, refitted every month on a year")
    for name in ("parameter", "hours", "training", "95 %", "last", "test", "p", "holdout", "p"):
        table.add_column(name, justify="left" if name == "parameter" else "right")
    for line in evidence["fits"]:
        fitted = line["fitted"]
        rates = [
            value
            for _, pooled, _ in line["rates"]
            for value in (percent(pooled["rate"], 2), f"{pooled['p_value']:.3f}")
        ]
        table.add_row(
            line["parameter"],
            str(line["bars"]),
            f"{fitted['value']:.3f}",
            f"{fitted['low']:.3f} to {fitted['high']:.3f}",
            f"{line['last']:.3f}",
            *rates,
        )
    console.print(table)


def october_rows(reading: list[Mapping[str, Any]]) -> list[list[str]]:
    """One line per method: margin before, breaches, thresholds, shortfall."""
    rows = []
    for each in reading:
        hit = sum(lev["hit"] for lev in each["leverages"])
        hit_adverse = sum(lev["hit_adverse"] for lev in each["leverages"])
        opened = sum(lev["opened"] for lev in each["leverages"])
        short = sum(lev["shortfall"] for lev in each["leverages"])
        short_adverse = sum(lev["shortfall_adverse"] for lev in each["leverages"])
        pairs = each["portfolios"] * each["hours"]
        rows.append(
            [
                each["method"],
                percent(each["before"], 1),
                f"{each['breaches']} / {each['breaches_adverse']} of {pairs}",
                f"{each['worst']:.1f}",
                f"{hit} / {hit_adverse} of {opened}",
                f"{short:.2f} / {short_adverse:.2f}",
            ]
        )
    return rows


def _october(october: Mapping[str, Any], console: Console) -> None:
    console.print(october["statement"], markup=False, highlight=False)
    for venue in october["venues"]:
        for name, reading in (("as published", "published"), ("at equal coverage", "equal")):
            table = Table(
                title=Text(f"10-11 October 2025, {venue['venue']}, {name}"),
                caption=Text(
                    "close to close / worst prices inside the hour; accounts of "
                    "leverage 3 to 20, shortfall in notionals of one account"
                ),
            )
            for column in ("method", "margin before", "breaches", "worst loss / margin"):
                table.add_column(column)
            for column in ("thresholds hit", "shortfall"):
                table.add_column(column)
            for row in october_rows(venue[reading]):
                table.add_row(*row)
            console.print(table)
