"""``commonmode calibrate`` on the laboratory's market."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from small_studies import HALF_A_DAY, laboratory, model_of, panel_of, study_head, study_of

STUDY = study_of(
    study_head("smiles", "Smiles <b>of the laboratory</b>"),
    laboratory(72),
    model_of("flat", "flat-black"),
    model_of("svi", "svi"),
    model_of("greedy", "svi", "min_quotes = 5000"),
    panel_of("surface", "surface", HALF_A_DAY),
)


@pytest.fixture
def study(write: Callable[[str], Path]) -> Path:
    return write(STUDY)


def test_fits_residuals_and_failures(cli, study: Path) -> None:
    ran = cli("calibrate", study, "--json")
    assert ran.code == 1  # one model cannot be fitted, and says why
    assert ran.json["snapshot"] == "2024-01-02T00:00Z"
    flat, svi, greedy = ran.json["models"]
    assert greedy["status"] == "failed"
    assert greedy["remedy"]
    assert svi["inside"] > flat["inside"]
    for piece in svi["slices"]:
        assert piece["status"] == "ok"
        assert piece["rmse"] < 0.05
        np.testing.assert_allclose(piece["vol"], np.abs(piece["vol"]))
        assert set(piece["parameters"]) >= {"a", "b", "rho", "m", "sigma"}
    # A flat smile has a density: g is one minus the square of total volatility over four.
    for piece, quotes in zip(flat["slices"], ran.json["expiries"], strict=True):
        w = piece["vol"][60] ** 2 * quotes["years"]
        np.testing.assert_allclose(piece["g"][60], 1.0, atol=max(w, 1e-3))


def test_page_escapes_names_and_asks_nothing_of_the_network(
    cli, study: Path, tmp_path: Path
) -> None:
    ran = cli("calibrate", study, "--models", "flat,svi", "--out", tmp_path / "page")
    assert ran.code == 0
    page = (tmp_path / "page" / "calibration.html").read_text()
    assert "<b>of the laboratory" not in page
    assert 'id="plot-smiles"' in page
    assert "https://cdn" not in page.split("<script>")[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--models", "svy"], "flat, svi, greedy"),
        (["--underlying", "DOGE"], "DOGE"),
        (["--at", "2031-01-01T00:00Z"], "it runs from"),
        (["--at", "soon"], "2023-04-12"),
    ],
)
def test_bad_requests_name_the_remedy(cli, study: Path, words: list[str], says: str) -> None:
    ran = cli("calibrate", study, *words)
    assert ran.code == 2
    assert says in ran.err
    assert "remedy:" in ran.err


PEOPLE = """
[[models]]
id = "hs"
type = "historical-simulation"

[population]
snapshot = 2024-01-02T00:00:00Z
desk = 2
"""


def test_recalibration_along_the_path(cli, write: Callable[[str], Path]) -> None:
    without_greedy = STUDY.replace("min_quotes = 5000", "min_quotes = 6")
    path = write(without_greedy.replace("[[panels]]", PEOPLE + "\n[[panels]]"))
    ran = cli("calibrate", path, "--path", "--json")
    assert ran.code == 0
    assert ran.json["positions"] > 10
    assert len(ran.json["snapshots"]) == 13
    flat, svi, same = ran.json["models"]
    for model in (flat, svi, same):
        assert model["total"] == pytest.approx(model["market"] + model["recalibration"])
        assert model["steps"] == 12
        assert 0 <= model["reversed_share"] <= 1
    assert svi | {"id": ""} == same | {"id": ""}  # the same model under another name
    assert cli("calibrate", path, "--path", "--book", "nobody").code == 2


def test_path_needs_a_population(cli, study: Path) -> None:
    ran = cli("calibrate", study, "--path")
    assert ran.code == 2
    assert "[population]" in ran.err
