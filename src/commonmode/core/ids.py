"""Names of things: one string type per kind of thing, so that mypy tells them apart."""

from __future__ import annotations

from typing import NewType

__all__ = [
    "BookId",
    "ComponentId",
    "CurrencyCode",
    "InstrumentId",
    "ModelId",
    "ParticipantId",
    "TargetId",
    "VenueId",
]

ModelId = NewType("ModelId", str)
ComponentId = NewType("ComponentId", str)
ParticipantId = NewType("ParticipantId", str)
BookId = NewType("BookId", str)
InstrumentId = NewType("InstrumentId", str)
VenueId = NewType("VenueId", str)
TargetId = NewType("TargetId", str)
CurrencyCode = NewType("CurrencyCode", str)
