"""A grid carried over to a market that has moved: only what moved is valued again."""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import BoolArray
from commonmode.margin.market import MarginMarket
from commonmode.margin.pm2.grid import PM2Grid, is_linear, revalue

__all__ = ["changed_groups", "requote", "same_instruments"]


def _differ(one: np.ndarray, other: np.ndarray) -> BoolArray:
    """Where two columns differ; two NaN are the same."""
    return np.asarray((one != other) & ~((one != one) & (other != other)))


def same_instruments(grid: PM2Grid, market: MarginMarket) -> bool:
    """Whether a market lists the instruments of the grid's, in the same expiries."""
    old, new = grid.market, market
    if old.instruments is not new.instruments:
        columns = ("instrument", "kind", "strike", "sign", "contract_size", "inverse")
        for name in columns:
            one, other = getattr(old.instruments, name), getattr(new.instruments, name)
            if len(one) != len(other) or _differ(one, other).any():
                return False
    return (
        len(old.expiries) == len(new.expiries)
        and np.array_equal(old.expiry, new.expiry)
        and np.array_equal(old.underlying, new.underlying)
        and np.array_equal(old.expiries.underlying, new.expiries.underlying)
        and np.array_equal(old.underlyings.name, new.underlyings.name)
        and np.array_equal(old.assets.name, new.assets.name)
    )


def requote(grid: PM2Grid, market: MarginMarket) -> PM2Grid:
    """The grid of `market`, taking over the rows of instruments whose inputs are what they were.

    Parameters
    ----------
    grid : PM2Grid
    market : MarginMarket
        Best made from the grid's with ``dataclasses.replace``; with other instruments everything
        is valued anew.

    Returns
    -------
    PM2Grid
        With the bits of :func:`~commonmode.margin.pm2.grid.revalue` under the same engine.
    """
    if not same_instruments(grid, market):
        return revalue(market, grid.parameters, engine=grid.engine)
    old, new = grid.market, market
    moved = (grid.fault != 0) | _differ(old.vol, new.vol)
    perp = _differ(old.underlyings.perp_price, new.underlyings.perp_price)
    moved |= is_linear(new) & perp[new.underlying]
    if len(new.expiries):
        expiry = _differ(old.seconds, new.seconds)
        for name in ("forward", "rate", "settled"):
            expiry |= _differ(getattr(old.expiries, name), getattr(new.expiries, name))
        moved |= (new.expiry >= 0) & expiry[np.maximum(new.expiry, 0)]
    return revalue(market, grid.parameters, engine=grid.engine, previous=(grid, moved))


def changed_groups(old: PM2Grid, new: PM2Grid) -> BoolArray:
    """Groups of which an instrument has other values, shape (G,)."""
    changed = np.zeros(len(new.groups), dtype=np.bool_)
    if old is new:
        return changed
    rows = _differ(old.rows, new.rows).any(axis=1)
    rows |= _differ(old.linear_oracle, new.linear_oracle)
    changed[new.kind[rows, 0]] = True
    return changed
