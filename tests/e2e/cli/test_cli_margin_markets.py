"""``commonmode margin`` on markets and surfaces that are broken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from margin_questions import GOOD, PUT, asked, by_name, margin_study

from chain_tables import chain_table
from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.core.ids import CurrencyCode

FILES = """
[market]
source = "files"
underlyings = ["BTC", "ETH"]
"""
CHAIN = """
[[market.chains]]
underlying = "{coin}"
path = "{coin}.csv"
venue = "mine"
settlement = "coin"
volatility = "decimal"
columns = {{ {columns} }}
"""
COLUMNS = (
    "time", "quote_time", "name", "expiry", "strike", "type", "forward", "index",
    "bid", "ask", "mark", "bid_iv", "ask_iv", "mark_iv",
)  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> dict[str, pl.DataFrame]:
    feed = LaboratoryFeed.simulate(
        datetime(2023, 11, 1, tzinfo=UTC), 2500, seed=3, steps_per_hour=12
    )
    times = feed.snapshot_times("2024-02-10T00:00Z", "2024-02-10T00:00Z")
    coins = (CurrencyCode("BTC"), CurrencyCode("ETH"))
    (snapshot,) = feed.snapshots(times, coins)
    return {
        coin: chain_table(snapshot, coin).with_columns(pl.selectors.float().fill_nan(None))
        for coin in coins
    }


def files_study(folder: Path, tables: dict[str, pl.DataFrame]) -> Path:
    columns = ", ".join(f'{name} = "{name}"' for name in COLUMNS)
    for coin, table in tables.items():
        table.write_csv(folder / f"{coin}.csv")
    chains = "".join(CHAIN.format(coin=coin, columns=columns) for coin in tables)
    (folder / "study.toml").write_text(margin_study(FILES + chains))
    return folder / "study.toml"


FAULTS = {
    # An hour old where ten minutes are allowed; without a forward; without an index.
    "stale": ("stale_data", "s old, 600 s are allowed"),
    "no forward": ("missing_data", "forward"),
    "no index": ("missing_data", "ETH"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_feed_harms_who_depends_on_it(
    fault: str, cli, tmp_path: Path, tables: dict[str, pl.DataFrame]
) -> None:
    reason, word = FAULTS[fault]
    words = ("--method", "pm2", "--method", "standard", "--method", "deribit")
    option = str(tables["ETH"].filter(pl.col("expiry") == pl.col("expiry").max())["name"][40])
    holder = f'[[accounts]]\nid = "holder"\ncash = 9e3\npositions = {{ "{option}" = -1 }}\n'
    study = files_study(tmp_path, tables)
    _, plain = asked(cli, study, GOOD + holder, *words)
    assert all(cell["failure"] is None for cell in by_name(plain)["holder"].values())
    none = pl.lit(None, pl.Float64)
    broken = {
        "stale": {"quote_time": pl.col("quote_time") - 3_600_000},
        "no forward": {"forward": none},
        "no index": {"index": none},
    }[fault]
    files_study(tmp_path, {**tables, "ETH": tables["ETH"].with_columns(**broken)})
    code, value = asked(cli, study, GOOD + holder, *words)
    assert code == 1
    accounts, before = by_name(value), by_name(plain)
    for cell in accounts.pop("holder").values():
        assert cell["failure"]["reason"] == reason
        assert word in cell["failure"]["message"]
        assert cell["failure"]["remedy"]
    del before["holder"]
    assert accounts == before


NEGATIVE = '''
"""A surface whose variance is negative below a strike."""

from dataclasses import dataclass, replace

import numpy as np

from commonmode.core.result import Success
from commonmode.pricing import FlatBlack


@dataclass(frozen=True)
class Fitted:
    inner: object

    def implied_vol(self, strike, years, forward, expiry_ms):
        vol = self.inner.implied_vol(strike, years, forward, expiry_ms)
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.where(np.asarray(strike) < 35000.0, -0.01, vol * vol))


@dataclass(frozen=True)
class Negative(FlatBlack):
    def calibrate(self, chain):
        found = super().calibrate(chain)
        return Success(Fitted(found.value)) if isinstance(found, Success) else found
'''


def test_a_surface_of_negative_variance(cli, study: Path, install: Callable[..., None]) -> None:
    """The account whose option has no volatility fails; who holds others does not."""
    install("negative_surface", NEGATIVE, {"negative": "Negative"})
    text = study.read_text().replace('type = "flat-black"', 'type = "negative"')
    study.write_text(text)
    code, value = asked(cli, study, GOOD, "--marks", "flat")
    assert code == 1
    accounts = by_name(value)
    for cell in accounts["strangle"].values():
        assert PUT in cell["failure"]["message"]
    alone = GOOD[GOOD.index('[[accounts]]\nid = "covered"') :]
    _, plain = asked(cli, study, alone, "--marks", "flat")
    assert accounts["covered"] == by_name(plain)["covered"]
    assert all(cell["failure"] is None for cell in accounts["covered"].values())
    # As one model among others it has no opinion on that put, and harms no margin.
    code, value = asked(cli, study, GOOD, "--marks", "svi", "--no-thresholds")
    assert code == 0
    for cell in by_name(value)["strangle"].values():
        assert cell["initial_by_model"]["flat"] is None
        assert cell["initial"] > 0
