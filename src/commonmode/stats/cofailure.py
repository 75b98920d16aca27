"""How often independent-looking safeguards fail together: closed forms and exact counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import betaincinv, gammaln, log_ndtr, ndtri, xlog1py, xlogy

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "AlphaFactors",
    "all_fail_ratio",
    "alpha_factors",
    "binomial_pmf",
    "difficulty_ratio",
    "eckhardt_lee",
    "gaussian_pair_ratio",
    "joint_failure_excess",
    "one_factor_failures",
    "poisson_binomial_logpmf",
    "poisson_binomial_pmf",
]

# Beyond 12 standard deviations the normal density is below 1e-31.
_REACH: Final = 12.0


def _check_probability(value: FloatArray | float, what: str) -> None:
    if not np.all((np.asarray(value) > 0) & (np.asarray(value) < 1)):
        raise DataError(
            f"{what} must lie strictly between 0 and 1, got {value}",
            remedy="give a probability as a decimal, e.g. 0.05",
        )


def gaussian_pair_ratio(probability: float, correlation: float) -> float:
    """How many times likelier a joint failure of two Gaussian models is than under independence.

    ``Phi_2(h, h; rho) / p^2`` with ``h = Phi^-1(p)``: the homogenisation ratio of Bommasani et al.
    (2022) for a pair. Plackett's identity gives it without cancellation,
    ``1 + 1/(2 pi p^2) int_0^asin(rho) exp(-h^2 / (1 + sin t)) dt``; the integrand is smooth, so
    Gauss-Legendre converges geometrically.

    Parameters
    ----------
    probability : float
        p, of each of the two failures, in (0, 1).
    correlation : float
        rho of the two latent normals, in [-1, 1].
    """
    _check_probability(probability, "the failure probability")
    if not -1.0 <= correlation <= 1.0:
        raise DataError(
            f"a correlation lies in [-1, 1], got {correlation}", remedy="check its source"
        )
    h = float(ndtri(probability))
    nodes, weights = np.polynomial.legendre.leggauss(96)
    angle = float(np.arcsin(correlation))
    sine = np.sin(0.5 * angle * (nodes + 1.0))
    integral = 0.5 * angle * float(weights @ np.exp(-h * h / (1.0 + sine)))
    return 1.0 + integral / (2.0 * np.pi * probability**2)


def binomial_pmf(trials: int, probability: float) -> FloatArray:
    """P(k failures) for k = 0..trials when failures are independent and equally likely.

    Returns
    -------
    float64, shape (trials + 1,)
    """
    k = np.arange(trials + 1.0)
    choose = gammaln(trials + 1.0) - gammaln(k + 1.0) - gammaln(trials - k + 1.0)
    log_pmf = choose + xlogy(k, probability) + xlog1py(trials - k, -probability)
    return np.asarray(np.exp(log_pmf), dtype=np.float64)


def one_factor_failures(models: int, probability: float, correlation: float) -> FloatArray:
    """P(k of N models fail at once) when latent errors share one Gaussian factor.

    Given the factor z, failures are independent with probability
    ``q(z) = Phi((h - sqrt(rho) z) / sqrt(1 - rho))`` (Vasicek 1987); the mixture over z is summed
    by the trapezoidal rule. Its error is ``exp(-2 pi^2 / (s^2 K))`` for step s, with
    ``K = 1 + N rho / (1 - rho)`` bounding the growth of the integrand off the real line, so
    ``s = 0.7 / sqrt(K)`` reaches double precision at any N and rho < 1.

    Parameters
    ----------
    models : int
        N >= 1.
    probability : float
        p of each failure, in (0, 1).
    correlation : float
        rho between any two latent errors, in [0, 1].

    Returns
    -------
    float64, shape (N + 1,)
        Adds up to one.
    """
    _check_probability(probability, "the failure probability")
    if models < 1 or not 0.0 <= correlation <= 1.0:
        raise DataError(
            f"need at least one model and a correlation in [0, 1], got {models}, {correlation}",
            remedy="a single common factor cannot make correlations negative",
        )
    if correlation == 1.0:
        pmf = np.zeros(models + 1)
        pmf[0], pmf[-1] = 1.0 - probability, probability
        return pmf
    growth = 1.0 + models * correlation / (1.0 - correlation)
    steps = int(np.ceil(2.0 * _REACH * np.sqrt(growth) / 0.7))
    z = np.linspace(-_REACH, _REACH, steps + 1)
    weight = np.exp(-0.5 * z * z)
    weight /= weight.sum()
    latent = (ndtri(probability) - np.sqrt(correlation) * z) / np.sqrt(1.0 - correlation)
    k = np.arange(models + 1.0)[:, None]
    choose = gammaln(models + 1.0) - gammaln(k + 1.0) - gammaln(models - k + 1.0)
    conditional = np.exp(choose + k * log_ndtr(latent) + (models - k) * log_ndtr(-latent))
    return np.asarray(conditional @ weight, dtype=np.float64)


def all_fail_ratio(pmf: FloatArray, probability: float) -> float:
    """``P(all N fail) / p^N``: the homogenisation ratio of Bommasani et al. (2022).

    Degenerate where N is large and p small; prefer :func:`joint_failure_excess`.

    Parameters
    ----------
    pmf : float64, shape (N + 1,)
        P(k failures).
    probability : float
        p of each failure.
    """
    return float(pmf[-1] / probability ** (len(pmf) - 1))


def joint_failure_excess(pmf: FloatArray, probability: float, at_least: int = 2) -> float:
    """How much likelier ``at_least`` joint failures are than if models were independent.

    ``P(k >= m) - P_binomial(k >= m)``, a difference of probabilities.

    Parameters
    ----------
    pmf : float64, shape (N + 1,)
        P(k failures).
    probability : float
        p of each failure.
    at_least : int
        m.
    """
    independent = binomial_pmf(len(pmf) - 1, probability)
    return float(np.sum(pmf[at_least:]) - np.sum(independent[at_least:]))


def difficulty_ratio(mean: float, variance: float) -> float:
    """``1 + Var(theta) / E(theta)^2``: P(both fail) over its value under independence.

    theta is the chance that a model drawn at random fails in a given situation; its spread over
    situations makes independently built models fail together. Eckhardt & Lee (1985), IEEE TSE
    11(12).
    """
    return 1.0 + variance / mean**2


def eckhardt_lee(a: float, b: float) -> tuple[float, float]:
    """Failure probability and co-failure ratio when difficulty is Beta(a, b).

    ``p = a / (a + b)`` and :func:`difficulty_ratio` with ``Var = ab / ((a+b)^2 (a+b+1))``, which is
    ``(a+1)(a+b) / (a (a+b+1))``.

    Returns
    -------
    (float, float)
        p and P(both fail) / p^2.
    """
    if not (a > 0 and b > 0):
        raise DataError(
            f"a Beta law needs positive parameters, got {a} and {b}", remedy="check a and b"
        )
    total = a + b
    mean = a / total
    return mean, difficulty_ratio(mean, a * b / (total**2 * (total + 1.0)))


def poisson_binomial_pmf(probabilities: FloatArray) -> FloatArray:
    """P(k failures) for independent failures of unequal probability, for every time at once.

    The dynamic programme over models only adds non-negative terms, so it does not cancel; use
    :func:`poisson_binomial_logpmf` where probabilities may underflow.

    Parameters
    ----------
    probabilities : float64, shape (..., N)
        Failure probabilities in [0, 1], models in the last axis.

    Returns
    -------
    float64, shape (..., N + 1)
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if np.any(~((p >= 0) & (p <= 1))):
        raise DataError(
            "failure probabilities must lie in [0, 1]", remedy="check the conditional model"
        )
    pmf = np.zeros((*p.shape[:-1], p.shape[-1] + 1))
    pmf[..., 0] = 1.0
    for i in range(p.shape[-1]):
        fail = p[..., i, None]
        # k rises by one with probability p_i; the right side is evaluated before it is written
        pmf[..., 1 : i + 2] = pmf[..., 1 : i + 2] * (1.0 - fail) + pmf[..., : i + 1] * fail
        pmf[..., 0] *= 1.0 - fail[..., 0]
    return pmf


def poisson_binomial_logpmf(probabilities: FloatArray) -> FloatArray:
    """Logarithm of :func:`poisson_binomial_pmf`, computed in logarithms throughout.

    Returns
    -------
    float64, shape (..., N + 1)
        ``-inf`` where the count is impossible.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if np.any(~((p >= 0) & (p <= 1))):
        raise DataError(
            "failure probabilities must lie in [0, 1]", remedy="check the conditional model"
        )
    with np.errstate(divide="ignore"):
        log_fail, log_pass = np.log(p), np.log1p(-p)
    result = np.full((*p.shape[:-1], p.shape[-1] + 1), -np.inf)
    result[..., 0] = 0.0
    for i in range(p.shape[-1]):
        stay = result[..., 1 : i + 2] + log_pass[..., i, None]
        rise = result[..., : i + 1] + log_fail[..., i, None]
        result[..., 1 : i + 2] = np.logaddexp(stay, rise)
        result[..., 0] += log_pass[..., i]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class AlphaFactors:
    """Shares of failure events by how many models they took down.

    Attributes
    ----------
    alpha : float64, shape (N,)
        ``n_k / sum_j n_j`` for k = 1..N; NaN when there was no event.
    posterior_mean, low, high : float64, shape (N,)
        Under the Dirichlet posterior; each margin is a Beta law.
    """

    alpha: FloatArray
    posterior_mean: FloatArray
    low: FloatArray
    high: FloatArray


def alpha_factors(
    counts: FloatArray, *, level: float = 0.95, prior: FloatArray | float = 1.0
) -> AlphaFactors:
    """Alpha factors of common-cause failure analysis with credible intervals.

    Mosleh, Rasmuson & Marshall (1998), NUREG/CR-5485, section 5: alpha_k is the share of events
    that involve exactly k of N redundant components. Dirichlet prior, uniform by default.

    Parameters
    ----------
    counts : shape (N + 1,)
        Number of times with k = 0..N simultaneous failures; k = 0 is no event and is ignored.
    level : float
        Of the equal-tailed credible intervals.
    prior : float or float64 of shape (N,)
        Dirichlet parameters, > 0.
    """
    events = np.asarray(counts, dtype=np.float64)[1:]
    if events.ndim != 1 or events.size == 0 or np.any(events < 0):
        raise DataError(
            "alpha factors need the non-negative counts of k = 0..N simultaneous failures",
            remedy="count rows by number of failures, starting at none",
        )
    total = events.sum()
    alpha = events / total if total > 0 else np.full(events.size, np.nan)
    a = events + np.broadcast_to(np.asarray(prior, dtype=np.float64), events.shape)
    b = a.sum() - a
    if events.size == 1:  # a single class: its share is one with certainty
        one = np.ones(1)
        return AlphaFactors(alpha, one, one, one)
    tail = 0.5 * (1.0 - level)
    return AlphaFactors(
        alpha=alpha,
        posterior_mean=a / a.sum(),
        low=np.asarray(betaincinv(a, b, tail), dtype=np.float64),
        high=np.asarray(betaincinv(a, b, 1.0 - tail), dtype=np.float64),
    )
