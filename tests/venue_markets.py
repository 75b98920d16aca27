"""A small market with options, futures and perpetuals of two coins, and accounts on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings

COINS = ("BTC", "ETH")
SPOT = {"BTC": 60_000.0, "ETH": 3_000.0}
DAY_MS = 86_400_000
DAYS = (10, 60)
MONEYNESS = (0.8, 1.0, 1.2)


def small_market(*, stable_price: float = 1.0, confidence: float = 1.0) -> MarginMarket:
    """BTC and ETH: two expiries, three strikes, coin-settled, and five delta-one instruments."""
    rows: list[tuple[str, str, str, int, float, int, bool, float, float]] = []
    for coin in COINS:
        spot, size = SPOT[coin], {"BTC": 10.0, "ETH": 1.0}[coin]
        for days in DAYS:
            for money in MONEYNESS:
                for sign, letter in ((-1, "P"), (1, "C")):
                    name = f"{coin}-{days}D-{money * spot:g}-{letter}"
                    forward = spot * (1 + 0.0001 * days)
                    rows.append(
                        (name, coin, "option", days, money * spot, sign, True, 1.0, forward)
                    )
        near = spot * (1 + 0.0001 * DAYS[0])
        rows += [
            (f"{coin}-PERPETUAL", coin, "perpetual", 0, np.nan, 0, True, size, spot),
            (f"{coin}-{DAYS[0]}D", coin, "future", DAYS[0], np.nan, 0, True, size, near),
            (f"{coin}_USDC-PERPETUAL", coin, "perpetual", 0, np.nan, 0, False, 1.0, spot),
        ]
    rows.append(("BTC-POWER-2", "BTC", "power_perpetual", 0, np.nan, 0, False, 1.0, SPOT["BTC"]))
    dates = [(coin, days) for coin in COINS for days in DAYS]
    expiry = [dates.index((r[1], r[3])) if r[3] else -1 for r in rows]
    own = np.array([COINS.index(r[1]) for r in rows], dtype=np.int64)
    n, e = len(rows), len(dates)
    kind = np.array([r[2] for r in rows])
    table = ResolvedBook(
        time_ms=0,
        book=np.full(n, "market"),
        instrument=np.array([r[0] for r in rows]),
        underlying=np.array([r[1] for r in rows]),
        kind=kind,
        expiry_ms=np.array([r[3] * DAY_MS for r in rows], dtype=np.int64),
        strike=np.array([r[4] for r in rows]),
        sign=np.array([r[5] for r in rows], dtype=np.int64),
        inverse=np.array([r[6] for r in rows]),
        coin_settled=np.array([r[6] for r in rows]),
        contract_size=np.array([r[7] for r in rows]),
        quantity=np.ones(n),
        forward=np.array([r[8] for r in rows]),
        index=np.array([SPOT[r[1]] for r in rows]),
        years=np.array([r[3] * DAY_MS / YEAR_MS for r in rows]),
        power=np.where(kind == "power_perpetual", 2.0, np.nan),
    )
    spots, sure = np.array([SPOT[c] for c in COINS]), np.full(2, confidence)
    return MarginMarket(
        time_ms=0,
        underlyings=Underlyings(
            np.array(COINS), spots, spots.copy(), sure, sure.copy(), np.zeros(2, np.int64)
        ),
        expiries=Expiries(
            underlying=np.array([COINS.index(c) for c, _ in dates], dtype=np.int64),
            expiry_ms=np.array([d * DAY_MS for _, d in dates], dtype=np.int64),
            forward=np.array([SPOT[c] * (1 + 0.0001 * d) for c, d in dates]),
            rate=np.zeros(e),
            forward_confidence=np.full(e, confidence),
            rate_confidence=np.full(e, confidence),
            vol_confidence=np.full(e, confidence),
            settled=np.full(e, np.nan),
            stamp_ms=np.zeros(e, dtype=np.int64),
        ),
        instruments=table,
        vol=np.where(kind == "option", 0.6, np.nan),
        underlying=own,
        expiry=np.array(expiry, dtype=np.int64),
        assets=Assets(
            np.array(["BTC", "DOGE", "USDT"]),
            np.array([SPOT["BTC"], np.nan, 1.0]),
            np.full(3, confidence),
            np.array([0, -1, -1]),
        ),
        stable_price=stable_price,
    )


def accounts_on(
    market: MarginMarket,
    books: Sequence[Mapping[str, float]],
    *,
    cash: float = 0.0,
    collateral: Mapping[tuple[int, str], float] | None = None,
) -> Accounts:
    """Accounts that hold the given contracts."""
    rows = {name: row for row, name in enumerate(market.instruments.instrument.tolist())}
    flat = [sorted((rows[name], quantity) for name, quantity in book.items()) for book in books]
    posted = np.zeros((len(books), len(market.assets)))
    names = market.assets.name.tolist()
    for (account, asset), amount in (collateral or {}).items():
        posted[account, names.index(asset)] = amount
    return Accounts(
        ids=np.array([f"account {i}" for i in range(len(books))]),
        offsets=np.cumsum([0, *(len(book) for book in flat)], dtype=np.int64),
        instrument=np.array([row for book in flat for row, _ in book], dtype=np.int32),
        quantity=np.array([quantity for book in flat for _, quantity in book], dtype=np.float64),
        cash=np.full(len(books), cash),
        unrealised=np.zeros(len(books)),
        collateral=posted,
    )


def without_cash(accounts: Accounts, row: int) -> Accounts:
    """The same accounts, the cash of one of them no number."""
    cash = accounts.cash.copy()
    cash[row] = np.nan
    return replace(accounts, cash=cash)
