"""Is a computed value the expected one?

A tolerance is ``{"abs": a}``, ``{"rel": r}`` (both given: either suffices) or ``{"exact": true}``;
without any, equality is asked for. Every other entry belongs to the key of the expected value with
that name and replaces the tolerance there: a number (absolute), an object like the above or the
word ``"exact"``; the latter two also reach a key that starts with the name. Text and booleans are
always compared exactly.
An expected null is unknown: it takes whatever was computed and is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Comparison", "compare", "plain", "shaped"]

_MEASURES = ("abs", "rel", "exact")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcome of one comparison.

    Attributes
    ----------
    passed : bool
        Every leaf that was compared lies within its tolerance.
    compared, unknown : int
        Leaves with a published answer, and without.
    error : float
        Largest absolute error of the numbers compared.
    ratio : float
        Largest error over its tolerance; at most 1 where passed, infinite where an exact value
        differs.
    message : str
        What differs first, empty if passed.
    """

    passed: bool
    compared: int
    unknown: int
    error: float
    ratio: float
    message: str


_NOTHING = Comparison(passed=True, compared=0, unknown=0, error=0.0, ratio=0.0, message="")


def plain(value: Any) -> Any:
    """``value`` in JSON types: arrays as lists, numpy scalars as numbers, keys as text."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def shaped(value: Any, expected: Any) -> Any:
    """The part of a plain ``value`` that ``expected`` asks for: its keys only, in its order."""
    if isinstance(expected, dict) and isinstance(value, dict):
        return {key: shaped(value[key], expected[key]) for key in expected if key in value}
    if isinstance(expected, list) and isinstance(value, list) and len(expected) == len(value):
        return [shaped(v, e) for v, e in zip(value, expected, strict=True)]
    return value


def compare(value: Any, expected: Any, tolerance: Mapping[str, Any]) -> Comparison:
    """Compare a plain ``value`` with ``expected``, leaf by leaf.

    Parameters
    ----------
    value : JSON value
        See :func:`plain`.
    expected : JSON value
    tolerance : mapping
        See the module.
    """
    return _compare(value, expected, tolerance, "value")


def _compare(value: Any, expected: Any, tolerance: Mapping[str, Any], where: str) -> Comparison:
    if expected is None:
        return Comparison(True, 0, 1, 0.0, 0.0, "")
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            return _differs(f"{where} is {_kind(value)}, an object was expected")
        parts = [
            _compare(value[key], entry, _of_key(tolerance, key), f"{where}.{key}")
            if key in value
            else _differs(f"{where} has no '{key}'")
            for key, entry in expected.items()
        ]
        return _join(parts)
    if isinstance(expected, list):
        if not isinstance(value, list) or len(value) != len(expected):
            found = f"{len(value)} entries" if isinstance(value, list) else _kind(value)
            return _differs(f"{where} is {found}, {len(expected)} entries were expected")
        return _join(
            [
                _compare(v, e, tolerance, f"{where}[{i}]")
                for i, (v, e) in enumerate(zip(value, expected, strict=True))
            ]
        )
    if isinstance(expected, bool | str) or isinstance(value, bool):
        same = type(value) is type(expected) and value == expected
        return (
            Comparison(True, 1, 0, 0.0, 0.0, "")
            if same
            else _differs(f"{where} is {value!r}, expected {expected!r}")
        )
    return _number(value, expected, tolerance, where)


def _number(
    value: Any, expected: int | float, tolerance: Mapping[str, Any], where: str
) -> Comparison:
    if not isinstance(value, int | float):
        return _differs(f"{where} is {_kind(value)}, a number was expected")
    if value == expected or (math.isnan(value) and math.isnan(expected)):
        return Comparison(True, 1, 0, 0.0, 0.0, "")
    error = abs(value - expected)
    allowed = 0.0
    if not tolerance.get("exact", False):
        allowed = max(
            float(tolerance.get("abs", 0.0)), float(tolerance.get("rel", 0.0)) * abs(expected)
        )
    # a NaN or an infinity that is not the expected one compares as false here
    passed = error <= allowed and math.isfinite(error)
    ratio = error / allowed if allowed > 0 and math.isfinite(error) else math.inf
    told = f"{where} is {value!r}, expected {expected!r}: off by {error:.3g}, allowed {allowed:.3g}"
    return Comparison(passed, 1, 0, error, ratio, "" if passed else told)


def _of_key(tolerance: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The tolerance that holds below ``key``: its own measure if it has one, else the outer one."""
    names = [n for n in tolerance if n not in _MEASURES and key.startswith(n)]
    if not names:
        return tolerance
    name = max(names, key=len)
    own = tolerance[name]
    if own == "exact":
        return {"exact": True}
    if isinstance(own, int | float) and not isinstance(own, bool) and name == key:
        return {"abs": own}
    if isinstance(own, Mapping):
        measured = any(name in own for name in _MEASURES)
        return own if measured else {**tolerance, **own}
    return tolerance


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _differs(message: str) -> Comparison:
    return Comparison(False, 1, 0, math.inf, math.inf, message)


def _join(parts: list[Comparison]) -> Comparison:
    if not parts:
        return _NOTHING
    return Comparison(
        passed=all(part.passed for part in parts),
        compared=sum(part.compared for part in parts),
        unknown=sum(part.unknown for part in parts),
        error=max((part.error for part in parts), key=_rank),
        ratio=max((part.ratio for part in parts), key=_rank),
        message=next((part.message for part in parts if not part.passed), ""),
    )


def _rank(number: float) -> float:
    """NaN counts as the worst error."""
    return math.inf if math.isnan(number) else number
