"""Compiled revaluation of a book under a grid of spots and vols; imports numba.

The sum over the book is taken while the values are in cache: for one option the loops over
scenarios are vectorised and add to the result. The logarithm and the square root are outside them,
so a value costs one exponential, two erfcx and two divisions. There are several short loops instead
of one for the reason given in ``_stages``. The price is accurate to a few units
in the last place of ``min(F, K)``, which is what a sum of prices needs (``_black76`` is accurate
relative to the price itself).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba import njit, types

from commonmode.core.arrays import FloatArray
from commonmode.pricing.kernels._compile import sources_stamp, widest_vectors
from commonmode.pricing.kernels._math import erfcx_arguments, erfcx_shape, fma, vexp

__all__ = ["grid_loop"]

_ROOT_HALF: Final = 0.7071067811865475244
# Total volatilities at which the value has its limits to the last bit. At the money the time value
# is .4 s F, so the least is small; at the most a call is worth F, a put K, and squares are finite.
_LEAST_VOL: Final = 1e-30
_MOST_VOL: Final = 1e3
_IN: Final = types.Array(types.float64, 1, "C", readonly=True)
_SIGNATURE: Final = types.void(
    *(11 * (_IN,)),
    types.Array(types.float64, 1, "C"),
    types.int64,
    types.int64,
)
# Scenarios summed in one pass over the book: their five columns stay in the first-level cache.
_PASS: Final = 512


def grid_loop(inverse: bool) -> Callable[..., Any]:
    """A compiled loop that adds a book's values in scenarios ``low .. high - 1`` to the result.

    Its arguments: forward, strike, log(F/K), sqrt(T), vol, sign, weight, each of shape (options,);
    multiple of the spot and its logarithm, scale and shift of the vol, and the result, each of
    shape (scenarios,); low; high. `inverse` divides each value by the shocked forward.
    """
    stamp = sources_stamp()

    @njit(_SIGNATURE, cache=True, nogil=True, error_model="numpy", boundscheck=False)
    def loop(
        forward: FloatArray,
        strike: FloatArray,
        log_ratio: FloatArray,
        root_years: FloatArray,
        vol: FloatArray,
        sign: FloatArray,
        weight: FloatArray,
        spot: FloatArray,
        log_spot: FloatArray,
        scale: FloatArray,
        shift: FloatArray,
        out: FloatArray,
        low: int,
        high: int,
    ) -> None:
        first = widest_vectors(stamp) - stamp
        work = np.empty((6, _PASS + 24))
        for start in range(low, high, _PASS):
            stop = min(start + _PASS, high)
            spots = spot[start:stop]
            log_spots = log_spot[start:stop]
            scales = scale[start:stop]
            shifts = shift[start:stop]
            sums = out[start:stop]
            for i in range(first, forward.shape[0]):
                f0 = forward[i]
                k = strike[i]
                x0 = log_ratio[i]
                root = root_years[i]
                v = vol[i]
                sgn = sign[i]
                w = weight[i]
                for m in range(stop - start):
                    s = min(max(fma(v, scales[m], shifts[m]) * root, _LEAST_VOL), _MOST_VOL)
                    h = abs(x0 + log_spots[m]) / s
                    t = 0.5 * s
                    near, near_scale, far, far_scale = erfcx_arguments(
                        abs(h - t) * _ROOT_HALF, (h + t) * _ROOT_HALF
                    )
                    work[0, m] = h - t
                    work[1, m] = near
                    work[2, m] = near_scale
                    work[3, m] = far
                    work[4, m] = far_scale
                for m in range(stop - start):
                    # M = sqrt(F K) exp(-(h^2+t^2)/2) = min(F, K) exp(-(h-t)^2/2)
                    gap = work[0, m]
                    work[5, m] = 0.5 * min(f0 * spots[m], k) * vexp(-0.5 * gap * gap)
                for m in range(stop - start):
                    work[1, m] = erfcx_shape(work[1, m]) * work[2, m]
                for m in range(stop - start):
                    f = f0 * spots[m]
                    half = work[5, m]
                    a = half * work[1, m]
                    b = half * (erfcx_shape(work[3, m]) * work[4, m])
                    value = (a if work[0, m] >= 0.0 else min(f, k) - a) - b
                    value = value + max(sgn * (f - k), 0.0)
                    sums[m] += w * (value / f if inverse else value)

    return loop
