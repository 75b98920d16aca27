"""Evidence that may be looked at after every observation: e-values, e-processes, e-detectors.

An *e-value* is a non-negative number whose expectation under the null, given the past, is at most
one: what a bettor against the null turns one dollar into. Multiplied up, bets make an *e-process*;
it exceeds ``1 / alpha`` at any time, ever, with probability at most alpha (Ville 1939). Summed over
all starting times they make an *e-detector*: an alarm at ``c`` has an average run length of at
least c observations under the null, whatever the law (Shin, Ramdas & Rinaldo 2023). No bet here is
tuned: the capital is spread evenly over a fixed grid of stakes.

References
----------
Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, J. R.
Statist. Soc. B 86(1); Wang, Wang & Ziegel (2022), E-backtesting, arXiv:2209.00991; Shin, Ramdas &
Rinaldo (2023), E-detectors, New England J. Statistics in Data Science; Vovk & Wang (2021),
E-values, Annals of Statistics 49(3), for averages of dependent e-values; Arnold, Henzi & Ziegel
(2023), Sequentially valid tests for forecast calibration, Annals of Applied Statistics 17(3), for
interleaved streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError

__all__ = [
    "STAKES",
    "Detection",
    "average_e_processes",
    "betting_factors",
    "detect",
    "e_detector",
    "e_process",
    "failure_e_values",
    "first_crossing",
    "shortfall_e_values",
    "symmetric_factors",
]

STAKES = tuple(2.0**-k for k in range(1, 11))
"""Shares of the capital put at risk: one half, one quarter, ... about a thousandth."""


def betting_factors(e_values: FloatArray, stakes: tuple[float, ...] = STAKES) -> FloatArray:
    """Logarithms of what each stake earns on each e-value: ``log(1 - c + c e)``.

    Parameters
    ----------
    e_values : float64, shape (T, ...)
        Non-negative; NaN is a missing observation and earns nothing.
    stakes : tuple of float
        c in (0, 1).

    Returns
    -------
    float64, shape (T, ..., G)

    Raises
    ------
    DataError
        Negative e-values, or stakes out of range.
    """
    e = np.asarray(e_values, dtype=np.float64)
    c = np.asarray(stakes, dtype=np.float64)
    if np.any(e < 0) or not np.all((c > 0) & (c < 1)):
        raise DataError(
            "e-values are non-negative and stakes lie between 0 and 1",
            remedy="an e-value is a variable that is never negative over its largest mean",
        )
    log = np.log1p(c * (e[..., None] - 1.0))
    return np.asarray(np.where(np.isnan(log), 0.0, log))


def failure_e_values(failed: BoolArray | FloatArray, level: float) -> FloatArray:
    """``F / p``: at most one on average where failures are no likelier than ``level``.

    Parameters
    ----------
    failed : bool or float64
        Indicators, or shares of failures; NaN where missing.
    level : float
        p, in (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise DataError(f"a level lies in (0, 1), got {level}", remedy="2.5 % is 0.025")
    return np.asarray(np.asarray(failed, dtype=np.float64) / level)


def shortfall_e_values(
    loss: FloatArray,
    value_at_risk: FloatArray | float,
    expected_shortfall: FloatArray | float,
    level: float,
) -> FloatArray:
    """``(x - z)+ / (p (r - z))``: at most one on average where ES is no worse than forecast.

    Wang, Wang & Ziegel (2022), section 3: the expectation is at most one when z is the VaR and the
    ES at most r. A wrong z can only raise it (Rockafellar & Uryasev's minimum), so the null is of
    the pair: growth says that the VaR or the ES is not what was forecast.

    Parameters
    ----------
    loss : float64
        Positive for a loss.
    value_at_risk, expected_shortfall : float64, same shape
        z and r of the loss, ``r > z``.
    level : float
        p, the tail probability.

    Raises
    ------
    DataError
        Where a shortfall is not beyond its quantile.
    """
    gap = np.asarray(expected_shortfall, np.float64) - np.asarray(value_at_risk, np.float64)
    if np.any(gap <= 0) or not 0.0 < level < 1.0:
        raise DataError(
            "expected shortfall must lie beyond value at risk",
            remedy="pass both as positive losses, and the tail probability as a decimal",
        )
    return np.asarray(np.maximum(loss - value_at_risk, 0.0) / (level * gap))


def symmetric_factors(
    values: FloatArray, scale: FloatArray | float, stakes: tuple[float, ...] = STAKES
) -> FloatArray:
    """Logarithms of ``1 + tanh(lambda x)``: bets that symmetric values lean to the positive.

    Under symmetry about zero given the past, ``tanh`` of the value has mean zero whatever the
    tails: this is the likelihood ratio of a sign flip, ``exp(l x) / cosh(l x)`` (de la Pena 1999,
    Annals of Probability 27(1)).

    Parameters
    ----------
    values : float64, shape (T, ...)
        NaN earns nothing.
    scale : float64
        Size of a typical value, known beforehand; ``lambda = 2 c / scale``.
    stakes : tuple of float

    Returns
    -------
    float64, shape (T, ..., G)
    """
    s = np.asarray(scale, dtype=np.float64)
    if np.any(~(s > 0)):
        raise DataError("a scale is positive", remedy="take it from a baseline period")
    x = np.asarray(values, np.float64)
    # A missing value is one that leans nowhere: log(1 + tanh 0) = 0.
    pull = 2.0 * np.asarray(stakes) * (np.where(np.isnan(x), 0.0, x) / s)[..., None]
    # 1 + tanh(z) = 2 / (1 + exp(-2 z)), without underflow.
    return np.asarray(np.log(2.0) - np.logaddexp(0.0, -2.0 * pull))


def _streams(log_factors: FloatArray, lag: int) -> tuple[FloatArray, IntArray]:
    """The factors and the stream that each time belongs to when every ``lag``-th is one stream.

    Observations that remember each other for less than ``lag`` steps are fair bets within a stream.
    """
    if lag < 1:
        raise DataError(f"a lag is at least 1, got {lag}", remedy="1 means one stream")
    return np.asarray(log_factors, np.float64), (np.arange(len(log_factors)) % lag).astype(np.int64)


def e_process(log_factors: FloatArray, lag: int = 1) -> FloatArray:
    """Logarithm of the evidence against the null after each observation.

    The capital is spread evenly over stakes and over ``lag`` interleaved streams; nothing is
    rebalanced. ``exp(-max)`` bounds the p-value at any stopping time, and by averaging so does that
    of the streams together (up to the memory within ``lag``).

    Parameters
    ----------
    log_factors : float64, shape (T, ..., G)
    lag : int

    Returns
    -------
    float64, shape (T, ...)
    """
    factors, stream = _streams(log_factors, lag)
    paths = [
        np.cumsum(np.where(_shaped(stream == one, factors), factors, 0.0), axis=0)
        for one in range(lag)
    ]
    whole = np.concatenate(paths, axis=-1)
    return np.asarray(logsumexp(whole, axis=-1) - np.log(whole.shape[-1]))


def e_detector(log_factors: FloatArray, lag: int = 1) -> FloatArray:
    """Logarithm of the Shiryaev-Roberts e-detector after each observation.

    ``M_t = (M_(t-1) + 1) e_t`` for every stake, averaged over stakes and added over ``lag``
    interleaved streams. Under the null ``E[M_tau] <= E[tau]``, so the first time ``M >= c`` comes
    after at least c observations on average.

    Parameters
    ----------
    log_factors : float64, shape (T, ..., G)
    lag : int

    Returns
    -------
    float64, shape (T, ...)
    """
    factors, stream = _streams(log_factors, lag)
    state = np.full((lag, *factors.shape[1:]), -np.inf)
    out = np.empty(factors.shape[:-1])
    for t, one in enumerate(stream.tolist()):
        state[one] = np.logaddexp(state[one], 0.0) + factors[t]
        out[t] = _over_streams(state)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A detector that starts afresh after every alarm.

    Attributes
    ----------
    log_statistic : float64, shape (T,)
    log_threshold : float
    alarms : int64
        Rows at which it went off.
    started : int64, same shape
        For each alarm, since when the evidence speaks: the row at which the best single start in
        hindsight lies.
    """

    log_statistic: FloatArray
    log_threshold: float
    alarms: IntArray
    started: IntArray


def detect(log_factors: FloatArray, run_length: float, lag: int = 1) -> Detection:
    """Run the e-detector with alarms at ``run_length``, starting afresh after each.

    Every cycle lasts at least ``run_length`` observations on average under the null, so false
    alarms come no oftener than once in that many.

    Parameters
    ----------
    log_factors : float64, shape (T, G)
    run_length : float
        c > 1, observations.
    lag : int
    """
    if not run_length > 1.0:
        raise DataError(
            f"an average run length of {run_length} observations", remedy="ask for more than one"
        )
    factors, stream = _streams(log_factors, lag)
    threshold = float(np.log(run_length))
    state = np.full((lag, factors.shape[1]), -np.inf)
    statistic = np.empty(len(factors))
    alarms: list[int] = []
    started: list[int] = []
    since = 0
    for t, one in enumerate(stream.tolist()):
        state[one] = np.logaddexp(state[one], 0.0) + factors[t]
        statistic[t] = _over_streams(state)
        if statistic[t] >= threshold:
            alarms.append(t)
            backward = np.cumsum(factors[since : t + 1][::-1], axis=0).max(axis=1)
            started.append(t - int(np.argmax(backward)))
            state[:] = -np.inf
            since = t + 1
    return Detection(statistic, threshold, np.array(alarms, np.int64), np.array(started, np.int64))


def average_e_processes(log_e: FloatArray) -> FloatArray:
    """Logarithm of the mean of e-processes of dependent models (last axis): an e-process again.

    Whatever the dependence; a product would need independence.
    """
    log = np.asarray(log_e, np.float64)
    return np.asarray(logsumexp(log, axis=-1) - np.log(log.shape[-1]))


def first_crossing(log_e: FloatArray, alpha: float) -> int | None:
    """First row at which the e-process reaches ``1 / alpha``, None if it never does."""
    rows = np.flatnonzero(np.asarray(log_e) >= -np.log(alpha))
    return int(rows[0]) if rows.size else None


def _over_streams(state: FloatArray) -> FloatArray:
    """Sum over streams of the mean over stakes, in logarithms; state (lag, ..., G)."""
    mean = np.logaddexp.reduce(state, axis=-1) - np.log(state.shape[-1])
    return np.asarray(np.logaddexp.reduce(mean, axis=0))


def _shaped(mask: BoolArray, like: FloatArray) -> BoolArray:
    return mask.reshape(-1, *([1] * (like.ndim - 1)))
