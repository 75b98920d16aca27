"""Solvency in words: who fails, what is then missing, the fund, what portfolio margin saves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from commonmode.app.report.margin_words import money, reason
from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, number, percent

__all__ = [
    "SOLVENCY_COLUMNS",
    "solvency_cells",
    "solvency_head",
    "solvency_lines",
    "solvency_shown",
    "solvency_tables",
]

SOLVENCY_COLUMNS: Final = (
    "liquidated",
    "short",
    "at most",
    "loss",
    "cost",
    "legs alone",
)


def solvency_head(found: Mapping[str, Any]) -> str:
    """What was looked at."""
    return (
        f"Solvency on {found['days']} days to {clean(found['last'])}, margin checked every "
        f"{number(24 / found['looks_per_day'], 0)} hours, closed {found['delay_hours']:g} hours "
        "later"
    )


def solvency_cells(one: Mapping[str, Any]) -> tuple[str, ...]:
    """An account under a method, as :data:`SOLVENCY_COLUMNS`."""
    ratio = one["isolated_over_portfolio"]
    return (
        percent(one["liquidation"], 1),
        percent(one["shortfall"], 1),
        percent(one["upper"], 1),
        money(one["loss_given_liquidation"]),
        money(one["cost_given_liquidation"]),
        "-" if ratio is None else f"{number(ratio, 2)} x",
    )


def solvency_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """The fund under each method, and what could not be computed."""
    for method, one in found["methods"].items():
        fund = one["fund"]
        yield (
            f"{method}: somebody falls short on {percent(one['probability'], 1)} of days; the "
            f"largest shortfall of one owner is {money(fund['cover_one'])}, of two "
            f"{money(fund['cover_two'])}, and {percent(fund['level'])} of days stay within "
            f"{money(fund['quantile'])}.{_borne(fund)}"
        )
    for one in found["failures"]:
        yield f"no solvency under {one['method']}: {reason(one)}"


def _borne(fund: Mapping[str, Any]) -> str:
    if "fund" not in fund:
        return ""
    two = "bears" if fund["covers_two"] else "does not bear"
    said = f" A fund of {money(fund['fund'])} {two} the two"
    if not fund["depletion"]:
        return f"{said} and is exhausted on none of the days."
    return (
        f"{said}; it is exhausted on {percent(fund['depletion'], 1)} of days, with "
        f"{money(fund['expected_excess'])} a day left to be shared on average."
    )


def solvency_tables(found: Mapping[str, Any]) -> list[Table]:
    """Accounts on the days of history, and all of them in each stress.

    Parameters
    ----------
    found : mapping
        ``solvency`` of the results, without a failure.
    """
    methods = found["methods"]
    names = list(dict.fromkeys(name for one in methods.values() for name in one["accounts"]))
    rows = [
        (clean(name), method, *solvency_cells(one["accounts"][name]))
        for name in names
        for method, one in methods.items()
        if one["accounts"][name] is not None
    ]
    moves = list(dict.fromkeys(s["move"] for one in methods.values() for s in one["stress"]))
    stress = [
        (
            clean(move),
            method,
            str(each["liquidated"]),
            money(each["notional"]),
            money(each["shortfall"]),
        )
        for move in moves
        for method, one in methods.items()
        for each in one["stress"]
        if each["move"] == move
    ]
    return [
        Table(
            f"{solvency_head(found)}. Liquidated, short: share of days; at most: 95 % limit of the "
            "latter; loss, cost: what equity lacks, and what closing out takes, on average of the "
            "days on which the account is liquidated; legs alone: the sum of the initial margins "
            "of all positions one by one, over that of the portfolio.",
            ("Account", "Method", *(name.capitalize() for name in SOLVENCY_COLUMNS)),
            tuple(rows),
            tuple(range(2, 2 + len(SOLVENCY_COLUMNS))),
            frozenset(i for i, row in enumerate(rows) if row[3] != percent(0.0, 1)),
        ),
        Table(
            "Everybody in each hypothetical move at once: accounts liquidated, their notional, and "
            "what their equity lacks together.",
            ("Move", "Method", "Liquidated", "Notional", "Shortfall"),
            tuple(stress),
            (2, 3, 4),
            frozenset(i for i, row in enumerate(stress) if row[4] != money(0.0)),
        ),
    ]


def solvency_shown(value: Mapping[str, Any]) -> dict[str, Any] | None:
    """Tables and lines for a page; None where it was not asked for."""
    found = value.get("solvency")
    if found is None:
        return None
    if found["failure"] is not None:
        return {"tables": [], "lines": [f"No solvency: {reason(found['failure'])}"]}
    return {"tables": solvency_tables(found), "lines": list(solvency_lines(found))}
