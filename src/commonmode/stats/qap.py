"""Regression of one relation between models on others: quadratic assignment (QAP, MRQAP).

Entries of a matrix of pairs share nodes, so they are not independent and ordinary standard errors
are wrong. Inference permutes the nodes: Mantel (1967), Hubert and Schultz (1976) for one predictor;
double semi-partialling for several, whose pivotal t keeps its size when predictors are collinear
(Dekker, Krackhardt and Snijders 2007, "Sensitivity of MRQAP tests to collinearity and
autocorrelation conditions", Psychometrika 72(4)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.random import as_generator

__all__ = ["MrqapResult", "mrqap", "node_permutations"]

_CHUNK: Final = 1 << 22
"""Entries of permuted predictors held at a time."""
_COLLINEAR: Final = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class MrqapResult:
    """Regression of a relation on K others over P pairs.

    Attributes
    ----------
    names : tuple of str, length K
    coefficient : float64, shape (K,)
        Of the relation itself; NaN for one that is not identified: constant over the pairs, or a
        combination of the others.
    statistic : float64, shape (K,)
        Its t, ordinary least squares.
    p_greater, p_two_sided : float64, shape (K,)
        By permutation of the nodes; the relation as observed counts as one of the permutations.
    r_squared : float
    pairs : int
    permutations : int
    exact : bool
        Every permutation of the nodes was used.
    """

    names: tuple[str, ...]
    coefficient: FloatArray
    statistic: FloatArray
    p_greater: FloatArray
    p_two_sided: FloatArray
    r_squared: float
    pairs: int
    permutations: int
    exact: bool


def node_permutations(
    nodes: int, count: int, rng: int | np.random.Generator
) -> tuple[IntArray, bool]:
    """Permutations of ``0 .. nodes - 1`` other than none at all, shape (B, nodes).

    All of them where there are no more than ``count``, else a draw of ``count``.

    Returns
    -------
    (int64 array, bool)
        The permutations, and whether they are all.
    """
    if nodes <= 12 and math.factorial(nodes) - 1 <= count:
        every = np.zeros((1, 1), dtype=np.int64)
        for k in range(1, nodes):
            # The new node takes each place in turn.
            longer = [np.insert(every, place, k, axis=1) for place in range(k + 1)]
            every = np.concatenate(longer)
        moved = every[np.any(every != np.arange(nodes), axis=1)]
        return moved, True
    generator = as_generator(rng, "node permutations")
    return generator.permuted(np.tile(np.arange(nodes), (count, 1)), axis=1), False


def mrqap(
    response: FloatArray,
    predictors: Sequence[FloatArray] | FloatArray,
    *,
    names: Sequence[str] = (),
    permutations: int = 1999,
    rng: int | np.random.Generator = 0,
) -> MrqapResult:
    """Regress a relation between N nodes on K others.

    Parameters
    ----------
    response : float64, shape (N, N)
        Symmetric; NaN where a pair is unknown. The diagonal is not used.
    predictors : sequence of float64, shape (N, N)
        Symmetric and complete off the diagonal: they travel when nodes are permuted.
    names : sequence of str
        One per predictor; numbered if left out.
    permutations : int
    rng : int or Generator

    Returns
    -------
    MrqapResult

    Raises
    ------
    DataError
        Fewer than four nodes, matrices that do not fit or are not symmetric, a predictor with gaps,
        or no more pairs than coefficients.
    """
    y_matrix, x = _checked(response, predictors)
    k, n = len(x), len(y_matrix)
    all_rows, all_columns = np.triu_indices(n, 1)
    used = np.isfinite(y_matrix[all_rows, all_columns])
    rows, columns = all_rows[used], all_columns[used]
    y, table = y_matrix[rows, columns], x[:, rows, columns]
    if len(y) <= k + 2:
        raise DataError(
            f"{len(y)} pairs for {k} relations and a constant",
            remedy="give more models, or fewer relations at a time",
        )
    identified = _identified(table)
    base = np.vstack([np.ones_like(y), table[identified]])
    everywhere = np.vstack([np.ones(len(used)), x[identified][:, all_rows, all_columns]])
    coefficient, statistic = np.full(k, np.nan), np.full(k, np.nan)
    greater, two_sided = np.full(k, np.nan), np.full(k, np.nan)
    order, exact = node_permutations(n, permutations, rng)
    for place, which in enumerate(np.flatnonzero(identified).tolist()):
        beside = np.delete(base, place + 1, axis=0)
        others = _basis(beside)
        left = y - others.T @ (others @ y)
        own = table[which] - others.T @ (others @ table[which])
        # What is permuted is the part that the others do not explain, of every pair of nodes: also
        # of those whose response is unknown.
        slopes = np.linalg.lstsq(beside.T, table[which], rcond=None)[0]
        whole = x[which][all_rows, all_columns] - slopes @ np.delete(everywhere, place + 1, axis=0)
        residual = np.zeros((n, n))
        residual[all_rows, all_columns] = residual[all_columns, all_rows] = whole
        freedom = len(y) - int(identified.sum()) - 1
        coefficient[which], statistic[which] = _partial(own[None], others, left, freedom, True)
        permuted = _permuted_statistics(residual, rows, columns, order, others, left, freedom)
        t = statistic[which]
        greater[which] = (1 + np.count_nonzero(permuted >= t)) / (1 + len(permuted))
        beyond = np.count_nonzero(np.abs(permuted) >= abs(t))
        two_sided[which] = (1 + beyond) / (1 + len(permuted))
    fitted = _basis(base)
    unexplained = y - fitted.T @ (fitted @ y)
    spread = float(np.sum((y - y.mean()) ** 2))
    return MrqapResult(
        names=tuple(names) or tuple(f"relation {one + 1}" for one in range(k)),
        coefficient=coefficient,
        statistic=statistic,
        p_greater=greater,
        p_two_sided=two_sided,
        r_squared=1.0 - float(unexplained @ unexplained) / spread if spread > 0 else 0.0,
        pairs=len(y),
        permutations=len(order),
        exact=exact,
    )


def _checked(
    response: FloatArray, predictors: Sequence[FloatArray] | FloatArray
) -> tuple[FloatArray, FloatArray]:
    y = np.asarray(response, dtype=np.float64)
    x = np.asarray(predictors, dtype=np.float64)
    if x.ndim == 2:
        x = x[None]
    if y.ndim != 2 or y.shape[0] != y.shape[1] or x.ndim != 3 or x.shape[1:] != y.shape:
        raise DataError(
            f"a relation of shape {y.shape} on relations of shape {x.shape}",
            remedy="each is a square matrix over the same models",
        )
    if len(y) < 4:
        raise DataError(f"{len(y)} models make too few pairs", remedy="give four or more")
    off = ~np.eye(len(y), dtype=np.bool_)
    if not np.isfinite(x[:, off]).all():
        raise DataError(
            "a predictor has unknown pairs", remedy="leave out the models that it does not know"
        )
    for matrix in (y, *x):
        if not np.allclose(matrix[off], matrix.T[off], rtol=1e-9, atol=1e-12, equal_nan=True):
            raise DataError("a relation is not symmetric", remedy="average it with its transpose")
    return y, x


def _identified(table: FloatArray) -> BoolArray:
    """Predictors that add something to the constant and to those before and after them."""
    keep = np.ones(len(table), dtype=np.bool_)
    full = np.vstack([np.ones(table.shape[1]), table])
    for k in range(len(table)):
        others = _basis(np.delete(full, k + 1, axis=0))
        left = table[k] - others.T @ (others @ table[k])
        keep[k] = float(left @ left) > _COLLINEAR * max(float(table[k] @ table[k]), 1e-300)
    return keep


def _basis(rows: FloatArray) -> FloatArray:
    """Orthonormal rows that span the given ones, shape (rank, P)."""
    u, s, _ = np.linalg.svd(rows.T, full_matrices=False)
    return np.ascontiguousarray(u[:, s > 1e-12 * max(float(s[0]), 1e-300)].T)


def _partial(
    moved: FloatArray, others: FloatArray, left: FloatArray, freedom: int, single: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Coefficient and t of each row of ``moved`` beside the others; shape (B,) each."""
    own = moved - (moved @ others.T) @ others
    size = np.einsum("bp,bp->b", own, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (own @ left) / size
        rest = np.maximum(float(left @ left) - slope**2 * size, 0.0)
        t = slope / np.sqrt(rest / freedom / size)
    # A permutation that lands on the others' span says nothing of its own.
    none = size <= _COLLINEAR * np.maximum(np.einsum("bp,bp->b", moved, moved), 1e-300)
    slope, t = np.where(none, 0.0, slope), np.where(none, 0.0, t)
    return (slope[0], t[0]) if single else (slope, t)


def _permuted_statistics(
    residual: FloatArray,
    rows: IntArray,
    columns: IntArray,
    order: IntArray,
    others: FloatArray,
    left: FloatArray,
    freedom: int,
) -> FloatArray:
    out = np.empty(len(order))
    step = max(1, _CHUNK // max(len(rows), 1))
    for low in range(0, len(order), step):
        part = order[low : low + step]
        moved = residual[part[:, rows], part[:, columns]]
        out[low : low + step] = _partial(moved, others, left, freedom)[1]
    return out
