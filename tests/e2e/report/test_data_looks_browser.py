"""Pictures of interventions, passports and crowds in a real browser."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from browser_pages import assert_drawn, open_page
from commonmode.app.report import render_html
from commonmode.app.study.run import run_study
from report_cases import HOSTILE, full
from small_studies import laboratory, model_of, panel_of, study_head, study_of

pytestmark = pytest.mark.browser

STUDY = study_of(
    study_head("looks", seed=5),
    laboratory(1000),
    model_of("<img src=x onerror=alert(1)>", "historical-simulation", "window = 300"),
    model_of("ewma", "ewma", "decay = 0.97, window = 300")
    + '\ncomponents = { data = { "<script>alert(1)</script>" = 1.0 } }',
    panel_of("world", "world", "world = { times = 300, models = 5 }"),
    '[looks]\nrun = ["interventions", "passports"]',
)

PICTURES = {"interventions-1", "passports-windows", "passports-screens"}


def test_every_picture_is_drawn_and_no_name_runs(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    results = dict(run_study(path).results)
    assert [look["status"] for look in results["looks"]] == ["ok", "ok"]
    dom, console = open_page(browser, render_html(results), tmp_path)
    assert console == []
    assert_drawn(PICTURES, dom)


def test_a_crowd_is_drawn_by_its_parts(browser: str, tmp_path: Path) -> None:
    results = full()
    panel = results["panels"][0]
    few = [model["id"] for model in panel["models"]]
    panel["models"] = [{**deepcopy(panel["models"][0]), "id": f"model {i}"} for i in range(500)]
    users = [model["id"] for model in panel["models"]]
    for place, part in enumerate(panel["c1"]["components"]):
        part["models"] = users[: 500 - 3 * place]
    panel["c1"]["components"][0]["component"] = HOSTILE
    for index in ("c3", "c6"):  # of the few
        panel[index] = {"status": "failed", "reason": "x", "message": "no", "remedy": ""}
    panel["c2"]["clusters"] = []
    panel["c2"]["correlation"] = [[0.1] * 500 for _ in range(500)]
    assert len(few) < 60
    dom, console = open_page(browser, render_html(results), tmp_path)
    assert console == []
    assert_drawn({"parts-1", "map-1"}, dom)
    assert 'data-plot="graph-1"' not in dom
