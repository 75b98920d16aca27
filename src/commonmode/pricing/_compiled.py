"""The one way in which the kernels are compiled: cached on disk, numpy's rules for division.

Modules of kernels are imported when a kernel is first called, never before: loading numba takes
longer than a small job done in numpy.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from commonmode.core.errors import ConfigurationError

__all__ = ["Engine", "compiled", "use_numba"]

F = TypeVar("F", bound=Callable[..., Any])

Engine = Literal["auto", "numba", "numpy"]

# Sums may be re-ordered and products contracted; NaN and infinity keep their meaning.
_MATH = {"reassoc", "contract", "arcp", "nsz"}


def compiled(function: F) -> F:
    """The function compiled by numba on its first call for each set of argument types."""
    from numba import njit

    try:
        dispatcher = njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)(function)
    except RuntimeError:
        # No folder that numba may write its cache to: compile anew in each process.
        dispatcher = njit(nogil=True, error_model="numpy", fastmath=_MATH)(function)
    # numba's cache looks at the file of the function alone; it must see the files called into.
    file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if file is not None and hasattr(file, "_source_stamp"):
        file._source_stamp = _sources_stamp()
    return cast(F, dispatcher)


@cache
def _sources_stamp() -> int:
    """Checksum of the compiled sources."""
    folder = Path(__file__).parent
    names = sorted([*folder.glob("_*_kernels.py"), folder / "_surface_maps.py", Path(__file__)])
    return zlib.crc32(b"".join(path.read_bytes() for path in names))


def use_numba(engine: Engine) -> bool:
    """Whether the compiled path is taken; ``auto`` takes it where numba is installed.

    Raises
    ------
    ConfigurationError
        If the engine is not known, or numba is asked for and not installed.
    """
    if engine not in ("auto", "numba", "numpy"):
        raise ConfigurationError(
            f"engine={engine!r} is not known", remedy="use 'auto', 'numba' or 'numpy'"
        )
    found = engine != "numpy" and find_spec("numba") is not None
    if engine == "numba" and not found:
        raise ConfigurationError(
            "engine='numba' needs numba, which is not installed",
            remedy="install numba, or use engine='numpy' (same results, slower)",
        )
    return found
