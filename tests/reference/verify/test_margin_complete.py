"""Every published margin case passes through `verify`, in the files of its publisher."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from commonmode.app.verify import Status, run_cases

pytestmark = pytest.mark.oracles


def test_every_pm2_case_passes(oracles: Path) -> None:
    report = run_cases([oracles / "pm2"])
    assert not [f"{r.case.id}: {r.message}" for r in report.results if r.status is not Status.PASS]
    assert len(report.results) == 69
    assert not report.skipped


def test_every_scenario_of_every_pm2_case_is_compared(oracles: Path) -> None:
    without: Counter[str] = Counter()
    for result in run_cases([oracles / "pm2"]).results:
        scenarios = result.case.inputs["Parameters"]["Scenarios"]
        listed = [result.case.expected[f"{kind}_losses"] for kind in ("reg", "tail", "skew")]
        assert sum(map(len, listed)) == len(scenarios)
        raw = json.loads(Path(result.case.file).read_text(encoding="utf-8"))["Result"]
        # Left out: given (cash, profit of perpetuals), said twice, or names of scenarios.
        left_out = set(raw) - set(result.case.expected)
        # Not so in an expired account and in two whose feed capped variance elsewhere.
        special = {"discount_factors", "VolShockUpEvaluated", "VolShockDownEvaluated"}
        without.update(left_out & special)
        assert left_out - special == {
            "Cash",
            "PerpMTM",
            "UnrealisedFunding",
            "UnrealisedPerpPNL",
            "IMHand",
            "MMHand",
            "im_loss_factor",
            "worst_reg_scenario",
            "worst_tail_scenario",
            "worst_skew_scenario",
            "worst_all_scenarios",
        }
    assert without == {
        "discount_factors": 1,
        "VolShockUpEvaluated": 2,
        "VolShockDownEvaluated": 2,
    }


def test_the_other_margins_pass(oracles: Path) -> None:
    report = run_cases([oracles / "margin_other"])
    found = {status: [r.case.id for r in report.results if r.status is status] for status in Status}
    assert not found[Status.FAIL]
    assert found[Status.UNSUPPORTED] == [
        "derive_auction/InsolventTest1",
        "derive_auction/InsolventTest2",
    ]
    assert len(found[Status.PASS]) == 28 + 6 + 2


def test_the_standard_cases_are_met_far_within_the_publisher_s_tolerance(oracles: Path) -> None:
    report = run_cases([oracles / "margin_other" / "derive_standard_manager.json"])
    assert len(report.results) == 28
    assert max(result.ratio or 0.0 for result in report.results) < 1e-6
