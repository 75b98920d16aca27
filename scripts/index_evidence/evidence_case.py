"""One row of the evidence: an index in worlds of one kind, and what is asked of it in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from commonmode.core.random import stream

__all__ = ["SEED", "Case", "Kind", "Question", "Rate", "coverage", "power", "rate_of", "size"]

SEED = 20_251_122
"""Of all evidence; a world's own seed is drawn from the stream of its case and number."""

Answers = Mapping[str, bool | None]


class Kind(Enum):
    """What a yes means.

    ``SIZE``      something is said to be there that is not: at most the nominal rate is promised.
    ``COVERAGE``  an interval, or a stated level, holds the truth: at least the nominal rate.
    ``POWER``     what is there is found: nothing is promised unless a nominal rate is stated.
    """

    SIZE = "size"
    COVERAGE = "coverage"
    POWER = "power"


@dataclass(frozen=True, slots=True)
class Question:
    """A yes-or-no question that every world answers, or does not raise (None).

    Attributes
    ----------
    name : str
    kind : Kind
    nominal : float or None
        Rate that is promised.
    """

    name: str
    kind: Kind
    nominal: float | None


def size(name: str, nominal: float = 0.05) -> Question:
    """A false alarm."""
    return Question(name, Kind.SIZE, nominal)


def coverage(name: str, nominal: float = 0.95) -> Question:
    """An interval that holds the truth."""
    return Question(name, Kind.COVERAGE, nominal)


def power(name: str, nominal: float | None = None) -> Question:
    """A finding that is true."""
    return Question(name, Kind.POWER, nominal)


def nothing_planted() -> float:
    """Stands where no effect is planted at a printed size."""
    return float("nan")


@dataclass(frozen=True, slots=True)
class Case:
    """Worlds of one kind.

    Attributes
    ----------
    index, world : str
        Row of the table; unique together.
    questions : tuple of Question
    measure : callable of (seed, planted) to answers
        Simulates one world and says yes, no or None to each question by name.
    worlds : int
        100 say of a power within 5 points what it is, which is enough; a level needs more.
    planted : callable to float
        Effect planted in every world where it is the one that the index prints as detectable,
        worked out from worlds of their own; NaN otherwise.
    """

    index: str
    world: str
    questions: tuple[Question, ...]
    measure: Callable[[int, float], Answers]
    worlds: int = 200
    planted: Callable[[], float] = field(default=nothing_planted)

    @property
    def name(self) -> str:
        """Key of the results."""
        return f"{self.index} | {self.world}"

    def seed(self, world: int, *, again: bool = False) -> int:
        """Seed of one world: worlds of different cases, numbers and rounds are independent."""
        path = (self.index, self.world, "again" if again else "first", world)
        return int(stream(SEED, "index evidence", *path).integers(2**31))

    def answers(self, world: int, planted: float, *, again: bool = False) -> str:
        """One world: a letter per question, 1 yes, 0 no, - where it does not arise."""
        told = self.measure(self.seed(world, again=again), planted)
        said = {None: "-", True: "1", False: "0"}
        return "".join(
            said[None if told[q.name] is None else bool(told[q.name])] for q in self.questions
        )


@dataclass(frozen=True, slots=True)
class Rate:
    """How often the answer was yes, with the simulation's own (binomial) standard error."""

    value: float
    error: float
    worlds: int

    def off(self, question: Question) -> bool:
        """Further on the wrong side of what is promised than two standard errors of the promise."""
        if question.nominal is None or not self.worlds:
            return False
        p = question.nominal
        slack = 2.0 * float(np.sqrt(p * (1.0 - p) / self.worlds))
        if question.kind is Kind.SIZE:
            return self.value > p + slack
        return self.value < p - slack


def rate_of(answers: str) -> Rate:
    """Rate of ones among ones and zeros."""
    ones, zeros = answers.count("1"), answers.count("0")
    n = ones + zeros
    if not n:
        return Rate(float("nan"), float("nan"), 0)
    p = ones / n
    return Rate(p, float(np.sqrt(p * (1.0 - p) / n)), n)
