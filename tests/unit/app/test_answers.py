"""Five questions answered from results, also from results in which much is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from commonmode.app.study.answers import answer_questions
from commonmode.app.study.results import analysis_to_json, plain
from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.lab.worlds import ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world

QUICK = IndexOptions(flips=199, draws=199)


def made(share: float) -> ForecastWorld:
    config = WorldConfig(
        models=6, times=800, planted_share=share, deviation_autocorrelation=0.5, decoys=0
    )
    return simulate_world(config, seed=2)


def as_results(world: ForecastWorld, panel: ErrorPanel, alpha: float = 0.05) -> dict[str, Any]:
    analysis = analyse_panel(panel, world.cards, replace(QUICK, alpha=alpha))
    return analysis_to_json(analysis, family="world", cards=world.cards)


@pytest.fixture(scope="module")
def planted() -> dict[str, Any]:
    world = made(0.7)
    return as_results(world, panel_of_world(world, name="planted"))


@pytest.fixture(scope="module")
def silent() -> dict[str, Any]:
    world = made(0.0)
    return as_results(world, panel_of_world(world, name="silent"))


def asked(panels: list[dict[str, Any]], headline: str = "", **more: Any) -> dict[str, str]:
    answers = answer_questions(panels, headline, more.get("population"), more.get("greeks"))
    assert [answer["id"] for answer in answers] == [
        "independent",
        "shared",
        "confidence",
        "dollars",
        "first",
    ]
    assert all(answer["question"].endswith("?") for answer in answers)
    assert all(answer["answer"] for answer in answers)
    return {answer["id"]: answer["answer"] for answer in answers}


def test_a_planted_cause(planted: dict[str, Any]) -> None:
    said = asked([planted], "planted")
    assert "act as one" in said["independent"]
    assert "planted component (3 models)" in said["shared"]
    # Six models are too few for C4 to confirm what C2 finds, so nothing is advised outright.
    assert said["first"].startswith("Look first at planted component")
    assert (
        "change it and see who moves (look interventions) before taking it apart" in said["first"]
    )


def test_nothing_planted(silent: dict[str, Any]) -> None:
    said = asked([silent], "silent")
    assert "none of 6 beyond chance" in said["independent"]
    assert said["shared"].startswith("Nothing")
    assert said["first"].startswith("Nothing")


def test_the_headline_comes_first(planted: dict[str, Any], silent: dict[str, Any]) -> None:
    said = asked([planted, silent], "silent")
    assert said["independent"].index("silent") < said["independent"].index("planted")
    # What to do is what there is to do, wherever it was found.
    assert said["first"].startswith("Look first at planted component")


def test_what_c4_confirms_comes_before_what_the_headline_cannot(planted: dict[str, Any]) -> None:
    sure = {"index": "remedy", "severity": "alert", "sentence": "Take apart first: b."}
    said = asked([planted, {**planted, "name": "other", "findings": [sure]}], "planted")
    assert said["first"] == "Take apart first: b. (Found in other.)"


def test_no_panel_at_all() -> None:
    said = asked([])
    assert "No panel could be built" in said["independent"]
    assert said["first"].startswith("Repair what failed")


def test_a_panel_whose_index_failed_is_to_be_repaired() -> None:
    world = made(0.0)
    one = panel_of_world(world, name="one").select_models(world.models[:1])
    said = asked([as_results(world, one)], "one")
    assert "cannot be said" in said["independent"]
    assert said["confidence"].startswith("No index could be computed")
    assert said["first"].startswith("Repair one: ")
    assert "add the forecasts of another model" in said["first"]


def test_without_benchmarks_nothing_is_counted() -> None:
    world = made(0.7)
    bare = replace(panel_of_world(world, name="bare"), benchmark_a=None, benchmark_b=None)
    said = asked([as_results(world, bare)], "bare")
    assert "without benchmarks" in said["independent"]


def test_the_level_decides_what_is_shared(planted: dict[str, Any]) -> None:
    world = made(0.7)
    strict = as_results(world, panel_of_world(world, name="planted"), alpha=0.001)
    assert strict["c2"]["alpha"] == 0.001  # below what 199 flips can reach
    said = asked([strict], "planted")
    assert "planted component" not in said["shared"]
    assert "planted component" in asked([planted], "planted")["shared"]


def test_dollars_of_a_panel_that_states_them() -> None:
    world = made(0.7)
    panel = panel_of_world(world, name="planted")
    rich = replace(panel, exposure_usd=np.full(6, 10e6))
    said = asked([as_results(world, rich)], "planted")
    assert "$60m rest on its models" in said["dollars"]
    assert "$30m of them on models that act as one" in said["dollars"]
    nobody = asked([as_results(world, panel)], "planted")
    assert nobody["dollars"].startswith("No participants")


def test_dollars_of_participants(planted: dict[str, Any]) -> None:
    cluster = planted["c2"]["clusters"][0]["models"]
    population = {
        "ownership": "assumed",
        "participants": [
            {"id": "a", "gross_usd": 30e6},
            {"id": "b", "gross_usd": 10e6},
        ],
        "exposure": [{"model": cluster[0], "exposure_usd": 30e6, "participants": ["a"]}],
    }
    said = asked([planted], "planted", population=population)
    assert "2 participants with $40m" in said["dollars"]
    assert "$30m (75 %) rest on the models that act as one" in said["dollars"]
    assert "assumed" in said["dollars"]
    empty = {
        **population,
        "participants": [{"id": "a", "gross_usd": 0.0}, {"id": "b", "gross_usd": 0.0}],
    }
    assert "$0" in asked([planted], "planted", population=empty)["dollars"]


def test_plain_values() -> None:
    value = {
        "a": np.array([1.0, np.nan]),
        3: (np.float64(np.inf), np.int64(2), np.bool_(True)),
        "b": {"c": None, "d": "x"},
    }
    assert plain(value) == {"a": [1.0, None], "3": [None, 2, True], "b": {"c": None, "d": "x"}}
