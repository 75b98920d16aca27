"""Model cards as a TOML file, in and out.

::

    [[card]]
    model = "garch-t"
    family = "risk"                  # surface, risk, margin or signal
    owner = "desk A"
    purpose = "1-hour value at risk"
    materiality = "high"             # high, medium or low
    jurisdiction = "EU"
    audit = ""
    exposure_usd = 2.5e6             # optional: USD behind the model

    [card.components.data]           # one table per layer, component = weight in (0, 1]
    "binance spot hourly" = 1.0

    [card.components.technique]
    "GARCH(1,1)" = 1.0

A layer may also be a list of names, each with weight 1: ``vendor = ["kaiko"]``.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final, TypeVar

from commonmode.adapters.store.files import atomic_path
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.market.columns import nearest
from commonmode.register.cards import Card, ComponentUse, Layer, Materiality, ModelFamily

__all__ = ["CardFile", "cards_from_toml", "cards_to_toml", "read_cards", "write_cards"]

E = TypeVar("E", bound=Enum)

_TEXTS: Final = ("owner", "purpose", "jurisdiction", "audit")
_KEYS: Final = ("model", "family", *_TEXTS, "materiality", "exposure_usd", "components")


@dataclass(frozen=True, slots=True)
class CardFile:
    """The cards of a file, and the USD behind the models that state one."""

    cards: tuple[Card, ...]
    exposure_usd: Mapping[ModelId, float] = field(default_factory=dict)


def read_cards(path: Path) -> CardFile:
    """Read a cards file.

    Raises
    ------
    ConfigurationError
        No such file, not TOML, unknown keys (with the nearest valid one), wrong values, two cards
        of one model.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"cannot read the cards file {path}: {error}", remedy="check the path"
        ) from error
    return cards_from_toml(text, where=path.name)


def cards_from_toml(text: str, *, where: str = "cards") -> CardFile:
    """Read cards from TOML text; ``where`` names it in messages. Raises as :func:`read_cards`."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{where}: {error}", remedy="correct the TOML there") from error
    _only(content, ("card",), where)
    entries = content.get("card", [])
    if not isinstance(entries, list) or not entries:
        raise ConfigurationError(f"{where} has no cards", remedy="write one [[card]] per model")
    cards, exposure = [], {}
    for number, entry in enumerate(entries, 1):
        name = f"{where}, card {number} ({entry.get('model', 'without model')})"
        card = _card(entry, name)
        cards.append(card)
        if "exposure_usd" in entry:
            exposure[card.model] = _number(entry["exposure_usd"], f"{name}: exposure_usd")
            if exposure[card.model] < 0:
                raise ConfigurationError(
                    f"{name}: exposure_usd is negative", remedy="give USD, 0 or more"
                )
    models = [card.model for card in cards]
    twice = sorted({m for m in models if models.count(m) > 1})
    if twice:
        raise ConfigurationError(
            f"{where} has several cards of {', '.join(twice)}", remedy="keep one card per model"
        )
    return CardFile(tuple(cards), exposure)


def write_cards(
    path: Path, cards: Sequence[Card], exposure_usd: Mapping[ModelId, float] | None = None
) -> None:
    """Write cards as a file that :func:`read_cards` reads back the same."""
    with atomic_path(path) as temporary:
        temporary.write_text(cards_to_toml(cards, exposure_usd), encoding="utf-8")


def cards_to_toml(
    cards: Sequence[Card], exposure_usd: Mapping[ModelId, float] | None = None
) -> str:
    """TOML text of ``cards``; what is undeclared ("") is left out."""
    exposure = exposure_usd or {}
    blocks = []
    for card in cards:
        lines = ["[[card]]", f"model = {_quoted(card.model)}", f'family = "{card.family.value}"']
        lines += [f"{key} = {_quoted(value)}" for key in _TEXTS if (value := getattr(card, key))]
        lines.append(f'materiality = "{card.materiality.value}"')
        if card.model in exposure:
            lines.append(f"exposure_usd = {float(exposure[card.model])!r}")
        for layer in Layer:
            used = [part for part in card.components if part.layer is layer]
            if used:
                lines += ["", f"[card.components.{layer.value}]"]
                lines += [f"{_quoted(part.component)} = {float(part.weight)!r}" for part in used]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _card(entry: Any, name: str) -> Card:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{name} is not a table", remedy="write [[card]] above it")
    _only(entry, _KEYS, name)
    for key in ("model", "family"):
        if key not in entry:
            raise ConfigurationError(f"{name} has no {key}", remedy=f'add {key} = "…"')
    return Card(
        model=ModelId(_text(entry["model"], f"{name}: model")),
        family=_choice(ModelFamily, entry["family"], f"{name}: family"),
        materiality=_choice(
            Materiality, entry.get("materiality", Materiality.MEDIUM.value), f"{name}: materiality"
        ),
        components=tuple(_components(entry.get("components", {}), name)),
        **{key: _text(entry.get(key, ""), f"{name}: {key}") for key in _TEXTS},
    )


def _components(layers: Any, name: str) -> list[ComponentUse]:
    if not isinstance(layers, dict):
        raise ConfigurationError(
            f"{name}: components is not a table",
            remedy='write [card.components.data] and lines such as "binance spot" = 1.0',
        )
    _only(layers, [layer.value for layer in Layer], f"{name}: components")
    found = []
    for layer in Layer:
        used = layers.get(layer.value, {})
        if isinstance(used, list):
            used = dict.fromkeys(used, 1.0) if all(isinstance(u, str) for u in used) else None
        if not isinstance(used, dict):
            raise ConfigurationError(
                f"{name}: components.{layer.value} is neither a table nor a list of names",
                remedy="write component = weight, or a list of component names",
            )
        for component, weight in used.items():
            number = _number(weight, f"{name}: weight of {component!r}")
            found.append(ComponentUse(ComponentId(component), layer, number))
    return found


def _only(entry: Mapping[str, Any], valid: Iterable[str], where: str) -> None:
    choices = list(valid)
    for key in entry:
        if key not in choices:
            guess = nearest(key, choices)
            raise ConfigurationError(
                f"{where}: unknown key {key!r}",
                remedy=f"did you mean {guess!r}?" if guess else f"keys are {', '.join(choices)}",
            )


def _choice(kind: type[E], value: Any, where: str) -> E:
    choices = {str(item.value): item for item in kind}
    if value not in choices:
        guess = nearest(str(value), choices)
        raise ConfigurationError(
            f"{where} is {value!r}",
            remedy=f"did you mean {guess!r}?" if guess else f"one of {', '.join(choices)}",
        )
    return choices[value]


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} is {value!r}, not a text", remedy="put it in quotes")
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{where} is {value!r}, not a number", remedy="e.g. 1.0")
    return float(value)


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
