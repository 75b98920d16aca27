"""From profits in every scenario to a requirement: dampener, offsets, roll and delta shocks.

All figures of one ledger (an underlying and its settlement currency) are in that currency; coin
for inverse instruments, USD for linear ones.

What two published answers settle (see tests/reference/margin/test_deribit_answers.py): the tables,
the offset of gains, the roll shock and the sums. What they leave open, and how it is read here:

- gains in the extended table count nothing (the answers fit that, and a dampened gain);
- the limit on an offset is one on the gain after the offset factor, in USD;
- the delta shock is |delta| at a rate that grows by ``delta_slope`` per coin above the threshold,
  like the venue's margin of large futures positions, up to ``delta_most``;
- the correlation contingency has no published formula: it is an input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin.deribit.parameters import CurrencyTerms, GeneralTerms, PairTerms
from commonmode.margin.deribit.scenarios import Grid

__all__ = [
    "Requirement",
    "WorstCase",
    "aggregated_pnl",
    "dampening",
    "delta_shock",
    "requirement",
    "roll_rate",
    "worst_case",
]


@dataclass(frozen=True, slots=True, eq=False)
class WorstCase:
    """Largest loss over the scenarios; shape (N,).

    Attributes
    ----------
    loss : float64
        Not below 0.
    scenario : int64
        Where it falls; -1 where no scenario loses.
    """

    loss: FloatArray
    scenario: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Requirement:
    """Margin; float64 of one shape.

    Attributes
    ----------
    risk_matrix : float64
        Worst case, roll shock, delta shock and correlation contingency.
    initial, maintenance : float64
    """

    risk_matrix: FloatArray
    initial: FloatArray
    maintenance: FloatArray


def dampening(
    grid: Grid, pair: PairTerms, currency: CurrencyTerms, index: float, *, coin_settled: bool
) -> FloatArray:
    """What the extended table forgives of a loss, shape (S,); 0 in the standard table.

    ``(max(|s| / range, 1) - 1) * dampener``, in coin at the price of the range's edge.

    Parameters
    ----------
    grid : Grid
    pair : PairTerms
    currency : CurrencyTerms
    index : float
        USD per coin.
    coin_settled : bool
    """
    usd = (np.maximum(np.abs(grid.move) / pair.price_range, 1.0) - 1.0) * currency.dampener_usd
    price = (1.0 + grid.edge) * index if coin_settled else np.ones(len(grid))
    return np.where(grid.extended, usd / price, 0.0)


def aggregated_pnl(
    pnl: FloatArray, grid: Grid, forgiven: FloatArray, currency: CurrencyTerms, unit_usd: float
) -> FloatArray:
    """Profits of a ledger as they enter the worst case.

    Parameters
    ----------
    pnl : float64, shape (N, S)
        Summed over the positions of the ledger.
    grid : Grid
    forgiven : float64, shape (S,)
        :func:`dampening`.
    currency : CurrencyTerms
    unit_usd : float
        USD per unit of the settlement currency.

    Returns
    -------
    float64, shape (N, S)
        Losses less what is forgiven, gains times the offset up to its limit.
    """
    limit = currency.offset_limit_usd / unit_usd
    gains = np.minimum(np.maximum(pnl, 0.0) * currency.pnl_offset, limit)
    return np.asarray(np.minimum(pnl + forgiven, 0.0) + np.where(grid.extended, 0.0, gains))


def worst_case(pnl: FloatArray) -> WorstCase:
    """The scenario that loses most, the first of equals.

    Parameters
    ----------
    pnl : float64, shape (N, S)

    Returns
    -------
    WorstCase
        NaN where a profit is NaN.
    """
    at = np.argmin(pnl, axis=1)
    least = pnl[np.arange(len(pnl)), at]
    loses = ~(least >= 0.0)
    return WorstCase(np.where(loses, -least, 0.0), np.where(loses, at, -1))


def roll_rate(years: ArrayLike, currency: CurrencyTerms) -> FloatArray:
    """Roll shock per unit of net delta of an expiry; a perpetual is an expiry at 0.

    Parameters
    ----------
    years : array_like
    currency : CurrencyTerms

    Returns
    -------
    float64, shape of ``years``
        ``max(least_move, exp(annualised_move T) - 1)``.
    """
    t = np.asarray(years, np.float64)
    return np.asarray(np.maximum(np.expm1(currency.annualised_move * t), currency.least_move))


def delta_shock(delta: ArrayLike, index: float, pair: PairTerms) -> FloatArray:
    """Charge for a large net delta.

    Parameters
    ----------
    delta : array_like
        Coins.
    index : float
        USD per coin.
    pair : PairTerms

    Returns
    -------
    float64, shape of ``delta``
        Coins.
    """
    size = np.abs(np.asarray(delta, np.float64))
    above = np.maximum(size - pair.delta_threshold_usd / index, 0.0)
    return np.asarray(size * np.minimum(above * pair.delta_slope, pair.delta_most))


def requirement(
    worst: ArrayLike,
    roll: ArrayLike,
    delta: ArrayLike,
    general: GeneralTerms,
    *,
    correlation: ArrayLike = 0.0,
    open_orders: ArrayLike = 0.0,
    spot: ArrayLike = 0.0,
    market_maker_protection: ArrayLike = 0.0,
) -> Requirement:
    """Initial and maintenance margin from their parts.

    Parameters
    ----------
    worst, roll, delta : array_like
        Worst case, roll shock, delta shock.
    general : GeneralTerms
    correlation : array_like
        Correlation contingency, part of the risk matrix.
    open_orders, spot, market_maker_protection : array_like
        Reserved for orders; initial margin only.

    Returns
    -------
    Requirement
    """
    matrix = np.asarray(
        np.asarray(worst, np.float64) + np.asarray(roll) + np.asarray(delta) + correlation,
        dtype=np.float64,
    )
    orders = np.asarray(open_orders, np.float64) + np.asarray(spot) + market_maker_protection
    return Requirement(matrix, np.asarray(matrix + orders), matrix * general.maintenance)
