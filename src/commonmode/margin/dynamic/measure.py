"""Weighted value at risk and expected shortfall of scenario P&L, split exactly over legs.

Signs: P&L is positive for a gain; VaR and ES are positive for a loss. The level is that of the
loss, 0.99 for the worst hundredth. References: Rockafellar and Uryasev (2002), "Conditional
value-at-risk for general loss distributions", J. Banking & Finance 26(7), eq. 25 (atoms are split);
Acerbi and Tasche (2002), J. Banking & Finance 26(7); Tasche (1999), "Risk contributions and
performance measurement" (Euler allocation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError

__all__ = [
    "TailMeasure",
    "WorstLoss",
    "shortfall_error",
    "tail_measure",
    "undiversified",
    "worst_loss",
]

# A scenario whose share of the tail is below this is there by rounding of 1 - level.
_ROUNDING = 1e-9
# Accounts are taken as many at a time as fit a processor's cache (values of 8 bytes).
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class TailMeasure:
    """VaR and ES of A accounts, and the scenarios they rest on.

    Attributes
    ----------
    level : float
    value_at_risk : float64, shape (A,)
        Smallest loss in the tail of probability 1 - level.
    shortfall : float64, shape (A,)
        Mean loss in that tail, the last scenario counted with the part of its weight that fits.
        NaN where an account's P&L is not finite in a scenario.
    tail_weights : float64, shape (A, S)
        Share of each scenario in the account's tail: sums to 1. Scenarios tied at the VaR share
        what is left of the tail in proportion to their weights, so the order does not matter.
    """

    level: float
    value_at_risk: FloatArray
    shortfall: FloatArray
    tail_weights: FloatArray

    def contributions(self, leg_pnl: FloatArray, account: IntArray | int) -> FloatArray:
        """Euler contributions of legs to their account's ES: its mean loss in the account's tail.

        They add up to the ES where the legs' P&L adds up to the account's (within rounding of the
        sum), and each is the derivative of the ES in the size of the leg where that exists.

        Parameters
        ----------
        leg_pnl : float64, shape (L, S)
        account : int64, shape (L,), or int
            Row of the account that holds each leg.

        Returns
        -------
        float64, shape (L,)
        """
        pnl = np.asarray(leg_pnl, dtype=np.float64)
        weights = np.broadcast_to(self.tail_weights[account], pnl.shape)
        return -_row_sums(weights * pnl)


def _row_sums(x: FloatArray) -> FloatArray:
    # Along contiguous rows numpy sums each row on its own: an account's bits do not depend on who
    # else is in the block. A matrix product or einsum does not promise that.
    return np.asarray(np.ascontiguousarray(x).sum(axis=1))


def _check(pnl: FloatArray, weights: FloatArray, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ConfigurationError(
            f"tail level {level} is not in (0, 1)", remedy="give the loss quantile, e.g. 0.99"
        )
    if pnl.ndim != 2 or weights.shape != pnl.shape[1:] or not len(weights):
        raise DataError(
            f"P&L of shape {pnl.shape} with {weights.shape} weights",
            remedy="P&L is (accounts, scenarios), one weight per scenario",
        )
    total = float(weights.sum())
    if np.any(weights < 0.0) or not abs(total - 1.0) <= _ROUNDING:
        raise DataError(
            f"weights sum to {total}, not 1, or one is negative",
            remedy="divide the weights by their sum",
        )


def _quantile(losses: FloatArray, weights: FloatArray, tail: float) -> FloatArray:
    """Smallest loss that belongs to the worst ``tail`` of probability, shape (A,)."""
    n = losses.shape[1]
    reach = tail * (1.0 - _ROUNDING)
    if np.all(weights == weights[0]):
        # k scenarios of weight 1/n reach the tail: an order statistic, found without sorting.
        k = min(max(int(np.ceil(n * reach)), 1), n)
        return np.asarray(np.partition(losses, n - k, axis=1)[:, n - k])
    # Scenarios without weight must not be the quantile: they enter below every loss.
    order = np.argsort(np.where(weights > 0.0, -losses, np.inf), axis=1, kind="stable")
    reached = np.cumsum(weights[order], axis=1) >= reach
    first = np.argmax(reached, axis=1)
    at = np.take_along_axis(order, first[:, None], axis=1)
    return np.asarray(np.take_along_axis(losses, at, axis=1)[:, 0])


def tail_measure(pnl: FloatArray, weights: FloatArray, level: float) -> TailMeasure:
    """VaR and ES of every account.

    Parameters
    ----------
    pnl : float64, shape (A, S)
        USD; a row that is not finite gives NaN for that account alone.
    weights : float64, shape (S,)
        Probabilities.
    level : float
        In (0, 1). With fewer than ``1 / (1 - level)`` equally weighted scenarios both numbers are
        the worst loss.

    Returns
    -------
    TailMeasure
        Memory of the size of the input; large populations are passed in blocks of accounts, which
        gives the same bits as all at once.
    """
    x = np.asarray(pnl, dtype=np.float64)
    w = np.asarray(weights, dtype=np.float64)
    _check(x, w, level)
    n_a, n_s = x.shape
    var, shortfall, tail_weights = np.empty(n_a), np.empty(n_a), np.empty((n_a, n_s))
    block = max(_BLOCK // n_s, 1)
    for start in range(0, n_a, block):
        rows = slice(start, start + block)
        var[rows], shortfall[rows], tail_weights[rows] = _tail(x[rows], w, 1.0 - level)
    return TailMeasure(level, var, shortfall, tail_weights)


def _tail(x: FloatArray, w: FloatArray, tail: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """VaR, ES and tail weights of a few accounts; see :func:`tail_measure`."""
    known = np.asarray(np.isfinite(x).all(axis=1))
    losses = np.where(known[:, None], -x, 0.0)
    var = _quantile(losses, w, tail)
    beyond = losses > var[:, None]
    at = losses == var[:, None]
    left = np.maximum(tail - _row_sums(beyond * w), 0.0)
    share = left / _row_sums(at * w)
    tail_weights = w * (beyond + at * share[:, None]) / tail
    # The tail's mass is 1 - level up to rounding; the shares are made to sum to 1.
    tail_weights /= _row_sums(tail_weights)[:, None]
    # Losses are measured from the VaR: a mean of many equal losses is then that loss exactly.
    excess = np.where(beyond, losses - var[:, None], 0.0)
    shortfall = var + _row_sums(tail_weights * excess)
    bad = ~known
    var[bad], shortfall[bad], tail_weights[bad] = np.nan, np.nan, np.nan
    return var, shortfall, tail_weights


@dataclass(frozen=True, slots=True, eq=False)
class WorstLoss:
    """Worst scenario of A accounts.

    Attributes
    ----------
    loss : float64, shape (A,)
        Negative where every scenario is a gain; NaN where P&L is not finite in a scenario.
    scenario : int64, shape (A,)
        The first of equally bad ones; -1 where unknown.
    """

    loss: FloatArray
    scenario: IntArray


def worst_loss(pnl: FloatArray) -> WorstLoss:
    """Largest loss over scenarios, whatever their probability: for hypothetical moves.

    Parameters
    ----------
    pnl : float64, shape (A, S)
    """
    x = np.asarray(pnl, dtype=np.float64)
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(
            f"P&L of shape {x.shape}", remedy="P&L is (accounts, scenarios), at least one scenario"
        )
    known = np.asarray(np.isfinite(x).all(axis=1))
    scenario = np.where(known, np.argmin(np.where(known[:, None], x, 0.0), axis=1), -1)
    loss = np.where(known, -x[np.arange(len(x)), scenario], np.nan)
    return WorstLoss(loss, scenario.astype(np.int64))


def undiversified(pnl_by_factor: FloatArray, weights: FloatArray, level: float) -> FloatArray:
    """ES of each factor's own P&L; its sum over factors is the worst ES under any dependence.

    ES is subadditive, and additive for P&L that moves in step, so over all joint laws with the
    given laws of the factors' P&L the largest ES of the sum is the sum of the ES (McNeil, Frey and
    Embrechts 2015, sections 8.2 and 8.4): every hedge between factors fails at once. Contributions
    of legs come from ``tail_measure`` of each factor, and add up the same way.

    Parameters
    ----------
    pnl_by_factor : float64, shape (A, S, U)
        P&L of what depends on factor u alone; they add up to the account's.
    weights : float64, shape (S,)
    level : float

    Returns
    -------
    float64, shape (A, U)
    """
    x = np.asarray(pnl_by_factor, dtype=np.float64)
    if x.ndim != 3:
        raise DataError(
            f"P&L by factor of shape {x.shape}", remedy="give (accounts, scenarios, factors)"
        )
    out = np.empty((x.shape[0], x.shape[2]))
    for u in range(x.shape[2]):
        out[:, u] = tail_measure(x[:, :, u], weights, level).shortfall
    return out


def shortfall_error(
    pnl: FloatArray, weights: FloatArray, level: float, *, overlap: float = 1.0
) -> FloatArray:
    """Standard error of the ES from sampling the scenarios.

    ``Var(ES) = Var[(L - VaR)+] / ((1 - level)^2 n)`` (Scaillet 2004, Mathematical Finance 14(1),
    for independent scenarios) with ``n = 1 / (overlap sum w^2)``. With a handful of scenarios in
    the tail it is itself rough and too small.

    Parameters
    ----------
    pnl : float64, shape (A, S)
    weights : float64, shape (S,)
    level : float
    overlap : float
        How many overlapping windows count as one: the horizon in bars for overlapping history.

    Returns
    -------
    float64, shape (A,)
    """
    measure = tail_measure(pnl, weights, level)
    excess = np.maximum(-np.asarray(pnl) - measure.value_at_risk[:, None], 0.0)
    mean = excess @ weights
    variance = np.maximum(excess**2 @ weights - mean**2, 0.0)
    effective = 1.0 / (overlap * float(np.sum(weights**2)))
    return np.asarray(np.sqrt(variance / effective) / (1.0 - level))
