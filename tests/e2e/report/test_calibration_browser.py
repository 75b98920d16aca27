"""The calibration page in a real browser: every picture drawn."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser_pages import open_page
from commonmode.app.report.calibration import render_calibration_html
from commonmode.app.study.calibrate import calibrate_study

pytestmark = pytest.mark.browser

STUDY = """
[study]
name = "smiles"
title = "Smiles"
seed = 3
[market]
source = "laboratory"
underlyings = ["BTC"]
start = 2024-01-01T00:00:00Z
hours = 72
[[models]]
id = "svi</script>"
type = "svi"
[[models]]
id = "sabr"
type = "sabr"
[[panels]]
name = "surface"
family = "surface"
start = 2024-01-02T00:00:00Z
end = 2024-01-02T12:00:00Z
"""


def test_every_picture_is_drawn(browser: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    page = render_calibration_html(calibrate_study(tmp_path), version="test")
    dom, console = open_page(browser, page, tmp_path)
    drawn = re.findall(r'id="(plot-\w+|surface-\d)"[^>]*data-drawn="(\w+)"', dom)
    assert {name for name, _ in drawn} >= {"plot-smiles", "plot-residuals", "plot-density"}
    assert {state for _, state in drawn} == {"true"}
    assert not [line for line in console if "rror" in line]
