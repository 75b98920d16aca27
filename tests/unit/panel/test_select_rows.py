"""A panel at some of its times: every column and every marked failure is cut to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.errors import PanelError
from commonmode.core.result import Failure, FailureReason
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import CellFailure, ErrorPanel
from commonmode.panel.laboratory import panel_of_world

WHY = Failure(FailureReason.MISSING_DATA, "no bar")


@pytest.fixture(scope="module")
def panel() -> ErrorPanel:
    panel = panel_of_world(simulate_world(WorldConfig(times=60, models=5), seed=1))
    cells = ((0, 10), (15, 10), (29, 1), (30, 5))
    marked = [
        CellFailure(panel.models[0], panel.targets[0], int(panel.times_ms[at]), count, WHY)
        for at, count in cells
    ]
    return replace(panel, failures=tuple(marked))


def test_every_column_is_cut(panel: ErrorPanel) -> None:
    part = panel.select_rows(slice(20, 30))
    assert part.shape == (10, *panel.shape[1:])
    for name in ("times_ms", "forecast", "outcome", "scale", "benchmark_a", "benchmark_b"):
        assert np.array_equal(getattr(part, name), getattr(panel, name)[20:30], equal_nan=True)
    assert part.state.keys() == panel.state.keys()
    for name, column in part.state.items():
        assert np.array_equal(column, panel.state[name][20:30], equal_nan=True)


def test_failures_that_reach_into_the_rows_are_cut_to_them(panel: ErrorPanel) -> None:
    part = panel.select_rows(slice(20, 30))
    assert [(f.time_ms, f.count) for f in part.failures] == [
        (int(panel.times_ms[20]), 5),
        (int(panel.times_ms[29]), 1),
    ]
    assert panel.select_rows(slice(0, 60)).failures == panel.failures


def test_a_panel_without_benchmarks_stays_without(panel: ErrorPanel) -> None:
    bare = replace(panel, benchmark_a=None, benchmark_b=None)
    part = bare.select_rows(slice(5, None))
    assert part.benchmark_a is None
    assert part.benchmark_b is None
    assert len(part.times_ms) == 55


def test_rows_with_a_step_are_refused(panel: ErrorPanel) -> None:
    with pytest.raises(PanelError, match="step of 2"):
        panel.select_rows(slice(0, 20, 2))
