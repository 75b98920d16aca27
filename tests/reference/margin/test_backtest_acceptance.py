"""The margin backtest on the recorded history: what it reaches, and what it does not.

It runs the whole of it again (minutes) and compares with the committed results.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commonmode.app.study.margin_evidence import margin_backtest

pytestmark = [pytest.mark.slow, pytest.mark.recorded]

RESULTS = Path(__file__).parents[3] / "examples" / "margin-backtest" / "evidence" / "results.json"


@pytest.fixture(scope="module")
def again(recorded_data: Path) -> dict[str, Any]:
    return margin_backtest(recorded_data, draws=90)


def result(
    evidence: dict[str, Any], family: str, hours: int, configuration: str, period: str, group: str
) -> dict[str, Any]:
    for run in evidence["runs"]:
        if (run["family"], run["horizon_hours"]) == (family, hours):
            for each in run["results"]:
                key = (each["configuration"], each["period"], each["group"])
                if key == (configuration, period, group):
                    return each
    raise AssertionError(f"no {configuration} on {period} of {group} {family}")


def against(found: dict[str, Any], method: str) -> dict[str, Any]:
    return next(each for each in found["comparisons"] if each["method"] == method)


def test_the_committed_results_are_those_of_this_code(again: dict[str, Any]) -> None:
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert again["inputs"] == kept["inputs"]
    for name, each in kept["chosen"].items():
        assert again["chosen"][name]["settings"] == each["settings"]
    for run, old in zip(again["runs"], kept["runs"], strict=True):
        for new, before in zip(run["results"], old["results"], strict=True):
            assert new["pooled"]["breaches"] == before["pooled"]["breaches"]
            for mine, theirs in zip(new["comparisons"], before["comparisons"], strict=True):
                assert mine["ratio"]["value"] == pytest.approx(theirs["ratio"]["value"], rel=1e-9)
                assert mine["travel_usd"] == pytest.approx(theirs["travel_usd"], rel=1e-9)
    for new, before in zip(
        again["october_2025"]["venues"], kept["october_2025"]["venues"], strict=True
    ):
        assert [m["breaches"] for m in new["equal"]] == [m["breaches"] for m in before["equal"]]


@pytest.mark.parametrize("configuration", ["bounded", "cheapest"])
def test_coverage_and_cost_that_are_reached(again: dict[str, Any], configuration: str) -> None:
    for period in ("test", "holdout"):
        linear = result(again, "linear", 1, configuration, period, "all")
        assert linear["pooled"]["p_value"] > 0.05
        assert against(linear, "pm2")["ratio"]["high"] < 0.85
        options = result(again, "options", 1, configuration, period, "published")
        assert options["pooled"]["p_value"] > 0.05
        assert against(options, "pm2")["ratio"]["high"] < 0.85
        assert against(options, "deribit")["ratio"]["high"] < 0.85


def test_what_is_not_reached_stays_said(again: dict[str, Any]) -> None:
    """If one of these turns, the documentation has to be rewritten, gladly."""
    for configuration in ("bounded", "cheapest"):
        linear = result(again, "linear", 1, configuration, "test", "all")
        assert 0.85 < against(linear, "deribit")["ratio"]["value"] < 1.0
        assert against(linear, "pm2")["travel_usd"] > 1.0
        assert linear["rejected_conditional"] > linear["expected"]
    every = result(again, "linear", 1, "bounded", "test", "all")
    assert against(every, "historical VaR")["ratio"]["high"] > 1.0
    bounded = result(again, "linear", 1, "bounded", "test", "published")
    assert bounded["pooled"]["p_value"] < 0.05


def test_nothing_that_moves_saves_across_portfolios_only(again: dict[str, Any]) -> None:
    frozen = result(again, "linear", 1, "frozen", "test", "all")
    pm2 = against(frozen, "pm2")
    assert pm2["travel_rate"] == pytest.approx(1.0)
    assert pm2["travel_usd"] == pytest.approx(1.0)
    assert pm2["ratio"]["high"] < 0.85
    assert pm2["strict_ratio"] == pytest.approx(1.0, abs=0.03)
    assert frozen["pooled"]["rate"] < 0.005
