"""The COS method: an option price as a cosine series.

Fang and Oosterlee (2008), "A novel pricing method for European options based on Fourier-cosine
series expansions", SIAM Journal on Scientific Computing 31(2). Everything is in units of the
forward, for ``X = ln(S_T / F)`` and log-moneyness ``k = ln(K / F)``, and for the put, whose payoff
is bounded; calls follow by parity, so that no digit is lost to the far right of the interval.

The interval is not the usual multiple of the cumulants, which says nothing about heavy tails, but
Chernoff's bound: the tail beyond it has at most the stated probability. The second cumulant only
sets the scale on which the bound is searched. The number of terms follows from the decay of the
characteristic function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.pricing.fourier.model import CharacteristicModel

__all__ = ["CosGrid", "UnitPrices", "cos_grid", "cos_prices", "put_coefficients", "spread_of"]

MAX_TERMS: Final = 8192
_SHARES: Final = np.concatenate([np.geomspace(0.005, 0.2, 12), np.linspace(0.25, 0.98, 16)])
_DECAY: Final = np.geomspace(0.25, 1e5, 160)
_CHUNK: Final = 1 << 18  # elements of one block: a few MiB of complex numbers


@dataclass(frozen=True, slots=True)
class CosGrid:
    """Interval ``[low, high]`` of X and number of terms."""

    low: float
    high: float
    terms: int

    @property
    def frequencies(self) -> FloatArray:
        """``j pi / (high - low)``, shape (terms,)."""
        return np.asarray(
            np.arange(self.terms, dtype=np.float64) * (np.pi / (self.high - self.low))
        )


@dataclass(frozen=True, slots=True, eq=False)
class UnitPrices:
    """Undiscounted out-of-the-money prices over the forward, and derivatives; float64, shape (n,).

    Attributes
    ----------
    value : put for k <= 0, call for k > 0
    slope : derivative of ``value`` to k
    density : risk-neutral density of X at k
    by_years : derivative to years at fixed k
    by_parameter : float64, shape (parameters, n)
    """

    value: FloatArray
    slope: FloatArray
    density: FloatArray
    by_years: FloatArray
    by_parameter: FloatArray


def spread_of(model: CharacteristicModel, years: float, strip: tuple[float, float]) -> float:
    """Standard deviation of X, from the second difference of the cumulant generating function.

    Parameters
    ----------
    model : CharacteristicModel
    years : float
    strip : pair of float
        That of the model at this maturity or a longer one.
    """
    low, high = strip
    h = min(0.01, -0.5 * low, 0.5 * high)
    k = model.log_cf(-1j * np.array([-h, h]), np.asarray(years)).real
    return float(np.sqrt(max((k[0] + k[1]) / h**2, 1e-24)))


def cos_grid(
    model: CharacteristicModel, short: float, long: float, *, tolerance: float
) -> CosGrid | None:
    """Grid good for every maturity in ``[short, long]``.

    Parameters
    ----------
    model : CharacteristicModel
        With scalar parameters.
    short, long : float
        Years; the interval is that of the longer, the number of terms that of the shorter.
    tolerance : float
        Absolute error in units of the forward.

    Returns
    -------
    CosGrid, or None where more than ``MAX_TERMS`` terms would be needed
    """
    bottom, top = model.strip(long)
    far = np.log(1.0 / (0.01 * tolerance))
    reach = 3.0 * np.sqrt(2.0 * far) / spread_of(model, long, (bottom, top))
    right, left = _SHARES * min(top, reach), _SHARES * max(bottom, -reach)
    with np.errstate(all="ignore"):
        k_right, k_left = (model.log_cf(-1j * s, np.asarray(long)).real for s in (right, left))
        high = float(np.nanmin((k_right + far) / right))
        low = float(np.nanmax((k_left + far) / left))
        u = _DECAY / spread_of(model, short, (bottom, top))
        size = np.exp(model.log_cf(u.astype(np.complex128), np.asarray(short)).real)
    big = np.flatnonzero(~(size / np.maximum(u, 1.0) <= 0.1 * tolerance))
    last = int(big[-1]) + 1 if len(big) else 0
    if last >= len(u) or not (np.isfinite(high - low) and high > low):
        return None
    terms = int(np.ceil(u[last] * (high - low) / np.pi)) + 1
    return None if terms > MAX_TERMS else CosGrid(low, high, max(terms, 16))


def put_coefficients(k: FloatArray, grid: CosGrid) -> FloatArray:
    """Weights by which ``Re[phi(u_j) exp(-i u_j low)]`` gives the put over the forward.

    Parameters
    ----------
    k : float64, shape (n,)
        Log-moneyness within the interval.

    Returns
    -------
    float64, shape (n, terms)
        Free of the model's parameters. For frequency u the integral of ``(e^k - e^x) cos`` is
        ``[e^k (sin(u (k - a)) / u - cos(u (k - a))) + e^a] / (1 + u^2)``: no difference of large
        numbers, and it falls off as ``1 / u^2``.
    """
    u = grid.frequencies
    from_low = (k - grid.low)[:, None]
    angle = from_low * u
    sine = np.sin(angle)
    sine[:, 1:] /= u[1:]
    sine[:, :1] = from_low
    out = np.exp(k)[:, None] * (sine - np.cos(angle)) + np.exp(grid.low)
    out *= (2.0 / (grid.high - grid.low)) / (1.0 + u * u)
    out[:, 0] *= 0.5
    return np.asarray(out)


def cos_prices(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    grid: CosGrid,
    *,
    derivatives: bool = False,
) -> UnitPrices:
    """Prices on one grid.

    Parameters
    ----------
    k, years : float64, shape (n,)
        The maturities should lie in the range that the grid was made for.
    derivatives : bool
        Whether to fill the derivatives (else they are empty).
    """
    rows = max(_CHUNK // grid.terms, 1)
    parts = [
        _block(model, k[i : i + rows], years[i : i + rows], grid, derivatives)
        for i in range(0, len(k), rows)
    ]
    return UnitPrices(
        *(
            np.concatenate([getattr(p, name) for p in parts], axis=-1)
            for name in ("value", "slope", "density", "by_years", "by_parameter")
        )
    )


def _block(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    grid: CosGrid,
    derivatives: bool,
) -> UnitPrices:
    u = grid.frequencies
    inside = np.clip(k, grid.low, grid.high)
    weights = put_coefficients(inside, grid)
    times, which = np.unique(years, return_inverse=True)
    column, start = times[:, None], -1j * grid.low * u
    frequency = u.astype(np.complex128)[None]
    empty = np.empty(0)
    e_k = np.exp(k)
    with np.errstate(under="ignore"):
        if not derivatives:
            wave = np.exp(model.log_cf(frequency, column) + start).real
            put = np.einsum("nj,nj->n", weights, wave[which])
        else:
            log_cf, *gradient = model.gradient(frequency, column)
            phi = np.exp(log_cf + start)
            wave = phi.real
            put = np.einsum("nj,nj->n", weights, wave[which])
    put = np.where(k > grid.high, e_k - 1.0, np.where(k < grid.low, 0.0, put))
    call = k > 0
    value = np.where(call, put - np.expm1(k), put)
    if not derivatives:
        return UnitPrices(value, empty, empty, empty, np.empty((0, 0)))
    angle = (inside - grid.low)[:, None] * u
    scale = 2.0 / (grid.high - grid.low)
    below = np.sin(angle)
    below[:, 1:] /= u[1:]
    below[:, 0] = 0.5 * (inside - grid.low)
    level = np.cos(angle)
    level[:, 0] = 0.5
    probability = scale * np.einsum("nj,nj->n", below, wave[which])
    density = scale * np.einsum("nj,nj->n", level, wave[which])
    slope = e_k * np.where(call, probability - 1.0, probability)

    def against(part: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("nj,nj->n", weights, part[which]))

    by_years = against((phi * model.maturity_slope(frequency, column)).real)
    by_parameter = np.stack([against((phi * part).real) for part in gradient])
    return UnitPrices(value, slope, density, by_years, by_parameter)
