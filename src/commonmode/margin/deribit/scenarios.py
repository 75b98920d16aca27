"""Scenarios of Deribit's portfolio margin, and what one coin of an instrument makes in each.

The standard table moves the price over nine equal steps of the price range, each with volatility
down, unchanged and up. The extended table takes far moves s with volatility up; its profits are
scaled back to the edge of the range, for coin-settled instruments at the coin's price there:
``pnl * factor * (range / |s|) * (1 + s) / (1 + sgn(s) range)``.

Checked against two answers of the venue (futures only). That options follow Black-76 at the
shocked forward and volatility, and the volatility shock itself, are the venue's description and a
third party's replica; no published answer holds an option.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.margin.deribit.parameters import PairTerms
from commonmode.pricing.black76 import black76_price

__all__ = [
    "EXTENDED_MOVES",
    "SCENARIOS",
    "Grid",
    "future_pnl",
    "option_pnl",
    "scenario_grid",
    "shocked_vol",
]

EXTENDED_MOVES: Final = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
"""Moves of the extended table."""

_STEPS: Final = 4

SCENARIOS: Final = 3 * (2 * _STEPS + 1) + len(EXTENDED_MOVES)
"""Of both tables."""

_DAYS_PER_YEAR: Final = 365.0
# Shorter times than this (under a second) would only divide by zero: no volatility is left there.
_LEAST_DAYS: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The S = 35 scenarios: 27 of the standard table, then 8 of the extended one; shape (S,).

    Attributes
    ----------
    move : float64
        Relative move of the price.
    vol : int64
        -1 volatility down, 0 unchanged, 1 up.
    extended : bool
    edge : float64
        The price range with the sign of the move.
    scale : float64
        ``range / |move|`` times the factor in the extended table, 1 in the standard one.
    """

    move: FloatArray
    vol: IntArray
    extended: BoolArray
    edge: FloatArray
    scale: FloatArray

    def __len__(self) -> int:
        return len(self.move)

    def labels(self) -> tuple[str, ...]:
        """``-16 %, vol up``, one per scenario."""
        words = {-1: "down", 0: "unchanged", 1: "up"}
        return tuple(
            f"price {100 * move:+g} %, vol {words[vol]}" + (", extended" if far else "")
            for move, vol, far in zip(
                self.move.tolist(), self.vol.tolist(), self.extended.tolist(), strict=True
            )
        )


def scenario_grid(pair: PairTerms) -> Grid:
    """The scenarios of an underlying, price by price and within each volatility down, same, up."""
    near = np.repeat(np.arange(-_STEPS, _STEPS + 1) / _STEPS * pair.price_range, 3)
    far = np.array(EXTENDED_MOVES)
    move = np.concatenate((near, far))
    extended = np.arange(len(move)) >= len(near)
    scale = np.ones(len(move))
    scale[extended] = pair.extended_factor * pair.price_range / np.abs(far)
    return Grid(
        move=move,
        vol=np.concatenate((np.tile([-1, 0, 1], len(near) // 3), np.ones(len(far), np.int64))),
        extended=extended,
        edge=np.sign(move) * pair.price_range,
        scale=scale,
    )


def shocked_vol(vol: ArrayLike, years: ArrayLike, pair: PairTerms) -> FloatArray:
    """Volatility down, unchanged and up.

    Parameters
    ----------
    vol : array_like, shape (I,)
        Annualised decimal.
    years : array_like, shape (I,)
        To expiry.
    pair : PairTerms

    Returns
    -------
    float64, shape (3, I)
        ``vol (1 +- shock (30 / days)^power)``, down not below 0 and up not below its floor.
    """
    sigma, t = np.broadcast_arrays(np.asarray(vol, np.float64), np.asarray(years, np.float64))
    ratio = 30.0 / np.maximum(t * _DAYS_PER_YEAR, _LEAST_DAYS)
    grown = ratio ** np.where(ratio > 1.0, pair.short_power, pair.long_power)
    down = np.maximum(sigma * (1.0 - pair.vol_down * grown), 0.0)
    up = np.maximum(sigma * (1.0 + pair.vol_up * grown), pair.least_vol_up)
    return np.stack((down, sigma, up))


def _to_edge(pnl: FloatArray, grid: Grid, coin_settled: bool) -> FloatArray:
    """The extended table's profits, scaled back to the edge of the price range."""
    coins = (1.0 + grid.move) / (1.0 + grid.edge) if coin_settled else np.ones(len(grid))
    return np.asarray(pnl * np.where(grid.extended, grid.scale * coins, 1.0))


def future_pnl(forward: ArrayLike, grid: Grid, *, coin_settled: bool) -> FloatArray:
    """Profit of one coin of a future or perpetual.

    Parameters
    ----------
    forward : array_like, shape (I,)
        USD.
    grid : Grid
    coin_settled : bool

    Returns
    -------
    float64, shape (I, S)
        Coin, ``s / (1 + s)``, or USD, ``F s``.
    """
    f = np.atleast_1d(np.asarray(forward, np.float64))[:, None]
    move = grid.move[None, :]
    pnl = move / (1.0 + move) * np.ones_like(f) if coin_settled else f * move
    return _to_edge(np.asarray(pnl), grid, coin_settled)


def option_pnl(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    sign: ArrayLike,
    pair: PairTerms,
    grid: Grid,
    *,
    coin_settled: bool,
) -> FloatArray:
    """Profit of an option on one coin.

    Parameters
    ----------
    forward, strike : array_like, shape (I,)
        USD.
    years, vol : array_like, shape (I,)
        Time to expiry, annualised volatility; it is held per strike while the price moves.
    sign : array_like, shape (I,)
        +1 call, -1 put.
    pair : PairTerms
    grid : Grid
    coin_settled : bool
        Premium in coin: the undiscounted Black-76 value over the forward, before and after.

    Returns
    -------
    float64, shape (I, S)
        Coin or USD.
    """
    f, k, t, sigma, sgn = (
        np.atleast_1d(np.asarray(x, np.float64))[:, None]
        for x in (forward, strike, years, vol, sign)
    )
    moved = f * (1.0 + grid.move)
    vols = shocked_vol(sigma[:, 0], t[:, 0], pair)[grid.vol + 1].T
    before = black76_price(f, k, t, sigma, sign=sgn)
    after = black76_price(moved, k, t, vols, sign=sgn)
    if coin_settled:
        before, after = before / f, after / moved
    return _to_edge(after - before, grid, coin_settled)
