"""How far pairs of models differ for reasons of their own, beyond what sampling makes of them.

A contrast that is far from zero says that a group's pairs move together; that the group's shared
part is why, it says only if other pairs do not move together just as much without any such part.
Models that look back over windows of like length, or that weigh an unlisted factor in ways no
regression takes out, make pairs unlike one another. That is a variance between pairs, and a
contrast of pairs carries it whatever the length of the history: the random effect of a
meta-analysis, estimated by moments as in DerSimonian and Laird (1986), "Meta-analysis in clinical
trials", Controlled Clinical Trials 7(3), eq. 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray

__all__ = ["PairVariance", "pair_variance"]


@dataclass(frozen=True, slots=True)
class PairVariance:
    """Variance between pairs, and how well it is known.

    Attributes
    ----------
    value : float
        In squared units of the pair vector, never negative; NaN where no pair is left over to
        judge by.
    freedom : float
        Degrees of freedom of the pairs that it was estimated on; below 1 where none is left over.
    """

    value: float
    freedom: float


def pair_variance(
    contributions: FloatArray, basis: FloatArray, inside: BoolArray, shape: FloatArray
) -> PairVariance:
    """Variance of the other pairs beyond sampling error and beyond what is regressed out.

    Residual squares of the pairs outside the group, less what sampling is expected to put into
    them (from the spread of each pair's residual between blocks), over their degrees of freedom.
    The group's own pairs say nothing about it: they may share a part. They enter the regression
    with its indicator and its one factor, so that what they share does not leak into the others.

    Parameters
    ----------
    contributions : float64, shape (B, P)
        Of two blocks or more; they add up to the pair vector.
    basis : float64, shape (P, R)
        Orthonormal columns that are regressed out.
    inside : bool, shape (P,)
        Pairs of the group.
    shape : float64, shape (P,)
        Product of the members' loadings on their one factor.
    """
    residual = contributions - (contributions @ basis) @ basis.T
    # Of the group's pairs, which are few; the columns have unit length.
    inside_leverage, length = float(np.sum(basis[inside] ** 2)), float(basis.shape[1])
    for column in _orthonormal_beside(basis, (inside.astype(np.float64), shape)):
        residual -= np.outer(contributions @ column, column)
        inside_leverage += float(np.sum(column[inside] ** 2))
        length += 1.0
    other = ~inside
    freedom = float(other.sum()) - (length - inside_leverage)
    if freedom < 1.0 - 1e-9:
        return PairVariance(float("nan"), freedom)
    residual = residual[:, other]
    total = residual.sum(axis=0)
    blocks = len(residual)
    # Contributions of independent blocks: the variance of their sum from their spread.
    sampling = (np.sum(residual**2) - np.sum(total**2) / blocks) * blocks / (blocks - 1)
    return PairVariance(max(0.0, float(np.sum(total**2) - sampling) / freedom), freedom)


def _orthonormal_beside(basis: FloatArray, further: tuple[FloatArray, ...]) -> list[FloatArray]:
    """What is new in further columns, orthonormal to the basis and to one another."""
    new: list[FloatArray] = []
    for column in further:
        rest = column - basis @ (basis.T @ column)
        for one in new:
            rest = rest - one * float(one @ rest)
        size = float(rest @ rest)
        if size > 1e-9 * max(float(column @ column), 1e-300):
            new.append(np.asarray(rest / np.sqrt(size)))
    return new
