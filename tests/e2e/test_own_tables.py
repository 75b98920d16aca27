"""A study on a user's own tables, through a column mapping."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from chain_tables import chain_table
from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.app.study.run import run_study
from commonmode.core.errors import CommonmodeError

START = datetime(2024, 1, 1, tzinfo=UTC)

STUDY = """
[study]
name = "mine"
title = "My own tables"
seed = 3

[market]
source = "files"
underlyings = ["BTC"]

[[market.histories]]
underlying = "BTC"
path = "bars.csv"
label = "open"
columns = {{ time = "when", open = "o", high = "h", low = "l", close = "{close}" }}

[[market.chains]]
underlying = "BTC"
path = "chains.parquet"
venue = "mine"
settlement = "coin"
volatility = "percent"
columns = {{ time = "t", expiry = "exp", strike = "k", type = "cp", forward = "fwd", \
mark_iv = "vol", index = "spot", bid = "b", ask = "a", mark = "m", bid_iv = "bv", ask_iv = "av" }}

[[models]]
id = "hs"
type = "historical-simulation"
options = {{ window = 200 }}

[[models]]
id = "ewma"
type = "ewma"

[[models]]
id = "flat"
type = "flat-black"

[[models]]
id = "svi"
type = "svi"

[[panels]]
name = "risk"
family = "risk"
train = 600

[[panels]]
name = "surface"
family = "surface"
start = 2024-01-02T00:00:00Z
end = 2024-01-02T20:00:00Z
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The laboratory's market written down as somebody else's files would be."""
    feed = LaboratoryFeed.simulate(START, 3600, seed=5, steps_per_hour=12)
    bars = feed.history("BTC")
    pl.DataFrame(
        {
            "when": bars.times_ms - bars.step_ms,
            "o": bars.column("open"),
            "h": bars.column("high"),
            "l": bars.column("low"),
            "c": bars.column("close"),
        }
    ).write_csv(tmp_path / "bars.csv")
    times = feed.snapshot_times("2024-01-02T00:00Z", "2024-01-02T20:00Z")
    frames = [
        chain_table(snapshot, "BTC").select(
            t="time", exp="expiry", k="strike", cp="type", fwd="forward", spot="index",
            vol=pl.col("mark_iv") * 100, bv=pl.col("bid_iv") * 100, av=pl.col("ask_iv") * 100,
            b="bid", a="ask", m="mark",
        )
        for snapshot in feed.snapshots(times, ("BTC",))
    ]  # fmt: skip
    pl.concat(frames).write_parquet(tmp_path / "chains.parquet")
    (tmp_path / "study.toml").write_text(STUDY.format(close="c"))
    return tmp_path


def test_study_on_own_tables(folder: Path) -> None:
    results = run_study(folder).results
    assert results["failures"] == []
    assert results["study"]["data_line"] == "tables of your own: bars.csv, chains.parquet"
    risk, surface = results["panels"]
    assert [m["id"] for m in risk["models"]] == ["hs", "ewma"]
    assert risk["times"] > 500
    assert surface["times"] == 20
    assert risk["c2"]["status"] == risk["c6"]["status"] == surface["c6"]["status"] == "ok"
    # On this market SVI reads what the benchmarks are made of; only flat Black stands apart.
    assert surface["c2"]["reason"] == "not_applicable"


def test_wrong_column_names_the_table_and_what_it_has(folder: Path) -> None:
    (folder / "study.toml").write_text(STUDY.format(close="closing"))
    with pytest.raises(CommonmodeError, match="closing") as caught:
        run_study(folder)
    assert "bars.csv" in str(caught.value)
