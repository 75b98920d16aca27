"""How unlike pairs are beyond sampling, and what that does to a contrast."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.stats.comovement import pair_index
from commonmode.stats.contrasts import factor_free_contrasts
from commonmode.stats.pair_effects import pair_variance
from commonmode.stats.signflip import sign_flip_max_test

MODELS, BLOCKS = 14, 30
ROWS, COLUMNS = pair_index(MODELS)
MEMBERS = np.arange(MODELS) < 4
INSIDE = MEMBERS[ROWS] & MEMBERS[COLUMNS]


def effects() -> np.ndarray:
    columns = np.zeros((len(ROWS), MODELS))
    columns[np.arange(len(ROWS)), ROWS] = columns[np.arange(len(ROWS)), COLUMNS] = 1.0
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, size > 1e-9])


def drawn(rng: np.random.Generator, between: float, shared: np.ndarray | float = 0.0) -> np.ndarray:
    """Blocks of pairs with model effects, own pair effects and sampling noise."""
    model = rng.normal(0.0, 0.2, MODELS)
    pairs = model[ROWS] + model[COLUMNS] + rng.normal(0.0, between, len(ROWS)) + shared
    noise = rng.normal(0.0, 0.1 / np.sqrt(BLOCKS), (BLOCKS, len(ROWS)))
    return np.asarray(pairs / BLOCKS + noise)


@pytest.mark.parametrize("between", [0.0, 0.05, 0.3])
def test_the_variance_between_pairs_is_found(between: float) -> None:
    rng = np.random.default_rng(1)
    none = np.zeros(len(ROWS))
    found = [pair_variance(drawn(rng, between), effects(), INSIDE, none) for _ in range(200)]
    # Cut off at zero, so a little above it where there is none: sampling alone has .01.
    assert np.mean(found) == pytest.approx(between**2, rel=0.1, abs=1e-3)


def test_what_the_group_shares_does_not_count() -> None:
    rng = np.random.default_rng(2)
    loading = np.where(MEMBERS, [0.9, 0.7, 0.5, 0.3, *[0.0] * (MODELS - 4)], 0.0)
    shape = loading[ROWS] * loading[COLUMNS]
    with_part = [
        pair_variance(drawn(rng, 0.05, shape), effects(), INSIDE, shape) for _ in range(99)
    ]
    assert np.mean(with_part) == pytest.approx(0.05**2, rel=0.2)


def test_nobody_left_over_is_said() -> None:
    three = pair_index(3)[0]
    inside = np.array([True, False, False])
    basis = np.eye(3)[:, 1:]
    assert np.isnan(pair_variance(np.ones((8, len(three))), basis, inside, inside * 0.2))


def test_a_contrast_is_judged_by_how_unlike_other_pairs_are() -> None:
    """Size at 5 % although pairs differ, where flips alone reject most of the time."""
    rng = np.random.default_rng(3)
    groups = np.array([MEMBERS, np.arange(MODELS) >= 11, np.arange(MODELS) % 5 == 0])
    worlds, rejected, without = 200, 0, 0
    for seed in range(worlds):
        found = factor_free_contrasts(drawn(rng, 0.2), groups)
        assert found.between is not None
        test = sign_flip_max_test(found.values, flips=199, rng=seed, between=found.between)
        rejected += bool((test.p_adjusted <= 0.05).any())
        plain = sign_flip_max_test(found.values, flips=199, rng=seed)
        without += bool((plain.p_adjusted <= 0.05).any())
    assert rejected / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)
    assert without / worlds > 0.3


def test_what_stands_out_is_still_found() -> None:
    rng = np.random.default_rng(4)
    hits = 0
    for seed in range(40):
        found = factor_free_contrasts(drawn(rng, 0.1, 0.5 * INSIDE), MEMBERS[None])
        test = sign_flip_max_test(found.values, flips=199, rng=seed, between=found.between)
        hits += bool(test.p_adjusted[0] <= 0.05)
    assert hits >= 36
