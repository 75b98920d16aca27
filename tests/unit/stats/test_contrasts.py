"""Contrasts with and without a weight for every pair and group."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from commonmode.stats import contrasts
from commonmode.stats.comovement import pair_index
from commonmode.stats.contrasts import group_contrasts, group_means

RNG = np.random.default_rng(5)


def every_group(models: int) -> np.ndarray:
    chosen = [c for size in (2, 3, models - 1, models) for c in combinations(range(models), size)]
    return np.array([[m in c for m in range(models)] for c in chosen])


@pytest.mark.parametrize("models", [4, 7, 9])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_both_ways_agree(
    models: int, strict: bool, scaled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = every_group(models)
    contributions = RNG.standard_normal((16, models * (models - 1) // 2))
    scale = RNG.uniform(0.5, 2.0, models) if scaled else None
    whole = group_contrasts(contributions, groups, strict=strict, scale=scale)
    monkeypatch.setattr(contrasts, "_DENSE", 0)
    thin = group_contrasts(contributions, groups, strict=strict, scale=scale)
    np.testing.assert_allclose(thin.values, whole.values, rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(thin.told_apart, whole.told_apart)
    assert whole.weights is not None
    assert thin.weights is None


def test_both_ways_agree_beside_groups_accounted_for(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = every_group(8)
    given = np.zeros((1, 8), dtype=bool)
    given[0, :4] = True
    contributions = RNG.standard_normal((16, 28))
    whole = group_contrasts(contributions, groups, given)
    monkeypatch.setattr(contrasts, "_DENSE", 0)
    thin = group_contrasts(contributions, groups, given)
    np.testing.assert_allclose(thin.values, whole.values, rtol=1e-9, atol=1e-11)
    # The group that is accounted for has nothing left.
    own = np.flatnonzero((groups == given[0]).all(axis=1))
    assert not len(own) or not thin.values[:, own].any()


def test_group_means_are_means_of_the_groups_pairs() -> None:
    groups = every_group(6)
    pairs = RNG.standard_normal(15)
    rows, columns = pair_index(6)
    expected = [pairs[members[rows] & members[columns]].mean() for members in groups]
    np.testing.assert_allclose(group_means(pairs, groups), expected, rtol=1e-12)
