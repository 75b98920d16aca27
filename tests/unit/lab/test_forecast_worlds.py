"""Forecast worlds and the truth about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from commonmode.core.errors import ConfigurationError
from commonmode.lab.truth import (
    share_at_cofailure_ratio,
    true_cofailure_ratio,
    true_effective_number,
)
from commonmode.lab.worlds import WorldConfig, simulate_world


def test_same_seed_same_world_and_the_market_does_not_know_what_is_planted() -> None:
    config = WorldConfig(times=300)
    one, again = simulate_world(config, seed=5), simulate_world(config, seed=5)
    planted = simulate_world(replace(config, planted_share=0.5), seed=5)
    np.testing.assert_array_equal(one.forecast, again.forecast)
    np.testing.assert_array_equal(one.outcome, planted.outcome)
    np.testing.assert_array_equal(one.benchmark_a, planted.benchmark_a)
    assert one.planted is None
    assert len(planted.planted_models) == 3


def test_deviations_have_the_stated_law() -> None:
    config = WorldConfig(times=200_000, planted_share=0.4, planted_models=3)
    world = simulate_world(config, seed=1)
    deviation = np.log(world.forecast / world.true_quantile[:, None])
    correlation = np.corrcoef(deviation.T)
    inside = np.isin(world.models, world.planted_models)
    want = np.where(np.outer(inside, inside), 0.4, 0.0)
    np.fill_diagonal(want, 1.0)
    np.testing.assert_allclose(correlation, want, atol=0.04)
    np.testing.assert_allclose(deviation.std(axis=0), 0.15, rtol=0.05)
    lagged = np.mean(deviation[1:] * deviation[:-1], axis=0) / deviation.var(axis=0)
    np.testing.assert_allclose(lagged, 0.9, atol=0.02)
    breaches = np.mean(world.outcome < world.true_quantile)
    assert breaches == pytest.approx(0.025, abs=0.002)


def test_cards_name_the_planted_component_for_its_users_only() -> None:
    world = simulate_world(WorldConfig(times=20, planted_share=0.3), seed=2)
    users = [c.model for c in world.cards if world.planted in {u.component for u in c.components}]
    assert tuple(users) == world.planted_models


@pytest.mark.parametrize(
    "wrong", [{"models": 4}, {"planted_share": 1.0}, {"planted_models": 1}, {"planted_models": 9}]
)
def test_impossible_worlds_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        WorldConfig(**wrong)  # type: ignore[arg-type]
    assert refused.value.remedy


def test_nothing_planted_means_independence() -> None:
    assert true_effective_number(WorldConfig()) == 8.0
    assert true_cofailure_ratio(WorldConfig()) == 1.0


def test_effective_number_of_a_planted_trio() -> None:
    assert true_effective_number(WorldConfig(planted_share=0.3)) == pytest.approx(64 / 8.54)


@pytest.mark.parametrize(("share", "users"), [(0.3, 8), (0.8, 8), (0.8, 3)])
def test_true_cofailure_against_a_very_long_history(share: float, users: int) -> None:
    config = WorldConfig(planted_share=share, planted_models=users, times=400_000)
    world = simulate_world(config, seed=12)
    failed = (world.outcome[:, None] < world.forecast).astype(float)
    # the same market with independent deviations: what would be expected given the surprise
    joint = ((failed.sum(1) ** 2 - failed.sum(1)) / 2).reshape(200, -1).sum(axis=1)
    with np.errstate(divide="ignore"):
        surprise = np.log(np.clip(-world.outcome, 0, None) / -world.true_quantile)
    expected = (28 * ndtr(surprise / 0.15) ** 2).reshape(200, -1).sum(axis=1)
    ratio = joint.sum() / expected.sum()
    error = np.sqrt(200) * (joint - ratio * expected).std() / expected.sum()
    assert true_cofailure_ratio(config) == pytest.approx(ratio, abs=3.5 * error)
    assert error < 0.02


def test_share_at_a_ratio_inverts_the_ratio() -> None:
    config = WorldConfig(planted_models=8)
    share = share_at_cofailure_ratio(config, 1.05)
    assert true_cofailure_ratio(replace(config, planted_share=share)) == pytest.approx(1.05)
    with pytest.raises(ConfigurationError, match="outside"):
        share_at_cofailure_ratio(config, 3.0)
