"""What an index says about itself: a sentence, how much it matters, and the numbers behind it.

Every first sentence of an index or a look holds its number, an interval, the effect that would have
been found and what to do. Where there is no interval or nothing is tested it says so, and why: who
reads one sentence only must not take a missing number for a small one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from commonmode.converge.severity import Severity
from commonmode.core.result import Failure, FailureReason

__all__ = [
    "FOUND",
    "LATER_OR_AFTER",
    "Finding",
    "between",
    "failure_sentence",
    "found_from",
    "percent",
    "plain",
    "rows_of",
    "some_of",
]

FOUND: Final = "would have been found with 80 % probability"
LATER_OR_AFTER: Final = (
    "answers later to the same news (a slower filter) or follows, which cannot be told apart"
)
"""Of one that is seen after another: independent volatility filters of one market are too."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One plain sentence with the numbers it rests on.

    Attributes
    ----------
    index : str
        "C1", "C2", "C3", "C4", "C6", "split", "remedy", "greeks" or the name of a look.
    panel : str
    severity : Severity
    sentence : str
    numbers : mapping of name to float
        Unrounded.
    """

    index: str
    panel: str
    severity: Severity
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def failure_sentence(name: str, failure: Failure) -> str:
    """Why there is no answer, and what to do about it."""
    away = failure.reason is FailureReason.NOT_APPLICABLE
    said = "does not apply" if away else "could not be computed"
    if failure.reason is FailureReason.MISSING_DATA:
        said = "needs more data than there are"
    todo = f" What to do: {failure.remedy}." if failure.remedy else ""
    return f"{name} {said}: {failure.message}.{todo}"


def some_of(names: Sequence[str], most: int = 12) -> str:
    """The names, or the first of them and how many more there are: a sentence must be read."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def percent(value: float) -> str:
    """A share in whole percent, without a minus before a rounded zero."""
    return f"{plain(100 * value, '.0f')} %"


def between(low: float, high: float, spec: str = ".2f", times: float = 1.0) -> str:
    """``low to high``, or why there is none: so few blocks have no interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "no interval: too few blocks of time"
    return f"{plain(times * low, spec)} to {plain(times * high, spec)}"


def found_from(size: float, spec: str = ".2f", *, most: float = 1.0, unit: str = "") -> str:
    """The size that would have been found; sizes of ``most`` and more cannot occur."""
    if not math.isfinite(size) or size >= most:
        return "so few blocks would have found nothing"
    return f"{size:{spec}}{unit} {FOUND}"


def rows_of(count: int) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} row{'' if count == 1 else 's'}"


def plain(value: float, spec: str) -> str:
    """Formatted, without a minus before a rounded zero."""
    said = f"{value:{spec}}"
    rounded_away = said.startswith("-") and not said.strip("-0.,")
    return f"{0.0:{spec}}" if rounded_away else said
