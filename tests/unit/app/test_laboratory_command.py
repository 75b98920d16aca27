"""``commonmode laboratory`` on one or two worlds of each kind."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from commonmode.app.cli.laboratory import TITLES
from commonmode.app.cli.main import app
from commonmode.converge.evidence import section_names


def _run(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["laboratory", "--workers", "1", *options])
    return result.exit_code, result.output


def test_json_holds_truth_and_summary_of_every_kind_of_world() -> None:
    code, text = _run("--seeds", "2", "--first-seed", "7", "--only", "acceptance", "--json")
    assert code == 0
    answer = json.loads(text)
    assert answer["seeds"] == [7, 8]
    silent, planted = answer["sections"]["acceptance"]
    assert silent["true_effective_number"] == 8.0
    assert planted["config"]["planted_share"] == 0.3
    assert planted["summary"]["found"] == {"value": 1.0, "standard_error": 0.0, "worlds": 2}
    assert set(planted["summary"]["ratio"]) == {"mean", "deviation", "standard_error"}


def test_markdown_tables_have_a_cell_for_every_heading() -> None:
    code, text = _run("--seeds", "1", "--only", "acceptance", "--only", "controls", "--markdown")
    assert code == 0
    tables = [line for line in text.splitlines() if line.startswith("|")]
    # one world of each of two kinds, and two lines of heading, in four tables
    assert len(tables) == 16
    assert {line.count("|") for line in tables} == {8, 7, 5}
    for name in ("acceptance", "controls"):
        assert f"### {TITLES[name]}" in text


def test_terminal_table_says_which_seeds() -> None:
    code, text = _run("--seeds", "1", "--only", "controls")
    assert code == 0
    assert "Seeds 1 to 1" in text
    assert "single" in text


def test_unknown_section_is_named_with_what_there_is() -> None:
    code, text = _run("--seeds", "1", "--only", "nonsense")
    assert code == 2
    assert "acceptance" in text


@pytest.mark.parametrize("name", section_names())
def test_every_section_has_a_title(name: str) -> None:
    assert TITLES[name]
