"""One crash, hour by hour: breaches, thresholds hit at several leverages, shortfall.

Margins are those set from data before; positions are constant coins through the crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError
from commonmode.margin.backtest.portfolios import Portfolio

__all__ = ["LeverageOutcome", "MethodCrash", "linear_weights", "method_crash", "threshold_run"]


def linear_weights(portfolios: Sequence[Portfolio], coins: Sequence[str]) -> FloatArray:
    """Net dollars per coin of linear portfolios, collateral included, shape (A, U).

    Raises
    ------
    DataError
        If a portfolio holds options.
    """
    out = np.zeros((len(portfolios), len(coins)))
    for a, portfolio in enumerate(portfolios):
        if portfolio.has_options:
            raise DataError(
                f"{portfolio.name} holds options, and no surface of the time is known",
                remedy="give linear portfolios",
            )
        for leg in portfolio.legs:
            out[a, coins.index(leg.coin)] += leg.weight
    return out


@dataclass(frozen=True, slots=True)
class LeverageOutcome:
    """Accounts of one leverage under one method.

    Attributes
    ----------
    leverage : float
        Gross notional over equity at the start.
    opened : int
        Accounts whose equity covered the requirement at the start; the others are not there.
    hit : int
        Thresholds reached: equity below the requirement at the end of an hour.
    hit_adverse : int
        The same at the worst prices inside an hour, all legs at their worst at once.
    bankrupt, bankrupt_adverse : int
        Accounts hit whose equity is negative when they are closed: at the next hour's close, or at
        the worst prices of that hour.
    shortfall, shortfall_adverse : float
        Sum of the negative equities, per dollar of gross notional of one account.
    """

    leverage: float
    opened: int
    hit: int
    hit_adverse: int
    bankrupt: int
    bankrupt_adverse: int
    shortfall: float
    shortfall_adverse: float


@dataclass(frozen=True, slots=True)
class MethodCrash:
    """What one method's margin did in the window.

    Attributes
    ----------
    method : str
    portfolios, hours : int
    before : float
        Mean margin per dollar of notional in the hour before the window.
    breaches, breaches_adverse : int
        (Portfolio, hour) pairs whose loss exceeded the margin at the hour's start, close to close
        and at the worst prices inside the hour.
    worst : float
        Largest loss over margin, close to close.
    shortfall, shortfall_adverse : float
        Sum over portfolios of the largest hourly loss beyond margin, per dollar of notional.
    leverages : tuple of LeverageOutcome
    """

    method: str
    portfolios: int
    hours: int
    before: float
    breaches: int
    breaches_adverse: int
    worst: float
    shortfall: float
    shortfall_adverse: float
    leverages: tuple[LeverageOutcome, ...]


def adverse(
    weights: FloatArray, close: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Loss of each portfolio from each close to the worst prices of the next bar, (T - 1, A).

    Longs at the low and shorts at the high at once: for several legs an upper bound.
    """
    down, up = low[1:] / close[:-1] - 1.0, high[1:] / close[:-1] - 1.0
    long, short = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
    return np.asarray(-(down @ long.T + up @ short.T))


def threshold_run(
    requirement: FloatArray,
    weights: FloatArray,
    close: FloatArray,
    low: FloatArray,
    high: FloatArray,
    leverage: float,
) -> LeverageOutcome:
    """Accounts opened at the first row and watched to the end.

    Parameters
    ----------
    requirement : float64, shape (T, A)
        Of the portfolio in the dollars of its weights; it moves with the gross notional.
    weights : float64, shape (A, U)
        Dollars at the first row.
    close, low, high : float64, shape (T, U)
    leverage : float
    """
    gross0 = np.abs(weights).sum(axis=1)
    equity0 = gross0 / leverage
    relative = close / close[0]
    equity = equity0 + (relative - 1.0) @ weights.T
    gross = relative @ np.abs(weights).T
    long, short = np.maximum(weights, 0.0), np.minimum(weights, 0.0)
    worst = equity0 + (low / close[0] - 1.0) @ long.T + (high / close[0] - 1.0) @ short.T
    asked = requirement * (gross / gross0)
    opened = np.isfinite(asked).all(axis=0) & (equity[0] >= asked[0])
    hit = _first(equity < asked, opened)
    # Inside an hour the requirement is that of the hour's start.
    inside = np.zeros_like(opened, shape=equity.shape)
    inside[1:] = worst[1:] < asked[:-1]
    hit_adverse = _first(inside, opened)
    last = len(close) - 1
    rows = np.arange(len(opened))
    left = np.where(hit >= 0, equity[np.minimum(hit + 1, last), rows], 0.0)
    left_adverse = np.where(hit_adverse >= 0, worst[np.minimum(hit_adverse + 1, last), rows], 0.0)
    return LeverageOutcome(
        leverage=leverage,
        opened=int(opened.sum()),
        hit=int((hit >= 0).sum()),
        hit_adverse=int((hit_adverse >= 0).sum()),
        bankrupt=int((left < 0).sum()),
        bankrupt_adverse=int((left_adverse < 0).sum()),
        shortfall=float((np.maximum(-left, 0.0) / gross0).sum()),
        shortfall_adverse=float((np.maximum(-left_adverse, 0.0) / gross0).sum()),
    )


def _first(below: BoolArray, opened: BoolArray) -> FloatArray:
    """First row at which an opened account is below, -1 for none, shape (A,)."""
    some = below.any(axis=0) & opened
    return np.where(some, np.argmax(below, axis=0), -1)


def method_crash(
    name: str,
    margin: FloatArray,
    weights: FloatArray,
    close: FloatArray,
    low: FloatArray,
    high: FloatArray,
    leverages: Sequence[float],
) -> MethodCrash:
    """Breaches and thresholds of one method in a window.

    Parameters
    ----------
    name : str
    margin : float64, shape (T, A)
        Per dollar of notional at each row; NaN columns are portfolios the method does not margin.
    weights : float64, shape (A, U)
    close, low, high : float64, shape (T, U)
        Of the bar that ends at each row; the window begins after the first row.
    leverages : sequence of float
    """
    known = np.flatnonzero(np.isfinite(margin).all(axis=0))
    m, w = margin[:, known], weights[known]
    held = m[:-1]
    loss = -((close[1:] / close[:-1] - 1.0) @ w.T)
    worst = adverse(w, close, low, high)
    return MethodCrash(
        method=name,
        portfolios=len(known),
        hours=len(close) - 1,
        before=float(m[0].mean()),
        breaches=int((loss > held).sum()),
        breaches_adverse=int((worst > held).sum()),
        worst=float((loss / held).max()),
        shortfall=float(np.maximum(loss - held, 0.0).max(axis=0).sum()),
        shortfall_adverse=float(np.maximum(worst - held, 0.0).max(axis=0).sum()),
        leverages=tuple(threshold_run(m, w, close, low, high, each) for each in leverages),
    )
