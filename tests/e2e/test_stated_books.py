"""Books that the study states stand beside those drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from commonmode.app.study.run import run_study
from commonmode.core.errors import ConfigurationError
from small_studies import book_of, laboratory, model_of, panel_of, study_head, study_of

STUDY = study_of(
    study_head("stated"),
    laboratory(1400),
    model_of("hs", "historical-simulation", "window = 200"),
    model_of("ewma", "ewma"),
    model_of("flat", "flat-black"),
    panel_of("risk", "risk", "train = 600"),
    "[population]\nsnapshot = 2024-01-10T00:00:00Z",
)
POSITIONS = '"BTC-PERPETUAL" = 300, "BTC_USD" = 2, "BTC-1JAN20-100-C" = 1, "nonsense" = 1'


def stated(risk: str) -> str:
    """The study with a book under this risk model."""
    mine = book_of("mine", "desk", surface="flat", risk=risk, capital="1e6", positions=POSITIONS)
    return study_of(STUDY, mine)


def test_stated_book_is_valued_and_bad_positions_are_named(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(stated("hs"))
    results = run_study(tmp_path).results
    (mine,) = results["population"]["participants"]
    assert (mine["id"], mine["risk_model"]) == ("mine", "hs")
    delta = next(
        row
        for row in results["greeks"]["totals"]
        if row["book"] == "mine" and row["greek"] == "delta"
    )
    # 300 inverse contracts of 10 USD and two coins.
    coin = delta["by_model"]["flat"] - 3000
    assert coin > 0
    assert mine["gross_usd"] == pytest.approx(3000 + coin, rel=1e-6)
    failed = {entry["instrument"]: entry for entry in results["greeks"]["failed_positions"]}
    assert set(failed) == {"BTC-1JAN20-100-C", "nonsense"}
    assert all(entry["remedy"] for entry in failed.values())
    assert "states" in results["population"]["ownership"]


def test_unknown_model_of_a_book_is_named(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(stated("hss"))
    with pytest.raises(ConfigurationError, match="did you mean 'hs'"):
        run_study(tmp_path)
