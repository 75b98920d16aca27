"""E-values: exact expectations by enumeration, size at any stopping time, run lengths, power."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from commonmode.core.errors import DataError
from commonmode.core.random import stream
from commonmode.stats.eprocess import (
    average_e_processes,
    betting_factors,
    detect,
    e_detector,
    e_process,
    failure_e_values,
    first_crossing,
    shortfall_e_values,
    symmetric_factors,
)


def autoregression(seed: int, times: int, paths: int, phi: float) -> np.ndarray:
    rng = stream(seed, "eprocess-test")
    x = rng.standard_normal((times, paths))
    x[1:] *= np.sqrt(1 - phi**2)
    for t in range(1, times):
        x[t] += phi * x[t - 1]
    return x


@settings(max_examples=30, deadline=None)
@given(p=st.floats(0.01, 0.9), lag=st.integers(1, 4))
def test_failure_e_process_has_mean_one_and_the_detector_mean_t(p: float, lag: int) -> None:
    paths = np.array(list(product([0, 1], repeat=6)))
    probability = np.prod(np.where(paths == 1, p, 1 - p), axis=1)
    factors = betting_factors(failure_e_values(paths.T, p))
    assert probability @ np.exp(e_process(factors, lag))[-1] == pytest.approx(1.0)
    assert probability @ np.exp(e_detector(factors, lag))[-1] == pytest.approx(6.0)


def test_one_bet_by_hand() -> None:
    # A stake of one half on e = 3, then on e = 0: 1 -> 2 -> 1; the detector 2, then (2 + 1) / 2.
    factors = betting_factors(np.array([3.0, 0.0]), (0.5,))
    np.testing.assert_allclose(np.exp(e_process(factors)), [2.0, 1.0])
    np.testing.assert_allclose(np.exp(e_detector(factors)), [2.0, 1.5])
    assert first_crossing(e_process(factors), 0.5) == 0
    assert first_crossing(e_process(factors), 0.05) is None


def test_symmetric_bets_have_mean_one_for_any_symmetric_law() -> None:
    signs = np.array(list(product([-1.0, 1.0], repeat=5)))
    sizes = np.array([0.1, 1.0, 50.0, 3.0, 0.7])  # whatever the tails
    log_e = e_process(symmetric_factors((signs * sizes).T, 1.0))
    assert np.exp(log_e[-1]).mean() == pytest.approx(1.0)


def test_a_missing_observation_earns_nothing() -> None:
    e = np.array([2.0, np.nan, 2.0])
    whole = e_process(betting_factors(e))
    assert whole[1] == whole[0]
    assert whole[2] == pytest.approx(e_process(betting_factors(e[[0, 2]]))[1])
    gap = e_process(symmetric_factors(np.array([1.0, np.nan]), 1.0))
    assert gap[1] == gap[0]


def test_averages_of_dependent_processes_stay_e_processes() -> None:
    paths = np.array(list(product([0, 1], repeat=5)))
    probability = np.prod(np.where(paths == 1, 0.2, 0.8), axis=1)
    one = e_process(betting_factors(failure_e_values(paths.T, 0.2)))
    three = np.stack([one, one, np.zeros_like(one)], axis=-1)
    assert probability @ np.exp(average_e_processes(three)[-1]) == pytest.approx(1.0)


def test_ever_crossing_has_at_most_its_probability() -> None:
    rng = stream(1, "size")
    failed = rng.random((1000, 400)) < 0.025
    crossed = e_process(betting_factors(failure_e_values(failed, 0.025))).max(axis=0) >= np.log(20)
    assert crossed.mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 400)
    double = rng.random((2000, 60)) < 0.05
    found = e_process(betting_factors(failure_e_values(double, 0.025))).max(axis=0) >= np.log(20)
    assert found.mean() > 0.95


@pytest.mark.parametrize("lag", [1, 3])
def test_run_length_is_at_least_what_is_asked(lag: int) -> None:
    rng = stream(2, "arl", lag)
    failed = rng.random((1500, 200)) < 0.1
    log = e_detector(betting_factors(failure_e_values(failed, 0.1)), lag)
    alarmed = log >= np.log(300.0)
    first = np.where(alarmed.any(axis=0), alarmed.argmax(axis=0) + 1, 1500)  # cut off: too short
    assert first.mean() - 2 * first.std() / np.sqrt(200) > 300.0


def test_shortfall_bets_see_a_heavier_tail_and_only_that() -> None:
    rng = stream(3, "es")
    z = float(norm.ppf(0.975))
    r = float(norm.pdf(z) / 0.025)
    right = e_process(
        betting_factors(shortfall_e_values(rng.normal(size=(1000, 200)), z, r, 0.025))
    )
    assert (right.max(axis=0) >= np.log(20)).mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
    # Student t with 3 degrees scaled to unit variance: VaR nearly the normal one, ES not.
    heavy = rng.standard_t(3, size=(2000, 60)) / np.sqrt(3.0)
    worse = e_process(betting_factors(shortfall_e_values(heavy, z, r, 0.025)))
    assert (worse.max(axis=0) >= np.log(20)).mean() > 0.6
    e = shortfall_e_values(np.array([1.0, 3.0]), 2.0, 2.5, 0.025)
    np.testing.assert_allclose(e, [0.0, 80.0])


def test_interleaving_restores_size_under_memory() -> None:
    # Symmetric around zero but remembered: one stream takes persistence for a lean.
    x = autoregression(4, 600, 150, 0.7)
    factors = symmetric_factors(x, 1.0)
    naive = (e_process(factors).max(axis=0) >= np.log(20)).mean()
    spaced = (e_process(factors, 12).max(axis=0) >= np.log(20)).mean()
    assert naive > 0.15
    assert spaced <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 150)


def test_detection_restarts_and_dates_the_change() -> None:
    rate = np.where(np.arange(1500) < 1000, 0.025, 0.15)
    early, delays, dates = 0, [], []
    for seed in range(6):
        failed = stream(seed, "date").random(1500) < rate
        found = detect(betting_factors(failure_e_values(failed, 0.025)), 10_000.0)
        assert (found.log_statistic[found.alarms] >= found.log_threshold).all()
        late = np.flatnonzero(found.alarms >= 1000)
        assert late.size > 1
        early += len(found.alarms) - late.size
        delays.append(int(found.alarms[late[0]]) - 1000)
        dates.append(int(found.started[late[0]]) - 1000)
    assert early <= 3  # 6 000 observations at no more than one false alarm in 10 000
    assert np.median(delays) < 100
    assert abs(np.median(dates)) < 40


@pytest.mark.slow
@pytest.mark.parametrize("world", ["independent", "regimes", "missing", "heavy"])
def test_run_length_and_size_under_misspecification(world: str) -> None:
    rng = stream(9, "slow", world)
    times, paths, level = 3000, 400, 0.025
    if world == "heavy":
        z = 2.7764451051977987  # 97.5 % quantile of t with 4 degrees: VaR right, tails heavy
        e = failure_e_values(rng.standard_t(4, (times, paths)) < -z, level)
    else:
        # Regimes that models follow: the rate is below its level in calm, at it in storms.
        storm = rng.random((times // 50, paths)).repeat(50, axis=0) < 0.3
        rate = np.where(storm, level, 0.5 * level) if world == "regimes" else level
        e = failure_e_values(rng.random((times, paths)) < rate, level)
    if world == "missing":
        e[rng.random(e.shape) < 0.2] = np.nan
    factors = betting_factors(e)
    ever = (e_process(factors).max(axis=0) >= np.log(20)).mean()
    assert ever <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / paths)
    alarmed = e_detector(factors) >= np.log(1000.0)
    first = np.where(alarmed.any(axis=0), alarmed.argmax(axis=0) + 1, times)
    assert first.mean() > 1000.0


def test_bad_input_names_a_remedy() -> None:
    for call in (
        lambda: betting_factors(np.array([-1.0])),
        lambda: betting_factors(np.array([1.0]), (1.0,)),
        lambda: failure_e_values(np.array([1.0]), 0.0),
        lambda: shortfall_e_values(np.array([1.0]), np.array([2.0]), np.array([2.0]), 0.025),
        lambda: symmetric_factors(np.array([1.0]), 0.0),
        lambda: detect(np.zeros((3, 1)), 1.0),
        lambda: e_process(np.zeros((3, 1)), 0),
    ):
        with pytest.raises(DataError) as error:
            call()
        assert error.value.remedy
