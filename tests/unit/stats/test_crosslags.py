"""Autoregressions from the moments of two noisy views."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats.blocks import block_edges
from commonmode.stats.crosslags import (
    direction_contributions,
    following_contributions,
    lag_moments,
    shorten,
    solve_moments,
    spillover_tables,
    whiten_together,
)
from commonmode.stats.spillovers import fit_autoregression, spillovers
from following_worlds import following_views


def sample(times: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).standard_normal((times, 3))
    for t in range(1, times):
        x[t] += 0.5 * x[t - 1] + 0.2 * np.roll(x[t - 1], 1)
    return x, block_edges(times, 12), np.ones(times, dtype=bool)


def test_one_view_twice_is_least_squares() -> None:
    x, edges, rows = sample()
    rows[100:103] = False
    moments, count = lag_moments(x, x, 2, edges, rows)
    found = solve_moments(moments.sum(axis=0)[None] / count, 3)
    gaps = np.where(rows[:, None], x, np.nan)
    known = fit_autoregression(gaps, 2)
    np.testing.assert_allclose(found.coefficients[0], known.coefficients, rtol=1e-9)
    freedom = count / (count - 7)
    np.testing.assert_allclose(freedom * found.covariance[0], known.covariance, rtol=1e-9)
    tables = spillover_tables(found.coefficients, found.covariance, (1, 7))
    expected = spillovers(known.coefficients, known.covariance, 7).table
    np.testing.assert_allclose(tables[0, 1], expected, rtol=1e-9)


def test_scores_add_up_to_the_coefficients() -> None:
    x, edges, rows = sample()
    moments, count = lag_moments(x, x, 2, edges, rows)
    scores, scale = following_contributions(moments, 3)
    system = solve_moments(moments.sum(axis=0)[None] / count, 3)
    np.testing.assert_allclose(scores.sum(axis=0), system.coefficients[0], rtol=1e-9)
    # A partial correlation r has t = r sqrt(freedom / (1 - r^2)) in ordinary regression.
    past = np.column_stack([x[1:-1], x[:-2]])
    past = past - past.mean(axis=0)
    now = x[2:, 0] - x[2:, 0].mean()
    inverse = np.linalg.inv(past.T @ past)
    beta = inverse @ past.T @ now
    error = np.sum((now - past @ beta) ** 2)
    np.testing.assert_allclose(scale[0, 0, 1] * scores.sum(0)[0, 0, 1], beta[1] / np.sqrt(
        inverse[1, 1] * error
    ), rtol=1e-2)  # fmt: skip


def test_noise_of_the_views_drops_out() -> None:
    x, y = following_views("chain", 3, times=40_000, strength=0.3, noise_memory=0.4)
    edges, rows = block_edges(len(x), 20), np.ones(len(x), dtype=bool)
    two, count = lag_moments(x, y, 1, edges, rows)
    one, _ = lag_moments(x, x, 1, edges, rows)
    phi, naive = (
        solve_moments(m.sum(axis=0)[None] / count, 6).coefficients[0, 0] for m in (two, one)
    )
    others = ~np.eye(6, dtype=bool)
    others[1, 0] = others[2, 1] = False
    assert np.abs(phi[others]).max() < 0.05
    assert np.abs(naive[others]).mean() > 3 * np.abs(phi[others]).mean()
    np.testing.assert_allclose(np.diag(phi), 0.8, atol=0.04)


def test_what_is_symmetric_in_time_has_no_direction() -> None:
    rng = np.random.default_rng(8)
    part = rng.standard_normal(800)
    wave = np.convolve(part, np.ones(9), "same")[:, None] * np.array([1.0, 2.0, 0.5])
    both = np.concatenate([wave, wave[::-1]])  # read backwards it is the same
    edges, rows = block_edges(1600, 8), np.ones(1600, dtype=bool)
    moved, same, use = whiten_together(both, both, 2, edges, rows)
    moments, _ = lag_moments(moved, same, 2, edges, use)
    direction = direction_contributions(moments, 3)
    np.testing.assert_allclose(direction, -direction.transpose(0, 1, 3, 2))
    assert np.abs(direction.sum(axis=0)).max() < 1e-2 * np.abs(moments.sum(axis=0)).max()


def test_orders_nest_and_bad_moments_are_refused() -> None:
    x, edges, rows = sample()
    moments, _ = lag_moments(x, x, 3, edges, rows)
    assert shorten(moments, 3, 1).shape == (12, 6, 6)
    twice = np.column_stack([x, x[:, 0]])
    same, count = lag_moments(twice, twice, 1, edges, rows)
    with pytest.raises(DataError, match="combinations"):
        solve_moments(same.sum(axis=0)[None] / count, 4)
    with pytest.raises(DataError, match="complete predecessors"):
        lag_moments(x, x, 1, edges, np.arange(600) % 2 == 0)
