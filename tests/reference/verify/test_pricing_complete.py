"""Every pricing case of the independent answers is computed; none is unsupported, none fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from commonmode.app.verify import Status, run_cases

pytestmark = pytest.mark.oracles


def test_every_answer_is_met(oracles: Path) -> None:
    report = run_cases([oracles / "pricing.json"])
    other = [f"{r.case.id}: {r.message}" for r in report.results if r.status is not Status.PASS]
    assert not other
    assert len(report.results) >= 62


def test_every_question_is_computed(oracles: Path) -> None:
    report = run_cases([oracles / "questions" / "pricing.json"])
    other = [f"{r.case.id}: {r.message}" for r in report.results if r.status is not Status.COMPUTED]
    assert not other
    assert len(report.results) >= 29
