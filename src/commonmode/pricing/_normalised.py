"""Normalised Black function without cancellation, the core of prices and implied volatilities.

With ``x = -|ln(F/K)|`` and ``s = vol sqrt(T)`` the undiscounted out-of-the-money price divided by
``sqrt(F K)`` is ``b(x, s) = exp(x/2) N(x/s + s/2) - exp(-x/2) N(x/s - s/2)`` (Jaeckel 2015, "Let's
be rational", Wilmott 75). The difference loses all digits for small ``s`` and in the wings; there
it is taken from the Mills ratio's integral, whose integrand is positive.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import erfcx, log_ndtr, ndtr

from commonmode.core.arrays import FloatArray

__all__ = [
    "INV_SQRT_2PI",
    "LOG_SQRT_2PI",
    "log_moneyness",
    "normal_density",
    "normalised_black",
    "normalised_black_complement",
]

LOG_SQRT_2PI: Final = 0.9189385332046727418
INV_SQRT_2PI: Final = 0.3989422804014326779
_SQRT_HALF: Final = 0.7071067811865475244
# 32 nodes integrate the Mills integrand to below 1e-16 over the range where it exceeds exp(-42).
_NODES, _WEIGHTS = (0.5 * (leggauss(32)[0] + 1.0), 0.5 * leggauss(32)[1])
_REACH: Final = 42.0
# Above this ratio t / (1 + |h|) the plain difference loses less than a digit.
_PLAIN_RATIO: Final = 0.5


def normal_density(z: FloatArray) -> FloatArray:
    """Standard normal density, any shape."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(INV_SQRT_2PI * np.exp(-0.5 * z * z))


def log_moneyness(forward: FloatArray, strike: FloatArray) -> FloatArray:
    """``ln(F / K)``, exact to rounding near the money; +-inf where one of them is zero.

    Both zero gives 0; a negative one gives NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        ratio = (forward - strike) / strike
        near = np.abs(ratio) < 0.5
        far = np.log(forward) - np.log(strike)
        # F/K overflows only where ln F - ln K is accurate anyway.
        quotient = forward / strike
        far = np.where((quotient > 0) & np.isfinite(quotient), np.log(quotient), far)
        x = np.where(near, np.log1p(np.where(near, ratio, 0.0)), far)
    return np.where((forward == 0) & (strike == 0), 0.0, x)


def _mills_difference(h: FloatArray, t: FloatArray) -> FloatArray:
    """``Y(h+t) - Y(h-t)`` with ``Y = N/n``, for h <= 0 < t small, by its positive integral.

    ``Y(z) = int_0^inf exp(z u - u^2/2) du`` gives ``int 2 sinh(t u) exp(h u - u^2/2) du``.
    """
    decay = -h - t
    end = 2.0 * _REACH / (np.sqrt(decay * decay + 2.0 * _REACH) + decay)
    total = np.zeros_like(h)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        u = end * node
        total += weight * np.sinh(t * u) * np.exp((h - 0.5 * u) * u)
    return np.asarray(2.0 * end * total)


def normalised_black(x: FloatArray, s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Normalised Black price of the out-of-the-money option and its logarithm.

    Parameters
    ----------
    x : float64, shape (n,)
        ``-|ln(F/K)|``, <= 0; -inf allowed.
    s : float64, shape (n,)
        Total volatility ``vol sqrt(T)``, >= 0.

    Returns
    -------
    price : float64, shape (n,)
        In ``[0, exp(x/2))``; relative error of a few units in the last place times
        ``1 + (x/s)^2/2``, which is the conditioning of the problem itself.
    log_price : float64, shape (n,)
        Finite far below the smallest double; -inf where s = 0 or x = -inf.
    """
    x, s = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(s, np.float64))
    price = np.zeros(x.shape)
    log_price = np.full(x.shape, -np.inf)
    with np.errstate(all="ignore"):
        h = np.where(s > 0, x / np.where(s > 0, s, 1.0), -np.inf)
        t = 0.5 * s
        # Beyond |h| = 1e100 even the logarithm says only "zero"; this also keeps h*h finite.
        live = (s > 0) & (h > -1e100)
        small = live & (t < _PLAIN_RATIO * (1.0 - h))
        large = live & ~small & (h + t > 0)
        wing = live & ~small & ~large
        for mask in (small, wing):
            if mask.any():
                hm, tm = h[mask], t[mask]
                if mask is small:
                    ratio = _mills_difference(hm, tm)
                else:
                    ratio = (erfcx(-(hm + tm) * _SQRT_HALF) - erfcx(-(hm - tm) * _SQRT_HALF)) * (
                        0.5 / INV_SQRT_2PI
                    )
                exponent = -0.5 * (hm * hm + tm * tm)
                price[mask] = INV_SQRT_2PI * np.exp(exponent) * ratio
                log_price[mask] = exponent - LOG_SQRT_2PI + np.log(ratio)
        if large.any():
            hm, tm, xm = h[large], t[large], x[large]
            price[large] = np.exp(0.5 * xm) * ndtr(hm + tm) - np.exp(-0.5 * xm + log_ndtr(hm - tm))
            log_price[large] = np.log(price[large])
    return price, log_price


def normalised_black_complement(x: FloatArray, s: FloatArray) -> FloatArray:
    """``exp(x/2) - b(x, s)`` as a sum of positive terms; same shapes as :func:`normalised_black`.

    Needs s > 0.
    """
    with np.errstate(all="ignore"):
        h, t = x / s, 0.5 * s
        return np.asarray(np.exp(0.5 * x) * ndtr(-h - t) + np.exp(-0.5 * x + log_ndtr(h - t)))
