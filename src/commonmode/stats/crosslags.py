"""Vector autoregressions from moments that two noisy views of the same series make together.

Of series d only ``x = d - a`` and ``y = d - b`` are seen, where the noises a and b, each common to
all series, are independent of each other at every lag (deviations from two benchmarks). Least
squares on x takes a for a series of its own and finds that everybody predicts everybody;
``E[x_t y_{t-k}']`` holds no noise at any lag. Solving the normal equations with these moments is
the instrumental-variable estimator with the other view as the instrument (Reiersol 1941,
Econometrica 9(1)). With ``x = y`` it is least squares.

All that is estimated or tested here is a function of the same block sums of moments, so that a
resample is a weighted sum of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError, ShortPanelError

__all__ = [
    "MomentSystem",
    "direction_contributions",
    "following_contributions",
    "lag_moments",
    "pooled_filter",
    "shorten",
    "solve_moments",
    "spillover_tables",
    "whiten_together",
]


@dataclass(frozen=True, slots=True, eq=False)
class MomentSystem:
    """Estimates of an autoregression of order p of N series from D sets of moments.

    Attributes
    ----------
    coefficients : float64, shape (D, p, N, N)
    covariance : float64, shape (D, N, N)
        Of the innovations; negative eigenvalues, which moments of two views can give, raised to
        zero.
    own : float64, shape (D, p, N, N)
        Diagonal matrices: each series on its own past only.
    own_covariance : float64, shape (D, N, N)
        Of what is left then.
    clipped : bool, shape (D,)
        Some eigenvalue of ``covariance`` was raised by more than rounding.
    """

    coefficients: FloatArray
    covariance: FloatArray
    own: FloatArray
    own_covariance: FloatArray
    clipped: BoolArray


def lag_moments(
    x: FloatArray, y: FloatArray, lags: int, edges: IntArray, rows: BoolArray
) -> tuple[FloatArray, int]:
    """Block sums of ``(Z_x Z_y' + Z_y Z_x') / 2`` with ``Z_t = (d_t, d_{t-1}, ..., d_{t-p})``.

    Parameters
    ----------
    x, y : float64, shape (T, N)
        Centred here over the rows used.
    lags : int
        p >= 0.
    edges : int64, shape (B + 1,)
    rows : bool, shape (T,)
        A time counts where it and its p predecessors do.

    Returns
    -------
    moments : float64, shape (B, (p + 1) N, (p + 1) N)
    count : int
        Times that count.
    """
    t, n = x.shape
    use = rows.copy()
    use[: min(lags, t)] = False
    for k in range(1, lags + 1):
        use[k:] &= rows[:-k]
    count = int(use.sum())
    if count < 2:
        raise ShortPanelError(
            f"{count} times have {lags} complete predecessors",
            remedy="use fewer lags, or a panel with fewer gaps",
        )
    size = (lags + 1) * n
    out = np.zeros((len(edges) - 1, size, size))
    views = []
    for series in (x, y):
        shifted = np.zeros((t, size))
        for k in range(lags + 1):
            shifted[k:, k * n : (k + 1) * n] = series[: t - k] if k else series
        shifted[~use] = 0.0
        shifted[use] -= shifted[use].mean(axis=0)
        views.append(shifted)
    same = x is y
    for b, (low, high) in enumerate(pairwise(edges.tolist())):
        product = views[0][low:high].T @ views[1][low:high]
        out[b] = product if same else 0.5 * (product + product.T)
    return out, count


def shorten(moments: FloatArray, series: int, lags: int) -> FloatArray:
    """The moments of a smaller order, from those of a larger one over the same times."""
    size = (lags + 1) * series
    return moments[..., :size, :size]


def solve_moments(moments: FloatArray, series: int) -> MomentSystem:
    """Solve the normal equations of every set of moments.

    Parameters
    ----------
    moments : float64, shape (D, (p + 1) N, (p + 1) N)
        Means over time (their scale is that of the covariances returned).
    series : int
        N.

    Raises
    ------
    DataError
        Moments of the past that are singular.
    """
    d, size, _ = moments.shape
    n, p = series, size // series - 1
    now, cross, past = moments[:, :n, :n], moments[:, :n, n:], moments[:, n:, n:]
    if np.linalg.cond(past.mean(axis=0)) > 1e13:
        raise DataError(
            "some series are combinations of others",
            remedy="leave out duplicates, or use fewer lags",
        )
    phi = np.linalg.solve(past, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    covariance = now - phi @ cross.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.transpose(0, 2, 1)))
    floor = 1e-9 * np.maximum(values[:, -1:], 0.0)
    covariance = (vectors * np.maximum(values, floor)[:, None]) @ vectors.transpose(0, 2, 1)
    own = np.zeros((d, p, n, n))
    filters = np.zeros((d, n, size))
    each = np.arange(n)
    filters[:, each, each] = 1.0
    for i in range(n):
        lagged = n + i + n * np.arange(p)
        inner = moments[:, lagged[:, None], lagged]
        slope = np.linalg.solve(inner, moments[:, lagged, i][..., None])[..., 0]
        own[:, :, i, i] = slope
        filters[:, i, lagged] = -slope
    return MomentSystem(
        coefficients=np.ascontiguousarray(phi.reshape(d, n, p, n).transpose(0, 2, 1, 3)),
        covariance=covariance,
        own=own,
        own_covariance=filters @ moments @ filters.transpose(0, 2, 1),
        clipped=values[:, 0] < -1e-6 * np.maximum(values[:, -1], 0.0),
    )


def spillover_tables(
    coefficients: FloatArray, covariance: FloatArray, horizons: tuple[int, ...]
) -> FloatArray:
    """Row-normalised generalised variance decompositions of D systems at several horizons.

    The tables of :func:`~commonmode.stats.spillovers.spillovers`, many at once.

    Parameters
    ----------
    coefficients : float64, shape (D, p, N, N)
    covariance : float64, shape (D, N, N)
    horizons : tuple of int

    Returns
    -------
    float64, shape (D, H, N, N)
        NaN where an innovation has no variance.
    """
    d, p, n, _ = coefficients.shape
    responses = [np.broadcast_to(np.eye(n), (d, n, n))]
    top, below = np.zeros((d, n, n)), np.zeros((d, n))
    variance = np.einsum("dii->di", covariance)
    out = np.empty((d, len(horizons), n, n))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for h in range(max(horizons)):
            if h:
                terms = [coefficients[:, k] @ responses[-1 - k] for k in range(min(p, h))]
                responses.append(np.sum(terms, axis=0))
            shocked = responses[-1] @ covariance
            top = top + shocked**2
            below = below + np.einsum("dij,dij->di", shocked, responses[-1])
            for place, horizon in enumerate(horizons):
                if horizon == h + 1:
                    shares = top / variance[:, None] / below[..., None]
                    out[:, place] = shares / shares.sum(axis=2, keepdims=True)
    return out


def following_contributions(moments: FloatArray, series: int) -> tuple[FloatArray, FloatArray]:
    """Block scores of every coefficient of the autoregression at zero, all others free.

    Parameters
    ----------
    moments : float64, shape (B, (p + 1) N, (p + 1) N)

    Returns
    -------
    contributions : float64, shape (B, p, N, N)
        ``[:, k, i, j]`` adds up to the coefficient of series j, k + 1 rows ago, in the equation of
        i; under a coefficient of zero each block's has mean zero whatever the innovations' variance
        does (Frisch-Waugh-Lovell: the lag, and the equation, less what all other lags explain).
    scale : float64, shape (p, N, N)
        Turns a coefficient into a partial correlation.
    """
    n = series
    total = moments.sum(axis=0)
    p = len(total) // n - 1
    precision = np.linalg.inv(total[n:, n:])
    phi = total[:n, n:] @ precision
    residual = moments[:, :n, n:] - phi @ moments[:, n:, n:]
    left = residual @ precision
    spread = np.einsum("ab,Bbc,ca->Ba", precision, moments[:, n:, n:], precision, optimize=True)
    out = left + phi * spread[:, None, :] / np.diag(precision)
    unexplained = np.clip(np.diag(total[:n, :n] - phi @ total[n:, :n]), 0.0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1.0 / np.sqrt(np.abs(np.diag(precision)) * unexplained[:, None])
    scale[~np.isfinite(scale)] = 0.0
    shape = (n, p, n)
    return (
        np.ascontiguousarray(out.reshape(-1, *shape).transpose(0, 2, 1, 3)),
        np.ascontiguousarray(scale.reshape(shape).transpose(1, 0, 2)),
    )


def pooled_filter(moments: FloatArray, series: int) -> FloatArray:
    """Autoregression that whitens all series on average, each in units of its own variance.

    Parameters
    ----------
    moments : float64, shape ((p + 1) N, (p + 1) N)
    series : int
        N.

    Returns
    -------
    float64, shape (p,)
    """
    lags = len(moments) // series - 1
    variance = np.diag(moments)[:series]
    weight = np.where(variance > 0, 1.0 / np.where(variance > 0, variance, 1.0), 0.0)
    pooled = np.einsum("i,aibi->ab", weight, moments.reshape(lags + 1, series, lags + 1, series))
    return np.asarray(np.linalg.lstsq(pooled[1:, 1:], pooled[1:, 0], rcond=None)[0])


def whiten_together(
    x: FloatArray, y: FloatArray, lags: int, edges: IntArray, rows: BoolArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Both views through one filter, the same for every series, that whitens them on average.

    One filter for all leaves cross-covariances that are symmetric in time symmetric.

    Returns
    -------
    x, y : float64, shape (T, N)
    rows : bool, shape (T,)
        Those whose predecessors were there.
    """
    moments, _ = lag_moments(x, y, lags, edges, rows)
    slope = pooled_filter(moments.sum(axis=0), x.shape[1])
    use = rows.copy()
    use[:lags] = False
    out = []
    for view in (x, y):
        filtered = view.copy()
        for k in range(1, lags + 1):
            filtered[k:] -= slope[k - 1] * view[:-k]
        out.append(filtered)
    for k in range(1, lags + 1):
        use[k:] &= rows[:-k]
    return out[0], out[1], use


def direction_contributions(moments: FloatArray, series: int) -> FloatArray:
    """Block sums of ``cov(d_i, d_j k rows ago) - cov(d_j, d_i k rows ago)``.

    A component that models share at the same time, however long it lasts, adds nothing to it; a
    model that follows another does.

    Parameters
    ----------
    moments : float64, shape (B, (p + 1) N, (p + 1) N)

    Returns
    -------
    float64, shape (B, p, N, N)
        Antisymmetric in the last two.
    """
    n = series
    p = moments.shape[1] // n - 1
    cross = moments[:, :n, n:].reshape(-1, n, p, n).transpose(0, 2, 1, 3)
    return np.asarray(cross - cross.transpose(0, 1, 3, 2))
