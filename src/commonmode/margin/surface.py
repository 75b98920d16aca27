"""The liquidation surface: balance over spot, volatility and time, and its zeros in spot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, StringArray
from commonmode.core.errors import ConfigurationError
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.roots import RootSearch
from commonmode.margin.thresholds import Level, Thresholds, scan_balance, thresholds_from

__all__ = ["LiquidationSurface", "liquidation_surface"]


@dataclass(frozen=True, slots=True, eq=False)
class LiquidationSurface:
    """Balance of A accounts over S spots, V volatilities and T times.

    Attributes
    ----------
    method : str
    level : Level
    ids : array of str, shape (A,)
    spot : float64, shape (S,)
        Factors on spot, the grid of the search.
    vol : float64, shape (V,)
        Factors on every implied volatility, held per strike.
    seconds : float64, shape (T,)
        Time passed. The vol of an option does not change with it, nor do its forward and rate.
    balance : float64, shape (A, S, V, T)
        Equity above the requirement, USD-stable; NaN where the method has no value.
    thresholds : tuple of V tuples of T Thresholds
        Zeros in spot at each volatility and time; what expires before counts its payoff.
    """

    method: str
    level: Level
    ids: StringArray
    spot: FloatArray
    vol: FloatArray
    seconds: FloatArray
    balance: FloatArray
    thresholds: tuple[tuple[Thresholds, ...], ...]

    def nearest(self, row: int) -> tuple[FloatArray, FloatArray]:
        """Nearest factors (down, up) of account ``row``, each of shape (V, T); NaN: none."""
        down = [[float(each.down[row]) for each in times] for times in self.thresholds]
        up = [[float(each.up[row]) for each in times] for times in self.thresholds]
        return np.array(down), np.array(up)


def _axis(values: Sequence[float], what: str, low: float) -> FloatArray:
    axis = np.asarray(values, dtype=np.float64)
    if axis.ndim != 1 or not len(axis) or not np.all(np.isfinite(axis) & (axis >= low)):
        raise ConfigurationError(
            f"liquidation surface: {what} is {list(values)}",
            remedy=f"give at least one number, none below {low:g}",
        )
    return axis


def liquidation_surface(
    accounts: Accounts,
    market: MarginMarket,
    method: MarginMethod,
    *,
    vol: Sequence[float] = (0.75, 1.0, 1.5),
    seconds: Sequence[float] = (0.0, 86_400.0),
    search: RootSearch | None = None,
    only: int | None = None,
    level: Level = Level.MAINTENANCE,
) -> LiquidationSurface:
    """Balance on the whole grid, with all zeros in spot at each volatility and time.

    Parameters
    ----------
    accounts : Accounts
        Those of interest: memory is 8 bytes per account and grid point.
    market : MarginMarket
    method : MarginMethod
    vol : sequence of float
        Factors on implied volatility.
    seconds : sequence of float
        Times from now, not negative.
    search : RootSearch, optional
        Its grid is the spot axis.
    only : int, optional
        As for :func:`~commonmode.margin.thresholds.find_thresholds`.
    level : Level

    Raises
    ------
    ConfigurationError
        If an axis is empty or out of range.
    """
    search = search or RootSearch()
    vols, times = _axis(vol, "vol", 0.0), _axis(seconds, "seconds", 0.0)
    spot = np.exp(search.grid)
    balance = np.empty((len(accounts), len(spot), len(vols), len(times)))
    rows: list[tuple[Thresholds, ...]] = []
    for v, factor in enumerate(vols):
        row = []
        for t, later in enumerate(times):
            moved = market.shifted(vol=float(factor), seconds=float(later))
            table = method.margin(accounts, moved)
            roots = scan_balance(accounts, moved, method, search, only, level)
            balance[:, :, v, t] = roots.values
            row.append(
                thresholds_from(accounts, moved, table, roots, search, only, level, daily=None)
            )
        rows.append(tuple(row))
    return LiquidationSurface(
        method=method.id,
        level=level,
        ids=accounts.ids,
        spot=spot,
        vol=vols,
        seconds=times,
        balance=balance,
        thresholds=tuple(rows),
    )
