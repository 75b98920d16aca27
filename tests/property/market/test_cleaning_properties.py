"""Cleaning never loses a quote, never invents one, and is the same done twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.core.ids import CurrencyCode, InstrumentId, VenueId
from commonmode.core.units import HOUR_MS
from commonmode.market.bars import clean_bars
from commonmode.market.chain import OptionChain, QuoteFlag
from commonmode.market.cleaning import clean_chain
from commonmode.market.instruments import Settlement

TIME = 1_681_300_000_000
NUMBERS = (
    "strike",
    "bid",
    "ask",
    "mark",
    "bid_iv",
    "ask_iv",
    "mark_iv",
    "forward",
    "index",
    "open_interest",
)
anything = st.one_of(
    st.sampled_from([0.0, 0.01, 0.6, 3.0, 9.99, 30_000.0, -1.0]),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), -1e12]),
    st.floats(1e-9, 1e12),
)


def build(columns: dict[str, Any]) -> OptionChain:
    return clean_chain(
        venue=VenueId("v"),
        underlying=CurrencyCode("BTC"),
        settlement=Settlement.COIN,
        time_ms=TIME,
        **columns,
    )


@st.composite
def raw_columns(draw: st.DrawFn) -> dict[str, Any]:
    n = draw(st.integers(0, 6))
    near = st.integers(TIME - 10**6, TIME + 10**6)
    return {
        "names": np.array([f"o{i}" for i in range(n)], dtype=np.str_),
        "quote_ms": draw(arrays(np.int64, n, elements=near)),
        "expiry_ms": draw(arrays(np.int64, n, elements=near)),
        "sign": np.ones(n, dtype=np.int64),
        **{name: draw(arrays(np.float64, n, elements=anything)) for name in NUMBERS},
    }


@given(columns=raw_columns())
def test_flags_say_exactly_what_is_missing(columns: dict[str, Any]) -> None:
    chain = build(columns)
    assert len(chain) == len(columns["names"])
    for flag, values in (
        (QuoteFlag.NO_BID, chain.bid.values),
        (QuoteFlag.NO_ASK, chain.ask.values),
        (QuoteFlag.NO_FORWARD, chain.forward),
        (QuoteFlag.NO_IV, chain.mark_iv),
    ):
        flagged = (chain.flags & int(flag)) != 0
        np.testing.assert_array_equal(flagged, np.isnan(values) if len(values) else flagged)
    good = chain.two_sided
    assert np.all(chain.bid.values[good] <= chain.ask.values[good])
    assert np.all(np.isfinite(chain.log_moneyness[chain.usable]))
    assert np.all(chain.years[chain.usable] > 0)


@given(columns=raw_columns())
def test_cleaning_twice_changes_no_price(columns: dict[str, Any]) -> None:
    once = build(columns)
    money = {name: getattr(once, name).values for name in ("bid", "ask", "mark")}
    others = {name: getattr(once, name) for name in columns if name not in money}
    twice = build(others | money)
    for name in money:
        np.testing.assert_array_equal(getattr(twice, name).values, money[name])
    np.testing.assert_array_equal(twice.mark_iv, once.mark_iv)


@given(rows=st.lists(st.tuples(st.integers(0, 50), st.floats(0.1, 1e6)), min_size=1, max_size=30))
def test_bars_are_sorted_once_each_and_every_gap_is_counted(
    rows: list[tuple[int, float]],
) -> None:
    times = np.array([TIME + HOUR_MS * hour for hour, _ in rows], dtype=np.int64)
    close = np.array([price for _, price in rows])
    history = clean_bars(InstrumentId("X"), HOUR_MS, times, {"close": close})
    hours = {hour for hour, _ in rows}
    assert len(history) == len(hours)
    missing = sum(note.count for note in history.notes if note.code == "gap")
    assert missing == max(hours) - min(hours) + 1 - len(hours)
    # A return is there exactly where the hour before is there too.
    expected = [h in hours and h - 1 in hours for h in sorted(hours)]
    assert np.isfinite(history.log_returns).tolist() == expected
