"""Algebra of sign flips, correlations by blocks and contrasts, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.stats.blocks import (
    block_dependence,
    block_edges,
    block_sums,
    choose_block_count,
)
from commonmode.stats.comovement import (
    block_correlation,
    contrast_weights,
    cross_moment_blocks,
    debiased_excess,
    effective_number,
    pair_index,
)
from commonmode.stats.logistic import natural_cubic_basis
from commonmode.stats.signflip import sign_flip_max_test

seeds = st.integers(0, 2**32 - 1)


def _deviations(seed: int, rows: int, models: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((models, models))
    own = rng.standard_normal((rows, models)) @ mixing
    a, b = rng.standard_normal((2, rows, 1))
    return own - a, own - b


@given(arrays(np.float64, (9, 4), elements=st.floats(-1e3, 1e3)), seeds)
def test_family_wise_p_is_at_least_each_single_p(contributions: np.ndarray, seed: int) -> None:
    test = sign_flip_max_test(contributions, flips=59, rng=seed)
    assert np.all(test.p_adjusted >= test.p_single - 1e-12)
    assert np.all((test.p_single > 0) & (test.p_adjusted <= 1))
    assert np.all(np.abs(test.t) <= np.sqrt(9) + 1e-9)


@given(seeds, st.floats(1e-3, 1e3))
def test_sign_flip_test_has_no_scale(seed: int, factor: float) -> None:
    contributions = np.random.default_rng(seed).standard_normal((12, 3))
    one = sign_flip_max_test(contributions, flips=99, rng=1)
    other = sign_flip_max_test(contributions * factor, flips=99, rng=1)
    np.testing.assert_array_equal(one.p_adjusted, other.p_adjusted)


@given(seeds, st.integers(2, 7), st.integers(6, 20))
def test_block_moments_add_up_and_are_symmetric(seed: int, models: int, blocks: int) -> None:
    x, y = _deviations(seed, 83, models)
    moments = cross_moment_blocks(x, y, block_edges(83, blocks))
    whole = cross_moment_blocks(x, y, np.array([0, 83]))[0]
    np.testing.assert_allclose(moments.sum(axis=0), whole, atol=1e-10)
    np.testing.assert_allclose(moments, moments.transpose(0, 2, 1), atol=1e-12)


@given(seeds, arrays(np.float64, 5, elements=st.floats(0.01, 100)))
def test_correlation_has_no_scale_and_follows_the_order_of_models(
    seed: int, scale: np.ndarray
) -> None:
    x, _ = _deviations(seed, 60, 5)
    order = np.random.default_rng(seed).permutation(5)
    edges = block_edges(60, 8)
    base = block_correlation(cross_moment_blocks(x, x, edges))
    scaled = block_correlation(cross_moment_blocks(x * scale, x * scale, edges))
    moved = block_correlation(cross_moment_blocks(x[:, order], x[:, order], edges))
    np.testing.assert_allclose(base.correlation, scaled.correlation, atol=1e-9)
    np.testing.assert_allclose(base.correlation[np.ix_(order, order)], moved.correlation, atol=1e-9)
    assert debiased_excess(base) == pytest.approx(debiased_excess(moved), abs=1e-9)


@given(seeds, st.integers(2, 9))
def test_effective_number_lies_between_one_and_n(seed: int, models: int) -> None:
    x, y = _deviations(seed, 50, models)
    block = block_correlation(cross_moment_blocks(x, y, block_edges(50, 10)))
    assert 1.0 <= float(effective_number(debiased_excess(block), models)) <= models


@given(st.integers(5, 10), seeds)
def test_contrast_annihilates_model_effects_and_keeps_its_group(models: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(2, models - 1))
    members = np.zeros((1, models), dtype=bool)
    members[0, rng.permutation(models)[:size]] = True
    rows, columns = pair_index(models)
    weights = contrast_weights(members)[0]
    effects = rng.standard_normal(models)
    assert weights @ (effects[rows] + effects[columns]) == pytest.approx(0.0, abs=1e-9)
    inside = (members[0, rows] & members[0, columns]).astype(float)
    assert weights @ inside == pytest.approx(1.0)


@given(st.integers(2, 4))
def test_contrast_of_few_models_annihilates_what_all_pairs_share(models: int) -> None:
    members = np.zeros((1, models), dtype=bool)
    members[0, :2] = True
    weights = contrast_weights(members)[0]
    expected = 1.0 if models == 2 else 0.0
    assert weights.sum() == pytest.approx(expected, abs=1e-9)


@given(st.integers(1, 400), st.floats(1, 1e4))
def test_blocks_never_outnumber_rows(rows: int, tau: float) -> None:
    count = choose_block_count(rows, tau)
    assert 1 <= count <= min(rows, 40)
    assert np.all(np.diff(block_edges(rows, count)) >= 1)


@given(seeds, st.integers(1, 12))
def test_block_sums_add_up(seed: int, blocks: int) -> None:
    values = np.random.default_rng(seed).standard_normal((37, 2))
    sums = block_sums(values, block_edges(37, blocks))
    np.testing.assert_allclose(sums.sum(axis=0), values.sum(axis=0), atol=1e-10)


@settings(max_examples=50)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=6, unique=True), st.floats(-9, 9))
def test_spline_reproduces_straight_lines(places: list[int], slope: float) -> None:
    knots = np.sort(np.array(places, dtype=np.float64))
    x = np.linspace(-30, 30, 101)
    basis = natural_cubic_basis(x, knots)
    assert basis.shape == (101, len(knots))
    np.testing.assert_allclose(basis[:, :2] @ [1.0, slope], 1.0 + slope * x, atol=1e-9)


@given(seeds, st.integers(2, 20), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_shorter_blocks_share_more_whatever_the_unit(
    seed: int, blocks: int, factor: float, shift: float
) -> None:
    series = np.cumsum(np.random.default_rng(seed).standard_normal((200, 2)), axis=0)
    one = block_dependence(series, blocks)
    assert 1.0 <= one <= block_dependence(series, 2 * blocks) + 1e-12
    assert block_dependence(factor * series + shift, blocks) == pytest.approx(one, rel=1e-6)
