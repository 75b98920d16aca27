from __future__ import annotations

import math

import numpy as np
import pytest

from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.result import FailureReason
from commonmode.core.units import HOUR_MS
from commonmode.exposure import Book, instrument_of, resolve
from commonmode.market.cleaning import clean_chain
from commonmode.market.clock import utc_ms
from commonmode.market.instruments import InstrumentKind, Settlement
from commonmode.market.snapshot import Snapshot

TIME = utc_ms("2023-04-12T12:00Z")
EXPIRY = utc_ms("2023-04-28T08:00Z")
NAMES = ["BTC-28APR23-28000-P", "BTC-28APR23-30000-C", "BTC-28APR23-32000-C"]


@pytest.fixture
def snapshot() -> Snapshot:
    n = len(NAMES)
    chain = clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode("BTC"),
        settlement=Settlement.COIN,
        time_ms=TIME,
        names=np.array(NAMES),
        quote_ms=TIME + np.array([0, 30_000, 60_000]),
        expiry_ms=np.full(n, EXPIRY),
        strike=np.array([28_000.0, 30_000.0, 32_000.0]),
        sign=np.array([-1, 1, 1]),
        bid=np.full(n, 0.01),
        ask=np.full(n, 0.02),
        mark=np.full(n, 0.015),
        bid_iv=np.full(n, 0.5),
        ask_iv=np.full(n, 0.6),
        mark_iv=np.full(n, 0.55),
        forward=np.array([30_100.0, 30_110.0, 30_150.0]),
        index=np.array([30_000.0, 30_010.0, 30_050.0]),
        open_interest=np.full(n, 100.0),
    )
    return Snapshot(TIME, {CurrencyCode("BTC"): chain})


def test_each_kind_finds_its_levels(snapshot: Snapshot) -> None:
    book = Book.of(
        "b",
        [
            ("BTC-28APR23-30000-C", 2.0),
            ("BTC-28APR23", 100.0),
            ("BTC-PERPETUAL", -50.0),
            ("BTC_USD", 1.0),
        ],
    )
    found = resolve(book, snapshot)
    assert found.failures == ()
    assert found.kind.tolist() == ["option", "future", "perpetual", "spot"]
    # An option keeps its own quote's clock and forward, the others take the medians.
    np.testing.assert_array_equal(found.forward, [30_110, 30_110, 30_010, 30_010])
    np.testing.assert_allclose(
        found.years[0], (EXPIRY - TIME - 30_000) / (365 * 24 * HOUR_MS), rtol=1e-12
    )
    assert found.years[2:].tolist() == [0.0, 0.0]
    np.testing.assert_allclose(found.coins, [2.0, 1000 / 30_110, -500 / 30_010, 1.0])
    np.testing.assert_allclose(found.gross_usd[2], 500.0)


def test_an_unlisted_strike_of_a_quoted_expiry_resolves(snapshot: Snapshot) -> None:
    found = resolve(Book.of("b", [("BTC-28APR23-29500-C", 1.0)]), snapshot)
    assert found.strike.tolist() == [29_500.0]
    assert found.forward.tolist() == [30_110.0]


@pytest.mark.parametrize(
    ("name", "quantity", "reason", "words"),
    [
        ("BTC-7APR23-30000-C", 1.0, FailureReason.NOT_APPLICABLE, "settle it"),
        ("DOGE-28APR23-1-C", 1.0, FailureReason.MISSING_DATA, "it has: BTC"),
        ("BTC-29DEC23-30000-C", 1.0, FailureReason.MISSING_DATA, "expiry"),
        ("nonsense", 1.0, FailureReason.INVALID_INPUT, "COIN-"),
        ("BTC-28APR23-30000-C", math.nan, FailureReason.INVALID_INPUT, "quantity"),
        ("BTC-28APR23-30000-C", math.inf, FailureReason.INVALID_INPUT, "quantity"),
    ],
)
def test_a_bad_position_fails_alone(
    snapshot: Snapshot, name: str, quantity: float, reason: FailureReason, words: str
) -> None:
    good = Book.of("good", [("BTC-28APR23-30000-C", 3.0)])
    bad = Book.of("bad", [(name, quantity), ("BTC-28APR23-28000-P", -1.0)])
    found = resolve([bad, good], snapshot)
    assert found.book.tolist() == ["bad", "good"]
    assert found.quantity.tolist() == [-1.0, 3.0]
    (failed,) = found.failures
    assert failed.book == "bad"
    assert failed.position.instrument == name
    assert failed.failure.reason is reason
    assert words in str(failed.failure)


def test_an_empty_book_and_an_empty_market(snapshot: Snapshot) -> None:
    assert len(resolve(Book.of("b", []), snapshot)) == 0
    found = resolve(Book.of("b", [("BTC-PERPETUAL", 1.0)]), Snapshot(TIME, {}))
    assert len(found) == 0
    assert found.failures[0].failure.remedy.startswith("it has: none")


def test_spot_has_a_name_of_its_own() -> None:
    assert instrument_of("ETH_USD").kind is InstrumentKind.SPOT
    assert instrument_of("ETH_USDC-PERPETUAL").kind is InstrumentKind.PERPETUAL
