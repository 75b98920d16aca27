"""Inverse (coin-settled) options: premium in coin, and Greeks in both conventions, named.

The payoff in coin is ``max(+-(S_T - K), 0) / S_T``. With a zero coin rate its value in coin is the
undiscounted Black-76 price divided by the forward (Deribit's convention), so
``C - P = 1 - K/F`` coin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray
from commonmode.pricing.black76 import black76_greeks, black76_price

__all__ = ["InverseGreeks", "inverse_greeks", "inverse_price"]

_DAYS_PER_YEAR: Final = 365.0


@dataclass(frozen=True, slots=True, eq=False)
class InverseGreeks:
    """Coin price and Greeks of an option on one coin; all float64 of the broadcast shape.

    ``V`` is the undiscounted Black-76 price in USD, ``c = V / F`` the premium in coin. ``_usd``
    fields measure the wealth of somebody who counts in USD and ignores that the premium is paid
    in coin; ``_coin`` fields that of somebody who counts in coin.

    Attributes
    ----------
    price_coin : c, coin per coin of notional
    price_usd : V, USD
    delta_usd : dV/dF = +-N(+-d1), in coin; what Deribit publishes as delta
    delta_coin : F dc/dF = delta_usd - c, in coin; the premium-adjusted delta
    gamma_usd : d2V/dF2, coin per USD; what Deribit publishes as gamma
    gamma_coin : d(delta_coin)/dF = gamma_usd - delta_coin / F, coin per USD
    vega_usd, vega_coin : dV/dvol, dc/dvol, USD and coin per 1.00 of volatility
    theta_usd_per_year, theta_coin_per_year : -dV/dT, -dc/dT, USD and coin per year
    theta_usd_per_day, theta_coin_per_day : the same over 365
    rho_usd : dV/dr at zero rate and fixed spot, ``F = S exp(r T)``: ``T (F delta_usd - V)``,
        USD per 1.00; Deribit publishes it per 0.01
    rho_coin : derivative of c to the coin's own discount rate at zero, ``-T c``, coin per 1.00
    """

    price_coin: FloatArray
    price_usd: FloatArray
    delta_usd: FloatArray
    delta_coin: FloatArray
    gamma_usd: FloatArray
    gamma_coin: FloatArray
    vega_usd: FloatArray
    vega_coin: FloatArray
    theta_usd_per_year: FloatArray
    theta_coin_per_year: FloatArray
    theta_usd_per_day: FloatArray
    theta_coin_per_day: FloatArray
    rho_usd: FloatArray
    rho_coin: FloatArray


def inverse_price(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    *,
    sign: ArrayLike = 1,
) -> FloatArray:
    """Premium in coin per coin of notional: undiscounted Black-76 over the forward.

    Parameters
    ----------
    forward : array_like
        USD per coin, > 0 (NaN otherwise: the premium in coin is not defined).
    strike, years, vol, sign : array_like
        As in :func:`~commonmode.pricing.black76.black76_price`.

    Returns
    -------
    float64, broadcast shape
        Coin.
    """
    f = np.asarray(forward, np.float64)
    f = np.where(f > 0, f, np.nan)
    return np.asarray(black76_price(f, strike, years, vol, sign=sign) / f)


def inverse_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    vol: ArrayLike,
    *,
    sign: ArrayLike = 1,
) -> InverseGreeks:
    """Premium in coin and Greeks in coin and USD; parameters as in :func:`inverse_price`."""
    f = np.asarray(forward, np.float64)
    f = np.where(f > 0, f, np.nan)
    black = black76_greeks(f, strike, years, vol, sign=sign)
    t = np.asarray(years, np.float64)
    coin = np.asarray(black.price / f)
    delta_coin = np.asarray(black.delta - coin)
    theta_coin = np.asarray(black.theta / f)
    return InverseGreeks(
        price_coin=coin,
        price_usd=black.price,
        delta_usd=black.delta,
        delta_coin=delta_coin,
        gamma_usd=black.gamma,
        gamma_coin=np.asarray(black.gamma - delta_coin / f),
        vega_usd=black.vega,
        vega_coin=np.asarray(black.vega / f),
        theta_usd_per_year=black.theta,
        theta_coin_per_year=theta_coin,
        theta_usd_per_day=np.asarray(black.theta / _DAYS_PER_YEAR),
        theta_coin_per_day=np.asarray(theta_coin / _DAYS_PER_YEAR),
        rho_usd=np.asarray(t * (f * black.delta - black.price)),
        rho_coin=np.asarray(-t * coin),
    )
