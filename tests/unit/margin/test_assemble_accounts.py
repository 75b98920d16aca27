"""Accounts against a market: one clock, rows that match, and a reason per bad account."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import BookId, CurrencyCode, InstrumentId, ModelId, VenueId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.core.units import YEAR_MS
from commonmode.margin import Account, Accounts, Asset, Holding, Portfolio, assemble
from commonmode.market.cleaning import clean_chain
from commonmode.market.clock import utc_ms
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book, Position

TIME = utc_ms("2023-04-12T12:00Z")
NEAR, FAR = utc_ms("2023-04-28T08:00Z"), utc_ms("2023-06-30T08:00Z")
BTC, FLAT, STEEP = CurrencyCode("BTC"), ModelId("flat"), ModelId("steep")
ROWS = [
    ("BTC-30JUN23-30000-C", FAR, 30_000.0, 1, 0),
    ("BTC-28APR23-30000-C", NEAR, 30_000.0, 1, 60_000),
    ("BTC-28APR23-30000-P", NEAR, 30_000.0, -1, 0),
    ("BTC-28APR23-28000-P", NEAR, 28_000.0, -1, -3_600_000),
]


@dataclass(frozen=True)
class Line:
    """Volatility by log-strike; below `least` there is none."""

    slope: float = 0.0
    least: float = 0.0

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        return np.where(strike < self.least, np.nan, 0.6 + self.slope * np.log(strike / 30_000.0))


def snapshot() -> Snapshot:
    n = len(ROWS)
    chain = clean_chain(
        venue=VenueId("deribit"),
        underlying=BTC,
        settlement=Settlement.COIN,
        time_ms=TIME,
        names=np.array([row[0] for row in ROWS]),
        quote_ms=TIME + np.array([row[4] for row in ROWS]),
        expiry_ms=np.array([row[1] for row in ROWS]),
        strike=np.array([row[2] for row in ROWS]),
        sign=np.array([row[3] for row in ROWS]),
        bid=np.full(n, 0.01),
        ask=np.full(n, 0.02),
        mark=np.full(n, 0.015),
        bid_iv=np.full(n, 0.5),
        ask_iv=np.full(n, 0.6),
        mark_iv=np.full(n, 0.55),
        forward=np.array([30_600.0, 30_120.0, 30_100.0, 30_110.0]),
        index=np.array([30_000.0, 30_010.0, 30_020.0, 30_030.0]),
        open_interest=np.full(n, 100.0),
    )
    return Snapshot(TIME, {BTC: chain})


def account(name: str, *trades: tuple[str, float], **extra: float) -> Account:
    return Account(Book.of(name, trades), **extra)  # type: ignore[arg-type]  # amounts only


def put_together(*accounts: Account, least: float = 0.0, **options: object) -> Portfolio:
    surfaces = {BTC: {FLAT: Success(Line(least=least)), STEEP: Success(Line(-0.5))}}
    return assemble(accounts, snapshot(), surfaces, FLAT, **options)  # type: ignore[arg-type]


def test_instruments_are_ordered_and_share_one_clock() -> None:
    names = [row[0] for row in ROWS] + ["BTC-PERPETUAL", "BTC-28APR23", "BTC-POWER-2"]
    market = put_together(account("a", *((name, 1.0) for name in names))).market
    assert market.instruments.instrument.tolist() == [
        "BTC-28APR23-28000-P",
        "BTC-28APR23-30000-P",
        "BTC-28APR23-30000-C",
        "BTC-30JUN23-30000-C",
        "BTC-PERPETUAL",
        "BTC-POWER-2",
        "BTC-28APR23",
    ]
    assert market.expiry.tolist() == [0, 0, 0, 1, -1, -1, 0]
    # Medians of the expiry and of the underlying, whatever each quote's own second was.
    np.testing.assert_array_equal(market.expiries.forward, [30_110.0, 30_600.0])
    np.testing.assert_array_equal(market.instruments.index, np.full(7, 30_015.0))
    years = (np.array([NEAR, NEAR, NEAR, FAR]) - TIME) / YEAR_MS
    np.testing.assert_array_equal(market.instruments.years[:4], years)
    np.testing.assert_array_equal(market.seconds, (np.array([NEAR, FAR]) - TIME) / 1000)
    steep = market.alternatives[STEEP]
    np.testing.assert_allclose(steep[0], 0.6 - 0.5 * math.log(28_000 / 30_000), rtol=1e-15)
    # The power perpetual takes the volatility at the nearest forward; delta-one needs none.
    np.testing.assert_allclose(steep[5], 0.6 - 0.5 * math.log(30_110 / 30_000), rtol=1e-15)
    assert np.isnan(market.vol[[4, 6]]).all()
    assert not market.failures


def test_positions_point_at_their_rows() -> None:
    both = put_together(
        account("a", (ROWS[0][0], -2.0), (ROWS[3][0], 1.0), cash=5_000.0),
        account("b", ("BTC-PERPETUAL", 7.0), unrealised=-3.0),
    )
    accounts, table = both.accounts, both.market.instruments
    assert accounts.ids.tolist() == ["a", "b"]
    assert accounts.offsets.tolist() == [0, 2, 3]
    assert table.instrument[accounts.instrument].tolist() == [
        "BTC-28APR23-28000-P",
        "BTC-30JUN23-30000-C",
        "BTC-PERPETUAL",
    ]
    assert accounts.quantity.tolist() == [1.0, -2.0, 7.0]
    assert accounts.row.tolist() == [0, 0, 1]
    assert accounts.cash.tolist() == [5_000.0, 0.0]
    assert accounts.unrealised.tolist() == [0.0, -3.0]
    second = accounts.select(np.array([1]))
    assert second.ids.tolist() == ["b"]
    assert second.quantity.tolist() == [7.0]


@pytest.mark.parametrize(
    ("bad", "reason", "text"),
    [
        (account("x", ("GOLD-BAR", 1.0)), FailureReason.INVALID_INPUT, "GOLD-BAR"),
        (account("x", ("BTC-7APR23-30000-C", 1.0)), FailureReason.NOT_APPLICABLE, "expired"),
        (account("x", ("ETH-PERPETUAL", 1.0)), FailureReason.MISSING_DATA, "no ETH"),
        (account("x", ("BTC-29SEP23-30000-C", 1.0)), FailureReason.MISSING_DATA, "forward"),
        (
            Account(Book(BookId("x"), (Position(InstrumentId("BTC-PERPETUAL"), math.nan),))),
            FailureReason.INVALID_INPUT,
            "nan",
        ),
        (account("x", cash=math.inf), FailureReason.INVALID_INPUT, "cash"),
        (
            Account(Book.of("x", []), collateral=(Holding(CurrencyCode("DOGE"), 1.0),)),
            FailureReason.MISSING_DATA,
            "DOGE",
        ),
        (
            Account(Book(BookId("x"), ()), collateral=(Holding(BTC, -1.0),)),
            FailureReason.INVALID_INPUT,
            "debt",
        ),
    ],
)
def test_a_bad_account_harms_no_other(bad: Account, reason: FailureReason, text: str) -> None:
    good = account("good", (ROWS[0][0], 1.0), cash=10.0)
    accounts = put_together(good, bad, good).accounts
    assert list(accounts.failures) == [1]
    why = accounts.failures[1]
    assert why.reason is reason
    assert text in why.message
    assert why.remedy
    assert accounts.offsets.tolist() == [0, 1, 1, 2]
    assert np.isnan(accounts.cash[1])
    assert accounts.cash[[0, 2]].tolist() == [10.0, 10.0]


def test_no_volatility_fails_the_instrument_and_its_holders() -> None:
    both = put_together(
        account("low", (ROWS[3][0], 1.0)), account("high", (ROWS[0][0], 1.0)), least=29_000.0
    )
    assert [both.market.instruments.instrument[row] for row in both.market.failures] == [ROWS[3][0]]
    assert both.accounts.failures[0].reason is FailureReason.CALIBRATION_FAILED
    assert 1 not in both.accounts.failures


def test_a_model_that_was_not_fitted_keeps_its_own_reason() -> None:
    why = Failure(FailureReason.CALIBRATION_FAILED, "no quotes", "add quotes")
    both = assemble(
        [account("options", (ROWS[0][0], 1.0)), account("perpetual", ("BTC-PERPETUAL", 1.0))],
        snapshot(),
        {BTC: {FLAT: why}},
        FLAT,
    )
    assert dict(both.accounts.failures) == {0: why}


def test_stale_feeds_fail_what_depends_on_them() -> None:
    later = Snapshot(TIME + 600_000, snapshot().chains)
    surfaces = {BTC: {FLAT: Success(Line())}}
    accounts = [account("far", (ROWS[0][0], 1.0)), account("near", (ROWS[1][0], 1.0))]
    found = assemble(accounts, later, surfaces, FLAT, max_age_seconds=570).accounts
    # The far expiry was stamped 600 s ago, the near one 540 s ago.
    assert list(found.failures) == [0]
    assert found.failures[0].reason is FailureReason.STALE_DATA
    assert "600 s old" in found.failures[0].message


def test_collateral_of_a_stale_coin_fails_its_holders() -> None:
    # The youngest quote of the coin, and so its spot, was stamped 540 s ago.
    later = Snapshot(TIME + 600_000, snapshot().chains)
    surfaces = {BTC: {FLAT: Success(Line())}}
    posted = Account(Book(BookId("posted"), ()), collateral=(Holding(BTC, 1.0),))
    accounts = [posted, account("cash", cash=1.0)]
    assert not assemble(accounts, later, surfaces, FLAT, max_age_seconds=540).accounts.failures
    found = assemble(accounts, later, surfaces, FLAT, max_age_seconds=530).accounts
    assert list(found.failures) == [0]
    assert found.failures[0].reason is FailureReason.STALE_DATA
    stated = [Asset(BTC, price=30_000.0)]  # a price of one's own is not the feed's
    own = assemble(accounts, later, surfaces, FLAT, max_age_seconds=530, assets=stated)
    assert not own.accounts.failures


def test_collateral_takes_the_price_of_its_coin_or_its_own() -> None:
    one = Account(
        Book.of("a", []),
        collateral=(Holding(BTC, 2.0), Holding(CurrencyCode("CBBTC"), 1.0)),
    )
    wrapped = Asset(CurrencyCode("CBBTC"), price=29_900.0, follows=BTC, confidence=0.9)
    both = put_together(one, assets=[wrapped])
    assets = both.market.assets
    assert assets.name.tolist() == ["BTC", "CBBTC"]
    assert assets.price.tolist() == [30_015.0, 29_900.0]
    assert assets.underlying.tolist() == [0, 0]
    assert both.accounts.collateral.tolist() == [[2.0, 1.0]]


def test_listed_options_are_carried_for_what_ifs() -> None:
    bare = put_together(account("a", (ROWS[0][0], 1.0))).market
    full = put_together(account("a", (ROWS[0][0], 1.0)), listed=True).market
    assert len(bare.instruments) == 1
    # The last quote of the chain is an hour old: it is no quote.
    assert sorted(full.instruments.instrument.tolist()) == sorted(row[0] for row in ROWS[:3])


def test_a_shift_moves_everything_that_follows_spot() -> None:
    names = [ROWS[1][0], ROWS[0][0], "BTC-PERPETUAL", "BTC-EVERLASTING-30000-P"]
    one = account("a", *((name, 1.0) for name in names))
    market = put_together(one, assets=[Asset(CurrencyCode("USDC"), 0.99)]).market
    moved = market.shifted(spot=0.9, vol=1.5, seconds=20 * 86_400)
    np.testing.assert_allclose(moved.underlyings.spot, 0.9 * market.underlyings.spot)
    np.testing.assert_allclose(moved.expiries.forward, 0.9 * market.expiries.forward)
    np.testing.assert_allclose(moved.instruments.index, 0.9 * market.instruments.index)
    np.testing.assert_allclose(moved.instruments.forward, 0.9 * market.instruments.forward)
    np.testing.assert_allclose(moved.vol, 1.5 * market.vol)
    np.testing.assert_allclose(moved.alternatives[STEEP], 1.5 * market.alternatives[STEEP])
    np.testing.assert_allclose(moved.assets.price, [0.9 * 30_015.0, 0.99])
    # The near expiry has passed; the far one is twenty days nearer.
    assert moved.instruments.years[0] == 0.0
    np.testing.assert_allclose(moved.instruments.years[1], market.instruments.years[1] - 20 / 365)
    np.testing.assert_array_equal(moved.seconds[0], 0.0)
    assert market.shifted().instruments.years.tolist() == market.instruments.years.tolist()


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="offsets"):
        Accounts(
            ids=np.array(["a"]),
            offsets=np.array([0, 2]),
            instrument=np.zeros(1, dtype=np.int32),
            quantity=np.zeros(1),
            cash=np.zeros(1),
            unrealised=np.zeros(1),
            collateral=np.zeros((1, 0)),
        )
