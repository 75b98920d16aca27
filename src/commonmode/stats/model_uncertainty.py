"""Model uncertainty of a position in money, from its values under several models.

Cont, R. (2006), Model uncertainty and its impact on the pricing of derivative instruments,
Mathematical Finance 16(3): a coherent measure over models that reproduce the benchmark quotes
(section 4: :func:`commonmode.stats.robust.valuation_range`) and a convex one in which models that
miss are admitted at a price (section 5). The reserve follows the prudent valuation rule of
Regulation (EU) 2016/101, Article 11 and Annex: the point of a range of plausible valuations at
which one is 90 % confident to be able to exit.

How prudent can n values be? If the truth is one more of their kind, it lies below the k-th smallest
of them with probability ``k / (n + 1)`` whatever their law, so that 90 % takes nine models. With
fewer the reserve rests on a normal law: ``mean - t_(n-1) sd sqrt(1 + 1/n)`` is exceeded with the
stated probability (Hahn and Meeker 1991, Statistical Intervals, ch. 4), and nearly so under Student
errors with three degrees of freedom. Neither sees an error that all models share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "PrudentValue",
    "common_error_sd",
    "delta_method_sd",
    "penalised_range",
    "plausible_quantile",
    "prudent_reserve",
    "prudent_value",
]

_HALVINGS = 200


def penalised_range(
    values: FloatArray, penalty: FloatArray, *, normalise: bool = True
) -> FloatArray:
    """Cont's convex measure: ``max (v - a) - min (v + a)`` over models (last axis).

    Parameters
    ----------
    values : float64, shape (..., N)
        Value of one position under each model; NaN where a model has none.
    penalty : float64, shape (..., N) or (N,)
        a >= 0: calibration error in the same unit, e.g. of as many contracts as are held. Infinite
        excludes a model; 0 and infinity give the coherent measure.
    normalise : bool
        Count penalties from that of the best model. Cont assumes one without error; without that
        the measure could be negative.

    Returns
    -------
    float64, shape (...)
        Non-negative; NaN where no model has a value.
    """
    v = np.asarray(values, np.float64)
    a = np.broadcast_to(np.asarray(penalty, np.float64), v.shape)
    if np.any(a < 0):
        raise DataError("a penalty is not negative", remedy="pass distances from the quotes")
    known = np.isfinite(v) & np.isfinite(a)
    a = np.where(known, a, np.inf)
    v = np.where(known, v, 0.0)
    any_model = known.any(axis=-1)
    if normalise:
        least = np.where(any_model, a.min(axis=-1), 0.0)
        a = a - least[..., None]
    spread = (v - a).max(axis=-1) - (v + a).min(axis=-1)
    return np.asarray(np.where(any_model, np.where(any_model, spread, 0.0), np.nan))


def delta_method_sd(gradient: FloatArray, covariance: FloatArray) -> FloatArray:
    """``sqrt(g' C g)``: spread of a value from that of the parameters behind it.

    Parameters
    ----------
    gradient : float64, shape (..., p)
    covariance : float64, shape (..., p, p)
        NaN where the parameters were not identified; the result is NaN.
    """
    g, c = np.asarray(gradient, np.float64), np.asarray(covariance, np.float64)
    variance = np.einsum("...a,...ab,...b->...", g, c, g)
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def common_error_sd(slope: FloatArray, seen: FloatArray, share: float = 0.5) -> FloatArray:
    """Spread of a value from errors that all quotes of an expiry have in common.

    A common error moves the fit and leaves no residual behind: one snapshot cannot tell it from the
    market. If it were ``share`` of the variance of every error, the residuals would show the rest,
    and its own standard deviation would be ``seen sqrt(share / (1 - share))``.

    Parameters
    ----------
    slope : float64, shape (..., E)
        Change of the value per unit of common error, by expiry.
    seen : float64, shape (..., E)
        Root mean square residual, in the same unit.
    share : float
        Assumed, in [0, 1).

    Returns
    -------
    float64, shape (...)
        Independent between expiries.
    """
    if not 0.0 <= share < 1.0:
        raise DataError(f"share {share} of errors in common", remedy="give one in [0, 1)")
    odds = share / (1.0 - share)
    return np.asarray(np.sqrt(odds * np.sum((np.asarray(slope) * seen) ** 2, axis=-1)))


def plausible_quantile(
    values: FloatArray, sd: FloatArray | float = 0.0, probability: float = 0.1
) -> float:
    """Quantile of the values under models held equally likely, each with normal parameter error.

    ``inf {x : (1/N) sum_i Phi((x - v_i) / s_i) >= p}``; a model without parameter error counts as a
    step.

    Parameters
    ----------
    values : float64, shape (N,)
    sd : float64, shape (N,)
        NaN counts as 0: what is not known is not invented.
    probability : float
        p in (0, 1).
    """
    v = np.asarray(values, np.float64)
    s = np.nan_to_num(np.broadcast_to(np.asarray(sd, np.float64), v.shape), nan=0.0)
    if not v.size or not np.isfinite(v).all() or not 0.0 < probability < 1.0 or np.any(s < 0):
        raise DataError(
            "a quantile of plausible values needs finite values and a probability in (0, 1)",
            remedy="leave models without a value out",
        )

    def below(x: float) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            z = np.where(s > 0, (x - v) / np.where(s > 0, s, 1.0), np.inf)
        return float(np.where(s > 0, ndtr(z), v <= x).mean())

    # One part in 1e12 of a model's weight is rounding of the sum.
    wanted = probability - 1e-12
    if not (s > 0).any():
        ordered = np.sort(v)
        return float(ordered[int(np.ceil(wanted * len(v))) - 1])
    low, high = float((v - 40.0 * s).min()), float((v + 40.0 * s).max())
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if below(middle) >= wanted else (middle, high)
    return high


@dataclass(frozen=True, slots=True)
class PrudentValue:
    """What a position is worth at least, and how sure that is.

    Attributes
    ----------
    value : float
        NaN where no model has a value.
    confidence : float
        With which the truth is at least ``value``, if it is one more of the models' kind: the
        confidence asked for, or more; NaN for one model, whose like nobody knows.
    normal : bool
        That confidence takes a normal law. Otherwise it holds under any.
    ranked : float
        Confidence of the best that ranks alone can do, ``n / (n + 1)`` at most.
    models : int
    """

    value: float
    confidence: float
    normal: bool
    ranked: float
    models: int


def prudent_value(
    values: FloatArray, sd: FloatArray | float = 0.0, *, confidence: float = 0.9
) -> PrudentValue:
    """Value that the truth exceeds with the given confidence, from models of its kind.

    The k-th smallest value, k the largest rank with ``k / (n + 1) <= 1 - confidence``, where there
    are models enough for one; parameter errors smear it as in :func:`plausible_quantile`. Else the
    normal prediction bound, or the smallest value where that is lower; parameter errors are added
    in quadrature, for models fitted to the same quotes share them and their spread does not show
    them.

    Parameters
    ----------
    values : float64, shape (N,)
        Of a position, signed: short positions have negative values. NaN is left out.
    sd : float64, shape (N,)
        NaN counts as 0: what is not known is not invented.
    confidence : float
        In (0, 1).

    Raises
    ------
    DataError
        No value, or a confidence out of range.
    """
    v = np.asarray(values, np.float64)
    s = np.nan_to_num(np.broadcast_to(np.asarray(sd, np.float64), v.shape), nan=0.0)
    v, s = v[np.isfinite(v)], s[np.isfinite(v)]
    n, miss = len(v), 1.0 - confidence
    if not n or not 0.0 < confidence < 1.0:
        raise DataError(
            f"{n} values, confidence {confidence}", remedy="give a value and one in (0, 1)"
        )
    if n == 1:
        return PrudentValue(plausible_quantile(v, s, miss), float("nan"), True, 0.5, 1)
    rank = int((n + 1) * miss + 1e-9)
    if rank >= 1:
        # The middle of the rank's step, so that without parameter error it is the value itself.
        low = plausible_quantile(v, s, (rank - 0.5) / n)
        sure = 1.0 - rank / (n + 1)
        return PrudentValue(low, sure, False, sure, n)
    least = float(v.min())
    above = v - least  # values that are all alike have no spread, to the last digit
    reach = float(stdtrit(n - 1, confidence) * above.std(ddof=1) * np.sqrt(1.0 + 1.0 / n))
    noise = float(ndtri(confidence) * np.sqrt(np.mean(s**2)))
    low = least + min(float(above.mean() - np.hypot(reach, noise)), 0.0)
    return PrudentValue(low, confidence, True, n / (n + 1), n)


def prudent_reserve(
    values: FloatArray,
    own: float,
    sd: FloatArray | float = 0.0,
    *,
    confidence: float = 0.9,
    admitted: BoolArray | None = None,
) -> float:
    """``max(own - q, 0)``, q the prudent value of :func:`prudent_value`.

    Parameters
    ----------
    values : float64, shape (N,)
    own : float
        Value at which the position is carried.
    sd : float64, shape (N,)
    confidence : float
    admitted : bool, shape (N,), optional
        Models that count.
    """
    v = np.asarray(values, np.float64)
    s = np.broadcast_to(np.asarray(sd, np.float64), v.shape)
    use = np.isfinite(v) if admitted is None else np.isfinite(v) & admitted
    return float(max(own - prudent_value(v[use], s[use], confidence=confidence).value, 0.0))
