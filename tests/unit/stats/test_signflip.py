"""Sign-flip tests hold their level and refuse what they cannot judge."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats.signflip import sign_flip_max_test, sign_flip_test


@pytest.mark.parametrize("level", [0.05, 0.2, 0.5])
def test_p_values_are_uniform_under_exchangeable_signs(level: float) -> None:
    # heavy tails and blocks of unequal scale: only the symmetry of signs is needed
    rng = np.random.default_rng(11)
    draws = 1500
    scale = np.linspace(0.2, 3.0, 12)
    rejected = 0
    for draw in range(draws):
        contributions = rng.standard_t(2, 12) * scale
        rejected += sign_flip_test(contributions, flips=99, rng=draw).p_value <= level
    error = np.sqrt(level * (1 - level) / draws)
    assert abs(rejected / draws - level) < 3.5 * error


def test_family_of_tests_rejects_at_its_level() -> None:
    rng = np.random.default_rng(5)
    draws = 800
    mixing = rng.standard_normal((15, 15))
    rejected = 0
    for draw in range(draws):
        contributions = rng.standard_normal((16, 15)) @ mixing
        test = sign_flip_max_test(contributions, flips=199, rng=draw)
        rejected += test.p_adjusted.min() <= 0.05
    assert rejected / draws == pytest.approx(0.05, abs=3.5 * np.sqrt(0.05 * 0.95 / draws))


def test_agrees_with_all_sign_patterns() -> None:
    contributions = np.random.default_rng(8).standard_normal(10) + 0.3
    patterns = np.array(list(product([-1.0, 1.0], repeat=10)))
    exact = np.mean(patterns @ contributions >= contributions.sum() - 1e-12)
    sampled = sign_flip_test(contributions, flips=20_000, rng=1).p_value
    assert sampled == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_p_is_never_zero_however_strong_the_effect() -> None:
    test = sign_flip_test(np.full(40, 7.0), flips=99)
    assert test.p_value == pytest.approx(1 / 100)
    assert test.estimate == pytest.approx(280.0)


def test_nothing_contributed_is_no_evidence() -> None:
    assert sign_flip_test(np.zeros(10)).p_value == 1.0


def test_same_seed_same_answer() -> None:
    contributions = np.random.default_rng(0).standard_normal((20, 4))
    first, second = (sign_flip_max_test(contributions, rng=3) for _ in range(2))
    np.testing.assert_array_equal(first.p_adjusted, second.p_adjusted)
    assert first.critical == second.critical


def test_few_blocks_and_gaps_are_refused_with_a_remedy() -> None:
    with pytest.raises(DataError, match="5 blocks are too few") as few:
        sign_flip_test(np.ones(5))
    assert few.value.remedy
    with pytest.raises(DataError, match="not finite") as gap:
        sign_flip_test(np.array([1.0, np.nan, 1, 1, 1, 1, 1]))
    assert gap.value.remedy
