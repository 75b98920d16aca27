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
    detectable_move,
    grown_effect,
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


def test_an_effect_with_its_noise_is_so_many_of_its_own_standard_errors() -> None:
    for linear, square in ((0.0, 0.0), (1.0, 0.0), (2.0, 1.0), (0.5, -0.2)):
        size = grown_effect(3.5, 0.1, linear, square)
        error = 0.1 * np.sqrt(1 + linear * size + square * size**2)
        assert size == pytest.approx(3.5 * error)
    assert grown_effect(3.5, 0.3, 2.0, 1.0) == np.inf
    assert grown_effect(np.inf, 0.3, 0.0, 0.0) == np.inf


def test_counts_that_are_more_frequent_need_a_larger_excess() -> None:
    """Power of a mean of breaches at the excess that counts its own noise, and at the plain one."""
    level, rows, blocks = 0.025, 3000, 30
    error = np.sqrt((1 / level - 1) / rows)
    need = detectable_effect(1.645, blocks)
    grown, plain = grown_effect(need, error, 1.0, 0.0), need * error
    rng = np.random.default_rng(7)

    def power(excess: float) -> float:
        hits = rng.binomial(rows // blocks, level * (1 + excess), (4000, blocks))
        c = hits / (rows * level) - 1 / blocks
        return float(np.mean(c.sum(axis=1) > 1.645 * np.sqrt((c**2).sum(axis=1))))

    assert power(grown) == pytest.approx(0.8, abs=0.06)
    assert power(plain) < power(grown) - 0.05


def test_a_move_of_a_random_answer_is_found_as_often_as_stated() -> None:
    times, critical = 12, 2.2
    rng = np.random.default_rng(1)
    noise = 0.3 * rng.standard_normal((3, 20_000, times))
    move = 0.3 * detectable_move(critical, times)
    difference = np.abs(move + noise[1] - noise[0]) - np.abs(noise[2] - noise[0])
    t = difference.sum(axis=1) / np.sqrt((difference**2).sum(axis=1))
    assert np.mean(t > critical) == pytest.approx(0.8, abs=0.02)


def test_a_move_needs_times_and_answers() -> None:
    assert detectable_move(3.0, 9) == np.inf
    assert detectable_move(2.2, 24) < detectable_move(2.2, 12)
    assert detectable_move(2.2, 12, fails=0.02) > detectable_move(2.2, 12)
    assert detectable_move(2.2, 12, fails=0.5) == np.inf
