"""A study that cannot be run says what is wrong and what to do, without a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """
[study]
name = "s"
title = "A study"
seed = 1

[market]
source = "laboratory"
start = 2024-01-01T00:00:00Z
hours = 200

[[models]]
id = "ewma"
type = "ewma"
options = { decay = 0.97 }

[models.components.data]
"spot bars" = 1.0

[[models]]
id = "flat"
type = "flat-black"

[[panels]]
name = "world"
family = "world"
world = { times = 300, planted_share = 0.5 }
"""

# What is replaced, by what, and words that the message must hold.
MISTAKES = {
    "key": ('title = "A study"', 'titel = "A study"', ["study.titel", "did you mean 'title'"]),
    "nested key": ("hours = 200", "hour = 200", ["market.hour'", "did you mean 'hours'"]),
    "missing key": ('title = "A study"\n', "", ["missing key", "title"]),
    "market": ('"laboratory"', '"laboratry"', ["market.source", "'laboratory'", "not 'laboratry'"]),
    "negative seed": ("seed = 1", "seed = -1", ["study.seed", "not -1"]),
    "short market": ("hours = 200", "hours = 20", ["48"]),
    "model type": ('type = "ewma"', 'type = "emwa"', ["'emwa'", "did you mean 'ewma'"]),
    "model option": ("decay = 0.97", "dekay = 0.97", ["dekay", "decay"]),
    "option value": ("decay = 0.97", "decay = 1.97", ["model ewma", "decay"]),
    "layer": ("[models.components.data]", "[models.components.dta]", ["dta"]),
    "weight": ('"spot bars" = 1.0', '"spot bars" = 1.5', ["spot bars", "1.5"]),
    "panel model": (
        'family = "world"',
        'family = "world"\nmodels = ["ewmaa"]',
        ["'ewmaa'", "did you mean 'ewma'"],
    ),
    "double name": (
        '[[panels]]\nname = "world"',
        '[[panels]]\nname = "world"\nfamily = "world"\n[[panels]]\nname = "world"',
        ["used twice", "world"],
    ),
    "headline": ("seed = 1", 'seed = 1\nheadline = "wrld"', ["'wrld'", "did you mean 'world'"]),
    "forecasts of a model that takes none": (
        'type = "ewma"',
        'type = "ewma"\nforecasts = "f.csv"',
        ["takes no file of forecasts", "black-box"],
    ),
    "black box without forecasts": (
        'type = "ewma"\noptions = { decay = 0.97 }',
        'type = "black-box"',
        ["model ewma", 'forecasts = "FILE.csv"'],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_a_study(mistake: str, cli, write: Callable[[str], Path]) -> None:
    old, new, words = MISTAKES[mistake]
    assert GOOD.count(old) == 1
    ran = cli("run", write(GOOD.replace(old, new)), "--workers", 1)
    assert ran.code == 2
    assert ran.out == ""
    assert "error:" in ran.err
    assert "remedy:" in ran.err
    for word in words:
        assert word in ran.err
    assert "Traceback" not in ran.err


def test_no_study_there(cli, tmp_path: Path) -> None:
    missing = cli("run", tmp_path / "nothing.toml")
    assert missing.code == 2
    assert "there is no study at" in missing.err
    assert "examples/laboratory" in missing.err
    empty = cli("run", tmp_path)
    assert empty.code == 2
    assert "has no study.toml" in empty.err


def test_not_toml(cli, write: Callable[[str], Path]) -> None:
    ran = cli("run", write(GOOD.replace("[study]", "[study")))
    assert ran.code == 2
    assert "is not TOML" in ran.err
    assert "line 2" in ran.err


def test_recordings_needed_and_absent(
    cli, write: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONMODE_DATA", str(tmp_path / "nowhere"))
    text = GOOD.replace('"laboratory"', '"recorded"')
    ran = cli("run", write(text), "--workers", 1)
    assert ran.code == 2
    assert "COMMONMODE_DATA" in ran.err
    asked = cli("run", write(text), "--workers", 1, "--source", "evidence")
    assert asked.code == 2
    assert "there is no evidence in" in asked.err
    assert "--write-evidence" in asked.err


def test_output_folder_that_cannot_be(cli, write: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = cli("run", write(GOOD), "--workers", 1, "-q", "--out", tmp_path / "file" / "out")
    assert ran.code == 2
    assert "choose another folder with --out" in ran.err


# A panel that cannot be built is marked; the world beside it is complete.
BAD_PANELS = {
    "world parameter": (
        "world = { planted_shar = 0.5 }",
        'family = "world"',
        ["planted_shar", "planted_share"],
    ),
    "world out of range": ("world = { times = 0 }", 'family = "world"', ["out of range"]),
    "too many decoys": ("world = { decoys = 999 }", 'family = "world"', ["decoys"]),
    "model of another family": (
        'models = ["flat"]',
        'family = "risk"',
        ["not among the risk models", "ewma"],
    ),
    "surface panel without times": ("", 'family = "surface"', ["no start or no end"]),
    "too short to train": ("train = 2000", 'family = "risk"', ["longer history"]),
    "coin that is not there": ("", 'family = "risk"\ntrain = 100', ["SOL"]),
}


@pytest.mark.parametrize("bad", BAD_PANELS)
def test_bad_panel_is_marked_and_the_rest_finishes(
    bad: str, cli, write: Callable[[str], Path], tmp_path: Path
) -> None:
    settings, family, words = BAD_PANELS[bad]
    text = GOOD + f'\n[[panels]]\nname = "bad"\n{family}\n{settings}\n'
    if "SOL" in words:
        text = text.replace("[market]", '[market]\nunderlyings = ["SOL"]')
    out = tmp_path / "out"
    ran = cli("run", write(text), "--workers", 1, "--json", "--out", out)
    assert ran.code == 1
    results = ran.json
    assert [panel["name"] for panel in results["panels"]] == ["world"]
    assert results["headline"] == "world"
    assert [failure["where"] for failure in results["failures"]] == ["bad"]
    said = results["failures"][0]["message"] + results["failures"][0]["remedy"]
    for word in words:
        assert word in said
    assert (out / "report.html").is_file()
