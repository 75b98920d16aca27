"""Conformal prediction: the coverage that calibration data promise, and coverage under drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "AdaptiveCoverage",
    "ConformalCoverage",
    "adaptive_conformal",
    "conformal_quantile",
    "split_conformal_coverage",
]


@dataclass(frozen=True, slots=True)
class ConformalCoverage:
    """Law of the coverage of a split-conformal interval, given its calibration sample.

    Attributes
    ----------
    calibration : int
        n.
    alpha : float
    above : int
        ``l = floor((n + 1) alpha)``: calibration scores above the quantile. With ``l = 0`` the
        interval is everything and covers always.
    """

    calibration: int
    alpha: float
    above: int

    @property
    def mean(self) -> float:
        """``(n + 1 - l) / (n + 1)``, at least ``1 - alpha``."""
        return (self.calibration + 1 - self.above) / (self.calibration + 1)

    def quantile(self, probability: float) -> float:
        """Quantile of the Beta(n + 1 - l, l) law."""
        if self.above == 0:
            return 1.0
        return float(betaincinv(self.calibration + 1 - self.above, self.above, probability))


def split_conformal_coverage(calibration: int, alpha: float) -> ConformalCoverage:
    """What coverage n exchangeable calibration scores give.

    Vovk (2012), "Conditional validity of inductive conformal predictors", Proc. Machine Learning
    Research 25; Angelopoulos & Bates (2023), Foundations and Trends in Machine Learning 16(4),
    section 3.2.

    Parameters
    ----------
    calibration : int
        Independent (exchangeable) scores: of dependent ones, their effective number.
    alpha : float
        Miscoverage asked for, in (0, 1).
    """
    if calibration < 1 or not 0 < alpha < 1:
        raise DataError(
            f"coverage of {calibration} calibration scores at alpha {alpha}",
            remedy="one score or more, and alpha in (0, 1)",
        )
    # 1e-9: (n + 1) alpha that is a whole number must not lose one to rounding.
    return ConformalCoverage(calibration, alpha, int(np.floor((calibration + 1) * alpha + 1e-9)))


def conformal_quantile(scores: FloatArray, alpha: float) -> float:
    """The ``ceil((n + 1)(1 - alpha))``-th smallest score; infinite where n is too small for alpha.

    Parameters
    ----------
    scores : float64, shape (n,)
    alpha : float
        At or below 0 the answer is infinite, at or above 1 it is minus infinity.
    """
    n = len(scores)
    rank = int(np.ceil((n + 1) * (1.0 - alpha) - 1e-9))
    if rank > n:
        return float("inf")
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank >= 1 else float("-inf")


@dataclass(frozen=True, slots=True, eq=False)
class AdaptiveCoverage:
    """An adaptive conformal run.

    Attributes
    ----------
    threshold : float64, shape (T,)
        Score up to which an outcome is covered; NaN in the first window.
    level : float64, shape (T,)
        alpha_t in force.
    missed : bool, shape (T,)
    miscoverage : float
        Share missed after the first window.
    bound : float
        Largest distance of ``miscoverage`` from alpha whatever the data do:
        ``(max(alpha, 1 - alpha) + gamma) / (gamma T)``.
    """

    threshold: FloatArray
    level: FloatArray
    missed: BoolArray
    miscoverage: float
    bound: float


def adaptive_conformal(
    scores: FloatArray, alpha: float, *, gamma: float = 0.01, window: int = 250
) -> AdaptiveCoverage:
    """Coverage that holds in the long run under any drift.

    ``alpha_{t+1} = alpha_t + gamma (alpha - 1{missed})`` and the threshold is the conformal
    quantile at ``alpha_t`` of the last ``window`` scores. Gibbs & Candès (2021), "Adaptive
    conformal inference under distribution shift", NeurIPS 34, equation 2 and proposition 4.1.

    Parameters
    ----------
    scores : float64, shape (T,)
        Non-conformity in order of time, e.g. loss over forecast quantile.
    alpha : float
    gamma : float
        Step: large follows drift, small is steady.
    window : int

    Raises
    ------
    DataError
        Scores that are not finite or no more than the window.
    """
    s = np.asarray(scores, dtype=np.float64)
    if len(s) <= window or not np.isfinite(s).all():
        raise DataError(
            f"{len(s)} scores, a window of {window}",
            remedy="give finite scores, more than the window",
        )
    level, threshold = np.full(len(s), np.nan), np.full(len(s), np.nan)
    missed = np.zeros(len(s), dtype=np.bool_)
    now = alpha
    for t in range(window, len(s)):
        level[t] = now
        threshold[t] = conformal_quantile(s[t - window : t], now)
        missed[t] = s[t] > threshold[t]
        now += gamma * (alpha - float(missed[t]))
    count = len(s) - window
    return AdaptiveCoverage(
        threshold=threshold,
        level=level,
        missed=missed,
        miscoverage=float(missed[window:].mean()),
        bound=(max(alpha, 1.0 - alpha) + gamma) / (gamma * count),
    )
