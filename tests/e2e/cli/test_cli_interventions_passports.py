"""``--look interventions|passports``: screen, JSON, report, evidence, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_studies import laboratory, model_of, panel_of, study_head, study_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
LABORATORY = EXAMPLES / "laboratory"

SMALL = study_of(
    study_head("small", seed=5),
    laboratory(1500),
    model_of("honest", "historical-simulation", "window = 300"),
    model_of("silent", "ewma", 'decay = 0.97, innovations = "empirical", window = 300')
    + '\ncomponents = { data = { "another feed" = 1.0 } }',
    panel_of("risk", "risk", "train = 700"),
    '[looks.stresses]\n"a quarter in an hour" = [-0.29, 0.3]',
)


def columns(table: dict, *names: str) -> list[tuple]:
    at = [table["columns"].index(name) for name in names]
    return [tuple(row[i] for i in at) for row in table["rows"]]


def by_name(look: dict) -> dict[str, dict]:
    return {table["name"]: table for table in look["tables"]}


def test_a_card_that_names_another_feed_is_found(cli, write, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from commonmode.app.report.published import schema_text

    study = write(SMALL)
    words = ("--look", "interventions", "--json", "--out", tmp_path / "out")
    ran = cli("converge", "--study", study, *words)
    assert ran.code == 0
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(ran.json)
    assert ran.json["panels"] == []
    (look,) = ran.json["looks"]
    tables = by_name(look)
    uses = columns(tables["uses"], "model", "part", "measured", "declared", "verdict")
    assert ("honest", "binance spot hourly close", 1.0, 1.0, "agree") in uses
    assert (
        "silent", "binance spot hourly close", 1.0, 0.0, "moves but is not declared"
    ) in uses  # fmt: skip
    assert look["findings"][0]["numbers"]["undeclared"] == 1
    assert [f["severity"] for f in look["findings"]][:2] == ["alert", "alert"]
    assert all("What to do" in f["sentence"] for f in look["findings"])
    assert any("another feed (data)" in note for note in look["notes"])
    moved = columns(tables["moves"], "model", "change", "least", "move", "most")
    assert all(low <= size * 1.001 <= high * 1.002 for _, _, low, size, high in moved if size)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'data-plot="interventions-1"' in page
    # Told which feed fills the bars' columns, the card is right.
    feeds = '\n[looks.feeds]\n"another feed" = ["open", "high", "low", "close"]\n'
    told = cli("converge", "--study", write(SMALL + feeds), "--look", "interventions", "--json")
    (again,) = told.json["looks"]
    wrong = {row[0] for row in columns(by_name(again)["uses"], "model", "verdict")
             if row[1] == "moves but is not declared"}  # fmt: skip
    assert wrong == {"honest"}


def test_passports_of_the_laboratory(cli, write, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from commonmode.app.report.published import schema_text

    study = write(SMALL)
    words = ("--look", "passports", "--json", "--out", tmp_path / "out")
    ran = cli("converge", "--study", study, *words)
    assert ran.code == 0
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(ran.json)
    (look,) = ran.json["looks"]
    tables = by_name(look)
    windows = columns(tables["passports"], "model", "window", "low", "worth", "high")
    assert [row[:2] for row in windows] == [("honest", 300), ("silent", 300)]
    assert all(0 < low <= worth <= high <= 300 for _, _, low, worth, high in windows)
    stresses = columns(tables["stresses"], "model", "stress", "is")
    assert ("honest", "a quarter in an hour", "outside") in stresses
    ((panel, outcomes, needed, rate),) = columns(
        tables["backtests"], "panel", "outcomes", "needed", "detectable_share"
    )
    assert (panel, needed) == ("risk", 449)
    assert outcomes > needed
    assert 0.025 < rate < 0.05  # longer than twice the rate needs
    covered = columns(tables["coverage"], "model", "promised_low_share", "promised_high_share")
    assert len(covered) == 2
    assert all(low < 0.025 < high for _, low, high in covered)
    assert {row[0] for row in columns(tables["screens"], "screen")} == {
        "frozen venue",
        "copied bars",
        "partial bars",
        "phase of time labels",
    }
    assert any("not among its data" in note for note in look["notes"])
    assert all("What to do" in f["sentence"] for f in look["findings"])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert 'data-plot="passports-windows"' in page
    assert 'data-plot="passports-screens"' in page


def test_the_evidence_keeps_them(cli, write) -> None:
    wanted = '[looks]\nrun = ["interventions", "passports"]\n\n[looks.stresses]'
    study = write(SMALL.replace("[looks.stresses]", wanted))
    words = ("--out", study.parent / "out", "--json", "--workers", 1)
    built = cli("run", study, "--write-evidence", *words)
    assert built.code == 0
    assert [look["name"] for look in built.json["looks"]] == ["interventions", "passports"]
    assert (study.parent / "evidence" / "looks.json.gz").stat().st_size < 20_000
    again = cli("run", study, "--source", "evidence", *words)
    assert again.json["looks"] == built.json["looks"]


def test_a_panel_file_or_nothing_is_refused(cli) -> None:
    panel = EXAMPLES / "panel" / "panel.csv"
    ran = cli("converge", "--panel", panel, "--look", "interventions")
    assert ran.code == 2
    assert "--study STUDY --look interventions" in ran.err
    ran = cli("converge", "--study", LABORATORY, "--look", "passports", "--alpha", 0.1)
    assert ran.code == 2
    assert "--alpha with --study" in ran.err
    ran = cli("converge", "--look", "passports")
    assert ran.code == 2
    assert "nothing to look at" in ran.err


@pytest.mark.slow
@pytest.mark.recorded
@pytest.mark.parametrize("name", ["interventions", "passports"])
def test_the_recorded_study(cli, name: str, recorded_data: Path) -> None:
    ran = cli("converge", "--study", EXAMPLES / "btc-shapella-2023", "--look", name, "--json")
    assert ran.code == 0
    (look,) = ran.json["looks"]
    tables = by_name(look)
    if name == "interventions":
        unused = [row for row in tables["uses"]["rows"] if row[-1] == "declared but does not move"]
        assert ["sticky-strike", "surface models", "data", "deribit forwards"] in [
            row[:4] for row in unused
        ]
    else:
        flagged = columns(tables["screens"], "subject", "screen", "verdict")
        assert (
            "476 ETH options on Deribit, day by day", "open interest against trades", "flagged"
        ) in flagged  # fmt: skip
        assert {row[1] for row in tables["screens"]["rows"]} >= {
            "capped liquidations",
            "open interest against trades",
            "matched opposite trades",
            "volume without moves",
        }
        assert len(tables["chains"]["rows"]) == 10
