"""Whole runs of the commands, as a user types them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import commonmode
from small_studies import laboratory, model_of, panel_of, study_head, study_of

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
COMMANDS = (
    "run",
    "converge",
    "calibrate",
    "greeks",
    "margin",
    "margin-backtest",
    "models",
    "verify",
    "laboratory",
    "demo",
)


def shell(*words: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from commonmode.app.cli.main import main; main()",
            *map(str, words),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )


def test_laboratory_study_is_the_same_twice_whatever_the_workers(tmp_path: Path) -> None:
    """Two processes, one and two workers: results.json to the byte, and as published."""
    jsonschema = pytest.importorskip("jsonschema")
    from commonmode.app.report.published import schema_text

    runs = [
        shell("run", EXAMPLES / "laboratory", "--workers", n, "--out", tmp_path / str(n), "--json")
        for n in (1, 2)
    ]
    assert [run.returncode for run in runs] == [0, 0]
    assert runs[0].stderr == ""
    one, two = ((tmp_path / str(n) / "results.json").read_bytes() for n in (1, 2))
    assert one == two
    results = json.loads(runs[0].stdout)
    assert results == json.loads(one)
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(results)
    planted, unplanted, risk = results["panels"]
    assert planted["c2"]["remedies"][0]["name"] == "planted component"
    assert not unplanted["c2"]["rejects"]
    assert risk["c2"]["status"] == "ok"
    assert "<html" in (tmp_path / "1" / "report.html").read_text(encoding="utf-8")


def test_version_and_help() -> None:
    assert shell("--version").stdout.strip() == f"commonmode {commonmode.__version__}"
    said = shell("--help")
    assert said.returncode == 0
    for command in COMMANDS:
        assert command in said.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, cli) -> None:
    ran = cli(command, "--help")
    assert ran.code == 0
    assert "Usage:" in ran.out


def test_a_word_too_many_is_an_error(cli) -> None:
    ran = cli("rnu")
    assert ran.code == 2
    assert "rnu" in ran.err


WORLDS = """
[study]
name = "worlds"
title = "Two worlds"
seed = 4
headline = "second"

[market]
source = "recorded"

[[models]]
id = "ewma"
type = "ewma"
owner = "desk"

[[panels]]
name = "first"
title = "First"
family = "world"
world = { times = 300, models = 5 }

[[panels]]
name = "second"
title = "Second"
family = "world"
world = { times = 300, models = 5, planted_share = 0.7 }
"""


@pytest.fixture
def evidence(cli, write: Callable[[str], Path], tmp_path: Path) -> Path:
    """A study of two worlds with its evidence, made where the recordings were."""
    text = WORLDS.replace(
        'source = "recorded"', 'source = "laboratory"\nstart = 2024-01-01\nhours = 100'
    )
    made = cli("run", write(text), "--write-evidence", "-q", "--out", tmp_path / "made")
    assert made.code == 0
    return tmp_path


def rerun(cli, folder: Path) -> tuple[int, dict]:
    ran = cli("run", folder, "--source", "evidence", "--json", "--out", folder / "again")
    return ran.code, json.loads(ran.out)


def test_evidence_gives_the_same_indices(cli, evidence: Path) -> None:
    code, again = rerun(cli, evidence)
    assert code == 0
    first = json.loads((evidence / "made" / "results.json").read_text())
    assert again["panels"] == first["panels"]
    assert again["study"]["source"] == "evidence"
    assert "quotes not included; regenerate with: commonmode run" in again["study"]["data_line"]


def test_evidence_of_an_older_study_is_said_to_be(cli, evidence: Path) -> None:
    _, before = rerun(cli, evidence)
    assert "changed since" not in before["study"]["data_line"]
    study = evidence / "study.toml"
    study.write_text(study.read_text() + "\n[indices]\nalpha = 0.1\n")
    code, after = rerun(cli, evidence)
    assert code == 0
    assert "the study file has changed since" in after["study"]["data_line"]


@pytest.mark.parametrize("damage", ["one byte", "half", "missing"])
def test_damaged_evidence_is_one_failed_panel(damage: str, cli, evidence: Path) -> None:
    file = evidence / "evidence" / "second.panel"
    data = bytearray(file.read_bytes())
    if damage == "one byte":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif damage == "half":
        file.write_bytes(data[: len(data) // 2])
    else:
        file.unlink()
    code, results = rerun(cli, evidence)
    assert code == 1
    assert [panel["name"] for panel in results["panels"]] == ["first"]
    assert results["headline"] == "first"
    (failure,) = results["failures"]
    assert failure["where"] == "second"
    assert "second.panel" in failure["message"]
    assert "restore the evidence folder" in failure["remedy"]


def test_altered_cards_of_the_evidence_stop_the_run(cli, evidence: Path) -> None:
    cards = evidence / "evidence" / "cards.toml"
    cards.write_text(cards.read_text().replace("desk", "dusk"))
    ran = cli("run", evidence, "--source", "evidence")
    assert ran.code == 2
    assert "cards.toml is changed against its manifest" in ran.err
    assert "restore the evidence folder" in ran.err


def test_worlds_keep_their_own_cards(cli, evidence: Path) -> None:
    """Both worlds name their models alike; each is read with its own cards."""
    _, results = rerun(cli, evidence)
    owners = {(card["panel"], card["model"]) for card in results["cards"]}
    assert owners >= {("first", "model-1"), ("second", "model-1"), ("", "ewma")}
    own = evidence / "evidence" / "cards-second.toml"
    own.write_text(own.read_text().replace("decoy 01", "decoy 77"))
    code, results = rerun(cli, evidence)
    assert code == 1
    assert [failure["where"] for failure in results["failures"]] == ["second"]
    assert "cards-second.toml is changed" in results["failures"][0]["message"]


def test_a_panel_that_the_evidence_lacks(cli, evidence: Path) -> None:
    study = evidence / "study.toml"
    study.write_text(study.read_text().replace('name = "first"', 'name = "newer"'))
    code, results = rerun(cli, evidence)
    assert code == 1
    assert results["failures"][0]["where"] == "newer"
    assert "make the evidence again" in results["failures"][0]["remedy"]
    assert [panel["name"] for panel in results["panels"]] == ["second"]


def test_models_lists_types_and_a_study_s_models(cli) -> None:
    types = {entry["type"] for entry in cli("models", "--json").json["types"]}
    assert types >= {"ewma", "garch", "historical-simulation", "black-box", "svi", "sabr"}
    screen = cli("models")
    assert screen.code == 0
    assert "historical-simulation" in screen.out
    cards = cli("models", EXAMPLES / "btc-shapella-2023", "--json").json
    assert {"hs-500h", "garch-n", "svi-mid"} <= {card["model"] for card in cards}
    assert all(card["components"] for card in cards)
    table = cli("models", EXAMPLES / "laboratory")
    assert "vault C" in table.out


def test_verify_passes_on_the_shipped_figures(cli) -> None:
    ran = cli("verify", "--json")
    assert ran.code == 0
    cases = ran.json["cases"]
    assert len(cases) >= 60
    assert {case["status"] for case in cases} == {"pass"}


def test_verify_covers_margin_without_arguments(cli) -> None:
    cases = cli("verify", "--json").json["cases"]
    margin = [case for case in cases if case["method"] == "Derive PM2 margin"]
    assert len(margin) == 3
    assert all(len(case["value"]["reg_losses"]) == 23 for case in margin)


@pytest.mark.oracles
def test_verify_reads_published_margin_files_as_they_are(cli, oracles: Path) -> None:
    accounts = cli("verify", oracles / "pm2", "--json")
    assert accounts.code == 0
    assert [case["status"] for case in accounts.json["cases"]] == ["pass"] * 69
    other = cli("verify", oracles / "margin_other", "--json")
    assert other.code == 0
    outcomes = Counter(case["status"] for case in other.json["cases"])
    assert outcomes == {"pass": 36, "unsupported": 2}
    one = cli("verify", oracles / "pm2" / "test_22_structures_long_box.json")
    assert one.code == 0
    assert "1 pass  0 fail" in one.out


def test_verify_says_what_it_reads_of_an_unknown_shape(cli, tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text(json.dumps({"Scenario": {}, "Answer": {}}))
    ran = cli("verify", tmp_path / "own.json")
    assert ran.code == 2
    assert "own.json" in ran.err
    assert "{Scenario, Parameters, Result}" in ran.err


def test_verify_fails_and_names_the_case(cli, tmp_path: Path) -> None:
    case = {
        "id": "wrong-price",
        "method": "Black-76 Greek: price",
        "inputs": {"cp": -1, "F": 20, "K": 20, "T": 0.3333333333333333, "sigma": 0.25, "r": 0.09},
        "expected": 1.13,
        "tolerance": {"abs": 0.005},
        "source": "made wrong on purpose",
    }
    (tmp_path / "cases.json").write_text(json.dumps({"cases": [case]}))
    ran = cli("verify", tmp_path / "cases.json", "--json")
    (found,) = ran.json["cases"]
    assert found["id"] == "wrong-price"
    assert ran.code == 1
    assert found["status"] == "fail"
    missing = cli("verify", tmp_path / "nothing.json")
    assert missing.code == 2
    assert "nothing.json" in missing.err


POPULATION = study_of(
    study_head("books", seed=4),
    laboratory(60),
    model_of("ewma", "ewma"),
    model_of("flat", "flat-black"),
    model_of("sticky", "sticky-strike"),
    panel_of("world", "world", "world = { times = 300 }"),
    "[population]\nsnapshot = 2024-01-02T00:00:00Z\ndesk = 2\nvault = 1",
)


def test_greeks_of_books_on_the_laboratory(
    cli, write: Callable[[str], Path], tmp_path: Path
) -> None:
    study = write(POPULATION)
    table = cli("greeks", study, "--json")
    assert table.code == 0
    value = table.json
    assert value["models"] == ["flat", "sticky"]
    deltas = [row for row in value["rows"] if row["greek"] == "delta"]
    assert len(deltas) == 3
    assert all(set(row["usd"]) == {"flat", "sticky"} for row in deltas)
    screen = cli("greeks", study, "--by", "underlying", "--out", tmp_path / "page")
    assert screen.code == 0
    assert "delta" in screen.out
    page = (tmp_path / "page" / "greeks.html").read_text()
    assert page.count('id="plot-book-') == 3
    assert "https://cdn" not in page.split("<script>")[0]
    book = deltas[0]["book"]
    one = cli("greeks", study, "--book", book, "--json").json
    assert {row["book"] for row in one["rows"]} == {book}
    later = cli("greeks", study, "--at", "2024-01-02T06:00Z", "--json").json
    assert later["snapshot"].startswith("2024-01-02T06:00")
    wrong = cli("greeks", study, "--book", "nobody")
    assert wrong.code == 2
    assert "books:" in wrong.err
    strange = cli("greeks", study, "--by", "colour")
    assert strange.code == 2
    assert "colour" in strange.err


def test_a_study_with_books_puts_dollars_on_models(
    cli, write: Callable[[str], Path], tmp_path: Path
) -> None:
    ran = cli("run", write(POPULATION), "--workers", 1, "--json", "--out", tmp_path / "out")
    assert ran.code == 0
    results = ran.json
    assert len(results["population"]["participants"]) == 3
    assert results["greeks"]["models"] == ["flat", "sticky"]
    dollars = {answer["id"]: answer["answer"] for answer in results["answers"]}["dollars"]
    assert re.match(r"3 participants with \$[0-9.]+", dollars)
    typo = POPULATION + "\n[population.surface_models]\ndesk = { stiky = 1.0 }\n"
    failed = cli("run", write(typo), "--workers", 1, "--json", "--out", tmp_path / "out")
    assert failed.code == 1
    assert failed.json["failures"][0]["where"] == "population"
    assert "stiky" in failed.json["failures"][0]["message"]
    assert failed.json["panels"][0]["c2"]["status"] == "ok"


@pytest.mark.recorded
@pytest.mark.slow
@pytest.mark.usefixtures("recorded_data")
def test_greeks_of_the_recorded_study(cli) -> None:
    ran = cli("greeks", EXAMPLES / "btc-shapella-2023", "--json")
    assert ran.code == 0
    assert {row["underlying"] for row in ran.json["rows"]} == {"BTC", "ETH"}


def test_the_shipped_evidence_runs_without_the_recordings(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONMODE_DATA", str(tmp_path / "nowhere"))
    ran = cli("run", EXAMPLES / "btc-shapella-2023", "--json", "--out", tmp_path / "out")
    assert ran.code == 0
    results = ran.json
    assert results["study"]["source"] == "evidence"
    assert results["study"]["data_line"].startswith("real market, recorded")
    assert [panel["c2"]["status"] for panel in results["panels"]] == ["ok"] * 3
    assert results["failures"] == []
