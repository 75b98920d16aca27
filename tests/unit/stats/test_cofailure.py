"""Joint failures: closed forms against a second way of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import owens_t
from scipy.stats import binom, norm

from commonmode.core.errors import DataError
from commonmode.stats import cofailure


@pytest.mark.parametrize("p", [0.001, 0.025, 0.05, 0.4])
@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.2, 0.7, 0.99])
def test_pair_ratio_agrees_with_owens_t(p: float, rho: float) -> None:
    h = norm.ppf(p)
    joint = p - 2.0 * owens_t(h, np.sqrt((1.0 - rho) / (1.0 + rho)))
    assert cofailure.gaussian_pair_ratio(p, rho) * p**2 == pytest.approx(joint, abs=1e-14)


@pytest.mark.parametrize(("p", "rho"), [(0.05, 0.5), (0.01, 0.9), (0.3, 0.05)])
def test_two_models_of_the_factor_law_are_a_pair(p: float, rho: float) -> None:
    pmf = cofailure.one_factor_failures(2, p, rho)
    assert pmf[2] / p**2 == pytest.approx(cofailure.gaussian_pair_ratio(p, rho), rel=1e-12)


@pytest.mark.parametrize("models", [1, 8, 200])
@pytest.mark.parametrize("rho", [0.0, 0.3, 0.95, 0.9999, 1.0])
def test_factor_law_is_a_law_with_the_right_mean(models: int, rho: float) -> None:
    pmf = cofailure.one_factor_failures(models, 0.025, rho)
    assert pmf.sum() == pytest.approx(1.0, abs=1e-12)
    assert pmf @ np.arange(models + 1) == pytest.approx(0.025 * models, rel=1e-11)
    assert np.all(pmf >= 0)


def test_excess_is_zero_without_a_common_factor_and_grows_with_it() -> None:
    excess = [
        cofailure.joint_failure_excess(cofailure.one_factor_failures(5, 0.05, rho), 0.05)
        for rho in (0.0, 0.1, 0.3, 0.6)
    ]
    assert excess[0] == pytest.approx(0.0, abs=1e-15)
    assert np.all(np.diff(excess) > 0)


def test_binomial_agrees_with_scipy_in_both_limits() -> None:
    for p in (0.0, 0.07, 1.0):
        np.testing.assert_allclose(
            cofailure.binomial_pmf(6, p), binom.pmf(np.arange(7), 6, p), atol=1e-15
        )


def test_poisson_binomial_by_hand_and_vectorised() -> None:
    p = np.array([[0.1, 0.5], [0.0, 1.0]])
    expected = [[0.45, 0.5, 0.05], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(cofailure.poisson_binomial_pmf(p), expected, atol=1e-16)
    with np.errstate(divide="ignore"):
        log_expected = np.log(expected)
    np.testing.assert_allclose(cofailure.poisson_binomial_logpmf(p), log_expected, atol=1e-14)


def test_log_pmf_survives_where_probabilities_underflow() -> None:
    p = np.full(400, 1e-3)
    assert cofailure.poisson_binomial_pmf(p)[400] == 0.0
    assert cofailure.poisson_binomial_logpmf(p)[400] == pytest.approx(400 * np.log(1e-3))


def test_alpha_factors_without_an_event_have_no_estimate_but_a_posterior() -> None:
    factors = cofailure.alpha_factors(np.array([100, 0, 0, 0]))
    assert np.all(np.isnan(factors.alpha))
    np.testing.assert_allclose(factors.posterior_mean, 1 / 3)
    assert np.all(factors.low < 1 / 3)
    assert np.all(factors.high > 1 / 3)


def test_bad_input_names_the_remedy() -> None:
    with pytest.raises(DataError, match="strictly between"):
        cofailure.gaussian_pair_ratio(0.0, 0.5)
    with pytest.raises(DataError, match="correlation"):
        cofailure.gaussian_pair_ratio(0.1, 1.5)
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        cofailure.one_factor_failures(5, 0.1, -0.2)
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        cofailure.poisson_binomial_pmf(np.array([0.2, np.nan]))
    with pytest.raises(DataError, match="positive"):
        cofailure.eckhardt_lee(0.0, 1.0)
    with pytest.raises(DataError, match="counts"):
        cofailure.alpha_factors(np.array([3]))
