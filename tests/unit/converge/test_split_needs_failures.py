"""Too few failures are said to be so; what is split adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.core.errors import PanelError
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world


def test_a_panel_with_hardly_a_failure_is_refused_with_the_remedy() -> None:
    short = panel_of_world(simulate_world(WorldConfig(times=120, level=0.01), seed=4))
    with pytest.raises(PanelError, match="longer panel or a less extreme level"):
        ConditionalCoFailure().fit(short)


def test_one_model_that_fails_alone_is_said_to_be_alone() -> None:
    panel = panel_of_world(simulate_world(WorldConfig(), seed=4))
    forecast = panel.forecast.copy()
    forecast[:, :, 1:] *= 100.0
    alone = replace(panel, forecast=forecast)
    for case in (alone, replace(alone, benchmark_a=None, benchmark_b=None)):
        with pytest.raises(PanelError, match="no two models ever failed"):
            ConditionalCoFailure().fit(case)


def test_failures_of_one_stretch_of_time_are_said_to_be_so() -> None:
    panel = panel_of_world(simulate_world(WorldConfig(), seed=4))
    outcome = np.abs(panel.outcome)
    outcome[100:130] = -0.5
    with pytest.raises(PanelError, match="one stretch of time"):
        ConditionalCoFailure().fit(replace(panel, outcome=outcome))


def test_few_joint_failures_are_not_split() -> None:
    panel = panel_of_world(
        simulate_world(WorldConfig(models=5, times=500, level=0.02, deviation_sd=0.6), seed=4)
    )
    pair = panel.select_models(panel.models[:2])
    result = ConditionalCoFailure().fit(pair).result_
    assert 0 < result.pair_failures < 20
    assert result.split is None


def test_split_adds_up() -> None:
    panel = panel_of_world(simulate_world(WorldConfig(), seed=4))
    split = ConditionalCoFailure().fit(panel).result_.split
    assert split is not None
    total = split.market.value + split.shared_design.value + split.individual.value
    np.testing.assert_allclose(total, 1.0, atol=1e-12)
