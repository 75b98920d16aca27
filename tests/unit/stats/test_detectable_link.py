"""Links of the size that three tests together find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from commonmode.stats.blocks import block_edges
from commonmode.stats.crosslags import direction_contributions, lag_moments, whiten_together
from commonmode.stats.detectable_link import LinkTests, _directions, detectable_links

TYPICAL = LinkTests(
    memory=np.array([0.8]),
    shared=0.3,
    unit=1.5,
    errors=(0.018, 0.022, 0.022),
    criticals=(2.95, 2.8, 2.8),
    blocks=40,
    models=6,
    own_order=6,
)


@pytest.mark.parametrize(("memory", "shared"), [([0.8], 0.3), ([0.5, 0.2], 0.0)])
def test_directions_of_a_chain_against_a_long_one(memory: list[float], shared: float) -> None:
    times, strength = 400_000, 0.2
    rng = np.random.default_rng(4)
    shocks = np.sqrt(1 - shared) * rng.standard_normal((times, 3))
    shocks += np.sqrt(shared) * rng.standard_normal((times, 1))
    d = np.zeros((times, 3))
    for i in range(3):
        pushed = np.zeros(times)
        if i:
            pushed[1:] = strength * d[:-1, i - 1]
        d[:, i] = lfilter([1.0], [1.0, *(-m for m in memory)], shocks[:, i] + pushed)
    one, own = _directions(np.array(memory), shared, strength, 10**9, 6)
    edges, rows = block_edges(times, 10), np.ones(times, dtype=np.bool_)
    parts = [whiten_together(d[:, [i]], d[:, [i]], 6, edges, rows)[0] for i in range(3)]
    one_for_all = d.copy()
    for k, m in enumerate(memory, 1):
        one_for_all[k:] -= m * d[:-k]
    for filtered, expected in ((one_for_all, one), (np.concatenate(parts, axis=1), own)):
        moments, _ = lag_moments(filtered, filtered, 1, edges, rows & (np.arange(times) > 10))
        size = np.sqrt(np.diag(moments.sum(axis=0))[:3])
        found = direction_contributions(moments, 3).sum(axis=0)[0] / np.outer(size, size)
        assert found == pytest.approx(expected, abs=0.008)


def test_a_chain_s_further_links_need_more_where_shocks_are_shared() -> None:
    first, onward = detectable_links(TYPICAL)
    assert 0.1 < first < onward < 0.3
    apart = detectable_links(replace(TYPICAL, shared=0.0))
    assert apart[1] == pytest.approx(apart[0], rel=0.03)


def test_noise_and_few_blocks_make_it_larger_up_to_one() -> None:
    first, onward = detectable_links(TYPICAL)
    noisy = detectable_links(replace(TYPICAL, errors=(0.036, 0.044, 0.044)))
    few = detectable_links(replace(TYPICAL, blocks=16))
    assert noisy[0] > 1.8 * first
    assert few[0] > first
    assert few[1] > onward
    assert detectable_links(replace(TYPICAL, blocks=8)) == (1.0, 1.0)
    assert detectable_links(replace(TYPICAL, errors=(0.018, np.inf, 0.022))) == (1.0, 1.0)


def test_the_least_powerful_test_decides() -> None:
    blind = replace(TYPICAL, errors=(0.2, 0.001, 0.001))
    assert detectable_links(blind)[0] == pytest.approx(0.2 * 4.2, rel=0.1)


def test_a_memory_without_end_is_shortened() -> None:
    first, _ = detectable_links(replace(TYPICAL, memory=np.array([1.02])))
    assert 0.0 < first <= 1.0


def test_a_system_lost_in_noise_still_has_an_answer() -> None:
    lost = replace(
        TYPICAL,
        memory=np.array([1.279, -0.083, -0.218]),
        shared=-1.0,
        unit=0.08,
        errors=(0.24, 0.2, 0.54),
    )
    assert detectable_links(lost)[0] > 0.9
