"""One terminal screen: five answers, which data, readable without colour and when narrow."""

from __future__ import annotations

from copy import deepcopy
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from commonmode.app.report import render_terminal
from commonmode.app.report.terminal import SCREEN_LINES
from report_cases import everything_failed, full, hostile
from report_results import laboratory_results


def screen(results: dict[str, Any], width: int = 100, **options: Any) -> str:
    out = StringIO()
    console = Console(file=out, width=width, **options)
    render_terminal(results, console, report=Path("out") / "report.html")
    return out.getvalue()


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_first_line_says_which_data() -> None:
    results = laboratory_results()
    assert screen(results).splitlines()[0].strip() == results["study"]["data_line"]


@pytest.mark.parametrize("width", [100, 120, 60, 40])
def test_five_answers_and_the_way_to_the_report(width: int) -> None:
    results = laboratory_results()
    shown = words(screen(results, width))
    for place, answer in enumerate(results["answers"], 1):
        assert f"{place}. {answer['question']}" in shown
        assert answer["answer"].replace(" %", "%") in shown
    assert "out/report.html" in shown


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(len(line.rstrip()) for line in screen(full(), width).splitlines()) <= width


def test_it_is_one_screen_however_much_there_is_to_say() -> None:
    results = full()
    for answer in results["answers"]:
        answer["answer"] = "word " * 300
    results["panels"] *= 5
    results["failures"] *= 20
    shown = screen(results)
    assert len(shown.splitlines()) <= SCREEN_LINES
    assert "more panels are in the report" in words(shown)
    assert "... (report)" in words(shown)


def test_the_table_shows_each_panel_with_interval_and_detectable_effect() -> None:
    results = full()
    shown = screen(results)
    c2, c3 = results["panels"][0]["c2"], results["panels"][0]["c3"]
    low, high = c2["interval"]
    assert f"{c2['effective_number']:.1f} ({low:.1f} to {high:.1f})" in shown
    assert f"{c3['minimum_detectable_ratio']:.2f}x" in shown
    assert "not claimed" in shown  # the second panel makes no tail claim
    assert "visible from:" in shown


def test_without_colour_there_is_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in screen(full())
    assert "\x1b" not in screen(hostile())


def test_names_cannot_use_markup_or_steer_the_terminal() -> None:
    results = deepcopy(laboratory_results())
    results["panels"][0]["name"] = "[bold]x[/bold]\x1b]0;title\x07"
    shown = screen(results, 140)
    assert "[bold]x[/bold]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


@pytest.mark.parametrize("width", [60, 100])
def test_failed_indices_are_named(width: int) -> None:
    assert "failed" in screen(everything_failed(), width)
