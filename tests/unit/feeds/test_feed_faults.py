"""Damaged, empty and misnamed files: a message with a remedy, never a traceback of a library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.feeds.deribit_json import chain_from_book_summary, read_deribit_json
from commonmode.adapters.feeds.recorded import (
    DeribitOptionsFeed,
    RecordedFeed,
    find_recordings,
    hourly_history,
    require_recordings,
    single_date_chain,
    trade_tape,
)
from commonmode.adapters.feeds.tables import read_chain_table, read_history
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.units import HOUR_MS
from commonmode.market.chain import QuoteFlag
from commonmode.market.feed import Feed
from commonmode.market.instruments import Settlement

CHAIN = {
    "time": "ts",
    "expiry": "exp",
    "strike": "k",
    "type": "cp",
    "forward": "f",
    "bid": "b",
    "ask": "a",
    "mark_iv": "iv",
}


def bars_file(folder: Path, suffix: str = ".parquet", rows: int = 5000) -> Path:
    path = folder / f"bars{suffix}"
    times = pl.Series(np.arange(rows) * HOUR_MS + 1_600_000_000_000).cast(pl.Datetime("ms", "UTC"))
    frame = pl.DataFrame({"when": times, "px": np.linspace(1.0, 2.0, rows)})
    if suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.with_columns(pl.col("when").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(path)
    return path


def chain_file(folder: Path, **changes: list[object]) -> Path:
    columns: dict[str, list[object]] = {
        "ts": ["2023-04-12T11:00:00Z"] * 2,
        "exp": ["2023-04-14T08:00:00Z"] * 2,
        "k": [30_000.0, 31_000.0],
        "cp": ["C", "put"],
        "f": [30_100.0, 30_100.0],
        "b": [0.01, 0.02],
        "a": [0.02, 0.03],
        "iv": [55.0, 56.0],
    } | changes
    path = folder / "chain.csv"
    pl.DataFrame(columns, strict=False).write_csv(path)
    return path


def read_bars(path: Path, mapping: dict[str, str] | None = None, **options: object) -> object:
    names = mapping or {"time": "when", "close": "px"}
    return read_history(path, names, "X", HOUR_MS, label="end", **options)  # type: ignore[arg-type]


def read_chain(path: Path, mapping: dict[str, str] | None = None) -> object:
    return read_chain_table(
        path,
        mapping or CHAIN,
        venue="v",
        underlying="BTC",
        settlement=Settlement.COIN,
        volatility="percent",
    )


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_history_through_a_mapping(tmp_path: Path, suffix: str) -> None:
    path = bars_file(tmp_path, suffix, 4)
    at_end = read_history(path, {"time": "when", "close": "px"}, "X", HOUR_MS, label="end")
    at_open = read_history(path, {"time": "when", "close": "px"}, "X", HOUR_MS, label="open")
    assert at_end.times_ms[0] == 1_600_000_000_000
    assert (at_open.times_ms - at_end.times_ms).tolist() == [HOUR_MS] * 4
    assert at_end.column("close")[-1] == 2.0


@pytest.mark.parametrize("kept", [0.02, 0.5, 0.98])
def test_parquet_cut_off_anywhere(tmp_path: Path, kept: float) -> None:
    path = bars_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError, match="cannot read") as caught:
        read_bars(path)
    assert "export it again" in caught.value.remedy


def test_parquet_with_a_damaged_body(tmp_path: Path) -> None:
    path = bars_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 2] = b"\xff" * (len(content) // 2 - 100)
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="cannot read"):
        read_bars(path)


def test_missing_empty_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        read_bars(tmp_path / "none.parquet")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(DataError, match="is empty"):
        read_bars(empty)
    other = tmp_path / "bars.xlsx"
    other.write_text("x")
    with pytest.raises(DataError, match=r"not a \.parquet or \.csv"):
        read_bars(other)
    header = tmp_path / "header.csv"
    header.write_text("when,px\n")
    with pytest.raises(DataError, match="no rows"):
        read_bars(header)


def test_missing_column_names_the_nearest_and_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing 'whem' \(is it 'when'\?\); found: when, px"):
        read_bars(bars_file(tmp_path), {"time": "whem", "close": "px"})
    with pytest.raises(ConfigurationError, match="does not say which column is close"):
        read_bars(bars_file(tmp_path), {"time": "when"})


def test_text_where_numbers_belong(tmp_path: Path) -> None:
    path = tmp_path / "comma.csv"
    path.write_text('when,px\n2023-01-01T00:00Z,"1,5"\n')
    with pytest.raises(DataError, match="not numbers"):
        read_bars(path)


@pytest.mark.parametrize("times", [["2023-01-01T00:00:00Z", "soon"], [None, "2023-01-01"]])
def test_times_that_are_none(tmp_path: Path, times: list[str | None]) -> None:
    path = tmp_path / "times.csv"
    pl.DataFrame({"when": times, "px": [1.0, 2.0]}).write_csv(path)
    with pytest.raises(DataError, match=r"not a time|empty in row 1"):
        read_bars(path)


def test_seconds_taken_for_milliseconds_and_back(tmp_path: Path) -> None:
    path = tmp_path / "ns.csv"
    pl.DataFrame({"when": [1_600_000_000_000_000_000], "px": [1.0]}).write_csv(path)
    with pytest.raises(DataError, match="no time in 'ms'"):
        read_bars(path)
    assert read_bars(path, time_unit="ns").times_ms.tolist() == [1_600_000_000_000]  # type: ignore[attr-defined]


def test_local_clock_that_skips_an_hour(tmp_path: Path) -> None:
    path = tmp_path / "london.csv"
    pl.DataFrame({"when": ["2023-03-26 01:30:00"], "px": [1.0]}).write_csv(path)
    with pytest.raises(DataError, match="Europe/London"):
        read_bars(path, timezone="Europe/London")
    assert read_bars(path).notes[0].code == "naive_times"  # type: ignore[attr-defined]


def test_chain_through_a_mapping(tmp_path: Path) -> None:
    (snapshot,) = read_chain(chain_file(tmp_path))  # type: ignore[misc]
    chain = snapshot.chain("BTC")
    assert chain.sign.tolist() == [1, -1]
    assert chain.mark_iv.tolist() == [0.55, 0.56]
    assert chain.two_sided.all()
    assert chain.names.tolist() == ["BTC-2023-04-14-30000-C", "BTC-2023-04-14-31000-P"]


def test_nan_crossed_and_zero_quotes_are_marked(tmp_path: Path) -> None:
    path = chain_file(tmp_path, b=[0.0, 0.05], iv=[None, 56.0])
    (snapshot,) = read_chain(path)  # type: ignore[misc]
    flags = snapshot.chain("BTC").flags.tolist()
    assert flags == [int(QuoteFlag.NO_BID | QuoteFlag.NO_IV), int(QuoteFlag.CROSSED)]


def test_option_type_that_is_neither(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'X' is neither a call nor a put"):
        read_chain(chain_file(tmp_path, cp=["C", "X"]))


def test_mapping_with_a_typo(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'makr_iv'") as caught:
        read_chain(chain_file(tmp_path), {**CHAIN, "makr_iv": "iv"})
    assert "mark_iv" in caught.value.remedy


def test_recordings_named_but_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONMODE_DATA", str(tmp_path / "nowhere"))
    assert find_recordings() is None
    with pytest.raises(DataError, match="nowhere is not a folder") as caught:
        require_recordings()
    assert "laboratory" in caught.value.remedy


def test_recordings_are_found_beside_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMMONMODE_DATA", raising=False)
    project = tmp_path / "project" / "sub"
    project.mkdir(parents=True)
    (tmp_path / "project" / "pyproject.toml").write_text('name = "commonmode"\n')
    (tmp_path / "shared" / "data").mkdir(parents=True)
    monkeypatch.chdir(project)
    assert find_recordings() == tmp_path / "shared" / "data"


def test_folder_without_the_sets(tmp_path: Path) -> None:
    for read in (
        lambda: DeribitOptionsFeed(tmp_path).snapshot_times("2023-04-12", "2023-04-13"),
        lambda: hourly_history(tmp_path, "BTC"),
        lambda: trade_tape(tmp_path, "usdm", "BTC"),
        lambda: single_date_chain(tmp_path, "eth_20240108"),
        lambda: single_date_chain(tmp_path, "eth_2024"),
    ):
        with pytest.raises(DataError) as caught:
            read()
        assert caught.value.remedy


def test_recorded_feed_is_a_feed(tmp_path: Path) -> None:
    assert isinstance(RecordedFeed(tmp_path), Feed)


def test_retired_api_v1_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text('{"usOut": 1, "result": {"instrumentName": "BTC-19OCT18-5250-C", "uPx": 1}}')
    with pytest.raises(DataError, match="retired Deribit API v1 schema"):
        read_deribit_json(path)


@pytest.mark.parametrize("text", ["", "{", '{"error": {"message": "bad"}}', "[]", "3", "[{}]"])
def test_json_that_is_no_chain(tmp_path: Path, text: str) -> None:
    path = tmp_path / "payload.json"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_deribit_json(path)
    assert "get_book_summary" in caught.value.remedy or "kind=option" in caught.value.remedy


def test_book_summary_becomes_a_chain() -> None:
    row = {
        "instrument_name": "ETH-26JAN24-1200-P",
        "underlying_price": 2241.65,
        "mark_price": 0.000853,
        "mark_iv": 90.0,
        "bid_price": None,
        "ask_price": 0.001,
        "creation_timestamp": 1_704_712_781_414,
        "open_interest": 965.0,
    }
    chain = chain_from_book_summary([row, {**row, "instrument_name": "ETH-26JAN24"}])
    assert len(chain) == 1
    assert chain.sign.tolist() == [-1]
    assert chain.flags.tolist() == [int(QuoteFlag.NO_BID)]
    assert chain.mark_iv.tolist() == [0.9]
