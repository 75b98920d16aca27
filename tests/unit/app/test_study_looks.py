"""Looks at a study: cadence, strategies, model risk and hedging on a small simulated market."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commonmode.app.report import render_html
from commonmode.app.study.run import run_study
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import HOUR_MS
from commonmode.market.funding import FundingSeries, last_paid
from sentences import lacks
from small_studies import (
    SHORT_STRANGLE,
    book_of,
    laboratory,
    model_of,
    panel_of,
    study_head,
    study_of,
)

STUDY = study_of(
    study_head("small"),
    laboratory(1900),
    model_of("slow", "ewma", "decay = 0.97, window = 200"),
    model_of("hs", "historical-simulation", "window = 200"),
    model_of("svi", "svi"),
    model_of("essvi", "essvi"),
    model_of("flat", "flat-black"),
    model_of("target", "vol-target", "window = 200, vol_decay = 0.97"),
    model_of("trend", "trend", "window = 200, lookback = 24"),
    model_of("carry", "basis-carry", "window = 200"),
    panel_of("risk-1h", "risk", "train = 600"),
    panel_of("positions", "signal", 'models = ["target", "trend"]\ntrain = 600'),
    "[population]\nsnapshot = 2024-03-01T00:00:00Z",
    book_of(
        "seller", "desk", surface="svi", risk="hs", capital="1e6",
        positions=f'{SHORT_STRANGLE}, "BTC-PERPETUAL" = 9',
    ),
    book_of(
        "futures-only", "vault", surface="essvi", risk="slow", capital="1e5",
        positions='"BTC-PERPETUAL" = 5000',
    ),
    "[indices]\nflips = 399\ndraws = 199",
    "[looks.cadence]\nhours = [24, 168]\nspans = 6",
    "[looks.strategies]\nexposure_usd = { target = 2e6, trend = 1e6 }",
)  # fmt: skip


def look(folder: Path, name: str, text: str = STUDY) -> tuple[dict[str, Any], dict[str, Any]]:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    results = dict(run_study(path, looks=(name,), only_looks=True).results)
    (found,) = results["looks"]
    if found["status"] == "ok":  # whatever it found, its first sentence holds it all
        assert lacks(found["findings"][0]["sentence"]) == []
        mine = [one["sentence"] for one in found["findings"] if one["index"] == name]
        assert all("What to do: " in sentence for sentence in mine)
    return found, results


def rows(found: dict[str, Any], table: str) -> list[dict[str, Any]]:
    one = next(t for t in found["tables"] if t["name"] == table)
    return [dict(zip(one["columns"], row, strict=True)) for row in one["rows"]]


def without(text: str, *headings: str) -> str:
    """The study without the sections that begin with one of ``headings``."""
    parts = text.split("\n\n")
    return "\n\n".join(p for p in parts if not p.strip().startswith(headings))


def test_cadence_compares_with_the_present_interval(tmp_path: Path) -> None:
    found, results = look(tmp_path, "cadence")
    assert found["status"] == "ok"
    assert results["failures"] == []
    table = rows(found, "cadences")
    by = {(row["model"], row["interval"]): row for row in table}
    assert by["slow", "1 d"]["present"]
    assert by["slow", "1 d"]["change_share"] == 0.0
    week = by["slow", "1 w"]
    assert week["low_share"] <= week["change_share"] <= week["high_share"]
    assert week["detectable_share"] >= 0.0
    assert by["hs", "1 w"]["step"] is None  # its window moves with every bar
    assert sum(row["recommended"] for row in table) == 2
    assert any("no surface panel" in note for note in found["notes"])
    said = " ".join(finding["sentence"] for finding in found["findings"])
    assert "What to do" in said
    assert "80 % probability" in said
    assert "How often to recalibrate" in render_html(results)


def test_strategies_are_a_panel_and_stand_beside_the_risk_models(tmp_path: Path) -> None:
    found, alone = look(tmp_path, "strategies")
    assert found["status"] == "ok"
    assert alone["panels"] == []  # nothing but the look was asked for
    results = dict(run_study(tmp_path / "study.toml", looks=("strategies",)).results)
    assert rows(results["looks"][0], "positions") == rows(found, "positions")
    panels = {panel["name"]: panel for panel in results["panels"]}
    assert panels["positions"]["kind"] == "signal"
    assert panels["positions"]["c3"]["reason"] == "not_applicable"
    assert [m["id"] for m in panels["positions"]["models"]] == ["target", "trend"]
    couplings = rows(found, "couplings")
    pairs = {(row["strategy"], row["risk_model"]): row for row in couplings}
    assert set(pairs) == {(s, r) for s in ("target", "trend") for r in ("slow", "hs")}
    # One estimator of volatility in two places.
    assert pairs["target", "slow"]["together"] > 0.5
    assert pairs["target", "slow"]["p_together"] <= 0.05
    assert all(row["low"] <= row["given_move"] <= row["high"] for row in couplings)
    positions = rows(found, "positions")
    assert positions[0]["target"] == pytest.approx(1.0)
    assert positions[0]["trend"] == pytest.approx(positions[1]["target"])
    assert "What to do" in found["findings"][0]["sentence"]
    assert "strategies-risk" in render_html(results)


def test_strategies_that_read_no_funding_here_say_so(tmp_path: Path) -> None:
    text = without(STUDY, '[[panels]]\nname = "positions"')
    found, _ = look(tmp_path, "strategies", text.replace("target = 2e6, trend = 1e6", ""))
    assert "BTC: this market has no funding; strategies that read it fail" in found["notes"]
    assert any(note.startswith("carry on BTC: no answer in") for note in found["notes"])
    assert {row["strategy"] for row in rows(found, "couplings")} >= {"target", "trend"}
    assert "sold_usd" not in next(t for t in found["tables"] if t["name"] == "couplings")["columns"]


def test_model_risk_of_books_adds_up(tmp_path: Path) -> None:
    found, results = look(tmp_path, "model-risk")
    assert found["status"] == "ok"
    books = {row["book"]: row for row in rows(found, "books")}
    values = [row for row in rows(found, "values") if row["book"] == "seller"]
    own = next(row for row in values if row["model"] == "svi")
    assert books["seller"]["carried_usd"] == own["value_usd"]
    admitted = [row["value_usd"] for row in values if row["admitted"]]
    assert len(admitted) == books["seller"]["models_admitted"]
    if len(admitted) >= 2:
        assert books["seller"]["range_usd"] == pytest.approx(max(admitted) - min(admitted))
    assert books["seller"]["reserve_usd"] >= 0.0
    assert books["seller"]["parameters_usd"] > 0.0  # eSSVI states a covariance
    worst = [books["seller"][f"worst_{radius}_nats_usd"] for radius in ("0.02", "0.1", "0.5")]
    assert books["seller"]["mean_loss_usd"] < worst[0] < worst[1] < worst[2]
    assert books["futures-only"]["range_usd"] == 0.0  # no model enters a perpetual
    total = found["findings"][0]
    assert total["numbers"]["reserve"] == pytest.approx(
        sum(book["reserve_usd"] for book in books.values())
    )
    assert "no detectable effect" in total["sentence"]
    page = render_html(results)
    assert "Model risk of the books, in USD" in page
    assert "model-risk-books" in page


def test_hedging_leaves_more_under_no_model_than_without(tmp_path: Path) -> None:
    found, results = look(tmp_path, "hedging")
    assert found["status"] == "ok"
    models = {row["model"]: row for row in rows(found, "models")}
    assert set(models) == {"svi", "essvi", "flat"}
    assert models["svi"]["apart_share"] == 0.0  # the first is the reference
    for row in rows(found, "books"):
        assert row["book"] == "seller"
        assert row["error_usd"] < row["unhedged_usd"]
        assert row["low_usd"] <= row["mean_usd"] <= row["high_usd"]
    assert "futures-only: holds no option" in found["notes"]
    assert "hedging-models" in render_html(results)


@pytest.mark.parametrize(
    ("name", "gone", "reason"),
    [
        ("model-risk", ("[population]", "[[books]]"), "no population"),
        ("hedging", ("[population]", "[[books]]"), "no population"),
        ("strategies", ('[[models]]\nid = "t', '[[models]]\nid = "c'), "no trading strategy"),
    ],
)
def test_a_study_without_what_it_takes_says_so(
    tmp_path: Path, name: str, gone: tuple[str, ...], reason: str
) -> None:
    text = without(STUDY, *gone, '[[panels]]\nname = "positions"', "[looks.strategies]")
    found, results = look(tmp_path, name, text)
    assert found["reason"] == "not_applicable"
    assert reason in found["message"]
    assert found["remedy"]
    assert results["failures"] == []


@pytest.mark.parametrize(
    ("section", "name", "key"),
    [
        ("[looks.hedging]\nreference = 'sbi'", "hedging", "looks.hedging.reference"),
        ("[looks.cadence]\nrisk_models = ['x']", "cadence", "looks.cadence.risk_models"),
        ("[looks.strategies]\nrisk_panel = 'x'", "strategies", "looks.strategies.risk_panel"),
        ("[looks.strategies]\nexposure_usd = {x = 1}", "strategies", "exposure_usd names x"),
    ],
)
def test_a_name_that_is_none_fails_that_look(
    tmp_path: Path, section: str, name: str, key: str
) -> None:
    text = without(STUDY, "[looks.cadence]", "[looks.strategies]") + f"\n\n{section}\n"
    found, results = look(tmp_path, name, text)
    assert found["status"] == "failed"
    assert key in found["message"]
    assert [failure["where"] for failure in results["failures"]] == [name]


def test_funding_counts_until_it_is_stale() -> None:
    hour = 480_000 * HOUR_MS
    series = FundingSeries(
        VenueId("v"),
        CurrencyCode("BTC"),
        8 * HOUR_MS,
        np.array([hour + 4_000, hour + 8 * HOUR_MS], np.int64),  # stamped seconds late
        np.array([1e-4, 2e-4]),
        np.array([1e-4, 2e-4]),
    )
    asked = hour + HOUR_MS * np.array([-1, 0, 7, 8, 24, 25])
    expected = [np.nan, 1e-4, 1e-4, 2e-4, 2e-4, np.nan]
    np.testing.assert_array_equal(last_paid(series, asked), expected)
