"""Does a forecast that was put right on its first half cover as promised on its second?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.stats.blocks import autocorrelation_time_interval
from commonmode.stats.conformal import conformal_quantile, split_conformal_coverage

__all__ = ["HeldCoverage", "held_coverage"]


@dataclass(frozen=True, slots=True)
class HeldCoverage:
    """Split-conformal coverage, promised by the first half of a series and found in the second.

    Attributes
    ----------
    scores : int
    calibration : float
        Independent scores that the first half is worth.
    factor : float
        What the forecast has to be multiplied by to cover at the stated level.
    promised : (float, float)
        Share missed in the second half, interval under no change of the market (exchangeability).
    found : float
        Share missed there.
    drifts : bool
        What was found, counted in as many independent scores, lies outside.
    """

    scores: int
    calibration: float
    factor: float
    promised: tuple[float, float]
    found: float
    drifts: bool


def held_coverage(scores: FloatArray, alpha: float, *, level: float = 0.95) -> HeldCoverage:
    """Calibrate on the first half, look at the second.

    Given l of n calibration scores above the quantile, the number missed of m exchangeable new ones
    is beta-binomial (m, l, n + 1 - l) (Vovk 2012, Proc. Machine Learning Research 25). Misses come
    in clusters, so n and m are the effective numbers of the misses' indicator, whose memory is long
    and faint where the forecast does not follow volatility.

    Parameters
    ----------
    scores : float64, shape (T,)
        Non-conformity in order of time, e.g. loss over forecast; finite.
    alpha : float
        Share that may be missed.
    level : float
        Of the interval.

    Raises
    ------
    DataError
        So few scores that the first half cannot promise ``alpha``.
    """
    s = np.asarray(scores, dtype=np.float64)
    half = len(s) // 2
    threshold = conformal_quantile(s[:half], alpha) if half else float("inf")
    if not np.isfinite(threshold):
        raise DataError(
            f"{len(s)} scores, half of them to promise that {100 * alpha:g} % are missed",
            remedy=f"give {2 * int(np.ceil(1.0 / alpha))} or more",
        )
    missed = s > threshold
    # Of the worse half: where the level drifts, the change itself is no dependence.
    tau = max(
        autocorrelation_time_interval(missed[:half].astype(np.float64))[0],
        autocorrelation_time_interval(missed[half:].astype(np.float64))[0],
    )
    worth, new = half / tau, (len(s) - half) / tau
    law = split_conformal_coverage(max(int(worth), 1), alpha)
    above = max(law.above, 1)
    count = max(int(new), 1)
    tail = 0.5 * (1.0 - level)
    shape = (count, above, max(law.calibration + 1 - above, 1))
    low, high = (max(float(betabinom.ppf(p, *shape)), 0.0) for p in (tail, 1.0 - tail))
    found = float(missed[half:].mean())
    return HeldCoverage(
        scores=len(s),
        calibration=worth,
        factor=threshold,
        promised=(low / count, high / count),
        found=found,
        drifts=not low <= round(found * count) <= high,
    )
