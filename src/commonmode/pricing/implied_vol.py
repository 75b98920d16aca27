"""Implied volatility to machine precision, deep wings included.

The three-region idea is Jaeckel's (2015, "Let's be rational"): a function of the price that is
nearly linear in total volatility is solved by Newton steps inside a bracket, then polished by
Halley steps on the price itself. The split is at the inflection point ``s = sqrt(2|x|)``; below it
the function is ``(-ln b)^(-1/2)``, above it the at-the-money inverse ``2 N^-1((1 + b/b_max)/2)``.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erfinv, ndtri

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.pricing._normalised import (
    LOG_SQRT_2PI,
    log_moneyness,
    normal_density,
    normalised_black,
    normalised_black_complement,
)

__all__ = ["black76_implied_vol", "normalised_black_implied_vol"]

_ROOT_8: Final = 2.8284271247461900976
_NEWTON: Final = 60
_SWITCH: Final = 1e-4
_POLISH: Final = 3


def _flat_scale(share: FloatArray, rest: FloatArray) -> FloatArray:
    """Total volatility that gives ``b / b_max = share`` at the money; ``rest = 1 - share``."""
    return np.where(share < 0.5, _ROOT_8 * erfinv(share), -2.0 * ndtri(0.5 * rest))


def _log_slope(x: FloatArray, s: FloatArray) -> FloatArray:
    """Logarithm of ``db/ds``."""
    h, t = x / s, 0.5 * s
    return np.asarray(-0.5 * (h * h + t * t) - LOG_SQRT_2PI)


def _transformed(x: FloatArray, s: FloatArray, low: BoolArray) -> tuple[FloatArray, FloatArray]:
    """The nearly linear function of s and its derivative."""
    price, log_price = normalised_black(x, s)
    log_slope = _log_slope(x, s)
    depth = -log_price
    top = np.exp(0.5 * x)
    scale = _flat_scale(price / top, normalised_black_complement(x, s) / top)
    value = np.where(low, depth**-0.5, scale)
    slope = np.where(
        low,
        0.5 * depth**-1.5 * np.exp(log_slope - log_price),
        np.exp(log_slope) / top / normal_density(0.5 * scale),
    )
    return value, slope


def _polish(x: FloatArray, beta: FloatArray, s: FloatArray) -> FloatArray:
    """One Halley step on ``ln b`` (or on the complement close to the upper bound)."""
    price, log_price = normalised_black(x, s)
    log_slope = _log_slope(x, s)
    h = x / s
    bend = h * h / s - 0.25 * s  # b'' / b'
    top = np.exp(0.5 * x)
    upper = beta > 0.5 * top
    slope = np.exp(log_slope - log_price)
    near = np.abs(price - beta) < 0.5 * beta
    gap = np.where(near, np.log1p(np.where(near, (price - beta) / beta, 0.0)), np.nan)
    gap = np.where(near, gap, log_price - np.log(beta))
    newton = gap / slope
    curve = bend - slope  # (ln b)'' / (ln b)'
    rest = normalised_black_complement(x, s)
    newton = np.where(upper, -(rest - (top - beta)) / np.exp(log_slope), newton)
    curve = np.where(upper, bend, curve)
    step = newton / np.maximum(1.0 - 0.5 * newton * curve, 0.5)
    return np.where(np.isfinite(step), np.clip(s - step, 0.5 * s, 2.0 * s), s)


def _solve(x: FloatArray, beta: FloatArray) -> FloatArray:
    """Total volatility for x < 0 and 0 < beta < exp(x/2), 1-D."""
    middle = np.sqrt(-2.0 * x)
    low = beta < normalised_black(x, middle)[0]
    top = np.exp(0.5 * x)
    scale = _flat_scale(beta / top, (top - beta) / top)
    target = np.where(low, (-np.log(beta)) ** -0.5, scale)
    left = np.where(low, 0.0, middle)
    # N(-h-t) and N(h-t) are both below the target once s exceeds the at-the-money answer + 2 s_c.
    right = np.where(low, middle, scale + 2.0 * middle + 1.0)
    s = np.where(low, np.minimum(-x * target * np.sqrt(0.5), middle), np.maximum(scale, middle))
    s = np.where(low, np.maximum(s, 1e-3 * middle * target), s)
    active = np.arange(len(x))
    for _ in range(_NEWTON):
        xa, sa, la = x[active], s[active], low[active]
        value, slope = _transformed(xa, sa, la)
        miss = value - target[active]
        left[active] = np.where(miss < 0, np.maximum(left[active], sa), left[active])
        right[active] = np.where(miss > 0, np.minimum(right[active], sa), right[active])
        fresh = sa - miss / slope
        lo, hi = left[active], right[active]
        outside = ~((fresh > lo) & (fresh < hi)) & (miss != 0)
        fresh = np.where(outside, 0.5 * (lo + hi), np.where(miss == 0, sa, fresh))
        s[active] = fresh
        done = (np.abs(fresh - sa) <= _SWITCH * fresh) & ~outside
        active = active[~(done | (hi - lo <= 1e-15 * hi))]
        if not len(active):
            break
    for _ in range(_POLISH):
        s = _polish(x, beta, s)
    return s


def normalised_black_implied_vol(x: ArrayLike, beta: ArrayLike) -> FloatArray:
    """Total volatility ``vol sqrt(T)`` from a normalised out-of-the-money price.

    Parameters
    ----------
    x : array_like
        ``ln(F/K)``; only its absolute value matters.
    beta : array_like
        Undiscounted out-of-the-money price over ``sqrt(F K)``.

    Returns
    -------
    float64, broadcast shape
        0 for beta = 0; NaN unless ``0 <= beta < exp(-|x|/2)``. About 1e-15 relative wherever the
        price determines it so well, down to the smallest normal double.
    """
    xs, betas = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(beta, np.float64))
    depth = -np.abs(xs)
    out = np.full(xs.shape, np.nan)
    with np.errstate(all="ignore"):
        top = np.exp(0.5 * depth)
        out[betas == 0] = 0.0
        inside = (betas > 0) & (betas < top)
        money = inside & (depth == 0)
        out[money] = _flat_scale(betas[money], 1.0 - betas[money])
        rest = inside & (depth < 0)
        if rest.any():
            out[rest] = _solve(depth[rest], betas[rest])
    return np.where(np.isnan(xs), np.nan, out)


def black76_implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
) -> FloatArray:
    """Black-76 implied volatility.

    Parameters
    ----------
    price : array_like
        Discounted price in the currency of the forward.
    forward, strike, years, sign, rate : array_like
        As in :func:`~commonmode.pricing.black76.black76_price`.

    Returns
    -------
    float64, broadcast shape
        Annualised decimal. NaN where the price is outside the no-arbitrage bounds
        ``[intrinsic, D F)`` (calls) or ``[intrinsic, D K)`` (puts), where an input is NaN, or
        where forward, strike or years is not positive.
    """
    p, f, k, t, sgn, r = np.broadcast_arrays(
        *(np.asarray(v, np.float64) for v in (price, forward, strike, years, sign, rate))
    )
    with np.errstate(all="ignore"):
        undiscounted = p * np.exp(r * t)
        otm = undiscounted - np.maximum(sgn * (f - k), 0.0)
        beta = otm / (np.sqrt(f) * np.sqrt(k))
        good = (f > 0) & (k > 0) & (t > 0) & np.isfinite(sgn)
        x = np.where(good, log_moneyness(np.where(good, f, 1.0), np.where(good, k, 1.0)), np.nan)
        total = normalised_black_implied_vol(x, np.where(good, beta, np.nan))
        return np.where(good, total / np.sqrt(t), np.nan)
