"""Models that fail and markets that are broken: the cell is marked, the rest finishes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from chain_tables import chain_table
from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.core.ids import CurrencyCode

HEAD = """
[study]
name = "s"
title = "A study"
seed = 1
"""

LABORATORY = """
[market]
source = "laboratory"
underlyings = ["BTC"]
start = 2024-01-01T00:00:00Z
hours = 1000
"""

RISK_MODELS = """
[[models]]
id = "hs"
type = "historical-simulation"
options = { window = 200 }

[[models]]
id = "ewma"
type = "ewma"

[[models]]
id = "ewma-slow"
type = "ewma"
options = { decay = 0.99 }
"""

RISK_PANEL = """
[[panels]]
name = "risk"
family = "risk"
train = 600
"""

PLUG_IN = '''
"""A model that never calibrates, and one that raises."""

from dataclasses import dataclass

from commonmode.core.result import Failure, FailureReason
from commonmode.register import Card, ModelFamily, Requirements


@dataclass(frozen=True)
class NeverCalibrates:
    id: str

    @property
    def requires(self):
        return Requirements(("close",), 100, 24)

    @property
    def card(self):
        return Card(model=self.id, family=ModelFamily.RISK)

    def calibrate(self, history):
        return Failure(FailureReason.CALIBRATION_FAILED, "no minimum found", "loosen the bounds")


class Raises(NeverCalibrates):
    def calibrate(self, history):
        return 1.0 / 0.0
'''


@pytest.fixture
def plug_in(install: Callable[..., None]) -> None:
    """A package with two broken models, registered by entry point."""
    install("failing_models", PLUG_IN, {"never": "NeverCalibrates", "raises": "Raises"})


def run(cli, folder: Path, text: str) -> tuple[int, dict]:
    (folder / "study.toml").write_text(text)
    ran = cli("run", folder, "--workers", 1, "--json", "--out", folder / "out")
    return ran.code, ran.json


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(
    ("kind", "reason", "words"),
    [
        ("never", "calibration_failed", "no minimum found"),
        ("raises", "calculation_failed", "division by zero"),
    ],
)
def test_a_model_that_fails_leaves_the_others_as_they_are(
    kind: str, reason: str, words: str, cli, tmp_path: Path
) -> None:
    good = HEAD + LABORATORY + RISK_MODELS + RISK_PANEL
    broken = good.replace("[[panels]]", f'[[models]]\nid = "bad"\ntype = "{kind}"\n\n[[panels]]')
    code, results = run(cli, tmp_path, broken)
    assert code == 1
    assert [failure["where"] for failure in results["failures"]] == ["risk bad"]
    assert results["failures"][0]["reason"] == reason
    assert words in results["failures"][0]["message"]
    panel = results["panels"][0]
    assert {cell["model"] for cell in panel["failed_cells"]} == {"bad"}
    assert sum(cell["count"] for cell in panel["failed_cells"]) == panel["times"]
    without, clean = run(cli, tmp_path, good)
    assert without == 0
    plain = clean["panels"][0]
    for index in ("models", "c1", "c2", "c3", "c6", "benchmark"):
        assert panel[index] == plain[index]
    said = [finding["sentence"] for finding in panel["findings"]]
    assert any("bad answered at 0 % of the times" in sentence for sentence in said)


# ---- option chains with every fault there is -----------------------------------------------------

SURFACE = """
[market]
source = "files"
underlyings = ["BTC"]

[[market.chains]]
underlying = "BTC"
path = "chains.csv"
venue = "mine"
settlement = "coin"
volatility = "decimal"

[market.chains.columns]
time = "time"
expiry = "expiry"
strike = "strike"
type = "type"
forward = "forward"
index = "index"
bid = "bid"
ask = "ask"
mark = "mark"
bid_iv = "bid_iv"
ask_iv = "ask_iv"
mark_iv = "mark_iv"

[[models]]
id = "flat"
type = "flat-black"

[[models]]
id = "sticky"
type = "sticky-strike"

[[models]]
id = "svi"
type = "svi"

[[panels]]
name = "surface"
family = "surface"
start = 2024-01-02T00:00:00Z
end = 2024-01-03T06:00:00Z

[[panels]]
name = "world"
family = "world"
world = { times = 300 }
"""
HOURS = 31
PRICES = ("bid", "ask", "mark", "bid_iv", "ask_iv", "mark_iv")


@pytest.fixture(scope="module")
def chains() -> pl.DataFrame:
    feed = LaboratoryFeed.simulate(datetime(2024, 1, 1, tzinfo=UTC), 100, seed=5, steps_per_hour=12)
    times = feed.snapshot_times("2024-01-02T00:00Z", "2024-01-03T06:00Z")
    coin = CurrencyCode("BTC")
    tables = pl.concat(chain_table(snapshot, coin) for snapshot in feed.snapshots(times, (coin,)))
    return tables.with_columns(pl.selectors.float().fill_nan(None))


def at_hour(chains: pl.DataFrame, hour: int) -> pl.Expr:
    return pl.col("time") == chains["time"].unique().sort()[hour]


def damaged(chains: pl.DataFrame, fault: str) -> pl.DataFrame:
    """The chains with one fault at hour 5 (everywhere for "everywhere NaN")."""
    here = at_hour(chains, 5)
    none = pl.lit(None, pl.Float64)
    if fault == "no chain":
        return chains.filter(~here)
    if fault == "NaN":
        return chains.with_columns(pl.when(here).then(none).otherwise(p).alias(p) for p in PRICES)
    if fault == "crossed":
        return chains.with_columns(
            bid=pl.when(here).then("ask").otherwise("bid"),
            ask=pl.when(here).then("bid").otherwise("ask"),
            bid_iv=pl.when(here).then("ask_iv").otherwise("bid_iv"),
            ask_iv=pl.when(here).then("bid_iv").otherwise("ask_iv"),
        )
    if fault == "zero":
        return chains.with_columns(pl.when(here).then(0.0).otherwise(p).alias(p) for p in PRICES)
    if fault == "no forward":
        return chains.with_columns(forward=pl.when(here).then(none).otherwise("forward"))
    raise AssertionError(fault)


@pytest.mark.parametrize("fault", ["no chain", "NaN", "crossed", "zero", "no forward"])
def test_a_bad_chain_costs_its_own_cells_only(
    fault: str, chains: pl.DataFrame, cli, tmp_path: Path
) -> None:
    damaged(chains, fault).write_csv(tmp_path / "chains.csv")
    code, results = run(cli, tmp_path, HEAD + SURFACE)
    surface, world = results["panels"]
    assert code == 0
    assert results["failures"] == []
    assert surface["c2"]["status"] == world["c2"]["status"] == "ok"
    assert world["c3"]["status"] == "ok"
    assert 25 <= surface["c2"]["rows"] <= HOURS - 1
    notes = " ".join(surface["notes"])
    if fault in ("NaN", "zero", "no forward"):  # neither forecast nor outcome: noted, not filled in
        assert "18 cells of 30 x 9 have no quote in their bucket; not filled" in notes
    if fault == "crossed":  # models that read bids and asks lose those cells, with the reason
        assert "quotes with the bid above the ask" in notes
        assert {cell["model"] for cell in surface["failed_cells"]} == {"sticky", "svi"}
        assert all(cell["message"] and cell["remedy"] for cell in surface["failed_cells"])
    if fault == "no chain":
        assert surface["times"] == HOURS - 3
        assert "2024-01-02T05:00" in notes


def test_chains_that_are_nothing_but_gaps(chains: pl.DataFrame, cli, tmp_path: Path) -> None:
    none = pl.lit(None, pl.Float64)
    chains.with_columns(none.alias(price) for price in PRICES).write_csv(tmp_path / "chains.csv")
    code, results = run(cli, tmp_path, HEAD + SURFACE)
    assert code == 1
    assert {failure["where"].split()[0] for failure in results["failures"]} == {"surface"}
    assert all(failure["remedy"] for failure in results["failures"])
    assert results["panels"][-1]["name"] == "world"
    assert results["panels"][-1]["c2"]["status"] == "ok"


def test_table_without_rows_or_cut_in_half(chains: pl.DataFrame, cli, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(HEAD + SURFACE)
    chains.clear().write_csv(tmp_path / "chains.csv")
    empty = cli("run", tmp_path, "--workers", 1)
    assert empty.code == 2
    assert "chains.csv has no rows" in empty.err
    whole = tmp_path / "chains.parquet"
    chains.write_parquet(whole)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "study.toml").write_text(HEAD + SURFACE.replace("chains.csv", "chains.parquet"))
    half = cli("run", tmp_path, "--workers", 1)
    assert half.code == 2
    assert "chains.parquet" in half.err
    assert "remedy:" in half.err
    assert "Traceback" not in half.err
