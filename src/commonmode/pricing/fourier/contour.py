"""Option prices by a contour integral, for what the cosine series is slow at.

With ``K(p) = ln E exp(p X)`` the out-of-the-money price over the forward is

    value = 1 / (2 pi i) int exp(K(p) - (p - 1) k) / (p (p - 1)) dp

along ``Re p = s`` with s > 1 for calls, s < 0 for puts (Lewis 2001, "A simple option formula for
general jump-diffusion and other exponential Lévy processes"; residues give the strip between).
The path crosses the real axis near the saddle point, so that tiny prices keep their digits; its
points are spaced as ``sinh``, and where the model allows it is bent towards the side on which the
integrand falls off (Boyarchenko and Levendorskii 2019, "Sinh-acceleration", International Journal
of Theoretical and Applied Finance 22(3)). The trapezoidal rule then converges geometrically, and is
refined until two rules agree. This serves laws whose characteristic function decays as a power
(variance gamma at short maturities), and far wings.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.pricing.fourier.cos import UnitPrices, spread_of
from commonmode.pricing.fourier.model import CharacteristicModel, ComplexArray

__all__ = ["contour_prices"]

_OFFSETS: Final = np.geomspace(1e-4, 0.9, 64)
_NARROW: Final = 0.02  # a narrower strip beyond the pole is not used
_FIRST: Final = 48
_LAST: Final = 6144
_CHUNK: Final = 1 << 18


def contour_prices(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    *,
    derivatives: bool = False,
    precision: float = 1e-13,
) -> UnitPrices:
    """Prices of one model with scalar parameters.

    Parameters
    ----------
    k, years : float64, shape (n,)
    derivatives : bool
        Whether to fill the derivatives (else they are empty).
    precision : float
        Relative change of the integral at which refinement stops.
    """
    low, high = model.strip(float(np.max(years)))
    spread = spread_of(model, float(np.min(years)), (low, high))
    call = k > 0
    cap = 40.0 / spread
    room = np.where(call, min(high - 1.0, cap), min(-low, cap))
    middle = room < _NARROW
    shift, scale = _crossing(model, k, years, np.where(middle, 1.0, room), middle, spread)
    drift = _drift(model, years)
    bend = np.where(k > drift, 1.0, -1.0) * model.cone
    # The bent path crosses at the same point and opens to the side of its bend.
    top = _length(model, k, years, shift, scale, bend)

    def rule(rows: NDArray[np.intp], y: FloatArray) -> FloatArray:
        size = max(_CHUNK // len(y), 1)
        parts = [
            _sum(model, k[c], years[c], shift[c], scale[c], bend[c], y, derivatives)
            for c in (rows[i : i + size] for i in range(0, len(rows), size))
        ]
        return np.concatenate(parts, axis=1)

    count, active = _FIRST, np.arange(len(k))
    total = 0.5 * rule(active, np.array([0.0]))
    total += rule(active, top * np.arange(1, count + 1) / count)
    integral = total * (top / count)
    while count < _LAST and len(active):
        total[:, active] += rule(active, top * (np.arange(count) + 0.5) / count)
        count *= 2
        fresh = total[:, active] * (top / count)
        change = np.abs(fresh[0] - integral[0, active])
        integral[:, active] = fresh
        active = active[~(change <= precision * np.abs(fresh[0]))]
    value = integral[0] + np.where(middle, np.where(call, 1.0, np.exp(k)), 0.0)
    if not derivatives:
        empty = np.empty(0)
        return UnitPrices(value, empty, empty, empty, np.empty((0, 0)))
    slope = integral[1] + np.where(middle & ~call, np.exp(k), 0.0)
    return UnitPrices(value, slope, integral[2] * np.exp(-k), integral[3], integral[4:])


def _drift(model: CharacteristicModel, years: FloatArray) -> FloatArray:
    """Sure part of X that the bend has to be measured from; 0 where the path is not bent."""
    far = 1e12
    if model.cone == 0.0:
        return np.zeros_like(years)
    u = np.full(years.shape, far, dtype=np.complex128)
    return np.asarray(model.log_cf(u, years).imag / far)


def _crossing(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    room: FloatArray,
    middle: BoolArray,
    spread: float,
) -> tuple[FloatArray, FloatArray]:
    """Where the path crosses the real axis, and the scale of its points; shape (n,)."""
    way = np.where(k > 0, 1.0, -1.0)
    offset = room[:, None] * _OFFSETS
    p = np.where(k > 0, 1.0, 0.0)[:, None] + way[:, None] * offset
    p = np.where(middle[:, None], 0.5, p)
    with np.errstate(all="ignore"):
        height = model.log_cf(np.asarray(-1j * p), years[:, None]).real - p * k[:, None]
        height -= np.log(np.abs(p * (p - 1.0)))
    best = np.argmin(np.where(np.isfinite(height), height, np.inf), axis=1)
    rows = np.arange(len(k))
    shift, gap = p[rows, best], np.minimum(offset[rows, best], room - offset[rows, best])
    gap = np.where(middle, 0.5, gap)
    return shift, np.minimum(gap, 2.0 / spread)


def _path(
    shift: FloatArray, scale: FloatArray, bend: FloatArray, y: FloatArray
) -> tuple[ComplexArray, ComplexArray]:
    """Points p(y) and ``p'(y) / i``, shape (n, m)."""
    sin, cos = np.sin(bend)[:, None], np.cos(bend)[:, None]
    up, out = np.sinh(y), np.cosh(y)
    p = shift[:, None] + scale[:, None] * (sin * (out - 1.0) + 1j * cos * up)
    return p, scale[:, None] * (cos * out - 1j * sin * up)


def _integrand(
    model: CharacteristicModel, p: ComplexArray, k: FloatArray, years: FloatArray
) -> ComplexArray:
    log_cf = model.log_cf(-1j * p, years[:, None])
    return np.asarray(np.exp(log_cf - (p - 1.0) * k[:, None]) / (p * (p - 1.0)))


def _length(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    shift: FloatArray,
    scale: FloatArray,
    bend: FloatArray,
) -> float:
    """Where the integrand has died out for every row."""
    y = np.linspace(0.0, 60.0, 121)
    with np.errstate(all="ignore"):
        p, speed = _path(shift, scale, bend, y)
        size = np.abs(_integrand(model, p, k, years) * speed)
        alive = np.isfinite(size) & (size > 1e-17 * size[:, :1])
    last = np.max(np.where(alive, np.arange(len(y)), 0))
    return float(y[min(last + 1, len(y) - 1)])


def _sum(
    model: CharacteristicModel,
    k: FloatArray,
    years: FloatArray,
    shift: FloatArray,
    scale: FloatArray,
    bend: FloatArray,
    y: FloatArray,
    derivatives: bool,
) -> FloatArray:
    """Sums of the integrands over the points, shape (1 or 4 + parameters, n)."""
    with np.errstate(all="ignore"):
        p, speed = _path(shift, scale, bend, y)
        if not derivatives:
            return (
                np.asarray((_integrand(model, p, k, years) * speed).real.sum(axis=1))[None] / np.pi
            )
        u, column = -1j * p, years[:, None]
        log_cf, *gradient = model.gradient(u, column)
        core = np.exp(log_cf - (p - 1.0) * k[:, None]) / (p * (p - 1.0)) * speed
        factors = [-(p - 1.0), p * (p - 1.0), model.maturity_slope(u, column), *gradient]
        rows = [core.real, *((core * factor).real for factor in factors)]
        return np.stack([row.sum(axis=1) for row in rows]) / np.pi
