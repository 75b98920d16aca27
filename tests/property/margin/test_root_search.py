"""Roots of many functions at once: every one of them, real, with the signs between them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.margin.roots import RootKind, RootSearch, find_roots

SEARCH = RootSearch(low=0.25, high=4.0, points=41, calls=5000)
STEP = float(np.max(np.diff(SEARCH.grid)))
# Roots further apart than a step of the grid, and off its points.
PLACES = st.lists(st.integers(-12, 12), max_size=5, unique=True).map(
    lambda steps: np.sort(np.array(steps) * 0.11 + 0.0123)
)
FUNCTIONS = st.lists(st.tuples(PLACES, st.sampled_from([-1.0, 1.0])), min_size=1, max_size=8)


def product(functions: list[tuple[FloatArray, float]], rows: IntArray, x: float) -> FloatArray:
    return np.array([functions[r][1] * np.prod(x - functions[r][0]) for r in rows])


@given(FUNCTIONS)
@settings(max_examples=60)
def test_all_roots_of_known_polynomials(functions: list[tuple[FloatArray, float]]) -> None:
    found = find_roots(lambda r, x: product(functions, r, x), len(functions), SEARCH)
    for row, (places, _) in enumerate(functions):
        mine = found.row == row
        np.testing.assert_allclose(found.x[mine], places, atol=SEARCH.tolerance)
        assert set(found.kind[mine].tolist()) <= {RootKind.ROOT.value}


@given(FUNCTIONS)
@settings(max_examples=40)
def test_brackets_hold_a_sign_change_and_signs_alternate(
    functions: list[tuple[FloatArray, float]],
) -> None:
    found = find_roots(lambda r, x: product(functions, r, x), len(functions), SEARCH)
    assert np.all(found.high - found.low <= SEARCH.tolerance)
    for k in range(len(found)):
        row = np.array([found.row[k]])
        below, above = (product(functions, row, x)[0] for x in (found.low[k], found.high[k]))
        assert (below >= 0.0) != (above >= 0.0)
        assert (above >= 0.0) == found.rising[k]
    for row in range(len(functions)):
        mine = found.rising[found.row == row]
        assert all(a != b for a, b in pairwise(mine.tolist()))


@given(FUNCTIONS, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_order_of_the_functions_does_not_matter(functions, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(range(len(functions)))
    random.shuffle(shuffled)
    first = find_roots(lambda r, x: product(functions, r, x), len(functions), SEARCH)
    other = [functions[i] for i in shuffled]
    second = find_roots(lambda r, x: product(other, r, x), len(other), SEARCH)
    for new, old in enumerate(shuffled):
        np.testing.assert_array_equal(second.x[second.row == new], first.x[first.row == old])


@given(FUNCTIONS, st.integers(0, 7))
@settings(max_examples=30)
def test_a_function_without_values_harms_no_other(
    functions: list[tuple[FloatArray, float]], at: int
) -> None:
    lost = at % len(functions)

    def evaluate(rows: IntArray, x: float) -> FloatArray:
        return np.where(rows == lost, np.nan, product(functions, rows, x))

    whole = find_roots(lambda r, x: product(functions, r, x), len(functions), SEARCH)
    part = find_roots(evaluate, len(functions), SEARCH)
    assert not np.any(part.row == lost)
    for row in range(len(functions)):
        if row != lost:
            # Points are shared between brackets: the places agree to the tolerance, not the bit.
            np.testing.assert_allclose(
                part.x[part.row == row], whole.x[whole.row == row], atol=SEARCH.tolerance
            )


@given(
    st.floats(-1.0, 1.0),
    st.floats(1e-5, 0.4),
    st.sampled_from([-1.0, 1.0]),
    st.booleans(),
)
@settings(max_examples=80)
def test_two_roots_within_one_step(middle: float, half: float, sign: float, kink: bool) -> None:
    half *= STEP

    def evaluate(rows: IntArray, x: float) -> FloatArray:
        away = abs(x - middle)
        value = away - half if kink else away**2 - half**2
        return np.full(len(rows), sign * value)

    found = find_roots(evaluate, 1, SEARCH)
    np.testing.assert_allclose(found.x, [middle - half, middle + half], atol=2 * SEARCH.tolerance)
    assert found.rising.tolist() == [sign < 0, sign > 0]


@given(st.floats(-1.0, 1.0), st.sampled_from([-1.0, 1.0]))
def test_a_tangent_zero_is_a_touch(place: float, sign: float) -> None:
    found = find_roots(lambda rows, x: np.full(len(rows), sign * (x - place) ** 2), 1, SEARCH)
    assert found.kind.tolist() == [RootKind.TOUCH.value]
    np.testing.assert_allclose(found.x, place, atol=1e-6)
    assert found.rising[0] == (sign > 0)


@given(st.floats(-1.0, 1.0), st.floats(0.01, 10.0), st.floats(0.01, 10.0))
@settings(max_examples=50)
def test_a_jump_is_not_called_a_root(place: float, above: float, below: float) -> None:
    def evaluate(rows: IntArray, x: float) -> FloatArray:
        return np.full(len(rows), above + 2.0 + x if x < place else -below - 2.0 + x)

    found = find_roots(evaluate, 1, SEARCH)
    assert found.kind.tolist() == [RootKind.JUMP.value]
    assert found.low[0] <= place <= found.high[0]


def test_too_few_evaluations_are_reported() -> None:
    places = np.linspace(-1.2, 1.2, 50) + 0.001
    search = RootSearch(low=0.25, high=4.0, points=41, calls=30)
    found = find_roots(lambda rows, x: x - places[rows], 50, search)
    assert found.calls <= 30 + len(search.grid)
    assert RootKind.BRACKET.value in found.kind.tolist()
    assert np.all((found.low <= places) & (places <= found.high))


def test_nothing_changes_nothing_found() -> None:
    found = find_roots(lambda rows, x: np.where(rows == 0, 0.0, -1.0), 2, SEARCH)
    assert len(found) == 0
    assert len(find_roots(lambda rows, x: np.zeros(0), 0, SEARCH)) == 0
