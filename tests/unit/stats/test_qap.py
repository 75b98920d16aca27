"""Quadratic assignment: coefficients of ordinary least squares, p-values of permuted nodes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats.qap import mrqap, node_permutations


def relation(rng: np.random.Generator, nodes: int) -> np.ndarray:
    made = rng.standard_normal((nodes, nodes))
    return made + made.T


def test_coefficients_are_least_squares() -> None:
    rng = np.random.default_rng(1)
    x = [relation(rng, 9) for _ in range(3)]
    y = 0.5 * x[0] - 0.2 * x[2] + 0.1 * relation(rng, 9)
    found = mrqap(y, x, permutations=99, rng=1)
    pairs = np.triu_indices(9, 1)
    design = np.column_stack([np.ones(36), *(one[pairs] for one in x)])
    slopes, rest, *_ = np.linalg.lstsq(design, y[pairs], rcond=None)
    np.testing.assert_allclose(found.coefficient, slopes[1:], rtol=1e-12)
    covariance = np.linalg.inv(design.T @ design) * rest[0] / (36 - 4)
    np.testing.assert_allclose(
        found.statistic, slopes[1:] / np.sqrt(np.diag(covariance)[1:]), rtol=1e-10
    )
    assert found.p_greater[0] < 0.02
    assert found.p_two_sided[2] < 0.02
    assert found.p_greater[2] > 0.9


def test_one_relation_is_the_mantel_test_over_every_permutation() -> None:
    rng = np.random.default_rng(2)
    x, y = relation(rng, 5), relation(rng, 5)
    found = mrqap(y, [x], permutations=200, rng=0)
    pairs = np.triu_indices(5, 1)
    correlations = []
    for order in itertools.permutations(range(5)):
        moved = x[np.ix_(order, order)]
        correlations.append(np.corrcoef(moved[pairs], y[pairs])[0, 1])
    own = np.corrcoef(x[pairs], y[pairs])[0, 1]
    assert found.exact
    assert found.permutations == 119
    expected = np.mean(np.array(correlations) >= own - 1e-12)
    np.testing.assert_allclose(found.p_greater[0], expected, rtol=1e-12)


def test_what_is_not_identified_is_said_to_be() -> None:
    rng = np.random.default_rng(3)
    x = relation(rng, 8)
    found = mrqap(relation(rng, 8), [np.ones((8, 8)), x, 2 * x], permutations=49)
    assert np.isnan(found.coefficient).all()
    alone = mrqap(relation(rng, 8), [np.ones((8, 8)), x], permutations=49)
    assert np.isnan(alone.p_greater[0])
    assert np.isfinite(alone.p_greater[1])


def test_unknown_pairs_are_left_out() -> None:
    rng = np.random.default_rng(4)
    x = relation(rng, 10)
    y = x + 0.1 * relation(rng, 10)
    y[0, 1] = y[1, 0] = np.nan
    found = mrqap(y, [x], permutations=199, rng=1)
    assert found.pairs == 44
    assert found.p_greater[0] == 1 / 200


def test_permutations_are_all_or_a_draw() -> None:
    every, exact = node_permutations(4, 30, 0)
    assert exact
    assert len(np.unique(every, axis=0)) == 23
    some, exact = node_permutations(9, 30, 0)
    assert not exact
    assert some.shape == (30, 9)
    np.testing.assert_array_equal(np.sort(some, axis=1), np.tile(np.arange(9), (30, 1)))
    again, _ = node_permutations(9, 30, 0)
    np.testing.assert_array_equal(some, again)


@pytest.mark.parametrize(
    ("y", "x", "text"),
    [
        (np.eye(3), np.eye(3), "too few"),
        (np.eye(5), np.eye(4), "shape"),
        (np.eye(5), np.full((5, 5), np.nan), "unknown pairs"),
        (np.arange(25.0).reshape(5, 5), np.eye(5), "symmetric"),
        (np.eye(4), np.stack([np.eye(4)] * 5), "pairs for"),
    ],
)
def test_bad_relations_are_refused(y: np.ndarray, x: np.ndarray, text: str) -> None:
    with pytest.raises(DataError, match=text):
        mrqap(y, x)


@pytest.mark.slow
def test_size_with_a_factor_that_everybody_shares_unequally() -> None:
    """Loadings on an unlisted factor move pairs together; whom it concerns is not the predictor."""
    rejected, worlds = np.zeros(2), 600
    for world in range(worlds):
        rng = np.random.default_rng(world)
        loading = rng.uniform(0.2, 0.8, 12)
        member = rng.integers(0, 3, (2, 12))
        x = (member[:, :, None] == member[:, None, :]).astype(float)
        y = np.outer(loading, loading) + 0.05 * relation(rng, 12)
        found = mrqap(y, x, permutations=199, rng=world)
        rejected += found.p_greater <= 0.05
    # Three standard errors of a share of .05 in 600 worlds.
    np.testing.assert_allclose(rejected / worlds, 0.05, atol=3 * np.sqrt(0.05 * 0.95 / worlds))
