"""Every index explains itself: number, interval, detectable effect, what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.converge.findings import Severity, panel_findings
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world
from sentences import lacks

QUICK = IndexOptions(flips=199, draws=99)
WORLDS = {
    "a part in three of six": {"models": 6, "times": 900, "planted_share": 0.7},
    "a part in all": {"models": 6, "times": 900, "planted_share": 0.6, "planted_models": 6},
    "nothing shared": {"models": 6, "times": 900},
    "few times": {"models": 5, "times": 120, "planted_share": 0.5},
}


def bare(panel: ErrorPanel) -> ErrorPanel:
    return replace(panel, benchmark_a=None, benchmark_b=None)


@pytest.mark.parametrize("benchmarks", [True, False])
@pytest.mark.parametrize("world", WORLDS)
def test_whatever_is_found_the_first_sentence_is_whole(world: str, benchmarks: bool) -> None:
    config = WorldConfig(deviation_autocorrelation=0.5, **WORLDS[world])  # type: ignore[arg-type]
    simulated = simulate_world(config, seed=3)
    panel = panel_of_world(simulated, name="p")
    found = panel_findings(
        analyse_panel(panel if benchmarks else bare(panel), simulated.cards, QUICK)
    )
    said: dict[str, str] = {}
    for one in found:
        if one.severity is not Severity.UNKNOWN:
            said.setdefault(one.index, one.sentence)
    assert {"C1", "C4", "C6"} <= set(said)
    # A remedy says what to do about C2's and C4's numbers; these hold the rest.
    assert "what to do" not in lacks(said.pop("remedy", "What to do: 1"))
    assert {index: lacks(text) for index, text in said.items() if lacks(text)} == {}


def test_an_index_without_benchmarks_says_what_is_missing() -> None:
    simulated = simulate_world(WorldConfig(models=5, times=600), seed=1)
    found = panel_findings(analyse_panel(bare(panel_of_world(simulated)), simulated.cards, QUICK))
    said = {one.index: one for one in found if one.severity is Severity.UNKNOWN}
    assert lacks(said["C2"].sentence) == []
    assert lacks(said["C3"].sentence) == []


def test_a_sentence_without_its_parts_is_caught() -> None:
    assert lacks("Models agree.") == ["number", "interval", "detectable effect", "what to do"]
    whole = "3 models (1.2 to 4.5; 0.10 would have been found). What to do: nothing."
    assert lacks(whole) == []
    assert lacks(whole + " 8.9e-11 and 1,085,559 USD.") == ["raw 8.9e-11", "raw 1,085,559 USD"]
