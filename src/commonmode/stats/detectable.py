"""The smallest effect that a sign-flip test finds with stated power.

Three things stand between an effect and its detection: the critical value, the studentisation
(an effect enlarges the uncentred sum of squares that the test divides by), and the noise, which
grows with the effect because products of correlated deviations vary more.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.random import stream
from commonmode.stats.cofailure import one_factor_failures
from commonmode.stats.comovement import pair_index

__all__ = [
    "detectable_cofailure",
    "detectable_correlation",
    "detectable_effect",
    "detectable_move",
    "grown_effect",
    "pair_form_variance",
]

# Correlation up to which a minimum detectable co-failure is sought.
_MOST = 0.95
# Groups of rows of similar failure probability.
_BINS = 16
# Simulated tests of a move, and the largest move tried, in standard deviations.
_DRAWS = 2000
_FARTHEST = 1e6


def detectable_effect(critical: float, blocks: float, *, power: float = 0.8) -> float:
    """Sum over blocks that is found with probability ``power``, in standard errors.

    An effect of d standard errors, spread evenly over B blocks, gives
    ``t = d / sqrt(1 + d^2 / B)``, never more than ``sqrt(B)``; t exceeds the critical value c where
    d exceeds ``c' = c / sqrt(1 - c^2 / B)``. The normal quantile of the power comes on top, times
    ``sqrt(1 + c'^2 / 2(B - 1))`` because the standard error is itself estimated (the usual
    approximation to the noncentral t; Johnson & Welch 1940).

    Parameters
    ----------
    critical : float
        In units of t.
    blocks : float
        Their effective number, ``1 / sum h^2``, where the effect is spread over them by shares h.
    power : float

    Returns
    -------
    float
        Infinite where so few blocks cannot reach the critical value.
    """
    room = 1.0 - critical**2 / blocks
    if room <= 0:
        return float("inf")
    threshold = critical / float(np.sqrt(room))
    uncertainty = float(np.sqrt(1.0 + threshold**2 / (2.0 * (blocks - 1))))
    return threshold + float(ndtri(power)) * uncertainty


def grown_effect(need: float, error: float, linear: float, square: float) -> float:
    """Effect that is ``need`` standard errors large when its noise grows with it.

    The smallest e above zero with ``e = need * error * sqrt(1 + linear e + square e^2)``.

    Parameters
    ----------
    need : float
        From :func:`detectable_effect`.
    error : float
        Standard error without an effect.
    linear, square : float
        Of the variance, which is ``1 + linear e + square e^2`` times that without an effect.

    Returns
    -------
    float
        Infinite where no effect outgrows its noise.
    """
    scale = need * error
    if not np.isfinite(scale):
        return float("inf")
    half, rest = 0.5 * scale**2 * linear, 1.0 - scale**2 * square
    if rest <= 0:
        return float("inf")
    return float((half + np.sqrt(half**2 + rest * scale**2)) / rest)


@lru_cache(maxsize=256)
def detectable_move(
    critical: float, times: int, *, fails: float = 0.0, furthest: float = 0.0, power: float = 0.8
) -> float:
    """Move of a random answer that sign flips find, in standard deviations of one answer.

    At each time an answer is compared with one from changed data and one from data as good as
    unchanged; the test is of ``|move + e1 - e0| - |e2 - e0|``, summed over times. A folded normal
    is too skewed, and the times are too few, for a formula: the test is simulated, always on the
    same 2 000 draws.

    Parameters
    ----------
    critical : float
        In units of t.
    times : int
    fails : float
        Chance that an answer does not come; it counts as moved ``furthest``, or twice as far as
        any other if that is more.
    furthest : float
        In the same unit.
    power : float

    Returns
    -------
    float
        Infinite where so few times cannot reach the critical value, or failures hide any move.
    """
    if critical**2 >= times:
        return float("inf")
    generator = stream(0, "detectable move", times)
    noise = generator.standard_normal((3, _DRAWS, times))
    apart, rest = noise[1] - noise[0], np.abs(noise[2] - noise[0])
    absent = generator.random((2, _DRAWS, times)) < fails

    def missed(move: float) -> float:
        size = np.abs(move + apart)
        far = np.maximum(furthest, 2.0 * np.maximum(size, rest).max(axis=1, keepdims=True))
        difference = np.where(absent[0], far, size) - np.where(absent[1], far, rest)
        scale = np.sqrt((difference**2).sum(axis=1))
        return power - float(np.mean(difference.sum(axis=1) > critical * scale))

    if missed(_FARTHEST) > 0:
        return float("inf")
    low, high = np.log(1e-3), np.log(_FARTHEST)
    return float(np.exp(brentq(lambda size: missed(float(np.exp(size))), low, high, xtol=1e-3)))


def pair_form_variance(weights: FloatArray, correlation: FloatArray, noise: float) -> float:
    """Variance of one row's weighted sum of symmetrised products of Gaussian deviations.

    With ``x_i = d_i - a`` and ``y_j = d_j - b`` the sum ``sum w_ij (x_i y_j + x_j y_i) / 2`` is a
    quadratic form Q in ``(d, a, b)`` with covariance S, and its variance is ``2 tr(Q S Q S)``.

    Parameters
    ----------
    weights : float64, shape (P,)
        Of the pairs i < j.
    correlation : float64, shape (N, N)
        Of the deviations, which have unit variance.
    noise : float
        Variance of each benchmark's noise.
    """
    n = len(correlation)
    rows, columns = pair_index(n)
    form = np.zeros((n + 2, n + 2))
    form[rows, columns] = form[columns, rows] = 0.5 * weights
    own = 0.5 * form[:n, :n].sum(axis=1)
    form[:n, n] = form[:n, n + 1] = form[n, :n] = form[n + 1, :n] = own
    form[n, n + 1] = form[n + 1, n] = 0.5 * weights.sum()
    covariance = np.zeros_like(form)
    covariance[:n, :n] = correlation
    covariance[n, n] = covariance[n + 1, n + 1] = noise
    product = form @ covariance
    return float(2.0 * np.sum(product * product.T))


def detectable_correlation(
    weights: FloatArray, members: BoolArray, standard_error: float, need: float, *, noise: float
) -> float:
    """Correlation among ``members`` whose contrast is ``need`` standard errors large.

    Parameters
    ----------
    weights : float64, shape (P,)
        Of the contrast.
    members : bool, shape (N,)
    standard_error : float
        Of the contrast when nothing is shared.
    need : float
        From :func:`detectable_effect`.
    noise : float
        Variance of each benchmark's noise over that of a deviation.

    Returns
    -------
    float
        In (0, 1]; 1 where even models that are one and the same would not be found.
    """

    def variance(rho: float) -> float:
        shared = np.where(np.outer(members, members), rho, 0.0)
        np.fill_diagonal(shared, 1.0)
        return pair_form_variance(weights, shared, noise)

    unshared = variance(0.0)

    def gap(rho: float) -> float:
        return rho - need * standard_error * float(np.sqrt(variance(rho) / unshared))

    if not np.isfinite(need) or gap(1.0) < 0:
        return 1.0
    return float(brentq(gap, 0.0, 1.0, xtol=1e-6))


def detectable_cofailure(
    probability: FloatArray,
    models: int,
    standard_error: float,
    need: float,
    *,
    noise: float,
    allowance: float = 0.0,
) -> float:
    """Co-failure ratio that is found when all models share one Gaussian factor.

    Failures of a row have the same probability for all models; how the excess of joint failures
    grows with the shared part is exact (:func:`one_factor_failures`), how its noise grows is that
    of the deviations behind it (:func:`pair_form_variance`).

    Parameters
    ----------
    probability : float64, shape (T,)
        Conditional failure probability of each row, the models' mean.
    models : int
    standard_error : float
        Of the ratio when nothing is shared.
    need : float
        From :func:`detectable_effect`.
    noise : float
        Variance of each benchmark's noise over that of a deviation.
    allowance : float
        Taken off the ratio before it is tested.

    Returns
    -------
    float
        At least 1; infinite where so few blocks cannot reject.
    """
    if not np.isfinite(need):
        return float("inf")
    p, counts = _binned(probability)
    pairs = models * (models - 1) // 2
    k = np.arange(models + 1.0)
    spread = (k - models * p[:, None]) ** 2
    own = k * (1 - p[:, None]) ** 2 + (models - k) * p[:, None] ** 2
    product = counts[:, None] * (spread - own) / (2.0 * pairs * float(counts @ p**2))
    weights = np.full(pairs, 1.0 / pairs)

    def excess(rho: float) -> float:
        pmf = np.stack([one_factor_failures(models, float(q), rho) for q in p])
        return float((pmf * product).sum())

    def variance(rho: float) -> float:
        correlation = np.full((models, models), rho)
        np.fill_diagonal(correlation, 1.0)
        return pair_form_variance(weights, correlation, noise)

    unshared = variance(0.0)

    def needed(rho: float) -> float:
        return allowance + need * standard_error * float(np.sqrt(variance(rho) / unshared))

    if excess(_MOST) < needed(_MOST):
        return 1.0 + needed(_MOST)
    rho = brentq(lambda r: excess(r) - needed(r), 0.0, _MOST, xtol=1e-4)
    return 1.0 + excess(float(rho))


def _binned(probability: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean probability and number of rows in bins that hold equal sums of probability."""
    p = np.sort(np.clip(probability[probability > 1e-9], None, 1.0 - 1e-9))
    bins = np.minimum((np.cumsum(p) / p.sum() * _BINS).astype(np.int64), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS).astype(np.float64)
    used = counts > 0
    means = np.bincount(bins, weights=p, minlength=_BINS)[used] / counts[used]
    return np.asarray(means), counts[used]
