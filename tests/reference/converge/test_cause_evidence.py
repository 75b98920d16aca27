"""C4's stored worlds: the document states them, and the worlds give them again."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from commonmode.converge.cause_evidence import score_attribution
from commonmode.lab.causes_design import WorldKind
from commonmode.lab.causes_score import CauseRate

ROOT = Path(__file__).resolve().parents[3]
STATED = {
    "right first, identifiable": "right cause first, where data can tell it from every decoy",
    "right first, oracle right": "right cause first, where the oracle finds it",
    "right first, nameable": "right cause first, all worlds whose cards name the cause at all",
    "right first and significant": "right first *and* significant",
    "false alarms, as drawn": "false alarms where nothing acts",
    "false alarms, without any cause": "worlds without any cause",
    "false names": "a part blamed whose users share nothing that acts",
}


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "cause_evidence", ROOT / "scripts" / "cause_evidence.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EVIDENCE = script()


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return dict(json.loads(EVIDENCE.RESULTS.read_text(encoding="utf-8")))


def again(seed: int, *, quiet: bool) -> dict[str, Any]:
    found = score_attribution([seed], kind=WorldKind.NONE if quiet else None)
    told = EVIDENCE.row(seed, quiet, found.scores[0], found.oracle_scores[0])
    return dict(json.loads(json.dumps(told)))


def test_the_worlds_are_those_of_the_generator(stored: dict[str, Any]) -> None:
    assert stored["generator"] == EVIDENCE.sources()
    assert [one["seed"] for one in stored["worlds"]] == [*EVIDENCE.DRAWN, *EVIDENCE.QUIET]


@pytest.mark.parametrize("rate", STATED)
def test_the_document_states_the_stored_rates(stored: dict[str, Any], rate: str) -> None:
    ours, oracle = (EVIDENCE.rates(stored["worlds"], who)[rate] for who in ("ours", "oracle"))
    text = (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8")
    table = text[text.index("| final set | C4 | oracle |") :].split("\n\n")[0]
    (line,) = (line for line in table.splitlines() if STATED[rate] in line)
    assert str(ours.worlds) in line
    assert f"{ours.value:.3f}" in line.replace("*", "")
    low, high = ours.interval
    assert f"({low:.2f} to {high:.2f})" in line
    assert f"{oracle.value:.3f}" in line or oracle.value == 1.0


def test_no_kind_of_world_alarms_too_often(stored: dict[str, Any]) -> None:
    """At most the nominal 5 %, as far as so many worlds can tell."""
    for kind, rate in EVIDENCE.kinds(stored["worlds"]).items():
        assert isinstance(rate, CauseRate)
        assert rate.interval[0] <= 0.05, f"{kind}: {rate}"


@pytest.mark.parametrize(("place", "quiet"), [(4, False), (405, True)])
def test_a_world_gives_its_row_again(stored: dict[str, Any], place: int, quiet: bool) -> None:
    kept = stored["worlds"][place]
    assert kept["quiet"] == quiet
    assert again(kept["seed"], quiet=quiet) == kept


@pytest.mark.slow
@pytest.mark.parametrize("place", range(0, 1_000, 40))
def test_worlds_give_their_rows_again(stored: dict[str, Any], place: int) -> None:
    kept = stored["worlds"][place]
    assert again(kept["seed"], quiet=kept["quiet"]) == kept
