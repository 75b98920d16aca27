"""Similarity of two sets of features of the same rows: linear centred kernel alignment.

Kornblith, Norouzi, Lee and Hinton (2019), "Similarity of neural network representations revisited",
ICML, eq. 3 and section 3.2.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["linear_cka"]


def linear_cka(x: FloatArray, y: FloatArray, *, unbiased: bool = False) -> float:
    """Linear centred kernel alignment of two feature matrices over the same rows.

    ``||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F)`` of centred columns: 1 for features that differ by a
    rotation and a common scale, 0 for uncorrelated ones. What sampling alone gives grows with the
    number of columns over that of rows; the unbiased variant takes it off.

    Parameters
    ----------
    x : float64, shape (T, P)
    y : float64, shape (T, Q)
        Rows with a gap in either are left out.
    unbiased : bool
        With the U-statistic of HSIC (Song et al. 2012, "Feature selection via dependence
        maximization", JMLR 13, eq. 5); may fall below zero.

    Raises
    ------
    DataError
        Rows that do not match, fewer than four complete ones, or columns that do not move.
    """
    a, b = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (x, y))
    if len(a) != len(b):
        raise DataError(f"features of {len(a)} and {len(b)} rows", remedy="give the same rows")
    use = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b = a[use], b[use]
    if len(a) < 4:
        raise DataError(f"{len(a)} complete rows", remedy="give four or more")
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    alike = _unbiased_product if unbiased else _product
    size = alike(a, a) * alike(b, b)
    if not size > 0.0:
        raise DataError("features do not move", remedy="leave out constant columns")
    return alike(a, b) / float(np.sqrt(size))


def _product(a: FloatArray, b: FloatArray) -> float:
    return float(np.sum((b.T @ a) ** 2))


def _unbiased_product(a: FloatArray, b: FloatArray) -> float:
    """``n (n - 3)`` times the unbiased HSIC of linear kernels, without forming any kernel."""
    n = len(a)
    own_a, own_b = np.sum(a * a, axis=1), np.sum(b * b, axis=1)
    trace = _product(a, b) - float(own_a @ own_b)
    # Rows of a centred linear kernel sum to zero, so without its diagonal to minus the diagonal.
    sums = float(own_a.sum() * own_b.sum()) / ((n - 1) * (n - 2))
    return trace + sums - 2.0 / (n - 2) * float(own_a @ own_b)
