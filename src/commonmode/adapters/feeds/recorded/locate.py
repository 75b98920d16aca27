"""Where the recordings are: ``COMMONMODE_DATA``, else ``../shared/data`` beside the project."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from commonmode.core.errors import DataError

__all__ = ["find_recordings", "require_recordings"]

_VARIABLE = "COMMONMODE_DATA"


def find_recordings() -> Path | None:
    """Folder of the recorded market data, or None where there is none.

    ``COMMONMODE_DATA`` decides alone when it is set. Otherwise the project root is looked for
    upwards from the working directory and from this package, and the recordings are expected in
    ``shared/data`` beside that root.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        folder = Path(named)
        return folder if folder.is_dir() else None
    for root in _project_roots():
        folder = root.parent / "shared" / "data"
        if folder.is_dir():
            return folder
    return None


def require_recordings() -> Path:
    """The folder of :func:`find_recordings`.

    Raises
    ------
    DataError
        If there is none.
    """
    folder = find_recordings()
    if folder is None:
        named = os.environ.get(_VARIABLE)
        where = f"{_VARIABLE}={named} is not a folder" if named else f"{_VARIABLE} is not set"
        raise DataError(
            f"no recorded market data here ({where})",
            remedy=f"set {_VARIABLE} to the folder of the recordings, or use the laboratory feed",
        )
    return folder


def _project_roots() -> Iterator[Path]:
    here = Path.cwd().resolve()
    package = Path(__file__).resolve()
    for folder in (here, *here.parents, *package.parents):
        marker = folder / "pyproject.toml"
        if marker.is_file() and 'name = "commonmode"' in marker.read_text(encoding="utf-8"):
            yield folder
