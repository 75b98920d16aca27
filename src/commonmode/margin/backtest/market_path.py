"""The market of a backtest as it went by, and what constant portfolios lost on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.margin.backtest.portfolios import Leg, Portfolio

__all__ = ["MarketPath", "legs_of", "moneyness", "option_value", "portfolio_losses", "weights_at"]

_YEAR_DAYS = 365.0


@dataclass(frozen=True, slots=True, eq=False)
class MarketPath:
    """Prices and (modelled) implied volatilities of U coins on a regular grid of T times.

    Attributes
    ----------
    coins : tuple of str, length U
    times_ms : int64, shape (T,)
        Regular; nothing in row t was unknown at ``times_ms[t]``.
    price : float64, shape (T, U)
        USD; NaN in a gap.
    vol : float64, shape (T, U)
        Annualised implied volatility at every strike and tenor; NaN where not known.
    step_ms : int
    """

    coins: tuple[str, ...]
    times_ms: IntArray
    price: FloatArray
    vol: FloatArray
    step_ms: int

    def __post_init__(self) -> None:
        """Check shapes and the grid."""
        shape = (len(self.times_ms), len(self.coins))
        if self.price.shape != shape or self.vol.shape != shape:
            raise DataError(
                f"prices {self.price.shape} and volatilities {self.vol.shape} for {shape}",
                remedy="both are (times, coins)",
            )
        if np.any(np.diff(self.times_ms) != self.step_ms):
            raise DataError(
                "the times of a market path are not regular",
                remedy="put the bars on a regular grid and leave gaps NaN",
            )

    def __len__(self) -> int:
        return len(self.times_ms)

    @property
    def returns(self) -> FloatArray:
        """Log return over the step that ends at each row, shape (T, U); NaN next to a gap."""
        out = np.full_like(self.price, np.nan)
        out[1:] = np.diff(np.log(self.price), axis=0)
        return out

    @property
    def vol_moves(self) -> FloatArray:
        """Relative move of the volatility over the same step, shape (T, U)."""
        out = np.full_like(self.vol, np.nan)
        out[1:] = self.vol[1:] / self.vol[:-1] - 1.0
        return out

    def until(self, rows: int) -> MarketPath:
        """The first ``rows`` rows: what was known then."""
        return MarketPath(
            self.coins, self.times_ms[:rows], self.price[:rows], self.vol[:rows], self.step_ms
        )


def legs_of(portfolios: Sequence[Portfolio]) -> tuple[Leg, ...]:
    """The distinct legs, each with weight 1, linear ones first; a hedge adds the coin's perp."""
    found: dict[Leg, None] = {}
    for portfolio in portfolios:
        for leg in portfolio.legs:
            found[Leg(leg.coin, 1.0, leg.kind, leg.days, leg.delta)] = None
        if portfolio.hedged:
            for coin in portfolio.coins:
                found[Leg(coin, 1.0)] = None
    return tuple(sorted(found, key=lambda leg: leg.is_option))


def moneyness(leg: Leg, vol: FloatArray) -> FloatArray:
    """``ln(K / F)`` at which the leg is struck when volatility is ``vol``, same shape."""
    total = np.asarray(vol, dtype=np.float64) * np.sqrt(leg.days / _YEAR_DAYS)
    if not leg.delta:
        return np.zeros_like(total)
    # Undiscounted Black delta: N(d1) = delta of the call, N(-d1) = |delta| of the put.
    return np.asarray(0.5 * total**2 - leg.sign * ndtri(leg.delta) * total)


def option_value(
    sign: int, strike: FloatArray, forward: FloatArray, vol: FloatArray, years: FloatArray | float
) -> FloatArray:
    """Undiscounted Black-76 per unit of the quantity in which forward and strike are given.

    All arrays broadcastable; total volatility must be positive.
    """
    total = vol * np.sqrt(years)
    d1 = np.log(forward / strike) / total + 0.5 * total
    call = forward * ndtr(d1) - strike * ndtr(d1 - total)
    return np.asarray(call if sign > 0 else call - forward + strike)


def _delta(leg: Leg, vol: FloatArray) -> FloatArray:
    total = vol * np.sqrt(leg.days / _YEAR_DAYS)
    d1 = -moneyness(leg, vol) / total + 0.5 * total
    return np.asarray(ndtr(d1) - (0.0 if leg.sign > 0 else 1.0))


def weights_at(
    portfolios: Sequence[Portfolio], legs: Sequence[Leg], coins: Sequence[str], vol: FloatArray
) -> FloatArray:
    """Dollars of each distinct leg in each portfolio, hedges struck at the given volatilities.

    Parameters
    ----------
    portfolios, legs, coins : sequences
    vol : float64, shape (T, U)

    Returns
    -------
    float64, shape (T, A, K)
    """
    out = np.zeros((len(vol), len(portfolios), len(legs)))
    place = {leg: k for k, leg in enumerate(legs)}
    for a, portfolio in enumerate(portfolios):
        for leg in portfolio.legs:
            out[:, a, place[Leg(leg.coin, 1.0, leg.kind, leg.days, leg.delta)]] += leg.weight
            if portfolio.hedged and leg.is_option:
                u = coins.index(leg.coin)
                out[:, a, place[Leg(leg.coin, 1.0)]] -= leg.weight * _delta(leg, vol[:, u])
    return out


def leg_gains(path: MarketPath, legs: Sequence[Leg], bars: int) -> FloatArray:
    """Gain of one dollar of each leg over ``bars`` steps from each row, shape (T, K)."""
    n = len(path)
    out = np.full((n, len(legs)), np.nan)
    years = bars * path.step_ms / 86_400_000 / _YEAR_DAYS
    for k, leg in enumerate(legs):
        u = path.coins.index(leg.coin)
        growth = path.price[bars:, u] / path.price[:-bars, u]
        if not leg.is_option:
            out[: n - bars, k] = growth - 1.0
            continue
        vol, later = path.vol[:-bars, u], path.vol[bars:, u]
        strike, tenor = np.exp(moneyness(leg, vol)), leg.days / _YEAR_DAYS
        before = option_value(leg.sign, strike, np.ones_like(vol), vol, tenor)
        out[: n - bars, k] = option_value(leg.sign, strike, growth, later, tenor - years) - before
    return out


def portfolio_losses(
    path: MarketPath, portfolios: Sequence[Portfolio], *, bars: int = 1
) -> FloatArray:
    """Loss over the horizon that starts at each row, per dollar of notional, shape (T, A).

    Positive for a loss; NaN where a price is missing or the horizon ends after the path.
    """
    legs = legs_of(portfolios)
    gains = leg_gains(path, legs, bars)
    weights = weights_at(portfolios, legs, path.coins, path.vol)
    used = weights != 0.0
    terms = np.where(used, weights * gains[:, None, :], 0.0)
    return np.asarray(-terms.sum(axis=2))
