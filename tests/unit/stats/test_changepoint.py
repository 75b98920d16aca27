"""Change points: size of the CUSUM, false-alarm rate and delay of the monitoring rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.special import ndtr, ndtri

from commonmode.core.errors import DataError
from commonmode.core.random import stream
from commonmode.stats.changepoint import (
    baseline_of,
    cusum_test,
    normal_scores,
    window_rule,
    window_statistic,
)

WINDOWS = (5, 10, 20, 40)


def series(seed: int, times: int, phi: float, heavy: bool = False) -> np.ndarray:
    rng = stream(seed, "changepoint-test")
    noise = rng.standard_t(4, times + 100) if heavy else rng.standard_normal(times + 100)
    return np.asarray(lfilter([1.0], [1.0, -phi], noise))[100:]


@pytest.mark.parametrize(("phi", "heavy"), [(0.0, False), (0.5, False), (0.3, True)])
def test_cusum_keeps_its_size(phi: float, heavy: bool) -> None:
    p = np.array([cusum_test(series(s, 400, phi, heavy)).p_value for s in range(300)])
    assert (p <= 0.05).mean() <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 300)


def test_cusum_finds_and_dates_a_shift() -> None:
    x = series(1, 600, 0.3)
    x[400:] += 1.5
    test = cusum_test(x)
    assert test.p_value < 0.01
    assert abs(test.change - 400) <= 20
    assert test.after - test.before == pytest.approx(1.5, abs=0.4)


def test_normal_scores_by_hand() -> None:
    found = normal_scores(np.array([0.0, 2.0, 2.5, 9.0, np.nan]), np.array([3.0, 1.0, 2.0]))
    # (number below + half the ties + 1/2) / 4
    np.testing.assert_allclose(ndtr(found), [0.125, 0.5, 0.625, 0.875, 0.5])


def test_window_statistic_by_hand() -> None:
    base = series(7, 100, 0.0)
    scores = baseline_of(normal_scores(base, base))
    x = np.array([np.median(base), base.max() + 1.0, np.nan])
    top, window = window_statistic(x, base, (1, 2))
    high = ndtri(100.5 / 101.0) / scores.long_run_sd
    assert scores.mean == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_allclose(
        top, [0.0, high / np.sqrt(1.01), high / 2.0 / np.sqrt(0.51)], atol=1e-12
    )
    assert window.tolist()[1:] == [1, 2]


def test_the_monitoring_rule_reads_ranks_only() -> None:
    x = series(8, 300, 0.2)
    plain, _ = window_statistic(x[100:], x[:100], WINDOWS)
    bent, _ = window_statistic(np.exp(x[100:]), np.exp(x[:100]), WINDOWS)
    np.testing.assert_allclose(plain, bent)


@pytest.mark.parametrize(("phi", "heavy"), [(0.0, False), (0.5, False), (0.0, True)])
def test_false_alarms_come_as_often_as_stated(phi: float, heavy: bool) -> None:
    rule = window_rule(WINDOWS, baseline_rows=150, horizon=250, false_alarm=0.1, paths=2000)
    alarms = 0
    for s in range(300):
        x = series(1000 + s, 400, phi, heavy)
        top, _ = window_statistic(x[150:], x[:150], WINDOWS)
        alarms += bool((top >= rule.threshold).any())
    # Long-run variances of dependent series from 150 rows are estimated a little low.
    slack = 0.05 if phi else 0.025
    assert alarms / 300 <= 0.1 + slack + 2 * np.sqrt(0.1 * 0.9 / 300)


def test_a_shift_of_one_deviation_is_seen_within_its_window() -> None:
    rule = window_rule(WINDOWS, baseline_rows=150, horizon=250, false_alarm=0.1, paths=2000)
    delays = []
    for s in range(100):
        x = series(5000 + s, 300, 0.0)
        x[200:] += 1.0
        top, _ = window_statistic(x[150:], x[:150], WINDOWS)
        late = np.flatnonzero(top[50:] >= rule.threshold)
        delays.append(int(late[0]) if late.size else 100)
    assert np.median(delays) < 30


def test_thresholds_rise_with_the_horizon_and_fall_with_the_rate() -> None:
    def at(horizon: int, rate: float) -> float:
        return window_rule(
            WINDOWS, baseline_rows=150, horizon=horizon, false_alarm=rate, paths=1000
        ).threshold

    assert at(100, 0.1) < at(400, 0.1)
    assert at(100, 0.2) < at(100, 0.05)


def test_bad_input_names_a_remedy() -> None:
    for call in (
        lambda: baseline_of(np.ones(10)),
        lambda: baseline_of(np.ones(100)),
        lambda: cusum_test(np.full(100, np.nan)),
        lambda: window_rule((), baseline_rows=50, horizon=10, false_alarm=0.1),
    ):
        with pytest.raises(DataError) as error:
            call()
        assert error.value.remedy
