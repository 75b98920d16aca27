"""Array types used in signatures; shapes and units are in the docstrings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "IntArray", "StringArray", "freeze_arrays", "frozen"]

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
StringArray: TypeAlias = NDArray[np.str_]


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """The same array, marked read-only (hand-over objects are immutable)."""
    view = array.view()
    view.flags.writeable = False
    return view


def freeze_arrays(instance: Any) -> None:
    """Mark every array of a frozen dataclass read-only; for its ``__post_init__``."""
    for column in fields(instance):
        value = getattr(instance, column.name)
        if isinstance(value, np.ndarray):
            object.__setattr__(instance, column.name, frozen(value))
