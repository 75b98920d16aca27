"""How the loops over accounts are compiled; imports numba."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from numba import njit, types

from commonmode.pricing.kernels._compile import sources_stamp

__all__ = ["IN_FLOAT", "IN_INT", "IN_LONG", "IN_PAIRS", "IN_TABLE", "helper", "stamp_of"]

F = TypeVar("F", bound=Callable[..., Any])

IN_FLOAT: Final = types.Array(types.float64, 1, "C", readonly=True)
IN_TABLE: Final = types.Array(types.float64, 2, "C", readonly=True)
IN_INT: Final = types.Array(types.int32, 1, "C", readonly=True)
IN_PAIRS: Final = types.Array(types.int32, 2, "C", readonly=True)
IN_LONG: Final = types.Array(types.int64, 1, "C", readonly=True)


def stamp_of(source: str) -> int:
    """Checksum of the compiled sources beside the file `source`, of this folder and of the kernels.

    As :func:`~commonmode.pricing.kernels._compile.sources_stamp`, for loops that call into them.
    """
    here = Path(__file__).parent
    files = [here / "_compiled.py", here / "_lanes.py", *sorted(Path(source).parent.glob("_*.py"))]
    return zlib.crc32(b"".join(path.read_bytes() for path in files), sources_stamp())


def helper(function: F) -> F:
    """Compile a part of the loop; inlined by LLVM.

    Without the run time that counts references: it would count every array on every call, with
    locked instructions, for most of the loop's time. The helpers allocate nothing and keep nothing.
    """
    options: dict[str, Any] = {"forceinline": True, "error_model": "numpy", "_nrt": False}
    return cast(F, njit(**options)(function))
