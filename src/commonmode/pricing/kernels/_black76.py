"""Compiled loops for Black-76; imports numba, so nothing imports this before it is needed.

Every loop is branch-free. It is right on rows that are *plain*, that is

``1e-75 <= F, K <= 1e75``, ``1e-12 <= T <= 1e6``, ``1e-8 <= vol <= 1e6``, ``|r T| <= 300``;

the other rows (expired, without volatility, worthless, NaN) are counted, and the caller redoes
them with the numpy twin, whose limits are exact.

Notation, with ``x = |ln(F/K)|``, ``h = x/s``, ``t = s/2``, ``M = sqrt(F K) exp(-(h^2+t^2)/2)`` and
``E(z) = erfcx(z / sqrt 2) / 2``: the out-of-the-money price is ``A - B``, ``A = M E(h-t)``,
``B = M E(h+t)``. These are the two terms of Black's formula, and the one exponential in M serves
both of them and the density, ``F n(d1) = K n(d2) = M / sqrt(2 pi)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit

from commonmode.core.arrays import FloatArray
from commonmode.pricing.kernels._compile import (
    block_of,
    compiled_loop,
    sources_stamp,
    widest_vectors,
)
from commonmode.pricing.kernels._math import fma, verfcx, vexp, vlog
from commonmode.pricing.kernels.columns import BLOCK

__all__ = ["inverse_loop", "linear_loop", "otm_parts"]

_ROOT_HALF: Final = 0.7071067811865475244
_INV_ROOT_2PI: Final = 0.3989422804014326779
_ROOT_HALF_PI: Final = 1.2533141373155002512
# Where t is below this, or below 0.02 h, A - B is taken from its series in t.
_SERIES: Final = 0.08


@njit(inline="always", error_model="numpy")
def otm_parts(h: float, t: float, least: float, scale: float) -> tuple[float, ...]:
    """Terms of the out-of-the-money price.

    `least` is min(F, K) and `scale` is M. Returns ``(price, A, least - A, B)``, each without
    cancellation worse than the problem's own.

    The series is Jaeckel's (2015, "Let's be rational", eq. 6.9): odd derivatives of the Mills
    ratio ``Y(-h)`` in closed form, whose own cancellation stays below the conditioning for
    ``h t < 1``.
    """
    series = (t < max(_SERIES, 0.02 * h)) & (h * t < 1.0)
    u = (h - t) * _ROOT_HALF
    e1 = 0.5 * verfcx(h * _ROOT_HALF if series else abs(u))
    b = scale * (0.5 * verfcx((h + t) * _ROOT_HALF))
    y = h * h
    w = t * t
    # a = Y'(-h) = 1 - h sqrt(pi/2) erfcx(h / sqrt 2)
    a = fma(-2.0 * _ROOT_HALF_PI * h, e1, 1.0)
    k1 = fma(a, y, fma(3.0, a, -1.0))
    k2 = fma(fma(a, y, fma(10.0, a, -1.0)), y, fma(15.0, a, -7.0))
    k3 = fma(a, y, fma(21.0, a, -1.0))
    k3 = fma(fma(k3, y, fma(105.0, a, -18.0)), y, fma(105.0, a, -57.0))
    k4 = fma(fma(a, y, fma(36.0, a, -1.0)), y, fma(378.0, a, -33.0))
    k4 = fma(fma(k4, y, fma(1260.0, a, -285.0)), y, fma(945.0, a, -561.0))
    total = fma(w, fma(w, k4 * (1.0 / 362880.0), k3 * (1.0 / 5040.0)), k2 * (1.0 / 120.0))
    total = fma(w, fma(w, total, k1 * (1.0 / 6.0)), a)
    near = scale * (2.0 * _INV_ROOT_2PI) * t * total
    m1 = scale * e1
    inside = u < 0.0
    part = near + b if series else (least - m1 if inside else m1)
    rest = least - part if series or not inside else m1
    # h < t: least - m1 - b loses nothing; else m1 - b loses at most 1 / series digits.
    price = near if series else part - b
    return price, part, rest, b


@njit(inline="always", error_model="numpy")
def _plain(f: float, k: float, t: float, v: float, rt: float) -> bool:
    return (
        (f >= 1e-75)
        & (f <= 1e75)
        & (k >= 1e-75)
        & (k <= 1e75)
        & (t >= 1e-12)
        & (t <= 1e6)
        & (v >= 1e-8)
        & (v <= 1e6)
        & (rt <= 300.0)
        & (rt >= -300.0)
    )


@njit(inline="always", error_model="numpy")
def _greeks(f: float, k: float, t: float, v: float, sign: float) -> tuple[float, ...]:
    """Undiscounted price and the Greeks; what a caller does not store, LLVM drops."""
    root = math.sqrt(t)
    s = v * root
    # One division for four reciprocals.
    fk = f * k
    st = s * t
    joint = 1.0 / (fk * st)
    per_fk = joint * st
    per_st = joint * fk
    per_f = per_fk * k
    per_k = per_fk * f
    per_s = per_st * t
    per_t = per_st * s
    ratio = f * per_k
    # The rounding of F/K is put back: it matters near the money.
    x = vlog(ratio) + fma(-ratio, k, f) * per_f
    half = 0.5 * s
    h = abs(x) * per_s
    scale = math.sqrt(fk) * vexp(-0.5 * fma(h, h, half * half))
    otm, part, rest, b = otm_parts(h, half, min(f, k), scale)
    price = otm + max(sign * (f - k), 0.0)
    # F N(d1) and F N(-d1) from the side that has no cancellation.
    up = x > 0.0
    delta = (f - b if up else part) if sign > 0.0 else (-b if up else -rest)
    delta = delta * per_f
    d1 = x * per_s + half
    d2 = x * per_s - half
    flow = scale * _INV_ROOT_2PI
    density = flow * per_f
    gamma = density * per_f * per_s
    vega = flow * root
    theta = -0.5 * flow * s * per_t
    per_v = root * per_s
    both = d1 * d2
    vanna = -density * d2 * per_v
    volga = vega * both * per_v
    charm = 0.5 * density * d2 * per_t
    speed = -gamma * per_f * fma(d1, per_s, 1.0)
    color = 0.5 * gamma * (1.0 - both) * per_t
    zomma = gamma * (both - 1.0) * per_v
    ultima = -vega * (both * (1.0 - both) + fma(d1, d1, d2 * d2)) * (per_v * per_v)
    return (
        price,
        delta,
        gamma,
        vega,
        theta,
        vanna,
        volga,
        charm,
        speed,
        color,
        zomma,
        ultima,
    )


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
        for start in range(low, high, BLOCK):
            stop = min(start + BLOCK, high)
            size = stop - start
            first = np.uint64(start)
            fs = block_of(forward, start, size, n)
            ks = block_of(strike, start, size, n)
            ts = block_of(years, start, size, n)
            vs = block_of(vol, start, size, n)
            sgs = block_of(sign, start, size, n)
            rs = block_of(rate, start, size, n)
            for i in range(np.uint64(size)):
                f = fs[i]
                t = ts[i]
                r = 0.0
                discount = 1.0
                if discounted:
                    r = rs[i]
                    discount = vexp(-r * t)
                odd += 0 if _plain(f, ks[i], t, vs[i], r * t) & (abs(sgs[i]) == 1.0) else 1
                price, delta, gamma, vega, theta, vanna, volga, charm, speed = _greeks(
                    f, ks[i], t, vs[i], sgs[i]
                )[:9]
                price *= discount
                delta *= discount
                out[0, first + i] = price
                if level >= 5:
                    out[1, first + i] = delta
                    out[2, first + i] = gamma * discount
                    out[3, first + i] = vega * discount
                    out[4, first + i] = theta * discount + r * price
                    out[5, first + i] = -t * price
                if level >= 9:
                    out[6, first + i] = vanna * discount
                    out[7, first + i] = volga * discount
                    out[8, first + i] = charm * discount + r * delta
                    out[9, first + i] = speed * discount
            # Apart, because LLVM does not vectorise a loop with this many outputs; it needs
            # neither erfcx, so it is cheap.
            if level >= 12:
                for i in range(np.uint64(size)):
                    r = 0.0
                    discount = 1.0
                    if discounted:
                        r = rs[i]
                        discount = vexp(-r * ts[i])
                    values = _greeks(fs[i], ks[i], ts[i], vs[i], sgs[i])
                    out[10, first + i] = (values[9] + r * values[2]) * discount
                    out[11, first + i] = values[10] * discount
                    out[12, first + i] = values[11] * discount
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
        for start in range(low, high, BLOCK):
            stop = min(start + BLOCK, high)
            size = stop - start
            first = np.uint64(start)
            fs = block_of(forward, start, size, n)
            ks = block_of(strike, start, size, n)
            ts = block_of(years, start, size, n)
            vs = block_of(vol, start, size, n)
            sgs = block_of(sign, start, size, n)
            for i in range(np.uint64(size)):
                odd += 0 if _plain(fs[i], ks[i], ts[i], vs[i], 0.0) & (abs(sgs[i]) == 1.0) else 1
                price, delta, gamma, vega, theta = _greeks(fs[i], ks[i], ts[i], vs[i], sgs[i])[:5]
                out[0, first + i] = price / fs[i]
                if level > 0:
                    out[1, first + i] = price
                    out[2, first + i] = delta
                    out[4, first + i] = gamma
                    out[6, first + i] = vega
                    out[8, first + i] = theta
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
