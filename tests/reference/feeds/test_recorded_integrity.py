"""The screens on recorded venues: they find the traps that are there and pass clean histories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.feeds.recorded import (
    cross_venue_hourly,
    funding_2025,
    hourly_history,
    trade_tape,
)
from commonmode.core.ids import ModelId
from commonmode.core.units import HOUR_MS
from commonmode.market.integrity import (
    Verdict,
    clock_skew,
    copied_bars,
    frozen_bars,
    funding_cadence,
    funding_scale,
    label_phase,
    label_shift,
    lagging_prices,
    matched_pairs,
    partial_bars,
    round_sizes,
    size_tail,
    volume_beyond_depth,
    volume_without_moves,
)
from commonmode.register.model import Requirements
from commonmode.register.passport import data_passport

pytestmark = pytest.mark.recorded

COINS = ("BTC", "ETH", "SOL", "DOGE")


@pytest.mark.parametrize("coin", COINS)
def test_two_large_venues_pass(recorded_data: Path, coin: str) -> None:
    binance, bybit = (cross_venue_hourly(recorded_data, v, coin) for v in ("binance", "bybit"))
    for venue, peer in ((binance, bybit), (bybit, binance)):
        screens = (
            frozen_bars(venue),
            copied_bars(venue),
            partial_bars(venue),
            label_phase(venue.times_ms, HOUR_MS, subject=venue.instrument, phase_ms=0),
            label_shift(venue, peer),
            lagging_prices(venue, peer),
            volume_without_moves(venue, [peer]),
        )
        assert [s.sentence for s in screens if s.verdict is not Verdict.PASSED] == []


@pytest.mark.parametrize("coin", COINS)
def test_the_venue_with_stale_bars_is_found(recorded_data: Path, coin: str) -> None:
    lighter, binance = (cross_venue_hourly(recorded_data, v, coin) for v in ("lighter", "binance"))
    found = volume_without_moves(lighter, [binance])
    assert found.flagged
    assert found.statistic < 0.6 < 0.8 < found.threshold
    assert partial_bars(lighter).statistic > partial_bars(binance).statistic


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "XRP", "BNB"])
def test_four_years_of_hourly_bars_pass(recorded_data: Path, coin: str) -> None:
    history = hourly_history(recorded_data, coin)
    for screen in (frozen_bars(history), copied_bars(history), partial_bars(history)):
        assert screen.verdict is Verdict.PASSED, screen.sentence


def test_local_time_labelled_utc(recorded_data: Path) -> None:
    path = recorded_data / "cross_venue_8h_2023_2024" / "all_exchanges_8h_2023.parquet"
    rows = pl.read_parquet(path).filter(
        (pl.col("exchange") == "binance") & (pl.col("pair") == "BTCUSDT")
    )
    raw = rows["raw_time"].str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("ms").sort().to_numpy()
    found = label_phase(raw, 8 * HOUR_MS, subject="source's own labels", phase_ms=0)
    assert found.flagged
    assert "it changes on 2023-03-26, 2023-10-29" in found.sentence  # the UK's clock changes
    right = rows["ts_utc"].dt.epoch("ms").sort().to_numpy()
    assert not label_phase(right, 8 * HOUR_MS, subject="corrected", phase_ms=0).flagged


def test_three_hours_ahead_labelled_utc(recorded_data: Path) -> None:
    path = recorded_data / "funding_7venues_2020_2023" / "funding_2020_2022.parquet"
    rows = pl.read_parquet(path).filter(
        (pl.col("venue") == "binance") & (pl.col("pair") == "BTC-USDT")
    )
    text = rows["raw_time"].str.slice(0, 19)
    raw = text.str.to_datetime("%Y-%m-%d %H:%M:%S").dt.epoch("ms").sort().to_numpy()
    found = label_phase(raw, 8 * HOUR_MS, subject="binance", phase_ms=0)
    assert found.flagged
    assert found.statistic == 1.0
    assert "usual 3 h" in found.sentence


def test_funding_per_hour_and_per_eight(recorded_data: Path) -> None:
    series = {v: funding_2025(recorded_data, v, "BTC") for v in ("binance", "bybit", "hyperliquid")}
    for venue, one in series.items():
        peers = [other for name, other in series.items() if name != venue]
        assert not funding_cadence(one).flagged
        assert not funding_scale(one, peers).flagged
    hourly = series["hyperliquid"]
    assert funding_cadence(hourly, stated_ms=8 * HOUR_MS).flagged


@pytest.mark.parametrize("market", ["spot", "usdm", "cm"])
def test_tapes_of_one_venue(recorded_data: Path, market: str) -> None:
    tape = trade_tape(recorded_data, market, "BTC")
    clock = clock_skew(tape.event_ms, tape.local_ns, subject=market)
    assert clock.flagged
    assert clock.statistic == pytest.approx(1273, abs=3)
    tail = size_tail(tape.quantity, subject=market)
    assert tail.verdict is Verdict.PASSED
    assert 1.1 < tail.statistic < 1.8
    assert not matched_pairs(tape.quantity, tape.sign, subject=market, shuffles=199).flagged
    assert not round_sizes(tape.quantity, subject=market).flagged


def test_recorded_trades_took_what_was_shown(recorded_data: Path) -> None:
    folder = recorded_data / "binance_ticks_20240808"
    trades = pl.read_parquet(folder / "usdm_btcusdt_20240808_trades.parquet")
    quotes = pl.read_parquet(folder / "usdm_btcusdt_20240808_bookticker.parquet")
    quotes = quotes.sort("transact_ms")
    found = volume_beyond_depth(
        trades["trade_ms"].to_numpy(),
        trades["qty"].to_numpy(),
        np.where(trades["buyer_is_maker"].to_numpy(), -1, 1),
        quotes["transact_ms"].to_numpy(),
        quotes["bid_qty"].to_numpy(),
        quotes["ask_qty"].to_numpy(),
        subject="usdm",
    )
    assert found.verdict is Verdict.PASSED
    assert found.statistic < 0.005


def test_passport_of_a_year_of_bitcoin(recorded_data: Path) -> None:
    history = hourly_history(recorded_data, "BTC")
    year = data_passport(
        ModelId("historical"),
        Requirements(window=8760),
        history,
        source="Binance spot",
        stresses={"half in an hour": (-0.69, 0.8)},
    )
    assert year.end == "2024-06-01T00:00Z"
    assert not year.regimes.crash_in_window
    assert year.stresses[0].outside
    # Volatility remembers for weeks: a year of hours is worth some hundred days at most.
    low, high = year.effective_interval
    assert 30 < low < year.effective_size < high < 500
    everything = data_passport(
        ModelId("historical"), Requirements(), history, source="Binance spot"
    )
    assert everything.gaps == 10
    assert everything.regimes.worst_fall == everything.regimes.record_worst_fall > 0.2
    assert np.isfinite(everything.tail.index)
