"""Cards of the published margin methods: observed from outside, beside the population's models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from commonmode.core.ids import ComponentId, ModelId, ParticipantId
from commonmode.register.cards import Card, ComponentUse, Layer, Materiality, ModelFamily
from commonmode.register.population import Outsider, ParticipantKind

__all__ = ["margin_cards", "margin_outsiders"]

_PURPOSE: Final = "margin"


@dataclass(frozen=True, slots=True)
class _Venue:
    """Who runs a method, and what it was seen to be made of."""

    owner: str
    kind: ParticipantKind
    observed: str
    components: tuple[tuple[Layer, str], ...]


_BLACK: Final = (Layer.ASSUMPTION, "black-76 quoting")
_VENUES: Final = MappingProxyType(
    {
        "pm2": _Venue(
            "Derive",
            ParticipantKind.PROTOCOL,
            "parameters read on chain; formulas reproduced from the exchange's published cases",
            (
                (Layer.DATA, "derive oracle feeds"),
                _BLACK,
                (Layer.ASSUMPTION, "coins move alone"),
                (Layer.TECHNIQUE, "worst of fixed spot and vol scenarios"),
                (Layer.CALIBRATION, "shocks set by governance"),
                (Layer.CODE, "derivexyz/v2-core"),
            ),
        ),
        "standard": _Venue(
            "Derive",
            ParticipantKind.PROTOCOL,
            "parameters of the exchange's published deployment; formulas from its published cases",
            (
                (Layer.DATA, "derive oracle feeds"),
                (Layer.TECHNIQUE, "charges per position"),
                (Layer.CALIBRATION, "shocks set by governance"),
                (Layer.CODE, "derivexyz/v2-core"),
            ),
        ),
        "deribit": _Venue(
            "Deribit",
            ParticipantKind.EXCHANGE,
            "parameters and answers as the venue publishes them; formulas from its documents",
            (
                (Layer.DATA, "deribit index"),
                (Layer.DATA, "deribit mark iv"),
                _BLACK,
                (Layer.ASSUMPTION, "coins move alone"),
                (Layer.TECHNIQUE, "worst of fixed spot and vol scenarios"),
                (Layer.CALIBRATION, "shocks set by the venue"),
            ),
        ),
    }
)


def margin_cards(methods: Sequence[str]) -> tuple[Card, ...]:
    """Cards of the published methods among ``methods``; what was not observed is not declared."""
    return tuple(
        Card(
            model=ModelId(name),
            family=ModelFamily.MARGIN,
            owner=_VENUES[name].owner,
            purpose=_PURPOSE,
            materiality=Materiality.HIGH,
            components=tuple(
                ComponentUse(ComponentId(part), layer) for layer, part in _VENUES[name].components
            ),
        )
        for name in methods
        if name in _VENUES
    )


def margin_outsiders(methods: Sequence[str]) -> tuple[Outsider, ...]:
    """Who runs the published methods among ``methods``: observed outsiders of the population."""
    return tuple(
        Outsider(
            ParticipantId(_VENUES[name].owner),
            _VENUES[name].kind,
            ModelId(name),
            _PURPOSE,
            _VENUES[name].observed,
        )
        for name in methods
        if name in _VENUES
    )
