"""Tables of margin for the pages: every number of the pictures, in words and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.margin import model_range, threshold_words
from commonmode.app.report.margin_words import money
from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, joined, number

__all__ = ["gate_lines", "margin_table", "nearest_tables", "parts_table", "trades_table"]


def margin_table(value: Mapping[str, Any]) -> Table:
    """Accounts by method."""
    rows = []
    for account in value["accounts"]:
        for method, cell in account["methods"].items():
            name = clean(account["account"])
            if cell["failure"] is not None:
                rows.append((name, method, "not margined", *([""] * 7)))
                continue
            where, vols = threshold_words(cell["thresholds"])
            rows.append(
                (
                    name,
                    method,
                    money(cell["equity"]),
                    money(cell["initial"]),
                    model_range(cell["initial_by_model"]),
                    money(cell["maintenance"]),
                    money(cell["maintenance_balance"]),
                    "yes" if cell["healthy"] else "no",
                    where,
                    vols,
                )
            )
    return Table(
        "Balance: equity above maintenance; below zero the account is to be liquidated. Over "
        "models: the initial margin under the marks of every surface model, without what dynamic "
        "adds for their disagreement. What a method means to cover differs: see the methods and "
        "parameters below. Falls at: moves of "
        "spot, all coins together, at which the balance changes sign; vols: daily standard "
        "deviations to the nearest.",
        (
            "Account",
            "Method",
            "Equity",
            "Initial",
            "Over models",
            "Maintenance",
            "Balance",
            "Healthy",
            "Falls at",
            "Vols",
        ),
        tuple(rows),
        (2, 3, 4, 5, 6, 8, 9),
        frozenset(i for i, row in enumerate(rows) if row[7] == "no"),
    )


def parts_table(value: Mapping[str, Any]) -> Table:
    """What every requirement is made of."""
    rows = [
        (
            clean(account["account"]),
            method,
            part.replace("_", " "),
            money(first[part]) if part in first else "",
            money(second[part]) if part in second else "",
        )
        for account in value["accounts"]
        for method, cell in account["methods"].items()
        for first, second in [(cell["components"], cell["maintenance_components"])]
        for part in dict.fromkeys([*first, *second])
        if first.get(part) or second.get(part)
    ]
    return Table(
        "Parts add up to the requirement.",
        ("Account", "Method", "Part", "Initial", "Maintenance"),
        tuple(rows),
        (3, 4),
    )


def trades_table(value: Mapping[str, Any]) -> Table | None:
    """Before and after the trades of a what-if."""
    if "what_if" not in value:
        return None
    trades = ", ".join(f"{q:+g} {clean(name)}" for name, q in value["what_if"]["trades"].items())
    before, after = value["accounts"][0], value["what_if"]["after"]
    rows = []
    for method, was in before["methods"].items():
        now = after["methods"][method]
        failure = was["failure"] or now["failure"]
        if failure is not None:
            rows.append((method, f"not margined: {clean(failure['message'])}", *([""] * 5)))
            continue
        cells = [method]
        for key in ("initial", "maintenance"):
            cells += [money(was[key]), money(now[key]), money(now[key] - was[key])]
        rows.append(tuple(cells))
    return Table(
        f"After {trades}, paid for at the marks",
        ("Method", "Initial", "after", "change", "Maintenance", "after", "change"),
        tuple(rows),
        (1, 2, 3, 4, 5, 6),
    )


def nearest_tables(value: Mapping[str, Any]) -> list[Table]:
    """The accounts nearest their threshold; surface models that say the same share a column."""
    tables = []
    for ranked in value["nearest"]:
        models = list(ranked["by_model"])
        most = max((len(near) for near in ranked["by_model"].values()), default=0)
        if not most:
            continue
        alike: dict[tuple[str, ...], list[str]] = {}
        for model in models:
            said = tuple(_near(ranked["by_model"][model], place) for place in range(most))
            alike.setdefault(said, []).append(model)
        heads = [
            "Every model" if len(alike) == 1 < len(models) else joined(m) for m in alike.values()
        ]
        rows = [(str(place + 1), *(column[place] for column in alike)) for place in range(most)]
        apart = ", ".join(clean(name) for name in ranked["disputed"])
        only = f" Near under some models only: {apart}." if apart else ""
        tables.append(
            Table(
                f"{ranked['method']}: the nearest accounts, with the daily standard deviations to "
                f"their threshold and the spot there.{only}",
                ("Place", *heads),
                tuple(rows),
            )
        )
    return tables


def _near(near: list[Mapping[str, Any]], place: int) -> str:
    if place >= len(near):
        return ""
    one = near[place]
    if one["daily_vols"] == 0:
        return f"{clean(one['account'])}: now"
    spot = "" if one["spot_factor"] is None else f", {100 * (one['spot_factor'] - 1):+.0f} %"
    return f"{clean(one['account'])}: {number(one['daily_vols'], 1)}{spot}"


def gate_lines(value: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What the parameter gate said of each published method."""
    out = []
    for method, gate in value["gates"].items():
        verdict = "accepted" if gate["accepted"] else "refused"
        used = "" if gate["accepted"] or not gate["used"] else ", used all the same"
        lines = [clean(f["sentence"]) for f in (*gate["refusals"], *gate["notices"])]
        out.append((f"{method}: {verdict}{used} after {gate['probes']:,} probes", lines))
    return out
