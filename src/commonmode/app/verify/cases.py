"""Known-answer cases: what they are and how files of them are read; nothing in one is executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from commonmode.app.verify.margin_files import SHAPES, margin_rows
from commonmode.core.errors import ConfigurationError, DataError

__all__ = ["Case", "CaseFiles", "load_cases"]

_REQUIRED = ("id", "method", "inputs", "expected")


@dataclass(frozen=True, slots=True)
class Case:
    """One question with its published answer.

    Attributes
    ----------
    id, method, topic, source : str
        ``method`` names what is computed; ``source`` says who published the answer.
    inputs : mapping
    expected : any JSON value
        The answer; ``None`` leaves are unknown and only computed.
    tolerance : mapping
        See :mod:`commonmode.app.verify.compare`.
    reference_only : bool
        The answer cannot be recomputed from the case alone.
    file : str
        Where the case was read.
    """

    id: str
    method: str
    inputs: Mapping[str, Any]
    expected: Any
    tolerance: Mapping[str, Any] = field(default_factory=dict)
    topic: str = ""
    source: str = ""
    reference_only: bool = False
    file: str = ""

    @property
    def detail(self) -> str:
        """The part of the method's name after a colon: ``BSM Greek: delta`` -> ``delta``."""
        return self.method.partition(":")[2].strip()


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """Cases in reading order, and the files of a folder that hold something else.

    Attributes
    ----------
    cases : tuple of Case
    skipped : tuple of Path
    """

    cases: tuple[Case, ...]
    skipped: tuple[Path, ...]


def load_cases(paths: Iterable[Path]) -> CaseFiles:
    """Read files, and all ``*.json`` below folders, in sorted order.

    A file holds a list of cases or ``{"cases": [...]}``, or published margin cases as they are
    (:mod:`commonmode.app.verify.margin_files`). A file of a folder that is valid JSON of another
    kind is skipped and named; a file given by name must hold cases.

    Raises
    ------
    ConfigurationError
        A path does not exist, or a folder holds no ``*.json``.
    DataError
        Corrupt JSON, or a case with missing or wrong fields.
    """
    cases: list[Case] = []
    skipped: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = sorted(path.rglob("*.json"))
            if not files:
                raise ConfigurationError(
                    f"no *.json below {path}", remedy="name a folder or a file of cases"
                )
        elif path.is_file():
            files = [path]
        else:
            raise ConfigurationError(
                f"no such file or folder: {path}", remedy="name a folder or a file of cases"
            )
        for file in files:
            rows = _rows(file)
            if rows is None and path.is_dir():
                skipped.append(file)
            elif rows is None:
                raise DataError(
                    f"{file}: neither a list of cases nor an object with a 'cases' list",
                    remedy="a case is {id, method, inputs, expected, tolerance, source}; published "
                    f"margin cases are read as {SHAPES}",
                )
            else:
                cases.extend(_case(row, number, file) for number, row in enumerate(rows, start=1))
    return CaseFiles(tuple(cases), tuple(skipped))


def _rows(file: Path) -> list[Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file}: not valid JSON (line {error.lineno}, column {error.colno}: {error.msg})",
            remedy="the file is cut or edited by hand; restore it",
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file}: not UTF-8 text", remedy="cases are JSON text files; name one of those"
        ) from error
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", remedy="check its permissions") from error
    if isinstance(content, dict) and "cases" in content:
        content = content["cases"]
    return content if isinstance(content, list) else margin_rows(content, file)


def _case(row: Any, number: int, file: Path) -> Case:
    where = f"{file}: case {number}"
    if not isinstance(row, dict):
        raise DataError(f"{where} is not an object", remedy="every case is {id, method, ...}")
    missing = [name for name in _REQUIRED if name not in row]
    if missing:
        raise DataError(
            f"{where} lacks {', '.join(missing)}",
            remedy=f"every case needs {', '.join(_REQUIRED)}",
        )
    tolerance = row.get("tolerance")
    for name, value, kind in (
        ("id", row["id"], str),
        ("method", row["method"], str),
        ("inputs", row["inputs"], dict),
        ("tolerance", {} if tolerance is None else tolerance, dict),
    ):
        if not isinstance(value, kind):
            raise DataError(
                f"{where}: '{name}' is {type(value).__name__}, not {kind.__name__}",
                remedy="correct the field",
            )
    return Case(
        id=row["id"],
        method=row["method"],
        inputs=row["inputs"],
        expected=row["expected"],
        tolerance=tolerance or {},
        topic=str(row.get("topic", "")),
        source=str(row.get("source", "")),
        reference_only=bool(row.get("reference_only", False)),
        file=str(file),
    )
