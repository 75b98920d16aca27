"""Algebra that the statistics obey whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.stats import cofailure, coverage, robust, spectra
from commonmode.stats.ambiguity import krogh_vedelsby
from commonmode.stats.losses import pinball_loss

probability = st.floats(0.001, 0.999)
finite = st.floats(-100, 100)


@st.composite
def correlations(draw: st.DrawFn) -> np.ndarray:
    """A correlation matrix of 2 to 7 series."""
    n = draw(st.integers(2, 7))
    loadings = draw(arrays(np.float64, (n, 3), elements=st.floats(-1, 1)))
    sigma = loadings @ loadings.T + 0.05 * np.eye(n)
    root = np.sqrt(np.diag(sigma))
    return np.asarray(sigma / np.outer(root, root))


@given(correlations())
def test_effective_numbers_lie_between_one_and_n(c: np.ndarray) -> None:
    n = len(c)
    for number in (spectra.participation_ratio(c), spectra.effective_rank(c)):
        assert 1.0 - 1e-9 <= number <= n + 1e-9
    # participation ratio is exp of the Renyi-2 entropy, which is below Shannon's
    assert spectra.participation_ratio(c) <= spectra.effective_rank(c) + 1e-9


@given(correlations(), st.randoms(use_true_random=False))
def test_effective_numbers_ignore_order_and_signs(c: np.ndarray, random: object) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    order, sign = rng.permutation(len(c)), rng.choice([-1.0, 1.0], len(c))
    other = c[np.ix_(order, order)] * np.outer(sign, sign)
    for number in (spectra.participation_ratio, spectra.effective_rank, spectra.absorption_ratio):
        assert number(other) == pytest.approx(number(c))


@given(correlations(), st.floats(0.01, 100))
def test_participation_ratio_ignores_scale(c: np.ndarray, scale: float) -> None:
    assert spectra.participation_ratio(scale * c) == pytest.approx(spectra.participation_ratio(c))


@given(correlations())
def test_variance_number_is_the_mean_correlation_formula(c: np.ndarray) -> None:
    n, total = len(c), float(c.sum())
    assume(total > 1e-6)
    formula = n / (1.0 + (n - 1) * spectra.mean_correlation(c))
    assert spectra.variance_effective_number(c) == pytest.approx(formula)


@given(correlations(), st.integers(0, 2**32 - 1))
def test_bets_add_up_to_the_whole_variance(c: np.ndarray, seed: int) -> None:
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, len(c))
    for bets in (spectra.enb_minimum_torsion, spectra.enb_principal_components):
        assert bets(c, weights)[1].sum() == pytest.approx(1.0)


@given(st.integers(1, 5000), st.data())
def test_kupiec_is_zero_at_the_promised_rate_and_positive_elsewhere(
    t: int, data: st.DataObject
) -> None:
    x = data.draw(st.integers(0, t))
    p = data.draw(probability)
    test = coverage.kupiec(x, t, p)
    assert test.statistic >= 0.0
    assert 0.0 <= test.p_value <= 1.0
    if 0 < x < t:
        assert coverage.kupiec(x, t, x / t).statistic == pytest.approx(0.0, abs=1e-9)


@given(st.integers(50, 3000), st.floats(0.01, 0.2))
def test_kupiec_region_holds_the_promised_count(t: int, p: float) -> None:
    low, high = coverage.kupiec_region(t, p)
    inside, outside = [low + 1, high - 1], [k for k in (low, high) if 0 <= k <= t]
    assert not coverage.kupiec(np.array(inside), t, p).rejects().any()
    assert coverage.kupiec(np.array(outside, dtype=int), t, p).rejects().all()
    assert low < t * p < high


@given(arrays(np.bool_, st.integers(2, 300)), probability)
def test_transitions_cover_the_series_and_statistics_are_positive(
    hits: np.ndarray, p: float
) -> None:
    counts = coverage.transitions(hits)
    assert counts.n00 + counts.n01 + counts.n10 + counts.n11 == hits.size - 1
    test = coverage.christoffersen(hits, p)
    assert test.independence.statistic >= 0.0
    assert test.conditional.statistic >= test.unconditional.statistic


@given(arrays(np.float64, (3, 6), elements=st.floats(0, 1)))
def test_poisson_binomial_is_a_law_with_the_right_mean(p: np.ndarray) -> None:
    pmf = cofailure.poisson_binomial_pmf(p)
    np.testing.assert_allclose(pmf.sum(axis=-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(pmf @ np.arange(7.0), p.sum(axis=-1), atol=1e-12)
    np.testing.assert_allclose(np.exp(cofailure.poisson_binomial_logpmf(p)), pmf, atol=1e-12)


@given(st.integers(1, 30), st.floats(0, 1))
def test_equal_probabilities_make_a_binomial(n: int, p: float) -> None:
    pmf = cofailure.poisson_binomial_pmf(np.full(n, p))
    np.testing.assert_allclose(pmf, cofailure.binomial_pmf(n, p), atol=1e-12)


@given(arrays(np.float64, 5, elements=st.floats(0, 1)), st.permutations(range(5)))
def test_poisson_binomial_ignores_order(p: np.ndarray, order: list[int]) -> None:
    np.testing.assert_allclose(
        cofailure.poisson_binomial_pmf(p), cofailure.poisson_binomial_pmf(p[order]), atol=1e-13
    )


@given(probability, st.floats(-0.99, 0.98))
def test_pair_ratio_rises_with_correlation(p: float, rho: float) -> None:
    ratio = cofailure.gaussian_pair_ratio(p, rho)
    assert -1e-9 <= ratio <= 1.0 / p + 1e-9
    assert cofailure.gaussian_pair_ratio(p, rho + 0.01) >= ratio - 1e-12


@given(arrays(np.int64, st.integers(2, 8), elements=st.integers(0, 500)))
def test_alpha_factors_are_shares(counts: np.ndarray) -> None:
    factors = cofailure.alpha_factors(counts.astype(np.float64))
    if counts[1:].sum() > 0:
        assert factors.alpha.sum() == pytest.approx(1.0)
    assert factors.posterior_mean.sum() == pytest.approx(1.0)
    assert np.all(factors.low <= factors.posterior_mean + 1e-12)
    assert np.all(factors.posterior_mean <= factors.high + 1e-12)


@given(arrays(np.float64, 20, elements=finite), st.floats(0.001, 1.5), st.floats(0.01, 1.0))
def test_worst_case_rises_with_the_radius(x: np.ndarray, radius: float, more: float) -> None:
    assume(np.ptp(x) > 1e-3)
    near, _ = robust.kl_worst_case_sample(x, radius)
    far, _ = robust.kl_worst_case_sample(x, radius + more)
    slack = 1e-7 * np.ptp(x)
    assert x.mean() - slack <= near <= far + slack
    assert far <= x.max() + slack


@given(arrays(np.float64, 6, elements=st.floats(0.1, 10)), st.floats(0.1, 10))
def test_disagreement_ignores_the_currency(values: np.ndarray, rate: float) -> None:
    assert robust.risk_ratio(rate * values) == pytest.approx(float(robust.risk_ratio(values)))
    assert robust.interquartile_dispersion(rate * values) == pytest.approx(
        float(robust.interquartile_dispersion(values)), abs=1e-12
    )
    assert robust.valuation_range(values) >= 0.0


@given(arrays(np.float64, (4, 5), elements=finite), arrays(np.float64, 4, elements=finite))
def test_ambiguity_is_an_identity(f: np.ndarray, y: np.ndarray) -> None:
    split = krogh_vedelsby(f, y)
    assert split.ambiguity >= 0.0
    gap = split.average_error - split.ambiguity - split.ensemble_error
    assert abs(gap) <= 1e-9 * (1.0 + split.average_error)


@given(finite, finite, probability)
def test_pinball_is_not_negative_and_mirrors(y: float, q: float, level: float) -> None:
    loss = pinball_loss(np.asarray(y), np.asarray(q), level)
    assert loss >= 0.0
    assert pinball_loss(np.asarray(-y), np.asarray(-q), 1.0 - level) == pytest.approx(float(loss))
