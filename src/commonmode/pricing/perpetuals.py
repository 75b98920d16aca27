"""Contracts besides options with an expiry: spot, futures, perpetuals of several payoffs.

A perpetual of payoff ``g(S)`` has no expiry; at each funding time the long pays mark minus
``g(S)``. Under no arbitrage it is worth a basket of dated claims on g: with one funding per period
weights 1/2, 1/4, 1/8, ... on claims of 1, 2, 3, ... periods (White and Bankman-Fried 2021,
"Everlasting options", Paradigm), here generalised to N payments of 1/N per period, weights
``(1/(N+1)) (N/(N+1))^(i-1)`` at ``i/N`` periods, and in the limit to the exponential density.
Plain numpy: these are closed forms; the options of a long basket may be valued by compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.pricing.black76 import black76_greeks
from commonmode.pricing.kernels import Engine, black76

__all__ = [
    "ContractValue",
    "InversePosition",
    "dated_future",
    "everlasting_option",
    "inverse_position",
    "perpetual_future",
    "power_perpetual",
    "spot",
]

# Weights left out of a basket sum to less than this.
_NEGLIGIBLE = 1e-17


@dataclass(frozen=True, slots=True, eq=False)
class ContractValue:
    """Price and derivatives with respect to the spot S; all float64 of the broadcast shape.

    Attributes
    ----------
    price : V, in USD
    delta : dV/dS
    gamma : d2V/dS2
    vega : dV/dvol, per 1.00 of volatility
    theta : dV/dt at fixed spot, per year; 0 for a perpetual
    funding : what a long pays, in USD per year, while spot and mark stay; 0 for what has no funding
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    funding: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class InversePosition:
    """A long of an inverse future or perpetual: USD notional, margined and settled in coin.

    Attributes
    ----------
    value_coin : notional (1/entry - 1/price), coin
    value_usd : the same at the price, USD
    delta_usd : d(value_usd)/d(price) = notional / entry, coin
    delta_coin : price d(value_coin)/d(price) = notional / price, coin; what venues publish
    gamma_coin : d(delta_coin)/d(price) = -notional / price^2, coin per USD
    """

    value_coin: FloatArray
    value_usd: FloatArray
    delta_usd: FloatArray
    delta_coin: FloatArray
    gamma_coin: FloatArray


def _positive(*values: ArrayLike) -> list[FloatArray]:
    """Broadcast; NaN where a value is not positive."""
    arrays = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values))
    with np.errstate(invalid="ignore"):
        return [np.where(array > 0, array, np.nan) for array in arrays]


def _contract(price: Any, **given: Any) -> ContractValue:
    """The fields given, zeros for the rest (NaN where the price is)."""
    price = np.asarray(price, np.float64)
    nothing = np.where(np.isnan(price), np.nan, 0.0)
    names = ("delta", "gamma", "vega", "theta", "funding")
    return ContractValue(price, *(np.asarray(given.get(name, nothing)) for name in names))


def spot(price: ArrayLike) -> ContractValue:
    """One coin held."""
    (s,) = _positive(price)
    return _contract(s, delta=np.where(np.isnan(s), np.nan, 1.0))


def dated_future(
    spot: ArrayLike, years: ArrayLike, *, rate: ArrayLike = 0.0, coin_rate: ArrayLike = 0.0
) -> ContractValue:
    """Fair price of a future, ``S exp((r - q) T)``.

    Parameters
    ----------
    spot : array_like
        USD per coin, > 0.
    years : array_like
        Years to expiry, >= 0.
    rate, coin_rate : array_like
        Continuously compounded annual rates of USD and of the coin.
    """
    (s,) = _positive(spot)
    t = np.asarray(years, np.float64)
    carry = np.asarray(rate, np.float64) - np.asarray(coin_rate, np.float64)
    with np.errstate(invalid="ignore"):
        growth = np.where(t >= 0, np.exp(carry * t), np.nan)
    price = s * growth
    return _contract(price, delta=growth * (s / s), theta=-carry * price)


def perpetual_future(
    spot: ArrayLike,
    *,
    rate: ArrayLike = 0.0,
    coin_rate: ArrayLike = 0.0,
    intensity: ArrayLike = 365.0,
    interest: ArrayLike = 0.0,
) -> ContractValue:
    """Fair price of a linear perpetual future with continuous funding.

    The long pays ``intensity (F - S) + interest S`` per year, so that without arbitrage
    ``F = S (intensity - interest) / (intensity - (r - q))`` (He, Manela, Ross and von Wachter 2022,
    "Fundamentals of perpetual futures", proposition 3).

    Parameters
    ----------
    spot : array_like
        USD per coin, > 0.
    rate, coin_rate : array_like
        Continuously compounded annual rates of USD and of the coin.
    intensity : array_like
        Share of the premium paid per year: 365 for venues that pay it once per day.
    interest : array_like
        Interest component of the funding, per year.

    Returns
    -------
    ContractValue
        NaN where the intensity does not exceed ``r - q``: no price is then stable.
    """
    (s,) = _positive(spot)
    k, i = np.asarray(intensity, np.float64), np.asarray(interest, np.float64)
    carry = np.asarray(rate, np.float64) - np.asarray(coin_rate, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((k > carry) & (k > 0), (k - i) / (k - carry), np.nan)
    price = s * ratio
    return _contract(price, delta=ratio * (s / s), funding=k * (price - s) + i * s)


def power_perpetual(
    spot: ArrayLike,
    vol: ArrayLike,
    *,
    power: ArrayLike = 2.0,
    funding_years: ArrayLike,
    rate: ArrayLike = 0.0,
) -> ContractValue:
    """Perpetual of payoff ``S^p``, funded once per period.

    ``V = S^p / (2 exp(-f g) - 1)``, ``g = (p - 1)(r + p vol^2 / 2)`` (White, Robinson, Koticha,
    Leone, Gai and Krishnan 2021, "Power perpetuals", Paradigm; p = 2 is Opyn's squeeth).

    Parameters
    ----------
    spot : array_like
        USD per coin, > 0.
    vol : array_like
        Annualised decimal, >= 0.
    power : array_like
        p; 1 is the perpetual future.
    funding_years : array_like
        Funding period f in years, > 0: mark minus payoff is paid over each.
    rate : array_like
        Continuously compounded annual rate.

    Returns
    -------
    ContractValue
        In USD^p. NaN where ``f g >= ln 2``: the basket's sum diverges and there is no price.
    """
    s, f = _positive(spot, funding_years)
    p, v = np.asarray(power, np.float64), np.asarray(vol, np.float64)
    with np.errstate(all="ignore"):
        v = np.where(v >= 0, v, np.nan)
        growth = (p - 1.0) * (np.asarray(rate, np.float64) + 0.5 * p * v * v)
        decay = np.exp(-f * growth)
        base = np.where(2.0 * decay > 1.0, 2.0 * decay - 1.0, np.nan)
        payoff = s**p
        price = payoff / base
        vega = price / base * (2.0 * f * decay) * (p * (p - 1.0) * v)
        return _contract(
            price,
            delta=p * price / s,
            gamma=p * (p - 1.0) * price / (s * s),
            vega=vega,
            funding=(price - payoff) / f,
        )


def everlasting_option(
    spot: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    *,
    funding_years: float,
    sign: ArrayLike = 1,
    payments: int | None = None,
    engine: Engine = "numpy",
) -> ContractValue:
    """Perpetual of an option's payoff, at zero rates (White and Bankman-Fried 2021).

    With `payments` the basket of Black-76 options of the module's weights. Without, its limit of
    continuous funding, in which ``vol^2 S^2 V'' / 2 = (V - payoff) / f`` gives the time value
    ``(K/u) (S/K)^((1 +- u)/2)``, ``u = sqrt(1 + 8 / (vol^2 f))``, + below the strike and - above.

    Parameters
    ----------
    spot, strike : array_like
        USD per coin, > 0.
    vol : array_like
        Annualised decimal, >= 0.
    funding_years : float
        Funding period f in years, > 0: mark minus payoff is paid over each.
    sign : array_like
        +1 call, -1 put.
    payments : int, optional
        Payments per period, each of that share of mark minus payoff; the next one is a full
        interval away. None for continuous funding.
    engine : {"numpy", "numba", "auto"}
        What values the basket's options, as for :func:`~commonmode.pricing.kernels.black76`.

    Returns
    -------
    ContractValue

    Raises
    ------
    ConfigurationError
        If the funding period or `payments` is not positive.
    """
    if not funding_years > 0 or (payments is not None and payments < 1):
        raise ConfigurationError(
            f"funding_years={funding_years}, payments={payments}: both must be positive",
            remedy="one payment a day is funding_years=1/365, payments=1",
        )
    s, k = _positive(spot, strike)
    v, sgn = (np.asarray(value, np.float64) for value in (vol, sign))
    payoff = np.maximum(sgn * (s - k), 0.0)
    if payments is not None:
        total = np.zeros((4, *np.broadcast_shapes(s.shape, v.shape, sgn.shape)))
        keep = payments / (payments + 1.0)
        count = int(np.ceil(np.log(_NEGLIGIBLE) / np.log(keep)))
        for i in range(1, count + 1):
            parts = _option(s, k, i * funding_years / payments, v, sgn, engine)
            total += (1.0 - keep) * keep ** (i - 1) * parts
        price, delta, gamma, vega = total
    else:
        with np.errstate(all="ignore"):
            v = np.where(v >= 0, v, np.nan)
            u = np.sqrt(1.0 + 8.0 / (v * v * funding_years))
            x = np.log(s / k)
            root = 0.5 * (1.0 - np.where(x < 0, -u, u))
            time = np.where(np.isinf(u), 0.0, k / u * np.exp(-0.5 * np.abs(x) * u + 0.5 * x))
            step = 0.5 * (1.0 + np.sign(sgn * x))
            slope = np.where(np.isinf(u), 0.0, time * root / s)
            # At the kink the two sides of the solution meet with one slope.
            at = np.where(x == 0, 0.5 * sgn + np.where(np.isinf(u), 0.0, 0.5 / u), 0.0)
            price = payoff + time
            delta = np.where(x == 0, at, sgn * step + slope)
            gamma = np.where(np.isinf(u), 0.0, 2.0 * time / (v * v * funding_years * s * s))
            gamma = np.where(np.isinf(u) & (x == 0), np.inf, gamma)
            bend = 8.0 / (v**3 * funding_years * u)  # -du/dvol
            vega = np.where(np.isinf(u), 0.0, time * bend * (1.0 / u + 0.5 * np.abs(x)))
    return _contract(
        price, delta=delta, gamma=gamma, vega=vega, funding=(price - payoff) / funding_years
    )


def _option(
    spot: FloatArray,
    strike: FloatArray,
    years: float,
    vol: FloatArray,
    sign: FloatArray,
    engine: Engine,
) -> FloatArray:
    """Price, delta, gamma and vega of a dated option, one row each."""
    if engine == "numpy":
        twin = black76_greeks(spot, strike, years, vol, sign=sign)
        return np.stack((twin.price, twin.delta, twin.gamma, twin.vega))
    spread = np.broadcast_arrays(spot, strike, vol, sign)
    f, k, v, s = (np.ravel(column) for column in spread)
    found = black76(f, k, years, v, sign=s, greeks="five", engine=engine)
    parts = [found[name] for name in ("price", "delta", "gamma", "vega")]
    return np.stack(parts).reshape(4, *spread[0].shape)


def inverse_position(
    price: ArrayLike, entry: ArrayLike, notional: ArrayLike = 1.0
) -> InversePosition:
    """Value and deltas of an inverse future or perpetual.

    Parameters
    ----------
    price, entry : array_like
        Mark and entry price, USD per coin, > 0.
    notional : array_like
        Contracts times their USD size; negative for a short.
    """
    p, e = _positive(price, entry)
    q = np.asarray(notional, np.float64)
    coin = np.asarray(q * ((p - e) / (e * p)))
    return InversePosition(
        value_coin=coin,
        value_usd=np.asarray(q * ((p - e) / e)),
        delta_usd=np.asarray(q / e + 0.0 * p),
        delta_coin=np.asarray(q / p + 0.0 * e),
        gamma_coin=np.asarray(-q / (p * p) + 0.0 * e),
    )
