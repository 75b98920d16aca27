"""Compiled loop for Black-76 implied volatility; imported when first needed (it loads numba).

First guess: the volatility of Bachelier's model, whose price over the distance to the strike is a
function of ``h = x/s`` alone and is inverted by a rational function, on a price bent so that it is
right at the money for any volatility. Then two steps of Householder's third-order method on the
one of Jaeckel's three objectives (2015, "Let's be rational") that is nearly linear there:
``1 / ln b`` in the wing, ``ln(b_max - b)`` close to the upper bound, ``b`` between. All by selects.
The few rows whose second step is not small get more, one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit

from commonmode.core.arrays import FloatArray
from commonmode.pricing.kernels import _plain
from commonmode.pricing.kernels._compile import (
    block_of,
    compiled_loop,
    sources_stamp,
    widest_vectors,
)
from commonmode.pricing.kernels._math import fma, vexp, vlog
from commonmode.pricing.kernels._otm import otm_parts
from commonmode.pricing.kernels.columns import BLOCK

__all__ = ["implied_vol_loop"]

_ROOT_2PI: Final = 2.5066282746310005024
_INV_ROOT_2PI: Final = 0.3989422804014326779
# Winitzki's constant for erfinv; the guess needs no more than its three digits.
_WINITZKI: Final = 0.147
# Wing below this multiple of the inflection point sqrt(2x), upper region above half the bound.
_WING: Final = 0.8
# A last step below this leaves .3 times its fourth power, less than rounding.
_SETTLED: Final = 1.5e-4
_MORE: Final = 6

_plain_option = njit(inline="always", error_model="numpy")(_plain.plain_option)


@njit(inline="always", error_model="numpy")
def _first_guess(x: float, beta: float, top: float, rest: float) -> float:
    share = beta / top
    tail = vlog(max(rest / top * (1.0 + share), 1e-300))
    a = 2.0 / (math.pi * _WINITZKI) + 0.5 * tail
    q = tail * (-1.0 / _WINITZKI)
    bent = top * (2.0 * _INV_ROOT_2PI) * math.sqrt(2.0 * q / (math.sqrt(fma(a, a, q)) + a))
    # 1 - share^2 has no digits of a small share, and no bend is needed there.
    bent = beta if share < 0.01 else bent
    distance = max(x, 1e-6 * bent)
    # Coefficients and their error, 4e-4: scripts/kernel_coefficients.py.
    z = vlog(1.0 + 0.8 * distance / bent)
    v = math.sqrt(z)
    p = fma(fma(0.04212701631030927, v, -0.020820332165296145), v, -0.052815181352711696)
    p = fma(p, v, 0.49862232282557184)
    q = fma(fma(0.029841857741083597, v, -0.014799482490008616), v, 0.12288051543808265)
    q = fma(fma(q, v, -0.11210616581785311), v, 1.0)
    return distance * q / (z * p)


@njit(inline="always", error_model="numpy")
def _step(
    s: float, x: float, beta: float, log_beta: float, top: float, wing: bool, upper: bool
) -> float:
    """One Householder(3) step from s."""
    per_s = 1.0 / s
    h = x * per_s
    t = 0.5 * s
    square = fma(h, h, t * t)
    # Everything in units of M = exp(-(h^2+t^2)/2), so that the wing needs no exponential.
    grown = vexp(min(0.5 * square, 600.0))
    price, _part, left, b = otm_parts(h, t, top * grown, 1.0)
    left = left + b
    base = price if wing else left
    per_base = 1.0 / base
    logarithm = vlog(price if wing else ((top - beta) * grown * per_base if upper else 1.0))
    level = logarithm - 0.5 * square
    b2 = fma(h * h, per_s, -0.25 * s)
    b3 = fma(b2, b2, fma(-3.0 * per_s * per_s, h * h, -0.25))
    # slope = b'/b in the wing, b'/(b_max - b) above
    slope = _INV_ROOT_2PI * per_base
    per_slope = _ROOT_2PI * base
    l2 = b2 - slope
    l3 = fma(slope, fma(2.0, slope, -3.0 * b2), b3)
    u2 = b2 + slope
    u3 = fma(slope, fma(2.0, slope, 3.0 * b2), b3)
    pull = slope / level
    wing_newton = (log_beta - level) * level * per_slope / log_beta
    wing2 = fma(-2.0, pull, l2)
    wing3 = fma(6.0 * pull, pull - l2, l3)
    other = -logarithm * per_slope if upper else (beta * grown - price) * _ROOT_2PI
    newton = wing_newton if wing else other
    second = wing2 if wing else (u2 if upper else b2)
    third = wing3 if wing else (u3 if upper else b3)
    step = newton * fma(0.5 * second, newton, 1.0)
    step = step / fma(newton, fma(third * (1.0 / 6.0), newton, second), 1.0)
    return max(min(step, 1.5 * s), -0.6 * s)


@njit(inline="always", error_model="numpy")
def _start(x: float, beta: float, top: float) -> tuple[float, float, bool, bool]:
    """First guess, ln(beta) and the regions."""
    s = _first_guess(x, beta, top, top - beta)
    return s, vlog(beta), s < _WING * math.sqrt(2.0 * x), beta > 0.5 * top


@njit(inline="always", error_model="numpy")
def _two_steps(x: float, beta: float, top: float) -> tuple[float, float]:
    """Total volatility and the relative size of the last step."""
    s, log_beta, wing, upper = _start(x, beta, top)
    # Written out: an inner loop would keep the outer one from being vectorised.
    s = s + _step(s, x, beta, log_beta, top, wing, upper)
    last = _step(s, x, beta, log_beta, top, wing, upper)
    return s + last, abs(last) / s


@njit(error_model="numpy")
def _more_steps(x: float, beta: float, top: float) -> float:
    """Total volatility of a row that two steps do not settle; NaN if these do not either."""
    s, log_beta, wing, upper = _start(x, beta, top)
    for _ in range(_MORE):
        last = _step(s, x, beta, log_beta, top, wing, upper)
        s = s + last
        if abs(last) <= _SETTLED * s:
            return s
    return np.nan


@njit(inline="always", error_model="numpy")
def _row(p: float, f: float, k: float, sign: float) -> tuple[float, float, float]:
    """``|ln(F/K)|``, the normalised out-of-the-money price and its bound."""
    per = 1.0 / (f * k)
    ratio = f * f * per
    x = abs(vlog(ratio) + fma(-ratio, k, f) * k * per)
    per_root = math.sqrt(f * k) * per
    return x, (p - max(sign * (f - k), 0.0)) * per_root, min(f, k) * per_root


def implied_vol_loop(discounted: bool) -> Callable[..., int]:
    """A compiled loop ``(price, F, K, T, sign, rate, out) -> rows not settled``; those are NaN.

    Inputs as in ``_black76.linear_loop``; `out` has shape (1, n).
    """
    stamp = sources_stamp()

    @compiled_loop
    def loop(
        price: FloatArray,
        forward: FloatArray,
        strike: FloatArray,
        years: FloatArray,
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
            ps = block_of(price, start, size, n)
            fs = block_of(forward, start, size, n)
            ks = block_of(strike, start, size, n)
            ts = block_of(years, start, size, n)
            sgs = block_of(sign, start, size, n)
            rs = block_of(rate, start, size, n)
            open_rows = 0
            for i in range(np.uint64(size)):
                p = ps[i]
                rt = 0.0
                if discounted:
                    rt = rs[i] * ts[i]
                    p = p * vexp(rt)
                x, beta, top = _row(p, fs[i], ks[i], sgs[i])
                total, change = _two_steps(x, beta, top)
                plain = _plain_option(fs[i], ks[i], ts[i], rt, sgs[i])
                good = plain & (beta >= 1e-290) & (beta < top) & (change <= _SETTLED)
                open_rows += 0 if good else 1
                out[0, first + i] = total / math.sqrt(ts[i]) if good else np.nan
            if open_rows > 0:
                for i in range(size):
                    if math.isnan(out[0, start + i]):
                        p = ps[i]
                        rt = 0.0
                        if discounted:
                            rt = rs[i] * ts[i]
                            p = p * vexp(rt)
                        x, beta, top = _row(p, fs[i], ks[i], sgs[i])
                        plain = _plain_option(fs[i], ks[i], ts[i], rt, sgs[i])
                        if plain and beta >= 1e-290 and beta < top:
                            out[0, start + i] = _more_steps(x, beta, top) / math.sqrt(ts[i])
                        odd += 1 if math.isnan(out[0, start + i]) else 0
        return odd

    return loop
