"""The two plainest methods, as lines to compare with: a haircut per coin, and historical VaR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin.backtest.bootstrap import pooled_scale
from commonmode.margin.backtest.portfolios import COINS, Leg, Portfolio, notional_weights

__all__ = ["historical_var", "perpetual_portfolios", "static_haircut", "static_haircut_rates"]


def perpetual_portfolios(coin: str) -> tuple[Portfolio, Portfolio]:
    """Long and short one dollar of a coin's perpetual: what its haircut is fitted to."""
    return Portfolio(f"long {coin}", (Leg(coin, 1.0),)), Portfolio(
        f"short {coin}", (Leg(coin, -1.0),)
    )


def static_haircut_rates(moves: FloatArray, level: float) -> FloatArray:
    """Haircut per coin that a long and a short perpetual breach at ``level``, shape (U,).

    Parameters
    ----------
    moves : float64, shape (T, U)
        Simple returns over the horizon; NaN rows are left out.
    level : float
    """
    both = np.concatenate([-moves, moves])
    columns = both.T
    return np.array([pooled_scale(np.ones((len(c), 1)), c[:, None], level) for c in columns])


def static_haircut(
    portfolios: Sequence[Portfolio],
    rates: FloatArray,
    rows: int,
    coins: Sequence[str] = COINS,
) -> FloatArray:
    """Gross notional times the coin's rate, constant over time, shape (rows, A); no offsets.

    Collateral in a coin is haircut as if it were a position.
    """
    gross = notional_weights(portfolios, coins)
    for a, portfolio in enumerate(portfolios):
        for leg in portfolio.legs:
            if leg.kind == "collateral":
                gross[a, coins.index(leg.coin)] += abs(leg.weight)
    return np.broadcast_to(gross @ rates, (rows, len(gross))).copy()


def historical_var(
    losses: FloatArray, rows: IntArray, *, level: float, window: int, every: int, bars: int = 1
) -> FloatArray:
    """Unfiltered quantile of each portfolio's own losses over a trailing window, shape (R, A).

    Parameters
    ----------
    losses : float64, shape (T, A)
        Loss over the horizon that starts at each row of the market path.
    rows : int64, shape (R,)
    level : float
    window : int
        Rows of the trailing window; half of it must be there.
    every : int
        Rows of the path between two updates.
    bars : int
        A loss is known that many rows after its own.
    """
    out = np.full((len(rows), losses.shape[1]), np.nan)
    last, held = -1, np.full(losses.shape[1], np.nan)
    for i, t in enumerate(rows.tolist()):
        if t // every != last:
            last = t // every
            past = losses[max(t - bars + 1 - window, 0) : max(t - bars + 1, 0)]
            past = past[np.isfinite(past).all(axis=1)]
            if len(past) >= window // 2:
                # Never below zero: a requirement is not negative.
                held = np.maximum(np.quantile(past, 1.0 - level, axis=0), 0.0)
        out[i] = held
    return out
