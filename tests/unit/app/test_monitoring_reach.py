"""The monitor told by a study file: what it fixes beforehand, and what comes out of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from commonmode.app.report import render_html
from commonmode.app.report.monitoring_figures import monitoring_picture
from commonmode.app.study.look_settings import MonitoringLookSettings
from commonmode.app.study.run import run_study
from commonmode.converge.monitoring_settings import MonitoringSettings
from commonmode.core.errors import ConfigurationError
from small_studies import laboratory, model_of, panel_of, study_head, study_of

STUDY = study_of(
    study_head("watched"),
    laboratory(1700),
    model_of("slow", "ewma", "decay = 0.97, window = 200"),
    model_of("fast", "ewma", "decay = 0.9, window = 200"),
    model_of("hs", "historical-simulation", "window = 200"),
    panel_of("risk-1h", "risk", "train = 600"),
    "[indices]\nflips = 199\ndraws = 199",
)
FIXED = (
    "[looks.monitoring]\nbaseline_until = 2024-02-15T00:00:00Z\nfalse_alarms_per_year = 0.2\n"
    "windows = [3, 10]\nblock_rows = 6"
)


def monitored(folder: Path, *more: str) -> tuple[dict[str, Any], dict[str, Any]]:
    path = folder / "study.toml"
    path.write_text(study_of(STUDY, *more), encoding="utf-8")
    results = dict(run_study(path, looks=("monitoring",)).results)
    (look,) = results["panels"][0]["further"]
    return look, results


def test_a_study_fixes_what_its_monitor_rests_on(tmp_path: Path) -> None:
    look, results = monitored(tmp_path, FIXED)
    assert look["status"] == "ok"
    numbers = look["findings"][0]["numbers"]
    # Forecasts from 26 January 01:00 on, in quarters of a day, known by 15 February.
    assert numbers["baseline_blocks"] == 79.0
    assert numbers["expected_false_alarms"] == pytest.approx(0.2 * numbers["years"])
    (paths,) = look["tables"]
    assert paths["columns"] == ["index", "time_ms", "value", "low", "high", "p_value"]
    by: dict[str, list[list[Any]]] = {}
    for row in paths["rows"]:
        by.setdefault(row[0], []).append(row)
    assert set(by) == {"effective number", "co-failure ratio"}
    for rows in by.values():
        times = [row[1] for row in rows]
        assert times == sorted(set(times))
        assert {b - a for a, b in pairwise(times)} == {7 * 6 * 3_600_000}
    assert all(1.0 <= row[2] <= 3.0 for row in by["effective number"] if row[2] is not None)
    page = render_html(results)
    assert "Weighted indices since the end of the baseline" in page
    plot = monitoring_picture(look, 3)
    assert plot is not None
    lines = [one for one in plot["data"] if one["line"]["width"] > 0]
    assert [line["y"] for line in lines] == [[row[2] for row in rows] for rows in by.values()]
    alarms = [shape for shape in plot["layout"]["shapes"] if shape["line"].get("dash") != "dot"]
    assert len(alarms) == len(by) * len(look["rows"])


def test_a_baseline_outside_the_panel_is_said(tmp_path: Path) -> None:
    look, _ = monitored(tmp_path, "[looks.monitoring]\nbaseline_until = 2024-01-02")
    assert look["status"] == "failed"
    assert look["remedy"]
    assert monitoring_picture(look, 3) is None


def test_nothing_said_leaves_the_monitor_as_it_was() -> None:
    assert MonitoringLookSettings().settings() == MonitoringSettings()
    assert MonitoringLookSettings().baseline_until_ms is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline_until": "July"},
        {"windows": (14, 7)},
        {"windows": ()},
        {"false_alarms_per_year": 1.5},
        {"block_rows": 0},
        {"threshold": 3.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MonitoringLookSettings(**wrong)


def test_the_study_file_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"looks.monitoring.windows"):
        monitored(tmp_path, "[looks.monitoring]\nwindows = [0]")
