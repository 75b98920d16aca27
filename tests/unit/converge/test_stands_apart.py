"""A model that reads what the benchmarks are made of is left out, and said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.converge.analysis import analyse_panel
from commonmode.converge.apart import stands_apart
from commonmode.converge.findings import panel_findings
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world


def _with_follower(seed: int) -> ErrorPanel:
    """A world and a model that averages the two benchmarks."""
    panel = panel_of_world(simulate_world(WorldConfig(), seed=seed))
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    mean = -np.sqrt(panel.benchmark_a * panel.benchmark_b)
    return replace(
        panel,
        models=(*panel.models, ModelId("follower")),
        forecast=np.concatenate([panel.forecast, mean[:, :, None]], axis=2),
        exposure_usd=np.ones(len(panel.models) + 1),
    )


def test_honest_models_stand_apart() -> None:
    for seed in range(5):
        assert stands_apart(panel_of_world(simulate_world(WorldConfig(), seed=seed))).all()


def test_follower_is_left_out_and_the_others_are_unharmed() -> None:
    panel = _with_follower(seed=1)
    assert stands_apart(panel).tolist() == [True] * 8 + [False]
    analysis = analyse_panel(panel)
    alone = analyse_panel(panel_of_world(simulate_world(WorldConfig(), seed=1)))
    assert [entry.model for entry in analysis.left_out] == ["follower"]
    assert isinstance(analysis.c2, Success)
    assert isinstance(alone.c2, Success)
    assert analysis.c2.value.effective_number == alone.c2.value.effective_number
    assert any(
        "follower deviates from the benchmarks" in f.sentence for f in panel_findings(analysis)
    )


def test_without_benchmarks_everybody_stands_apart() -> None:
    panel = replace(_with_follower(seed=2), benchmark_a=None, benchmark_b=None)
    assert stands_apart(panel).all()


def test_where_nobody_stands_apart_no_number_is_stated() -> None:
    panel = _with_follower(seed=1)
    assert panel.benchmark_a is not None
    copies = np.repeat(panel.benchmark_a[:, :, None], len(panel.models), axis=2)
    analysis = analyse_panel(replace(panel, forecast=copies))
    assert analysis.left_out == ()
    assert isinstance(analysis.c2, Failure)
    assert "cannot be judged" in analysis.c2.message
