"""Several tests at once, of which only the p-values are known."""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray

__all__ = ["holm"]


def holm(p_values: FloatArray) -> FloatArray:
    """Family-wise adjusted p-values, whatever the tests' dependence.

    Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6.

    Parameters
    ----------
    p_values : float64, shape (M,)

    Returns
    -------
    float64, shape (M,)
        In the order given.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    scaled = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    out = np.empty_like(p)
    out[order] = np.minimum(scaled, 1.0)
    return out
