"""``commonmode converge --look``: on the screen, as JSON and in the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from commonmode.adapters.store.packed import pack_panel
from commonmode.converge.further import LOOKS
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world

CSV = Path(__file__).resolve().parents[3] / "examples" / "panel" / "panel.csv"


@pytest.fixture(scope="module")
def long_panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough for every look."""
    world = simulate_world(WorldConfig(times=1500, planted_share=0.5, planted_models=4), seed=4)
    scale = np.exp(0.3 * np.sin(np.arange(1500) / 100.0))[:, None]
    path = tmp_path_factory.mktemp("panel") / "world.panel"
    pack_panel(replace(panel_of_world(world, name="world"), scale=scale), path)
    return path


def test_without_it_results_are_what_they_were(cli) -> None:
    panel = cli("converge", "--panel", CSV, "--json").json["panels"][0]
    assert "further" not in panel


def test_every_look_in_json_as_published(cli, long_panel: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from commonmode.app.report.published import schema_text

    ran = cli("converge", "--panel", long_panel, "--look", "all", "--json")
    assert ran.code == 0
    jsonschema.Draft202012Validator(json.loads(schema_text())).validate(ran.json)
    looks = ran.json["panels"][0]["further"]
    assert tuple(look["name"] for look in looks) == LOOKS
    assert {look["status"] for look in looks} == {"ok"}
    by_name = {look["name"]: look for look in looks}
    assert by_name["bias"]["rows"][0][:2] == ["mean over models", "level"]
    assert len(by_name["herding"]["rows"]) == 8
    tables = {table["name"]: table["rows"] for table in by_name["propagation"]["tables"]}
    assert len(tables["net"]) == 8
    assert {row[1] for row in tables["grid"]} == {1, 6, 24}
    (paths,) = by_name["monitoring"]["tables"]
    assert {row[0] for row in paths["rows"]} == {"effective number", "co-failure ratio"}
    for look in looks:
        assert all(len(row) == len(look["columns"]) for row in look["rows"])
        assert look["findings"][0]["numbers"]
    bare = cli("converge", "--panel", long_panel, "--json").json
    assert ran.json["reproduce"] == bare["reproduce"] + " --look all"
    del ran.json["panels"][0]["further"]
    assert ran.json["panels"][0]["c2"] == bare["panels"][0]["c2"]


def test_screen_and_report(cli, long_panel: Path, tmp_path: Path) -> None:
    words = ("--look", "propagation", "--look", "bias", "--look-every", 2)
    ran = cli("converge", "--panel", long_panel, *words, "--out", tmp_path)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith(("bias:", "propagation:"))] == [
        "bias",
        "propagation",
    ]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Further looks" in page
    assert "Who follows whom (C5)" in page
    assert "minimum detectable" in page
    assert "Net directional spillover" in page
    assert "Connectedness by lags and horizon" in page
    again = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["reproduce"]
    assert again.endswith("--look propagation --look bias --look-every 2")


def test_what_a_panel_is_too_short_for_is_named_and_nothing_failed(cli) -> None:
    ran = cli("converge", "--panel", CSV, "--look", "tail", "--look", "bias", "--json")
    assert ran.code == 0
    assert ran.json["failures"] == []
    bias, tail = ran.json["panels"][0]["further"]
    assert tail["reason"] == "missing_data"
    assert "use a level" in tail["remedy"]
    assert (bias["status"], tail["status"]) == ("ok", "failed")
    mended = cli("converge", "--panel", CSV, "--look", "tail", "--tail-level", 0.1, "--json")
    assert mended.code == 0
    assert mended.json["reproduce"].endswith("--look tail --tail-level 0.1")


def test_the_baseline_is_stated_by_date(cli, long_panel: Path) -> None:
    words = ("--look", "monitoring", "--baseline-until", "1970-02-05")
    ran = cli("converge", "--panel", long_panel, *words, "--json")
    assert ran.code == 0
    (look,) = ran.json["panels"][0]["further"]
    assert look["findings"][0]["numbers"]["baseline_blocks"] == 35
    assert ran.json["reproduce"].endswith("--look monitoring --baseline-until 1970-02-05T00:00Z")


def test_a_bad_name_or_date_gives_the_remedy(cli) -> None:
    ran = cli("converge", "--panel", CSV, "--look", "biass")
    assert ran.code == 2
    assert ran.out == ""
    assert "there is no look called 'biass'" in ran.err
    assert "remedy: use one of bias, propagation," in ran.err
    ran = cli("converge", "--panel", CSV, "--look", "monitoring", "--baseline-until", "July")
    assert ran.code == 2
    assert "'July' is not a time" in ran.err
    assert "remedy:" in ran.err
