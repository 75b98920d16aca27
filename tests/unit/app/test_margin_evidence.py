"""Margin in a study: results, evidence and what they are read back as."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from commonmode.app.report.html import render_html
from commonmode.app.report.published import schema_text
from commonmode.app.study.run import Source, run_study
from small_studies import (
    margin_books,
    margin_laboratory,
    margin_models,
    panel_of,
    study_head,
    study_of,
)

STUDY = study_of(
    study_head("margin"),
    margin_laboratory('"BTC"'),
    margin_models(),
    panel_of("world", "world", "world = { times = 300 }"),
    "[population]\nsnapshot = 2024-02-10T00:00:00Z",
    margin_books(),
    "[margin]",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(STUDY)
    return folder


def test_evidence_gives_the_same_margin(folder: Path) -> None:
    made = run_study(folder, evidence_out=True).results
    assert made["failures"] == []
    read = run_study(folder, source=Source.EVIDENCE).results
    for key in ("margin", "cards", "population", "failures", "answers"):
        assert read[key] == made[key]
    # The order of keys too: pages and screens follow it.
    assert json.dumps(read["margin"]) == json.dumps(made["margin"])
    written = json.loads(json.dumps(made, allow_nan=False))
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(written)
    accounts = {each["account"]: each["methods"] for each in made["margin"]["accounts"]}
    assert accounts["strangle"]["pm2"]["failure"] is None
    # One cell that cannot be had is no failure of the study.
    assert accounts["squeeth"]["pm2"]["failure"]["reason"] == "unsupported"
    assert accounts["squeeth"]["dynamic"]["failure"] is None


def test_solvency_in_a_study_its_evidence_and_its_report(tmp_path: Path) -> None:
    asked = 'methods = ["standard"]\nsolvency = true\nfund_usd = 500\n'
    (tmp_path / "study.toml").write_text(STUDY + asked)
    made = run_study(tmp_path, evidence_out=True).results
    found = made["margin"]["solvency"]
    assert found["failure"] is None
    fund = found["methods"]["standard"]["fund"]
    assert fund["fund"] == 500
    accounts = found["methods"]["standard"]["accounts"]
    assert accounts["squeeth"] is None  # the standard manager has no power perpetuals
    assert accounts["strangle"]["isolated_over_portfolio"] >= 1.0 - 1e-9
    read = run_study(tmp_path, source=Source.EVIDENCE).results
    assert json.dumps(read["margin"]) == json.dumps(made["margin"])
    page = render_html(made)
    assert "what the insurance fund would have to bear" in page
    assert "Every account, and everybody in a stress" in page


def test_published_methods_are_observed_outsiders(folder: Path) -> None:
    results = run_study(folder).results
    outsiders = {
        (one["id"], one["kind"], one["model"]) for one in results["population"]["outsiders"]
    }
    assert outsiders == {
        ("Derive", "protocol", "pm2"),
        ("Derive", "protocol", "standard"),
        ("Deribit", "exchange", "deribit"),
    }
    cards = {card["model"]: card for card in results["cards"]}
    assert cards["pm2"]["owner"] == "Derive"
    assert cards["deribit"]["owner"] == "Deribit"
    assert {cards[name]["family"] for name in ("pm2", "standard", "deribit")} == {"margin"}
    assert {cards[name]["purpose"] for name in ("pm2", "standard", "deribit")} == {"margin"}
    # Nothing of the population rests on them.
    assert not {"pm2", "standard", "deribit"} & {
        e["model"] for e in results["population"]["exposure"]
    }


def test_damaged_evidence_of_margin_harms_nothing_else(folder: Path) -> None:
    made = run_study(folder, evidence_out=True).results
    (folder / "evidence" / "margin.json.gz").write_bytes(b"not what it was")
    read = run_study(folder, source=Source.EVIDENCE).results
    assert read["margin"] is None
    (failure,) = read["failures"]
    assert failure["where"] == "margin"
    assert failure["remedy"]
    assert read["population"] == made["population"]
    assert read["panels"] == made["panels"]


def test_a_refused_parameter_set_is_a_failed_part(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY + 'parameters = { pm2 = "2025-12-08" }\n')
    plain = run_study(folder).results
    results = run_study(tmp_path).results
    (failure,) = results["failures"]
    assert failure["where"] == "margin pm2"
    assert "long base 1.02" in failure["message"]
    accounts = {each["account"]: each["methods"] for each in plain["margin"]["accounts"]}
    for each in results["margin"]["accounts"]:
        others = {name: cell for name, cell in accounts[each["account"]].items() if name != "pm2"}
        assert each["methods"] == others
