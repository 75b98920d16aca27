"""Coverage promised by one half and found in the other; how sure an effective size is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from commonmode.core.errors import DataError
from commonmode.stats.blocks import (
    autocorrelation_time_interval,
    integrated_autocorrelation_time,
)
from commonmode.stats.conformal_halves import held_coverage


def test_exchangeable_scores_hold_and_a_market_that_changes_drifts() -> None:
    rng = np.random.default_rng(1)
    drifts = [held_coverage(rng.standard_t(4, 2000), 0.025).drifts for _ in range(200)]
    assert np.mean(drifts) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    scores = rng.standard_t(4, 2000)
    scores[1000:] *= 1.6
    found = held_coverage(scores, 0.025)
    assert found.drifts
    assert found.found > found.promised[1] > 0.025 > found.promised[0]


def test_scores_of_a_model_that_follows_the_market_hold() -> None:
    """A GARCH market scored by a moving average: misses cluster a little, and are no drift."""
    rng = np.random.default_rng(2)
    drifts = []
    for _ in range(60):
        h, ewma, scores, y = 1.0, 1.0, np.zeros(1700), 0.0
        z = rng.standard_t(5, 1700) / np.sqrt(5 / 3)
        for t in range(1700):
            h = 0.02 + 0.09 * y**2 + 0.89 * h
            ewma = 0.94 * ewma + 0.06 * y**2
            y = float(np.sqrt(h) * z[t])
            scores[t] = -y / np.sqrt(ewma)
        drifts.append(held_coverage(scores[200:], 0.025).drifts)
    assert np.mean(drifts) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_the_factor_is_what_covers() -> None:
    rng = np.random.default_rng(3)
    scores = np.abs(rng.standard_normal(4000))
    found = held_coverage(scores, 0.05)
    assert found.factor == pytest.approx(1.96, abs=0.1)
    assert (scores[:2000] > found.factor).mean() <= 0.05
    assert found.calibration == pytest.approx(2000, rel=0.2)


def test_too_few_scores_promise_nothing() -> None:
    with pytest.raises(DataError, match="remedy: give 80"):
        held_coverage(np.arange(20.0), 0.025)


@pytest.mark.parametrize("phi", [0.0, 0.6, 0.8])
def test_the_interval_of_an_autocorrelation_time_covers(phi: float) -> None:
    rng = np.random.default_rng(4)
    truth, inside = (1 + phi) / (1 - phi), []
    for _ in range(100):
        x = np.zeros(2200)
        shocks = rng.standard_normal(2200)
        for t in range(1, 2200):
            x[t] = phi * x[t - 1] + shocks[t]
        tau, low, high = autocorrelation_time_interval(x[200:])
        assert low <= tau <= high
        inside.append(low <= truth <= high)
    assert np.mean(inside) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)


def test_a_long_and_faint_memory_is_summed() -> None:
    """Absolute returns under stochastic volatility: a tenth at lag 1, 33 hours to fade."""
    phi, sd = 0.97, 0.3
    lag = np.arange(1, 1000)
    rho = (np.exp(sd**2 * phi**lag) - 1.0) / (np.exp(sd**2) * np.pi / 2.0 - 1.0)
    truth, inside, blocks = 1.0 + 2.0 * rho.sum(), [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shocks = sd * np.sqrt(1.0 - phi**2) * rng.standard_normal(9060)
        volatility = np.exp(lfilter([1.0], [1.0, -phi], shocks)[300:])
        size = np.abs(volatility * rng.standard_normal(8760))
        _, low, high = autocorrelation_time_interval(size)
        inside.append(low <= truth <= high)
        blocks.append(integrated_autocorrelation_time(size))
    assert np.mean(inside) >= 0.8
    assert np.mean(blocks) < 0.85 * truth
