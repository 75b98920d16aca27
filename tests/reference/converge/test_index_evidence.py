"""The committed evidence on every index is what its generator makes, and what the document says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "index_evidence" / "__main__.py"
QUICK = (
    "C6 | plain",
    "C5 | chain, 0.20",
    "C5 in the tail | falls follow 0.5",
    "Recalibration | the same, heavy tails, regimes",
    "Procyclicality | excess of 0.20 in one",
    "Bias | right, 10 % missing",
    "E-process | failures at their rate",
    "Cadence | hourly gains 3 %",
    "Hedging errors | four deltas equally wrong",
    "Parameter uncertainty | independent normal errors",
    "Conformal | split, independent scores",
    "Interventional graph | wrong cards, random models",
    "C1 | wrong as assumed",
    "C4, layers | nothing is shared",
    "C6, range | plain",
    "Model risk in money | eight models",
    "Worst case nearby | at half of the radius",
    "Hedging errors, interval | four deltas equally wrong",
    "Screens of bars | frozen for six bars",
    "Screens between venues | both whole",
    "Screens of trades | authentic",
    "Screens of order books | trades take what is shown",
    "Screens of derivatives data | all liquidations, in bursts",
    "Effective size | memory 0.9, 500",
    "Stresses outside the window | three times as large",
    "Backtests | right, 449 at 2.5 %",
    "Coverage of two halves | halves alike",
)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("index_evidence", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    before = list(sys.path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.fixture(scope="module")
def results(generator: ModuleType) -> dict[str, Any]:
    return dict(json.loads(generator.RESULTS.read_text()))


def test_every_case_was_simulated_and_every_case_has_a_name_of_its_own(
    generator: ModuleType, results: dict[str, Any]
) -> None:
    names = [case.name for case in generator.CASES]
    assert len(set(names)) == len(names)
    assert list(results["cases"]) == names
    for case in generator.CASES:
        told = results["cases"][case.name]
        assert told["questions"] == [q.name for q in case.questions]
        assert len(told["answers"]) == case.worlds


@pytest.mark.parametrize("name", QUICK)
def test_worlds_give_the_answers_that_are_stored(
    name: str, generator: ModuleType, results: dict[str, Any]
) -> None:
    (case,) = (c for c in generator.CASES if c.name == name)
    told = results["cases"][name]
    for world in (0, case.worlds - 1):
        assert case.answers(world, float("nan")) == told["answers"][world]


def test_the_document_has_the_tables_of_these_results(
    generator: ModuleType, results: dict[str, Any]
) -> None:
    document = (ROOT / "docs" / "evidence.md").read_text()
    for index in dict.fromkeys(case.index for case in generator.CASES):
        cases = [case for case in generator.CASES if case.index == index]
        assert generator.table(cases, results["cases"]) in document, index


@pytest.mark.slow
def test_a_tenth_of_all_worlds_again(generator: ModuleType, results: dict[str, Any]) -> None:
    """A p-value within a rounding error of its level may fall on the other side elsewhere."""
    same = count = 0
    for case in generator.CASES:
        told = results["cases"][case.name]
        planted = case.planted() if told["planted"] is not None else float("nan")
        for world in range(0, case.worlds, 10 if case.worlds <= 400 else 100):
            same += case.answers(world, planted) == told["answers"][world]
            count += 1
    assert same >= 0.995 * count
