"""How much a sample can say: effective size, shortest useful length, drift of its make-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtr, chdtri, ndtri, xlogy

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.stats.blocks import autocorrelation_time_interval

__all__ = [
    "TailSample",
    "condition_number",
    "effective_sample_size",
    "expected_maximum_sharpe",
    "extremal_index",
    "kupiec_power",
    "minimum_kupiec_length",
    "minimum_sharpe_backtest",
    "minimum_track_record",
    "population_stability_index",
    "psi_critical",
    "tail_sample",
]

_LONGEST: Final = 1 << 20


def effective_sample_size(series: FloatArray) -> float:
    """Independent observations whose mean would be as uncertain as the series' own: ``T / tau``.

    tau is that of :func:`commonmode.stats.blocks.autocorrelation_time_interval`; missing values do
    not count. For a volatility pass squared or absolute returns: returns themselves are nearly
    white and would promise too much.

    Parameters
    ----------
    series : float64, shape (T,)
    """
    x = np.asarray(series, dtype=np.float64)
    known = int(np.isfinite(x).sum())
    return known / autocorrelation_time_interval(x)[0] if known else 0.0


def extremal_index(exceeds: BoolArray) -> float:
    """Share of exceedances that begin a cluster, in (0, 1]: 1 where tail events are independent.

    The intervals estimator of Ferro & Segers (2003), J. Royal Statistical Society B 65(2),
    equation 5 and 6: needs no choice of a run length.

    Parameters
    ----------
    exceeds : bool, shape (T,)

    Returns
    -------
    float
        NaN for fewer than two exceedances.
    """
    gaps = np.diff(np.flatnonzero(exceeds)).astype(np.float64)
    if gaps.size == 0:
        return float("nan")
    if gaps.max() <= 2:
        ratio = 2.0 * gaps.sum() ** 2 / (gaps.size * (gaps**2).sum())
    else:
        top = 2.0 * (gaps - 1.0).sum() ** 2
        ratio = top / (gaps.size * ((gaps - 1.0) * (gaps - 2.0)).sum())
    return float(min(ratio, 1.0))


@dataclass(frozen=True, slots=True)
class TailSample:
    """What a sample holds of a tail.

    Attributes
    ----------
    exceedances : int
    index : float
        Extremal index.
    clusters : float
        Effective number of tail events, ``exceedances * index``.
    """

    exceedances: int
    index: float
    clusters: float


def tail_sample(losses: FloatArray, level: float) -> TailSample:
    """Tail events of a sample at its own ``1 - level`` quantile.

    Parameters
    ----------
    losses : float64, shape (T,)
        Positive is bad.
    level : float
        Tail probability, in (0, 1).
    """
    x = np.asarray(losses, dtype=np.float64)
    x = x[np.isfinite(x)]
    if x.size == 0 or not 0 < level < 1:
        raise DataError(
            f"a tail at {level} of {x.size} losses", remedy="give losses and a level in (0, 1)"
        )
    exceeds = x > np.quantile(x, 1.0 - level)
    count = int(exceeds.sum())
    index = extremal_index(exceeds)
    return TailSample(count, index, count * index if count > 1 else float(count))


def kupiec_power(
    observations: IntArray | int, level: float, true_level: float, size: float = 0.05
) -> FloatArray:
    """Chance that Kupiec's test rejects ``level`` when exceptions come at ``true_level``.

    Exact, by the binomial law over the rejection region.

    Parameters
    ----------
    observations : int64
        T.
    level, true_level : float
    size : float
        Nominal size of the test; the exact one moves around it.
    """
    t = np.atleast_1d(np.asarray(observations, dtype=np.float64))
    critical = float(chdtri(1.0, size))

    def ratio(x: FloatArray) -> FloatArray:
        fail = xlogy(x, x / (t * level))
        hold = xlogy(t - x, (t - x) / (t * (1.0 - level)))
        return np.asarray(2.0 * (fail + hold))

    centre = t * level

    def end(outer: FloatArray) -> FloatArray:
        inside, outside = centre.copy(), outer.copy()
        for _ in range(60):
            middle = 0.5 * (inside + outside)
            accepted = ratio(middle) <= critical
            inside = np.where(accepted, middle, inside)
            outside = np.where(accepted, outside, middle)
        return np.asarray(np.where(ratio(outer) <= critical, outer, inside))

    low, high = np.ceil(end(np.zeros_like(t)) - 1e-9), np.floor(end(t) + 1e-9)
    # Where no whole number lies between the ends (tiny samples) everything is rejected.
    below = np.where(low >= 1, bdtr(np.maximum(low - 1, 0), t.astype(np.int64), true_level), 0.0)
    accepted = np.where(low <= high, bdtr(high, t.astype(np.int64), true_level) - below, 0.0)
    power = 1.0 - accepted
    return np.asarray(power if np.ndim(observations) else power[0])


def minimum_kupiec_length(
    level: float, true_level: float, *, size: float = 0.05, power: float = 0.8
) -> int:
    """Fewest observations from which on Kupiec's test has at least ``power``.

    Power is a saw-tooth in T because exceptions are whole numbers: the answer is one more than the
    last T that falls short.

    Raises
    ------
    DataError
        Levels outside (0, 1), equal, or so close that more than a million would be needed.
    """
    if not (0 < level < 1 and 0 < true_level < 1) or level == true_level:
        raise DataError(
            f"a length to tell {level} from {true_level}", remedy="two levels in (0, 1), not equal"
        )
    spread = np.sqrt(level * (1 - level)), np.sqrt(true_level * (1 - true_level))
    reach = -ndtri(size / 2) * spread[0] + ndtri(power) * spread[1]
    normal = float((reach / (true_level - level)) ** 2)
    most = int(4 * normal + 20 / min(level, true_level)) + 50
    if most > _LONGEST:
        raise DataError(
            f"more than {int(normal):,} observations to tell {level} from {true_level}",
            remedy="ask for a coarser difference",
        )
    lengths = np.arange(1, most + 1)
    short = np.flatnonzero(kupiec_power(lengths, level, true_level, size) < power)
    return int(lengths[short[-1]]) + 1 if short.size else 1


def expected_maximum_sharpe(trials: FloatArray | int) -> FloatArray:
    """Expected largest of N independent standard normal statistics, N > 1.

    ``(1 - g) Phi^-1(1 - 1/N) + g Phi^-1(1 - 1/(N e))``, g Euler's constant. Bailey, Borwein, Lopez
    de Prado & Zhu (2014), Notices of the AMS 61(5), proposition 1.
    """
    n = np.asarray(trials, dtype=np.float64)
    if np.any(n <= 1):
        raise DataError("the largest of fewer than two trials", remedy="give two trials or more")
    g = np.euler_gamma
    return np.asarray((1 - g) * ndtri(1 - 1 / n) + g * ndtri(1 - 1 / (n * np.e)))


def minimum_sharpe_backtest(trials: FloatArray | int, target: float = 1.0) -> FloatArray:
    """Years below which the best of N worthless strategies is expected to show ``target``.

    ``(E[max_N] / target)^2``, target an annual Sharpe ratio. Bailey et al. (2014), theorem 1; the
    independent trials are the *effective* number of them.
    """
    return np.asarray((expected_maximum_sharpe(trials) / target) ** 2)


def minimum_track_record(
    sharpe: FloatArray | float,
    benchmark: FloatArray | float,
    *,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
    confidence: float = 0.95,
) -> FloatArray:
    """Observations needed to say that a Sharpe ratio exceeds ``benchmark``.

    ``1 + [1 - g3 SR + (g4 - 1)/4 SR^2] (z / (SR - SR*))^2``. Bailey & Lopez de Prado (2012), "The
    Sharpe ratio efficient frontier", J. Risk 15(2), equation 13.

    Parameters
    ----------
    sharpe, benchmark : float
        *Per observation*, not annual; the first is larger.
    skewness, kurtosis : float
        Of returns; the normal's kurtosis is 3.
    confidence : float
    """
    sr, base = np.asarray(sharpe, np.float64), np.asarray(benchmark, np.float64)
    if np.any(sr <= base):
        raise DataError(
            "no track record shows that a Sharpe ratio exceeds one that is not smaller",
            remedy="compare with a smaller benchmark",
        )
    shape = 1.0 - skewness * sr + (kurtosis - 1.0) / 4.0 * sr**2
    return np.asarray(1.0 + shape * (ndtri(confidence) / (sr - base)) ** 2)


def population_stability_index(reference: FloatArray, new: FloatArray) -> float:
    """``sum (n_b - r_b) log(n_b / r_b)``: symmetrised Kullback-Leibler of two binned laws.

    Parameters
    ----------
    reference, new : float64, shape (B,)
        Counts or shares; a bin empty in both says nothing, one empty in one makes it infinite.
    """
    r, n = (np.asarray(v, dtype=np.float64) for v in (reference, new))
    if r.shape != n.shape or np.any(r < 0) or np.any(n < 0) or not (r.sum() > 0 and n.sum() > 0):
        raise DataError(
            "the index compares two lists of counts over the same bins",
            remedy="bin both samples by the reference's quantiles",
        )
    r, n = r / r.sum(), n / n.sum()
    if np.any((r == 0) != (n == 0)):
        return float("inf")
    both = r > 0
    return float(((n[both] - r[both]) * np.log(n[both] / r[both])).sum())


def psi_critical(bins: int, reference: float, new: float, level: float = 0.95) -> float:
    """Quantile of the index under no change: ``(1/n + 1/m) chi2_{B-1}``.

    Yurdakul & Naranjo (2020), "Statistical properties of the population stability index", J. Risk
    Model Validation 14(4). The usual rules of thumb (0.1, 0.25) ignore the sample sizes; for
    dependent data pass effective ones.

    Parameters
    ----------
    bins : int
    reference, new : float
        Sample sizes n and m.
    level : float
    """
    return float((1.0 / reference + 1.0 / new) * chdtri(bins - 1.0, 1.0 - level))


def condition_number(jacobian: FloatArray) -> float:
    """Largest over smallest singular value; infinite where a parameter cannot be told at all."""
    size = np.linalg.svd(np.asarray(jacobian, dtype=np.float64), compute_uv=False)
    return float(size[0] / size[-1]) if size[-1] > 0 else float("inf")
