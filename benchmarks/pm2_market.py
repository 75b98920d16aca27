"""An invented market and invented accounts of any size, for the margin benchmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.pm2 import PM2Parameters, shipped_parameters

NOW_MS = 1_790_000_000_000
SPOT = 112_000.0


def market(instruments: int, expiries: int = 10) -> MarginMarket:
    """One underlying: calls and puts at equal numbers of strikes per expiry, and a perpetual."""
    strikes = (instruments - 1) // (2 * expiries)
    days = np.geomspace(1.3, 360.0, expiries)
    expiry_ms = (NOW_MS + days * 86_400_000).astype(np.int64)
    years = (expiry_ms - NOW_MS) / YEAR_MS
    forward = SPOT * np.exp(0.05 * years)
    at = np.repeat(np.arange(expiries), 2 * strikes)
    spread = np.tile(np.repeat(np.linspace(-2.5, 2.5, strikes), 2), expiries)
    k = spread * 0.6 * np.sqrt(years[at])
    strike = np.round(forward[at] * np.exp(k), -1)
    n = len(at) + 1
    option = np.arange(n) < n - 1
    names = [
        f"BTC-{e}-{s:.0f}-{'PC'[i % 2]}" for i, (e, s) in enumerate(zip(at, strike, strict=True))
    ]
    table = ResolvedBook(
        time_ms=NOW_MS,
        book=np.full(n, "all"),
        instrument=np.array([*names, "BTC-PERPETUAL"]),
        underlying=np.full(n, "BTC"),
        kind=np.where(option, "option", "perpetual"),
        expiry_ms=np.append(expiry_ms[at], 0),
        strike=np.append(strike, np.nan),
        sign=np.append(np.tile([-1, 1], len(at) // 2), 0),
        inverse=np.zeros(n, dtype=np.bool_),
        coin_settled=np.zeros(n, dtype=np.bool_),
        contract_size=np.ones(n),
        quantity=np.ones(n),
        forward=np.append(forward[at], SPOT),
        index=np.full(n, SPOT),
        years=np.append(years[at], 0.0),
    )
    sure = np.ones(expiries)
    return MarginMarket(
        time_ms=NOW_MS,
        underlyings=Underlyings(
            np.array(["BTC"]),
            np.array([SPOT]),
            np.array([SPOT * 1.0003]),
            np.ones(1),
            np.ones(1),
            np.array([NOW_MS]),
        ),
        expiries=Expiries(
            underlying=np.zeros(expiries, dtype=np.int64),
            expiry_ms=expiry_ms,
            forward=forward,
            rate=np.full(expiries, 0.05),
            forward_confidence=sure,
            rate_confidence=sure,
            vol_confidence=0.95 * sure,
            settled=np.full(expiries, np.nan),
            stamp_ms=np.full(expiries, NOW_MS),
        ),
        instruments=table,
        vol=np.append(0.45 + 0.08 * (k - 0.1) ** 2, np.nan),
        underlying=np.zeros(n, dtype=np.int64),
        expiry=np.append(at, -1),
        assets=Assets(
            np.array(["BTC", "ETH", "USDT"]),
            np.array([SPOT, 4_100.0, 1.0]),
            np.ones(3),
            np.array([0, -1, -1]),
        ),
        stable_price=0.9998,
    )


def accounts(number: int, positions: int, table: MarginMarket, seed: int = 0) -> Accounts:
    """`positions` contracts each, drawn evenly from the table; half with the perpetual."""
    rng = np.random.default_rng(seed)
    n = len(table.instruments)
    held = rng.integers(0, n - 1, size=(number, positions), dtype=np.int32)
    held[::2, 0] = n - 1
    held.sort(axis=1)
    quantity = rng.normal(size=number * positions)
    collateral = np.zeros((number, 3))
    collateral[:, 0] = rng.exponential(1.0, number)
    collateral[::3, 1] = rng.exponential(5.0, len(collateral[::3]))
    return Accounts(
        ids=np.char.add("account-", np.arange(number).astype(np.str_)),
        offsets=np.arange(0, (number + 1) * positions, positions, dtype=np.int64),
        instrument=held.ravel(),
        quantity=quantity,
        cash=rng.normal(0.0, 50_000.0, number),
        unrealised=np.zeros(number),
        collateral=collateral,
    )


def parameters(scenarios: int = 33) -> PM2Parameters:
    """The shipped set, its scenario list cut or repeated to this length."""
    shipped = shipped_parameters("2026-09-24")
    listed = shipped.scenarios * (-(-scenarios // len(shipped.scenarios)))
    return replace(shipped, scenarios=listed[:scenarios])
