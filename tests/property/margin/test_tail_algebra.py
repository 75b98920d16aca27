"""What a coherent measure, its attribution and the mixes built on it must satisfy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.margin.dynamic import (
    MarginMix,
    at_horizon,
    horizon_scale,
    liquidation_minutes,
    tail_measure,
    undiversified,
)

LEVELS = st.sampled_from([0.5, 0.75, 0.9, 0.95, 0.99])
MONEY = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))


@st.composite
def books(draw: st.DrawFn, legs: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """P&L of legs, (L, S), and weights, (S,)."""
    n = draw(st.integers(2, 40))
    pnl = draw(arrays(np.float64, (legs, n), elements=MONEY))
    if draw(st.booleans()):
        weights = np.ones(n)
    else:
        weights = draw(arrays(np.float64, n, elements=st.integers(0, 9).map(float)))
        assume(weights.sum() > 0.0)
    return pnl, weights / weights.sum()


def close(x: float, scale: float) -> object:
    return pytest.approx(x, rel=1e-9, abs=1e-9 * max(scale, 1.0))


def es(pnl: np.ndarray, weights: np.ndarray, level: float) -> float:
    return float(tail_measure(pnl[None, :], weights, level).shortfall[0])


@given(books(), LEVELS)
def test_shortfall_lies_between_var_and_the_worst_and_legs_add_up(book, level):
    legs, weights = book
    pnl = legs.sum(axis=0)
    scale = float(np.abs(legs).max())
    got = tail_measure(pnl[None, :], weights, level)
    var, shortfall = float(got.value_at_risk[0]), float(got.shortfall[0])
    worst = float(-pnl[weights > 0.0].min())
    mean = float(-(pnl @ weights))
    assert var <= shortfall + 1e-12 * scale
    assert shortfall <= worst + 1e-9 * max(scale, 1.0)
    assert shortfall >= mean - 1e-9 * max(scale, 1.0)
    parts = got.contributions(legs, np.zeros(len(legs), dtype=np.int64))
    assert float(parts.sum()) == close(shortfall, scale)
    assert np.all(got.tail_weights >= 0.0)
    assert np.all(got.tail_weights <= weights / (1.0 - level) * (1.0 + 1e-9))
    assert float(got.tail_weights.sum()) == pytest.approx(1.0, abs=1e-12)


@given(books(), LEVELS)
def test_shortfall_is_the_largest_mean_over_admissible_weights(book, level):
    # Dual representation: the best rival found by greedily filling the worst scenarios.
    legs, weights = book
    pnl = legs.sum(axis=0)
    room, total = 1.0 - level, 0.0
    for s in np.argsort(pnl, kind="stable"):
        part = min(weights[s], room)
        total -= part * pnl[s]
        room -= part
    assert es(pnl, weights, level) == close(total / (1.0 - level), float(np.abs(legs).max()))


@given(books(legs=2), LEVELS)
def test_shortfall_is_subadditive_and_bounded_by_no_diversification(book, level):
    legs, weights = book
    scale = float(np.abs(legs).max())
    alone = undiversified(legs.T[None, :, :], weights, level)[0]
    assert alone[0] == close(es(legs[0], weights, level), scale)
    assert es(legs.sum(axis=0), weights, level) <= alone.sum() + 1e-9 * max(scale, 1.0)


@given(books(legs=1), LEVELS, st.floats(0.0, 100.0), MONEY)
def test_shortfall_is_homogeneous_and_moves_with_cash(book, level, factor, cash):
    (pnl,), weights = book
    scale = float(np.abs(pnl).max()) * max(factor, 1.0) + abs(cash)
    base = es(pnl, weights, level)
    assert es(factor * pnl, weights, level) == close(factor * base, scale)
    assert es(pnl + cash, weights, level) == close(base - cash, scale)


@given(books(legs=2), LEVELS)
def test_shortfall_is_monotone(book, level):
    legs, weights = book
    better = legs[0] + np.abs(legs[1])
    scale = float(np.abs(legs).max())
    assert es(better, weights, level) <= es(legs[0], weights, level) + 1e-9 * max(scale, 1.0)


@given(books(), LEVELS, st.randoms(use_true_random=False))
def test_order_of_scenarios_does_not_matter(book, level, random):
    legs, weights = book
    order = np.array(random.sample(range(len(weights)), len(weights)))
    scale = float(np.abs(legs).max())
    row = np.zeros(len(legs), dtype=np.int64)
    one = tail_measure(legs.sum(axis=0)[None, :], weights, level)
    two = tail_measure(legs[:, order].sum(axis=0)[None, :], weights[order], level)
    assert two.value_at_risk[0] == one.value_at_risk[0]
    assert two.shortfall[0] == close(float(one.shortfall[0]), scale)
    np.testing.assert_allclose(
        two.contributions(legs[:, order], row),
        one.contributions(legs, row),
        rtol=1e-9,
        atol=1e-9 * max(scale, 1.0),
    )


@given(books(), LEVELS)
def test_splitting_a_scenario_changes_nothing(book, level):
    legs, weights = book
    pnl = legs.sum(axis=0)
    doubled = es(np.concatenate([pnl, pnl]), np.concatenate([weights, weights]) / 2.0, level)
    assert doubled == close(es(pnl, weights, level), float(np.abs(legs).max()))


@given(books(), LEVELS)
def test_accounts_do_not_see_one_another(book, level):
    legs, weights = book
    together = tail_measure(legs, weights, level)
    for a, pnl in enumerate(legs):
        alone = tail_measure(pnl[None, :], weights, level)
        assert together.shortfall[a] == alone.shortfall[0]
        assert together.value_at_risk[a] == alone.value_at_risk[0]


LOSSES = arrays(np.float64, (4, 5), elements=MONEY)
MIXES = st.builds(
    MarginMix,
    rule=st.sampled_from(["weight", "max"]),
    stressed_weight=st.floats(0.0, 1.0),
    correlation_stress=st.floats(0.0, 1.0),
    hypothetical_share=st.floats(0.0, 2.0),
)


@given(LOSSES, MIXES)
def test_mix_is_its_coefficients_and_never_negative(losses, mix):
    requirement = mix.requirement(*losses)
    coefficients = mix.coefficients(*losses)
    np.testing.assert_allclose(
        requirement, np.einsum("ak,ka->a", coefficients, losses), rtol=1e-9, atol=1e-6
    )
    assert np.all(coefficients >= 0.0)
    assert np.all(requirement >= -1e-6)
    assert np.all(requirement >= mix.hypothetical_share * losses[3] - 1e-6)


@given(LOSSES, MIXES, st.integers(0, 3), st.floats(0.0, 1e6))
def test_mix_rises_with_every_component(losses, mix, k, more):
    raised = losses.copy()
    raised[k] += more
    assert np.all(mix.requirement(*raised) >= mix.requirement(*losses) - 1e-6)


@given(LOSSES, MIXES, st.floats(0.0, 1.0))
def test_mix_rises_with_correlation_stress(losses, mix, less):
    calmer = MarginMix(
        rule=mix.rule,
        stressed_weight=mix.stressed_weight,
        correlation_stress=less * mix.correlation_stress,
        hypothetical_share=mix.hypothetical_share,
    )
    assert np.all(calmer.requirement(*losses) <= mix.requirement(*losses) + 1e-6)


@given(
    st.floats(1e-3, 1e6),
    st.floats(1e-3, 1e6),
    st.floats(1e-3, 1e6),
    st.floats(0.01, 1.0),
    st.sampled_from([0.5, 1.0]),
)
def test_charge_grows_at_least_with_size(size, more, volume, participation, exponent):
    sizes = np.array([size, size + more])
    minutes = liquidation_minutes(sizes, np.array(volume), participation=participation)
    assert minutes[1] / minutes[0] == pytest.approx(sizes[1] / sizes[0])
    per_unit = horizon_scale(minutes, 5.0, exponent=exponent)
    assert per_unit[0] >= 1.0
    assert per_unit[1] >= per_unit[0]


@given(st.lists(st.floats(0.1, 1e4), min_size=1, max_size=6, unique=True), st.floats(0.01, 1e5))
def test_square_root_law_is_reproduced_between_and_beyond_the_horizons(horizons, minutes):
    knots = np.sort(np.array(horizons))
    assume(np.all(np.diff(knots) > 1e-6 * knots[:-1]))
    got = at_horizon(3.0 * np.sqrt(knots)[None, :], knots, np.array([minutes]))
    assert got[0] == pytest.approx(3.0 * np.sqrt(max(minutes, knots[0])), rel=1e-6)
