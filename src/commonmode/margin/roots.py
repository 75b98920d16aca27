"""Every root of many functions of one variable, when one call evaluates all of them at one point.

A margin method takes one market and many accounts: a call costs about the same for one account as
for a thousand, and every account in it sees the same spot. So the scan over a grid is shared by all
accounts, and a refinement asks each bracket where it wants to be looked at, pools the answers, and
shows every point to all brackets that contain it. Few brackets converge superlinearly, each at its
own points; very many share points and end as wider brackets, which are reported as such.

The points of a bracket follow ITP (Oliveira and Takahashi 2020, "An enhancement of the bisection
method average performance preserving minmax optimality", ACM TOMS 47(1)): never worse than
bisection by more than one step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.errors import ConfigurationError
from commonmode.margin._bracketing import Brackets, Evaluate, blocks, flips, follow, refine

__all__ = ["RootKind", "RootSearch", "Roots", "find_roots"]

# A bracket as narrow as the tolerance across which a function changes this many times faster than
# it does anywhere between two points of the grid holds a jump, not a root.
_JUMP = 1e3


class RootKind(Enum):
    """What is known of a place where a function changes sign."""

    ROOT = "root"
    JUMP = "jump"
    TOUCH = "touch"
    BRACKET = "bracket"


@dataclass(frozen=True, slots=True)
class RootSearch:
    """Where to look for roots and how hard.

    Attributes
    ----------
    low, high : float
        Bounds of the factor that is searched, 0 < low < 1 < high.
    points : int
        Grid points between them, equally spaced in the logarithm; 1 is added.
    tolerance : float
        Width in the logarithm to which a bracket is refined.
    calls : int
        Most evaluations spent on refinement, over all functions together; half of them at most go
        into minima that may hide two roots.
    steepness : float
        A minimum is followed while a slope of this many times the function's steepest step could
        take it to zero.

    Raises
    ------
    ConfigurationError
        If the numbers make no search.

    Notes
    -----
    What a step ``h = ln(high / low) / (points - 1)`` guarantees. An excursion across zero that is
    longer than h is found. A shorter one is found if the function falls towards it in the step
    before and rises away in the step after (one extremum within three steps) and is there no
    steeper than ``steepness`` times its steepest step on the grid. Any other is missed; with
    Lipschitz constant L in the logarithm it is no deeper than ``L h / 2``.
    """

    low: float = 0.2
    high: float = 5.0
    points: int = 97
    tolerance: float = 1e-9
    calls: int = 1000
    steepness: float = 2.0

    def __post_init__(self) -> None:
        """Check bounds and resolution."""
        if not (0.0 < self.low < 1.0 < self.high < math.inf) or self.points < 3:
            raise ConfigurationError(
                f"root search from {self.low} to {self.high} in {self.points} points",
                remedy="give 0 < low < 1 < high and at least three points",
            )
        if not (self.tolerance > 0.0 and self.steepness > 0.0 and self.calls >= 0):
            raise ConfigurationError(
                "root search: tolerance and steepness are positive, calls not negative",
                remedy="correct the search settings",
            )

    @property
    def grid(self) -> FloatArray:
        """Logarithms of the factors that are scanned, ascending, 0 among them, shape (G,)."""
        line = np.linspace(math.log(self.low), math.log(self.high), self.points)
        near = np.abs(line) < 1e-12
        return np.asarray(np.union1d(line[~near], [0.0]))


@dataclass(frozen=True, slots=True, eq=False)
class Roots:
    """Sign changes of n functions, by function, then by place; R of them.

    Attributes
    ----------
    row : int64, shape (R,)
        Which function.
    x : float64, shape (R,)
        Logarithm of the factor; within ``[low, high]``.
    low, high : float64, shape (R,)
        The function is >= 0 at one of these ends and < 0 at the other, except for a touch.
    rising : bool, shape (R,)
        Not negative above and negative below; of a touch: true if it touches from above.
    kind : array of str, shape (R,)
        Value of :class:`RootKind`: ``root``; ``jump``, a sign change without a zero; ``touch``, an
        extremum that cannot be told from zero; ``bracket``, the evaluations ran out before the
        ends met.
    grid : float64, shape (G,)
    values : float64, shape (n, G)
        The functions on the grid.
    undecided : int64, shape (M,)
        Functions with a minimum that was not followed to its end because evaluations ran out.
    calls : int
        Evaluations made, grid included.
    """

    row: IntArray
    x: FloatArray
    low: FloatArray
    high: FloatArray
    rising: BoolArray
    kind: StringArray
    grid: FloatArray
    values: FloatArray
    undecided: IntArray
    calls: int

    def __len__(self) -> int:
        return len(self.row)


def _scan(evaluate: Evaluate, n: int, grid: FloatArray) -> FloatArray:
    rows = np.arange(n, dtype=np.int64)
    values = np.empty((n, len(grid)))
    for column, x in enumerate(grid):
        values[:, column] = evaluate(rows, float(x))
    return values


def _slope(grid: FloatArray, values: FloatArray) -> FloatArray:
    """Steepest step of each function on the grid, shape (n,)."""
    steps = np.abs(np.diff(values, axis=1)) / np.diff(grid)
    return np.asarray(np.max(np.where(np.isfinite(steps), steps, 0.0), axis=1, initial=0.0))


def _merged(
    row: IntArray,
    x: FloatArray,
    rising: BoolArray,
    kind: StringArray,
    tolerance: float,
) -> tuple[BoolArray, StringArray, BoolArray]:
    """(kept, kind, rising): two opposite sign changes closer than the tolerance are one touch."""
    again = (np.diff(row) == 0) & (np.diff(x) <= 2.0 * tolerance) & (rising[1:] != rising[:-1])
    narrow = (kind == RootKind.ROOT.value)[1:] & (kind == RootKind.ROOT.value)[:-1]
    second = np.concatenate(([False], again & narrow))
    first = np.concatenate((again & narrow, [False])) if len(row) else second[:0]
    second = second[: len(row)]
    first &= ~second
    second[1:] &= first[:-1]
    kind = np.where(first, RootKind.TOUCH.value, kind).astype(np.str_)
    return ~second, kind, np.where(first, ~rising, rising)


def find_roots(evaluate: Evaluate, n: int, search: RootSearch) -> Roots:
    """All places where n functions of a log factor pass between >= 0 and < 0.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(rows, x)`` with int64 rows of shape (k,) gives float64 of shape (k,).
    n : int
    search : RootSearch
        Its notes say what is found for certain.
    """
    grid = search.grid
    values = _scan(evaluate, n, grid)
    parts = blocks(n)
    slope = np.concatenate([_slope(grid, values[b]) for b in parts] or [np.zeros(0)])
    brackets = Brackets.none()
    for block in parts:
        part = flips(grid, values[block])
        part.row += block.start
        brackets = brackets.join(part)
    hidden, touch, undecided, spent = follow(
        evaluate, grid, values, search.steepness * slope, search.tolerance, search.calls // 2
    )
    brackets = brackets.join(hidden)
    spent += refine(evaluate, brackets, search.tolerance, search.calls - spent)
    width = brackets.high - brackets.low
    change = brackets.at_high - brackets.at_low
    jump = np.abs(change) > _JUMP * slope[brackets.row] * np.maximum(width, search.tolerance)
    kind = np.where(jump, RootKind.JUMP.value, RootKind.ROOT.value)
    kind = np.where(width > search.tolerance, RootKind.BRACKET.value, kind)
    share = np.clip(-brackets.at_low / np.where(change == 0.0, 1.0, change), 0.0, 1.0)
    x = brackets.low + np.where(jump, 0.5, share) * width
    touch_row, touch_x, from_above = touch
    row, place = np.concatenate((brackets.row, touch_row)), np.concatenate((x, touch_x))
    low, high = (np.concatenate((ends, touch_x)) for ends in (brackets.low, brackets.high))
    rising = np.concatenate((brackets.at_high >= 0.0, from_above))
    kinds = np.concatenate((kind, np.full(len(touch_row), RootKind.TOUCH.value))).astype(np.str_)
    order = np.lexsort((place, row))
    kept, kinds, rising = _merged(
        row[order], place[order], rising[order], kinds[order], search.tolerance
    )
    order = order[kept]
    return Roots(
        row=row[order],
        x=place[order],
        low=low[order],
        high=high[order],
        rising=rising[kept],
        kind=kinds[kept],
        grid=grid,
        values=values,
        undecided=undecided,
        calls=len(grid) + spent,
    )
