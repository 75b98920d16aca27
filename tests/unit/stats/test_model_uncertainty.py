"""Model uncertainty in money: Cont's axioms, the convex version, the reserve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.stats.model_uncertainty import (
    delta_method_sd,
    penalised_range,
    plausible_quantile,
    prudent_reserve,
    prudent_value,
)
from commonmode.stats.robust import valuation_range

NUMBER = st.floats(-1e3, 1e3)
VALUES = arrays(np.float64, 6, elements=NUMBER)
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(prices=arrays(np.float64, 6, elements=st.floats(0, 1)), u=st.floats(-5, 5), x=VALUES)
def test_a_static_hedge_costs_at_most_its_bid_ask(
    prices: FloatArray, u: float, x: FloatArray
) -> None:
    # Models admitted by a benchmark quoted 0 to 1: its own range is within the spread, and adding u
    # of it moves any range by at most |u| spreads (Cont 2006, section 4, properties 1 and 4).
    assert valuation_range(prices) <= 1.0
    assert valuation_range(x + u * prices) <= valuation_range(x) + abs(u) + 1e-9


@QUICK
@given(x=VALUES, y=VALUES, w=st.floats(0, 1), shift=NUMBER, k=st.floats(0, 10))
def test_coherent_range(x: FloatArray, y: FloatArray, w: float, shift: float, k: float) -> None:
    assert valuation_range(x) >= 0.0
    assert valuation_range(np.full(6, shift)) == 0.0  # the same under every model
    assert valuation_range(x + shift) == pytest.approx(valuation_range(x), abs=1e-9)
    mixed = valuation_range(w * x + (1 - w) * y)
    assert mixed <= w * valuation_range(x) + (1 - w) * valuation_range(y) + 1e-9
    assert valuation_range(k * x) == pytest.approx(k * valuation_range(x), abs=1e-8)
    assert valuation_range(x[:4]) <= valuation_range(x)  # monotone in the set of models


@QUICK
@given(x=VALUES, y=VALUES, w=st.floats(0, 1), a=arrays(np.float64, 6, elements=st.floats(0, 100)))
def test_penalised_range(x: FloatArray, y: FloatArray, w: float, a: FloatArray) -> None:
    found = penalised_range(x, a)
    assert 0.0 <= found <= valuation_range(x) + 1e-9
    assert penalised_range(x, a + 7.0) == pytest.approx(found, abs=1e-9)  # normalised
    mixed = penalised_range(w * x + (1 - w) * y, a)
    assert mixed <= w * found + (1 - w) * penalised_range(y, a) + 1e-9
    exact = a == a.min()
    only = np.where(exact, 0.0, np.inf)
    assert penalised_range(x, only) == pytest.approx(valuation_range(x, exact.astype(np.float64)))
    assert found >= penalised_range(x, only) - 1e-9


def test_penalised_range_by_hand() -> None:
    # 10 - 0 against 13 - 2 above; 10 + 0 against 6 + 3 below.
    values, penalty = np.array([10.0, 13.0, 6.0]), np.array([0.0, 2.0, 3.0])
    assert penalised_range(values, penalty) == pytest.approx(11.0 - 9.0)
    assert penalised_range(values, penalty + 1.0, normalise=False) == pytest.approx(0.0)
    assert np.isnan(penalised_range(np.array([np.nan]), np.array([0.0])))
    assert penalised_range(np.array([1.0, np.nan, 5.0]), np.zeros(3)) == pytest.approx(4.0)


def test_delta_method_by_hand_and_by_simulation() -> None:
    g, c = np.array([2.0, -1.0]), np.array([[1.0, 0.5], [0.5, 4.0]])
    assert delta_method_sd(g, c) == pytest.approx(np.sqrt(4.0 - 2.0 + 4.0))
    draws = np.random.default_rng(0).multivariate_normal([0, 0], c, 40_000) @ g
    assert delta_method_sd(g, c) == pytest.approx(draws.std(), rel=0.02)
    assert np.isnan(delta_method_sd(g, np.full((2, 2), np.nan)))


def test_quantile_of_plausible_values() -> None:
    ten = np.arange(10.0)
    assert plausible_quantile(ten, probability=0.1) == 0.0
    assert plausible_quantile(ten, probability=0.11) == 1.0
    assert plausible_quantile(ten, probability=0.95) == 9.0
    one = plausible_quantile(np.array([3.0]), np.array([2.0]), 0.1)
    assert one == pytest.approx(3.0 - 2.0 * 1.2815515655446004, abs=1e-9)
    two = plausible_quantile(np.array([0.0, 10.0]), np.array([1.0, np.nan]), 0.25)
    assert two == pytest.approx(0.0, abs=1e-9)  # half of half the weight


@QUICK
@given(v=VALUES, s=arrays(np.float64, 6, elements=st.floats(0, 50)), k=st.floats(0.1, 10))
def test_reserve(v: FloatArray, s: FloatArray, k: float) -> None:
    own = float(np.median(v))
    found = prudent_reserve(v, own, s)
    assert found >= 0.0
    assert prudent_reserve(k * v, k * own, k * s) == pytest.approx(k * found, rel=1e-6, abs=1e-6)
    assert prudent_reserve(v + 5.0, own + 5.0, s) == pytest.approx(found, abs=1e-6)
    assert prudent_reserve(v, own, s, confidence=0.99) >= found - 1e-9
    assert prudent_reserve(np.full(6, own), own) == 0.0  # priced exactly by all
    assert prudent_reserve(v, own) >= own - v.min() - 1e-9  # six cannot reach 90 % by rank
    assert prudent_reserve(v, own, confidence=0.85) <= own - v.min() + 1e-9


def test_reserve_counts_admitted_models_only() -> None:
    v = np.array([100.0, 90.0, 0.0])
    two, three = (np.array([True, True, some]) for some in (False, True))
    assert prudent_reserve(v, 100.0, confidence=0.6, admitted=two) == 10.0
    assert prudent_reserve(v, 100.0, confidence=0.6, admitted=three) == 100.0


def test_ranks_reach_what_their_number_allows() -> None:
    # 90 % takes nine models; nineteen give the second smallest.
    for n, rank in ((9, 1), (18, 1), (19, 2), (40, 4)):
        told = prudent_value(np.arange(n, dtype=np.float64))
        assert told.value == rank - 1.0
        assert not told.normal
        assert told.confidence == told.ranked == pytest.approx(1.0 - rank / (n + 1))
        assert told.confidence >= 0.9
    eight = prudent_value(np.arange(8.0))
    assert eight.normal
    assert eight.ranked == pytest.approx(8 / 9)
    # The prediction bound of Hahn and Meeker by hand: t_7(0.9) = 1.41492.
    wanted = 3.5 - 1.414924 * np.arange(8.0).std(ddof=1) * np.sqrt(9 / 8)
    assert eight.value == pytest.approx(min(wanted, 0.0), abs=1e-5)
    assert np.isnan(prudent_value(np.array([3.0])).confidence)
    with pytest.raises(DataError):
        prudent_value(np.array([np.nan]))


@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.parametrize("heavy", [False, True])
def test_few_models_hold_what_they_state(count: int, heavy: bool) -> None:
    rng = np.random.default_rng([7, count, heavy])
    draws = rng.standard_t(3, (4000, count + 1)) if heavy else rng.normal(size=(4000, count + 1))
    held = np.mean([row[-1] >= prudent_value(row[:-1]).value for row in draws])
    assert held >= 0.9 - 3 * np.sqrt(0.09 / 4000)


def test_noise_that_models_share_is_added_to_their_spread() -> None:
    v = np.zeros(4)
    assert prudent_value(v, 1.0).value == pytest.approx(-1.2815515655446004)
    both = prudent_value(np.array([-1.0, 1.0, 1.0, -1.0]), 1.0).value
    alone = prudent_value(np.array([-1.0, 1.0, 1.0, -1.0])).value
    assert both == pytest.approx(-np.hypot(alone, 1.2815515655446004))


def test_reserve_covers_an_exit_under_a_model_not_in_the_set() -> None:
    # Ten models are alike in law, nine are known, the market turns out to be the tenth: the exit
    # value falls short of the prudent one in a tenth of cases, whatever the tails.
    rng = np.random.default_rng(3)
    short = 0
    for _ in range(4000):
        v = rng.standard_t(2, 10)
        own = float(np.median(v[:9]))
        short += v[9] < own - prudent_reserve(v[:9], own)
    assert short / 4000 == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / 4000))


def test_bad_input_names_a_remedy() -> None:
    for call in (
        lambda: penalised_range(np.ones(2), np.array([-1.0, 0.0])),
        lambda: plausible_quantile(np.array([])),
        lambda: plausible_quantile(np.array([1.0]), probability=0.0),
    ):
        with pytest.raises(DataError) as error:
            call()
        assert error.value.remedy
