"""Sign changes narrowed and extrema followed, many functions at a time; see :mod:`.roots`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray

__all__ = ["Brackets", "Evaluate", "blocks", "flips", "follow", "refine"]

#: ``evaluate(rows, x)`` gives the functions in ``rows`` at the one point ``x``; NaN: no value.
Evaluate = Callable[[IntArray, float], FloatArray]

_GOLDEN = (3.0 - math.sqrt(5.0)) / 2.0
_BLOCK = 65_536


@dataclass(slots=True, eq=False)
class Brackets:
    """Open and closed brackets; ``at_low`` is the function at ``low``."""

    row: IntArray
    low: FloatArray
    high: FloatArray
    at_low: FloatArray
    at_high: FloatArray

    @classmethod
    def none(cls) -> Brackets:
        empty = np.zeros(0)
        return cls(np.zeros(0, dtype=np.int64), empty, empty, empty, empty)

    def join(self, other: Brackets) -> Brackets:
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Brackets(*(np.concatenate(pair) for pair in pairs))


def blocks(n: int) -> list[slice]:
    """Rows in blocks, so that temporaries stay small beside the values themselves."""
    return [slice(first, first + _BLOCK) for first in range(0, n, _BLOCK)]


def flips(grid: FloatArray, values: FloatArray) -> Brackets:
    left, right = values[:, :-1], values[:, 1:]
    known = np.isfinite(left) & np.isfinite(right)
    row, at = np.nonzero(known & ((left >= 0.0) != (right >= 0.0)))
    return Brackets(
        row.astype(np.int64), grid[at], grid[at + 1], left[row, at].copy(), right[row, at].copy()
    )


def _extrema(grid: FloatArray, values: FloatArray, reach: FloatArray) -> tuple[IntArray, IntArray]:
    """(function, column) of the extrema nearest zero that a slope of ``reach`` can take there."""
    size = np.abs(values)
    edge = np.full((len(values), 1), np.inf)
    left = np.concatenate((edge, size[:, :-1]), axis=1)
    right = np.concatenate((size[:, 1:], edge), axis=1)
    state = values >= 0.0
    same = np.ones_like(state)
    same[:, 1:] &= state[:, 1:] == state[:, :-1]
    same[:, :-1] &= state[:, :-1] == state[:, 1:]
    known = np.isfinite(size)
    known[:, 1:] &= np.isfinite(size[:, :-1])
    known[:, :-1] &= np.isfinite(size[:, 1:])
    # Of equal neighbours the last: one dip between them is followed once.
    lower = (size <= left) & (size < right)
    finite_left = np.where(np.isfinite(left), left, -np.inf)
    finite_right = np.where(np.isfinite(right), right, -np.inf)
    strict = np.maximum(finite_left, finite_right) > size
    near = size <= reach[:, None] * np.max(np.diff(grid))
    row, column = np.nonzero(lower & strict & same & known & near)
    return row.astype(np.int64), column.astype(np.int64)


def _pooled(wanted: FloatArray, most: int) -> FloatArray:
    """The points to evaluate in one round: all distinct ones, or ``most`` of them spread evenly."""
    points = np.unique(wanted)
    if len(points) <= most:
        return points
    return np.asarray(points[np.unique(np.linspace(0, len(points) - 1, most).astype(np.int64))])


def follow(
    evaluate: Evaluate,
    grid: FloatArray,
    values: FloatArray,
    reach: FloatArray,
    tolerance: float,
    most: int,
) -> tuple[Brackets, tuple[IntArray, FloatArray, BoolArray], IntArray, int]:
    """Golden section on the extrema: brackets found, touches, functions undecided, calls."""
    found_in = [_extrema(grid, values[b], reach[b]) for b in blocks(len(values))]
    shifted = [row + b.start for (row, _), b in zip(found_in, blocks(len(values)), strict=True)]
    row = np.concatenate([*shifted, np.zeros(0, dtype=np.int64)])
    column = np.concatenate([*(c for _, c in found_in), np.zeros(0, dtype=np.int64)])
    sign = np.where(values[row, column] >= 0.0, 1.0, -1.0)
    low, high = grid[np.maximum(column - 1, 0)], grid[np.minimum(column + 1, len(grid) - 1)]
    mid, at_mid = grid[column], np.abs(values[row, column])
    at_low = np.abs(values[row, np.maximum(column - 1, 0)])
    at_high = np.abs(values[row, np.minimum(column + 1, len(grid) - 1)])
    alive = np.ones(len(row), dtype=np.bool_)
    found = Brackets.none()
    calls = 0
    while True:
        width = high - low
        alive &= (at_mid <= reach[row] * width) & (width > tolerance)
        if not alive.any() or calls >= most:
            break
        to_left = mid - low > high - mid
        probe = np.where(to_left, mid - _GOLDEN * (mid - low), mid + _GOLDEN * (high - mid))
        for x in _pooled(probe[alive], most - calls):
            here = np.nonzero(alive & (probe == x))[0]
            value = sign[here] * evaluate(row[here], float(x))
            calls += 1
            crossed = (value < 0.0) | ((sign[here] < 0) & (value <= 0.0))
            for end, at_end in ((low, at_low), (high, at_high)):
                k = here[crossed]
                inner, at_inner = np.full(len(k), x), (sign[here] * value)[crossed]
                outer, at_outer = end[k], sign[k] * at_end[k]
                below = inner <= outer
                found = found.join(
                    Brackets(
                        row[k],
                        np.where(below, inner, outer),
                        np.where(below, outer, inner),
                        np.where(below, at_inner, at_outer),
                        np.where(below, at_outer, at_inner),
                    )
                )
            alive[here[crossed | ~np.isfinite(value)]] = False
            k, value = here[~crossed & np.isfinite(value)], value[~crossed & np.isfinite(value)]
            better, left = value <= at_mid[k], x < mid[k]
            # The side of the old middle that the better point turns into an end, or the probe's.
            for end, at_end, side in ((high, at_high, left), (low, at_low, ~left)):
                b, w = k[better & side], k[~better & ~side]
                end[b], at_end[b] = mid[b], at_mid[b]
                end[w], at_end[w] = x, value[~better & ~side]
            mid[k[better]], at_mid[k[better]] = x, value[better]
    # What ended within the tolerance, still in reach of zero, cannot be told from it.
    touch = (high - low <= tolerance) & (at_mid <= reach[row] * tolerance)
    touches = (row[touch], mid[touch], sign[touch] > 0.0)
    return found, touches, np.unique(row[alive]), calls


def _proposals(b: Brackets, start: FloatArray, step: IntArray, eps: float) -> FloatArray:
    """Next point of each bracket by ITP, with kappa1 = 0.2 / initial width, kappa2 = 2, n0 = 1."""
    width = b.high - b.low
    half = b.low + 0.5 * width
    gap = b.at_high - b.at_low
    falsi = np.clip(b.low - b.at_low * width / np.where(gap == 0.0, 1.0, gap), b.low, b.high)
    to_half = np.sign(half - falsi)
    shift = np.minimum(0.2 * width**2 / start, np.abs(half - falsi))
    truncated = falsi + to_half * shift
    most = np.ceil(np.log2(np.maximum(start / (2.0 * eps), 1.0))) + 1.0
    radius = np.maximum(eps * np.exp2(most - step) - 0.5 * width, 0.0)
    near = np.abs(truncated - half) <= radius
    point = np.where(near, truncated, half - to_half * radius)
    # A point at an end says nothing new.
    return np.asarray(np.where((point > b.low) & (point < b.high), point, half))


def refine(evaluate: Evaluate, b: Brackets, tolerance: float, most: int) -> int:
    """Narrow all brackets in place; number of evaluations made."""
    eps = 0.5 * tolerance
    start = np.maximum(b.high - b.low, tolerance)
    step = np.zeros(len(b.row), dtype=np.int64)
    lost = np.zeros(len(b.row), dtype=np.bool_)
    calls, before = 0, -1
    while before < calls < most:
        before = calls
        alive = ~lost & (b.high - b.low > tolerance)
        if not alive.any():
            break
        wanted = _proposals(b, start, step, eps)
        for x in _pooled(wanted[alive], most - calls):
            here = np.nonzero(alive & ~lost & (b.low < x) & (x < b.high))[0]
            if not len(here):
                continue
            value = evaluate(b.row[here], float(x))
            calls += 1
            step[here] += 1
            good = np.isfinite(value)
            lost[here[~good]] = True
            here, value = here[good], value[good]
            is_low = (value >= 0.0) == (b.at_low[here] >= 0.0)
            low, high = here[is_low], here[~is_low]
            b.low[low], b.at_low[low] = x, value[is_low]
            b.high[high], b.at_high[high] = x, value[~is_low]
    return calls
