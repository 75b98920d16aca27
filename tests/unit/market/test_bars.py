"""Raw bars become a history: gaps, repeats and impossible prices are found."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId
from commonmode.core.units import HOUR_MS
from commonmode.market.bars import clean_bars, stale_runs
from commonmode.market.clock import utc_iso, utc_ms
from commonmode.market.columns import describe_missing, nearest
from commonmode.market.funding import funding_interval

START = 1_600_000_000_000 // HOUR_MS * HOUR_MS


def hours(*rows: int) -> np.ndarray:
    return START + HOUR_MS * np.array(rows, dtype=np.int64)


def test_gap_is_noted_and_its_return_is_nan() -> None:
    history = clean_bars(
        InstrumentId("X"), HOUR_MS, hours(0, 1, 4, 5), {"close": np.array([1.0, 2.0, 3.0, 4.0])}
    )
    assert [(note.code, note.count) for note in history.notes] == [("gap", 2)]
    assert np.isnan(history.log_returns).tolist() == [True, False, True, False]


def test_rows_are_sorted_and_a_repeated_time_keeps_its_first_row() -> None:
    history = clean_bars(
        InstrumentId("X"), HOUR_MS, hours(1, 0, 1), {"close": np.array([2.0, 1.0, 9.0])}
    )
    assert history.column("close").tolist() == [1.0, 2.0]
    assert [note.code for note in history.notes] == ["duplicate_times"]


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_price_that_is_none_becomes_nan(bad: float) -> None:
    history = clean_bars(InstrumentId("X"), HOUR_MS, hours(0, 1), {"close": np.array([1.0, bad])})
    assert np.isnan(history.column("close")[1])
    assert "bad_price" in [note.code for note in history.notes]


def test_stale_runs_mark_the_repeats_only() -> None:
    close = np.array([1.0, 2.0, 2.0, 2.0, 3.0, 4.0, 4.0])
    assert stale_runs({"close": close}, 2).tolist() == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
    ]
    assert stale_runs({"close": close}, 3).tolist() == [False, False, True, True] + [False] * 3


def test_bars_that_do_not_meet_and_bars_that_contradict_themselves_are_noted() -> None:
    columns = {
        "open": np.array([10.0, 14.0, 15.0]),
        "high": np.array([11.0, 15.0, 14.0]),
        "low": np.array([9.0, 13.0, 12.0]),
        "close": np.array([10.0, 15.0, 13.0]),
        "volume": np.array([1.0, 0.0, 1.0]),
    }
    history = clean_bars(InstrumentId("X"), HOUR_MS, hours(0, 1, 2), columns)
    notes = {note.code: note.count for note in history.notes}
    assert notes == {"discontinuous_bars": 1, "zero_volume": 1, "ohlc_violation": 1}


def test_no_rows_is_an_error_with_a_remedy() -> None:
    with pytest.raises(DataError, match="no rows") as caught:
        clean_bars(InstrumentId("X"), HOUR_MS, hours(), {"close": np.array([])})
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T01:00", HOUR_MS),
        ("1970-01-01T01:00Z", HOUR_MS),
        ("1970-01-01T01:00+01:00", 0),
        (5, 5),
    ],
)
def test_times_as_people_write_them(text: str | int, expected: int) -> None:
    assert utc_ms(text) == expected


def test_wrong_time_names_the_remedy() -> None:
    with pytest.raises(DataError, match="'noon' is not a time"):
        utc_ms("noon")


def test_iso_text_keeps_milliseconds_only_where_there_are_any() -> None:
    assert utc_iso(HOUR_MS) == "1970-01-01T01:00Z"
    assert utc_iso(1) == "1970-01-01T00:00:00.001Z"


def test_nearest_name_is_guessed_and_nonsense_is_not() -> None:
    assert nearest("Forcast", ["forecast", "outcome"]) == "forecast"
    assert nearest("qqq", ["forecast", "outcome"]) is None
    assert "is it 'levl'?" in describe_missing(["level"], ["levl", "time"])


def test_funding_interval_is_the_commonest_step() -> None:
    assert funding_interval(hours(0, 8, 16, 17, 25)) == 8 * HOUR_MS
    with pytest.raises(DataError, match="two funding payments"):
        funding_interval(hours(0))
