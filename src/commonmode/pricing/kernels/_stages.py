"""Black-76 in stages over a short run of rows; imports numba.

One loop that does everything for a row is bound by its latency: some 250 dependent cycles, of which
a processor can overlap hardly two. So the work is cut into loops that are each short enough for
many rows to be in flight, with what they hand on in a small array that stays in the first-level
cache (.7 of the time of the single loop). The Greeks that need no erfcx are stored in the stages
that follow, spread over them, so that the stores hide behind the arithmetic.

Every loop is branch-free. It is right on rows that are *plain* in option and volatility
(``_plain``); the others are counted.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from commonmode.core.arrays import FloatArray
from commonmode.pricing.kernels import _plain
from commonmode.pricing.kernels._math import (
    binary_ratio,
    erfcx_arguments,
    erfcx_shape,
    fma,
    log_from_ratio,
    vexp,
)
from commonmode.pricing.kernels._otm import far_argument, near_argument, otm_parts_from

__all__ = ["HANDED_ON", "RUN", "discount_rows", "higher_greeks", "run_of_rows"]

RUN: Final = 256
"""Rows taken through all stages together; a whole number of runs makes a block."""

HANDED_ON: Final = (11, RUN + 24)
"""Shape of the array between the stages; the odd length keeps its rows out of the same sets of
the cache."""

_INV_ROOT_2PI: Final = 0.3989422804014326779

# Rows of the array between the stages.
_ROOT: Final = 0  # sqrt(T)
_S: Final = 1  # vol sqrt(T)
_PER_F: Final = 2
_PER_S: Final = 3
_PER_T: Final = 4
_X: Final = 5  # log(F/K)
_M: Final = 6
_NEAR: Final = 7  # argument of the first erfcx in its polynomial, then the erfcx
_NEAR_SCALE: Final = 8
_FAR: Final = 9
_FAR_SCALE: Final = 10
_DISCOUNT: Final = _NEAR  # once the price is there

_plain_option = njit(inline="always", error_model="numpy")(_plain.plain_option)
_plain_vol = njit(inline="always", error_model="numpy")(_plain.plain_vol)


@njit(inline="always", error_model="numpy")
def run_of_rows(
    fs: FloatArray,
    ks: FloatArray,
    ts: FloatArray,
    vs: FloatArray,
    sgs: FloatArray,
    rs: FloatArray,
    work: FloatArray,
    out: FloatArray,
    first: np.uint64,
    level: int,
    discounted: bool,
    price: int,
    delta: int,
    gamma: int,
    vega: int,
    theta: int,
    rho: int,
) -> int:
    """Undiscounted price and first `level` Greeks of up to RUN rows; gives those not plain.

    Column i goes to ``out[row, first + i]``, with the rows of `out` as named; vanna, volga, charm
    and speed go to rows 6 to 9.
    """
    odd = 0
    size = np.uint64(fs.shape[0])
    # Bound by one division and one square root, behind which the logarithm is free.
    for i in range(size):
        f = fs[i]
        k = ks[i]
        t = ts[i]
        rt = rs[i] * t if discounted else 0.0
        odd += 0 if _plain_option(f, k, t, rt, sgs[i]) & _plain_vol(vs[i]) else 1
        root = math.sqrt(t)
        s = vs[i] * root
        power, scaled = binary_ratio(f, k)
        total = f + scaled
        gap = f - scaled
        # One division for four reciprocals.
        st = s * t
        f_total = f * total
        joint = 1.0 / (f_total * st)
        per_f_total = joint * st
        per_st = joint * f_total
        per_total = per_f_total * f
        ratio = gap * per_total
        # The roundings of the shared reciprocal are put back: they matter near the money.
        ratio = fma(fma(-ratio, total, gap), per_total, ratio)
        work[_ROOT, i] = root
        work[_S, i] = s
        work[_PER_F, i] = per_f_total * total
        work[_PER_S, i] = per_st * t
        work[_PER_T, i] = per_st * s
        work[_X, i] = log_from_ratio(power, ratio)
    for i in range(size):
        h_less_t = abs(work[_X, i]) * work[_PER_S, i] - 0.5 * work[_S, i]
        m = min(fs[i], ks[i]) * vexp(-0.5 * h_less_t * h_less_t)
        work[_M, i] = m
        if level >= 5:
            flow = m * _INV_ROOT_2PI
            per_f = work[_PER_F, i]
            out[gamma, first + i] = flow * per_f * per_f * work[_PER_S, i]
            out[vega, first + i] = flow * work[_ROOT, i]
    for i in range(size):
        h = abs(work[_X, i]) * work[_PER_S, i]
        half = 0.5 * work[_S, i]
        near, near_scale, far, far_scale = erfcx_arguments(
            near_argument(h, half), far_argument(h, half)
        )
        work[_NEAR, i] = near
        work[_NEAR_SCALE, i] = near_scale
        work[_FAR, i] = far
        work[_FAR_SCALE, i] = far_scale
        if level >= 5:
            flow = work[_M, i] * _INV_ROOT_2PI
            out[theta, first + i] = -0.5 * flow * work[_S, i] * work[_PER_T, i]
    for i in range(size):
        work[_NEAR, i] = erfcx_shape(work[_NEAR, i]) * work[_NEAR_SCALE, i]
        if level >= 9:
            flow = work[_M, i] * _INV_ROOT_2PI
            per_s = work[_PER_S, i]
            centre = work[_X, i] * per_s
            half = 0.5 * work[_S, i]
            per_v = work[_ROOT, i] * per_s
            d2 = centre - half
            out[6, first + i] = -flow * work[_PER_F, i] * d2 * per_v
            out[7, first + i] = flow * work[_ROOT, i] * ((centre + half) * d2) * per_v
    for i in range(size):
        work[_FAR, i] = erfcx_shape(work[_FAR, i]) * work[_FAR_SCALE, i]
        if level >= 9:
            per_f = work[_PER_F, i]
            per_s = work[_PER_S, i]
            density = work[_M, i] * _INV_ROOT_2PI * per_f
            centre = work[_X, i] * per_s
            half = 0.5 * work[_S, i]
            out[8, first + i] = 0.5 * density * (centre - half) * work[_PER_T, i]
            out[9, first + i] = -density * per_f * per_s * per_f * fma(centre + half, per_s, 1.0)
    for i in range(size):
        f = fs[i]
        k = ks[i]
        x = work[_X, i]
        h = abs(x) * work[_PER_S, i]
        otm, part, rest, b = otm_parts_from(
            h, 0.5 * work[_S, i], min(f, k), work[_M, i], work[_NEAR, i], work[_FAR, i]
        )
        value = otm + max(sgs[i] * (f - k), 0.0)
        out[price, first + i] = value
        if level >= 5:
            # F N(d1) and F N(-d1) from the side that has no cancellation.
            up = x > 0.0
            d = (f - b if up else part) if sgs[i] > 0.0 else (-b if up else -rest)
            out[delta, first + i] = d * work[_PER_F, i]
            out[rho, first + i] = -ts[i] * value
    return odd


@njit(inline="always", error_model="numpy")
def higher_greeks(work: FloatArray, out: FloatArray, first: np.uint64, size: int) -> None:
    """Color, zomma and ultima into rows 10 to 12, from gamma and vega in rows 2 and 3."""
    for i in range(np.uint64(size)):
        per_s = work[_PER_S, i]
        centre = work[_X, i] * per_s
        half = 0.5 * work[_S, i]
        d1 = centre + half
        d2 = centre - half
        both = d1 * d2
        per_v = work[_ROOT, i] * per_s
        gamma = out[2, first + i]
        out[10, first + i] = 0.5 * gamma * (1.0 - both) * work[_PER_T, i]
        out[11, first + i] = gamma * (both - 1.0) * per_v
        out[12, first + i] = (
            -out[3, first + i] * (both * (1.0 - both) + fma(d1, d1, d2 * d2)) * (per_v * per_v)
        )


@njit(inline="always", error_model="numpy")
def discount_rows(
    ts: FloatArray,
    rs: FloatArray,
    work: FloatArray,
    out: FloatArray,
    first: np.uint64,
    level: int,
) -> None:
    """Everything by ``exp(-r T)``; theta, charm and color also by what the discount moves."""
    size = np.uint64(ts.shape[0])
    for i in range(size):
        work[_DISCOUNT, i] = vexp(-rs[i] * ts[i])
    for row in range(level + 1):
        for i in range(size):
            out[row, first + i] *= work[_DISCOUNT, i]
    if level >= 5:
        for i in range(size):
            out[4, first + i] += rs[i] * out[0, first + i]
    if level >= 9:
        for i in range(size):
            out[8, first + i] += rs[i] * out[1, first + i]
    if level >= 12:
        for i in range(size):
            out[10, first + i] += rs[i] * out[2, first + i]
