"""Pictures of cadence, strategies, model risk and hedging in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser_pages import assert_drawn, open_page, without_scripts
from commonmode.app.report import render_html
from commonmode.app.study.run import run_study
from small_studies import (
    SHORT_STRANGLE,
    book_of,
    laboratory,
    model_of,
    panel_of,
    study_head,
    study_of,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RISK, SURFACE = "slow</script><b>", "svi<i>"
STUDY = study_of(
    study_head("looks", "Looks <img src=x onerror=alert(1)>"),
    laboratory(1900),
    model_of(RISK, "ewma", "decay = 0.97, window = 200"),
    model_of(SURFACE, "svi"),
    model_of("essvi", "essvi"),
    model_of("target&amp;", "vol-target", "window = 200"),
    model_of("trend", "trend", "window = 200, lookback = 24"),
    panel_of("risk-1h", "risk", "train = 600"),
    "[population]\nsnapshot = 2024-03-01T00:00:00Z",
    book_of(
        "seller<u>", "desk", surface=SURFACE, risk=RISK, capital="1e6", positions=SHORT_STRANGLE
    ),
    '[looks]\nrun = ["cadence", "strategies", "model-risk", "hedging"]',
    "[looks.cadence]\nhours = [24, 168]\nspans = 6",
    "[looks.model_risk]\ninside = 0.0",
)

PICTURES = {
    "cadence-1",
    "strategies-risk",
    "strategies-positions",
    "model-risk-books",
    "hedging-models",
}


def test_every_picture_is_drawn_and_no_name_runs(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    results = dict(run_study(path).results)
    assert [look["status"] for look in results["looks"]] == ["ok"] * 4
    dom, console = open_page(browser, render_html(results), tmp_path)
    assert console == []
    shown = without_scripts(dom)
    assert_drawn(PICTURES, dom)
    assert not re.search(r"<img\b", shown)
    for look in results["looks"]:
        assert f'id="look-{look["name"]}"' in shown
