"""Pictures of cadence, strategies, model risk and hedging in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser_pages import assert_drawn, open_page, without_scripts
from commonmode.app.report import render_html
from commonmode.app.study.run import run_study

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STUDY = """
[study]
name = "looks"
title = "Looks <img src=x onerror=alert(1)>"
seed = 3
[market]
source = "laboratory"
underlyings = ["BTC"]
start = 2024-01-01T00:00:00Z
hours = 1900
[[models]]
id = "slow</script><b>"
type = "ewma"
options = { decay = 0.97, window = 200 }
[[models]]
id = "svi<i>"
type = "svi"
[[models]]
id = "essvi"
type = "essvi"
[[models]]
id = "target&amp;"
type = "vol-target"
options = { window = 200 }
[[models]]
id = "trend"
type = "trend"
options = { window = 200, lookback = 24 }
[[panels]]
name = "risk-1h"
family = "risk"
train = 600
[population]
snapshot = 2024-03-01T00:00:00Z
[[books]]
id = "seller<u>"
kind = "desk"
surface_model = "svi<i>"
risk_model = "slow</script><b>"
capital_usd = 1e6
positions = { "BTC-2024-03-29-34000-C" = -30, "BTC-2024-03-29-30000-P" = -30 }
[looks]
run = ["cadence", "strategies", "model-risk", "hedging"]
[looks.cadence]
hours = [24, 168]
spans = 6
[looks.model_risk]
inside = 0.0
"""

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
