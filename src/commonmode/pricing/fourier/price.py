"""Prices and Greeks of any model known by its characteristic function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.pricing.fourier.contour import contour_prices
from commonmode.pricing.fourier.cos import UnitPrices, cos_grid, cos_prices
from commonmode.pricing.fourier.model import CharacteristicModel
from commonmode.pricing.implied_vol import normalised_black_implied_vol

__all__ = [
    "CfGreeks",
    "Method",
    "cf_greeks",
    "cf_implied_vol",
    "cf_price",
    "unit_prices",
]

Method = Literal["auto", "cos", "contour"]

_TOLERANCE: Final = 1e-15
# Maturities within a factor 2^(1/4) share an interval and its frequencies.
_PER_OCTAVE: Final = 4.0
# A cosine sum carries an absolute error of about 1e-15; smaller prices are left to the contour.
_FAINT: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class CfGreeks:
    """Price and derivatives; float64 of the broadcast shape.

    V is the discounted price and F the forward, held fixed in theta and rho.

    Attributes
    ----------
    price : V, in the unit of the forward
    delta, gamma : dV/dF, d2V/dF2
    theta : dV/dt = -dV/dT, per year
    rho : dV/dr
    parameters : mapping of parameter name to dV/dparameter
        Of Heston and Bates, ``v0`` is the sensitivity to the variance now; vega to the volatility
        now is ``2 sqrt(v0)`` times that.
    """

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    theta: FloatArray
    rho: FloatArray
    parameters: Mapping[str, FloatArray]


def unit_prices(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    *,
    derivatives: bool = False,
    method: Method = "auto",
    tolerance: float = _TOLERANCE,
    relative: bool = False,
) -> UnitPrices:
    """Undiscounted out-of-the-money prices over the forward.

    Parameters
    ----------
    model : CharacteristicModel
        With scalar parameters.
    k, years : float64, shape (n,)
        ``ln(K/F)`` and years to expiry > 0. A row's value depends on that row alone.
    derivatives : bool
    method : {"auto", "cos", "contour"}
        The cosine series, or the contour integral where the series would need too many terms.
    tolerance : float
        Absolute error aimed at.
    relative : bool
        Leave prices below 1e-6 to the contour, which keeps their digits.

    Raises
    ------
    ConfigurationError
        If ``method`` is not known, or is "cos" where the series would need too many terms.
    """
    if method not in ("auto", "cos", "contour"):
        raise ConfigurationError(f"method={method!r} is not known", remedy="use 'auto'")
    precision = min(max(100.0 * tolerance, 1e-13), 1e-6)  # relative, of the contour
    n = len(k)
    width = len(model.names) if derivatives else 0
    side = n if derivatives else 0
    blank = [np.full(side, np.nan) for _ in range(3)]
    by_parameter = np.full((width, side), np.nan)
    out = UnitPrices(np.full(n, np.nan), blank[0], blank[1], blank[2], by_parameter)
    good = np.isfinite(k) & (years > 0) & np.isfinite(years)
    with np.errstate(all="ignore"):
        octave = np.where(good, np.floor(_PER_OCTAVE * np.log2(years)), np.nan)
    for step in np.unique(octave[good]).tolist():
        rows = np.flatnonzero(good & (octave == step))
        short, long = (2.0 ** ((step + i) / _PER_OCTAVE) for i in (0, 1))
        grid = None
        if method != "contour":
            grid = cos_grid(model, short, long, tolerance=tolerance)
        if grid is None and method == "cos":
            raise ConfigurationError(
                f"the cosine series of {type(model).__name__} at {short:.3g} years is too long",
                remedy="use method='auto' or 'contour'",
            )
        if grid is None:
            _put(
                out,
                rows,
                contour_prices(
                    model, k[rows], years[rows], derivatives=derivatives, precision=precision
                ),
            )
            continue
        made = cos_prices(model, k[rows], years[rows], grid, derivatives=derivatives)
        _put(out, rows, made)
        faint = rows[out.value[rows] < _FAINT] if relative and method == "auto" else rows[:0]
        if len(faint):
            fine = contour_prices(
                model, k[faint], years[faint], derivatives=derivatives, precision=precision
            )
            _put(out, faint, fine)
    return out


def _put(out: UnitPrices, rows: NDArray[np.intp], made: UnitPrices) -> None:
    out.value[rows] = made.value
    if len(made.slope):
        out.slope[rows], out.density[rows] = made.slope, made.density
        out.by_years[rows], out.by_parameter[:, rows] = made.by_years, made.by_parameter


def _inputs(*values: ArrayLike) -> tuple[tuple[int, ...], list[FloatArray]]:
    arrays = np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values))
    return arrays[0].shape, [array.ravel() for array in arrays]


def _log_moneyness(forward: FloatArray, strike: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        k = np.log(strike / forward)
    return np.where((forward > 0) & (strike > 0), k, np.nan)


def cf_price(
    model: CharacteristicModel,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
    method: Method = "auto",
    tolerance: float = _TOLERANCE,
) -> FloatArray:
    """Discounted price of European options.

    Parameters
    ----------
    model : CharacteristicModel
        With scalar parameters: Heston, Bates, Merton, Kou, VarianceGamma, Cgmy.
    forward, strike, years : array_like
        Same currency; years > 0.
    sign : array_like
        +1 call, -1 put.
    rate : array_like
        Continuously compounded annual rate of discounting.
    method, tolerance
        As in :func:`unit_prices`; the tolerance is in units of the forward.

    Returns
    -------
    float64, broadcast shape
        NaN where forward, strike or years is not positive.
    """
    shape, (f, strikes, t, sgn, r) = _inputs(forward, strike, years, sign, rate)
    k = _log_moneyness(f, strikes)
    unit = unit_prices(model, k, t, method=method, tolerance=tolerance)
    value = np.exp(-r * t) * (f * unit.value + np.maximum(sgn * (f - strikes), 0.0))
    return np.asarray(value.reshape(shape))


def cf_greeks(
    model: CharacteristicModel,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    *,
    sign: ArrayLike = 1,
    rate: ArrayLike = 0.0,
    method: Method = "auto",
    tolerance: float = _TOLERANCE,
) -> CfGreeks:
    """Price and Greeks, by derivatives of the characteristic function.

    Parameters are those of :func:`cf_price`.
    """
    shape, (f, strikes, t, sgn, r) = _inputs(forward, strike, years, sign, rate)
    k = _log_moneyness(f, strikes)
    unit = unit_prices(model, k, t, derivatives=True, method=method, tolerance=tolerance)
    discount = np.exp(-r * t)
    # The other side than the one computed: the intrinsic value moves with the forward.
    inside = np.where(sgn != np.where(k > 0, 1.0, -1.0), sgn, 0.0)
    price = discount * (f * unit.value + np.maximum(sgn * (f - strikes), 0.0))
    gamma = discount * strikes * unit.density / (f * f)
    parts = {
        "price": price,
        "delta": discount * (unit.value - unit.slope + inside),
        "gamma": gamma,
        "theta": r * price - discount * f * unit.by_years,
        "rho": -t * price,
    }
    parameters = {
        name: np.asarray((discount * f * row).reshape(shape))
        for name, row in zip(model.names, unit.by_parameter, strict=True)
    }
    return CfGreeks(
        **{name: np.asarray(value.reshape(shape)) for name, value in parts.items()},
        parameters=MappingProxyType(parameters),
    )


def cf_implied_vol(
    model: CharacteristicModel,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    *,
    tolerance: float = _TOLERANCE,
) -> FloatArray:
    """Black-76 volatility of the model's prices, annualised decimal.

    Parameters are those of :func:`cf_price`. Far wings are priced by the contour integral, so the
    volatility keeps its digits there.
    """
    shape, (f, strikes, t) = _inputs(forward, strike, years)
    k = _log_moneyness(f, strikes)
    unit = unit_prices(model, k, t, tolerance=tolerance, relative=True)
    total = normalised_black_implied_vol(k, unit.value * np.exp(-0.5 * k))
    with np.errstate(all="ignore"):
        return np.asarray((total / np.sqrt(t)).reshape(shape))
