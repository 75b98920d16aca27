"""A small market of two coins for the tests of PM2, and accounts in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.pm2 import PM2Parameters, shipped_parameters

__all__ = ["COINS", "NOW_MS", "accounts", "market", "parameters"]

NOW_MS = 1_790_000_000_000
COINS = ("BTC", "ETH")
SPOTS = (112_000.0, 4_100.0)
DAYS = (0.01, 9.0, 200.0)
MONEYNESS = (0.7, 0.95, 1.0, 1.1, 1.6)


def parameters() -> PM2Parameters:
    """The newer shipped set, for both coins."""
    return replace(shipped_parameters("2026-09-24"), underlyings=COINS)


def market() -> MarginMarket:
    """Per coin: three expiries (one in its last half hour), calls and puts at five strikes, two
    perpetuals (linear and inverse) and a dated future.
    """
    expiry_ms = (NOW_MS + np.array(DAYS) * 86_400_000).astype(np.int64)
    rows: list[tuple[str, str, int, int, float, int, bool, float]] = []
    for u, (coin, spot) in enumerate(zip(COINS, SPOTS, strict=True)):
        for e in range(len(DAYS)):
            at = u * len(DAYS) + e
            for m in MONEYNESS:
                strike = round(spot * m)
                for sign in (-1, 1):
                    name = f"{coin}-{e}-{strike}-{'C' if sign > 0 else 'P'}"
                    rows.append((name, "option", u, at, strike, sign, False, 1.0))
        rows.append((f"{coin}-FUTURE", "future", u, u * len(DAYS) + 2, np.nan, 0, False, 1.0))
        rows.append((f"{coin}-INVERSE", "perpetual", u, -1, np.nan, 0, True, 10.0))
        rows.append((f"{coin}-PERPETUAL", "perpetual", u, -1, np.nan, 0, False, 1.0))
    names, kinds, us, es, strikes, signs, inverse, sizes = zip(*rows, strict=True)
    underlying, expiry = np.array(us, dtype=np.int64), np.array(es, dtype=np.int64)
    dates = np.tile(expiry_ms, 2)
    years = (dates - NOW_MS) / YEAR_MS
    spot = np.array(SPOTS)
    forward = np.repeat(spot, len(DAYS)) * np.exp(0.04 * years)
    n, strike = len(rows), np.array(strikes, dtype=np.float64)
    dated = expiry >= 0
    own_forward = np.where(dated, forward[expiry], spot[underlying])
    table = ResolvedBook(
        time_ms=NOW_MS,
        book=np.full(n, "all"),
        instrument=np.array(names, dtype=np.str_),
        underlying=np.array(COINS)[underlying],
        kind=np.array(kinds, dtype=np.str_),
        expiry_ms=np.where(dated, dates[expiry], 0),
        strike=strike,
        sign=np.array(signs, dtype=np.int64),
        inverse=np.array(inverse, dtype=np.bool_),
        coin_settled=np.array(inverse, dtype=np.bool_),
        contract_size=np.array(sizes, dtype=np.float64),
        quantity=np.ones(n),
        forward=own_forward,
        index=spot[underlying],
        years=np.where(dated, years[expiry], 0.0),
    )
    sure = np.ones(len(dates))
    return MarginMarket(
        time_ms=NOW_MS,
        underlyings=Underlyings(
            np.array(COINS), spot, 1.0002 * spot, np.ones(2), np.ones(2), np.full(2, NOW_MS)
        ),
        expiries=Expiries(
            underlying=np.repeat(np.arange(2), len(DAYS)),
            expiry_ms=dates,
            forward=forward,
            rate=np.full(len(dates), 0.05),
            forward_confidence=sure,
            rate_confidence=sure,
            vol_confidence=np.where(np.arange(len(dates)) == 1, 0.4, 0.95),
            settled=np.full(len(dates), np.nan),
            stamp_ms=np.full(len(dates), NOW_MS),
        ),
        instruments=table,
        vol=np.where(
            np.array(kinds) == "option", 0.5 + 0.2 * np.log(strike / own_forward) ** 2, np.nan
        ),
        underlying=underlying,
        expiry=expiry,
        assets=Assets(
            np.array(["BTC", "ETH", "USDT", "WEETH"]),
            np.array([SPOTS[0], SPOTS[1], 1.0, 4_300.0]),
            np.array([1.0, 1.0, 0.9, 0.3]),
            np.array([0, 1, -1, 1]),
        ),
        stable_price=0.9995,
    )


def accounts(
    books: list[dict[int, float]],
    *,
    cash: FloatArray | None = None,
    collateral: FloatArray | None = None,
) -> Accounts:
    """One account per book (instrument row to contracts)."""
    held = [sorted(book.items()) for book in books]
    n = len(books)
    return Accounts(
        ids=np.array([f"account-{a}" for a in range(n)], dtype=np.str_),
        offsets=np.cumsum([0, *(len(book) for book in held)]).astype(np.int64),
        instrument=np.array([row for book in held for row, _ in book], dtype=np.int32),
        quantity=np.array([amount for book in held for _, amount in book], dtype=np.float64),
        cash=np.zeros(n) if cash is None else cash,
        unrealised=np.zeros(n),
        collateral=np.zeros((n, 4)) if collateral is None else collateral,
    )
