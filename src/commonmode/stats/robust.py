"""How wrong a risk figure can be: disagreement between models, and the worst model nearby."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, ndtri

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "absolute_model_risk",
    "interquartile_dispersion",
    "kl_worst_case",
    "kl_worst_case_normal",
    "kl_worst_case_sample",
    "normal_expected_shortfall",
    "normal_value_at_risk",
    "risk_ratio",
    "valuation_range",
    "worst_tail_given_moments",
]


def risk_ratio(values: FloatArray) -> FloatArray:
    """Largest over smallest risk figure across models (last axis).

    Source: Danielsson, James, Valenzuela & Zer (2016), "Model risk of risk models", J. Financial
    Stability 23.

    Parameters
    ----------
    values : float64, shape (..., N)
        Positive magnitudes of VaR or ES.
    """
    v = np.asarray(values, dtype=np.float64)
    if not np.all(v > 0):
        raise DataError(
            "the risk ratio needs positive risk figures", remedy="pass magnitudes, not losses"
        )
    return np.asarray(v.max(axis=-1) / v.min(axis=-1), dtype=np.float64)


def interquartile_dispersion(values: FloatArray) -> FloatArray:
    """``(Q3 - Q1) / (Q3 + Q1)`` across models (last axis): the EBA's benchmarking figure.

    Quartiles by linear interpolation of order statistics (Hyndman & Fan type 7).
    """
    q1, q3 = np.quantile(np.asarray(values, dtype=np.float64), [0.25, 0.75], axis=-1)
    return np.asarray((q3 - q1) / (q3 + q1), dtype=np.float64)


def valuation_range(values: FloatArray, calibrated: FloatArray | None = None) -> FloatArray:
    """Cont's coherent measure of model uncertainty: ``max - min`` over models (last axis).

    Cont (2006), Math. Finance 16(3), section 4; only models that reproduce the benchmark prices
    count.

    Parameters
    ----------
    values : float64, shape (..., N)
        Value of one position under each model.
    calibrated : bool, shape (..., N) or (N,), optional
        Which models fit the benchmarks within the bid-ask spread; all by default. NaN where none.
    """
    v = np.asarray(values, dtype=np.float64)
    ok = np.ones(v.shape, dtype=np.bool_)
    if calibrated is not None:
        ok = np.broadcast_to(np.asarray(calibrated, dtype=np.bool_), v.shape)
    high = np.where(ok, v, -np.inf).max(axis=-1)
    low = np.where(ok, v, np.inf).min(axis=-1)
    return np.asarray(np.where(ok.any(axis=-1), high - low, np.nan), dtype=np.float64)


def kl_worst_case_normal(
    mean: float, sd: float, radius: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Worst mean of a normal variable in a Kullback-Leibler ball: ``mu + sigma sqrt(2 eta)``.

    Source: Breuer & Csiszar (2016), Math. Finance 26(2); Glasserman & Xu (2014), Quant. Finance
    14(1), section 2.

    Parameters
    ----------
    mean, sd : float
    radius : float64
        eta >= 0, in nats.

    Returns
    -------
    (float64, float64)
        Worst mean, and the exponential tilt ``theta = sqrt(2 eta) / sigma`` that attains it.
    """
    eta = np.asarray(radius, dtype=np.float64)
    if np.any(eta < 0) or not sd > 0:
        raise DataError(
            "a KL ball needs a non-negative radius and a positive standard deviation",
            remedy="check eta and sigma",
        )
    root = np.sqrt(2.0 * eta)
    return np.asarray(mean + sd * root), np.asarray(root / sd)


def kl_worst_case(
    log_mgf: Callable[[float], float], radius: float, *, t_max: float = np.inf, scale: float = 1.0
) -> tuple[float, float]:
    """Worst expectation in a Kullback-Leibler ball: ``inf_{t>0} (eta + Lambda(t)) / t``.

    ``(eta + Lambda(t)) / t`` is quasi-convex in t: the search brackets the minimum by doubling on
    the scale of ``log t`` (of ``t / (t_max - t)`` where the log-moment generating function is
    finite only below ``t_max``) and closes in by Brent's method. Sources as in
    :func:`kl_worst_case_normal`.

    Parameters
    ----------
    log_mgf : callable
        ``Lambda(t) = log E exp(t X)`` under the reference law, for 0 < t < t_max.
    radius : float
        eta > 0, in nats.
    t_max : float
        Right end of the domain of ``log_mgf``.
    scale : float
        Size of X, e.g. its standard deviation: the search starts at t = 1 / scale.

    Returns
    -------
    (float, float)
        Worst expectation, and the tilt t that attains it.
    """
    if not radius > 0:
        raise DataError(
            f"the dual needs a positive radius, got {radius}",
            remedy="at radius 0 the worst expectation is the reference expectation",
        )

    def tilt(position: float) -> float:
        free = float(np.exp(position)) / scale
        return free if np.isinf(t_max) else t_max * free / (t_max + free)

    def dual(position: float) -> float:
        t = tilt(position)
        return (radius + log_mgf(t)) / t

    left, right = -1.0, 1.0
    while left > -600.0 and dual(left) < dual(left / 2.0):
        left *= 2.0
    while right < 600.0 and dual(right) < dual(right / 2.0):
        right *= 2.0
    found = minimize_scalar(dual, bounds=(left, right), method="bounded", options={"xatol": 1e-9})
    return float(found.fun), tilt(float(found.x))


def kl_worst_case_sample(sample: FloatArray, radius: float) -> tuple[float, float]:
    """Worst mean over reweightings of a sample within a Kullback-Leibler ball.

    :func:`kl_worst_case` with the empirical law; never above the largest value, which is reached
    once the radius is at least ``log(size / number of maxima)``.

    Parameters
    ----------
    sample : float64, shape (T,)
    radius : float
        eta > 0, in nats.

    Returns
    -------
    (float, float)
        Worst mean, and the tilt that attains it (infinite at the maximum).
    """
    x = np.asarray(sample, dtype=np.float64)
    top, centre = float(x.max()), float(x.mean())
    spread = float(x.std())
    if spread == 0.0:
        return top, 0.0
    if radius >= np.log(x.size / np.count_nonzero(x == top)):
        return top, float("inf")
    y = x - centre
    size = np.log(x.size)
    worst, tilt = kl_worst_case(
        lambda t: float(logsumexp(t * y)) - float(size), radius, scale=spread
    )
    return centre + worst, tilt


def absolute_model_risk(worst: FloatArray | float, reference: FloatArray | float) -> FloatArray:
    """``worst / reference - 1``: Barrieu & Scandolo (2015), J. Banking & Finance 58."""
    return np.asarray(np.asarray(worst, dtype=np.float64) / reference - 1.0)


def worst_tail_given_moments(
    level: FloatArray | float, mean: float = 0.0, sd: float = 1.0
) -> FloatArray:
    """Largest VaR, and largest ES, of a loss over all laws with this mean and variance.

    ``mean + sd sqrt(a / (1 - a))`` at confidence a: Cantelli's bound, attained (in the limit for
    VaR) by a two-point law, so VaR and ES share it. Barrieu & Scandolo (2015).

    Parameters
    ----------
    level : float64
        Confidence a in (0, 1), e.g. 0.99.
    """
    a = np.asarray(level, dtype=np.float64)
    return np.asarray(mean + sd * np.sqrt(a / (1.0 - a)))


def normal_value_at_risk(
    level: FloatArray | float, mean: float = 0.0, sd: float = 1.0
) -> FloatArray:
    """VaR of a normal loss at confidence ``level``: ``mean + sd Phi^-1(a)``."""
    return np.asarray(mean + sd * ndtri(np.asarray(level, dtype=np.float64)))


def normal_expected_shortfall(
    level: FloatArray | float, mean: float = 0.0, sd: float = 1.0
) -> FloatArray:
    """ES of a normal loss at confidence ``level``: ``mean + sd phi(Phi^-1(a)) / (1 - a)``."""
    a = np.asarray(level, dtype=np.float64)
    z = ndtri(a)
    density = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return np.asarray(mean + sd * density / (1.0 - a))
