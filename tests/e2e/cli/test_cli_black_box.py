"""A model of which only the forecasts are known takes part in a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.app.study.run import run_study

STUDY = """
[study]
name = "boxes"
title = "A black box among models"
seed = 2

[market]
source = "laboratory"
underlyings = ["BTC", "ETH"]
start = 2024-01-01T00:00:00Z
hours = 3600

[[models]]
id = "hs"
type = "historical-simulation"
options = { window = 200 }

[[models]]
id = "ewma"
type = "ewma"

[[models]]
id = "box"
type = "black-box"
forecasts = "forecasts.csv"
owner = "somebody else"

[models.components.vendor]
"risk vendor" = 1.0

[[panels]]
name = "risk"
family = "risk"
train = 600
"""


@pytest.fixture
def forecasts(write: Callable[[str], Path], tmp_path: Path) -> pl.DataFrame:
    """What the model ``ewma`` says, as its owner would hand it over."""
    text = STUDY
    start, end = text.index('[[models]]\nid = "box"'), text.index("[[panels]]")
    panel = run_study(write(text[:start] + text[end:])).analyses[0].panel
    feed = LaboratoryFeed.simulate("2024-01-01T00:00:00Z", 3600, seed=2, steps_per_hour=12)
    column = panel.models.index("ewma")
    frames = [
        pl.DataFrame(
            {
                "time": panel.times_ms,
                "instrument": [feed.history(coin).instrument] * len(panel.times_ms),
                "horizon": [1] * len(panel.times_ms),
                "level": [0.025] * len(panel.times_ms),
                "quantile": panel.forecast[:, k, column],
            }
        )
        for k, coin in enumerate(panel.targets)
    ]
    return pl.concat(frames)


def test_the_box_says_what_its_file_says(
    cli, write: Callable[[str], Path], forecasts: pl.DataFrame, tmp_path: Path
) -> None:
    forecasts.write_csv(tmp_path / "forecasts.csv")
    ran = cli("run", write(STUDY), "--workers", 1, "--json", "--out", tmp_path / "out")
    assert ran.code == 0
    panel = ran.json["panels"][0]
    assert panel["failed_cells"] == []
    correlation = np.array(panel["c2"]["correlation"])
    assert correlation[1, 2] == pytest.approx(
        1.0, abs=1e-12
    )  # it is the same model under another name
    card = next(card for card in ran.json["cards"] if card["model"] == "box")
    assert card["owner"] == "somebody else"
    assert card["components"]["vendor"] == {"risk vendor": 1.0}


def test_what_the_file_leaves_out_is_a_failed_cell(
    cli, write: Callable[[str], Path], forecasts: pl.DataFrame, tmp_path: Path
) -> None:
    forecasts.with_row_index().filter(pl.col("index") != 40).drop("index").write_csv(
        tmp_path / "forecasts.csv"
    )
    ran = cli("run", write(STUDY), "--workers", 1, "--json", "--out", tmp_path / "out")
    assert ran.code == 0
    (cell,) = ran.json["panels"][0]["failed_cells"]
    assert (cell["model"], cell["target"], cell["count"]) == ("box", "BTC", 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("quantile").alias("quantil"), ["'quantile'", "'quantil'"]),
        ((-pl.col("quantile")).alias("quantile"), ["negative", "turn the sign"]),
        ((pl.col("horizon") + 0.5).alias("horizon"), ["horizon", "whole bars"]),
        ((pl.col("level") * 100).alias("level"), ["level", "0.025"]),
    ],
)
def test_wrong_file(
    change: pl.Expr,
    words: list[str],
    cli,
    write: Callable[[str], Path],
    forecasts: pl.DataFrame,
    tmp_path: Path,
) -> None:
    table = forecasts.with_columns(change)
    if "quantil" in table.columns:
        table = table.drop("quantile")
    table.write_csv(tmp_path / "forecasts.csv")
    ran = cli("run", write(STUDY), "--workers", 1)
    assert ran.code == 2
    assert "forecasts.csv" in ran.err
    assert "remedy:" in ran.err
    for word in words:
        assert word in ran.err


def test_no_file(cli, write: Callable[[str], Path]) -> None:
    ran = cli("run", write(STUDY), "--workers", 1)
    assert ran.code == 2
    assert "forecasts.csv" in ran.err
    assert "check the path" in ran.err
