"""Data to screen: bars of two venues, a tape of trades, an order book; whole, or with holes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import InstrumentId
from commonmode.core.random import stream
from commonmode.core.units import HOUR_MS
from commonmode.market.history import History

__all__ = ["START", "Book", "Tape", "book", "frozen", "liquidations", "tape", "venues"]

START = 1_640_995_200_000  # 1 January 2022
_PATH = 12  # prices inside a bar


def _spells(rng: np.random.Generator, rows: int, chance: float, times: float) -> FloatArray:
    """1, or ``times`` as much, in spells of ``1 / chance`` rows."""
    return np.where(np.cumsum(rng.random(rows) < chance) % 2 == 1, times, 1.0)


def venues(
    seed: int,
    *,
    rows: int = 2200,
    heavy: bool = False,
    regimes: bool = False,
    missing: float = 0.0,
    late: float = 0.0,
    tick: float = 0.1,
) -> tuple[History, History]:
    """Hourly bars of two venues of one coin: one price, quotes and volumes of their own.

    Parameters
    ----------
    seed : int
    rows : int
    heavy : bool
        Moves have three degrees of freedom instead of six.
    regimes : bool
        Volatility is three times as large in spells of a hundred hours.
    missing : float
        Share of each venue's bars that are not there; three days besides.
    late : float
        Share of every bar that the first venue shows a bar late.
    tick : float
        Of prices of about 30 000.
    """
    rng = stream(seed, "venues")
    size = lfilter([1.0], [1.0, -0.97], 0.15 * rng.standard_normal(rows + 200))[200:]
    size = np.exp(size) * (_spells(rng, rows, 0.01, 3.0) if regimes else 1.0)
    degrees = 3.0 if heavy else 6.0
    moves = rng.standard_t(degrees, (rows, _PATH)) * np.sqrt((degrees - 2.0) / degrees)
    price = np.cumsum(0.002 * size[:, None] * moves)
    made = []
    for name, delay in (("first", round(_PATH * late)), ("second", 0)):
        seen = np.concatenate([np.full(delay, price[0]), price[: len(price) - delay]])
        seen = seen.reshape(rows, _PATH) + 0.0001 * rng.standard_normal((rows, _PATH))
        opened = np.concatenate([seen[:1, 0], seen[:-1, -1]])
        top, low = np.maximum(seen.max(axis=1), opened), np.minimum(seen.min(axis=1), opened)
        volume = (
            1000.0 * size * np.exp(0.3 * rng.standard_normal(rows)) * (1.0 + 50.0 * (top - low))
        )
        columns = {"open": opened, "high": top, "low": low, "close": seen[:, -1]}
        prices = {k: np.round(30_000.0 * np.exp(v) / tick) * tick for k, v in columns.items()}
        there = rng.random(rows) >= missing
        if missing:
            there[rows // 2 : rows // 2 + 72] = False
        times = START + HOUR_MS * np.arange(1, rows + 1, dtype=np.int64)
        every = {**prices, "volume": np.round(volume, 3)}
        made.append(
            History(
                InstrumentId(name), HOUR_MS, times[there], {k: v[there] for k, v in every.items()}
            )
        )
    return made[0], made[1]


def frozen(bars: History, start: int, length: int) -> History:
    """The bar before ``start``, over and over."""
    held = {name: column.copy() for name, column in bars.columns.items()}
    for column in held.values():
        column[start : start + length] = column[start - 1]
    return replace(bars, columns=held)


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """Sizes of trades in order of time, and who took."""

    size: FloatArray
    sign: IntArray


def tape(
    seed: int,
    *,
    trades: int = 3000,
    exponent: float = 1.5,
    runs: int = 1,
    regimes: bool = False,
    missing: float = 0.0,
    bots: float = 0.0,
    pairs: float = 0.0,
) -> Tape:
    """Lots over four decades and a power tail beyond; half of the larger orders are round.

    Parameters
    ----------
    seed : int
    trades : int
    exponent : float
        Of the tail.
    runs : int
        Mean number of fills of an order, all of one size and side.
    regimes : bool
        Orders are three times as large in spells of two hundred.
    missing : float
        Share of trades that are not on the tape.
    bots : float
        Share of trades that bots make with themselves: sizes uniform, never round.
    pairs : float
        Share of trades that are one half of a pair: same size, other side, next to each other.
    """
    rng = stream(seed, "tape")
    many = round(trades / (1.0 - missing))
    size = 10.0 ** rng.uniform(-2.0, 2.0, many)
    large = rng.random(many) < 0.05
    size[large] = 100.0 * (rng.pareto(exponent, int(large.sum())) + 1.0)
    if regimes:
        size *= _spells(rng, many, 0.005, 3.0)
    size = np.maximum(np.round(size, 3), 0.001)
    people = (rng.random(many) < 0.5) & (size > 0.5)
    size[people] = np.round(size[people], 1)
    sign = np.where(np.cumsum(rng.random(many) < 0.3) % 2 == 0, 1, -1)
    if runs > 1:
        order = np.cumsum(rng.random(many) < 1.0 / runs)
        size, sign = size[order], sign[order]
    washed = rng.random(many) < bots
    odd = rng.integers(201, 900, many)
    size[washed] = (odd + (odd % 100 == 0))[washed] / 1000.0
    first = np.flatnonzero(rng.random(many - 1) < 0.5 * pairs)
    size[first + 1], sign[first + 1] = size[first], -sign[first]
    there = rng.random(many) >= missing
    return Tape(size[there], sign[there].astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Trades and the best quotes around them."""

    trade_ms: IntArray
    price: FloatArray
    size: FloatArray
    sign: IntArray
    quote_ms: IntArray
    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray


def book(
    seed: int,
    *,
    heavy: bool = False,
    regimes: bool = False,
    missing: float = 0.0,
    behind_ms: int = 0,
    inside: float = 0.0,
    beyond: float = 0.0,
) -> Book:
    """Quotes every half second, two to four ticks wide, and trades that take from them.

    Parameters
    ----------
    seed : int
    heavy : bool
        Sizes shown and taken have a power tail.
    regimes : bool
        Quotes move at nine of ten times in spells, else at one in three.
    missing : float
        Share of quotes that are not there.
    behind_ms : int
        How far the clock of the trades is behind that of the quotes.
    inside, beyond : float
        Share of trades inside the spread, and larger than what was shown.
    """
    rng = stream(seed, "book")
    quotes, trades = 4000, 1500
    quote_ms = START + 500 * np.arange(quotes, dtype=np.int64)
    lively = 1.0 / 3.0 * (_spells(rng, quotes, 0.01, 2.7) if regimes else 2.0)
    moves = np.where(rng.random(quotes) < lively, rng.choice([-0.1, 0.1], quotes), 0.0)
    bid = np.round(30_000.0 + np.cumsum(moves), 1)
    ask = np.round(bid + 0.1 * rng.integers(2, 5, quotes), 1)
    shown = rng.pareto(1.5, (2, quotes)) + 0.1 if heavy else rng.lognormal(0.0, 1.0, (2, quotes))
    at = np.sort(rng.integers(0, quotes, trades))
    sign = rng.choice([-1, 1], trades)
    price = np.where(sign > 0, ask[at], bid[at])
    made_up = rng.random(trades) < inside
    price = np.where(made_up, 0.5 * (bid[at] + ask[at]), price)
    size = np.where(sign > 0, shown[1, at], shown[0, at]) * rng.uniform(0.01, 1.0, trades)
    size = np.where(rng.random(trades) < beyond, 100.0 * size, size)
    trade_ms = quote_ms[at] + rng.integers(0, 400, trades) - behind_ms
    kept = rng.random(quotes) >= missing
    return Book(
        trade_ms,
        price,
        size,
        sign.astype(np.int64),
        quote_ms[kept],
        bid[kept],
        ask[kept],
        shown[0, kept],
        shown[1, kept],
    )


def liquidations(
    seed: int, *, world: str = "bursts", missing: float = 0.0, capped: bool = False
) -> IntArray:
    """An hour of liquidations: a few a minute, and bursts of some in a second.

    Parameters
    ----------
    seed : int
    world : str
        "bursts", "quiet" (one in twenty seconds throughout), "heavy" (bursts of random height) or
        "regimes" (a busy quarter of an hour).
    missing : float
        Share that is not reported, at random.
    capped : bool
        The first of each second alone is reported.
    """
    rng = stream(seed, "liquidations")
    second = np.arange(3600)
    rate = np.full(3600, 0.05)
    if world == "bursts":
        rate = rate + 1.5 * (second % 600 < 60)
    elif world == "heavy":
        rate = rate + np.repeat(0.05 * rng.pareto(1.2, 60), 60)
    elif world == "regimes":
        rate = rate + 0.3 * (second // 900 == 2)
    count = rng.poisson(rate)
    times = np.sort(np.repeat(second, count) * 1000 + rng.integers(0, 1000, int(count.sum())))
    times = times[rng.random(len(times)) >= missing]
    if capped:
        times = times[np.unique(times // 1000, return_index=True)[1]]
    return START + times.astype(np.int64)
