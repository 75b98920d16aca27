"""Margin on a terminal: accounts by method, parts and legs of one account, what trades change."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from commonmode.app.report.margin_solvency import (
    SOLVENCY_COLUMNS,
    solvency_cells,
    solvency_head,
    solvency_lines,
)
from commonmode.app.report.margin_words import money, promises, reason
from commonmode.app.report.words import clean, number

__all__ = ["failed_cells", "model_range", "render_margin", "threshold_words"]

_COLUMNS: Final = (
    "equity",
    "initial",
    "over models",
    "maint.",
    "balance",
    "healthy",
    "falls at spot",
    "vols",
)
_TRADES: Final = (
    "initial",
    "after",
    "change",
    "maintenance",
    "after",
    "change",
    "initial balance after",
)
_LEGS: Final = 12  # of one account and method
_LINES: Final = 12  # failures of one kind
_SCENARIO: Final = 90  # letters of a scenario's name

# On a narrower terminal these columns are left out, so that no figure is cut off.
_WIDE: Final = 100
_LEFT_OUT: Final = ("over models", "healthy", "vols")


def render_margin(value: Mapping[str, Any], console: Console) -> None:
    """Print margin by account and method; for one account also parts, legs and trades.

    Parameters
    ----------
    value : mapping
        As made by :func:`commonmode.app.study.margin.study_margin`.
    console : Console
    """
    stable = value["stable_price"]
    peg = "" if stable == 1 else f"; stablecoin at ${stable:g}"
    head = f"{clean(value['snapshot'])}, marks of {clean(value['marks'])}{peg}"
    narrow = console.width < _WIDE
    shown = [k for k, name in enumerate(_COLUMNS) if not (narrow and name in _LEFT_OUT)]
    table = _grid(head, ("account", "method"), [_COLUMNS[k] for k in shown])
    for account in value["accounts"]:
        name = clean(account["account"])
        for method, cell in account["methods"].items():
            cells = _cells(cell, value)
            table.add_row(Text(name), method, *(Text(cells[k]) for k in shown))
            name = ""
    if value["accounts"] and value["methods"]:
        _show(table, console)
        for line in promises(value):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(value["accounts"]) == 1:
        _print_parts(value["accounts"][0], console)
    if "what_if" in value:
        _print_trades(value, console)
    for method, legs in value.get("legs", {}).items():
        _print_legs(method, legs, console)
    if "solvency" in value:
        _print_solvency(value["solvency"], console)
    for line in _notes(value):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cells(cell: Mapping[str, Any], value: Mapping[str, Any]) -> tuple[str, ...]:
    if cell["failure"] is not None:
        return ("-", "failed", *([""] * (len(_COLUMNS) - 2)))
    where, vols = threshold_words(cell["thresholds"])
    return (
        money(cell["equity"]),
        money(cell["initial"]),
        model_range(cell["initial_by_model"]),
        money(cell["maintenance"]),
        money(cell["maintenance_balance"]),
        "yes" if cell["healthy"] else "NO",
        where,
        vols,
    )


def model_range(by_model: Mapping[str, float | None]) -> str:
    """Least to most over the surface models."""
    known = [v for v in by_model.values() if v is not None]
    if len(known) < 2:
        return "-"
    low, high = money(min(known)), money(max(known))
    return low if low == high else f"{low}-{high.removeprefix('$')}"


def threshold_words(found: Mapping[str, Any] | None) -> tuple[str, str]:
    """Spots at which the account falls, three at most, and daily deviations to the nearest."""
    if found is None:
        return "not searched", ""
    if found["side"] == "now":
        return "now", "0"
    if not found["spot_factors"]:
        return "none", ""
    near = sorted(found["spot_factors"], key=lambda factor: abs(math.log(factor)))[:3]
    more = len(found["spot_factors"]) - len(near)
    words = " / ".join(_signed(100 * (factor - 1)) for factor in sorted(near)) + " %"
    words += f" and {more} more" if more else ""
    vols = found["daily_vols"]
    return words, "" if vols is None else number(vols, 1)


def _show(table: Table, console: Console) -> None:
    console.print(table)
    console.print()


def _signed(share: float) -> str:
    """Percent with its sign, without digits that say nothing."""
    return f"{share:+.0f}" if abs(share) >= 100 else f"{share:+.1f}"


def _grid(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table without frames, so that it fits a terminal of a hundred columns."""
    table = Table(title=Text(title, style="bold"), box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.title_justify = "left"
    for name in names:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True, overflow="ellipsis")
    return table


def _print_parts(account: Mapping[str, Any], console: Console) -> None:
    """What the requirements of one account are made of."""
    title = f"What the margin of {clean(account['account'])} is made of"
    table = _grid(title, ("method", "part"), ("initial", "maintenance"))
    for method, cell in account["methods"].items():
        if cell["failure"] is not None:
            continue
        first, second = cell["components"], cell["maintenance_components"]
        name = method
        for part in dict.fromkeys([*first, *second]):
            row = (first.get(part), second.get(part))
            if any(row):
                words = (money(v) if v is not None else "" for v in row)
                table.add_row(name, part.replace("_", " "), *words)
                name = ""
    if table.row_count:
        _show(table, console)


def _print_trades(value: Mapping[str, Any], console: Console) -> None:
    """Before and after, and the difference."""
    trades = ", ".join(f"{q:+g} {clean(name)}" for name, q in value["what_if"]["trades"].items())
    table = _grid(f"After {trades}, paid for at the marks", ("method",), _TRADES)
    before, after = value["accounts"][0], value["what_if"]["after"]
    for method, was in before["methods"].items():
        now = after["methods"][method]
        if was["failure"] is not None or now["failure"] is not None:
            table.add_row(method, *(["failed"] + [""] * 6))
            continue
        cells = []
        for key in ("initial", "maintenance"):
            cells += [money(was[key]), money(now[key]), money(now[key] - was[key])]
        table.add_row(method, *cells, money(now["initial_balance"]))
    _show(table, console)
    for method, cell in after["methods"].items():
        if cell["failure"] is not None:
            line = f"failed after the trades: {method}: {reason(cell['failure'])}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_legs(method: str, found: Mapping[str, Any], console: Console) -> None:
    legs = sorted(found["legs"], key=lambda leg: -abs(leg["initial"]))
    if not legs:
        return
    scenario = clean(found["scenario"])
    scenario = scenario if len(scenario) <= _SCENARIO else f"{scenario[:_SCENARIO]} ..."
    table = _grid(f"{method}, worst in: {scenario}", ("leg",), ("initial", "maintenance"))
    for leg in legs[:_LEGS]:
        table.add_row(Text(clean(leg["leg"])), money(leg["initial"]), money(leg["maintenance"]))
    rest = legs[_LEGS:]
    if rest:
        first, second = (sum(leg[key] for leg in rest) for key in ("initial", "maintenance"))
        table.add_row(f"{len(rest)} smaller ones", money(first), money(second))
    _show(table, console)


def _print_solvency(found: Mapping[str, Any], console: Console) -> None:
    """Who fails on the days of history, and what the fund would have to bear."""
    if found["failure"] is not None:
        line = f"no solvency: {reason(found['failure'])}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        return
    narrow = console.width < _WIDE
    # No share of days without the limit of what they can say.
    kept = [k for k, n in enumerate(SOLVENCY_COLUMNS) if not (narrow and n == "cost")]
    names = [SOLVENCY_COLUMNS[k] for k in kept]
    table = _grid(solvency_head(found), ("account", "method"), names)
    for name in dict.fromkeys(n for one in found["methods"].values() for n in one["accounts"]):
        shown = clean(name)
        for method, one in found["methods"].items():
            if one["accounts"][name] is None:
                continue
            cells = solvency_cells(one["accounts"][name])
            table.add_row(Text(shown), method, *(cells[k] for k in kept))
            shown = ""
    _show(table, console)
    for line in solvency_lines(found):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print()


def failed_cells(value: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, str]]]:
    """(methods, accounts, failure) of what could not be margined, the same reason once."""
    by_account: dict[tuple[str, str], list[str]] = {}
    reasons: dict[str, Mapping[str, str]] = {}
    for account in value["accounts"]:
        for method, cell in account["methods"].items():
            if cell["failure"] is not None:
                said = cell["failure"]["message"]
                by_account.setdefault((account["account"], said), []).append(method)
                reasons[said] = cell["failure"]
    return [
        (", ".join(methods), account, reasons[said])
        for (account, said), methods in by_account.items()
    ]


def _notes(value: Mapping[str, Any]) -> Iterator[str]:
    """Failures with their remedies, refused parameters, notices, sources."""
    for failure in value["failures"]:
        gate = value["gates"].get(failure["method"])
        if gate is None:
            yield f"failed: {failure['method']}: {reason(failure)}"
            continue
        head = clean(failure["message"]).partition(". ")[0]
        yield f"failed: {failure['method']}: {head} ({clean(failure['remedy'])})"
        yield from _refusals(gate)
    cells = [f"failed: {a} under {m}: {reason(why)}" for m, a, why in failed_cells(value)]
    yield from _most(cells, "failures")
    for method, gate in value["gates"].items():
        if gate["used"] and not gate["accepted"]:
            yield f"WARNING: {method} uses parameters that the parameter gate refuses:"
            yield from _refusals(gate)
    said: dict[str, list[str]] = {}
    for account in value["accounts"]:
        for method, cell in account["methods"].items():
            for notice in cell["notices"]:
                said.setdefault(f"{method}: {clean(notice)}", []).append(account["account"])
    everybody = len(value["accounts"])
    lines = [
        f"notice: {text}"
        + ("" if len(names) == everybody else f" ({', '.join(clean(n) for n in names[:5])})")
        for text, names in said.items()
    ]
    yield from _most(lines, "notices")
    left_out = [one["method"] for one in value["methods"] if not one["searched"]]
    if left_out and any(one["searched"] for one in value["methods"]):
        names = ", ".join(left_out)
        yield f"thresholds of {names} are not searched among so many instruments: name one account."
    for one in value["methods"]:
        yield f"{one['method']}: {clean(one['parameters'])}"
    for ranked in value["nearest"]:
        if ranked["disputed"] and everybody > 1:
            names = ", ".join(clean(name) for name in ranked["disputed"])
            yield f"{ranked['method']}: near their threshold under some models only: {names}"


def _refusals(gate: Mapping[str, Any]) -> Iterator[str]:
    """Why a set is refused, with the book that shows it."""
    for finding in gate["refusals"]:
        yield f"  {clean(finding['sentence'])}"
        if finding["witness"]:
            held = ", ".join(f"{q:g} {clean(name)}" for name, q in finding["witness"].items())
            yield f"    witness: {held}"


def _most(lines: Sequence[str], what: str) -> Iterator[str]:
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"{len(lines) - _LINES} more {what}: --json"
