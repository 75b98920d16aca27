"""The calibration page in a real browser: every picture drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser_pages import open_page
from commonmode.app.report.calibration import render_calibration_html
from commonmode.app.study.calibrate import calibrate_study
from small_studies import HALF_A_DAY, laboratory, model_of, panel_of, study_head, study_of

pytestmark = pytest.mark.browser

STUDY = study_of(
    study_head("smiles"),
    laboratory(72),
    model_of("svi</script>", "svi"),
    model_of("sabr", "sabr"),
    panel_of("surface", "surface", HALF_A_DAY),
)


def test_every_picture_is_drawn(browser: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    page = render_calibration_html(calibrate_study(tmp_path), version="test")
    dom, console = open_page(browser, page, tmp_path)
    drawn = re.findall(r'id="(plot-\w+|surface-\d)"[^>]*data-drawn="(\w+)"', dom)
    assert {name for name, _ in drawn} >= {"plot-smiles", "plot-residuals", "plot-density"}
    assert {state for _, state in drawn} == {"true"}
    assert not [line for line in console if "rror" in line]
