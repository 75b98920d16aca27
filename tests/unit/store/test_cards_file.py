"""Cards files: what can be written, and what a typo is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from commonmode.adapters.store.cards import cards_from_toml, read_cards, write_cards
from commonmode.core.errors import ConfigurationError
from commonmode.register.cards import Layer, Materiality, ModelFamily

CARD = """
[[card]]
model = "garch-t"
family = "risk"
owner = "desk A"
materiality = "high"
exposure_usd = 2.5e6

[card.components]
vendor = ["kaiko"]

[card.components.data]
"binance spot hourly" = 0.5
"""


def test_card_with_a_table_and_a_list_of_components() -> None:
    found = cards_from_toml(CARD)
    (card,) = found.cards
    assert (card.model, card.family, card.owner) == ("garch-t", ModelFamily.RISK, "desk A")
    assert card.materiality is Materiality.HIGH
    parts = [(part.layer, part.component, part.weight) for part in card.components]
    assert parts == [(Layer.DATA, "binance spot hourly", 0.5), (Layer.VENDOR, "kaiko", 1.0)]
    assert found.exposure_usd == {"garch-t": 2.5e6}


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (CARD.replace("owner", "ownr"), "unknown key 'ownr'", "did you mean 'owner'"),
        (CARD.replace("vendor", "vendr"), "unknown key 'vendr'", "did you mean 'vendor'"),
        (CARD.replace("[[card]]", "[[crad]]", 1).split("[card.")[0], "'crad'", "'card'"),
        (CARD.replace('"risk"', '"rsk"'), "family is 'rsk'", "did you mean 'risk'"),
        (CARD.replace('"high"', '"huge"'), "materiality is 'huge'", "high, medium, low"),
        (CARD.replace("0.5", "1.5"), r"weight 1\.5 is not in \(0, 1\]", "wholly"),
        (CARD.replace("0.5", '"half"'), "weight of 'binance spot hourly' is 'half'", "1.0"),
        (CARD.replace('["kaiko"]', "[1]"), "components.vendor", "list of component names"),
        (CARD.replace('model = "garch-t"', ""), "has no model", 'add model = "…"'),
        (CARD.replace('"desk A"', "7"), "owner is 7, not a text", "quotes"),
        (CARD.replace("2.5e6", "-1"), "exposure_usd is negative", "0 or more"),
        (CARD + CARD, "several cards of garch-t", "one card per model"),
        ("", "has no cards", "one [[card]] per model"),
        ("[[card]\n", "line 1", "correct the TOML"),
    ],
)
def test_wrong_cards(text: str, message: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        cards_from_toml(text)
    assert remedy in caught.value.remedy


def test_file_in_and_out(tmp_path: Path) -> None:
    found = cards_from_toml(CARD)
    write_cards(tmp_path / "cards.toml", found.cards, found.exposure_usd)
    assert read_cards(tmp_path / "cards.toml") == found
    with pytest.raises(ConfigurationError, match="cannot read the cards file"):
        read_cards(tmp_path / "none.toml")
