"""How much a finding matters: an effect that is there and large enough to act on is an alert.

With long histories a test tells a correlation of .02 from none. It is there, and nobody would act
on it: significance alone makes a note. The sizes are conventions from before any data were seen. A
correlation of .10, which is 1 % of variance, is Cohen's "small" effect (1988, Statistical Power
Analysis for the Behavioral Sciences, ch. 3.2); for ratios and counts the same tenth is asked for.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

__all__ = ["SMALL_CORRELATION", "SMALL_SHARE", "Severity", "severity_of"]

SMALL_CORRELATION: Final = 0.10
"""Correlations, and differences of correlations, below it are noted and raise no alert."""
SMALL_SHARE: Final = 0.10
"""Relative changes (joint failures, independent models) below it are noted and raise no alert."""


class Severity(Enum):
    """How much a finding matters."""

    ALERT = "alert"
    NOTE = "note"
    FINE = "fine"
    UNKNOWN = "unknown"


def severity_of(found: bool, size: float, least: float) -> Severity:
    """Alert if the effect is found and as large as ``least``; a note if found and smaller.

    Parameters
    ----------
    found : bool
        Its test rejects.
    size : float
        The estimate, in the direction that is looked for.
    least : float
        Size from which it is raised, :data:`SMALL_CORRELATION` or :data:`SMALL_SHARE`.
    """
    if not found:
        return Severity.FINE
    return Severity.ALERT if size >= least else Severity.NOTE
