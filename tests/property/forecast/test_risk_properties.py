"""Algebra that every risk model obeys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.ids import InstrumentId
from commonmode.core.result import Success
from commonmode.forecast import Ewma, GarchParameters, HistoricalSimulation
from commonmode.forecast.ewma import ewma_variance
from commonmode.forecast.garch_filter import garch_variance, total_variance
from commonmode.forecast.tails import empirical_tail, normal_tail, student_tail
from commonmode.market.history import History

STEP = 3_600_000
FAST = (
    HistoricalSimulation(window=120),
    Ewma(window=120),
    Ewma(window=120, innovations="empirical"),
)


def history_of(returns: np.ndarray, price: float) -> History:
    close = price * np.exp(np.concatenate(([0.0], np.cumsum(returns))))
    times = STEP * np.arange(1, len(close) + 1, dtype=np.int64)
    return History(InstrumentId("X"), STEP, times, {"close": close})


def forecast(model, returns: np.ndarray, price: float = 1.0, level: float = 0.05):
    history = history_of(returns, price)
    fit = model.calibrate(history)
    assert isinstance(fit, Success)
    return fit.value.forecast(history, np.array([len(returns)]), horizon=1, level=level)


seeds = st.integers(0, 10_000)


@settings(max_examples=25)
@given(seed=seeds, scale=st.floats(0.1, 10.0), price=st.floats(0.01, 1e5))
@pytest.mark.parametrize("model", FAST, ids=lambda m: m.id)
def test_unit_of_price_is_nothing_and_unit_of_return_is_all(model, seed, scale, price) -> None:
    returns = 0.01 * np.random.default_rng(seed).standard_t(5, 150)
    plain = forecast(model, returns)
    scaled = forecast(model, scale * returns, price)
    for one, two in zip(
        (plain.vol, plain.quantile, plain.shortfall),
        (scaled.vol, scaled.quantile, scaled.shortfall),
        strict=True,
    ):
        np.testing.assert_allclose(scale * one, two, rtol=1e-8)


@settings(max_examples=25)
@given(seed=seeds, low=st.floats(0.01, 0.2), high=st.floats(0.21, 0.49))
@pytest.mark.parametrize("model", FAST, ids=lambda m: m.id)
def test_deeper_levels_lose_more(model, seed, low, high) -> None:
    returns = 0.01 * np.random.default_rng(seed).standard_t(5, 150)
    deep, shallow = forecast(model, returns, level=low), forecast(model, returns, level=high)
    assert deep.quantile[0] <= shallow.quantile[0]
    assert deep.shortfall[0] <= shallow.shortfall[0]
    assert deep.shortfall[0] <= deep.quantile[0]


@given(dof=st.floats(2.1, 200.0), level=st.floats(0.001, 0.4))
def test_student_shortfall_is_beyond_its_quantile_and_the_normals(dof, level) -> None:
    tail = student_tail(level, dof)
    assert tail.shortfall < tail.quantile < 0.0
    if level <= 0.01:
        assert tail.shortfall < normal_tail(level).shortfall + 1e-9


@given(seed=seeds, cut=st.integers(0, 60), beta=st.floats(0.0, 0.99), gamma=st.floats(-0.05, 0.2))
def test_filters_can_be_stopped_and_resumed(seed, cut, beta, gamma) -> None:
    returns = np.random.default_rng(seed).standard_normal(60)
    p = GarchParameters(omega=0.01, alpha=0.06, gamma=gamma, beta=beta)
    whole = garch_variance(returns, p, 1.0)
    np.testing.assert_array_equal(whole[: cut + 1], garch_variance(returns[:cut], p, 1.0))
    assert np.all(whole > 0)
    for t in range(60):
        step = p.omega + (p.alpha + p.gamma * (returns[t] < 0)) * returns[t] ** 2
        assert whole[t + 1] == pytest.approx(step + beta * whole[t], rel=1e-12)
    decayed = ewma_variance(returns, 0.9, 2.0)
    rest = ewma_variance(returns[cut:], 0.9, float(decayed[cut]))
    np.testing.assert_allclose(decayed[cut:], rest, rtol=1e-12)


@given(start=st.floats(0.1, 10.0), persistence=st.floats(0.0, 0.999), horizon=st.integers(1, 48))
def test_total_variance_is_the_geometric_sum(start, persistence, horizon) -> None:
    p = GarchParameters(omega=0.1, alpha=0.0, gamma=0.0, beta=persistence)
    rest = 0.1 / (1 - persistence)
    geometric = horizon * rest + (start - rest) * (1 - persistence**horizon) / (1 - persistence)
    assert total_variance(np.array([start]), p, horizon)[0] == pytest.approx(geometric, rel=1e-8)


@given(seed=seeds, n=st.integers(1, 200), level=st.floats(0.01, 0.49))
def test_empirical_shortfall_never_exceeds_the_quantile(seed, n, level) -> None:
    sample = np.random.default_rng(seed).standard_normal(n)
    tail = empirical_tail(sample, level)
    assert tail.shortfall <= tail.quantile + 1e-15
    assert sample.min() <= tail.shortfall + 1e-15
