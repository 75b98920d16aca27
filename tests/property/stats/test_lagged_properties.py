"""Lagged moments, Holm's adjustment, CKA and transfer entropy: what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.stats.blocks import block_edges
from commonmode.stats.crosslags import (
    direction_contributions,
    following_contributions,
    lag_moments,
    solve_moments,
    spillover_tables,
)
from commonmode.stats.multiplicity import holm
from commonmode.stats.similarity import linear_cka
from commonmode.stats.transfer import transfer_entropy

SEEDS = st.integers(0, 10_000)
SCALES = arrays(np.float64, 3, elements=st.floats(0.01, 100.0))


def series(seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((120, 3))
    for t in range(1, 120):
        x[t] += 0.4 * x[t - 1] + 0.2 * np.roll(x[t - 1], 1)
    return x


@given(SEEDS, SCALES, st.permutations(range(3)))
def test_units_and_order_change_no_share_and_no_partial_correlation(
    seed: int, scale: np.ndarray, order: list[int]
) -> None:
    x, edges, rows = series(seed), block_edges(120, 8), np.ones(120, dtype=bool)
    plain, count = lag_moments(x, x, 2, edges, rows)
    z = (x * scale)[:, order]
    moved, _ = lag_moments(z, z, 2, edges, rows)
    a, b = (solve_moments(m.sum(axis=0)[None] / count, 3) for m in (plain, moved))
    tables = [spillover_tables(s.coefficients, s.covariance, (1, 9))[0] for s in (a, b)]
    pick = np.ix_(order, order)
    np.testing.assert_allclose(tables[1], tables[0][:, order][:, :, order], rtol=1e-6, atol=1e-9)
    for lag in range(2):
        partial = []
        for m in (plain, moved):
            scores, unit = following_contributions(m, 3)
            partial.append((scores.sum(axis=0) * unit)[lag])
        np.testing.assert_allclose(partial[1], partial[0][pick], rtol=1e-6, atol=1e-9)


@given(SEEDS)
def test_time_read_backwards_turns_every_direction(seed: int) -> None:
    x = series(seed)
    x -= x.mean(axis=0)
    circle = np.concatenate([np.zeros((2, 3)), x, np.zeros((2, 3))])  # no row enters or leaves
    edges, rows = np.array([0, len(circle)]), np.ones(len(circle), dtype=bool)
    forth, back = (
        direction_contributions(lag_moments(v, v, 2, edges, rows)[0], 3)
        for v in (circle, circle[::-1])
    )
    np.testing.assert_allclose(forth, -back, atol=1e-9)


@given(arrays(np.float64, st.integers(1, 12), elements=st.floats(0.0, 1.0)))
def test_holm_is_between_each_and_bonferroni_and_keeps_the_order(p: np.ndarray) -> None:
    adjusted = holm(p)
    assert np.all(adjusted >= p)
    assert np.all(adjusted <= np.minimum(len(p) * p, 1.0) + 1e-12)
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0.0)
    assert adjusted.min() == pytest.approx(min(len(p) * p.min(), 1.0))


@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_similarity_and_transfer_do_not_know_units(seed: int, scale: float, shift: float) -> None:
    x = series(seed)
    assert linear_cka(x, scale * x[:, :2] + shift) == pytest.approx(linear_cka(x, x[:, :2]))
    assert 0.0 <= linear_cka(x[:, :1], x[:, 1:]) <= 1.0
    one = transfer_entropy(x[:, 0], x[:, 1], lags=2)
    other = transfer_entropy(scale * x[:, 0] + shift, -x[:, 1], lags=2)
    assert other.entropy == pytest.approx(one.entropy, rel=1e-6, abs=1e-12)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6)
