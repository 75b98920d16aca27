"""What a data screen hands over: a verdict with the number, the threshold and their source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Screen", "Verdict", "not_applicable", "verdict_of"]


class Verdict(Enum):
    """Outcome of a screen.

    ``FLAGGED`` says that the data look unlike authentic data in this respect: a reason to ask the
    venue, not proof of wrongdoing.
    """

    PASSED = "passed"
    FLAGGED = "flagged"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True)
class Screen:
    """One screen of one venue or series.

    Attributes
    ----------
    name, subject : str
    verdict : Verdict
    statistic, threshold : float
        NaN where the screen does not apply; the threshold is what the statistic is held against.
    p_value : float
        NaN for a finding that no chance makes (two bars with one time) and where the screen does
        not apply.
    count : int
        Rows concerned.
    sentence : str
        The finding in plain words.
    source : str
        Where the reference law or the threshold comes from.
    """

    name: str
    subject: str
    verdict: Verdict
    statistic: float
    threshold: float
    p_value: float
    count: int
    sentence: str
    source: str

    @property
    def flagged(self) -> bool:
        """Whether the verdict is ``FLAGGED``."""
        return self.verdict is Verdict.FLAGGED


def verdict_of(flagged: bool) -> Verdict:
    """``FLAGGED`` or ``PASSED``."""
    return Verdict.FLAGGED if flagged else Verdict.PASSED


def not_applicable(name: str, subject: str, why: str, source: str) -> Screen:
    """A screen that says nothing about these data, and why."""
    nan = float("nan")
    text = f"{subject}: not screened for this: {why}."
    return Screen(name, subject, Verdict.NOT_APPLICABLE, nan, nan, nan, 0, text, source)
