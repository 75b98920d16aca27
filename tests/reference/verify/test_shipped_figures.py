"""Published figures: those that ship with the package, and the independent answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from commonmode.app.verify import CaseResult, Status, load_cases, run_case, run_cases
from commonmode.app.verify.run import shipped_figures

SHIPPED = load_cases([shipped_figures()]).cases


def explain(results: list[CaseResult]) -> str:
    return "\n".join(f"{r.case.id}: {r.status.value} {r.message}" for r in results)


@pytest.mark.parametrize("case", SHIPPED, ids=lambda case: case.id)
def test_shipped_figure(case: object) -> None:
    result = run_case(case)  # type: ignore[arg-type]
    assert result.status is Status.PASS, result.message


def test_shipped_figures_are_many_sourced_and_named_once() -> None:
    assert len(SHIPPED) >= 60
    assert len({case.id for case in SHIPPED}) == len(SHIPPED)
    assert all(case.source and case.tolerance for case in SHIPPED)
    assert run_cases().exit_code == 0


MUST_PASS = (
    "Kupiec",
    "VaRTest",
    "Christoffersen independence",
    "Quantile (tick)",
    "Basel",
    "BSM",
    "Black-76",
    "Inverse",
    "Black implied vol",
    "Normalised Black",
    "SABR",
    "SVI",
    "SSVI",
    "Fissler-Ziegel",
)


@pytest.mark.oracles
@pytest.mark.parametrize("name", ["validation.json", "pricing.json"])
def test_independent_answers(oracles: Path, name: str) -> None:
    results = list(run_cases([oracles / name]).results)
    failed = [r for r in results if r.status is Status.FAIL]
    assert not failed, explain(failed)
    owed = [r for r in results if _owed(r) and r.status is not Status.PASS]
    assert not owed, explain(owed)
    assert sum(map(_owed, results)) >= 14


@pytest.mark.oracles
@pytest.mark.parametrize("name", ["validation.json", "pricing.json"])
def test_questions_are_answered(oracles: Path, name: str) -> None:
    results = list(run_cases([oracles / "questions" / name]).results)
    owed = [r for r in results if _owed(r) and r.status is not Status.COMPUTED]
    assert not owed, explain(owed)
    assert sum(map(_owed, results)) >= 7


def _owed(result: CaseResult) -> bool:
    topic = result.case.topic == "convergence C2/C3"
    return topic or result.case.method.startswith(MUST_PASS)


@pytest.mark.oracles
def test_the_whole_folder_is_read_and_nothing_fails(oracles: Path) -> None:
    report = run_cases([oracles])
    assert report.count(Status.FAIL) == 0
    assert not report.skipped
