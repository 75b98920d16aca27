"""An account of Derive's published standard-manager cases as tables of this package.

Amounts in a case are multiples of 1e-18; times are seconds from now. Feeds that come in pairs list
ETH first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.standard import AVERAGE_SECONDS

__all__ = ["COINS", "WAD", "accounts_of", "market_of"]

Given = Mapping[str, Any]

COINS: Final = ("BTC", "ETH")
WAD: Final = 1e18


@dataclass(frozen=True, slots=True, order=True)
class _Option:
    """One option held, ordered as in a market; `at` is its place in the case's lists."""

    coin: str
    seconds: int
    strike: float
    sign: int
    at: int

    @property
    def date(self) -> tuple[str, int]:
        return self.coin, self.seconds


def _options(scenario: Given) -> list[_Option]:
    columns = ("OptionUnderlying", "OptionExpiries", "OptionStrikes", "OptionIsCall")
    rows = zip(*(scenario[name] for name in columns), strict=True)
    return sorted(
        _Option(coin, seconds, strike / WAD, 1 if call else -1, at)
        for at, (coin, seconds, strike, call) in enumerate(rows)
    )


def _column(values: Sequence[Any]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def _per_coin(scenario: Given, key: str) -> FloatArray:
    return _column([float(scenario[key.format(coin)] or 0) / WAD for coin in COINS])


def _expiries(scenario: Given, options: Sequence[_Option]) -> Expiries:
    dates = sorted({option.date for option in options})
    of = [[option.at for option in options if option.date == date] for date in dates]
    forward = [scenario["Forwards"][at[0]] / WAD for at in of]

    def settled(date: tuple[str, int], of_date: float) -> float:
        # The harness averaged over an hour; what it expects to settle at says what is fixed.
        expected = scenario[f"SettlementPrice{date[0]}"] / WAD
        inside = date[1] < AVERAGE_SECONDS
        return expected - of_date * date[1] / AVERAGE_SECONDS if inside else np.nan

    return Expiries(
        underlying=np.array([COINS.index(date[0]) for date in dates], dtype=np.int64),
        expiry_ms=np.array([1000 * date[1] for date in dates], dtype=np.int64),
        forward=_column(forward),
        rate=np.zeros(len(dates)),
        forward_confidence=_column([scenario["ForwardConfidences"][at[0]] / WAD for at in of]),
        rate_confidence=np.ones(len(dates)),
        vol_confidence=_column(
            [min(scenario["OptionVolConfidences"][i] for i in at) / WAD for at in of]
        ),
        settled=_column([settled(date, f) for date, f in zip(dates, forward, strict=True)]),
        stamp_ms=np.zeros(len(dates), dtype=np.int64),
    )


def _rows(scenario: Given) -> list[tuple[str, _Option | None]]:
    """(coin, option) of every instrument in the order of a market; None is the perpetual."""
    options = _options(scenario)
    rows: list[tuple[str, _Option | None]] = []
    for coin in COINS:
        rows += [(coin, option) for option in options if option.coin == coin]
        rows.append((coin, None))
    return rows


def market_of(scenario: Given) -> MarginMarket:
    """The case's market: its options, both perpetuals, both coins as collateral."""
    rows, options = _rows(scenario), _options(scenario)
    n = len(rows)
    expiries = _expiries(scenario, options)
    dates = sorted({option.date for option in options})
    spot = _per_coin(scenario, "{}SpotPrice")
    perp = _column(scenario["PerpPrice"])[::-1] / WAD
    sure = _column(scenario["SpotPerpConfidences"])[::-1] / WAD
    coin = np.array([COINS.index(name) for name, _ in rows], dtype=np.int64)
    expiry = np.array([dates.index(o.date) if o else -1 for _, o in rows], dtype=np.int64)
    seconds = np.array([o.seconds if o else 0 for _, o in rows], dtype=np.int64)
    table = ResolvedBook(
        time_ms=0,
        book=np.full(n, "case"),
        instrument=np.array(
            [
                f"{name}-{o.seconds}-{o.strike!r}-{o.sign}" if o else f"{name}-PERPETUAL"
                for name, o in rows
            ]
        ),
        underlying=np.array([name for name, _ in rows]),
        kind=np.array(["option" if o else "perpetual" for _, o in rows]),
        expiry_ms=1000 * seconds,
        strike=_column([o.strike if o else np.nan for _, o in rows]),
        sign=np.array([o.sign if o else 0 for _, o in rows], dtype=np.int64),
        inverse=np.zeros(n, dtype=np.bool_),
        coin_settled=np.zeros(n, dtype=np.bool_),
        contract_size=np.ones(n),
        quantity=np.ones(n),
        forward=np.where(expiry >= 0, np.append(expiries.forward, np.nan)[expiry], spot[coin]),
        index=spot[coin],
        years=1000.0 * seconds / YEAR_MS,
    )
    return MarginMarket(
        time_ms=0,
        underlyings=Underlyings(
            np.array(COINS),
            spot,
            perp.copy(),
            sure[:, 0].copy(),
            sure[:, 1].copy(),
            np.zeros(len(COINS), dtype=np.int64),
        ),
        expiries=expiries,
        instruments=table,
        vol=_column([scenario["OptionVols"][o.at] / WAD if o else np.nan for _, o in rows]),
        underlying=coin,
        expiry=expiry,
        assets=Assets(np.array(COINS), spot, sure[:, 0].copy(), np.arange(len(COINS))),
        stable_price=scenario["USDCValue"] / WAD,
    )


def accounts_of(scenario: Given, market: MarginMarket) -> Accounts:
    """The case's account, and its options of each of :data:`COINS` as accounts of their own."""
    rows = _rows(scenario)
    perps = _per_coin(scenario, "Perps_{}")
    quantity = _column(
        [
            scenario["OptionAmounts"][o.at] / WAD if o else perps[COINS.index(coin)]
            for coin, o in rows
        ]
    )
    parts = [np.arange(len(rows))]
    parts += [
        np.array([at for at, (name, o) in enumerate(rows) if o and name == coin], dtype=np.int64)
        for coin in COINS
    ]
    held = np.concatenate(parts)
    n = len(parts)
    # Profit since the last entry, and funding since the account's index was stamped.
    entry = market.underlyings.perp_price - _per_coin(scenario, "LastEntry{}")
    stamped = _per_coin(scenario, "Account{}FundingIndex")
    funding = stamped - _per_coin(scenario, "{}GlobalFundingIndex")
    unrealised = np.zeros(n)
    unrealised[0] = perps @ np.where(perps != 0.0, entry + funding, 0.0)
    cash, collateral = np.zeros(n), np.zeros((n, len(COINS)))
    cash[0] = scenario["Cash"] / WAD
    collateral[0] = _per_coin(scenario, "w{}")
    return Accounts(
        ids=np.array(["case", *(f"options {coin}" for coin in COINS)]),
        offsets=np.cumsum([0, *map(len, parts)], dtype=np.int64),
        instrument=held.astype(np.int32),
        quantity=quantity[held],
        cash=cash,
        unrealised=unrealised,
        collateral=collateral,
    )
