"""Breaking the dependence of scenarios keeps each factor; stretching and filtering scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.core.errors import DataError
from commonmode.core.result import Success
from commonmode.margin.dynamic import (
    JointScenarios,
    ReturnPanel,
    ScenarioKind,
    VolatilityFilter,
    comonotone_scenarios,
    filtered_scenarios,
    fit_vol_response,
    historical_scenarios,
    independent_scenarios,
    sign_patterns,
    tail_measure,
    undiversified,
)

NAMES = ("BTC", "ETH", "SOL", "USDC")


def made(returns: np.ndarray, vols: np.ndarray | None = None) -> JointScenarios:
    return JointScenarios.of(
        NAMES[: returns.shape[1]],
        returns,
        kind=ScenarioKind.HISTORICAL,
        labels=[str(i) for i in range(len(returns))],
        horizon_minutes=60.0,
        vol_moves=vols,
    )


@st.composite
def scenario_sets(draw: st.DrawFn) -> JointScenarios:
    n, u = draw(st.integers(2, 30)), draw(st.integers(1, 3))
    returns = draw(arrays(np.float64, (n, u), elements=st.floats(-0.5, 0.5)))
    vols = draw(arrays(np.float64, (n, u), elements=st.floats(-0.9, 2.0)))
    return made(returns, vols)


def moves_of(scenarios: JointScenarios, u: int) -> list[tuple[float, float]]:
    return sorted(
        zip(scenarios.log_returns[:, u].tolist(), scenarios.vol_moves[:, u].tolist(), strict=True)
    )


@given(scenario_sets(), st.integers(0, 2**32 - 1), st.integers(1, 7))
def test_independent_scenarios_keep_each_factors_own_moves(scenarios, seed, block):
    broken = independent_scenarios(scenarios, rng=seed, block=block)
    for u in range(len(scenarios.factors)):
        assert moves_of(broken, u) == moves_of(scenarios, u)
    again = independent_scenarios(scenarios, rng=seed, block=block)
    np.testing.assert_array_equal(broken.log_returns, again.log_returns)
    assert set(broken.kinds.tolist()) == {ScenarioKind.INDEPENDENT}


@given(scenario_sets())
def test_comonotone_scenarios_keep_each_factor_and_order_it_by_sign(scenarios):
    sets = comonotone_scenarios(scenarios)
    patterns = sign_patterns(len(scenarios.factors))
    assert len(sets) == len(patterns)
    for sign, broken in zip(patterns, sets, strict=True):
        for u in range(len(scenarios.factors)):
            assert moves_of(broken, u) == moves_of(scenarios, u)
            assert np.all(np.diff(broken.log_returns[:, u]) * sign[u] >= 0.0)


@given(scenario_sets(), st.sampled_from([0.5, 0.9, 0.99]), st.data())
def test_one_pattern_makes_every_hedge_of_a_linear_book_fail(scenarios, level, data):
    u = len(scenarios.factors)
    delta = data.draw(arrays(np.float64, u, elements=st.integers(-3, 3).map(float)))
    alone = undiversified((scenarios.log_returns * delta)[None], scenarios.weights, level).sum()
    worst = max(
        float(tail_measure((s.log_returns @ delta)[None, :], s.weights, level).shortfall[0])
        for s in comonotone_scenarios(scenarios)
    )
    joint = tail_measure((scenarios.log_returns @ delta)[None, :], scenarios.weights, level)
    assert worst == pytest.approx(alone, abs=1e-9)
    assert float(joint.shortfall[0]) <= alone + 1e-9


@given(scenario_sets(), st.floats(6.0, 600.0), st.floats(0.1, 1e4))
def test_stretching_twice_is_stretching_once(scenarios, first, second):
    # Between a tenth and ten times the hour of the scenarios: a volatility that is stretched to
    # next to nothing is stored as a move of nearly -1, and comes back with few digits.
    twice, once = scenarios.over(first).over(second), scenarios.over(second)
    np.testing.assert_allclose(twice.log_returns, once.log_returns, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(twice.vol_moves, once.vol_moves, rtol=1e-7, atol=1e-12)
    assert np.all(once.vol_moves >= -1.0)
    back = once.over(60.0)
    np.testing.assert_allclose(back.log_returns, scenarios.log_returns, rtol=1e-9, atol=1e-15)


def test_unequal_weights_cannot_be_reshuffled():
    uneven = JointScenarios.of(
        ("BTC",),
        [[0.1], [0.2]],
        kind=ScenarioKind.HYPOTHETICAL,
        labels=["a", "b"],
        horizon_minutes=60.0,
        weights=[1.0, 2.0],
    )
    for breaking in (comonotone_scenarios, lambda s: independent_scenarios(s, rng=1)):
        with pytest.raises(DataError, match="equal weights"):
            breaking(uneven)


def test_independent_rows_have_no_correlation_left_and_filtered_rows_keep_theirs():
    rng = np.random.default_rng(5)
    common = rng.normal(size=(4000, 1))
    returns = 0.01 * (common + 0.3 * rng.normal(size=(4000, 2)))
    panel = ReturnPanel(("BTC", "ETH"), np.arange(1, 4001) * 3_600_000, returns, 3_600_000)
    joint = historical_scenarios(panel)
    whole = np.corrcoef(joint.log_returns.T)[0, 1]
    filtered = filtered_scenarios(panel)
    assert isinstance(filtered, Success)
    assert np.corrcoef(filtered.value.log_returns.T)[0, 1] == pytest.approx(whole, abs=0.03)
    broken = independent_scenarios(joint, rng=7)
    # Four standard errors of a correlation of independent rows.
    assert abs(np.corrcoef(broken.log_returns.T)[0, 1]) < 4.0 / np.sqrt(4000)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0.1, 50.0))
def test_filtering_scales_with_the_unit(seed, bars, unit):
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(200, 2)) * 0.01
    times = np.arange(1, 201) * 3_600_000
    settings = VolatilityFilter(decay=0.9)
    one = filtered_scenarios(
        ReturnPanel(("BTC", "ETH"), times, returns, 3_600_000), settings, bars=bars
    )
    other = filtered_scenarios(
        ReturnPanel(("BTC", "ETH"), times, returns * unit, 3_600_000), settings, bars=bars
    )
    assert isinstance(one, Success)
    assert isinstance(other, Success)
    np.testing.assert_allclose(
        other.value.log_returns, unit * one.value.log_returns, rtol=1e-9, atol=1e-14
    )


@given(st.floats(-0.1, 0.1), st.floats(-5.0, 5.0), st.floats(-5.0, 5.0), st.integers(0, 2**32 - 1))
def test_volatility_response_is_recovered_where_there_is_no_noise(intercept, leverage, size, seed):
    r = np.random.default_rng(seed).normal(size=60) * 0.05
    moves = np.expm1(intercept + leverage * r + size * np.abs(r))
    r_with_hole = np.append(r, np.nan)
    fit = fit_vol_response(r_with_hole, np.append(moves, 0.0), horizon_minutes=60.0)
    assert fit.observations == 60
    assert (fit.intercept, fit.leverage, fit.size) == pytest.approx(
        (intercept, leverage, size), abs=1e-9
    )
    np.testing.assert_allclose(fit.vol_moves(r), moves, rtol=1e-8, atol=1e-10)


def test_volatility_response_with_noise_has_its_residual_and_refuses_too_little():
    rng = np.random.default_rng(8)
    r = rng.normal(size=5000) * 0.05
    y = -2.0 * r + 1.0 * np.abs(r) + 0.1 * rng.normal(size=5000)
    fit = fit_vol_response(r, np.expm1(y), horizon_minutes=1440.0)
    assert fit.residual_std == pytest.approx(0.1, rel=0.05)
    assert fit.leverage == pytest.approx(-2.0, abs=4 * 0.1 / (0.05 * np.sqrt(5000)))
    assert 0.0 < fit.r_squared < 1.0
    lifted = fit.vol_moves(r, np.ones_like(r))
    assert np.all(lifted > fit.vol_moves(r))
    with pytest.raises(DataError, match="leverage and size"):
        fit_vol_response(np.array([0.1, 0.2, 0.3, 0.4]), np.zeros(4), horizon_minutes=60.0)
    with pytest.raises(DataError, match="one factor at a time"):
        fit_vol_response(np.zeros((2, 2)), np.zeros((2, 2)), horizon_minutes=60.0)
