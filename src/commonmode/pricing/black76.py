"""Black (1976): European options on a forward, price and Greeks.

Black, F. (1976), "The pricing of commodity contracts", Journal of Financial Economics 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.pricing._normalised import (
    INV_SQRT_2PI,
    log_moneyness,
    normal_density,
    normalised_black,
)

__all__ = ["Black76Greeks", "black76_greeks", "black76_price"]


@dataclass(frozen=True, slots=True, eq=False)
class Black76Greeks:
    """Price and derivatives with respect to the forward; all float64 of the broadcast shape.

    V is the discounted price, F the forward, held fixed in rho and in the time derivatives.

    Attributes
    ----------
    price : V, in the unit of F
    delta : dV/dF
    gamma : d2V/dF2
    vega : dV/dvol, per 1.00 of volatility (100 vol points)
    theta : dV/dt = -dV/dT, per year
    rho : dV/dr, per 1.00 of rate
    vanna : d2V/dF dvol
    volga : d2V/dvol2
    charm : d(delta)/dt, per year
    speed : d(gamma)/dF
    color : d(gamma)/dt, per year
    zomma : d(gamma)/dvol
    ultima : d(volga)/dvol
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    volga: FloatArray
    charm: FloatArray
    speed: FloatArray
    color: FloatArray
    zomma: FloatArray
    ultima: FloatArray


def _inputs(*values: ArrayLike) -> list[FloatArray]:
    return list(np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values)))


def _domain(f: FloatArray, k: FloatArray, t: FloatArray, vol: FloatArray) -> BoolArray:
    return np.asarray((f >= 0) & (k >= 0) & (t >= 0) & (vol >= 0))


def black76_price(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
) -> FloatArray:
    """Discounted Black-76 price: intrinsic value plus the out-of-the-money price.

    Parameters
    ----------
    forward, strike : array_like
        Same currency, >= 0.
    years : array_like
        Years to expiry, >= 0.
    vol : array_like
        Annualised decimal, >= 0.
    sign : array_like
        +1 call, -1 put.
    rate : array_like
        Continuously compounded annual rate of discounting.

    Returns
    -------
    float64, broadcast shape
        In the currency of the forward. Finite for finite input; NaN where an input is NaN or
        negative (the rate may be negative).
    """
    f, k, t, v, sgn, r = _inputs(forward, strike, years, vol, sign, rate)
    with np.errstate(all="ignore"):
        x = -np.abs(log_moneyness(f, k))
        beta, _ = normalised_black(x, v * np.sqrt(t))
        value = np.exp(-r * t) * (np.maximum(sgn * (f - k), 0.0) + np.sqrt(f) * np.sqrt(k) * beta)
    return np.where(_domain(f, k, t, v) & np.isfinite(sgn), value, np.nan)


def black76_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
) -> Black76Greeks:
    """Black-76 price with twelve Greeks.

    Parameters are those of :func:`black76_price`. Where ``vol * sqrt(years)`` is zero the Greeks
    are their limits: those of the discounted payoff away from the money; exactly at the money
    delta is half the discount factor and the derivatives that diverge are +-inf.

    Returns
    -------
    Black76Greeks
        Arrays of the broadcast shape; NaN where an input is NaN or negative.
    """
    f, k, t, v, sgn, r = _inputs(forward, strike, years, vol, sign, rate)
    price = np.asarray(black76_price(f, k, t, v, sign=sgn, rate=r))
    with np.errstate(all="ignore"):
        root = np.sqrt(t)
        s = v * root
        dead = s == 0
        s1, v1, t1 = np.where(dead, 1.0, s), np.where(dead, 1.0, v), np.where(dead, 1.0, t)
        f1 = np.where(f > 0, f, 1.0)
        x = log_moneyness(f, k)
        # The density is zero beyond 40; the clip keeps zero times infinity out.
        d1 = np.clip(x / s1 + 0.5 * s1, -1e3, 1e3)
        d2 = np.clip(x / s1 - 0.5 * s1, -1e3, 1e3)
        step = 0.5 * (1.0 + np.sign(sgn * x))
        discount = np.exp(-r * t)
        delta = discount * sgn * np.where(dead, step, ndtr(sgn * d1))
        density = discount * np.where(dead, 0.0, normal_density(d1))
        both = d1 * d2
        gamma = density / f1 / s1
        vega = f * density * root
        # Where the density has underflowed it beats every power of 1/vol and 1/T.
        alive = gamma > 0
        lean1, lean2 = (np.where(density > 0, d / v1, 0.0) for d in (d1, d2))
        decay = 0.5 * f * density * (v1 / np.sqrt(t1))
        greeks = {
            "price": price,
            "delta": delta,
            "gamma": gamma,
            "vega": vega,
            "theta": r * price - decay,
            "rho": -t * price,
            "vanna": -density * d2 / v1,
            "volga": vega * d1 * lean2,
            "charm": r * delta + 0.5 * density * d2 / t1,
            "speed": np.where(alive, -gamma / f1 * (1.0 + d1 / s1), 0.0),
            "color": np.where(alive, gamma * (r + 0.5 * (1.0 - both) / t1), 0.0),
            "zomma": gamma * (both - 1.0) / v1,
            "ultima": -vega * (lean1 * lean2 * (1.0 - both) + lean1 * lean1 + lean2 * lean2),
        }
        kink = dead & (x == 0) & (f > 0)
        if kink.any():
            density0 = INV_SQRT_2PI * discount
            vega0 = f * density0 * root
            # With vol > 0 and no time left the time value falls off at infinite speed.
            cliff = np.where((t == 0) & (v > 0), np.inf, 0.0)
            limits: dict[str, FloatArray | float] = {
                "gamma": np.inf,
                "vega": vega0,
                "theta": r * price - cliff,
                "vanna": 0.5 * density0 * root,
                "charm": r * delta - cliff,
                "speed": -np.inf,
                "color": np.inf,
                "zomma": -np.inf,
                "ultima": -0.25 * vega0 * t,
            }
            for name, limit in limits.items():
                greeks[name] = np.asarray(np.where(kink, limit, greeks[name]))
    good = _domain(f, k, t, v) & np.isfinite(sgn)
    return Black76Greeks(**{name: np.where(good, value, np.nan) for name, value in greeks.items()})
