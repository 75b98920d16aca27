"""Bounds and invariances of the tools, of the measures and of equal coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.margin.coverage import coverage_cells, coverage_frontier, equal_coverage_scale
from commonmode.margin.procyclicality import (
    ProcyclicalityControl,
    buffered,
    floored,
    speed_limited,
    stressed_weighted,
)
from commonmode.margin.procyclicality_measures import mean_cost, n_step_rise, peak_to_trough

POSITIVE = st.floats(0.01, 1e6)
PATHS = st.tuples(st.integers(2, 25), st.integers(1, 3)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=POSITIVE)
)
CONTROLS = st.builds(
    ProcyclicalityControl,
    buffer=st.floats(0.0, 1.0),
    stressed_weight=st.floats(0.0, 1.0),
    limit=st.one_of(st.floats(1.0, 3.0), st.just(float("inf"))),
    lag=st.integers(1, 6),
)


@given(PATHS, CONTROLS, st.floats(0.0, 1e6), st.floats(0.0, 1e6))
def test_steps_give_the_same_bits_as_the_path(raw, control, floor, release):
    stressed = raw[::-1]
    path = control.path(raw, stressed=stressed, floor=floor, release=release)
    steps = np.empty_like(raw)
    for t in range(len(raw)):
        steps[t] = control.step(
            steps[max(t - control.lag, 0) : t],
            raw[t],
            stressed=stressed[t],
            floor=floor,
            release=release,
        )
    assert steps.tobytes() == path.tobytes()


@given(PATHS, st.floats(0.0, 2.0), st.floats(0.0, 1e7), st.floats(0.0, 1e6), st.floats(0.0, 1.0))
def test_buffer_and_floor_only_add_and_are_monotone(raw, buffer, release, floor, more):
    with_buffer = buffered(raw, release, buffer=buffer)
    assert np.all(with_buffer >= raw)
    assert np.all(with_buffer <= (1.0 + buffer) * raw)
    assert np.all(buffered(raw, release, buffer=buffer + more) >= with_buffer)
    assert np.all(buffered((1.0 + more) * raw, release, buffer=buffer) >= with_buffer)
    assert np.all(floored(raw, floor) >= np.maximum(raw, floor) - 1e-12)
    np.testing.assert_array_equal(floored(floored(raw, floor), floor), floored(raw, floor))


@given(PATHS, st.floats(0.0, 1.0))
def test_stressed_weight_lies_between(raw, weight):
    stressed = raw[::-1]
    mixed = stressed_weighted(raw, stressed, weight=weight)
    slack = 1e-9 * np.maximum(raw, stressed)
    assert np.all(mixed >= np.minimum(raw, stressed) - slack)
    assert np.all(mixed <= np.maximum(raw, stressed) + slack)


@given(PATHS, st.floats(1.0, 3.0), st.integers(1, 6))
def test_speed_limit_bounds_the_rise_and_never_adds(raw, limit, lag):
    limited = speed_limited(raw, limit=limit, lag=lag)
    assert np.all(limited <= raw)
    assert np.all(limited[lag:] <= limit * limited[:-lag])
    if len(raw) > lag:
        assert np.all(n_step_rise(limited, lag) <= limit * (1.0 + 1e-12))
    np.testing.assert_array_equal(speed_limited(limited, limit=limit, lag=lag), limited)


@given(PATHS, st.floats(1.0, 3.0), st.floats(0.01, 1e6))
def test_limited_margin_stays_above_a_constant_floor(raw, limit, floor):
    controlled = ProcyclicalityControl(limit=limit).path(raw, floor=floor)
    assert np.all(controlled >= floor)


@given(PATHS, st.floats(1e-3, 1e3))
def test_measures_do_not_depend_on_the_unit(raw, unit):
    one, other = peak_to_trough(raw), peak_to_trough(unit * raw)
    np.testing.assert_allclose(other.ratio, one.ratio, rtol=1e-9)
    np.testing.assert_allclose(other.rise, one.rise, rtol=1e-9)
    np.testing.assert_allclose(other.fall, one.fall, rtol=1e-9)
    np.testing.assert_allclose(n_step_rise(unit * raw, 1), n_step_rise(raw, 1), rtol=1e-9)
    np.testing.assert_allclose(mean_cost(unit * raw), unit * mean_cost(raw), rtol=1e-9)


@given(PATHS)
def test_peak_to_trough_is_the_rise_or_the_fall(raw):
    got = peak_to_trough(raw)
    np.testing.assert_allclose(
        got.ratio, np.where(got.trough_first, got.rise, got.fall), rtol=1e-12
    )
    assert np.all(np.maximum(got.rise, got.fall) <= got.ratio * (1.0 + 1e-12))
    back = peak_to_trough(raw[::-1])
    np.testing.assert_allclose(back.rise, got.fall, rtol=1e-12)
    largest = np.max([n_step_rise(raw, n) for n in range(1, len(raw))], axis=0)
    np.testing.assert_allclose(np.maximum(largest, 1.0), got.rise, rtol=1e-12)


@st.composite
def backtests(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = (draw(st.integers(5, 60)), draw(st.integers(1, 3)))
    margin = draw(arrays(np.float64, shape, elements=st.floats(0.1, 100.0)))
    # In steps of a millionth: the reciprocal of a denormal loss is no scale.
    losses = np.round(draw(arrays(np.float64, shape, elements=st.floats(-100.0, 100.0))), 6)
    return margin, losses


@given(backtests(), st.sampled_from([0.0, 0.01, 0.05, 0.2, 0.5]))
def test_scale_gives_the_coverage_and_less_does_not(backtest, level):
    margin, losses = backtest
    scale = equal_coverage_scale(margin, losses, level)
    allowed = np.floor(level * len(losses) * (1 + 1e-12))
    breaches = (losses > scale * margin).sum(axis=0)
    assert np.all(breaches <= allowed)
    less = (losses > 0.999 * scale * margin).sum(axis=0)
    assert np.all((less > allowed) | (scale == 0.0))


@given(backtests(), st.sampled_from([0.01, 0.1, 0.3]), st.floats(0.01, 100.0))
def test_equal_coverage_forgets_the_scale_of_a_method(backtest, level, factor):
    margin, losses = backtest
    one = equal_coverage_scale(margin, losses, level)
    other = equal_coverage_scale(factor * margin, losses, level)
    np.testing.assert_allclose(factor * other, one, rtol=1e-9, atol=1e-12)


@given(backtests())
def test_more_margin_costs_more_and_covers_more(backtest):
    margin, losses = backtest
    scales = np.linspace(0.0, 3.0, 7)
    got = coverage_frontier(margin, losses, scales)
    assert np.all(np.diff(got.cost, axis=0) > 0.0)
    assert np.all(np.diff(got.breach_rate, axis=0) <= 0.0)
    assert np.all(np.diff(got.mean_shortfall, axis=0) <= 1e-12)
    cells = coverage_cells(margin, losses, level=0.1)
    at_one = coverage_frontier(margin, losses, [1.0])
    assert [cell.rate for cell in cells] == pytest.approx(at_one.breach_rate[0].tolist())


@given(backtests(), st.integers(1, 4))
def test_offsets_of_the_sub_grid_share_out_every_row(backtest, horizon):
    margin, losses = backtest
    by_offset = [
        coverage_cells(margin, losses, level=0.1, horizon=horizon, offset=k) for k in range(horizon)
    ]
    for a in range(margin.shape[1]):
        assert sum(cells[a].observations for cells in by_offset) == len(losses)
        assert sum(cells[a].breaches for cells in by_offset) == int(
            (losses[:, a] > margin[:, a]).sum()
        )
