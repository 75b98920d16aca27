"""Looks read well: lines to unfold tables by, names of feeds, what fails, alerts first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from commonmode.app.report.looks import look_sections
from commonmode.app.study.interventions import _feed_of
from commonmode.core.errors import DataError
from commonmode.core.result import Failure, capture
from commonmode.forecast.strategies import BasisCarry, Trend


def section(caption: str) -> dict[str, Any]:
    table = {"name": "t", "title": caption, "columns": ["a"], "rows": [["x"]] * 20}
    look = {
        "name": "passports",
        "status": "failed",
        "findings": [],
        "tables": [table],
        "notes": [],
    }
    (found,) = look_sections({"looks": [look]})
    return found


@pytest.mark.parametrize(
    ("caption", "line"),
    [
        ("Quotes of a snapshot (medians over those, all coins)", "Quotes of a snapshot"),
        ("Moves: root mean square, over times", "Moves"),
        ("Positions, over 10 bars", "Positions"),
    ],
)
def test_a_table_is_unfolded_by_a_whole_clause(caption: str, line: str) -> None:
    ((said, table),) = section(caption)["folded"]
    assert said == line
    assert table.caption == caption


def test_a_column_is_called_what_the_card_of_its_reader_calls_it() -> None:
    readers = (Trend(), BasisCarry(funding_data="venue x funding"))
    assert _feed_of("funding", readers) == "venue x funding"
    assert "venue x funding" in {use.component for use in readers[1].card.components}
    assert _feed_of("depth", readers) == "binance spot hourly depth"


@dataclass(frozen=True)
class Raises:
    error: Exception

    def __call__(self) -> None:
        raise self.error


def test_what_was_raised_on_purpose_is_said_without_its_type() -> None:
    found = capture(
        Raises(DataError("no column 'x'", remedy="add it")), what="asking m", errors=(DataError,)
    )
    assert isinstance(found, Failure)
    assert (found.message, found.remedy) == ("asking m: no column 'x'", "add it")
    other = capture(Raises(ValueError("bang")), what="asking m", errors=(ValueError,))
    assert isinstance(other, Failure)
    assert other.message == "asking m: ValueError: bang"
