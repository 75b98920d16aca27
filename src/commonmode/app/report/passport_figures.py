"""Pictures of the look *passports*: what windows have seen, and which data are flagged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from commonmode.app.report.drawing import Figure, base, short, text
from commonmode.app.report.grid_figures import grid_layout
from commonmode.app.report.words import number, percent

__all__ = ["passport_pictures"]

_ROW: Final = 26
_MOST: Final = 40
_REGIMES: Final = (
    ("calm_share", "calm", "var(--cold)"),
    ("middle_share", "middle", "var(--band)"),
    ("stress_share", "stressed", "var(--warm)"),
)
_VERDICTS: Final = (
    ("passed", "circle", "var(--fine)"),
    ("flagged", "square", "var(--alert)"),
    ("not applicable", "circle-open", "var(--muted)"),
)


def passport_pictures(look: Mapping[str, Any]) -> list[tuple[str, Figure, str]]:
    """Regimes of the calibration windows, and a grid of subjects and screens."""
    tables = {
        table["name"]: [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
        for table in look["tables"]
    }
    pictures = []
    if tables.get("passports"):
        drawn, left = _windows(tables["passports"])
        caption = (
            "Hours of each calibration window by the volatility of the day around them: below the "
            "record's median (calm), up to its 90 % quantile (middle), above (stressed). In the "
            "record itself the shares are 50, 40 and 10 %. Models on the same bars share a row."
        )
        if left:
            caption += f" {left} more windows are in the table."
        pictures.append(("passports-windows", drawn, caption))
    if tables.get("screens"):
        pictures.append(
            (
                "passports-screens",
                _screens(tables["screens"]),
                "Screens of the data: a square is flagged, a disc passed, a ring could not be "
                "asked. The sentence behind each is in the table.",
            )
        )
    return pictures


def _windows(rows: Sequence[Mapping[str, Any]]) -> tuple[Figure, int]:
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["window"], row["instrument"]), []).append(row)
    kept = [groups[key] for key in sorted(groups, key=lambda key: (key[0], key[1]))][:_MOST]
    labels = [f"{short(g[0]['instrument'], 18)}, {g[0]['window']:,} h" for g in kept]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": said,
            "y": list(range(len(kept))),
            "x": [group[0][name] for group in kept],
            "hovertext": [_window_hover(group, name, said) for group in kept],
            "hoverinfo": "text",
            "marker": {"color": colour, "line": {"color": "var(--card)", "width": 1}},
        }
        for name, said, colour in _REGIMES
    ]
    layout = base(
        _ROW * len(kept) + 110,
        barmode="stack",
        showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        margin={"l": 190, "r": 20, "t": 40, "b": 40},
        xaxis={
            "range": [0, 1],
            "tickformat": ".0%",
            "fixedrange": True,
            "zeroline": False,
            "gridcolor": "var(--line)",
        },
        yaxis={
            "tickvals": list(range(len(kept))),
            "ticktext": labels,
            "range": [len(kept) - 0.4, -0.6],
            "fixedrange": True,
        },
    )
    return {"data": data, "layout": layout}, len(groups) - len(kept)


def _window_hover(group: Sequence[Mapping[str, Any]], name: str, said: str) -> str:
    first = group[0]
    models = ", ".join(text(row["model"]) for row in group[:8])
    return (
        f"{models}<br>{percent(first[name])} {said}; worth {number(first['worth'], 0)} independent "
        f"hours, {number(first['tail_events'], 0)} tail events"
    )


def _screens(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Subjects down, screens across; the subjects with most flags first."""
    flags: dict[str, int] = {}
    # A venue held against a peer stays in the venue's row.
    rows = [{**row, "subject": row["subject"].split(" against ")[0]} for row in rows]
    for row in rows:
        flags[row["subject"]] = flags.get(row["subject"], 0) + (row["verdict"] == "flagged")
    subjects = sorted(flags, key=lambda name: (-flags[name], name))[:_MOST]
    kinds = sorted({row["screen"] for row in rows})
    down = {name: i for i, name in enumerate(subjects)}
    across = {name: i for i, name in enumerate(kinds)}
    data = []
    for verdict, symbol, colour in _VERDICTS:
        mine = [row for row in rows if row["verdict"] == verdict and row["subject"] in down]
        if mine:
            data.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": verdict,
                    "x": [across[row["screen"]] for row in mine],
                    "y": [down[row["subject"]] for row in mine],
                    "hovertext": [text(row["found"]) for row in mine],
                    "hoverinfo": "text",
                    "marker": {"symbol": symbol, "size": 12, "color": colour, "opacity": 1},
                }
            )
    layout = grid_layout(
        kinds,
        subjects,
        height=_ROW * len(subjects) + 210,
        margin={"l": 230, "r": 60, "t": 10, "b": 190},
        longest=38,
    )
    return {"data": data, "layout": layout}
