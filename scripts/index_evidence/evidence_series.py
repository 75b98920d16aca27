"""Series that the worlds of several indices are made of."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import FloatArray

__all__ = ["lasting"]


def lasting(
    rng: np.random.Generator, times: int, columns: int, memory: float, heavy: bool
) -> FloatArray:
    """Autoregressions of unit variance."""
    shape = (times + 200, columns)
    shocks = rng.standard_t(4, shape) / np.sqrt(2) if heavy else rng.standard_normal(shape)
    series = lfilter([1.0], [1.0, -memory], shocks, axis=0)[200:]
    return np.asarray(np.sqrt(1.0 - memory**2) * series)
