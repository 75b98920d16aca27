"""The page of ``commonmode greeks`` in a real browser: every picture drawn, numbers as computed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser_pages import open_page
from commonmode.app.report.greek_page import render_greeks_html
from commonmode.app.study.greeks import study_greeks
from small_studies import HALF_A_DAY, laboratory, model_of, panel_of, study_head, study_of

STUDY = study_of(
    study_head("books", "Books <img src=x onerror=alert(1)>"),
    laboratory(72),
    model_of("svi</script>", "svi"),
    model_of("flat", "flat-black"),
    model_of("greedy", "svi", "min_quotes = 5000"),
    model_of("hs", "historical-simulation"),
    panel_of("surface", "surface", HALF_A_DAY),
    "[population]\nsnapshot = 2024-01-02T00:00:00Z\ndesk = 3\nvault = 2",
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(STUDY)
    return study_greeks(folder, pictures=True)


@pytest.mark.browser
def test_every_picture_is_drawn(browser: str, table: dict[str, Any], tmp_path: Path) -> None:
    dom, console = open_page(browser, render_greeks_html(table, version="test"), tmp_path)
    drawn = dict(re.findall(r'id="(plot-[\w-]+)"[^>]*data-drawn="(\w+)"', dom))
    books = len(table["pictures"]["books"])
    assert books == 4
    wanted = {f"plot-book-{b + 1}" for b in range(books)} | {"plot-instruments-1"}
    assert set(drawn) >= wanted | {f"plot-expiry-{b + 1}-1" for b in range(books)}
    assert set(drawn.values()) == {"true"}
    assert not [line for line in console if "rror" in line]
    shown = re.sub(r"<script\b.*?</script>", "", dom, flags=re.DOTALL)
    assert not re.search(r"<img\b", shown)
    assert 'class="hm"' in shown or "heatmaplayer" in shown


def test_pictures_agree_with_the_table(table: dict[str, Any]) -> None:
    pictures = table["pictures"]
    nothing = pictures["spot"].index(1.0), pictures["vol_shift"].index(0.0)
    for book in pictures["books"]:
        pnl = {m: np.array(book["pnl"][m], np.float64) for m in table["models"]}
        assert np.isnan(pnl["greedy"]).all()  # not calibrated: no value, not zero
        assert book["unpriced"]["greedy"] > 0
        for model in ("svi</script>", "flat"):
            assert np.isfinite(pnl[model]).all()
            assert pnl[model][nothing] == 0
        apart = np.abs(pnl["flat"] - pnl["svi</script>"])
        np.testing.assert_allclose(book["range"], apart, rtol=1e-9)
        rows = [r for r in table["rows"] if r["book"] == book["book"]]
        for part in book["expiries"]:
            for greek in part["greeks"]:
                total = next(
                    r["usd"]["flat"]
                    for r in rows
                    if (r["underlying"], r["greek"]) == (part["underlying"], greek["greek"])
                )
                np.testing.assert_allclose(sum(greek["usd"]["flat"]), total, rtol=1e-9, atol=1e-6)
    assert len(pictures["other_books"]) == 1
    (coin,) = pictures["instruments"]
    size = len(coin["instrument"])
    assert 0 < size == len(coin["moneyness"]) == len(coin["delta"]["range"])
    deltas = np.array([coin["delta"]["from_median"][m] for m in ("svi</script>", "flat")])
    np.testing.assert_allclose(deltas[0], -deltas[1], atol=1e-12)  # two models, one median
    np.testing.assert_allclose(np.abs(deltas[0] - deltas[1]), coin["delta"]["range"], atol=1e-12)
