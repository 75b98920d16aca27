"""Published methods over time, in few calls: many times stacked into one market.

Margin of the published methods is homogeneous in the price, so one dollar of notional at any time
can be margined at one reference price per coin. What differs between times (strikes relative to the
price, volatilities, hedges) becomes instruments and accounts of their own, and a method that takes
a million accounts takes a thousand times of thirty portfolios in one call. Amounts that a method
states in USD (a dampener, a threshold) see accounts of :data:`ACCOUNT_USD` per dollar of a leg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.backtest.market_path import MarketPath, legs_of, moneyness, weights_at
from commonmode.margin.backtest.portfolios import Portfolio
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.method import MarginMethod
from commonmode.market.instruments import InstrumentKind

__all__ = ["ACCOUNT_USD", "margin_path", "stack"]

ACCOUNT_USD: Final = 1_000_000.0
"""USD of notional of a leg of weight 1: an account of some size, small against the market."""

_DAY_MS: Final = 86_400_000
_TIMES: Final = 2_000
Requirement = Literal["initial", "maintenance"]


def stack(
    path: MarketPath, portfolios: Sequence[Portfolio], rows: IntArray
) -> tuple[MarginMarket, Accounts]:
    """One market and one account per (row, portfolio), rows first.

    Parameters
    ----------
    path : MarketPath
    portfolios : sequence of Portfolio
    rows : int64, shape (R,)
        Rows where every needed volatility is known.

    Returns
    -------
    (MarginMarket, Accounts)
        R x A accounts, with equity zero before their options' marks and collateral.
    """
    legs = legs_of(portfolios)
    coins = list(path.coins)
    price = np.array([column[np.isfinite(column)][0] for column in path.price.T])
    n, time_ms = len(rows), int(path.times_ms[0])
    dates = sorted({(coins.index(leg.coin), leg.days) for leg in legs if leg.is_option})
    place = {pair: e for e, pair in enumerate(dates)}
    columns: dict[str, list[FloatArray]] = {
        name: [] for name in ("underlying", "expiry", "strike", "sign", "vol", "time", "leg")
    }
    for k, leg in enumerate(legs):
        u = coins.index(leg.coin)
        if leg.kind == "collateral":
            continue
        count = n if leg.is_option else 1
        vol = path.vol[rows, u] if leg.is_option else np.full(1, np.nan)
        strike = price[u] * np.exp(moneyness(leg, vol)) if leg.is_option else vol
        values = {
            "underlying": u,
            "expiry": place[(u, leg.days)] if leg.is_option else -1,
            "strike": strike,
            "sign": leg.sign,
            "vol": vol,
            "time": np.arange(n) if leg.is_option else 0,
            "leg": k,
        }
        for name, value in values.items():
            columns[name].append(np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)))
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    last = table["expiry"] < 0
    order = np.lexsort(
        (table["sign"], np.nan_to_num(table["strike"]), table["expiry"], last, table["underlying"])
    )
    table = {name: column[order] for name, column in table.items()}
    market = _market(path, price, table, dates, time_ms)
    return market, _accounts(path, portfolios, rows, market, table, price)


def _market(
    path: MarketPath,
    price: FloatArray,
    table: dict[str, FloatArray],
    dates: Sequence[tuple[int, float]],
    time_ms: int,
) -> MarginMarket:
    names = np.array(path.coins, dtype=np.str_)
    u, e = table["underlying"].astype(np.int64), table["expiry"].astype(np.int64)
    ones = np.ones(len(names))
    owner = np.array([pair[0] for pair in dates], dtype=np.int64)
    expiry_ms = np.array([time_ms + round(pair[1] * _DAY_MS) for pair in dates], dtype=np.int64)
    sure = np.ones(len(dates))
    option = e >= 0
    date = np.where(option, expiry_ms[e] if len(dates) else 0, 0).astype(np.int64)
    years = np.where(option, (date - time_ms) / (365.0 * _DAY_MS), 0.0)
    kind = np.where(option, InstrumentKind.OPTION.value, InstrumentKind.PERPETUAL.value)
    flag = np.zeros(len(u), dtype=np.bool_)
    book = ResolvedBook(
        time_ms=time_ms,
        book=np.full(len(u), "backtest"),
        instrument=np.array([f"{names[i]}-{row}" for row, i in enumerate(u)], dtype=np.str_),
        underlying=names[u],
        kind=kind,
        expiry_ms=date,
        strike=np.where(option, table["strike"], np.nan),
        sign=table["sign"].astype(np.int64),
        inverse=flag,
        coin_settled=flag.copy(),
        contract_size=np.ones(len(u)),
        quantity=np.ones(len(u)),
        forward=price[u],
        index=price[u],
        years=years,
    )
    return MarginMarket(
        time_ms=time_ms,
        underlyings=Underlyings(
            names, price, price.copy(), ones, ones.copy(), np.full(len(names), time_ms)
        ),
        expiries=Expiries(
            owner,
            expiry_ms,
            price[owner],
            np.zeros(len(dates)),
            sure,
            sure.copy(),
            sure.copy(),
            np.full(len(dates), np.nan),
            np.full(len(dates), time_ms, dtype=np.int64),
        ),
        instruments=book,
        vol=np.where(option, table["vol"], np.nan),
        underlying=u,
        expiry=e,
        assets=Assets(names, price.copy(), ones.copy(), np.arange(len(names), dtype=np.int64)),
    )


def _accounts(
    path: MarketPath,
    portfolios: Sequence[Portfolio],
    rows: IntArray,
    market: MarginMarket,
    table: dict[str, FloatArray],
    price: FloatArray,
) -> Accounts:
    legs, coins = legs_of(portfolios), list(path.coins)
    n, count = len(rows), len(portfolios)
    weights = weights_at(portfolios, legs, path.coins, path.vol[rows])
    # Instrument row of every (time, leg); a perpetual is one row for all times.
    where = np.full((n, len(legs)), -1, dtype=np.int64)
    shared = np.asarray(~market.instruments.is_option)
    leg, time = table["leg"].astype(np.int64), table["time"].astype(np.int64)
    at = np.arange(len(leg))
    where[:, leg[shared]] = at[shared]
    where[time[~shared], leg[~shared]] = at[~shared]
    t, a, k = np.nonzero(weights * (where >= 0)[:, None, :])
    account, row = t * count + a, where[t, k]
    dollars = ACCOUNT_USD / price[market.underlying[row]]
    quantity = weights[t, a, k] * dollars
    order = np.lexsort((row, account))
    sizes = np.bincount(account, minlength=n * count)
    collateral = np.zeros((n * count, len(coins)))
    for k_leg, each in enumerate(legs):
        if each.kind == "collateral":
            u = coins.index(each.coin)
            collateral[:, u] += weights[:, :, k_leg].ravel() * ACCOUNT_USD / price[u]
    return Accounts(
        ids=np.array([str(i) for i in range(n * count)], dtype=np.str_),
        offsets=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        instrument=row[order].astype(np.int32),
        quantity=quantity[order],
        cash=np.zeros(n * count),
        unrealised=np.zeros(n * count),
        collateral=collateral,
    )


def margin_path(
    method: MarginMethod,
    path: MarketPath,
    portfolios: Sequence[Portfolio],
    rows: IntArray,
    *,
    requirement: Requirement = "initial",
    progress: Progress | None = None,
) -> FloatArray:
    """Requirement of every portfolio per dollar of notional, shape (R, A).

    Parameters
    ----------
    method : MarginMethod
        Homogeneous in the price.
    path : MarketPath
    portfolios : sequence of Portfolio
    rows : int64, shape (R,)
    requirement : "initial" or "maintenance"
    progress : Progress, optional

    Raises
    ------
    DataError
        A portfolio that the method cannot margin, with its reason.
    """
    told = progress or SilentProgress()
    with_options = any(portfolio.has_options for portfolio in portfolios)
    good = np.isfinite(path.price[rows]).all(axis=1)
    if with_options:
        good &= np.isfinite(path.vol[rows]).all(axis=1)
    out = np.full((len(rows), len(portfolios)), np.nan)
    known = np.flatnonzero(good)
    label = f"{method.id} margin"
    told.start(label, len(known))
    # Without options nothing but the price moves: one time stands for all.
    step = _TIMES if with_options else max(len(known), 1)
    for start in range(0, len(known), step):
        some = known[start : start + step]
        used = some if with_options else some[:1]
        market, accounts = stack(path, portfolios, rows[used])
        answer = method.margin(accounts, market)
        if answer.failures:
            row, why = next(iter(answer.failures.items()))
            name = portfolios[row % len(portfolios)].name
            raise DataError(f"{method.id}, {name}: {why.message}", remedy=why.remedy)
        value = answer.initial if requirement == "initial" else answer.maintenance
        out[some] = value.reshape(len(used), len(portfolios)) / ACCOUNT_USD
        told.advance(label, len(some))
    told.finish(label)
    return out
