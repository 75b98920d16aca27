"""C1 on more models than every draw can compare in full."""

from __future__ import annotations

import numpy as np
import pytest

import commonmode.register.graph as graph_module
from commonmode.register.graph import jaccard, similarity_interval


def uses(models: int, parts: int = 30, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    popular = 1.0 / np.arange(1, parts + 1)
    there = rng.random((models, parts)) < popular
    return np.where(there, rng.uniform(0.2, 1.0, (models, parts)), 0.0)


def test_pairs_within_groups_give_the_interval_of_all_pairs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use = uses(300)
    whole = similarity_interval(use, draws=300)
    monkeypatch.setattr(graph_module, "_PAIRS", 10_000)
    grouped = similarity_interval(use, draws=300)
    width = whole[1] - whole[0]
    np.testing.assert_allclose(grouped, whole, atol=0.35 * width)
    assert grouped[1] - grouped[0] == pytest.approx(width, rel=0.35)


def test_large_and_small_similarity_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    use = uses(60)
    use[7] = 0.0  # uses nothing
    weights = np.linspace(0.5, 2.0, use.shape[1])
    direct = jaccard(use, weights)
    monkeypatch.setattr(graph_module, "_DENSE", 0)
    np.testing.assert_allclose(jaccard(use, weights), direct, atol=1e-12)
    assert direct[7, 7] == 1.0
    assert direct[7, 8] == 0.0
