"""Tolerances: what passes, what fails, what is not compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from commonmode.app.verify.compare import compare, plain, shaped


@pytest.mark.parametrize(
    ("value", "expected", "tolerance", "passed"),
    [
        (1.05, 1.0, {"abs": 0.1}, True),
        (1.2, 1.0, {"abs": 0.1}, False),
        (101.0, 100.0, {"rel": 0.02}, True),
        (103.0, 100.0, {"rel": 0.02}, False),
        (101.0, 100.0, {"rel": 0.02, "abs": 1e-9}, True),  # either suffices
        (1e-7, 0.0, {"rel": 0.02, "abs": 1e-6}, True),
        (1.0 + 1e-12, 1.0, {"exact": True}, False),
        (1.0, 1, {"exact": True}, True),
        (1.0 + 1e-12, 1.0, {}, False),  # nothing said: equality
        (float("nan"), 1.0, {"abs": 10.0}, False),
        (float("inf"), 1.0, {"abs": 10.0}, False),
        (float("nan"), float("nan"), {"abs": 0.1}, True),
        (True, True, {"abs": 1.0}, True),
        (False, True, {"abs": 1.0}, False),
        (1, True, {"abs": 1.0}, False),  # a number is not a truth value
        (True, 1.0, {"abs": 1.0}, False),
        ("red", "green", {"abs": 1.0}, False),
        ("1.0", 1.0, {"abs": 1.0}, False),
        (None, 1.0, {"abs": 1.0}, False),
        ([1.0, 2.1], [1.0, 2.0], {"abs": 0.2}, True),
        ([1.0], [1.0, 2.0], {"abs": 0.2}, False),
        (1.0, [1.0], {"abs": 0.2}, False),
        ({"a": 1.0, "more": 9}, {"a": 1.0}, {}, True),
        ({}, {"a": 1.0}, {"abs": 1.0}, False),
        (3.0, {"a": 1.0}, {"abs": 9.0}, False),
    ],
)
def test_leaves(value: Any, expected: Any, tolerance: dict[str, Any], passed: bool) -> None:
    found = compare(value, expected, tolerance)
    assert found.passed is passed
    assert bool(found.message) is not passed


def test_a_nested_tolerance_belongs_to_its_key() -> None:
    expected = {"p": 0.5, "psi": 0.5, "inner": {"p": 1.0}}
    tolerance = {"abs": 1e-9, "p": {"abs": 0.2}, "inner": {"abs": 0.3}}
    assert compare({"p": 0.6, "psi": 0.5, "inner": {"p": 1.25}}, expected, tolerance).passed
    assert not compare({"p": 0.8, "psi": 0.5, "inner": {"p": 1.0}}, expected, tolerance).passed


def test_a_number_belongs_to_its_own_key_only() -> None:
    tolerance = {"abs": 0.0, "N": 8192}
    assert not compare({"N_eff": 3.0}, {"N_eff": 2.0}, tolerance).passed
    assert compare({"N": 3.0}, {"N": 2.0}, tolerance).passed


def test_exact_reaches_a_key_that_starts_with_the_name() -> None:
    tolerance = {"abs": 0.5, "included": "exact"}
    assert not compare({"included_1based": [4, 5.9]}, {"included_1based": [4, 6]}, tolerance).passed
    assert compare({"p": 0.3}, {"p": 0.0}, tolerance).passed


def test_nulls_are_computed_and_given_leaves_still_count() -> None:
    found = compare({"a": 1.0, "b": 2.0}, {"a": None, "b": 2.0}, {})
    assert (found.passed, found.unknown, found.compared) == (True, 1, 1)
    assert not compare({"a": 1.0, "b": 2.5}, {"a": None, "b": 2.0}, {"abs": 0.1}).passed
    assert compare([1, 2], [None, None], {}).unknown == 2
    assert not compare([1], [None, None], {}).passed  # the shape is part of the question


def test_error_and_ratio_are_the_largest() -> None:
    found = compare([1.0, 2.5, 3.1], [1.0, 2.0, 3.0], {"abs": 1.0})
    assert found.error == pytest.approx(0.5)
    assert found.ratio == pytest.approx(0.5)
    assert compare([1.0, 2.0], [1.0, 2.5], {}).ratio == float("inf")


def test_plain_and_shaped() -> None:
    value = plain({"a": np.array([1.0, 2.0]), 3: np.bool_(True), "t": (np.int64(1),), "x": None})
    assert value == {"a": [1.0, 2.0], "3": True, "t": [1], "x": None}
    assert isinstance(value["3"], bool)
    assert shaped({"b": 1, "a": {"u": 1, "v": 2}}, {"a": {"v": None}}) == {"a": {"v": 2}}
