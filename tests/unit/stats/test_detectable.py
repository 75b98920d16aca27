"""Minimum detectable effects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from commonmode.stats.cofailure import gaussian_pair_ratio
from commonmode.stats.comovement import contrast_weights, pair_index
from commonmode.stats.detectable import (
    detectable_cofailure,
    detectable_correlation,
    detectable_effect,
    pair_form_variance,
)
from commonmode.stats.signflip import sign_flip_test


def test_many_blocks_need_the_textbook_effect() -> None:
    assert detectable_effect(1.6448536, 10**8) == pytest.approx(1.6448536 + 0.8416212, abs=1e-3)


def test_an_effect_cannot_be_found_in_too_few_blocks() -> None:
    assert detectable_effect(3.0, 9) == np.inf


@pytest.mark.parametrize("blocks", [16, 40])
def test_power_at_the_detectable_effect(blocks: int) -> None:
    rng = np.random.default_rng(blocks)
    effect = detectable_effect(1.645, blocks) * np.sqrt(blocks) / blocks
    found = [
        sign_flip_test(rng.standard_normal(blocks) + effect, flips=399, rng=i).p_value <= 0.05
        for i in range(600)
    ]
    assert np.mean(found) == pytest.approx(0.80, abs=0.06)


def test_variance_of_pair_products_against_simulation() -> None:
    rng = np.random.default_rng(2)
    correlation = np.array([[1, 0.5, 0.2], [0.5, 1, 0.1], [0.2, 0.1, 1]])
    weights = np.array([0.5, 0.3, -0.4])
    d = rng.standard_normal((400_000, 3)) @ np.linalg.cholesky(correlation).T
    a, b = np.sqrt(0.7) * rng.standard_normal((2, 400_000, 1))
    x, y = d - a, d - b
    rows, columns = pair_index(3)
    value = 0.5 * (x[:, rows] * y[:, columns] + x[:, columns] * y[:, rows]) @ weights
    assert pair_form_variance(weights, correlation, 0.7) == pytest.approx(value.var(), rel=0.02)


def test_benchmark_noise_does_not_touch_a_contrast() -> None:
    members = np.arange(8) < 3
    weights = contrast_weights(members[None])[0]
    quiet, noisy = (pair_form_variance(weights, np.eye(8), noise) for noise in (0.0, 4.0))
    assert quiet == pytest.approx(noisy)


def test_detectable_correlation_rises_with_the_error_and_stops_at_one() -> None:
    members = np.arange(8) < 3
    weights = contrast_weights(members[None])[0]
    found = [
        detectable_correlation(weights, members, error, 4.0, noise=1.0)
        for error in (0.001, 0.01, 0.05, 1.0)
    ]
    assert found[0] == pytest.approx(0.004, rel=0.02)
    assert sorted(found) == found
    assert found[-1] == 1.0
    assert detectable_correlation(weights, members, 0.01, np.inf, noise=1.0) == 1.0


def test_detectable_cofailure_starts_at_the_textbook_effect_and_its_noise_grows() -> None:
    probability = ndtr(np.linspace(-2, 2, 500))
    need = 2.5
    small = detectable_cofailure(probability, 8, 1e-4, need, noise=1.0)
    assert small == pytest.approx(1 + need * 1e-4, rel=1e-4)
    large = detectable_cofailure(probability, 8, 0.02, need, noise=1.0)
    assert large > 1 + need * 0.02
    assert detectable_cofailure(probability, 8, 0.02, need, noise=1.0, allowance=0.01) > large
    assert detectable_cofailure(probability, 8, 9.0, need, noise=1.0) > 20
    assert detectable_cofailure(probability, 8, 0.02, np.inf, noise=1.0) == np.inf


def test_reachable_cofailure_is_below_that_of_one_and_the_same_model() -> None:
    probability = np.full(200, 0.05)
    found = detectable_cofailure(probability, 4, 0.5, 2.5, noise=0.0)
    assert 1.0 < found < gaussian_pair_ratio(0.05, 0.95)
