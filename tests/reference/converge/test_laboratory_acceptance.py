"""What the indices promise, on 200 worlds each (slow lane); docs/evidence.md has the tables."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.laboratory import WorldTable, run_worlds
from commonmode.lab.truth import true_effective_number
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.stats.blocks import block_edges
from commonmode.stats.comovement import (
    block_correlation,
    cross_moment_blocks,
    effective_number,
    excess_interval,
)

pytestmark = pytest.mark.slow

SEEDS = range(1, 201)
# A rate of 5 % over 200 worlds, and two simulation standard errors.
LIMIT = 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(SEEDS))


@pytest.fixture(scope="module")
def silent() -> WorldTable:
    return run_worlds(WorldConfig(), SEEDS, controls=True)


@pytest.fixture(scope="module")
def planted() -> WorldTable:
    return run_worlds(WorldConfig(planted_share=0.3), SEEDS)


def test_planted_component_is_found_and_ranked_first(planted: WorldTable) -> None:
    assert planted.rate("found").value >= 0.95
    assert planted.rate("found_blind").value >= 0.90
    assert planted.rate("c2_covers").value >= 0.90
    assert planted.rate("c3_covers").value >= 0.90


@pytest.mark.parametrize("index", ["c2_rejects", "c3_rejects"])
def test_silent_where_nothing_is_planted(silent: WorldTable, index: str) -> None:
    assert silent.rate(index).value <= LIMIT


@pytest.mark.parametrize("control", ["single_benchmark_c2", "single_benchmark_c3", "raw_ratio"])
def test_a_single_benchmark_or_an_unknown_surprise_fails_the_same_test(
    silent: WorldTable, control: str
) -> None:
    assert silent.rate(control).value >= 0.95


def test_circular_shift_fails_with_benchmark_noise_and_holds_without(silent: WorldTable) -> None:
    exact = run_worlds(
        WorldConfig(benchmark_noise_sd=0.0),
        SEEDS,
        c2=False,
        c3=False,
        controls=True,
    )
    assert silent.rate("circular_shift").value >= 0.15
    assert exact.rate("circular_shift").value <= LIMIT


def test_cofailure_is_nearly_unbiased_and_its_interval_covers(silent: WorldTable) -> None:
    ratio = silent.spread("ratio")
    assert abs(ratio.mean - 1.0) <= 0.5 * ratio.deviation
    assert silent.rate("c3_covers").value >= 0.90


@pytest.mark.parametrize("users", [3, 8])
def test_power_at_the_printed_minimum_detectable_share(silent: WorldTable, users: int) -> None:
    printed = silent.spread("detectable_share" if users == 3 else "detectable_common").mean
    config = WorldConfig(planted_share=printed, planted_models=users)
    found = run_worlds(config, SEEDS, c3=False)
    assert found.rate("c2_rejects").value == pytest.approx(0.80, abs=0.10)


def test_a_plain_percentile_interval_of_the_effective_number_would_not_cover() -> None:
    config = WorldConfig(planted_share=0.6)
    truth = true_effective_number(config)
    plain_covers, covers = [], []
    for seed in range(1, 61):
        world = simulate_world(config, seed=seed)
        x = np.log(world.forecast / world.benchmark_a[:, None])
        y = np.log(world.forecast / world.benchmark_b[:, None])
        moments = cross_moment_blocks(x, y, block_edges(len(x), 40))
        rng = np.random.default_rng(seed)
        plain = [
            (block_correlation(moments[rng.integers(0, 40, 40)]).pairs ** 2).sum()
            for _ in range(299)
        ]
        low, high = effective_number(np.quantile(plain, [0.975, 0.025]), 8)
        plain_covers.append(low <= truth <= high)
        few, many = excess_interval(moments, draws=299, rng=seed)
        covers.append(effective_number(many, 8) <= truth <= effective_number(few, 8))
    assert np.mean(plain_covers) < 0.7
    assert np.mean(covers) >= 0.9
