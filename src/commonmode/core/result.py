"""Failure as data: one failed model is one failed cell, never a dead batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar, final

__all__ = ["Failure", "FailureReason", "Result", "Success", "capture"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class FailureReason(Enum):
    """Closed list of reasons why a cell has no value (after OpenGamma Strata)."""

    MISSING_DATA = "missing_data"
    INVALID_INPUT = "invalid_input"
    STALE_DATA = "stale_data"
    CALIBRATION_FAILED = "calibration_failed"
    CALCULATION_FAILED = "calculation_failed"
    ARBITRAGE = "arbitrage"
    NOT_APPLICABLE = "not_applicable"
    UNSUPPORTED = "unsupported"


@final
@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no value.

    Attributes
    ----------
    reason : FailureReason
    message : str
        What happened, naming the offending thing.
    remedy : str
        What the reader can do about it.
    """

    reason: FailureReason
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        tail = f" ({self.remedy})" if self.remedy else ""
        return f"{self.reason.value}: {self.message}{tail}"


@final
@dataclass(frozen=True, slots=True)
class Success(Generic[T_co]):
    """A value that was computed."""

    value: T_co


Result = Success[T] | Failure


def capture(
    compute: Callable[[], T], *, what: str, errors: tuple[type[Exception], ...]
) -> Success[T] | Failure:
    """Run ``compute`` and turn the named exceptions into a failed cell.

    Parameters
    ----------
    compute : callable
        No arguments; its value becomes ``Success.value``.
    what : str
        What was being computed, for the message.
    errors : tuple of exception types
        Only these become a ``Failure``; anything else is a bug and propagates.
    """
    try:
        return Success(compute())
    except errors as error:
        # Errors raised on purpose name the offending thing; of others the type says the most.
        said = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
        return Failure(
            FailureReason.CALCULATION_FAILED, f"{what}: {said}", getattr(error, "remedy", "")
        )
