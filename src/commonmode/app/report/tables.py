"""The report's tables as rows of finished text; nothing is computed in a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from commonmode.app.report.words import (
    clean,
    joined,
    moment,
    number,
    p_value,
    percent,
    shares,
    usd,
)

__all__ = [
    "Table",
    "benchmark_table",
    "card_table",
    "cell_table",
    "component_table",
    "found_table",
    "greek_details",
    "greek_table",
    "model_table",
    "split_words",
    "unshared",
]


_ROOMY = 6  # columns that have room in the page's own print


@dataclass(frozen=True, slots=True)
class Table:
    """Caption, column headings and rows of text; the first column heads its row.

    Attributes
    ----------
    caption : str
    columns : tuple of str
    rows : tuple of tuple of str
    numeric : tuple of int
        Columns set flush right.
    strong : frozenset of int
        Rows that stand out.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    strong: frozenset[int] = frozenset()

    @property
    def dense(self) -> bool:
        """So many columns that they need smaller print to stand on one page."""
        return len(self.columns) > _ROOMY


def _filled(table: Table) -> Table:
    """Without columns that say nothing in any row."""
    keep = [c for c in range(len(table.columns)) if any(row[c] for row in table.rows)]
    return replace(
        table,
        columns=tuple(table.columns[c] for c in keep),
        rows=tuple(tuple(row[c] for c in keep) for row in table.rows),
        numeric=tuple(i for i, c in enumerate(keep) if c in table.numeric),
    )


def component_table(panel: Mapping[str, Any]) -> Table | None:
    """Declared components by how much their users move, and fail, together."""
    c2, c3 = panel["c2"], panel["c3"]
    if c2["status"] != "ok" or not c2["components"]:
        return None
    after = {r["name"]: r for r in c2["remedies"]}
    fail = {c["name"]: c for c in c3["components"]} if c3["status"] == "ok" else {}
    place = {name: i for i, name in enumerate(after)}
    ranked = sorted(c2["components"], key=lambda c: place.get(c["name"], len(place)))
    rows = []
    for c in ranked:
        remedy, joint = after.get(c["name"]), fail.get(c["name"])
        rows.append(
            (
                _component(c),
                joined(c["members"], 8),
                _signed(c["estimate"], c["standard_error"]),
                p_value(c["p_adjusted"]),
                p_value(joint["p_adjusted"]) if joint else "",
                _after(remedy),
                usd(remedy["exposure_usd"]) if remedy else "",
                _told_apart(c, len(panel["models"])),
            )
        )
    table = Table(
        "Declared parts: first those whose users move together beyond chance, most gained first, "
        "then the others; C4 above says whether any is confirmed as a cause. Pairs of models that "
        "share the part move together by this much more than their members do with others; p is "
        "adjusted for all parts looked at. Independent models without it: what the crowd would "
        "count as if the part were taken apart.",
        (
            "Part",
            "Used by",
            "Excess correlation (s.e.)",
            "p, moving together",
            "p, failing together",
            "Independent models without it",
            "USD behind its users",
            "Can be told from others",
        ),
        tuple(rows),
        numeric=(2, 3, 4, 5, 6),
        strong=frozenset({0} if after else ()),
    )
    return _filled(table)


def _after(remedy: Mapping[str, Any] | None) -> str:
    """Nothing without benchmarks: then there is no effective number."""
    if remedy is None or remedy["effective_number_after"] is None:
        return ""
    return number(remedy["effective_number_after"], 1)


def _told_apart(contrast: Mapping[str, Any], models: int) -> str:
    if contrast["explained_by"]:
        return f"no: it overlaps {clean(contrast['explained_by'])}"
    if contrast["confounded_with"]:
        return "no: " + joined(contrast["confounded_with"], 3)
    if contrast["identified"]:
        return "yes"
    everybody = len(contrast["members"]) == models
    return f"no: {'' if everybody else 'nearly '}all models use it"


def _component(contrast: Mapping[str, Any]) -> str:
    if not contrast["components"]:
        return clean(contrast["name"])
    return " + ".join(f"{clean(name)} ({layer})" for layer, name in contrast["components"])


def _signed(value: float | None, error: float | None) -> str:
    sign = "+" if value is not None and value > 0 else ""
    return f"{sign}{number(value)} ({number(error)})"


def found_table(panel: Mapping[str, Any], most: int = 8) -> Table | None:
    """Groups found without looking at the cards."""
    c2 = panel["c2"]
    if c2["status"] != "ok" or not c2["found"]:
        return None
    rows = tuple(
        (
            joined(c["members"], 10),
            _signed(c["estimate"], c["standard_error"]),
            p_value(c["p_adjusted"]),
        )
        for c in c2["found"][:most]
    )
    left = len(c2["found"]) - len(rows)
    more = f" {left} weaker ones are in results.json." if left > 0 else ""
    return Table(
        "Groups found without looking at any card: they move together more than chance allows."
        + more,
        ("Models", "Excess correlation (s.e.)", "Adjusted p"),
        rows,
        numeric=(1, 2),
    )


def split_words(c3: Mapping[str, Any]) -> Table | None:
    """The split of joint failures with its intervals."""
    if c3["status"] != "ok" or c3["split"] is None:
        return None
    said = (
        ("market", "Market", "hours so violent that models fail together without sharing anything"),
        ("shared_design", "Shared design", "what is left given the market's own surprise"),
        ("individual", "Individual chance", "failures that coincide at each model's own rate"),
    )
    rows = tuple((name, shares(c3["split"][key]), what) for key, name, what in said)
    return Table(
        f"{c3['pair_failures']:,} joint failures: pairs of models that failed at one time",
        ("Cause", "Share (95 % interval)", "Which means"),
        rows,
        numeric=(1,),
    )


def benchmark_table(panel: Mapping[str, Any]) -> Table | None:
    """Both benchmarks, their mean and the models against outcomes."""
    b = panel["benchmark"]
    if b is None:
        return None
    columns, numeric = ["Forecast"], []
    for target in b["targets"]:
        name = clean(target)
        numeric += [len(columns), len(columns) + 1, len(columns) + 2]
        columns += [f"{name} loss × 10⁴", f"{name} coverage", f"{name} p"]
    rows = []
    for i, forecast in enumerate(b["forecasts"]):
        row = [clean(forecast)]
        for k in range(len(b["targets"])):
            loss = b["pinball"][i][k]
            row += [
                number(None if loss is None else 1e4 * loss, 2),
                percent(b["coverage"][i][k], 2),
                p_value(b["coverage_p"][i][k]),
            ]
        rows.append(tuple(row))
    level = percent(panel["level"], 1)
    return Table(
        "The benchmarks must be at least as good as the models they judge. Loss: mean tick loss, "
        f"smaller is better. Coverage: outcomes below the forecast, should be {level}; p of "
        "Kupiec's test that it is.",
        tuple(columns),
        tuple(rows),
        numeric=tuple(numeric),
        strong=frozenset(
            i for i, name in enumerate(b["forecasts"]) if str(name).startswith("benchmark")
        ),
    )


def model_table(panel: Mapping[str, Any]) -> Table:
    """The panel's models: what rests on them, how often they failed, their loss."""
    c3, c6 = panel["c3"], panel["c6"]
    failures = c3["failures"] if c3["status"] == "ok" else None
    losses = c6["mean_loss"] if c6["status"] == "ok" else None
    good = set(c6["equally_good"]) if c6["status"] == "ok" else set()
    rows = []
    for i, model in enumerate(panel["models"]):
        rows.append(
            (
                clean(model["id"]),
                clean(model["owner"]),
                clean(model["purpose"]),
                usd(model["exposure_usd"]),
                f"{failures[i]:,}" if failures else "",
                number(losses[i], 4) if losses else "",
                ("yes" if model["id"] in good else "no") if losses else "",
            )
        )
    table = Table(
        "Models of this panel. As good as the best: outcomes cannot tell its loss from the best "
        "model's.",
        ("Model", "Owner", "Purpose", "USD behind it", "Failures", "Mean loss", "As good as best"),
        tuple(rows),
        numeric=(3, 4, 5),
    )
    return _filled(table)


def unshared(panel: Mapping[str, Any]) -> str:
    """Components that one model only uses, left out of the graph."""
    if panel["c1"]["status"] != "ok":
        return ""
    alone = [p for p in panel["c1"]["components"] if len(p["models"]) < 2]
    return "; ".join(f"{clean(p['component'])} ({joined(p['models'])})" for p in alone)


def cell_table(panel: Mapping[str, Any]) -> Table | None:
    """Failed cells with their reasons."""
    if not panel["failed_cells"]:
        return None
    rows = tuple(
        (
            clean(c["model"]),
            clean(c["target"]),
            moment(c["time_ms"]),
            f"{c['count']:,}",
            c["reason"].replace("_", " "),
            clean(c["message"]),
            clean(c["remedy"]),
        )
        for c in panel["failed_cells"]
    )
    return Table(
        "Forecasts that could not be made; the rest of the panel stands.",
        ("Model", "Target", "First at", "Cells", "Reason", "What happened", "What to do"),
        rows,
        numeric=(3,),
    )


def greek_table(greeks: Mapping[str, Any]) -> Table | None:
    """Range over the models of every book's Greeks, and largest over smallest."""
    if not greeks["disagreement"]:
        return None
    names = list(dict.fromkeys(d["greek"] for d in greeks["disagreement"]))
    units = {d["greek"]: clean(d["unit"]) for d in greeks["disagreement"]}
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for d in greeks["disagreement"]:
        row = cells.setdefault((clean(d["book"]), clean(d["underlying"])), {})
        row[d["greek"]] = _spread(d)
    rows = tuple(
        (book, underlying, *(row.get(name, "") for name in names))
        for (book, underlying), row in cells.items()
    )
    return Table(
        f"Every book's Greeks at {moment(greeks['snapshot_ms'])}: median of the models, half their "
        "range, and below them the largest over the smallest (×).",
        ("Book", "Underlying", *(f"{clean(name)}, {units[name]}" for name in names)),
        rows,
        numeric=tuple(range(2, 2 + len(names))),
    )


def _spread(d: Mapping[str, Any]) -> str:
    if d["median"] is None or d["range"] is None:
        return "too few models"
    if d["dispersion"] is None:
        ratio = "signs differ"
    else:
        ratio = "one says 0" if d["ratio"] is None else f"× {number(d['ratio'])}"
    return f"{_amount(d['median'])} ± {_amount(d['range'] / 2.0)}\n{ratio}"


def _amount(value: float | None) -> str:
    """Three digits with a unit of thousands."""
    if value is None:
        return "unknown"
    for size, unit in ((1e9, "bn"), (1e6, "m"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def greek_details(greeks: Mapping[str, Any]) -> Table | None:
    """Every model's total."""
    if not greeks["totals"]:
        return None
    models = greeks["models"]
    rows = tuple(
        (
            clean(t["book"]),
            clean(t["underlying"]),
            clean(t["greek"]),
            clean(t["unit"]),
            *(_amount(t["by_model"].get(m)) for m in models),
        )
        for t in greeks["totals"]
    )
    return Table(
        "Totals by model; unknown: the model left a position of the book unpriced.",
        ("Book", "Underlying", "Greek", "Unit", *(clean(m) for m in models)),
        rows,
        numeric=tuple(range(4, 4 + len(models))),
    )


def card_table(cards: Sequence[Mapping[str, Any]], layers: Sequence[str]) -> Table:
    """What is declared about every model."""
    rows = tuple(
        (
            clean(card["model"]) + (f" ({card['panel']})" if card.get("panel") else ""),
            card["family"],
            joined([card[k] for k in ("owner", "purpose") if card[k]]),
            card["materiality"],
            joined([card[k] for k in ("jurisdiction", "audit") if card[k]]),
            *(_parts(card["components"].get(layer, {})) for layer in layers),
        )
        for card in cards
    )
    return Table(
        "Model cards: declared by the owners, not verified. A weight below 1 stands by its part.",
        ("Model", "Family", "Owner, purpose", "Materiality", "Regulated, audited", *layers),
        rows,
    )


def _parts(parts: Mapping[str, float]) -> str:
    return "; ".join(clean(n) + ("" if w == 1 else f" {w:.2g}") for n, w in parts.items())
