"""Tables of looks: intervals beside their estimate, small numbers, print that fits."""

from __future__ import annotations

from typing import Any

import pytest

from commonmode.app.report.looks import look_sections
from commonmode.app.report.tables import Table


def shown(name: str, columns: list[str], *rows: list[Any]) -> Table:
    table = {"name": name, "title": "t", "columns": columns, "rows": list(rows)}
    look = {"name": "x", "status": "ok", "findings": [], "notes": [], "tables": [table]}
    (section,) = look_sections({"looks": [look]})
    (one,) = section["tables"]
    return one


def test_an_interval_stands_beside_its_estimate() -> None:
    table = shown(
        "cadences",
        ["model", "hours", "change_share", "low_share", "high_share"],
        ["a", 24, -0.29, -0.331, -0.249],
        ["b", 24, 0.0, None, None],
    )
    assert table.columns == ("model", "change (95 %)")  # the interval's name says the hours
    assert table.rows == (("a", "-29.0 % (-33.1 to -24.9 %)"), ("b", "0.0 %"))
    assert table.numeric == (1,)


def test_quantiles_are_no_interval() -> None:
    table = shown("books", ["book", "mean_usd", "low_usd", "high_usd"], ["a", 1e6, -2e6, 3e6])
    assert table.rows == (("a", "$1m", "-$2m", "$3m"),)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0"), (8.9e-11, "<\u00a00.001"), (0.012, "0.012"), (25.5, "25.5"), (9.0, "9")],
)
def test_what_is_there_is_not_shown_as_nothing(value: float, said: str) -> None:
    assert shown("moves", ["model", "detectable"], ["a", value]).rows == (("a", said),)


def test_many_columns_are_set_in_smaller_print() -> None:
    assert not shown("x", ["model", "b"], ["a", 1]).dense
    assert shown("x", list("abcdefgh"), ["a", *range(7)]).dense
