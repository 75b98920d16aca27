"""What it costs to get out of a position: in delta, in vega and in the wings.

Delta is closed in the perpetual: half the spread and the square-root impact ``sigma_day sqrt(Q/V)``
of Q against the volume V of a day (Almgren, Thum, Hauptmann and Li 2005, "Direct estimation of
equity market impact"; Toth et al. 2011, Phys. Rev. X 1, 021006, find a coefficient near one across
markets). Vega is closed expiry by expiry at the half-spread in volatility that the options of that
expiry are quoted with, larger by the square root of how often the position exceeds the share of
open interest that trades without moving the market. A wing is not netted against anything: nobody
takes one strike for another there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.sensitivities import Sensitivities
from commonmode.market.snapshot import Snapshot

__all__ = ["CloseOut", "HedgeMarket", "Liquidity", "close_out", "measure_liquidity"]

_WIDEST_SPREAD_SHARE: Final = 0.9
"""What has no two-sided quote is closed at this quantile of the quoted half-spreads."""


@dataclass(frozen=True, slots=True)
class HedgeMarket:
    """The market in which the delta of one underlying is closed.

    Attributes
    ----------
    half_spread : float
        Relative to the price, e.g. 0.0001.
    usd_per_day : float
        Turnover; more than 0.
    daily_vol : float
        Standard deviation of a day's log return.
    """

    half_spread: float
    usd_per_day: float
    daily_vol: float

    def __post_init__(self) -> None:
        """Check the figures."""
        figures = (self.half_spread, self.usd_per_day, self.daily_vol)
        if not (np.isfinite(figures).all() and self.usd_per_day > 0 and min(figures) >= 0):
            raise DataError(
                f"hedge market {figures} is not usable",
                remedy="half-spread and volatility are at least 0, the turnover more than 0",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Liquidity:
    """Measured on one market.

    Attributes
    ----------
    hedge : mapping of underlying to HedgeMarket
    vol_half_spread : float64, shape (I,)
        Half the distance of bid and ask volatility, decimals; 0 for what needs no volatility.
    open_interest : float64, shape (I,)
        Contracts; NaN where unknown.
    """

    hedge: Mapping[CurrencyCode, HedgeMarket]
    vol_half_spread: FloatArray
    open_interest: FloatArray

    def __post_init__(self) -> None:
        """Check shapes."""
        if self.vol_half_spread.shape != self.open_interest.shape:
            raise DataError(
                f"half-spreads {self.vol_half_spread.shape} for {self.open_interest.shape} "
                "open interests",
                remedy="one of each per instrument",
            )


@dataclass(frozen=True, slots=True, eq=False)
class CloseOut:
    """Cost of closing A accounts, and the share of it that each position causes.

    Attributes
    ----------
    delta, vega, wings : float64, shape (A,)
        USD, at least 0.
    positions : float64, shape (P,)
        The same money by position: each net delta and net vega is shared out in proportion to the
        signed contributions, so a hedge has a negative share and the sum is exact.
    minutes : float64, shape (A,)
        Until the slowest underlying's delta is closed at the given share of the market's volume.
    """

    delta: FloatArray
    vega: FloatArray
    wings: FloatArray
    positions: FloatArray
    minutes: FloatArray

    @property
    def total(self) -> FloatArray:
        """USD, shape (A,)."""
        return np.asarray(self.delta + self.vega + self.wings)


def measure_liquidity(
    market: MarginMarket, snapshot: Snapshot, hedge: Mapping[CurrencyCode, HedgeMarket]
) -> Liquidity:
    """Half-spreads in volatility and open interest, from the quotes of a snapshot.

    An instrument without a two-sided quote takes the 0.9 quantile of its expiry's half-spreads (of
    its underlying's if the expiry has none): what is not quoted is not cheap to close.
    """
    table = market.instruments
    needs = table.is_option | table.is_curved_perpetual
    half = np.full(len(table), np.nan)
    interest = np.full(len(table), np.nan)
    wide: dict[tuple[str, int], float] = {}
    for coin, chain in snapshot.chains.items():
        good = chain.two_sided & (chain.ask_iv >= chain.bid_iv) & (chain.bid_iv > 0)
        spread = np.where(good, 0.5 * (chain.ask_iv - chain.bid_iv), np.nan)
        row_of = {str(name): row for row, name in enumerate(chain.names)}
        rows = np.array([row_of.get(str(name), -1) for name in table.instrument], dtype=np.int64)
        mine = (table.underlying == str(coin)) & (rows >= 0)
        half[mine], interest[mine] = spread[rows[mine]], chain.open_interest[rows[mine]]
        known = spread[good]
        if not len(known):
            continue
        wide[(str(coin), 0)] = float(np.quantile(known, _WIDEST_SPREAD_SHARE))
        for expiry in np.unique(chain.expiry_ms[good]).tolist():
            own = spread[good & (chain.expiry_ms == expiry)]
            wide[(str(coin), expiry)] = float(np.quantile(own, _WIDEST_SPREAD_SHARE))
    for row in np.flatnonzero(needs & np.isnan(half)).tolist():
        name, date = str(table.underlying[row]), int(table.smile_expiry_ms[row])
        half[row] = wide.get((name, date), wide.get((name, 0), np.nan))
    return Liquidity(hedge, np.where(needs, half, 0.0), interest)


def close_out(
    accounts: Accounts,
    market: MarginMarket,
    greeks: Sensitivities,
    liquidity: Liquidity,
    *,
    participation: float,
    open_interest_share: float,
) -> CloseOut:
    """Cost of closing every account at once, each on its own.

    Parameters
    ----------
    accounts : Accounts
    market : MarginMarket
    greeks : Sensitivities
    liquidity : Liquidity
    participation : float
        Share of the hedge market's volume that the liquidation may be, in (0, 1].
    open_interest_share : float
        Share of an instrument's open interest that is closed at the quoted half-spread.

    Returns
    -------
    CloseOut
        NaN for an account that holds an instrument without a hedge market or half-spread.
    """
    row, quantity, instrument = accounts.row, accounts.quantity, accounts.instrument
    n, u = len(accounts), len(market.underlyings)
    positions = np.zeros(len(quantity))
    delta_usd = quantity * greeks.delta_usd[instrument]
    group = row * u + market.underlying[instrument]
    net = _sums(delta_usd, group, n * u).reshape(n, u)
    spread, turnover, vol = _hedge_columns(market, liquidity)
    with np.errstate(invalid="ignore"):
        cost = np.abs(net) * (spread + vol * np.sqrt(np.abs(net) / turnover))
        minutes = np.abs(net) / (participation * turnover / 1440.0)
    held = np.bincount(group, minlength=n * u).reshape(n, u) > 0
    cost, minutes = np.where(held, cost, 0.0), np.where(held, minutes, 0.0)
    positions += _share(delta_usd, net.ravel(), cost.ravel(), group)

    vega_usd = quantity * greeks.vega_usd[instrument]
    half = liquidity.vol_half_spread[instrument]
    size = _size_factor(quantity, liquidity.open_interest[instrument], open_interest_share)
    wing = greeks.wing[instrument]
    wing_cost = np.where(wing, np.abs(vega_usd) * half * size, 0.0)
    positions += wing_cost
    vega = _vega_cost(accounts, market, vega_usd, half * size, ~wing, positions)
    return CloseOut(
        delta=cost.sum(axis=1),
        vega=vega,
        wings=_sums(wing_cost, row, n),
        positions=positions,
        minutes=minutes.max(axis=1, initial=0.0),
    )


def _vega_cost(
    accounts: Accounts,
    market: MarginMarket,
    vega_usd: FloatArray,
    half: FloatArray,
    body: BoolArray,
    positions: FloatArray,
) -> FloatArray:
    """Net vega per account and smile expiry at the vega-weighted half-spread; adds to positions."""
    n, instrument = len(accounts), accounts.instrument
    buckets, bucket = _buckets(market)
    group = accounts.row * buckets + bucket[instrument]
    used = np.where(body, vega_usd, 0.0)
    net = _sums(used, group, n * buckets)
    gross = _sums(np.abs(used), group, n * buckets)
    weighted = _sums(np.where(body, np.abs(vega_usd) * half, 0.0), group, n * buckets)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_half = np.where(gross > 0, weighted / gross, 0.0)
    mean_half = np.where(np.isnan(weighted), np.nan, mean_half)
    cost = np.abs(net) * mean_half
    positions += _share(used, net, cost, group)
    return np.asarray(cost.reshape(n, buckets).sum(axis=1))


def _buckets(market: MarginMarket) -> tuple[int, IntArray]:
    """A number per (underlying, expiry of the smile) for every instrument."""
    table = market.instruments
    pairs = np.stack([market.underlying, table.smile_expiry_ms])
    distinct, which = np.unique(pairs, axis=1, return_inverse=True)
    return distinct.shape[1], np.asarray(which.ravel(), dtype=np.int64)


def _hedge_columns(
    market: MarginMarket, liquidity: Liquidity
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(half-spread, turnover, daily vol) per underlying; NaN where there is no hedge market."""
    out = np.full((3, len(market.underlyings)), np.nan)
    for u, name in enumerate(market.underlyings.name.tolist()):
        hedge = liquidity.hedge.get(CurrencyCode(name))
        if hedge is not None:
            out[:, u] = hedge.half_spread, hedge.usd_per_day, hedge.daily_vol
    return out[0], out[1], out[2]


def _size_factor(quantity: FloatArray, interest: FloatArray, share: float) -> FloatArray:
    """How much wider than quoted a position of that size is closed; 1 where nothing is known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        often = np.abs(quantity) / (share * interest)
    often = np.where(np.isnan(interest), 1.0, often)
    # Open interest of zero says nothing of the market's depth: the position is someone's.
    return np.sqrt(np.maximum(np.where(np.isfinite(often), often, 1.0), 1.0))


def _sums(values: FloatArray, group: IntArray, n: int) -> FloatArray:
    return np.asarray(np.bincount(group, weights=values, minlength=n), dtype=np.float64)


def _share(part: FloatArray, net: FloatArray, cost: FloatArray, group: IntArray) -> FloatArray:
    """``cost`` of each group split in proportion to ``part / net``; nothing where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(net != 0.0, cost / net, 0.0)
    rate = np.where(np.isnan(cost), np.nan, rate)
    return np.asarray(part * rate[group])
