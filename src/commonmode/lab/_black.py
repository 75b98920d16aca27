"""Black-76 in coin, for the simulator's own quotes (the rooms of models are not to be shared)."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from commonmode.core.arrays import FloatArray, IntArray

__all__ = ["coin_price"]


def coin_price(
    forward: FloatArray, strike: FloatArray, years: FloatArray, vol: FloatArray, sign: IntArray
) -> FloatArray:
    """Undiscounted Black-76 price divided by the forward (Black 1976, eq. 16), shape (n,).

    ``s (N(s d1) - K/F N(s d2))`` with ``d1 = ln(F/K)/(vol sqrt T) + vol sqrt(T)/2``.
    """
    total = vol * np.sqrt(years)
    d1 = np.log(forward / strike) / total + 0.5 * total
    return np.asarray(sign * (ndtr(sign * d1) - strike / forward * ndtr(sign * (d1 - total))))
