"""Do two series move together beyond what a third, which both react to, explains?

Partial correlation with a flexible regression on the third: piecewise linear in its standardised
moves, with knots at fixed quantiles, at several lags, and interacted with its own volatility (the
reaction to a move may depend on how much moves). Frisch & Waugh (1933); the test on the block sums
of residual products is :func:`commonmode.stats.signflip.sign_flip_max_test`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError

__all__ = ["coupling_contributions", "explained_by_market", "market_basis"]

_KNOTS: Final = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
_ROWS_PER_COLUMN: Final = 5


def market_basis(moves: FloatArray, scale: FloatArray, lags: int) -> FloatArray:
    """Regressors of a reaction to the market's moves.

    Parameters
    ----------
    moves : float64, shape (T,)
        Return of the bar that ends at each row; NaN where unknown.
    scale : float64, shape (T,)
        Market's volatility known before that bar.
    lags : int
        Moves of the bar and of so many before it enter.

    Returns
    -------
    float64, shape (T, P)
        Constant, log volatility; for each lag the standardised move and its hinges at fixed
        quantiles, each also times the log volatility. NaN where something is unknown.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        z = moves / scale
        state = np.log(scale)
    known = np.isfinite(z) & np.isfinite(state)
    if not known.any():
        raise DataError("no move of the market is known", remedy="give returns and their scale")
    state = (state - state[known].mean()) / max(float(state[known].std()), 1e-12)
    state[~known] = np.nan
    knots = np.quantile(z[known], _KNOTS)
    shapes = np.column_stack([z, *(np.maximum(z - knot, 0.0) for knot in knots)])
    columns = [np.ones((len(z), 1)), state[:, None]]
    for lag in range(lags + 1):
        moved = np.full_like(shapes, np.nan)
        moved[lag:] = shapes[: len(shapes) - lag]
        columns += [moved, moved * state[:, None]]
    return np.concatenate(columns, axis=1)


def explained_by_market(values: FloatArray, basis: FloatArray) -> FloatArray:
    """What least squares on the basis explains of each column, shape (T, M); NaN where unknown.

    Parameters
    ----------
    values : float64, shape (T, M)
    basis : float64, shape (T, P)

    Raises
    ------
    DataError
        Fewer than five rows per regressor.
    """
    there = np.isfinite(basis).all(axis=1)
    out = np.full(values.shape, np.nan)
    for column in range(values.shape[1]):
        rows = there & np.isfinite(values[:, column])
        if rows.sum() < _ROWS_PER_COLUMN * basis.shape[1]:
            raise DataError(
                f"{int(rows.sum())} rows are too few for {basis.shape[1]} regressors of the market",
                remedy="give a longer panel or fewer lags",
            )
        # Normalised columns: the cut-off of small singular values is relative.
        norm = np.sqrt((basis[rows] ** 2).mean(axis=0))
        norm[norm == 0.0] = 1.0
        beta = np.linalg.lstsq(basis[rows] / norm, values[rows, column], rcond=1e-10)[0]
        out[there, column] = (basis[there] / norm) @ beta
    return out


def coupling_contributions(
    first: FloatArray,
    second: FloatArray,
    edges: IntArray,
    lags: Sequence[int],
    *,
    usable: BoolArray | None = None,
) -> FloatArray:
    """What each block of time puts into every cross-correlation.

    Parameters
    ----------
    first : float64, shape (T, S)
    second : float64, shape (T, N)
        NaN where unknown; both centred here.
    edges : int64, shape (B + 1,)
        Of the blocks.
    lags : sequence of int, length L
        Of ``second`` behind ``first``: positive, ``second`` comes later.
    usable : bool, shape (T,), optional
        Rows that follow their predecessor without a gap.

    Returns
    -------
    float64, shape (B, S, N, L)
        Adds up to the correlation of ``first`` at t with ``second`` at t + lag; 0 for a column
        without variance.
    """
    ok = np.ones(len(first), dtype=np.bool_) if usable is None else usable
    x, there_x = _centred(first, ok)
    y, there_y = _centred(second, ok)
    scale_x = np.sqrt((x**2).sum(axis=0) / np.maximum(there_x.sum(axis=0), 1))
    scale_y = np.sqrt((y**2).sum(axis=0) / np.maximum(there_y.sum(axis=0), 1))
    unit = scale_x[:, None] * scale_y
    out = np.zeros((len(edges) - 1, x.shape[1], y.shape[1], len(lags)))
    for place, lag in enumerate(lags):
        shifted, there = np.zeros_like(y), np.zeros_like(there_y)
        if lag >= 0:
            shifted[: len(y) - lag], there[: len(y) - lag] = y[lag:], there_y[lag:]
        else:
            shifted[-lag:], there[-lag:] = y[:lag], there_y[:lag]
        both = there_x.astype(np.float64).T @ there.astype(np.float64)
        safe = np.where((unit > 0) & (both > 0), unit * np.maximum(both, 1.0), np.inf)
        for b, (low, high) in enumerate(pairwise(edges.tolist())):
            out[b, :, :, place] = x[low:high].T @ shifted[low:high] / safe
    return out


def _centred(values: FloatArray, ok: BoolArray) -> tuple[FloatArray, BoolArray]:
    there = np.isfinite(values) & ok[:, None]
    filled = np.where(there, values, 0.0)
    mean = filled.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, filled - mean, 0.0), there
