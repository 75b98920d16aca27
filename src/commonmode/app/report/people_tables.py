"""Tables of the participants, of what rests on each model, and of observed outsiders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from commonmode.app.report.tables import Table
from commonmode.app.report.words import clean, joined, usd

__all__ = ["exposure_table", "outsider_table", "participant_table"]


def participant_table(population: Mapping[str, Any]) -> Table:
    """Who runs which model."""
    people = sorted(population["participants"], key=lambda p: -(p["gross_usd"] or 0.0))
    rows = tuple(
        (
            clean(p["id"]),
            p["kind"],
            clean(p["jurisdiction"]),
            clean(p["surface_model"]),
            clean(p["risk_model"]),
            usd(p["gross_usd"]),
            usd(p["capital_usd"]),
        )
        for p in people
    )
    return Table(
        "Participants, largest book first: what prices and what margins it.",
        ("Participant", "Kind", "Jurisdiction", "Priced by", "Margined by", "Gross", "Capital"),
        rows,
        numeric=(5, 6),
    )


def outsider_table(population: Mapping[str, Any]) -> Table | None:
    """Whose models were observed from outside."""
    found = population.get("outsiders") or []
    if not found:
        return None
    rows = tuple(
        (clean(o["id"]), o["kind"], clean(o["model"]), clean(o["purpose"]), clean(o["observed"]))
        for o in found
    )
    return Table(
        "Observed outsiders: no book of this population, but a published model beside its own.",
        ("Who", "Kind", "Model", "Purpose", "Observed"),
        rows,
    )


def exposure_table(population: Mapping[str, Any]) -> Table:
    """USD behind every model."""
    known = sorted(population["exposure"], key=lambda e: -(e["exposure_usd"] or 0.0))
    rows = tuple(
        (clean(e["model"]), usd(e["exposure_usd"]), joined(e["participants"], 20)) for e in known
    )
    return Table(
        "Gross exposure that rests on each model. A book counts once under the model that prices "
        "it and once under the model that margins it.",
        ("Model", "Gross", "Participants"),
        rows,
        numeric=(1,),
    )
