"""Raw quotes become a chain: each defect is one bit, and nothing is dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import CoinArray, UsdArray
from commonmode.market.chain import OptionChain, QuoteFlag
from commonmode.market.cleaning import chain_notes, clean_chain
from commonmode.market.instruments import Settlement

TIME = 1_681_300_000_000


def chain(settlement: Settlement = Settlement.COIN, **changes: list[float]) -> OptionChain:
    n = max((len(v) for v in changes.values()), default=1)
    columns: dict[str, Any] = {
        "quote_ms": np.full(n, TIME, dtype=np.int64),
        "expiry_ms": np.full(n, TIME + 86_400_000, dtype=np.int64),
        "sign": np.ones(n, dtype=np.int64),
    }
    numbers = {"strike": 30_000.0, "forward": 30_000.0, "index": 30_000.0, "open_interest": 1.0}
    numbers |= {"bid": 0.01, "ask": 0.02, "mark": 0.015}
    numbers |= {"bid_iv": 0.5, "ask_iv": 0.6, "mark_iv": 0.55}
    columns |= {name: np.full(n, value) for name, value in numbers.items()}
    for name, values in changes.items():
        columns[name] = np.array(values, dtype=columns[name].dtype)
    return clean_chain(
        venue=VenueId("v"),
        underlying=CurrencyCode("BTC"),
        settlement=settlement,
        time_ms=TIME,
        names=np.array([f"o{i}" for i in range(n)]),
        **columns,
    )


@pytest.mark.parametrize(
    ("column", "value", "flag"),
    [
        ("bid", 0.0, QuoteFlag.NO_BID),
        ("bid", np.nan, QuoteFlag.NO_BID),
        ("ask", 0.0, QuoteFlag.NO_ASK),
        ("bid", 0.03, QuoteFlag.CROSSED),
        ("forward", 0.0, QuoteFlag.NO_FORWARD),
        ("forward", np.nan, QuoteFlag.NO_FORWARD),
        ("quote_ms", TIME + 86_400_000, QuoteFlag.EXPIRED),
        ("quote_ms", TIME - 300_001, QuoteFlag.STALE),
        ("strike", np.nan, QuoteFlag.NOT_FINITE),
        ("mark", np.inf, QuoteFlag.NOT_FINITE),
        ("mark_iv", 0.0, QuoteFlag.NO_IV),
        ("mark_iv", 3.0, QuoteFlag.NO_IV),
        ("mark_iv", np.nan, QuoteFlag.NO_IV),
    ],
)
def test_each_defect_is_one_flag(column: str, value: float, flag: QuoteFlag) -> None:
    assert chain(**{column: [value]}).flags.tolist() == [int(flag)]


def test_clean_quote_has_no_flag_and_is_two_sided() -> None:
    quote = chain()
    assert quote.flags.tolist() == [0]
    assert quote.two_sided.tolist() == [True]
    assert chain_notes(quote) == ()


def test_locked_quote_is_not_crossed() -> None:
    assert chain(bid=[0.02]).flags.tolist() == [0]


def test_sentinels_become_nan_and_are_noted() -> None:
    quotes = chain(bid_iv=[0.0, 0.5], ask_iv=[9.99, 2.999])
    assert np.isnan(quotes.bid_iv).tolist() == [True, False]
    assert np.isnan(quotes.ask_iv).tolist() == [True, False]
    assert quotes.flags.tolist() == [0, 0]
    notes = {note.code: note.count for note in chain_notes(quotes)}
    assert notes == {"bid_iv_sentinel": 1, "ask_iv_sentinel": 1}


def test_mark_rounded_to_zero_stays_a_price() -> None:
    quote = chain(mark=[0.0])
    assert quote.mark.values.tolist() == [0.0]
    assert quote.flags.tolist() == [0]
    assert [note.code for note in chain_notes(quote)] == ["rounded_mark"]


def test_nan_chain_keeps_every_row_and_none_is_usable() -> None:
    nothing = [np.nan] * 3
    quotes = chain(
        bid=nothing, ask=nothing, mark=nothing, forward=nothing, strike=nothing, mark_iv=nothing
    )
    assert len(quotes) == 3
    assert not quotes.usable.any()


def test_impossible_strike_is_not_usable() -> None:
    assert chain(strike=[0.0, 30_000.0]).usable.tolist() == [False, True]


def test_settlement_decides_the_unit() -> None:
    assert isinstance(chain().bid, CoinArray)
    assert isinstance(chain(Settlement.USD).bid, UsdArray)


def test_empty_chain_is_a_chain_and_says_so() -> None:
    empty = chain().select(np.zeros(1, dtype=np.bool_))
    assert len(empty) == 0
    assert [note.code for note in chain_notes(empty)] == ["empty_chain"]
