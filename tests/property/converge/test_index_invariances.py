"""What must not change C2 and C3: order of models, units of the market."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.converge.cofailure import CoFailureResult, ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber, EffectiveNumberResult
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world


@cache
def _panel() -> ErrorPanel:
    config = WorldConfig(models=6, times=2000, planted_share=0.6)
    return panel_of_world(simulate_world(config, seed=8))


def _measure(panel: ErrorPanel) -> tuple[EffectiveNumberResult, CoFailureResult]:
    c2 = EffectiveNumber(flips=199, draws=20).fit(panel).result_
    return c2, ConditionalCoFailure(flips=199, draws=20).fit(panel).result_


@cache
def _base() -> tuple[EffectiveNumberResult, CoFailureResult]:
    return _measure(_panel())


@settings(max_examples=8)
@given(st.permutations(range(6)))
def test_order_of_models_does_not_matter(order: list[int]) -> None:
    panel = _panel()
    moved = panel.select_models(tuple(panel.models[i] for i in order))
    (c2, c3), (base2, base3) = _measure(moved), _base()
    np.testing.assert_allclose(c2.correlation, base2.correlation[np.ix_(order, order)], atol=1e-9)
    assert c2.effective_number == pytest.approx(base2.effective_number)
    assert c2.minimum_detectable_share == pytest.approx(base2.minimum_detectable_share, rel=0.05)
    assert set(c2.found[0].group.members) == set(base2.found[0].group.members)
    assert c2.found[0].estimate == pytest.approx(base2.found[0].estimate)
    assert c3.ratio == pytest.approx(base3.ratio, abs=1e-6)
    assert c3.interval == pytest.approx(base3.interval, abs=1e-6)
    assert c3.p_value == base3.p_value
    np.testing.assert_array_equal(c3.failures, base3.failures[order])


@settings(max_examples=8)
@given(st.floats(1e-3, 1e3))
def test_units_of_the_market_do_not_matter(factor: float) -> None:
    panel = _panel()
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    scaled = replace(
        panel,
        forecast=panel.forecast * factor,
        outcome=panel.outcome * factor,
        scale=panel.scale * factor,
        benchmark_a=panel.benchmark_a * factor,
        benchmark_b=panel.benchmark_b * factor,
    )
    (c2, c3), (base2, base3) = _measure(scaled), _base()
    np.testing.assert_allclose(c2.correlation, base2.correlation, atol=1e-9)
    assert c2.p_value == base2.p_value
    assert c3.pair_failures == pytest.approx(base3.pair_failures, abs=1)
    assert c3.ratio == pytest.approx(base3.ratio, abs=1e-5)


def test_swapping_the_benchmarks_does_not_matter() -> None:
    panel = _panel()
    swapped = replace(panel, benchmark_a=panel.benchmark_b, benchmark_b=panel.benchmark_a)
    (c2, c3), (base2, base3) = _measure(swapped), _base()
    np.testing.assert_allclose(c2.correlation, base2.correlation, atol=1e-12)
    assert c3.ratio == pytest.approx(base3.ratio, abs=1e-9)
