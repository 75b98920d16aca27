"""Contrasts of groups of models without a weight for every pair and group.

:func:`commonmode.stats.comovement.contrast_weights` holds (groups x pairs) numbers: with 200 models
and all their pairs as groups that is 3 GB. A contrast is the group's own pairs less what the
nuisance (one effect per model, groups accounted for) fits of them, so the sparse indicators and a
thin basis are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.stats.comovement import contrast_weights, pair_index
from commonmode.stats.pair_effects import pair_variance

__all__ = [
    "Contrasts",
    "factor_free_contrasts",
    "fall_of_squares",
    "group_contrasts",
    "group_means",
    "model_effects",
    "one_factor",
    "outside_factors",
]

# Weights of groups of up to so many models are held whole, if they are no more than this (160 MB).
_DENSE_MODELS = 60
_DENSE = 20_000_000
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, eq=False)
class Contrasts:
    """Contrasts of M groups, block by block.

    Attributes
    ----------
    values : float64, shape (B, M)
        Zero throughout for a group that nothing can be said of.
    told_apart : bool, shape (M,)
        The group is compared with others; False for one whose own mean stands in, or nothing.
    norm : float64, shape (M,)
        Squared length of each group's indicator beside the nuisance; 0 where nothing is left of it.
    weights : float64, shape (M, P), or None
        Where they were small enough to be held.
    between : float64, shape (M,), or None
        Standard error that differences between pairs put into each contrast, in its units; None
        where they were not asked for.
    freedom : float64, shape (M,), or None
        Degrees of freedom that each of ``between`` was estimated with; infinite where it is zero
        because nothing was compared.
    """

    values: FloatArray
    told_apart: BoolArray
    norm: FloatArray
    weights: FloatArray | None
    between: FloatArray | None = None
    freedom: FloatArray | None = None


def fall_of_squares(contrasts: Contrasts, times: FloatArray | None = None) -> FloatArray:
    """How much each indicator lowers the sum of squares of the pair vector; < 0: upside down.

    ``sign(b) b^2 |e|^2`` with b the coefficient and e the indicator beside the nuisance.

    Parameters
    ----------
    contrasts : Contrasts
    times : float64, shape (R, B), optional
        How often each block counts, for resamples; once each if left out.

    Returns
    -------
    float64, shape (M,) or (R, M)
    """
    slope = contrasts.values.sum(axis=0) if times is None else times @ contrasts.values
    return np.asarray(np.sign(slope) * slope**2 * contrasts.norm)


def group_contrasts(
    contributions: FloatArray,
    groups: BoolArray,
    given: BoolArray | None = None,
    *,
    strict: bool = False,
    scale: FloatArray | None = None,
    beside: FloatArray | None = None,
) -> Contrasts:
    """Contrast of every group in every block.

    Parameters
    ----------
    contributions : float64, shape (B, P)
    groups : bool, shape (M, N)
        At least two members each.
    given, strict
        As in :func:`commonmode.stats.comovement.contrast_weights`.
    scale : float64, shape (N,), optional
        Standard deviations: contrasts in units of the members' mean product of them.
    beside : float64, shape (P, R), optional
        Further pair vectors that join the regression, as from :func:`one_factor`.
    """
    few = groups.shape[1] <= _DENSE_MODELS and beside is None
    if few and len(groups) * contributions.shape[1] <= _DENSE:
        return _dense(contributions, groups, given, strict, scale)
    basis = _nuisance(groups.shape[1], given, strict, beside)
    # A factor beside the group is no reason to give up its mean; what stands already is.
    mean_in_place = not strict and given is None
    return _thin(contributions, _indicators(groups), basis, mean_in_place, scale)


def _thin(
    contributions: FloatArray,
    inside: csr_array,
    basis: FloatArray,
    mean_in_place: bool,
    scale: FloatArray | None,
) -> Contrasts:
    within = inside @ basis
    own = np.diff(inside.indptr).astype(np.float64)
    norm = own - np.einsum("mr,mr->m", within, within)
    usable = norm > 1e-9 * own
    total = np.asarray((inside @ contributions.T).T)
    fitted = contributions @ basis
    rest = total - fitted @ within.T
    size = np.abs(inside @ np.abs(contributions.T)).T + np.abs(fitted) @ np.abs(within.T)
    values = np.where(usable, rest / np.where(usable, norm, 1.0), 0.0)
    size = size / np.where(usable, norm, 1.0)
    if mean_in_place:
        values[:, ~usable] = (total / own)[:, ~usable]
    values[np.abs(values) <= _ROUNDING * size] = 0.0
    if scale is not None:
        values = values / _unit(inside, scale)
    return Contrasts(values, usable, np.where(usable, norm, 0.0), None)


def one_factor(pairs: FloatArray, members: BoolArray, *, rounds: int = 50) -> FloatArray:
    """Loadings l of the factor whose ``l_i l_j`` fits a group's own pairs best, shape (N,).

    Users of one part may rest on it to unequal degree; then their pairs are not alike, and an
    indicator alone leaves some of what the part does unexplained. Least squares off the diagonal
    (minres: Harman and Jones 1966, Psychometrika 31), by coordinates; 0 outside the group.

    Parameters
    ----------
    pairs : float64, shape (P,)
    members : bool, shape (N,)
    rounds : int
    """
    n = len(members)
    rows, columns = pair_index(n)
    matrix = np.zeros((n, n))
    matrix[rows, columns] = matrix[columns, rows] = pairs
    who = np.flatnonzero(members)
    own = matrix[np.ix_(who, who)]
    mean = own.sum() / max(len(who) * (len(who) - 1), 1)
    loading = np.full(len(who), np.sqrt(max(mean, 1e-6)))
    for _ in range(rounds):
        for i in range(len(who)):
            others = float(loading @ loading - loading[i] ** 2)
            if others > 0.0:
                loading[i] = float(own[i] @ loading) / others
    full = np.zeros(n)
    full[who] = loading
    return full


def outside_factors(
    pairs: FloatArray, left_out: BoolArray, factors: int, *, rounds: int = 60
) -> FloatArray:
    """Loadings of common factors fitted to the other pairs alone, shape (factors, N).

    Something that no card lists may move all models, some more than others; pairs of models that
    rest on it heavily are then alike without sharing a part. Fitted without the pairs in question
    it cannot take away what these share beyond it. Principal factors: the diagonal and the pairs
    left out are replaced by what the factors say of them until that changes no more (Harman 1976,
    Modern Factor Analysis, ch. 8).

    Parameters
    ----------
    pairs : float64, shape (P,)
    left_out : bool, shape (P,)
    factors : int
    rounds : int
    """
    n = round((1.0 + np.sqrt(1.0 + 8.0 * len(pairs))) / 2.0)
    rows, columns = pair_index(n)
    matrix, unknown = np.zeros((n, n)), np.eye(n, dtype=np.bool_)
    matrix[rows, columns] = matrix[columns, rows] = np.where(left_out, 0.0, pairs)
    unknown[rows, columns] = unknown[columns, rows] = left_out
    filled, loading = matrix.copy(), np.zeros((n, factors))
    for _ in range(rounds):
        value, vector = np.linalg.eigh(filled)
        loading = vector[:, -factors:] * np.sqrt(np.maximum(value[-factors:], 0.0))
        filled = np.where(unknown, loading @ loading.T, matrix)
    return np.ascontiguousarray(loading.T)


def _outside_columns(pairs: FloatArray, left_out: BoolArray, models: int) -> FloatArray:
    """Pair vectors that take common factors away from a regression, shape (P, R).

    Each factor's product, and, where there are pairs enough (three to a column), the directions in
    which an error of its loadings would move that product: what was estimated then costs no size.
    """
    rows, columns = pair_index(models)
    least = len(pairs) / 3.0
    factors = 2 if 3 * models <= least else 1
    loading = outside_factors(pairs, left_out, factors)
    out = [own[rows] * own[columns] for own in loading]
    if (1 + factors) * models <= least:
        out += [
            np.where(rows == k, own[columns], np.where(columns == k, own[rows], 0.0))
            for own in loading
            for k in range(models)
        ]
    return np.stack(out, axis=1)


def model_effects(models: int) -> FloatArray:
    """Orthonormal columns that span one effect per model, shape (P, N).

    Parameters
    ----------
    models : int
    """
    return _nuisance(models, None, True, None)


def factor_free_contrasts(
    contributions: FloatArray,
    groups: BoolArray,
    given: BoolArray | None = None,
    *,
    strict: bool = False,
    scale: FloatArray | None = None,
) -> Contrasts:
    """Contrast of every group beyond unlisted factors that may move all models unequally.

    As :func:`group_contrasts`, with :func:`outside_factors` in the regression: fitted, for each
    group, without its own pairs and without those of the groups that stand, each of which brings
    its own factor (:func:`one_factor`). What the factors leave unexplained in the other pairs is
    given as ``between`` (:func:`commonmode.stats.pair_effects.pair_variance`); a group beside which
    no pairs are left over to judge that by is not told apart.

    Parameters
    ----------
    contributions : float64, shape (B, P)
    groups, given, strict, scale
        As for :func:`group_contrasts`.
    """
    total = contributions.sum(axis=0)
    rows, columns = pair_index(groups.shape[1])

    def shape(members: BoolArray) -> FloatArray:
        loading = one_factor(total, members)
        return np.asarray(loading[rows] * loading[columns])

    standing = np.zeros(len(total), dtype=np.bool_)
    own: list[FloatArray] = []
    for members in given if given is not None else ():
        standing |= members[rows] & members[columns]
        own.append(shape(members))
    parts, variance = [], np.zeros(len(groups))
    freedom = np.full(len(groups), np.inf)
    for g, members in enumerate(groups):
        inside = members[rows] & members[columns]
        factors = _outside_columns(total, inside | standing, groups.shape[1])
        # With four models effects and a factor leave nothing to judge by, and without the effects
        # a factor of unequal loadings is taken for a shared part (30 % at 5 %).
        basis = _nuisance(groups.shape[1], given, True, np.column_stack([*own, factors]))
        at = _indicators(members[None])
        parts.append(_thin(contributions, at, basis, not strict and given is None, scale))
        if parts[-1].told_apart[0]:
            beyond = pair_variance(contributions, basis, inside, shape(members))
            variance[g], freedom[g] = beyond.value, beyond.freedom
    known, norm = np.isfinite(variance), np.concatenate([part.norm for part in parts])
    between = np.sqrt(np.where(known, variance, 0.0) / np.where(norm > 0, norm, 1.0))
    if scale is not None:
        between = between / _unit(_indicators(groups), scale)
    return Contrasts(
        values=np.concatenate([part.values for part in parts], axis=1),
        told_apart=np.concatenate([part.told_apart for part in parts]) & known,
        norm=norm,
        weights=None,
        between=between,
        freedom=np.where(known, freedom, np.inf),
    )


def group_means(pairs: FloatArray, groups: BoolArray) -> FloatArray:
    """Mean of a pair vector over each group's pairs, shape (M,).

    Parameters
    ----------
    pairs : float64, shape (P,)
    groups : bool, shape (M, N)
    """
    inside = _indicators(groups)
    return np.asarray(inside @ pairs) / np.diff(inside.indptr)


def _dense(
    contributions: FloatArray,
    groups: BoolArray,
    given: BoolArray | None,
    strict: bool,
    scale: FloatArray | None,
) -> Contrasts:
    weights = contrast_weights(groups, given, strict=strict)
    # A contrast weighs the pairs inside against others and adds up to zero; a mean adds up to one.
    told_apart = weights.any(axis=1) & (weights.sum(axis=1) < 0.5)
    # Weights are the indicator beside the nuisance over its squared length.
    squared = np.einsum("mp,mp->m", weights, weights)
    norm = np.where(told_apart, 1.0 / np.where(squared > 0, squared, 1.0), 0.0)
    if scale is not None:
        weights = weights / _unit(_indicators(groups), scale)[:, None]
    values = contributions @ weights.T
    # Where models are one and the same a contrast cancels but for rounding, which is no data.
    values[np.abs(values) <= _ROUNDING * (np.abs(contributions) @ np.abs(weights.T))] = 0.0
    return Contrasts(values, np.asarray(told_apart, dtype=np.bool_), norm, weights)


def _unit(inside: csr_array, scale: FloatArray) -> FloatArray:
    """Mean product of the members' deviations over each group's pairs; 1 where that is 0."""
    rows, columns = pair_index(len(scale))
    size = np.asarray(inside @ (scale[rows] * scale[columns])) / np.diff(inside.indptr)
    return np.where(size > 0, size, 1.0)


def _indicators(groups: BoolArray) -> csr_array:
    """Pairs inside each group, sparse, shape (M, P)."""
    n, sizes = groups.shape[1], groups.sum(axis=1).astype(np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes * (sizes - 1) // 2))).astype(np.int64)
    at = np.empty(starts[-1], dtype=np.int64)
    for size in np.unique(sizes).tolist():
        which = np.flatnonzero(sizes == size)
        who = np.nonzero(groups[which])[1].reshape(len(which), size)
        i, j = np.triu_indices(size, 1)
        first, second = who[:, i], who[:, j]
        # Place of (i, j), i < j, in the upper triangle row by row.
        place = first * n - first * (first + 1) // 2 + second - first - 1
        at[starts[which, None] + np.arange(len(i))] = np.sort(place, axis=1)
    return csr_array((np.ones(len(at)), at, starts), shape=(len(groups), n * (n - 1) // 2))


def _nuisance(
    models: int, given: BoolArray | None, strict: bool, beside: FloatArray | None
) -> FloatArray:
    """Orthonormal columns that span the nuisance, shape (P, R)."""
    rows, columns = pair_index(models)
    effects = np.zeros((len(rows), models))
    effects[np.arange(len(rows)), rows] = 1.0
    effects[np.arange(len(rows)), columns] = 1.0
    nuisance = effects if strict or models >= 5 else np.ones((len(rows), 1))
    if given is not None:
        nuisance = np.column_stack([nuisance, (given[:, rows] & given[:, columns]).T])
    if beside is not None:
        length = np.linalg.norm(beside, axis=0)
        nuisance = np.column_stack([nuisance, beside / np.where(length > 0, length, 1.0)])
    # Few columns, very many rows: the small Gram matrix in place of a decomposition of all rows.
    squared, right = np.linalg.eigh(nuisance.T @ nuisance)
    keep = squared > 1e-12 * squared[-1]
    return np.ascontiguousarray(nuisance @ (right[:, keep] / np.sqrt(squared[keep])))
