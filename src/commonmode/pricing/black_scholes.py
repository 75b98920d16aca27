"""Black-Scholes-Merton: European options on a spot with a continuous yield, price and Greeks.

Black and Scholes (1973), Merton (1973). Computed from Black-76 at ``F = S exp((r - q) T)`` by the
chain rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray
from commonmode.pricing.black76 import black76_greeks, black76_price

__all__ = ["BsmGreeks", "bsm_greeks", "bsm_price"]


@dataclass(frozen=True, slots=True, eq=False)
class BsmGreeks:
    """Price and derivatives with respect to the spot; all float64 of the broadcast shape.

    Attributes
    ----------
    price : V, in the unit of S
    delta : dV/dS
    gamma : d2V/dS2
    vega : dV/dvol, per 1.00 of volatility
    theta : dV/dt = -dV/dT at fixed spot, per year
    rho : dV/dr at fixed spot and yield, per 1.00 of rate
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray


def bsm_price(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
) -> FloatArray:
    """Black-Scholes-Merton price.

    Parameters
    ----------
    spot, strike : array_like
        Same currency, >= 0.
    years : array_like
        Years to expiry, >= 0.
    vol : array_like
        Annualised decimal, >= 0.
    sign : array_like
        +1 call, -1 put.
    rate, dividend_yield : array_like
        Continuously compounded annual rates.

    Returns
    -------
    float64, broadcast shape
        In the currency of the spot; NaN where an input is NaN or negative (rates may be).
    """
    growth = (np.asarray(rate, np.float64) - np.asarray(dividend_yield, np.float64)) * np.asarray(
        years, np.float64
    )
    forward = np.asarray(spot, np.float64) * np.exp(growth)
    return black76_price(forward, strike, years, vol, sign=sign, rate=rate)


def bsm_greeks(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
) -> BsmGreeks:
    """Black-Scholes-Merton price and five Greeks; parameters as in :func:`bsm_price`."""
    drift = np.asarray(rate, np.float64) - np.asarray(dividend_yield, np.float64)
    t = np.asarray(years, np.float64)
    growth = np.exp(drift * t)
    forward = np.asarray(spot, np.float64) * growth
    black = black76_greeks(forward, strike, years, vol, sign=sign, rate=rate)
    exposure = forward * black.delta
    return BsmGreeks(
        price=black.price,
        delta=np.asarray(black.delta * growth),
        gamma=np.asarray(black.gamma * growth * growth),
        vega=black.vega,
        theta=np.asarray(black.theta - drift * exposure),
        rho=np.asarray(black.rho + t * exposure),
    )
