"""How the loops of this package are compiled; imports numba.

The signature is explicit: read-only and writable columns (a polars column is read-only) share one
compilation. Machine code is cached in ``__pycache__`` beside the source, or, where that cannot be
written, in the user's cache folder; ``NUMBA_CACHE_DIR`` moves it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from numba import njit, types
from numba.extending import intrinsic

from commonmode.core.arrays import FloatArray

__all__ = ["block_of", "compiled_loop", "sources_stamp", "widest_vectors"]

F = TypeVar("F", bound=Callable[..., Any])

_COLUMN: Final = types.Array(types.float64, 1, "C", readonly=True)
# Six columns, the output (outputs, n), first and last + 1 row to fill; gives a number of rows.
_LOOP: Final = types.int64(*(6 * (_COLUMN,)), types.float64[:, ::1], types.int64, types.int64)


def compiled_loop(function: F) -> F:
    """The loop as machine code, which releases the interpreter lock."""
    build = njit(_LOOP, cache=True, nogil=True, error_model="numpy", boundscheck=False)
    return cast(F, build(function))


def _code_widest_vectors(typing_context: Any, value: Any) -> Any:
    """Numba's code generator for :func:`widest_vectors`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite's own `add` takes enumerated attributes only; this one is a string attribute.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return args[0]

    return types.int64(types.int64), generate


# The identity, which lets LLVM use the whole register in the loop that calls it. LLVM keeps to
# 256 bits by itself because old processors slowed down; where there are 512, 512 takes .75 of the
# time. Other processors ignore it.
widest_vectors: Final = cast(Callable[[int], int], intrinsic(_code_widest_vectors))


def sources_stamp() -> int:
    """Checksum of the compiled sources, closed over by every loop.

    numba's cache looks at the file of the loop alone; the stamp makes it see the files that the
    loop calls into.
    """
    folder = Path(__file__).parent
    return zlib.crc32(b"".join(path.read_bytes() for path in sorted(folder.glob("_*.py"))))


@njit(inline="always", error_model="numpy")
def block_of(column: FloatArray, start: int, size: int, n: int) -> FloatArray:
    """This block of a column of n rows, or of the one block that serves all."""
    first = start if column.shape[0] == n else 0
    return column[first : first + size]
