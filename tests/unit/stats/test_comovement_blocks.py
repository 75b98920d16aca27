"""Cross-moments in blocks, contrasts and the debiased effective number."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.stats.blocks import block_edges
from commonmode.stats.comovement import (
    block_correlation,
    contrast_weights,
    cross_moment_blocks,
    debiased_excess,
    effective_number,
    excess_interval,
    pair_block_sums,
    pair_index,
)


def _deviations(rng: np.random.Generator, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    own = rng.standard_normal((rows, 6))
    a, b = noise * rng.standard_normal((2, rows, 1))
    return own - a, own - b


def test_block_moments_add_up_to_the_covariance() -> None:
    x, y = _deviations(np.random.default_rng(1), 500, 1.0)
    moments = cross_moment_blocks(x, y, block_edges(500, 9)).sum(axis=0)
    joint = np.cov(np.hstack([x, y]).T, bias=True)[:6, 6:]
    np.testing.assert_allclose(moments, (joint + joint.T) / 2, atol=1e-12)


def test_rows_left_out_do_not_count() -> None:
    x, y = _deviations(np.random.default_rng(2), 300, 0.5)
    mask = np.arange(300) % 4 > 0
    spoiled = x.copy()
    spoiled[~mask] = np.nan
    edges = block_edges(300, 10)
    got = cross_moment_blocks(spoiled, y, edges, mask=mask).sum(axis=0)
    want = cross_moment_blocks(x[mask], y[mask], np.array([0, mask.sum()])).sum(axis=0)
    np.testing.assert_allclose(got, want, atol=1e-12)


def test_benchmark_noise_drops_out_of_the_cross_moment_only() -> None:
    x, y = _deviations(np.random.default_rng(3), 50_000, 1.0)
    edges = block_edges(50_000, 40)
    cross = block_correlation(cross_moment_blocks(x, y, edges))
    single = block_correlation(cross_moment_blocks(x, x, edges))
    assert np.abs(cross.pairs).max() < 0.05
    np.testing.assert_allclose(single.pairs, 0.5, atol=0.05)


def test_contributions_add_up_and_influence_sums_to_zero() -> None:
    x, y = _deviations(np.random.default_rng(4), 400, 0.3)
    moments = np.stack(
        [
            cross_moment_blocks(x, y, block_edges(400, 8)),
            cross_moment_blocks(y, y, np.arange(0, 401, 50)),
        ]
    )
    block = block_correlation(moments)
    np.testing.assert_allclose(block.contributions.sum(axis=0), block.pairs, atol=1e-12)
    np.testing.assert_allclose(block.influence.sum(axis=0), 0.0, atol=1e-12)
    rows, columns = pair_index(6)
    np.testing.assert_array_equal(block.correlation[rows, columns], block.pairs)


def test_a_model_that_hardly_deviates_has_correlation_zero() -> None:
    moments = np.zeros((7, 2, 2))
    moments[:, 0, 0] = 1.0
    moments[:, 1, 1] = -0.01
    moments[:, 0, 1] = moments[:, 1, 0] = 0.1
    assert block_correlation(moments).pairs == pytest.approx(0.0)


@pytest.mark.parametrize("models", [5, 8, 12])
def test_contrasts_cancel_what_all_pairs_of_a_model_have(models: int) -> None:
    groups = np.zeros((3, models), dtype=bool)
    groups[0, :2] = groups[1, 1:4] = groups[2, [0, 2, 4]] = True
    weights = contrast_weights(groups)
    rows, columns = pair_index(models)
    effect = np.random.default_rng(models).standard_normal(models)
    np.testing.assert_allclose(weights @ (effect[rows] + effect[columns] + 3.0), 0.0, atol=1e-12)
    inside = (groups[:, rows] & groups[:, columns]).astype(float)
    np.testing.assert_allclose(np.sum(weights * inside, axis=1), 1.0)


def test_contrast_of_everybody_is_the_mean() -> None:
    weights = contrast_weights(np.ones((1, 6), dtype=bool))
    np.testing.assert_allclose(weights, 1 / 15)


def test_debiased_excess_is_unbiased_for_dependent_rows_where_the_plain_sum_is_not() -> None:
    rng = np.random.default_rng(7)
    plain, debiased = [], []
    for _ in range(60):
        x = np.cumsum(rng.standard_normal((2000, 6)), axis=0)
        x = x[10:] - x[:-10]  # moving sums of ten: dependent rows
        block = block_correlation(cross_moment_blocks(x, x, block_edges(len(x), 40)))
        spread = block.influence - block.influence.mean(axis=0)
        variance = (spread**2).sum(axis=0) * 40 / 39
        plain.append((block.pairs**2).sum())
        debiased.append((block.pairs**2 - variance).sum())
        assert debiased_excess(block) == pytest.approx(max(debiased[-1], 0.0))
    error = np.std(debiased) / np.sqrt(60)
    assert abs(np.mean(debiased)) < 3.5 * error
    assert np.mean(plain) > 10 * error


def test_effective_number_of_identical_and_of_unrelated_models() -> None:
    assert effective_number(0.0, 6) == pytest.approx(6.0)
    assert effective_number(15.0, 6) == pytest.approx(1.0)
    assert effective_number(-3.0, 6) == pytest.approx(6.0)


def test_interval_holds_the_estimate_and_tightens_with_data() -> None:
    widths = []
    for rows in (2000, 32_000):
        rng = np.random.default_rng(5)
        x = np.sqrt(0.5) * (rng.standard_normal((rows, 6)) + rng.standard_normal((rows, 1)))
        moments = cross_moment_blocks(x, x, block_edges(rows, 40))
        low, high = excess_interval(moments, draws=300)
        assert low < 15 * 0.25 < high
        widths.append(high - low)
    assert widths[1] < 0.5 * widths[0]


def test_pair_block_sums_are_symmetrised() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((2, 60, 4))
    edges = block_edges(60, 6)
    np.testing.assert_allclose(pair_block_sums(x, y, edges), pair_block_sums(y, x, edges))
    rows, columns = pair_index(4)
    joint = (x.T @ y + y.T @ x) / 2
    np.testing.assert_allclose(pair_block_sums(x, y, edges).sum(axis=0), joint[rows, columns])
