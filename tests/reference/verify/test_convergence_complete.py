"""Every independent answer on convergence is met, every question on it answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from commonmode.app.verify import Status, run_cases


@pytest.mark.oracles
def test_all_cases_on_convergence_pass(oracles: Path) -> None:
    results = [
        r
        for r in run_cases([oracles / "validation.json"]).results
        if r.case.topic.startswith("convergence") and not r.case.reference_only
    ]
    wrong = [f"{r.case.id}: {r.message}" for r in results if r.status is not Status.PASS]
    assert len(results) >= 12
    assert not wrong


@pytest.mark.oracles
def test_all_questions_on_convergence_are_answered(oracles: Path) -> None:
    results = [
        r
        for r in run_cases([oracles / "questions" / "validation.json"]).results
        if r.case.topic.startswith("convergence")
    ]
    owed = [f"{r.case.id}: {r.message}" for r in results if r.status is not Status.COMPUTED]
    assert len(results) >= 7
    assert not owed
