"""Stability of calibrated parameters over snapshots, their identifiability, and the P&L of refits.

A model that is calibrated anew at every snapshot moves its parameters for three reasons: the market
moved, the quotes are noisy, the parameters are hardly identified. Steps are held against their
standard errors; the spectrum of the scaled Jacobian tells stiff from sloppy directions
(Transtrum, Machta and Sethna 2011, "Geometry of nonlinear least squares", Phys. Rev. E 83).

Standard errors come from the residuals of the fit, so a smile of the wrong shape inflates them, and
errors of the same quotes in successive snapshots are alike: a noise share near 1 with a median
``|z|`` far below 0.67 says misfit, not noise. The reversal of the steps needs no standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, frozen
from commonmode.core.errors import DataError

__all__ = [
    "Identifiability",
    "ParameterPath",
    "RecalibrationNoise",
    "identifiability",
    "parameter_path",
    "recalibration_noise",
]

_SLOPPY: Final = 1e-6  # ratio of information: the direction is a thousand times less certain


@dataclass(frozen=True, slots=True, eq=False)
class ParameterPath:
    """Steps of p parameters over S snapshots; statistics ignore steps that are not finite.

    Attributes
    ----------
    names : tuple of str
    step : float64, shape (S - 1, p)
    z : float64, shape (S - 1, p)
        Step over the root of the sum of both squared standard errors.
    steps : int64, shape (p,)
        Finite z.
    median_z, share_beyond_2 : float64, shape (p,)
        Median of ``|z|`` (0.67 if steps were pure calibration noise), share of ``|z| > 2`` (0.05).
    noise_share : float64, shape (p,)
        Sum of squared standard errors of the steps over the sum of squared steps, at most 1: how
        much of the movement the fits' own errors explain.
    reversal : float64, shape (p,)
        Lag-one autocorrelation of the steps; -0.5 is pure noise about a constant, 0 a random walk.
    """

    names: tuple[str, ...]
    step: FloatArray
    z: FloatArray
    steps: IntArray
    median_z: FloatArray
    share_beyond_2: FloatArray
    noise_share: FloatArray
    reversal: FloatArray


def parameter_path(
    parameters: FloatArray, standard_error: FloatArray, *, names: tuple[str, ...] = ()
) -> ParameterPath:
    """Step sizes against their standard errors.

    Parameters
    ----------
    parameters, standard_error : float64, shape (S, p)
        In order of time, S >= 3; NaN where a fit failed.
    names : tuple of str

    Raises
    ------
    DataError
        If shapes do not agree or there are fewer than three snapshots.
    """
    x, e = np.asarray(parameters, np.float64), np.asarray(standard_error, np.float64)
    if x.ndim != 2 or x.shape != e.shape or len(x) < 3:
        raise DataError(
            f"path of parameters {x.shape} with standard errors {e.shape}",
            remedy="give two arrays of shape (snapshots, parameters), at least three snapshots",
        )
    names = names or tuple(f"p{j}" for j in range(x.shape[1]))
    step = np.diff(x, axis=0)
    noise = e[1:] ** 2 + e[:-1] ** 2
    with np.errstate(all="ignore"):
        z = step / np.sqrt(noise)
    fine = np.isfinite(z)
    p = x.shape[1]
    median, beyond, share, reversal = (np.full(p, np.nan) for _ in range(4))
    for j in range(p):
        ok = fine[:, j]
        if not ok.any():
            continue
        size = np.abs(z[ok, j])
        median[j], beyond[j] = np.median(size), np.mean(size > 2.0)
        moved = float(np.sum(step[ok, j] ** 2))
        share[j] = min(1.0, float(np.sum(noise[ok, j])) / moved) if moved > 0 else 1.0
        pair = ok[1:] & ok[:-1]
        if pair.sum() >= 2:
            a, b = step[1:, j][pair], step[:-1, j][pair]
            scale = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
            reversal[j] = float(np.sum(a * b)) / scale if scale > 0 else np.nan
    return ParameterPath(
        names,
        frozen(step),
        frozen(z),
        frozen(fine.sum(axis=0).astype(np.int64)),
        *(frozen(a) for a in (median, beyond, share, reversal)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Identifiability:
    """Spectrum of the covariance of one fit, parameters scaled by their standard errors.

    Attributes
    ----------
    condition : float
        Root of the ratio of extreme eigenvalues of the correlation matrix.
    eigenvalue : float64, shape (p,), descending
        Of the correlation matrix; large: a sloppy direction.
    sloppiest : float64, shape (p,)
        Direction that the quotes determine least, unit length, in standard errors.
    sloppy : int
        Directions with less than 1e-6 of the information (inverse eigenvalue) of the best-known
        one.
    relative_error : float64, shape (p,)
        Standard error over ``|parameter|``.
    """

    condition: float
    eigenvalue: FloatArray
    sloppiest: FloatArray
    sloppy: int
    relative_error: FloatArray


def identifiability(parameters: FloatArray, covariance: FloatArray) -> Identifiability:
    """How well the quotes of one fit determine its parameters.

    Parameters
    ----------
    parameters : float64, shape (p,)
    covariance : float64, shape (p, p)

    Raises
    ------
    DataError
        If the covariance is not finite with a positive diagonal.
    """
    x, c = np.asarray(parameters, np.float64), np.asarray(covariance, np.float64)
    root = np.sqrt(np.where(np.diagonal(c) > 0, np.diagonal(c), np.nan))
    if c.shape != (len(x), len(x)) or not (np.isfinite(c).all() and np.isfinite(root).all()):
        raise DataError(
            "the covariance is not finite with a positive diagonal",
            remedy="a fit whose Jacobian is singular has no covariance; report its condition (inf)",
        )
    values, vectors = np.linalg.eigh(c / root[:, None] / root)
    values = np.maximum(values, np.finfo(np.float64).tiny)
    with np.errstate(divide="ignore"):
        relative = root / np.abs(x)
    return Identifiability(
        float(np.sqrt(values[-1] / values[0])),
        frozen(values[::-1]),
        frozen(vectors[:, -1]),
        int(np.sum(values[0] / values < _SLOPPY)),
        frozen(relative),
    )


@dataclass(frozen=True, slots=True)
class RecalibrationNoise:
    """A day's model P&L split; amounts in the currency of the values.

    ``total = market + recalibration`` at every step. The noise part is what steps of this size
    would earn if parameters did not move and only the fits' errors did.

    Attributes
    ----------
    total, market, recalibration : float
        Sums over the steps.
    absolute_market, absolute_recalibration : float
        Sums of absolute values over the steps.
    recalibration_std, noise_std : float
        Root mean square of the recalibration P&L per step, and of its part that standard errors
        explain.
    noise_share : float
        ``noise_std^2 / recalibration_std^2``, at most 1: recalibration noise in recalibration P&L.
    share_of_variance : float
        ``min(noise_std, recalibration_std)^2`` over the mean square of the total P&L per step:
        how much of the day's model P&L is recalibration noise.
    reversed_share : float
        Minus twice the lag-one autocorrelation of the recalibration P&L, in [0, 1]: the same
        question without standard errors (noise reverts at the next step, a moved market does not).
    share_by_reversal : float
        ``share_of_variance`` with the reversed share in place of the standard errors. Where the
        two differ, errors of successive fits are alike (misfit) and this one is to be believed.
    steps : int
    """

    total: float
    market: float
    recalibration: float
    absolute_market: float
    absolute_recalibration: float
    recalibration_std: float
    noise_std: float
    noise_share: float
    share_of_variance: float
    reversed_share: float
    share_by_reversal: float
    steps: int


def recalibration_noise(
    value_old: FloatArray,
    value_carried: FloatArray,
    value_new: FloatArray,
    sensitivity: FloatArray,
    covariance: FloatArray,
) -> RecalibrationNoise:
    """How much of a day's model P&L is recalibration noise.

    Parameters
    ----------
    value_old : float64, shape (S,)
        Book at snapshot s with its own parameters.
    value_carried : float64, shape (S,)
        Book in the market of snapshot s (forwards, times) with the parameters of s - 1; the first
        entry is not read.
    value_new : float64, shape (S,)
        Book just after recalibration; equal to ``value_old`` unless the book traded in between.
    sensitivity : float64, shape (S, p)
        Derivative of the value by the parameters at s.
    covariance : float64, shape (S, p, p)
        Of the parameters at s; errors of successive fits count as independent.

    Raises
    ------
    DataError
        If shapes do not agree or fewer than three steps are finite.
    """
    old, carried, new = (np.asarray(v, np.float64) for v in (value_old, value_carried, value_new))
    j, c = np.asarray(sensitivity, np.float64), np.asarray(covariance, np.float64)
    s = len(old)
    if not (carried.shape == new.shape == (s,) and j.ndim == 2 and c.shape == (*j.shape, j.shape[1])
            and len(j) == s):  # fmt: skip
        raise DataError(
            f"values {old.shape}, sensitivities {j.shape}, covariances {c.shape} do not agree",
            remedy="give values (S,), sensitivities (S, p) and covariances (S, p, p)",
        )
    market, refit = carried[1:] - old[:-1], new[1:] - carried[1:]
    own = np.einsum("sp,spq,sq->s", j, c, j)
    # Both fits err: the parameters carried from s - 1 and those found at s, valued at s.
    before = np.einsum("sp,spq,sq->s", j[1:], c[:-1], j[1:])
    noise = own[1:] + before
    ok = np.isfinite(market) & np.isfinite(refit) & np.isfinite(noise)
    if ok.sum() < 3:
        raise DataError(
            f"{int(ok.sum())} of {len(ok)} steps are finite",
            remedy="give at least three steps with fits that have a covariance",
        )
    square, variance = float(np.mean(refit[ok] ** 2)), float(np.mean(noise[ok]))
    total_square = float(np.mean((market + refit)[ok] ** 2))
    pair = ok[1:] & ok[:-1]
    a, b = refit[1:][pair], refit[:-1][pair]
    scale = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    reverse = float(np.clip(-2.0 * np.sum(a * b) / scale, 0.0, 1.0)) if scale > 0 else 0.0
    return RecalibrationNoise(
        total=float(np.sum((market + refit)[ok])),
        market=float(np.sum(market[ok])),
        recalibration=float(np.sum(refit[ok])),
        absolute_market=float(np.sum(np.abs(market[ok]))),
        absolute_recalibration=float(np.sum(np.abs(refit[ok]))),
        recalibration_std=float(np.sqrt(square)),
        noise_std=float(np.sqrt(variance)),
        noise_share=min(1.0, variance / square) if square > 0 else 1.0,
        share_of_variance=min(variance, square) / total_square if total_square > 0 else 0.0,
        reversed_share=reverse,
        share_by_reversal=min(1.0, reverse * square / total_square) if total_square > 0 else 0.0,
        steps=int(ok.sum()),
    )
