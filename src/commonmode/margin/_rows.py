"""Rows of instrument values as the compiled reductions read them."""

from __future__ import annotations

from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray

__all__ = ["LANES", "aligned_rows", "padded"]

LANES: Final = 8
"""Rows are padded to a multiple of this many columns: one AVX-512 register of doubles."""


def padded(columns: int) -> int:
    """The next multiple of :data:`LANES`."""
    return -(-columns // LANES) * LANES


def aligned_rows(n: int, width: int) -> FloatArray:
    """Uninitialised (n, width) whose rows begin where a register does."""
    flat = np.empty(n * width + LANES)
    skip = (-flat.ctypes.data // flat.itemsize) % LANES
    return flat[skip : skip + n * width].reshape(n, width)
