"""Do a quantile forecast's exceptions come as often, and as independently, as it promises?

Everything is computed in logarithms with ``0 log 0 = 0``: published implementations underflow on
hourly samples and break at zero exceptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import bdtr, chdtrc, chdtri, xlogy

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError

__all__ = [
    "BASEL_GREEN_BELOW",
    "BASEL_RED_FROM",
    "ChristoffersenTest",
    "LikelihoodRatio",
    "Transitions",
    "basel_cumulative",
    "basel_plus_factor_1996",
    "basel_type_two_error",
    "basel_zone",
    "basel_zones_text",
    "christoffersen",
    "independence_test",
    "kupiec",
    "kupiec_region",
    "transitions",
]

#: A count is green while the chance of at most that many is below this (BCBS 1996, section III).
BASEL_GREEN_BELOW: Final = 0.95
#: ... and red from here on.
BASEL_RED_FROM: Final = 0.9999

# Exceptions in 250 days -> addition to the multiplier of 3; BCBS (January 1996), Table 2.
_PLUS_1996: Final = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.00)


@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodRatio:
    """A likelihood-ratio test, possibly many at once.

    Attributes
    ----------
    statistic, p_value : float64, same shape
        The p-value is that of the asymptotic chi-squared law.
    degrees : int
    """

    statistic: FloatArray
    p_value: FloatArray
    degrees: int

    def rejects(self, size: float = 0.05) -> BoolArray:
        """Whether the null hypothesis falls at the given size."""
        return np.asarray(self.p_value < size)


def _ratio(statistic: FloatArray, degrees: int) -> LikelihoodRatio:
    value = np.maximum(np.asarray(statistic, dtype=np.float64), 0.0)  # rounding below zero
    p_value = np.asarray(chdtrc(float(degrees), value), dtype=np.float64)
    return LikelihoodRatio(value, p_value, degrees)


def _check_level(level: FloatArray | float) -> None:
    if not np.all((np.asarray(level) > 0) & (np.asarray(level) < 1)):
        raise DataError(
            f"an exception probability lies strictly between 0 and 1, got {level}",
            remedy="give it as a decimal, e.g. 0.01 for a 99 % VaR",
        )


def kupiec(
    exceptions: IntArray | int, observations: IntArray | int, level: FloatArray | float
) -> LikelihoodRatio:
    """Proportion-of-failures test: is the exception rate ``level``?

    ``LR = 2 [x log(x / (T p)) + (T-x) log((T-x) / (T (1-p)))]``, chi-squared with one degree of
    freedom. Source: Kupiec (1995), J. Derivatives 3(2).

    Parameters
    ----------
    exceptions, observations : int, broadcastable
        ``0 <= x <= T``; both ends are fine.
    level : float
        p in (0, 1).
    """
    _check_level(level)
    x = np.asarray(exceptions, dtype=np.float64)
    t = np.asarray(observations, dtype=np.float64)
    if np.any(t <= 0) or np.any(x < 0) or np.any(x > t):
        raise DataError(
            "Kupiec's test needs 0 <= exceptions <= observations, and an observation",
            remedy="check the counts",
        )
    p = np.asarray(level, dtype=np.float64)
    fail, hold = xlogy(x, x / (t * p)), xlogy(t - x, (t - x) / (t * (1.0 - p)))
    return _ratio(np.asarray(2.0 * (fail + hold), dtype=np.float64), 1)


def kupiec_region(observations: int, level: float, confidence: float = 0.95) -> tuple[int, int]:
    """Open interval ``(low, high)`` of exception counts that Kupiec's test does not reject.

    A count x is accepted if ``low < x < high``, as tabulated by Kupiec (1995). ``low`` is -1 where
    zero exceptions are accepted and ``high`` is T + 1 where T are.
    """
    x = np.arange(observations + 1)
    critical = float(chdtri(1.0, 1.0 - confidence))
    accepted = np.flatnonzero(kupiec(x, observations, level).statistic <= critical)
    if accepted.size == 0:
        raise DataError(
            f"no exception count is compatible with {level} in {observations} observations",
            remedy="use a longer sample",
        )
    return int(accepted[0]) - 1, int(accepted[-1]) + 1


@dataclass(frozen=True, slots=True)
class Transitions:
    """Counts of consecutive (no exception, exception) pairs: ``n01`` is 0 followed by 1."""

    n00: int
    n01: int
    n10: int
    n11: int


def transitions(hits: BoolArray) -> Transitions:
    """Count the transitions of an exception series of shape (T,)."""
    h = np.asarray(hits, dtype=np.bool_)
    if h.ndim != 1 or h.size < 2:
        raise DataError(
            f"transitions need a series of at least two observations, got shape {h.shape}",
            remedy="pass one exception series at a time",
        )
    before, after = h[:-1], h[1:]
    return Transitions(
        n00=int(np.sum(~before & ~after)),
        n01=int(np.sum(~before & after)),
        n10=int(np.sum(before & ~after)),
        n11=int(np.sum(before & after)),
    )


def independence_test(counts: Transitions) -> LikelihoodRatio:
    """First-order Markov test that an exception does not make the next one likelier.

    Christoffersen (1998), Int. Econ. Review 39(4): the likelihood of one exception rate
    against one rate after an exception and another after none; chi-squared, one degree of freedom.
    A state that is never left counts zero.
    """
    n00, n01, n10, n11 = counts.n00, counts.n01, counts.n10, counts.n11
    total = n00 + n01 + n10 + n11
    if min(n00, n01, n10, n11) < 0 or total == 0:
        raise DataError(
            "transition counts must be non-negative and not all zero", remedy="check the counts"
        )

    def log_likelihood(failures: int, passes: int) -> float:
        trials = failures + passes
        if trials == 0:
            return 0.0
        return float(xlogy(failures, failures / trials) + xlogy(passes, passes / trials))

    split = log_likelihood(n01, n00) + log_likelihood(n11, n10)
    pooled = log_likelihood(n01 + n11, n00 + n10)
    return _ratio(np.asarray(2.0 * (split - pooled)), 1)


@dataclass(frozen=True, slots=True, eq=False)
class ChristoffersenTest:
    """Coverage, independence and both together.

    Attributes
    ----------
    unconditional, independence, conditional : LikelihoodRatio
    exceptions, observations : int
    """

    unconditional: LikelihoodRatio
    independence: LikelihoodRatio
    conditional: LikelihoodRatio
    exceptions: int
    observations: int


def christoffersen(hits: BoolArray, level: float) -> ChristoffersenTest:
    """Conditional coverage of an exception series.

    The conditional statistic is the sum of Kupiec's over all T observations and of the
    independence statistic over the T - 1 transitions (two degrees of freedom), as in Christoffersen
    (1998) and in R's ``rugarch::VaRTest``.

    Parameters
    ----------
    hits : bool, shape (T,)
    level : float
        Promised exception probability.
    """
    h = np.asarray(hits, dtype=np.bool_)
    counts = transitions(h)
    coverage = kupiec(int(h.sum()), h.size, level)
    independence = independence_test(counts)
    return ChristoffersenTest(
        unconditional=coverage,
        independence=independence,
        conditional=_ratio(coverage.statistic + independence.statistic, 2),
        exceptions=int(h.sum()),
        observations=int(h.size),
    )


def basel_cumulative(
    exceptions: IntArray, observations: int = 250, level: float = 0.01
) -> FloatArray:
    """Chance of at most k exceptions when the model is right (BCBS 1996, Table 2).

    Returns
    -------
    float64
        Binomial probabilities, shape of ``exceptions``.
    """
    _check_level(level)
    k = np.asarray(exceptions, dtype=np.float64)
    return np.asarray(bdtr(k, observations, level), dtype=np.float64)


def basel_zone(exceptions: int, observations: int = 250, level: float = 0.01) -> str:
    """Traffic-light zone of a count: green, yellow or red (BCBS 1996, section III).

    Yellow begins where the cumulative probability reaches 95 %, red where it reaches 99.99 %.
    """
    chance = float(basel_cumulative(np.asarray(exceptions), observations, level))
    if chance < BASEL_GREEN_BELOW:
        return "green"
    return "yellow" if chance < BASEL_RED_FROM else "red"


def basel_zones_text(observations: int = 250, level: float = 0.01) -> str:
    """The three zones in words, e.g. ``green 0-4, yellow 5-9, red 10+``."""
    k = np.arange(observations + 1)
    chance = basel_cumulative(k, observations, level)
    yellow = int(np.argmax(chance >= BASEL_GREEN_BELOW))
    red = int(np.argmax(chance >= BASEL_RED_FROM))
    return f"green 0-{yellow - 1}, yellow {yellow}-{red - 1}, red {red}+"


def basel_plus_factor_1996(exceptions: IntArray | int) -> FloatArray:
    """Addition to the capital multiplier for exceptions in 250 days at 99 % (BCBS 1996, Table 2).

    Ten or more give 1.00.
    """
    k = np.asarray(exceptions, dtype=np.int64)
    if np.any(k < 0):
        raise DataError("an exception count is not negative", remedy="check the counts")
    return np.asarray(_PLUS_1996, dtype=np.float64)[np.minimum(k, len(_PLUS_1996) - 1)]


def basel_type_two_error(
    true_level: FloatArray | float, observations: int = 250, reject_from: int = 5
) -> FloatArray:
    """Chance of accepting a model whose exceptions come at ``true_level`` (BCBS 1996, Table 1).

    The model is accepted with fewer than ``reject_from`` exceptions.
    """
    _check_level(true_level)
    p = np.asarray(true_level, dtype=np.float64)
    return np.asarray(bdtr(float(reject_from - 1), observations, p), dtype=np.float64)
