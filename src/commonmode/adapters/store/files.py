"""Files written whole or not at all, hashed, and listed in a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from commonmode.core.errors import DataError

__all__ = [
    "Mismatch",
    "atomic_path",
    "check_manifest",
    "read_json",
    "sha256_file",
    "write_json",
    "write_manifest",
]

_CHUNK: Final = 1 << 20


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", remedy="check the path") from error
    return digest.hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when the block ends well.

    A reader sees the old file or the new one, never half of either; if the block raises, the old
    one stays and the temporary one is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp is private; results are for others to read
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any, *, compact: bool = False) -> None:
    """Write JSON atomically: sorted keys, full float precision, no NaN (use None).

    Parameters
    ----------
    path : Path
    value : JSON value
    compact : bool
        One line per top-level entry instead of an indented text.

    Raises
    ------
    DataError
        If ``value`` holds something that JSON cannot carry.
    """
    try:
        if compact:
            lines = [
                f"{json.dumps(key)}:"
                + json.dumps(
                    value[key],
                    sort_keys=True,
                    separators=(",", ":"),
                    ensure_ascii=False,
                    allow_nan=False,
                )
                for key in sorted(value)
            ]
            text = "{\n" + ",\n".join(lines) + "\n}"
        else:
            text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path.name}: {error}", remedy="write plain numbers, texts, lists; None for NaN"
        ) from error
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises
    ------
    DataError
        There is no such file, or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", remedy="give the path of a results file"
        ) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not JSON: {error}", remedy="make the file again") from error


def write_manifest(folder: Path, files: Iterable[Path], manifest: Path) -> dict[str, Any]:
    """Write ``manifest``: for each file, by its path under ``folder``, SHA-256 and bytes.

    Returns
    -------
    dict
        What was written.
    """
    listing = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
        }
        for path in sorted(files)
    }
    write_json(manifest, {"files": listing})
    return {"files": listing}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A file that is not what the manifest says: ``problem`` is "missing" or "changed"."""

    path: str
    problem: str


def check_manifest(folder: Path, manifest: Path) -> tuple[Mismatch, ...]:
    """Files under ``folder`` that are missing or changed against ``manifest``.

    Raises
    ------
    DataError
        If the manifest cannot be read.
    """
    try:
        listing = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        items = [(name, entry["sha256"]) for name, entry in listing.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"cannot read the manifest {manifest}: {error}", remedy="make the evidence again"
        ) from error
    found = []
    for name, sha256 in items:
        path = folder / name
        if not path.is_file():
            found.append(Mismatch(name, "missing"))
        elif sha256_file(path) != sha256:
            found.append(Mismatch(name, "changed"))
    return tuple(found)
