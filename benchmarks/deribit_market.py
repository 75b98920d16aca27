"""An invented market of several coins and invented accounts, for Deribit's method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.deribit import DeribitParameters, shipped_deribit
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings

NOW_MS = 1_790_000_000_000
SPOT = {"BTC": 112_000.0, "ETH": 4_100.0, "SOL": 210.0, "XRP": 2.9}
COIN_SETTLED = ("BTC", "ETH")
EXPIRIES = 10


def market(instruments: int) -> MarginMarket:
    """Four coins: options and dated futures of ten expiries each, and perpetuals.

    BTC and ETH have contracts settled in the coin and in dollars, strike by strike in turn; the
    others in dollars only: six ledgers.
    """
    perpetuals = sum(1 + (coin in COIN_SETTLED) for coin in SPOT)
    options = instruments - perpetuals - EXPIRIES * len(SPOT)
    cells = np.arange(EXPIRIES * len(SPOT))
    each = options // len(cells) + (cells < options % len(cells))
    days = np.geomspace(1.3, 360.0, EXPIRIES)
    expiry_ms = (NOW_MS + days * 86_400_000).astype(np.int64)
    rows: list[tuple[str, str, int, float, int, bool, int]] = []
    for u, (coin, spot) in enumerate(SPOT.items()):
        ways = (True, False) if coin in COIN_SETTLED else (False,)
        for e in range(EXPIRIES):
            n, root = int(each[u * EXPIRIES + e]), np.sqrt(days[e] / 365.0)
            k = np.repeat(np.linspace(-2.5, 2.5, -(-n // 2)), 2)[:n] * 0.6 * root
            for i in range(n):
                strike, inverse = float(spot * np.exp(k[i])), ways[(i // 2) % len(ways)]
                rows.append((coin, "option", e, strike, (-1, 1)[i % 2], inverse, u))
        rows += [(coin, "future", e, np.nan, 0, ways[0], u) for e in range(EXPIRIES)]
        rows += [(coin, "perpetual", -1, np.nan, 0, inverse, u) for inverse in ways]
    coins, kinds, expiries, strikes, signs, inverse, own = map(np.array, zip(*rows, strict=True))
    dated = expiries >= 0
    years = np.where(dated, (expiry_ms[expiries] - NOW_MS) / YEAR_MS, 0.0)
    spots = np.array(list(SPOT.values()))
    forward = spots[own] * np.exp(0.05 * years)
    n = len(rows)
    table = ResolvedBook(
        time_ms=NOW_MS,
        book=np.full(n, "all"),
        instrument=np.array([f"{coin}-{row}" for row, coin in enumerate(coins)]),
        underlying=coins,
        kind=kinds,
        expiry_ms=np.where(dated, expiry_ms[expiries], 0),
        strike=strikes,
        sign=signs,
        inverse=inverse,
        coin_settled=inverse,
        contract_size=np.ones(n),
        quantity=np.ones(n),
        forward=forward,
        index=spots[own],
        years=years,
    )
    cells_u, cells_e = np.divmod(cells, EXPIRIES)
    sure, few = np.ones(len(cells)), np.ones(len(SPOT))
    return MarginMarket(
        time_ms=NOW_MS,
        underlyings=Underlyings(
            np.array(list(SPOT)), spots, spots, few, few, np.full(len(SPOT), NOW_MS)
        ),
        expiries=Expiries(
            underlying=cells_u,
            expiry_ms=expiry_ms[cells_e],
            forward=spots[cells_u] * np.exp(0.05 * (expiry_ms[cells_e] - NOW_MS) / YEAR_MS),
            rate=np.full(len(cells), 0.05),
            forward_confidence=sure,
            rate_confidence=sure,
            vol_confidence=sure,
            settled=np.full(len(cells), np.nan),
            stamp_ms=np.full(len(cells), NOW_MS),
        ),
        instruments=table,
        vol=np.where(kinds == "option", 0.45 + 0.05 * np.log(strikes / forward) ** 2, np.nan),
        underlying=own,
        expiry=np.where(dated, own * EXPIRIES + expiries, -1),
        assets=Assets(
            np.array(["BTC", "ETH", "USDC"]),
            np.array([SPOT["BTC"], SPOT["ETH"], 1.0]),
            np.ones(3),
            np.array([0, 1, -1]),
        ),
        stable_price=0.9998,
    )


def accounts(number: int, positions: int, table: MarginMarket, seed: int = 0) -> Accounts:
    """`positions` contracts each, drawn evenly from the table; sizes from small to very large.

    A leg has a median of some 30 000 USD gross; about one account in a hundred is large enough for
    the delta shock.
    """
    rng = np.random.default_rng(seed)
    held = rng.integers(0, len(table.instruments), size=(number, positions), dtype=np.int32)
    held.sort(axis=1)
    instrument = held.ravel()
    price = np.where(
        table.instruments.inverse & ~table.instruments.is_option, 1.0, table.instruments.index
    )
    usd = rng.normal(scale=50_000.0, size=number * positions)
    usd *= np.repeat(rng.lognormal(0.0, 2.0, number), positions)
    collateral = np.zeros((number, 3))
    collateral[:, 0] = rng.exponential(1.0, number)
    collateral[::3, 1] = rng.exponential(5.0, len(collateral[::3]))
    return Accounts(
        ids=np.char.add("account-", np.arange(number).astype(np.str_)),
        offsets=np.arange(0, (number + 1) * positions, positions, dtype=np.int64),
        instrument=instrument,
        quantity=usd / price[instrument],
        cash=rng.normal(0.0, 50_000.0, number),
        unrealised=np.zeros(number),
        collateral=collateral,
    )


def parameters() -> DeribitParameters:
    """The shipped sets; coins that they do not name take the terms of ETH."""
    shipped = shipped_deribit()
    pairs = {coin: shipped.pairs.get(coin, shipped.pairs["ETH"]) for coin in SPOT}
    money = {coin: shipped.currencies.get(coin, shipped.currencies["ETH"]) for coin in SPOT}
    return replace(shipped, pairs=pairs, currencies=money | {"USD": shipped.currencies["USD"]})
