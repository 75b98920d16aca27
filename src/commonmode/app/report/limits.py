"""What the report does not say: the limits that hold for these very results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.words import clean, joined

__all__ = ["limits"]


def limits(results: Mapping[str, Any]) -> list[str]:
    """Sentences, the weightiest first."""
    panels = results["panels"]
    said = []
    if results["study"]["source"] == "laboratory":
        said.append(
            "The market is simulated. The results say that the method finds what was planted; they "
            "say nothing about real models."
        )
    if results["population"] is not None:
        said.append(clean(results["population"]["ownership"]))
        said.append("Every amount in dollars rests on that assumption; the indices do not.")
    untold = [p["title"] for p in panels if p["c3"].get("reason") == "not_applicable"]
    if untold:
        said.append(
            f"No claim about tails or joint failures is made from: {joined(untold)}. Such panels "
            "are too short or forecast no quantile; they describe how models move, not how they "
            "fail."
        )
    if any(p["c2"]["status"] == "ok" and p["c2"]["benchmarked"] for p in panels):
        said.append(
            "Blind spot of the benchmark: a weakness that the benchmark shares with the whole "
            "crowd does not show as a deviation. The effective number counts what models choose "
            "differently from the best forecast outside them, not what nobody foresaw."
        )
    if any(p["c2"]["status"] == "ok" and not p["c2"]["benchmarked"] for p in panels):
        said.append(
            "A panel without benchmarks cannot say how many models are independent, only which "
            "move together more than the rest."
        )
    said += [
        "Cards are declarations. A shared part that nobody declared appears only as a group found "
        "without the cards, and has no name.",
        "Parts used by exactly the same models cannot be told apart by any data; they stand "
        "together in one row.",
        "What would be left without a part is a first-order answer: it takes the part's excess "
        "correlation away and ignores what its users put in its place.",
        "Finding nothing is not a proof of independence: smaller effects than those stated beside "
        "each index would have been missed.",
        "The past period is what was measured. Models that were independent in it may still fail "
        "together in a market it did not contain.",
    ]
    return said
