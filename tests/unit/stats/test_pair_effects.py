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
    found = [pair_variance(drawn(rng, between), effects(), INSIDE, none).value for _ in range(200)]
    # Cut off at zero, so a little above it where there is none: sampling alone has .01.
    assert np.mean(found) == pytest.approx(between**2, rel=0.1, abs=1e-3)


def test_what_the_group_shares_does_not_count() -> None:
    rng = np.random.default_rng(2)
    loading = np.where(MEMBERS, [0.9, 0.7, 0.5, 0.3, *[0.0] * (MODELS - 4)], 0.0)
    shape = loading[ROWS] * loading[COLUMNS]
    with_part = [
        pair_variance(drawn(rng, 0.05, shape), effects(), INSIDE, shape).value for _ in range(99)
    ]
    assert np.mean(with_part) == pytest.approx(0.05**2, rel=0.2)


def test_nobody_left_over_is_said() -> None:
    three = pair_index(3)[0]
    inside = np.array([True, False, False])
    basis = np.eye(3)[:, 1:]
    found = pair_variance(np.ones((8, len(three))), basis, inside, inside * 0.2)
    assert np.isnan(found.value)
    assert found.freedom < 1.0


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


def test_pairs_left_over_are_counted() -> None:
    """The trace of what is left of the other pairs beside effects and the group's mean."""
    rng = np.random.default_rng(5)
    found = pair_variance(drawn(rng, 0.1), effects(), INSIDE, np.zeros(len(ROWS)))
    columns = np.column_stack([effects(), INSIDE])
    left = np.eye(len(ROWS)) - columns @ np.linalg.pinv(columns)
    assert found.freedom == pytest.approx(np.trace(left[~INSIDE][:, ~INSIDE]))


@pytest.mark.parametrize("told", [False, True])
def test_a_variance_that_few_pairs_showed_keeps_the_level(told: bool) -> None:
    """A normal law takes an estimate from five degrees of freedom at its word."""
    rng, worlds, blocks, freedom = np.random.default_rng(6), 600, 30, np.array([5.0, 5.0, 5.0])
    rejected = 0
    for seed in range(worlds):
        estimated = np.sqrt(rng.chisquare(freedom) / freedom)
        values = rng.normal(0.0, 1.0, 3) / blocks + rng.normal(0.0, 0.02, (blocks, 3))
        test = sign_flip_max_test(
            values, flips=199, rng=seed, between=estimated, freedom=freedom if told else None
        )
        rejected += bool((test.p_adjusted <= 0.05).any())
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)
    assert (rejected / worlds <= bound) == told


def test_many_degrees_of_freedom_are_a_variance_known() -> None:
    rng = np.random.default_rng(7)
    values, between = rng.normal(0.1, 1.0, (30, 4)), np.full(4, 2.0)
    one = sign_flip_max_test(values, flips=9999, rng=1, between=between)
    two = sign_flip_max_test(values, flips=9999, rng=1, between=between, freedom=np.full(4, np.inf))
    np.testing.assert_allclose(two.p_single, one.p_single, atol=0.02)
    np.testing.assert_array_equal(two.standard_error, one.standard_error)
