"""Array types used in signatures; shapes and units are in the docstrings."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "IntArray", "StringArray", "frozen"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
StringArray: TypeAlias = NDArray[np.str_]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, marked read-only (hand-over objects are immutable)."""
    view = array.view()
    view.flags.writeable = False
    return view
