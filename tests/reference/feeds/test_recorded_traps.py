"""Every trap of the recorded data is survived or reported (the table is in docs/data.md)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.feeds.deribit_json import chain_from_book_summary, read_deribit_json
from commonmode.adapters.feeds.recorded import (
    DeribitOptionsFeed,
    benchmark_returns,
    btc_daily,
    cross_venue_8h,
    cross_venue_hourly,
    daily_prices,
    dvol_daily,
    funding_2020_2022,
    funding_2025,
    hourly_history,
    multi_asset_hourly,
    single_date_chain,
    stablecoin_peg,
    trade_tape,
)
from commonmode.core.errors import DataError
from commonmode.core.units import HOUR_MS, CoinArray
from commonmode.market.bars import stale_runs
from commonmode.market.chain import QuoteFlag
from commonmode.market.clock import utc_ms
from commonmode.market.history import History
from commonmode.market.snapshot import DataNote, Snapshot

pytestmark = pytest.mark.recorded

SPAN = ("2023-04-12T11:00Z", "2023-04-13T23:00Z")


@pytest.fixture(scope="module")
def snapshots(recorded_data: Path) -> list[Snapshot]:
    feed = DeribitOptionsFeed(recorded_data)
    return list(feed.snapshots(feed.snapshot_times(*SPAN)))


def codes(notes: tuple[DataNote, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for note in notes:
        found[note.code] = found.get(note.code, 0) + note.count
    return found


def test_hourly_snapshots_of_both_coins(snapshots: list[Snapshot]) -> None:
    assert len(snapshots) == 36  # 37 full hours, of which 08:00 on 13 April was not recorded
    assert utc_ms("2023-04-13T08:00Z") not in [s.time_ms for s in snapshots]
    assert {len(s.chains) for s in snapshots} == {2}
    assert all(600 < len(s.chain("BTC")) < 740 for s in snapshots)


def test_quotes_of_a_snapshot_are_up_to_146_s_apart(snapshots: list[Snapshot]) -> None:
    spans = [np.ptp(c.quote_ms) for s in snapshots for c in s.chains.values()]
    assert min(spans) > 50_000
    assert max(spans) < 146_000
    assert all("asynchronous_quotes" in codes(s.notes) for s in snapshots)
    # Each quote keeps its own forward: one expiry has several within one snapshot.
    chain = snapshots[0].chain("BTC")
    expiry = chain.expiry_ms == np.unique(chain.expiry_ms)[2]
    assert len(np.unique(chain.forward[expiry])) > 3


def test_quotes_are_stamped_after_the_nominal_time(snapshots: list[Snapshot]) -> None:
    late = [(c.quote_ms - s.time_ms).max() for s in snapshots for c in s.chains.values()]
    assert min(late) > 0  # nothing here is known at time_ms: a forecast starts from quote_ms


def test_prices_are_coin_and_volatilities_decimals(snapshots: list[Snapshot]) -> None:
    for snapshot in snapshots:
        for chain in snapshot.chains.values():
            assert isinstance(chain.mark, CoinArray)
            near = np.abs(chain.log_moneyness) < 0.05
            assert np.all((chain.mark_iv[near] > 0.2) & (chain.mark_iv[near] < 2.0))


def test_bid_of_zero_is_no_bid(recorded_data: Path, snapshots: list[Snapshot]) -> None:
    time = snapshots[0].time_ms
    path = recorded_data / "deribit_options_5min_202304" / "btc_options_top.parquet"
    raw = pl.read_parquet(path, columns=["snapshot_ts", "best_bid_price", "best_ask_price"])
    raw = raw.filter(pl.col("snapshot_ts").dt.epoch("ms") == time)
    chain = snapshots[0].chain("BTC")
    no_bid = (chain.flags & QuoteFlag.NO_BID) != 0
    no_ask = (chain.flags & QuoteFlag.NO_ASK) != 0
    assert no_bid.sum() == (raw["best_bid_price"] == 0).sum() > 0
    assert no_ask.sum() == (raw["best_ask_price"] == 0).sum() > 0
    np.testing.assert_array_equal(no_bid, np.isnan(chain.bid.values))


def test_volatility_sentinels_are_nan(snapshots: list[Snapshot]) -> None:
    for snapshot in snapshots:
        assert codes(snapshot.notes)["bid_iv_sentinel"] > 0
        for chain in snapshot.chains.values():
            assert not np.any(chain.bid_iv == 0)
            assert not np.any(chain.ask_iv >= 3.0)


def test_marks_are_rounded_and_zero_marks_are_noted(snapshots: list[Snapshot]) -> None:
    chain = snapshots[0].chain("BTC")
    units = chain.mark.values / 1e-4
    np.testing.assert_allclose(units, np.round(units), atol=1e-6)
    zero = int((chain.mark.values == 0).sum())
    assert zero > 0
    assert codes(snapshots[0].notes)["rounded_mark"] >= zero
    assert np.all(chain.mark_iv[chain.mark.values == 0] > 0)


def test_nothing_is_crossed_or_expired_in_the_recording(snapshots: list[Snapshot]) -> None:
    bad = QuoteFlag.CROSSED | QuoteFlag.EXPIRED | QuoteFlag.NOT_FINITE | QuoteFlag.NO_FORWARD
    for snapshot in snapshots:
        assert all(not np.any(c.flags & int(bad)) for c in snapshot.chains.values())


def test_gap_that_swallows_an_expiry(recorded_data: Path, snapshots: list[Snapshot]) -> None:
    after = next(s for s in snapshots if s.time_ms == utc_ms("2023-04-13T09:00Z"))
    assert codes(after.notes)["expiry_in_gap"] == 32 + 26
    feed = DeribitOptionsFeed(recorded_data)
    asked = [utc_ms(f"2023-04-13T{hour:02}:00Z") for hour in (7, 8, 9)]
    served = list(feed.snapshots(asked))
    assert [s.time_ms for s in served] == [asked[0], asked[2]]
    assert codes(served[1].notes)["missing_snapshots"] == 1
    missing = codes(feed.coverage("2023-04-12T10:40Z", "2023-04-13T23:55Z"))
    assert missing == {"missing_snapshots": 3 + 11 + 12}  # BTC loses 3 more single snapshots


def test_coin_that_is_missing_at_a_time(recorded_data: Path) -> None:
    feed = DeribitOptionsFeed(recorded_data)
    (snapshot,) = feed.snapshots([utc_ms("2023-04-13T08:55Z")])
    assert list(snapshot.chains) == ["BTC"]
    assert codes(snapshot.notes)["missing_chain"] == 1


def test_times_outside_the_recording(recorded_data: Path) -> None:
    feed = DeribitOptionsFeed(recorded_data)
    with pytest.raises(DataError, match="none of the 1 snapshot times") as caught:
        feed.snapshots([utc_ms("2024-01-01")])
    assert "2023-04-12T10:40Z" in caught.value.remedy
    with pytest.raises(DataError, match="'SOL'"):
        feed.snapshots([utc_ms("2023-04-13")], ("SOL",))


def test_hourly_history_has_ten_gaps(recorded_data: Path) -> None:
    history = hourly_history(recorded_data, "BTC")
    gaps = [note for note in history.notes if note.code == "gap"]
    assert (len(history), len(gaps), sum(note.count for note in gaps)) == (32_380, 10, 20)
    # One return is NaN per gap, and the first.
    assert np.isnan(history.log_returns).sum() == 11
    until = hourly_history(recorded_data, "BTC", None, "2023-04-14")
    assert len(until) == 22_444  # 22 443 returns, of which ten span a gap


def test_hourly_label_is_the_open_of_the_bar(
    recorded_data: Path, snapshots: list[Snapshot]
) -> None:
    """Deribit's index minutes after the hour lies by the open of that hour's bar."""
    history = hourly_history(recorded_data, "BTC", *SPAN)
    misses: dict[int, list[float]] = {0: [], 1: []}
    for snapshot in snapshots:
        chain = snapshot.chain("BTC")
        index = chain.index[np.argmin(chain.quote_ms)]
        row = int(np.searchsorted(history.times_ms, snapshot.time_ms))
        for later in misses:
            if row + later < len(history):
                # The bar that ends at the snapshot's time closes near the index.
                misses[later].append(abs(np.log(history.column("close")[row + later] / index)))
    assert np.median(misses[0]) < 0.6 * np.median(misses[1])


@pytest.mark.parametrize(("name", "rows"), [("eth_20240108", 684), ("btc_20251205", 676)])
def test_single_date_chains_keep_parity(recorded_data: Path, name: str, rows: int) -> None:
    snapshot = single_date_chain(recorded_data, name)
    (chain,) = snapshot.chains.values()
    assert len(chain) == rows
    mark = {}
    for i, label in enumerate(chain.names.tolist()):
        parity = 1 - chain.strike[i] / chain.forward[i]
        mark[label] = chain.mark.values[i] - (parity if chain.sign[i] > 0 else 0.0)
    # C - (1 - K/F) = P; the provenance states a median gap of 1e-5.
    gaps = [abs(m - mark[n[:-1] + "P"]) for n, m in mark.items() if n.endswith("C")]
    assert np.median(gaps) < 2e-5


def test_chain_without_a_time_tells_it_by_its_rounded_years(recorded_data: Path) -> None:
    snapshot = single_date_chain(recorded_data, "btc_20251205")
    # The provenance puts it between 01:08 and 01:13.
    assert utc_ms("2025-12-05T01:10:38Z") < snapshot.time_ms < utc_ms("2025-12-05T01:11:05Z")
    assert codes(snapshot.notes)["time_inferred"] == 676


def test_chain_whose_years_have_360_days(recorded_data: Path) -> None:
    snapshot = single_date_chain(recorded_data, "btc_20211021")
    (chain,) = snapshot.chains.values()
    path = recorded_data / "deribit_chains_single_dates"
    ttm = pl.read_parquet(path / "btc_iv_quotes_20211021_stochvolmodels.parquet")["ttm"].to_numpy()
    for days, agree in ((360, True), (365, False)):
        moments = chain.expiry_ms - ttm * days * 24 * HOUR_MS
        assert bool(np.ptp(moments) < 1000) is agree
    assert len(chain) == 49
    assert {"day_count_360", "mid_as_mark_iv"} <= set(codes(snapshot.notes))
    assert chain.usable.all()


def test_funding_is_one_rate_per_8_hours(recorded_data: Path) -> None:
    hourly = funding_2025(recorded_data, "hyperliquid", "BTC")
    four = funding_2025(recorded_data, "binance", "HYPE")
    eight = funding_2025(recorded_data, "binance", "BTC")
    hours = [f.interval_ms // HOUR_MS for f in (hourly, four, eight)]
    assert hours == [1, 4, 8]
    np.testing.assert_allclose(hourly.rate_8h, 8 * hourly.rate)
    assert "funding_interval" in codes(hourly.notes)
    assert "funding_interval" not in codes(eight.notes)
    # Unscaled, the hourly venue would look four times cheaper; scaled, both are of one order.
    ratio = np.median(np.abs(hourly.rate_8h)) / np.median(np.abs(eight.rate_8h))
    assert 0.5 < ratio < 4


def test_funding_labelled_utc_that_is_utc_plus_3(recorded_data: Path) -> None:
    for venue in ("binance", "bybit", "htx", "kucoin", "mexc"):
        series = funding_2020_2022(recorded_data, venue, "BTC")
        assert codes(series.notes)["offset_labelled_utc"] == len(series.times_ms)
    for venue in ("gate", "dydx"):
        series = funding_2020_2022(recorded_data, venue, "BTC")
        assert "offset_labelled_utc" not in codes(series.notes)
    assert "unverified_clock" in codes(funding_2020_2022(recorded_data, "dydx", "ETH").notes)


def test_two_sources_agree_on_binance_funding_once_both_clocks_are_right(
    recorded_data: Path,
) -> None:
    """Rates of January 2023 continue those of 2022: same schedule, same clock."""
    old = funding_2020_2022(recorded_data, "binance", "BTC")
    new = cross_venue_8h(recorded_data, "binance", "BTCUSDT")
    opens = new.times_ms - new.step_ms
    assert np.all(np.rint(old.times_ms / HOUR_MS) % 8 == 0)
    assert np.all(opens % (8 * HOUR_MS) == 0)
    assert opens[0] - round(old.times_ms[-1] / HOUR_MS) * HOUR_MS == 8 * HOUR_MS


def test_funding_gaps_are_noted(recorded_data: Path) -> None:
    assert codes(funding_2020_2022(recorded_data, "gate", "BTC").notes)["gap"] == 93
    assert codes(funding_2020_2022(recorded_data, "htx", "BTC").notes)["irregular_steps"] == 7


def test_uk_local_time_labelled_utc(recorded_data: Path) -> None:
    history = cross_venue_8h(recorded_data, "okx", "BTCUSDCM")
    assert codes(history.notes)["local_time_labelled_utc"] == 651
    assert np.all(np.diff(history.times_ms) == 8 * HOUR_MS)
    assert "funding" in history.columns
    assert "funding" not in cross_venue_8h(recorded_data, "okx", "BTC/USDT").columns
    # With the right clock the 8-hour bar is made of the hourly bars of another source.
    spot = cross_venue_8h(recorded_data, "binance", "BTC/USDT")
    hourly = hourly_history(recorded_data, "BTC", "2023-06-01", "2023-09-01")
    common, row8, row1 = np.intersect1d(spot.times_ms, hourly.times_ms, return_indices=True)
    assert len(common) > 200
    np.testing.assert_array_equal(spot.column("close")[row8], hourly.column("close")[row1])


def test_venue_that_stops_updating(recorded_data: Path) -> None:
    """Lighter's bars are stale by gaps and by bars that do not meet; none repeats outright."""
    lighter = cross_venue_hourly(recorded_data, "lighter", "BTC")
    binance = cross_venue_hourly(recorded_data, "binance", "BTC")
    found = codes(lighter.notes)
    assert found["gap"] > 1900
    assert found["discontinuous_bars"] > 5
    assert codes(binance.notes) == {}
    assert not stale_runs(lighter.columns, 2).any()
    frozen = History(
        binance.instrument,
        binance.step_ms,
        binance.times_ms,
        {n: np.where(np.arange(len(c)) < 100, c[0], c) for n, c in binance.columns.items()},
    )
    assert stale_runs(frozen.columns, 2).sum() == 99


def test_crash_hour_carries_the_open_label(recorded_data: Path) -> None:
    """10 October 2025: the low is in the hour from 21:00, so the bar ends at 22:00."""
    history = cross_venue_hourly(recorded_data, "binance", "BTC")
    day = (history.times_ms > utc_ms("2025-10-10")) & (history.times_ms <= utc_ms("2025-10-11"))
    row = np.flatnonzero(day)[np.argmin(history.column("low")[day])]
    assert history.times_ms[row] == utc_ms("2025-10-10T22:00Z")
    assert history.column("low")[row] == 101_516.5  # stated by the provenance


def test_date_labels_flip_in_2018(recorded_data: Path) -> None:
    """Once the flip is undone, returns move with an independent source at lag 0 throughout."""
    prices = daily_prices(recorded_data, "BTC")
    other = benchmark_returns(recorded_data, "BTC")
    assert codes(prices.notes)["label_convention_flips"] == 1736
    assert codes(prices.notes)["duplicate_times"] == 1
    _, a, b = np.intersect1d(prices.times_ms, other.times_ms, return_indices=True)
    left, right = prices.log_returns[a], other.log_returns[b]
    times = prices.times_ms[a]
    for start, end in (("2015-01-01", "2018-01-25"), ("2018-02-05", "2025-01-01")):
        rows = (times > utc_ms(start)) & (times < utc_ms(end))
        rows &= np.isfinite(left) & np.isfinite(right)
        assert np.corrcoef(left[rows], right[rows])[0, 1] > 0.93


def test_local_clock_behind_the_exchange(recorded_data: Path) -> None:
    for market in ("spot", "usdm", "cm"):
        tape = trade_tape(recorded_data, market, "BTC")
        assert codes(tape.notes)["clock_skew"] == len(tape.event_ms)
        assert tape.clock_behind_ms == pytest.approx(1272, abs=4)
        assert np.all(np.diff(tape.event_ms) >= 0)


def test_stablecoin_lows_are_mostly_marks(recorded_data: Path) -> None:
    usdc = stablecoin_peg(recorded_data, "USDC")
    assert usdc.column("low").min() == 0.87765
    assert codes(usdc.notes)["daily_mark_as_low"] == 1247
    assert codes(usdc.notes)["gap"] > 150


def test_other_histories_open(recorded_data: Path) -> None:
    assert codes(multi_asset_hourly(recorded_data, "SOL").notes)["gap"] == 1
    assert len(btc_daily(recorded_data)) == 2738
    dvol = dvol_daily(recorded_data).column("implied_vol")
    assert 0.3 < dvol.min() < dvol.max() < 0.85
    with pytest.raises(DataError, match="no 'DOGE'") as caught:
        daily_prices(recorded_data, "DOGE")
    assert "BTC" in caught.value.remedy


def test_cassettes_of_2018_are_a_retired_schema(recorded_data: Path) -> None:
    cassettes = sorted((recorded_data / "deribit_v1_cassettes_2018").glob("*.yml"))
    assert len(cassettes) == 6
    for path in cassettes:
        with pytest.raises(DataError, match="retired Deribit API v1 schema") as caught:
            read_deribit_json(path)
        assert "API v2" in caught.value.remedy


def test_book_summary_of_today_reads(recorded_data: Path, tmp_path: Path) -> None:
    path = recorded_data / "deribit_chains_single_dates" / "eth_book_summary_20240108.parquet"
    rows = pl.read_parquet(path).drop("creation_ts", "expiry").to_dicts()
    payload = tmp_path / "response.json"
    payload.write_text(json.dumps({"jsonrpc": "2.0", "result": rows}))
    chain = read_deribit_json(payload)
    recorded = single_date_chain(recorded_data, "eth_20240108").chain("ETH")
    np.testing.assert_array_equal(chain.strike, recorded.strike)
    np.testing.assert_array_equal(chain.expiry_ms, recorded.expiry_ms)
    np.testing.assert_array_equal(chain.flags, recorded.flags)
    assert len(chain_from_book_summary(rows)) == 684
