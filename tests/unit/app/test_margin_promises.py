"""What a fitted margin method is meant to cover, in the words of the report."""

from __future__ import annotations

from typing import Any

import pytest

from commonmode.app.report.margin_section import margin_line
from commonmode.app.report.margin_words import promises

COVERS = "99 % of the losses over 1 h, and no crash"


def value(covers: str | None) -> dict[str, Any]:
    said = {} if covers is None else {"covers": covers}
    cell = {"failure": None, "initial": 5.0, "healthy": True, "initial_by_model": {}}
    return {
        "methods": [
            {"method": "pm2", "covers": ""},
            {"method": "dynamic", **said},
        ],
        "accounts": [{"account": "a", "methods": {"pm2": cell, "dynamic": cell}}],
    }


def test_the_total_and_a_sentence_say_it() -> None:
    found = value(COVERS)
    line = margin_line(found, brief=True)
    assert line == "Margin of 1 accounts: pm2 $5, dynamic $5 (for 99 % of the losses over 1 h)."
    (sentence,) = promises(found)
    assert sentence.startswith(f"dynamic is meant to cover {COVERS};")
    assert "--parameters dynamic=conventional" in sentence


@pytest.mark.parametrize("covers", ["", None])
def test_nothing_is_said_where_nothing_is_promised_or_the_results_are_older(
    covers: str | None,
) -> None:
    assert list(promises(value(covers))) == []
    assert margin_line(value(covers), brief=True).endswith("dynamic $5.")
