"""Compiled loops for Black-76, linear and inverse; imports numba, so nothing imports this before it
is needed.

The arithmetic is in ``_stages``; here are the loops over the rows of a call and what the two
conventions add: the discounting of the linear options, the coin of the inverse ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.pricing.kernels._compile import (
    block_of,
    compiled_loop,
    sources_stamp,
    widest_vectors,
)
from commonmode.pricing.kernels._stages import (
    HANDED_ON,
    RUN,
    discount_rows,
    higher_greeks,
    run_of_rows,
)

__all__ = ["inverse_loop", "linear_loop"]


def linear_loop(level: int, discounted: bool) -> Callable[..., int]:
    """A compiled loop ``(F, K, T, vol, sign, rate, out) -> rows that are not plain``.

    An input has the length of a row of `out`, or is one block long and serves every block.

    Parameters
    ----------
    level : int
        Rows of `out` beyond the price: 0, 5, 9 or 12 of ``columns.LINEAR``.
    discounted : bool
        Whether `rate` is used; without it the loop does one exponential less per row.
    """

    stamp = sources_stamp()

    @compiled_loop
    def loop(
        forward: FloatArray,
        strike: FloatArray,
        years: FloatArray,
        vol: FloatArray,
        sign: FloatArray,
        rate: FloatArray,
        out: FloatArray,
        low: int,
        high: int,
    ) -> int:
        odd = widest_vectors(stamp) - stamp
        n = out.shape[1]
        work = np.empty(HANDED_ON)
        for start in range(low, high, RUN):
            size = min(start + RUN, high) - start
            first = np.uint64(start)
            fs = block_of(forward, start, size, n)
            ks = block_of(strike, start, size, n)
            ts = block_of(years, start, size, n)
            vs = block_of(vol, start, size, n)
            sgs = block_of(sign, start, size, n)
            rs = block_of(rate, start, size, n)
            odd += run_of_rows(
                fs, ks, ts, vs, sgs, rs, work, out, first, level, discounted, 0, 1, 2, 3, 4, 5
            )
            if level >= 12:
                higher_greeks(work, out, first, size)
            if discounted:
                discount_rows(ts, rs, work, out, first, level)
        return odd

    return loop


def inverse_loop(level: int) -> Callable[..., int]:
    """As :func:`linear_loop` for ``columns.INVERSE``: level 0 is the price in coin, else all."""

    stamp = sources_stamp()

    @compiled_loop
    def loop(
        forward: FloatArray,
        strike: FloatArray,
        years: FloatArray,
        vol: FloatArray,
        sign: FloatArray,
        rate: FloatArray,
        out: FloatArray,
        low: int,
        high: int,
    ) -> int:
        odd = widest_vectors(stamp) - stamp
        n = out.shape[1]
        work = np.empty(HANDED_ON)
        for start in range(low, high, RUN):
            size = min(start + RUN, high) - start
            first = np.uint64(start)
            fs = block_of(forward, start, size, n)
            ks = block_of(strike, start, size, n)
            ts = block_of(years, start, size, n)
            vs = block_of(vol, start, size, n)
            sgs = block_of(sign, start, size, n)
            rs = block_of(rate, start, size, n)
            if level > 0:
                # Row 13 takes the linear rho for a moment.
                odd += run_of_rows(
                    fs, ks, ts, vs, sgs, rs, work, out, first, 5, False, 1, 2, 4, 6, 8, 13
                )
                for i in range(np.uint64(size)):
                    out[0, first + i] = out[1, first + i] / fs[i]
            else:
                odd += run_of_rows(
                    fs, ks, ts, vs, sgs, rs, work, out, first, 0, False, 0, 0, 0, 0, 0, 0
                )
                for i in range(np.uint64(size)):
                    out[0, first + i] /= fs[i]
            if level > 0:
                # The rest follows from these, in cache.
                for i in range(np.uint64(size)):
                    j = first + i
                    out[3, j] = out[2, j] - out[0, j]
                    out[5, j] = out[4, j] - (out[2, j] - out[0, j]) / fs[i]
                for i in range(np.uint64(size)):
                    j = first + i
                    out[7, j] = out[6, j] / fs[i]
                    out[9, j] = out[8, j] / fs[i]
                for i in range(np.uint64(size)):
                    j = first + i
                    out[10, j] = out[8, j] * (1.0 / 365.0)
                    out[11, j] = out[9, j] * (1.0 / 365.0)
                for i in range(np.uint64(size)):
                    j = first + i
                    out[12, j] = ts[i] * (fs[i] * out[2, j] - out[1, j])
                    out[13, j] = -ts[i] * out[0, j]
        return odd

    return loop
