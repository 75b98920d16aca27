"""Who is liquidated next, under every surface model, and where the models disagree about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, StringArray
from commonmode.core.ids import ModelId
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.roots import RootSearch
from commonmode.margin.thresholds import Level, daily_vol, find_thresholds

__all__ = ["MARKS", "NearestAccounts", "nearest"]

#: Name of the model that sets the market's own marks.
MARKS = ModelId("marks")


@dataclass(frozen=True, slots=True, eq=False)
class NearestAccounts:
    """Distance of A accounts to their nearest threshold under M models.

    Attributes
    ----------
    method : str
    models : tuple of ModelId
        The market's own volatilities first, as :data:`MARKS`.
    ids : array of str, shape (A,)
    distance : float64, shape (M, A)
        Daily standard deviations to the nearest threshold, of the market's own volatility for all
        models, so that they differ by the thresholds alone. 0: fails its requirement now; infinite:
        no threshold within the bounds; NaN: the account cannot be margined under that model.
    factor : float64, shape (M, A)
        The nearest threshold, spot over spot today; 1 for those that fail now, else NaN if none.
    balance : float64, shape (M, A)
        Balance at today's spot, USD-stable; among accounts that fail now the lowest goes first.
    order : int64, shape (M, A)
        Account rows, nearest first; those without a value last.
    top : int
        How many count as near.
    """

    method: str
    models: tuple[ModelId, ...]
    ids: StringArray
    distance: FloatArray
    factor: FloatArray
    balance: FloatArray
    order: IntArray
    top: int

    @property
    def next(self) -> Mapping[ModelId, str]:
        """Account nearest its threshold under each model that has any within reach."""
        found = {}
        for m, model in enumerate(self.models):
            if len(self.ids) and np.isfinite(self.distance[m, self.order[m, 0]]):
                found[model] = str(self.ids[self.order[m, 0]])
        return found

    @property
    def unanimous(self) -> bool:
        """Whether all models name the same account as the next."""
        named = self.next
        return len(named) == len(self.models) and len(set(named.values())) == 1

    def near(self, model: int) -> IntArray:
        """The ``top`` accounts with a threshold within reach under a model, nearest first."""
        rows = self.order[model, : self.top]
        return np.asarray(rows[np.isfinite(self.distance[model, rows])])

    @property
    def overlap(self) -> FloatArray:
        """Share of the near accounts that two models have in common (Jaccard), shape (M, M).

        NaN where neither model has any.
        """
        sets = [set(self.near(m).tolist()) for m in range(len(self.models))]
        out = np.full((len(sets), len(sets)), np.nan)
        for i, j in [*combinations(range(len(sets)), 2), *((k, k) for k in range(len(sets)))]:
            union = sets[i] | sets[j]
            if union:
                out[i, j] = out[j, i] = len(sets[i] & sets[j]) / len(union)
        return out

    @property
    def spread(self) -> FloatArray:
        """Greatest less least distance over the models, daily deviations, shape (A,).

        Infinite where only some models see a threshold within the bounds, 0 where none does, NaN
        where fewer than two models have a value.
        """
        known = ~np.isnan(self.distance)
        least = np.min(np.where(known, self.distance, np.inf), axis=0)
        most = np.max(np.where(known, self.distance, -np.inf), axis=0)
        both_far = np.isinf(least) & np.isinf(most)
        gap = np.where(both_far, 0.0, most) - np.where(both_far, 0.0, least)
        return np.where(np.sum(known, axis=0) >= 2, gap, np.nan)

    @property
    def disputed(self) -> IntArray:
        """Accounts near under some models and not under others, widest spread first."""
        counts = np.zeros(len(self.ids), dtype=np.int64)
        for m in range(len(self.models)):
            counts[self.near(m)] += 1
        rows = np.nonzero((counts > 0) & (counts < len(self.models)))[0]
        spread = np.nan_to_num(self.spread[rows], nan=-1.0)
        return np.asarray(rows[np.argsort(-spread, kind="stable")])


def nearest(
    accounts: Accounts,
    market: MarginMarket,
    method: MarginMethod,
    *,
    models: Mapping[ModelId, FloatArray] | None = None,
    top: int = 10,
    search: RootSearch | None = None,
    only: int | None = None,
    level: Level = Level.MAINTENANCE,
) -> NearestAccounts:
    """Rank the accounts by the distance to their threshold under every surface model.

    Parameters
    ----------
    accounts : Accounts
    market : MarginMarket
    method : MarginMethod
    models : mapping of ModelId to volatilities of shape (I,), optional
        The market's alternatives if left out.
    top : int
        How many count as near in what the models are compared by.
    search, only, level
        As for :func:`~commonmode.margin.thresholds.find_thresholds`.
    """
    vols = {MARKS: market.vol} | dict(market.alternatives if models is None else models)
    daily = daily_vol(accounts, market, only)
    # Without an option to measure by, the distance stays a logarithm.
    daily = np.where(np.isfinite(daily) & (daily > 0.0), daily, 1.0)
    shape = (len(vols), len(accounts))
    distance, factor, balance = np.empty(shape), np.empty(shape), np.empty(shape)
    order = np.empty(shape, dtype=np.int64)
    for m, vol in enumerate(vols.values()):
        found = find_thresholds(
            accounts,
            market.with_vol(vol),
            method,
            search=search,
            only=only,
            level=level,
            daily=daily,
        )
        distance[m], balance[m] = found.daily_vols, found.balance
        with np.errstate(invalid="ignore"):
            lower = -np.log(found.down) <= np.log(found.up)
        side = np.where(lower | np.isnan(found.up), found.down, found.up)
        factor[m] = np.where(found.liquidatable, 1.0, side)
        order[m] = np.lexsort((np.minimum(balance[m], 0.0), distance[m]))
    return NearestAccounts(
        method=method.id,
        models=tuple(vols),
        ids=accounts.ids,
        distance=distance,
        factor=factor,
        balance=balance,
        order=order,
        top=top,
    )
