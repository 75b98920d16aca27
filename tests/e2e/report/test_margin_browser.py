"""The page of ``commonmode margin`` in a real browser: every picture drawn, numbers as computed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser_pages import open_page
from commonmode.app.report.html import render_html
from commonmode.app.report.margin_page import render_margin_html
from commonmode.app.study.margin import MarginQuestion, study_margin
from report_results import laboratory_results
from small_studies import (
    margin_books,
    margin_laboratory,
    margin_models,
    panel_of,
    study_head,
    study_of,
)

STUDY = study_of(
    study_head("margin", "Margin <img src=x onerror=alert(1)>"),
    margin_laboratory(),
    margin_models("svi</script>"),
    panel_of("world", "world"),
    "[population]\nsnapshot = 2024-02-10T00:00:00Z",
    '[margin]\nparameters = { pm2 = "2025-12-08-exchanged" }',
    margin_books("<b>squeeth"),
)


@pytest.fixture(scope="module")
def value(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(STUDY)
    return study_margin(folder, MarginQuestion(pictures=True))


def drawn(dom: str) -> dict[str, str]:
    return dict(re.findall(r'id="((?:plot|margin)-[\w-]+)"[^>]*data-drawn="(\w+)"', dom))


@pytest.mark.browser
def test_every_picture_is_drawn(browser: str, value: dict[str, Any], tmp_path: Path) -> None:
    dom, console = open_page(browser, render_margin_html(value, version="test"), tmp_path)
    found = drawn(dom)
    assert set(found.values()) == {"true"}
    wanted = {"plot-parts", "plot-models"}
    wanted |= {f"plot-{what}-{a}" for a in (1, 2) for what in ("surface", "legs")}
    assert set(found) == wanted
    assert not [line for line in console if "rror" in line]
    shown = re.sub(r"<script\b.*?</script>", "", dom, flags=re.DOTALL)
    assert not re.search(r"<img\b|<b>squeeth", shown)
    assert "heatmaplayer" in shown
    assert "waterfalllayer" in shown
    assert "Not margined" in shown


@pytest.mark.browser
def test_the_report_of_a_study_has_them_too(
    browser: str, value: dict[str, Any], tmp_path: Path
) -> None:
    margin = {k: v for k, v in value.items() if k not in ("pictures", "study", "title")}
    dom, console = open_page(
        browser, render_html({**laboratory_results(), "margin": margin}), tmp_path
    )
    found = drawn(dom)
    assert found["margin-parts"] == found["margin-models"] == "true"
    assert not [line for line in console if "rror" in line]
    assert 'href="#margin"' in dom


def test_pictures_agree_with_the_table(value: dict[str, Any]) -> None:
    accounts = {account["account"]: account["methods"] for account in value["accounts"]}
    assert {picture["account"] for picture in value["pictures"]} == set(accounts)
    for picture in value["pictures"]:
        cells = accounts[picture["account"]]
        for surface in picture["surfaces"]:
            cell = cells[surface["method"]]
            balance = np.array(surface["balance"])
            assert balance.shape == (len(surface["vol"]), len(surface["spot"]))
            vol, spot = surface["vol"].index(1.0), int(np.argmin(np.abs(np.log(surface["spot"]))))
            assert surface["spot"][spot] == 1.0
            np.testing.assert_allclose(balance[vol, spot], cell["maintenance_balance"], rtol=1e-9)
            # The balance along today's volatility changes sign where thresholds say so.
            factors = [f for f in cell["thresholds"]["spot_factors"] if 0.4 < f < 2.5]
            changes = np.flatnonzero(np.diff(np.sign(balance[vol])))
            between = [(surface["spot"][k], surface["spot"][k + 1]) for k in changes.tolist()]
            assert len(between) == len(factors)
            for (low, high), factor in zip(between, sorted(factors), strict=True):
                assert low <= factor <= high
        for method, legs in picture["legs"].items():
            total = sum(leg["initial"] for leg in legs["legs"])
            np.testing.assert_allclose(total, cells[method]["initial"], rtol=1e-6)
    squeeth = accounts["<b>squeeth"]
    assert squeeth["dynamic"]["failure"] is None
    assert all(squeeth[m]["failure"] is not None for m in ("pm2", "standard", "deribit"))
