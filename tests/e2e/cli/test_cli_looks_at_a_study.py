"""``--look cadence|strategies|model-risk|hedging`` at a study: screen, JSON, report, evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_studies import book_of, laboratory, model_of, panel_of, study_head, study_of

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
LABORATORY = EXAMPLES / "laboratory"
NAMES = ("cadence", "strategies", "model-risk", "hedging")

SMALL = study_of(
    study_head("small", seed=5),
    laboratory(1500),
    model_of("hs", "historical-simulation", "window = 200"),
    model_of("svi", "svi"),
    model_of("essvi", "essvi"),
    panel_of("world", "world", "world = { times = 300, models = 5 }"),
    "[population]\nsnapshot = 2024-02-15T00:00:00Z",
    book_of(
        "seller", "desk", surface="svi", risk="hs", capital="1e6",
        positions='"BTC-2024-03-29-34000-C" = -30, "BTC-PERPETUAL" = 9000',
    ),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_look_at_the_laboratory_study(cli, name: str, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from commonmode.app.report.published import schema_text

    ran = cli("converge", "--study", LABORATORY, "--look", name, "--out", tmp_path, "--json")
    assert ran.code == 0
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(ran.json)
    (look,) = ran.json["looks"]
    assert (look["name"], look["status"]) == (name, "ok")
    first = look["findings"][0]
    assert first["numbers"]
    assert "What to do" in first["sentence"]
    assert all(
        len(row) == len(table["columns"]) for table in look["tables"] for row in table["rows"]
    )
    assert ran.json["reproduce"].endswith(f"--look {name}")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f'id="look-{name}"' in page
    assert page.count('data-plot="') >= 1


def test_looks_of_a_run_are_kept_in_its_evidence(cli, write) -> None:
    study = write(SMALL + '\n[looks]\nrun = ["model-risk"]\n')
    words = ("--out", study.parent / "out", "--json", "--workers", 1)
    built = cli("run", study, "--write-evidence", *words)
    assert built.code == 0
    (look,) = built.json["looks"]
    assert look["status"] == "ok"
    assert (study.parent / "evidence" / "looks.json.gz").stat().st_size < 10_000
    again = cli("run", study, "--source", "evidence", *words)
    assert again.code == 0
    assert again.json["looks"] == [look]
    more = cli("run", study, "--source", "evidence", "--look", "hedging", *words)
    assert more.code == 0  # the evidence was made without it: said, and not a failed part
    kept, missing = more.json["looks"]
    assert kept == look
    assert missing["reason"] == "not_applicable"
    assert "--source recorded" in missing["remedy"]


def test_the_screen_says_the_first_sentence(cli, write) -> None:
    ran = cli("converge", "--study", write(SMALL), "--look", "model-risk", "--look", "strategies")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert any(line.startswith("model-risk: Model reserve of 1 books") for line in lines)
    text = " ".join(ran.out.split())
    assert "strategies: does not apply: the study names no trading strategy" in text


@pytest.mark.slow
@pytest.mark.recorded
def test_model_risk_of_the_recorded_books(cli, recorded_data: Path) -> None:
    ran = cli(
        "converge", "--study", EXAMPLES / "btc-shapella-2023", "--look", "model-risk", "--json"
    )
    assert ran.code == 0
    (look,) = ran.json["looks"]
    tables = {table["name"]: table for table in look["tables"]}
    books = [
        dict(zip(tables["books"]["columns"], row, strict=True)) for row in tables["books"]["rows"]
    ]
    assert {book["book"] for book in books} >= {"squeeth-vault", "desk-1", "vault-1"}
    for book in books:
        assert book["models_admitted"] >= 2
        assert book["reserve_usd"] >= 0.0
        assert book["penalised_usd"] >= 0.0
        assert book["mean_loss_usd"] < book["worst_0.1_nats_usd"]
    quotes = [
        dict(zip(tables["quotes"]["columns"], row, strict=True)) for row in tables["quotes"]["rows"]
    ]
    by = {(row["model"], row["target"]): row["inside_share"] for row in quotes}
    assert by["svi-mark", "BTC"] > 0.9 > 0.5 > by["flat-black", "BTC"]
