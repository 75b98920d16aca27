"""Run known-answer cases and say how far each answer is from the published one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from commonmode.app.verify.cases import Case, load_cases
from commonmode.app.verify.compare import compare, plain, shaped
from commonmode.app.verify.registry import Unsupported, find_adaptor

__all__ = ["CaseResult", "Status", "VerifyReport", "run_case", "run_cases", "shipped_figures"]


class Status(Enum):
    """What became of a case."""

    PASS = "pass"
    FAIL = "fail"
    COMPUTED = "computed"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case's outcome.

    Attributes
    ----------
    case : Case
    status : Status
    value : JSON value
        What was computed, in the shape of the expected answer; None if nothing was.
    error : float or None
        Largest absolute error of the numbers compared; None where none was.
    ratio : float or None
        Largest error over its tolerance.
    message : str
        Why it failed or is not supported.
    """

    case: Case
    status: Status
    value: Any = None
    error: float | None = None
    ratio: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """All outcomes, in reading order.

    Attributes
    ----------
    results : tuple of CaseResult
    skipped : tuple of Path
        Files of a folder that hold no cases.
    """

    results: tuple[CaseResult, ...]
    skipped: tuple[Path, ...] = ()

    def count(self, status: Status) -> int:
        """Number of cases with this outcome."""
        return sum(result.status is status for result in self.results)

    @property
    def exit_code(self) -> int:
        """1 if any case failed, else 0."""
        return int(self.count(Status.FAIL) > 0)

    def to_json(self) -> str:
        """``{"cases": [{"id", "method", "status", "value", "error"}]}``.

        ``error`` is the largest absolute error where numbers were compared, a message where the
        case failed otherwise or is not supported, null where there was nothing to compare.
        """
        rows = [
            {
                "id": result.case.id,
                "method": result.case.method,
                "status": result.status.value,
                "value": _finite(result.value),
                "error": _error(result),
            }
            for result in self.results
        ]
        return json.dumps({"cases": rows}, indent=1, ensure_ascii=False, allow_nan=False)


def _error(result: CaseResult) -> float | str | None:
    if result.error is not None and math.isfinite(result.error):
        return result.error
    return result.message or None


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return value


def run_case(case: Case) -> CaseResult:
    """Compute one case and compare what its expected answer gives."""
    if case.reference_only:
        return CaseResult(
            case, Status.UNSUPPORTED, message="reference only: not computable from the case alone"
        )
    adaptor = find_adaptor(case.method)
    if adaptor is None:
        return CaseResult(case, Status.UNSUPPORTED, message=f"unknown method '{case.method}'")
    try:
        value = shaped(plain(adaptor(case)), case.expected)
    except Unsupported as error:
        return CaseResult(case, Status.UNSUPPORTED, message=str(error))
    except Exception as error:  # whatever goes wrong is this case's failure, with its text
        text = f"missing input {error}" if isinstance(error, KeyError) else str(error)
        return CaseResult(case, Status.FAIL, message=f"{type(error).__name__}: {text}")
    found = compare(value, case.expected, case.tolerance)
    answered = Status.COMPUTED if found.unknown else Status.PASS
    compared = found.compared > 0
    return CaseResult(
        case,
        answered if found.passed else Status.FAIL,
        value=value,
        error=found.error if compared else None,
        ratio=found.ratio if compared else None,
        message=found.message,
    )


def shipped_figures() -> Path:
    """Folder of the published figures that come with the package."""
    return Path(__file__).with_name("figures")


def run_cases(paths: Sequence[Path] | Iterable[Path] = ()) -> VerifyReport:
    """Run all cases of files and folders; the shipped figures if there is no path.

    Raises
    ------
    ConfigurationError, DataError
        A path that does not exist, a corrupt file, a case with wrong fields.
    """
    files = load_cases(tuple(paths) or (shipped_figures(),))
    return VerifyReport(tuple(run_case(case) for case in files.cases), files.skipped)
