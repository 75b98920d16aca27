"""Expected shortfall against closed forms, EWMA and coverage against what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from commonmode.forecast.ewma import ewma_variance
from commonmode.forecast.tails import normal_tail, student_tail
from commonmode.margin.coverage import coverage_cells, equal_coverage_scale
from commonmode.margin.dynamic import shortfall_error, tail_measure
from commonmode.margin.procyclicality_measures import ewma_step_volatility
from commonmode.stats.coverage import kupiec


@pytest.mark.parametrize("level", [0.9, 0.975, 0.99])
def test_normal_shortfall(level):
    # Stratified quantiles instead of draws: only the discretisation is left as an error.
    n = 400_000
    pnl = stats.norm.ppf((np.arange(n) + 0.5) / n)[None, :]
    got = tail_measure(pnl, np.full(n, 1.0 / n), level)
    # McNeil, Frey and Embrechts (2015), eq. 2.14: phi(q) / (1 - level).
    assert got.value_at_risk[0] == pytest.approx(stats.norm.ppf(level), rel=1e-4)
    assert got.shortfall[0] == pytest.approx(
        stats.norm.pdf(stats.norm.ppf(level)) / (1.0 - level), rel=1e-4
    )
    assert got.shortfall[0] == pytest.approx(-normal_tail(1.0 - level).shortfall, rel=1e-4)


@pytest.mark.parametrize("dof", [3.0, 5.0])
def test_student_shortfall(dof):
    n = 400_000
    unit = np.sqrt((dof - 2.0) / dof)
    pnl = unit * stats.t.ppf((np.arange(n) + 0.5) / n, dof)[None, :]
    got = tail_measure(pnl, np.full(n, 1.0 / n), 0.99)
    # Eq. 2.15, with the heaviest part of the tail cut off by the discretisation.
    assert got.shortfall[0] == pytest.approx(-student_tail(0.01, dof).shortfall, rel=2e-3)


def test_importance_weights_give_the_same_normal_shortfall():
    # Uniform nodes with density weights: the weighted path against the same closed form.
    x = np.linspace(-8.0, 8.0, 200_001)
    weights = stats.norm.pdf(x)
    got = tail_measure(x[None, :], weights / weights.sum(), 0.99)
    assert got.shortfall[0] == pytest.approx(-normal_tail(0.01).shortfall, rel=1e-4)


def test_euler_contributions_of_a_normal_book():
    # Two normal legs: the contribution of leg i is ES x cov(leg_i, book) / var(book) (Tasche 1999).
    rng = np.random.default_rng(11)
    n = 200_000
    covariance = np.array([[4.0, -1.5], [-1.5, 1.0]])
    legs = (np.linalg.cholesky(covariance) @ rng.normal(size=(2, n))).copy()
    got = tail_measure(legs.sum(axis=0)[None, :], np.full(n, 1.0 / n), 0.95)
    variance = covariance.sum()
    expected = -normal_tail(0.05).shortfall * covariance.sum(axis=1) / np.sqrt(variance)
    np.testing.assert_allclose(got.contributions(legs, 0), expected, atol=0.05)


def test_standard_error_of_the_shortfall_is_what_samples_show():
    rng = np.random.default_rng(12)
    pnl = rng.normal(size=(2_000, 1_000))
    weights = np.full(1_000, 1e-3)
    spread = tail_measure(pnl, weights, 0.95).shortfall.std()
    stated = float(np.mean(shortfall_error(pnl, weights, 0.95)))
    assert stated == pytest.approx(spread, rel=0.05)


def test_kupiec_of_margin_at_the_true_quantile_has_its_size():
    # 1 000 portfolios with the right margin: about 5 % are rejected at 5 %. The statistic is
    # discrete, so its true size is computed from the binomial law.
    rng = np.random.default_rng(13)
    losses = rng.normal(size=(500, 1_000))
    margin = np.full_like(losses, stats.norm.ppf(0.99))
    cells = coverage_cells(margin, losses, level=0.01)
    rejected = np.mean([cell.kupiec_p < 0.05 for cell in cells])
    x = np.arange(501)
    size = float(stats.binom.pmf(x, 500, 0.01)[kupiec(x, 500, 0.01).p_value < 0.05].sum())
    assert rejected == pytest.approx(size, abs=4 * np.sqrt(size * (1 - size) / 1_000))


def test_scale_to_equal_coverage_finds_the_normal_quantile():
    rng = np.random.default_rng(14)
    vol = np.exp(rng.normal(size=(100_000, 1)) * 0.3)
    losses = vol * rng.normal(size=vol.shape)
    assert equal_coverage_scale(vol, losses, 0.01)[0] == pytest.approx(
        stats.norm.ppf(0.99), rel=0.02
    )


def test_ewma_answer_to_a_step_is_the_mean_of_the_filter():
    rng = np.random.default_rng(15)
    decay, steps = 0.94, 60
    variances = [
        ewma_variance(0.03 * rng.normal(size=steps), decay, 0.01**2)[:steps] for _ in range(4_000)
    ]
    expected = ewma_step_volatility(0.01, 0.03, decay=decay, steps=steps)[1:]
    np.testing.assert_allclose(np.sqrt(np.mean(variances, axis=0)), expected, rtol=0.02)
