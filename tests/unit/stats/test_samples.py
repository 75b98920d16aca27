"""Sample limits: published figures, exact powers, laws by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binom, multivariate_normal

from commonmode.core.errors import DataError
from commonmode.stats.conformal import (
    adaptive_conformal,
    conformal_quantile,
    split_conformal_coverage,
)
from commonmode.stats.coverage import kupiec_region
from commonmode.stats.extrapolation import (
    extrapolation_distance,
    regime_coverage,
    robust_location,
)
from commonmode.stats.samples import (
    condition_number,
    effective_sample_size,
    expected_maximum_sharpe,
    extremal_index,
    kupiec_power,
    minimum_kupiec_length,
    minimum_sharpe_backtest,
    minimum_track_record,
    population_stability_index,
    psi_critical,
    tail_sample,
)


def test_effective_size_of_an_autoregression() -> None:
    """tau = (1 + phi) / (1 - phi)."""
    rng = np.random.default_rng(0)
    x = lfilter([1.0], [1.0, -0.8], rng.standard_normal(20_000))
    assert effective_sample_size(x) == pytest.approx(20_000 / 9, rel=0.2)
    assert effective_sample_size(rng.standard_normal(5000)) == pytest.approx(5000, rel=0.1)
    assert effective_sample_size(np.full(10, np.nan)) == 0.0


def test_extremal_index_of_a_moving_maximum() -> None:
    """max of k neighbours of an independent series has index 1 / k (Ferro & Segers, section 4)."""
    rng = np.random.default_rng(1)
    raw = rng.pareto(1.0, 40_000)
    assert extremal_index(raw > np.quantile(raw, 0.98)) == pytest.approx(1.0, abs=0.08)
    moving = np.maximum.reduce([raw[:-2], raw[1:-1], raw[2:]])
    tail = tail_sample(moving, 0.02)
    assert tail.index == pytest.approx(1 / 3, abs=0.05)
    assert tail.clusters == pytest.approx(tail.exceedances * tail.index)
    assert np.isnan(extremal_index(np.array([False, True])))


@pytest.mark.parametrize(("t", "p", "true"), [(250, 0.01, 0.05), (1000, 0.025, 0.04)])
def test_power_is_the_binomial_law_outside_the_published_region(
    t: int, p: float, true: float
) -> None:
    low, high = kupiec_region(t, p)
    expected = 1.0 - (binom.cdf(high - 1, t, true) - binom.cdf(low, t, true))
    assert float(kupiec_power(t, p, true)) == pytest.approx(expected, abs=1e-9)


def test_minimum_length_holds_from_there_on() -> None:
    length = minimum_kupiec_length(0.01, 0.02)
    assert float(kupiec_power(length - 1, 0.01, 0.02)) < 0.8
    assert np.all(kupiec_power(np.arange(length, 2 * length), 0.01, 0.02) >= 0.8)
    assert minimum_kupiec_length(0.01, 0.03) < length
    # Kupiec (1995): at 99 % a year of days hardly tells 2 % from 1 %.
    assert float(kupiec_power(255, 0.01, 0.02)) < 0.3
    with pytest.raises(DataError, match="not equal"):
        minimum_kupiec_length(0.01, 0.01)
    with pytest.raises(DataError, match="coarser"):
        minimum_kupiec_length(0.01, 0.010001)


def test_published_figures_of_bailey_and_lopez_de_prado() -> None:
    """2.73, 2.83, 3.24 and 4.99 years (2012, section 5); 45 trials in five years (2014)."""
    cases = ((252, 0.0, 3.0, 2.73), (52, 0.0, 3.0, 2.83), (12, 0.0, 3.0, 3.24))
    for per_year, skew, kurt, years in (*cases, (12, -0.72, 5.78, 4.99)):
        sharpe, base = np.array([2.0, 1.0]) / np.sqrt(per_year)
        length = minimum_track_record(sharpe, base, skewness=skew, kurtosis=kurt)
        assert float(length) / per_year == pytest.approx(years, abs=0.005)
    assert float(expected_maximum_sharpe(10)) == pytest.approx(1.57, abs=0.005)
    assert float(minimum_sharpe_backtest(45)) == pytest.approx(5.0, abs=0.01)
    with pytest.raises(DataError, match="smaller benchmark"):
        minimum_track_record(0.1, 0.1)
    with pytest.raises(DataError, match="two trials"):
        expected_maximum_sharpe(1)


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=12), st.data())
def test_stability_index_is_symmetric_and_zero_only_without_change(
    counts: list[int], data: st.DataObject
) -> None:
    a = np.array(counts, dtype=np.float64)
    b = np.array(data.draw(st.lists(st.integers(1, 1000), min_size=len(a), max_size=len(a))))
    assert population_stability_index(a, b) == pytest.approx(population_stability_index(b, a))
    assert population_stability_index(a, b) >= 0.0
    assert population_stability_index(a, 3 * a) == pytest.approx(0.0, abs=1e-12)


def test_stability_index_null_law() -> None:
    rng = np.random.default_rng(2)
    shares = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    draws = [
        population_stability_index(rng.multinomial(1000, shares), rng.multinomial(500, shares))
        for _ in range(2000)
    ]
    rejected = np.mean(np.array(draws) > psi_critical(5, 1000, 500))
    assert rejected == pytest.approx(0.05, abs=0.015)
    assert population_stability_index(np.array([1, 0]), np.array([1, 1])) == np.inf
    with pytest.raises(DataError, match="same bins"):
        population_stability_index(np.ones(2), np.ones(3))


def test_split_conformal_law_by_simulation() -> None:
    law = split_conformal_coverage(60, 0.1)
    rng = np.random.default_rng(3)
    covered = [conformal_quantile(rng.random(60), 0.1) for _ in range(4000)]  # of uniform scores
    assert np.mean(covered) == pytest.approx(law.mean, abs=0.003)
    for probability in (0.05, 0.5, 0.95):
        assert np.quantile(covered, probability) == pytest.approx(
            law.quantile(probability), abs=0.006
        )
    assert split_conformal_coverage(5, 0.1).quantile(0.05) == 1.0
    assert conformal_quantile(np.arange(5.0), 0.1) == np.inf
    with pytest.raises(DataError):
        split_conformal_coverage(0, 0.1)


def test_adaptive_coverage_survives_a_drift_that_breaks_the_split() -> None:
    rng = np.random.default_rng(4)
    scores = np.abs(rng.standard_normal(4000)) * np.exp(np.linspace(0, 2, 4000))
    fixed = conformal_quantile(scores[:500], 0.1)
    assert (scores[500:] > fixed).mean() > 0.3
    run = adaptive_conformal(scores, 0.1, gamma=0.02, window=500)
    assert abs(run.miscoverage - 0.1) < min(run.bound, 0.02)
    assert np.isnan(run.threshold[:500]).all()
    with pytest.raises(DataError):
        adaptive_conformal(scores[:100], 0.1, window=100)


@given(st.integers(0, 2**32 - 1))
def test_adaptive_bound_holds_whatever_the_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.cumsum(rng.standard_normal(300)) * rng.choice([1.0, -1.0, 100.0], 300)
    run = adaptive_conformal(scores, 0.2, gamma=0.05, window=20)
    assert abs(run.miscoverage - 0.2) <= run.bound


def test_robust_centre_is_not_moved_by_a_crash_month() -> None:
    rng = np.random.default_rng(5)
    truth = np.array([[1.0, 0.6, 0.2], [0.6, 1.0, 0.3], [0.2, 0.3, 2.0]])
    x = multivariate_normal([0, 0, 0], truth, seed=rng).rvs(1500)
    x[:200] += 15.0
    place = robust_location(x)
    assert np.abs(place.centre).max() < 0.15
    # An eighth of the rows lies far off: spreads grow by a quarter, the plain ones twentyfold.
    assert np.abs(place.covariance - truth).max() < 0.6
    assert np.abs(np.cov(x, rowvar=False) - truth).max() > 20
    shift = np.array([[2.0, 0.3, 0.0], [0.0, 0.5, 0.1], [0.0, 0.0, 3.0]])
    assert robust_location(x @ shift).distance(x[:5] @ shift) == pytest.approx(
        place.distance(x[:5]), rel=0.15
    )
    with pytest.raises(DataError, match="five finite rows"):
        robust_location(x[:10])
    with pytest.raises(DataError, match="constant"):
        robust_location(np.column_stack([x, np.zeros(1500)]))


def test_a_stress_like_a_day_of_the_window_is_not_an_extrapolation() -> None:
    rng = np.random.default_rng(6)
    window = rng.standard_normal((1000, 2)) * [0.02, 0.05]
    window[500] = [-0.25, 0.6]  # a crash that was seen
    found = extrapolation_distance(
        window,
        np.array([[-0.249, 0.599], [0.01, 0.02], [-0.3, -0.6]]),
        names=("seen", "ordinary", "never seen"),
        exclude=2,
    )
    assert [one.name for one in found if one.outside] == ["never seen"]
    assert found[0].rank == 0.001  # as far out as the crash itself, and near it
    assert found[0].neighbour < 0.1 < 3 < found[2].neighbour
    assert found[1].rank > 0.3
    assert found[1].normal_tail > 0.3
    with pytest.raises(DataError, match="every risk factor"):
        extrapolation_distance(window, np.array([[1.0]]))


def test_nearest_neighbour_law_of_a_day_like_the_others() -> None:
    p = []
    for seed in range(200):
        x = np.random.default_rng(seed).standard_t(4, (201, 2))
        p.append(extrapolation_distance(x[:200], x[200:])[0].neighbour_p)
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.045)


def test_was_there_a_crash_in_the_window() -> None:
    rng = np.random.default_rng(7)
    returns = 0.005 * rng.standard_normal(4000)
    returns[3000:3012] -= 0.04  # 38 % in twelve hours
    before = regime_coverage(returns, slice(1000, 2500))
    with_it = regime_coverage(returns, slice(2500, 3500))
    assert not before.crash_in_window
    assert with_it.crash_in_window
    assert with_it.worst_fall == with_it.record_worst_fall > 0.4
    assert with_it.calm + with_it.middle + with_it.stress == pytest.approx(1.0)
    assert with_it.stress_episodes >= 1
    after = regime_coverage(returns, slice(3012, 3500))
    assert not after.crash_in_window  # its fall began before the window
    with pytest.raises(DataError, match="two horizons"):
        regime_coverage(returns, slice(0, 30))


def test_condition_number() -> None:
    assert condition_number(np.diag([1.0, 1e-3])) == pytest.approx(1000.0)
    assert condition_number(np.zeros((2, 2))) == np.inf
