"""Accounts and market put together: names become rows, what cannot be valued becomes a reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import BookId, CurrencyCode, InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook, instrument_of, resolve
from commonmode.exposure.surfaces import FittedSurfaces
from commonmode.margin.accounts import Account, Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.staleness import stale_collateral, stale_instruments
from commonmode.market.instruments import Instrument
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book, Position
from commonmode.register.model import FittedSurface

__all__ = ["Asset", "Portfolio", "assemble"]


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset accepted as collateral.

    Attributes
    ----------
    name : str
    price : float
        USD; not needed (NaN) for a coin whose option chain the snapshot has.
    follows : str, optional
        Underlying whose moves it makes (wstETH follows ETH); None for what has its own life.
    confidence : float
        Oracle confidence in [0, 1].
    """

    name: CurrencyCode
    price: float = math.nan
    follows: CurrencyCode | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Portfolio:
    """A market and the accounts on it, row against row."""

    market: MarginMarket
    accounts: Accounts


def assemble(
    accounts: Sequence[Account],
    snapshot: Snapshot,
    surfaces: FittedSurfaces,
    model: ModelId,
    *,
    assets: Sequence[Asset] = (),
    stable_price: float = 1.0,
    rates: Mapping[CurrencyCode, float] | None = None,
    confidences: Mapping[CurrencyCode, float] | None = None,
    max_age_seconds: float = math.inf,
    listed: bool = False,
    catalogue: Callable[[str], Instrument] = instrument_of,
) -> Portfolio:
    """Resolve the accounts against a snapshot and a calibrated surface model.

    Parameters
    ----------
    accounts : sequence of Account
    snapshot : Snapshot
    surfaces : FittedSurfaces
        As :func:`~commonmode.exposure.surfaces.calibrate_surfaces` gives them. Every model that
        was fitted is kept as an alternative.
    model : ModelId
        The one that sets the marks.
    assets : sequence of Asset
        What counts as collateral besides cash; the coins of the snapshot always do.
    stable_price : float
        USD price of the coin that cash is counted in.
    rates : mapping of underlying to float, optional
        Continuously compounded rate; 0 where left out.
    confidences : mapping of underlying to float, optional
        Oracle confidence of spot, perpetual, forwards, rates and volatilities; 1 where left out.
    max_age_seconds : float
        A spot or forward stamped longer ago than this fails what depends on it.
    listed : bool
        Carry every option of the snapshot, not only what is held: for what-ifs.
    catalogue : callable
        As for :func:`~commonmode.exposure.book.resolve`.

    Returns
    -------
    Portfolio
        An account with an unknown, expired or unquoted instrument, a position that is no number or
        collateral without a price is a failed row; the others are unharmed.
    """
    held = [str(p.instrument) for account in accounts for p in account.book.positions]
    names = list(dict.fromkeys(held))
    if listed:
        quoted = (str(n) for chain in snapshot.chains.values() for n in chain.names[chain.usable])
        names = list(dict.fromkeys([*names, *quoted]))
    table = resolve(
        Book(BookId("instruments"), tuple(Position(InstrumentId(n), 1.0) for n in names)),
        snapshot,
        catalogue=catalogue,
    )
    broken = {str(f.position.instrument): f.failure for f in table.failures}
    underlyings = _underlyings(snapshot, confidences or {})
    expiries = _expiries(snapshot, table, underlyings, rates or {}, confidences or {})
    table, underlying, expiry = _ordered(table, underlyings, expiries, snapshot.time_ms)
    fitted = {
        each: {coin: fits[each] for coin, fits in surfaces.items() if each in fits}
        for each in dict.fromkeys([model, *(m for fits in surfaces.values() for m in fits)])
    }
    vols = {each: _vols(table, fits) for each, fits in fitted.items()}
    failures = _instrument_failures(table, vols[model], model, fitted[model])
    failures |= stale_instruments(table, underlyings, expiries, underlying, expiry, max_age_seconds)
    market = MarginMarket(
        time_ms=snapshot.time_ms,
        underlyings=underlyings,
        expiries=expiries,
        instruments=table,
        vol=vols[model],
        underlying=underlying,
        expiry=expiry,
        assets=_assets(assets, underlyings),
        stable_price=stable_price,
        alternatives={each: vol for each, vol in vols.items() if each != model},
        failures=failures,
    )
    return Portfolio(market, _gather(accounts, market, broken, max_age_seconds))


def _underlyings(snapshot: Snapshot, confidences: Mapping[CurrencyCode, float]) -> Underlyings:
    coins = sorted(snapshot.chains)
    spot, stamp = np.full(len(coins), np.nan), np.zeros(len(coins), dtype=np.int64)
    for u, coin in enumerate(coins):
        chain = snapshot.chains[coin]
        good = np.isfinite(chain.index) & (chain.index > 0)
        if good.any():
            spot[u] = np.median(chain.index[good])
            stamp[u] = chain.quote_ms[good].max()
    sure = np.array([confidences.get(coin, 1.0) for coin in coins], dtype=np.float64)
    names = np.array([str(coin) for coin in coins], dtype=np.str_)
    return Underlyings(names, spot, spot.copy(), sure, sure.copy(), stamp)


def _expiries(
    snapshot: Snapshot,
    table: ResolvedBook,
    underlyings: Underlyings,
    rates: Mapping[CurrencyCode, float],
    confidences: Mapping[CurrencyCode, float],
) -> Expiries:
    rows: list[tuple[int, int, float, float, float, int]] = []
    for u, name in enumerate(underlyings.name.tolist()):
        coin = CurrencyCode(name)
        chain = snapshot.chains[coin]
        mine = (table.underlying == name) & (table.expiry_ms > 0)
        wanted = {int(e) for e in table.expiry_ms[mine]}
        wanted |= {int(e) for e in table.smile_expiry_ms[table.underlying == name] if e > 0}
        priced = np.isfinite(chain.forward) & (chain.forward > 0)
        for expiry in sorted(wanted):
            quoted = priced & (chain.expiry_ms == expiry)
            forward = float(np.median(chain.forward[quoted])) if quoted.any() else math.nan
            stamp = int(chain.quote_ms[quoted].max()) if quoted.any() else 0
            rows.append(
                (u, expiry, forward, rates.get(coin, 0.0), confidences.get(coin, 1.0), stamp)
            )
    sure = np.array([row[4] for row in rows], dtype=np.float64)
    return Expiries(
        underlying=np.array([row[0] for row in rows], dtype=np.int64),
        expiry_ms=np.array([row[1] for row in rows], dtype=np.int64),
        forward=np.array([row[2] for row in rows], dtype=np.float64),
        rate=np.array([row[3] for row in rows], dtype=np.float64),
        forward_confidence=sure,
        rate_confidence=sure.copy(),
        vol_confidence=sure.copy(),
        settled=np.full(len(rows), np.nan),
        stamp_ms=np.array([row[5] for row in rows], dtype=np.int64),
    )


def _ordered(
    table: ResolvedBook, underlyings: Underlyings, expiries: Expiries, time_ms: int
) -> tuple[ResolvedBook, IntArray, IntArray]:
    """The table in the market's order and on one clock, with rows of underlying and expiry."""
    coins = {name: u for u, name in enumerate(underlyings.name.tolist())}
    underlying = np.array([coins[name] for name in table.underlying.tolist()], dtype=np.int64)
    last = ~table.is_option
    order = np.lexsort((table.sign, np.nan_to_num(table.strike), table.expiry_ms, last, underlying))
    table, underlying = table.select(order), underlying[order]
    known = {
        (int(u), int(e)): row
        for row, (u, e) in enumerate(zip(expiries.underlying, expiries.expiry_ms, strict=True))
    }

    def rows_of(dates: IntArray) -> IntArray:
        pairs = zip(underlying.tolist(), dates.tolist(), strict=True)
        return np.array([known.get(pair, -1) for pair in pairs], dtype=np.int64)

    expiry, smile = rows_of(table.expiry_ms), rows_of(table.smile_expiry_ms)
    spot = underlyings.spot[underlying]

    def at(rows: IntArray, column: FloatArray, other: FloatArray) -> FloatArray:
        return np.asarray(np.where(rows >= 0, column[rows] if len(column) else 0.0, other))

    years = (expiries.expiry_ms - time_ms) / YEAR_MS
    zero = np.zeros(len(table))
    ordered = replace(
        table,
        index=spot,
        forward=at(expiry, expiries.forward, spot),
        years=at(expiry, years, zero),
        smile_forward=at(smile, expiries.forward, spot),
        smile_years=at(smile, years, zero),
    )
    return ordered, underlying, expiry


def _vols(
    table: ResolvedBook, fits: Mapping[CurrencyCode, Success[FittedSurface] | Failure]
) -> FloatArray:
    """Volatility of every option and curved perpetual; NaN where the model gives none."""
    vol = np.full(len(table), np.nan)
    # A power perpetual has no strike: it is valued by the volatility at the forward.
    strike = np.where(np.isnan(table.strike), table.smile_forward, table.strike)
    needed = table.is_option | table.is_curved_perpetual
    for coin, fitted in fits.items():
        rows = np.flatnonzero(needed & (table.underlying == str(coin)))
        if isinstance(fitted, Failure) or not len(rows):
            continue
        vol[rows] = fitted.value.implied_vol(
            strike[rows],
            table.smile_years[rows],
            table.smile_forward[rows],
            table.smile_expiry_ms[rows],
        )
    return vol


def _instrument_failures(
    table: ResolvedBook,
    vol: FloatArray,
    model: ModelId,
    fits: Mapping[CurrencyCode, Success[FittedSurface] | Failure],
) -> dict[int, Failure]:
    needed = table.is_option | table.is_curved_perpetual
    failures = {}
    for row in np.flatnonzero(needed & ~(np.isfinite(vol) & (vol > 0))).tolist():
        fitted = fits.get(CurrencyCode(str(table.underlying[row])))
        if isinstance(fitted, Failure):
            failures[row] = fitted
            continue
        failures[row] = Failure(
            FailureReason.CALIBRATION_FAILED,
            f"{table.instrument[row]}: {model} gives the volatility {vol[row]}",
            "its surface has no positive variance there; margin under another surface model",
        )
    return failures


def _assets(assets: Sequence[Asset], underlyings: Underlyings) -> Assets:
    coins = {name: u for u, name in enumerate(underlyings.name.tolist())}
    stated = {str(asset.name): asset for asset in assets}
    every = {name: Asset(CurrencyCode(name)) for name in coins} | stated
    price, follows = [], []
    for name, asset in every.items():
        row = coins.get(str(asset.follows) if asset.follows is not None else name, -1)
        follows.append(row)
        own = math.isnan(asset.price) and name in coins
        price.append(float(underlyings.spot[coins[name]]) if own else asset.price)
    return Assets(
        np.array(list(every), dtype=np.str_),
        np.array(price, dtype=np.float64),
        np.array([asset.confidence for asset in every.values()], dtype=np.float64),
        np.array(follows, dtype=np.int64),
    )


def _gather(
    accounts: Sequence[Account],
    market: MarginMarket,
    broken: Mapping[str, Failure],
    max_age_seconds: float,
) -> Accounts:
    rows = {name: row for row, name in enumerate(market.instruments.instrument.tolist())}
    columns = {name: c for c, name in enumerate(market.assets.name.tolist())}
    failures: dict[int, Failure] = {}
    positions: list[list[tuple[int, float]]] = []
    collateral = np.zeros((len(accounts), len(columns)))
    for a, account in enumerate(accounts):
        problem = _problem(account, market, rows, columns, broken, max_age_seconds)
        if problem is not None:
            failures[a] = problem
            positions.append([])
            continue
        found = ((rows[str(p.instrument)], p.quantity) for p in account.book.positions)
        positions.append(sorted(found))
        for holding in account.collateral:
            collateral[a, columns[str(holding.asset)]] += holding.amount
    sizes = [len(each) for each in positions]
    flat = [position for each in positions for position in each]
    good = np.array([a not in failures for a in range(len(accounts))], dtype=np.bool_)

    def money(values: Iterable[float]) -> FloatArray:
        return np.asarray(np.where(good, np.array(list(values), dtype=np.float64), np.nan))

    return Accounts(
        ids=np.array([str(account.book.id) for account in accounts], dtype=np.str_),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        instrument=np.array([row for row, _ in flat], dtype=np.int32),
        quantity=np.array([quantity for _, quantity in flat], dtype=np.float64),
        cash=money(account.cash for account in accounts),
        unrealised=money(account.unrealised for account in accounts),
        collateral=collateral,
        failures=failures,
    )


def _problem(
    account: Account,
    market: MarginMarket,
    rows: Mapping[str, int],
    columns: Mapping[str, int],
    broken: Mapping[str, Failure],
    max_age_seconds: float,
) -> Failure | None:
    """Why the account cannot be margined, if it cannot."""
    for position in account.book.positions:
        name = str(position.instrument)
        if not math.isfinite(position.quantity):
            return Failure(
                FailureReason.INVALID_INPUT,
                f"{name}: quantity {position.quantity} is not a number of contracts",
                "correct the quantity in the account",
            )
        why = broken.get(name) or market.failures.get(rows.get(name, -1))
        if why is not None:
            return why
    amounts = {"cash": account.cash, "unrealised": account.unrealised}
    amounts |= {str(holding.asset): holding.amount for holding in account.collateral}
    for name, amount in amounts.items():
        if not math.isfinite(amount):
            return Failure(
                FailureReason.INVALID_INPUT,
                f"{name} of {amount} is no amount",
                "correct the amount in the account",
            )
    for holding in account.collateral:
        name = str(holding.asset)
        column = columns.get(name)
        if holding.amount < 0:
            return Failure(
                FailureReason.INVALID_INPUT,
                f"collateral {name} of {holding.amount:g}: a debt is no collateral",
                "state it as a short perpetual, or as negative cash",
            )
        if column is None or not market.assets.price[column] > 0:
            priced = [known for known, c in columns.items() if market.assets.price[c] > 0]
            return Failure(
                FailureReason.MISSING_DATA,
                f"collateral {name} has no price",
                f"state its price; known: {', '.join(priced) or 'none'}",
            )
        old = stale_collateral(market, name, column, max_age_seconds)
        if old is not None:
            return old
    return None
