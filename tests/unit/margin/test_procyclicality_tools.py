"""Tools and measures of procyclicality on paths that can be followed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.procyclicality import (
    ProcyclicalityControl,
    buffered,
    floored,
    speed_limited,
    stressed_weighted,
)
from commonmode.margin.procyclicality_measures import (
    ewma_step_volatility,
    impulse_response,
    mean_cost,
    n_step_rise,
    peak_to_trough,
)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)[:, None]


def test_tools_by_hand():
    path = column(80, 100, 120, 200)
    # Buffer of a quarter, released from 140 on.
    assert buffered(path, 140.0, buffer=0.25)[:, 0].tolist() == [100, 125, 140, 200]
    assert stressed_weighted(path, 200.0, weight=0.25)[:, 0].tolist() == [110, 125, 140, 200]
    assert floored(path, 110.0)[:, 0].tolist() == [110, 110, 120, 200]
    assert speed_limited(path, limit=1.5)[:, 0].tolist() == [80, 100, 120, 180]
    assert speed_limited(path, limit=1.25)[:, 0].tolist() == [80, 100, 120, 150]
    # Over two steps the first two are free; the limit refers to the limited path.
    long = column(100, 100, 200, 200, 400, 400)
    assert speed_limited(long, limit=1.5, lag=2)[:, 0].tolist() == [100, 100, 150, 150, 225, 225]


def test_margin_that_was_zero_is_free_to_rise():
    assert speed_limited(column(0, 100, 300), limit=2.0)[:, 0].tolist() == [0, 100, 200]


def test_control_applies_weight_floor_buffer_then_speed():
    control = ProcyclicalityControl(buffer=0.25, stressed_weight=0.5, limit=1.1)
    got = control.path(column(50, 100), stressed=column(70, 140), floor=80.0, release=110.0)
    # 60 -> floor 80 -> buffer 100; 120 -> above release 120 -> limit 110.
    np.testing.assert_allclose(got[:, 0], [100.0, 110.0])
    with pytest.raises(ConfigurationError, match="without stressed margin"):
        control.path(column(1.0))


def test_tool_parameters_are_checked():
    for settings in ({"buffer": -0.1}, {"stressed_weight": 2.0}, {"limit": 0.9}, {"lag": 0}):
        with pytest.raises(ConfigurationError):
            ProcyclicalityControl(**settings)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="paths are"):
        speed_limited(np.ones(3), limit=2.0)


def test_peak_to_trough_says_which_came_first():
    path = np.array([[100.0, 300.0], [50.0, 100.0], [150.0, 200.0]])
    got = peak_to_trough(path)
    assert got.ratio.tolist() == [3.0, 3.0]
    assert got.rise.tolist() == [3.0, 2.0]
    assert got.fall.tolist() == [2.0, 3.0]
    assert got.trough_first.tolist() == [True, False]
    assert got.peak.tolist() == [2, 0]
    assert got.trough.tolist() == [1, 1]


def test_rise_and_cost_by_hand():
    path = column(100, 120, 90, 180)
    assert n_step_rise(path, 1)[0] == 2.0
    assert n_step_rise(path, 2)[0] == 1.5
    assert n_step_rise(path, 3)[0] == pytest.approx(1.8)
    assert mean_cost(path)[0] == 122.5
    assert mean_cost(column(1.0, np.nan, 3.0))[0] == 2.0
    with pytest.raises(DataError, match="longer path"):
        n_step_rise(path, 4)


def test_a_path_with_a_hole_is_unknown_and_harms_no_other():
    path = np.array([[1.0, 1.0, 0.0], [np.nan, 2.0, 1.0]])
    assert np.isnan(peak_to_trough(path).ratio).tolist() == [True, False, True]
    assert np.isnan(n_step_rise(path, 1)).tolist() == [True, False, True]
    assert peak_to_trough(path).rise[1] == 2.0


def test_impulse_of_an_ewma_settles_on_the_step():
    vol = ewma_step_volatility(0.01, 0.02, decay=0.9, steps=200, lead=5)
    got = impulse_response(lambda v: 3.0 * v[:, None], vol, lead=5)
    assert got.settled[0] == pytest.approx(2.0, rel=1e-6)
    assert got.overshoot[0] == pytest.approx(0.0, abs=1e-9)
    # Half of the way in volatility: 1.5^2 = 4 - 3 x 0.9^t.
    assert got.half_time[0] == math.ceil(math.log(1.75 / 3.0) / math.log(0.9))
    limited = impulse_response(
        lambda v: ProcyclicalityControl(limit=1.01).path(3.0 * v[:, None]), vol, lead=5
    )
    assert limited.largest_step[0] == pytest.approx(1.01)
    assert limited.half_time[0] > got.half_time[0]
    still = impulse_response(lambda v: v[:, None], np.full(4, 0.5))
    assert np.isnan(still.half_time[0])
    with pytest.raises(DataError, match="positive before"):
        impulse_response(lambda v: 0.0 * v[:, None], vol)
