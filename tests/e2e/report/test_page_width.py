"""The report of the recorded study fits a window of 1280 pixels, every fold opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser_pages import too_wide
from commonmode.app.report import render_html
from commonmode.app.study.run import run_study

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STUDY = Path(__file__).parents[3] / "examples" / "btc-shapella-2023"


def test_nothing_has_to_be_scrolled_sideways(browser: str, tmp_path: Path) -> None:
    results = dict(run_study(STUDY, source="evidence").results)
    assert results["panels"]
    assert results["looks"]
    page = render_html(results)
    assert too_wide(browser, page, tmp_path) == []


def test_what_does_not_fit_is_found(browser: str, tmp_path: Path) -> None:
    page = '<html><body><div class="scroll" style="overflow-x:auto"><div style="width:1500px">'
    found = too_wide(browser, f"{page}a wide table</div></div></body></html>", tmp_path)
    assert len(found) == 1
    assert "a wide table" in found[0]
