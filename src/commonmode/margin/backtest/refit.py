"""The multiplier of our own method in force at a time, by the backtest's rule.

Fitted at the start of the month on the window before it, as
:func:`~commonmode.margin.backtest.walk.walk_forward` does for every month of a history: the same
number, for this one month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from commonmode.core.result import Failure, FailureReason, Success
from commonmode.margin.backtest.bootstrap import Interval, pooled_scale, scale_interval
from commonmode.margin.backtest.market_path import MarketPath, portfolio_losses
from commonmode.margin.backtest.ours import Recipe, components, long_history_margin
from commonmode.margin.backtest.portfolios import COINS, HOUSE_PORTFOLIOS, Portfolio
from commonmode.margin.backtest.simple import perpetual_portfolios
from commonmode.margin.backtest.walk import Settings, controlled, month_starts
from commonmode.margin.dynamic.settings import LEAST_WINDOW_DAYS
from commonmode.market.history import History

__all__ = ["calibration_portfolios", "market_path", "multiplier_at"]

_HOUR_MS = 3_600_000
_REPLAY_DAYS = 30


def calibration_portfolios(coins: Sequence[str]) -> tuple[Portfolio, ...]:
    """The declared linear portfolios of these coins; of a coin that has none, long and short."""
    known = set(coins)
    declared = [p for p in HOUSE_PORTFOLIOS if not p.has_options and known.issuperset(p.coins)]
    strange = [one for coin in coins if coin not in COINS for one in perpetual_portfolios(coin)]
    return (*declared, *strange)


def market_path(histories: Mapping[str, History], *, until_ms: int) -> MarketPath | Failure:
    """Hourly closes on a regular grid; no volatilities, since the portfolios are linear.

    Parameters
    ----------
    histories : mapping of coin to History
    until_ms : int
        Nothing later is used.
    """
    steps = {history.step_ms for history in histories.values()}
    times = [h.times_ms[h.times_ms <= until_ms] for h in histories.values()]
    if steps != {_HOUR_MS} or min((len(each) for each in times), default=0) < 2:
        return Failure(
            FailureReason.MISSING_DATA,
            "the multiplier is fitted on hourly histories, which are not here",
            "give an hourly history of every coin",
        )
    first, last = min(int(t[0]) for t in times), max(int(t[-1]) for t in times)
    grid = np.arange(first, last + 1, _HOUR_MS)
    price = np.full((len(grid), len(histories)), np.nan)
    for u, (history, each) in enumerate(zip(histories.values(), times, strict=True)):
        rows, off = np.divmod(each - first, _HOUR_MS)
        on = off == 0
        price[rows[on], u] = history.columns["close"][: len(each)][on]
    price[~(price > 0.0)] = np.nan
    return MarketPath(tuple(histories), grid, price, np.full_like(price, np.nan), _HOUR_MS)


def multiplier_at(
    path: MarketPath,
    portfolios: Sequence[Portfolio],
    settings: Settings,
    *,
    breach_rate: float,
    highest_scaling: float = float("inf"),
    draws: int = 0,
    until_ms: int | None = None,
) -> Success[tuple[int, Interval]] | Failure:
    """Month in force, and the multiplier fitted when it began.

    Parameters
    ----------
    path : MarketPath
        Hourly.
    portfolios : sequence of Portfolio
        Linear.
    settings : Settings
    breach_rate : float
        Promised.
    highest_scaling : float
        As in :class:`~commonmode.margin.backtest.ours.Recipe`.
    draws : int
        Of the block bootstrap of the interval; 0 for none (NaN).
    until_ms : int, optional
        Now; the end of the path if left out.

    Returns
    -------
    Success of (time at which the month began, Interval), or Failure
        If there are not sixty days of margins before the month.
    """
    now = int(path.times_ms[-1]) if until_ms is None else until_ms
    months = month_starts(path.times_ms)
    months = months[path.times_ms[months] <= now]
    short = Failure(
        FailureReason.MISSING_DATA,
        f"the multiplier is fitted on at least {LEAST_WINDOW_DAYS} days of margins before the "
        "month begins, and the history is too short for them",
        "give a longer history of every coin",
    )
    if not len(months) or not portfolios:
        return short
    start = int(months[-1])
    known = path.until(start + 1)
    lead = _REPLAY_DAYS if np.isfinite(settings.daily_limit) else 0
    rows = np.arange(max(start - 24 * (settings.window_days + lead), 0), start, dtype=np.int64)
    recipe = Recipe(
        half_lives=settings.half_lives, levels=(settings.level,), highest_scaling=highest_scaling
    )
    losses = portfolio_losses(known, portfolios)
    parts = components(known, portfolios, recipe, rows, months)
    long = long_history_margin(losses, rows, months, settings.level)
    base = controlled(parts, settings, long)
    used = rows >= start - 24 * settings.window_days
    base, losses = base[used], losses[rows][used]
    if int(np.isfinite(base).any(axis=1).sum()) < 24 * LEAST_WINDOW_DAYS:
        return short
    begun = int(path.times_ms[start])
    if not draws:
        value = pooled_scale(base, losses, breach_rate)
        return Success((begun, Interval(value, float("nan"), float("nan"))))
    return Success((begun, scale_interval(base, losses, breach_rate, block=7 * 24, draws=draws)))
