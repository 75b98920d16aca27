"""10 and 11 October 2025 under the margin methods, on the perpetuals that were recorded.

Candles of Binance and Bybit. No option surface of that day is known, so only linear portfolios are
looked at and nothing is said about options. Margins at every hour use what was known then; our
settings are those chosen on 2020-2021 and the multiplier is the one refitted on 1 October.

Our margin is also shown with the method's default share of its hypothetical moves (a quarter of a
common move by 30 %), which the coverage backtest leaves out: a floor against what no history holds.

Two readings: *as published* (each venue's own level, ours for one hour at 99 %), and *at equal
coverage*: every method scaled by the one factor with which 1 % of the hours before 1 October
breached, so that only the shape of the margins differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from commonmode.adapters.feeds.recorded import cross_venue_hourly, require_recordings
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.margin.backtest.bootstrap import pooled_scale
from commonmode.margin.backtest.crash import MethodCrash, linear_weights, method_crash
from commonmode.margin.backtest.market_path import MarketPath, portfolio_losses
from commonmode.margin.backtest.ours import Recipe, components, long_history_margin
from commonmode.margin.backtest.portfolios import Leg, Portfolio
from commonmode.margin.backtest.published import SHOCKS_COLLATERAL, published_methods
from commonmode.margin.backtest.simple import (
    historical_var,
    static_haircut,
    static_haircut_rates,
)
from commonmode.margin.backtest.stacked import margin_path
from commonmode.margin.backtest.walk import Settings, controlled, month_starts, walk_forward
from commonmode.margin.dynamic.build import round_moves
from commonmode.margin.dynamic.hypothetical import hypothetical_scenarios
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.market.clock import utc_ms

__all__ = ["NO_SURFACE", "VENUES", "OctoberResult", "VenueCrash", "run_october"]

NO_SURFACE: Final = (
    "No option surface of 10-11 October 2025 is known: portfolios with options are not examined."
)
VENUES: Final[Mapping[str, tuple[str, ...]]] = {
    "binance": ("BTC", "ETH", "SOL", "DOGE"),
    "bybit": ("BTC", "ETH", "SOL", "DOGE", "HYPE"),
}
"""Coins with candles from March 2025 on; Binance lists HYPE from the end of May only."""

LEVERAGES: Final = (3.0, 5.0, 10.0, 15.0, 20.0)

_WINDOW: Final = ("2025-10-10", "2025-10-12")
_FITTED: Final = "2025-10-01"
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_LEVEL: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class VenueCrash:
    """One venue.

    Attributes
    ----------
    venue : str
    portfolios : tuple of str
    worst_hour : mapping of coin to (return close to close, return to the low)
        Of the window's worst hour by low.
    published, equal : tuple of MethodCrash
    factors : mapping of method to float
        Scale to equal coverage before 1 October.
    """

    venue: str
    portfolios: tuple[str, ...]
    worst_hour: Mapping[str, tuple[float, float]]
    published: tuple[MethodCrash, ...]
    equal: tuple[MethodCrash, ...]
    factors: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class OctoberResult:
    """Both venues, and what is not known."""

    window: tuple[str, str]
    statement: str
    venues: tuple[VenueCrash, ...]


def crash_portfolios(coins: tuple[str, ...]) -> tuple[Portfolio, ...]:
    """Linear portfolios of the coins a venue recorded."""
    single = [
        Portfolio(f"{word} {coin}", (Leg(coin, weight),))
        for coin in coins
        for word, weight in (("long", 1.0), ("short", -1.0))
    ]
    equal = 1.0 / len(coins)
    return (
        *single,
        Portfolio("long BTC, short ETH", (Leg("BTC", 1.0), Leg("ETH", -1.0))),
        Portfolio("long SOL, short BTC", (Leg("SOL", 1.0), Leg("BTC", -1.0))),
        Portfolio("long DOGE, short ETH", (Leg("DOGE", 1.0), Leg("ETH", -1.0))),
        Portfolio("long all coins", tuple(Leg(coin, equal) for coin in coins)),
        Portfolio("short half BTC on BTC", (Leg("BTC", -0.5), Leg("BTC", 1.0, "collateral"))),
        Portfolio("long ETH on BTC", (Leg("ETH", 1.0), Leg("BTC", 1.0, "collateral"))),
    )


def _candles(
    root: Path, venue: str, coins: tuple[str, ...]
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    histories = [cross_venue_hourly(root, venue, coin) for coin in coins]
    first = min(int(h.times_ms[0]) for h in histories)
    last = max(int(h.times_ms[-1]) for h in histories)
    times = np.arange(first, last + 1, _HOUR)
    table = np.full((3, len(times), len(coins)), np.nan)
    for u, history in enumerate(histories):
        rows = (history.times_ms - first) // _HOUR
        for k, name in enumerate(("close", "low", "high")):
            table[k, rows, u] = history.column(name)
    return times, table[0], table[1], table[2]


def _margins(
    path: MarketPath,
    portfolios: tuple[Portfolio, ...],
    rows: IntArray,
    settings: Mapping[str, Settings],
    told: Progress,
) -> dict[str, FloatArray]:
    losses = portfolio_losses(path, portfolios)
    months = month_starts(path.times_ms)
    months = months[months >= rows[0]]
    found: dict[str, FloatArray] = {}
    for name, each in settings.items():
        parts = components(
            path, portfolios, Recipe(half_lives=each.half_lives), rows, months, progress=told
        )
        long = long_history_margin(losses, rows, months, each.level)
        walked = walk_forward(
            controlled(parts, each, long if each.floor else np.zeros((1, 1))),
            losses[rows],
            path.times_ms[rows],
            level=_LEVEL,
            window_ms=each.window_days * _DAY,
            least_ms=60 * _DAY,
            horizon_ms=_HOUR,
        )
        found[f"dynamic ({name})"] = walked.margin
        found[f"dynamic ({name}) with hypothetical moves"] = np.maximum(
            walked.margin, _hypothetical(portfolios, path.coins)
        )
    posts = [any(leg.kind == "collateral" for leg in p.legs) for p in portfolios]
    for name, method in published_methods(path.coins).items():
        margin = margin_path(method, path, portfolios, rows, progress=told)
        if not SHOCKS_COLLATERAL[name]:
            margin[:, posts] = np.nan
        found[name] = margin
    before = int(np.searchsorted(path.times_ms, utc_ms(_FITTED)))
    known = path.price[:before]
    rates = static_haircut_rates(known[1:] / known[:-1] - 1.0, _LEVEL)
    found["static haircut"] = static_haircut(portfolios, rates, len(rows), path.coins)
    found["historical VaR"] = historical_var(losses, rows, level=_LEVEL, window=180 * 24, every=24)
    return found


def _hypothetical(portfolios: tuple[Portfolio, ...], coins: tuple[str, ...]) -> FloatArray:
    """The method's default share of the worst of its round hypothetical moves, shape (A,)."""
    moves = hypothetical_scenarios(round_moves(coins, coins), coins)
    gains = np.expm1(moves.log_returns) @ linear_weights(portfolios, coins).T
    return np.asarray(
        DynamicParameters().mix.hypothetical_share * np.maximum(-gains, 0).max(axis=0)
    )


def run_october(
    settings: Mapping[str, Settings],
    root: Path | None = None,
    *,
    progress: Progress | None = None,
) -> OctoberResult:
    """Every method through the two days, on every venue that was recorded.

    Parameters
    ----------
    settings : mapping of name to Settings
        As chosen on 2020-2021 by :func:`~commonmode.app.study.margin_backtest.run_backtest`.
    root : Path, optional
        Folder of the recordings; found by itself if left out.
    progress : Progress, optional

    Raises
    ------
    DataError
        If the recordings are not here.
    """
    told = progress or SilentProgress()
    folder = root or require_recordings()
    venues = []
    for venue, coins in VENUES.items():
        times, close, low, high = _candles(folder, venue, coins)
        stop = int(np.searchsorted(times, utc_ms(_WINDOW[1]), side="right"))
        path = MarketPath(
            coins, times[:stop], close[:stop], np.full((stop, len(coins)), np.nan), _HOUR
        )
        portfolios = crash_portfolios(coins)
        rows = np.arange(0, stop, dtype=np.int64)
        margins = _margins(path, portfolios, rows, settings, told)
        losses = portfolio_losses(path, portfolios)
        before = path.times_ms < utc_ms(_FITTED) - _HOUR
        start = int(np.searchsorted(path.times_ms, utc_ms(_WINDOW[0])))
        inside = slice(start, stop)
        weights = linear_weights(portfolios, coins)
        factors = {
            name: pooled_scale(margin[before], losses[before], _LEVEL)
            for name, margin in margins.items()
        }
        bars = close[inside], low[inside], high[inside]
        published, equal = (
            tuple(
                method_crash(
                    name,
                    margin[inside] * (factors[name] if scaled else 1.0),
                    weights,
                    *bars,
                    LEVERAGES,
                )
                for name, margin in margins.items()
            )
            for scaled in (False, True)
        )
        venues.append(
            VenueCrash(
                venue=venue,
                portfolios=tuple(p.name for p in portfolios),
                worst_hour=_worst_hours(coins, *bars),
                published=published,
                equal=equal,
                factors=factors,
            )
        )
    return OctoberResult(_WINDOW, NO_SURFACE, tuple(venues))


def _worst_hours(
    coins: tuple[str, ...], close: FloatArray, low: FloatArray, high: FloatArray
) -> dict[str, tuple[float, float]]:
    to_low = low[1:] / close[:-1] - 1.0
    to_close = close[1:] / close[:-1] - 1.0
    at = np.argmin(to_low, axis=0)
    return {
        coin: (float(to_close[at[u], u]), float(to_low[at[u], u])) for u, coin in enumerate(coins)
    }
