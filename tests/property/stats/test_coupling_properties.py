"""Algebra of the coupling: blocks add up, units drop out, what the market explains is gone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.stats.blocks import block_edges
from commonmode.stats.coupling import coupling_contributions, explained_by_market, market_basis


def series(seed: int, rows: int, columns: int, missing: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = rng.standard_t(4, (rows, columns))
    out[rng.random(out.shape) < missing] = np.nan
    return out


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(40, 200), st.integers(6, 20))
def test_blocks_add_up_to_the_correlation(seed: int, rows: int, blocks: int) -> None:
    x, y = series(seed, rows, 2), series(seed + 1, rows, 3)
    parts = coupling_contributions(x, y, block_edges(rows, blocks), (0,))
    expected = np.corrcoef(x.T, y.T)[:2, 2:]
    np.testing.assert_allclose(parts.sum(axis=0)[:, :, 0], expected, atol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.floats(1e-6, 1e6), st.integers(-4, 4))
def test_units_and_levels_drop_out(seed: int, unit: float, lag: int) -> None:
    x, y = series(seed, 120, 2, 0.05), series(seed + 1, 120, 2, 0.05)
    edges = block_edges(120, 8)
    one = coupling_contributions(x, y, edges, (lag,))
    two = coupling_contributions(unit * x, y, edges, (lag,))
    level = coupling_contributions(x + 3.0, y - 2.0, edges, (lag,))
    np.testing.assert_allclose(one, two, atol=1e-10)
    np.testing.assert_allclose(one, level, atol=1e-10)
    swapped = coupling_contributions(y, x, edges, (-lag,))
    np.testing.assert_allclose(one.sum(axis=0)[:, :, 0], swapped.sum(axis=0)[:, :, 0].T, atol=1e-10)


def test_a_copy_that_comes_later_has_correlation_one_at_its_lag() -> None:
    x = series(3, 400, 1)
    y = np.roll(x, 2, axis=0)
    parts = coupling_contributions(x, y, block_edges(400, 10), (-2, 0, 2)).sum(axis=0)[0, 0]
    assert parts[2] > 0.97
    assert np.abs(parts[:2]).max() < 0.3


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_what_is_linear_in_the_basis_is_explained_wholly(seed: int, lags: int) -> None:
    rng = np.random.default_rng(seed)
    scale = 0.01 * np.exp(0.3 * rng.standard_normal(800))
    moves = scale * rng.standard_t(5, 800)
    basis = market_basis(moves, scale, lags)
    values = np.column_stack([2.0 * moves / scale + 1.0, np.abs(moves) > np.inf]).astype(float)
    rest = values - explained_by_market(values, basis)
    known = np.isfinite(basis).all(axis=1)
    assert np.nanmax(np.abs(rest[known])) < 1e-8
    assert np.isnan(rest[~known]).all()
