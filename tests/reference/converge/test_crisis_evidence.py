"""Indices around three crashes: the committed results, their document and their generator."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "crisis_evidence.py"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("crisis_evidence", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def results(generator: ModuleType) -> dict[str, Any]:
    return dict(json.loads(generator.RESULTS.read_text()))


def test_the_document_has_these_tables(generator: ModuleType, results: dict[str, Any]) -> None:
    assert list(results["crashes"]) == [crash.name for crash in generator.CRASHES]
    document = (ROOT / "docs" / "evidence.md").read_text()
    for part in generator.tables(results).split("\n\n"):
        assert part in document


def test_no_baseline_reaches_into_its_event(generator: ModuleType, results: dict[str, Any]) -> None:
    ahead = generator.AHEAD * generator.DAY_MS
    for crash in generator.CRASHES:
        monitor = results["crashes"][crash.name]["monitor"]
        end = generator.utc_ms(monitor["baseline_end"])
        assert end <= generator.utc_ms(crash.start) - ahead
        assert monitor["baseline_days"] >= 30


def test_breaches_of_may_2021_are_those_of_the_committed_panel(
    generator: ModuleType, results: dict[str, Any]
) -> None:
    crash, panel = generator.CRASHES[0], generator.panel_of("spot")
    during = generator.between(panel, generator.utc_ms(crash.start), generator.utc_ms(crash.end))
    found = generator.INDICES["breaches"](during)
    assert found == results["crashes"][crash.name]["indices"]["during"]["breaches"]


def _near(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-6, abs=1e-9, nan_ok=True)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_near(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_near, one, other))
    return bool(one == other)


@pytest.mark.slow
def test_spot_crashes_again(generator: ModuleType, results: dict[str, Any]) -> None:
    panel = generator.panel_of("spot")
    for crash in generator.CRASHES[:2]:
        again = generator.crash_results(crash, panel)
        stored = results["crashes"][crash.name]
        assert _near(again, {key: stored[key] for key in again})


@pytest.mark.slow
@pytest.mark.recorded
def test_october_again(generator: ModuleType, results: dict[str, Any]) -> None:
    crash = generator.CRASHES[2]
    again = generator.crash_results(crash, generator.panel_of(crash.source))
    stored = results["crashes"][crash.name]
    assert _near(again, {key: stored[key] for key in again})
