"""What a parameter gate probes with: a reference market, declared books, and books drawn at random.

Books are dense rows over the market's instruments, so that adding, doubling and splitting them is
arithmetic; a batch of them is margined in one call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.method import MarginMethod, MarginTable
from commonmode.market.instruments import InstrumentKind

__all__ = ["Lines", "Probes", "base_books", "probe_accounts", "random_books", "reference_market"]

_DAY_MS = 86_400_000
# 2026-01-01T00:00Z; only differences of times matter.
_TIME_MS = 1_767_225_600_000


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """B books over I instruments.

    Attributes
    ----------
    names : tuple of str
    quantity : float64, shape (B, I)
        Contracts.
    coins : float64, shape (B, C)
        Collateral, units of the market's assets.
    """

    names: tuple[str, ...]
    quantity: FloatArray
    coins: FloatArray

    def __len__(self) -> int:
        return len(self.names)

    def select(self, rows: IntArray) -> Probes:
        """The books in ``rows``, in that order."""
        names = tuple(self.names[row] for row in rows)
        return Probes(names, self.quantity[rows], self.coins[rows])

    def join(self, other: Probes) -> Probes:
        """These books, then the others."""
        return Probes(
            (*self.names, *other.names),
            np.concatenate((self.quantity, other.quantity)),
            np.concatenate((self.coins, other.coins)),
        )

    def plus(self, other: Probes, text: str = "{} and {}") -> Probes:
        """Book by book the sum of both, named by ``text``."""
        names = tuple(text.format(a, b) for a, b in zip(self.names, other.names, strict=True))
        return Probes(names, self.quantity + other.quantity, self.coins + other.coins)

    def times(self, factor: float) -> Probes:
        """Each book ``factor`` times as large."""
        names = tuple(f"{factor:g} x ({name})" for name in self.names)
        return Probes(names, factor * self.quantity, factor * self.coins)

    def margin(self, method: MarginMethod, market: MarginMarket) -> MarginTable:
        """Margin of all books, without cash."""
        return method.margin(probe_accounts(self), market)

    def describe(self, row: int, market: MarginMarket) -> tuple[tuple[str, float], ...]:
        """Instruments and assets of one book with their quantities."""
        held = np.nonzero(self.quantity[row])[0]
        posted = np.nonzero(self.coins[row])[0]
        names = market.instruments.instrument
        return (
            *((str(names[i]), float(self.quantity[row, i])) for i in held),
            *((f"{market.assets.name[c]} posted", float(self.coins[row, c])) for c in posted),
        )


def probe_accounts(books: Probes) -> Accounts:
    """Books as accounts without cash."""
    row, instrument = np.nonzero(books.quantity)
    sizes = np.bincount(row, minlength=len(books))
    nothing = np.zeros(len(books))
    return Accounts(
        ids=np.array(books.names, dtype=np.str_),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        instrument=instrument.astype(np.int32),
        quantity=books.quantity[row, instrument],
        cash=nothing,
        unrealised=nothing.copy(),
        collateral=books.coins,
    )


def reference_market(
    *,
    underlying: str = "BTC",
    spot: float = 100_000.0,
    vol: float = 0.55,
    rate: float = 0.04,
    days: Sequence[int] = (7, 30, 91, 365),
    moneyness: Sequence[float] = (0.6, 0.8, 0.9, 1.0, 1.1, 1.25, 1.6),
    inverse: bool = False,
) -> MarginMarket:
    """One underlying with calls, puts and a perpetual, full confidence, and a smile.

    Parameters
    ----------
    underlying : str
        Also the one asset that may be posted.
    spot : float
        USD.
    vol : float
        At the money; the smile is ``vol (1 - 0.1 z + 0.05 z^2)`` with z the log-moneyness in units
        of ``sqrt(years)``, clipped to four of them.
    rate : float
        Continuously compounded; the forward is ``spot exp(rate years)``.
    days, moneyness : sequence of numbers
        Expiries, and strikes over spot.
    inverse : bool
        Coin-settled options and perpetual (10 USD a contract) instead of linear ones.
    """
    strikes = spot * np.array(sorted(moneyness))
    dates = np.array(sorted(days), dtype=np.int64) * _DAY_MS + _TIME_MS
    e, k, sign = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(len(dates)), np.arange(len(strikes)), [-1, 1], indexing="ij"
        )
    )
    options = len(e)
    expiry = np.append(e, -1).astype(np.int64)
    years_e = (dates - _TIME_MS) / YEAR_MS
    forward_e = spot * np.exp(rate * years_e)
    years, forward = np.append(years_e[e], 0.0), np.append(forward_e[e], spot)
    strike = np.append(strikes[k], math.nan)
    z = np.clip(np.log(strike[:-1] / forward[:-1]) / np.sqrt(years[:-1]), -4.0, 4.0)
    sides = {-1: "P", 1: "C"}
    names = [
        f"{underlying}-{sorted(days)[i]}D-{strikes[j]:.0f}-{sides[int(s)]}"
        for i, j, s in zip(e, k, sign, strict=True)
    ]
    n = options + 1
    table = ResolvedBook(
        time_ms=_TIME_MS,
        book=np.full(n, ""),
        instrument=np.array([*names, f"{underlying}-PERPETUAL"]),
        underlying=np.full(n, underlying),
        kind=np.array([InstrumentKind.OPTION.value] * options + [InstrumentKind.PERPETUAL.value]),
        expiry_ms=np.append(dates[e], 0),
        strike=strike,
        sign=np.append(sign, 0).astype(np.int64),
        inverse=np.full(n, inverse),
        coin_settled=np.full(n, inverse),
        contract_size=np.append(np.ones(options), 10.0 if inverse else 1.0),
        quantity=np.ones(n),
        forward=forward,
        index=np.full(n, spot),
        years=years,
    )
    sure, stamp = np.ones(len(dates)), np.full(len(dates), _TIME_MS, dtype=np.int64)
    one = np.ones(1)
    return MarginMarket(
        time_ms=_TIME_MS,
        underlyings=Underlyings(
            np.array([underlying]), spot * one, spot * one, one, one, stamp[:1]
        ),
        expiries=Expiries(
            underlying=np.zeros(len(dates), dtype=np.int64),
            expiry_ms=dates,
            forward=forward_e,
            rate=np.full(len(dates), rate),
            forward_confidence=sure,
            rate_confidence=sure,
            vol_confidence=sure,
            settled=np.full(len(dates), math.nan),
            stamp_ms=stamp,
        ),
        instruments=table,
        vol=np.append(vol * (1.0 - 0.1 * z + 0.05 * z**2), math.nan),
        underlying=np.zeros(n, dtype=np.int64),
        expiry=expiry,
        assets=Assets(np.array([underlying]), spot * one, one, np.zeros(1, dtype=np.int64)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Rows of the options and the perpetual of a market of one underlying."""

    market: MarginMarket
    perpetual: int
    expiries: IntArray

    @classmethod
    def of(cls, market: MarginMarket) -> Lines:
        """Find them.

        Raises
        ------
        DataError
            If the market has no perpetual, no option or more than one underlying.
        """
        kind = market.instruments.kind
        perpetual = np.nonzero(kind == InstrumentKind.PERPETUAL.value)[0]
        options = market.instruments.is_option
        if len(market.underlyings) != 1 or not len(perpetual) or not options.any():
            raise DataError(
                "a gate needs one underlying with options and a perpetual",
                remedy="use reference_market()",
            )
        return cls(market, int(perpetual[0]), np.unique(market.expiry[options]))

    def row(self, expiry: int, strike: float, sign: int) -> int:
        """Row of an option."""
        table = self.market.instruments
        match = (self.market.expiry == expiry) & (table.strike == strike) & (table.sign == sign)
        return int(np.nonzero(match)[0][0])

    def strikes(self, expiry: int) -> FloatArray:
        """Strikes that have a call and a put, ascending."""
        table, mine = self.market.instruments, self.market.expiry == expiry
        calls = table.strike[mine & (table.sign == 1)]
        return np.intersect1d(calls, table.strike[mine & (table.sign == -1)])

    def coin(self) -> float:
        """Contracts of the perpetual that make one coin."""
        return float(1.0 / self.market.instruments.coins[self.perpetual])

    def books(self, named: Sequence[tuple[str, dict[int, float], float]]) -> Probes:
        """Books from (name, quantity by row, coins posted)."""
        quantity = np.zeros((len(named), len(self.market.instruments)))
        coins = np.zeros((len(named), len(self.market.assets)))
        for b, (_, held, posted) in enumerate(named):
            for row, size in held.items():
                quantity[b, row] += size
            if posted:
                coins[b, 0] = posted
        return Probes(tuple(name for name, _, _ in named), quantity, coins)


def base_books(market: MarginMarket) -> Probes:
    """The declared grid of books: single legs, spreads and mixtures at every expiry."""
    lines = Lines.of(market)
    perp, coin = lines.perpetual, lines.coin()
    named: list[tuple[str, dict[int, float], float]] = [
        ("long perpetual", {perp: coin}, 0.0),
        ("short perpetual", {perp: -coin}, 0.0),
        ("large short perpetual", {perp: -10.0 * coin}, 0.0),
    ]
    if len(market.assets):
        named.append(("coin against a short perpetual", {perp: -coin}, 1.0))
    spot = float(market.underlyings.spot[0])
    for e in lines.expiries.tolist():
        at = lines.strikes(e)
        date = f"{market.seconds[e] / 86_400:.0f} d"
        mid = float(at[np.argmin(np.abs(at - spot))])
        middle = int(np.searchsorted(at, mid))
        low, high = float(at[max(middle - 2, 0)]), float(at[-2:][0])
        call, put = lines.row(e, mid, 1), lines.row(e, mid, -1)
        wing, floor = lines.row(e, high, 1), lines.row(e, low, -1)
        named += [
            (f"long call {date}", {call: 1.0}, 0.0),
            (f"short call {date}", {call: -1.0}, 0.0),
            (f"long put {date}", {put: 1.0}, 0.0),
            (f"short put {date}", {put: -1.0}, 0.0),
            (f"short straddle {date}", {call: -1.0, put: -1.0}, 0.0),
            (f"short strangle {date}", {wing: -1.0, floor: -1.0}, 0.0),
            (f"short call spread {date}", {call: -1.0, wing: 1.0}, 0.0),
            (f"short call hedged {date}", {call: -1.0, perp: 0.5 * coin}, 0.0),
            (f"risk reversal {date}", {wing: 1.0, floor: -1.0}, 0.0),
        ]
        if len(market.assets):
            named.append((f"covered call {date}", {call: -1.0}, 1.0))
    first, last = int(lines.expiries[0]), int(lines.expiries[-1])
    if first != last:
        mid = float(lines.strikes(first)[np.argmin(np.abs(lines.strikes(first) - spot))])
        far = float(lines.strikes(last)[np.argmin(np.abs(lines.strikes(last) - spot))])
        near_call, far_call = lines.row(first, mid, 1), lines.row(last, far, 1)
        named += [
            ("calendar, long far", {near_call: -1.0, far_call: 1.0}, 0.0),
            ("calendar, short far", {near_call: 1.0, far_call: -1.0}, 0.0),
        ]
    return lines.books(named)


def random_books(market: MarginMarket, rng: np.random.Generator, count: int) -> Probes:
    """``count`` books of one to eight instruments with normal quantities, half of them in coins."""
    n = len(market.instruments)
    per_coin = 1.0 / np.abs(market.instruments.coins)
    quantity = np.zeros((count, n))
    for b in range(count):
        held = rng.choice(n, size=int(rng.integers(1, min(n, 8) + 1)), replace=False)
        quantity[b, held] = rng.standard_normal(len(held)) * per_coin[held]
    coins = np.zeros((count, len(market.assets)))
    if len(market.assets):
        coins[::2, 0] = np.abs(rng.standard_normal(len(coins[::2])))
    return Probes(tuple(f"random book {b}" for b in range(count)), quantity, coins)
