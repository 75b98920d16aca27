"""The out-of-the-money price from two scaled error functions, without cancellation.

Notation, with ``x = |ln(F/K)|``, ``h = x/s``, ``t = s/2``, ``M = sqrt(F K) exp(-(h^2+t^2)/2) =
min(F, K) exp(-(h-t)^2/2)`` and ``E(z) = erfcx(z / sqrt 2) / 2``: the out-of-the-money price is
``A - B``, ``A = M E(h-t)``, ``B = M E(h+t)``. These are the two terms of Black's formula, and the
one exponential in M serves both of them and the density, ``F n(d1) = K n(d2) = M / sqrt(2 pi)``.
"""

from __future__ import annotations

from typing import Final

from numba import njit

from commonmode.pricing.kernels._math import fma, verfcx

__all__ = ["far_argument", "near_argument", "otm_parts", "otm_parts_from"]

_ROOT_HALF: Final = 0.7071067811865475244
_INV_ROOT_2PI: Final = 0.3989422804014326779
_ROOT_HALF_PI: Final = 1.2533141373155002512
# Where t is below this, or below 0.02 h, A - B is taken from its series in t.
_SERIES: Final = 0.08


@njit(inline="always", error_model="numpy")
def _by_series(h: float, t: float) -> bool:
    return (t < max(_SERIES, 0.02 * h)) & (h * t < 1.0)


@njit(inline="always", error_model="numpy")
def near_argument(h: float, t: float) -> float:
    """Where the first erfcx is wanted: of A, or of the series."""
    return (h if _by_series(h, t) else abs(h - t)) * _ROOT_HALF


@njit(inline="always", error_model="numpy")
def far_argument(h: float, t: float) -> float:
    """Where the second erfcx is wanted: of B."""
    return (h + t) * _ROOT_HALF


@njit(inline="always", error_model="numpy")
def otm_parts(h: float, t: float, least: float, scale: float) -> tuple[float, ...]:
    """:func:`otm_parts_from` with its two erfcx."""
    near = verfcx(near_argument(h, t))
    return otm_parts_from(h, t, least, scale, near, verfcx(far_argument(h, t)))


@njit(inline="always", error_model="numpy")
def otm_parts_from(
    h: float, t: float, least: float, scale: float, near: float, far: float
) -> tuple[float, ...]:
    """Terms of the out-of-the-money price.

    `least` is min(F, K), `scale` is M, `near` and `far` are erfcx at the two arguments. Returns
    ``(price, A, least - A, B)``, each without cancellation worse than the problem's own.

    The series is Jaeckel's (2015, "Let's be rational", eq. 6.9): odd derivatives of the Mills
    ratio ``Y(-h)`` in closed form, whose own cancellation stays below the conditioning for
    ``h t < 1``.
    """
    series = _by_series(h, t)
    e1 = 0.5 * near
    b = scale * (0.5 * far)
    y = h * h
    w = t * t
    # a = Y'(-h) = 1 - h sqrt(pi/2) erfcx(h / sqrt 2)
    a = fma(-2.0 * _ROOT_HALF_PI * h, e1, 1.0)
    k1 = fma(a, y, fma(3.0, a, -1.0))
    k2 = fma(fma(a, y, fma(10.0, a, -1.0)), y, fma(15.0, a, -7.0))
    k3 = fma(a, y, fma(21.0, a, -1.0))
    k3 = fma(fma(k3, y, fma(105.0, a, -18.0)), y, fma(105.0, a, -57.0))
    k4 = fma(fma(a, y, fma(36.0, a, -1.0)), y, fma(378.0, a, -33.0))
    k4 = fma(fma(k4, y, fma(1260.0, a, -285.0)), y, fma(945.0, a, -561.0))
    total = fma(w, fma(w, k4 * (1.0 / 362880.0), k3 * (1.0 / 5040.0)), k2 * (1.0 / 120.0))
    total = fma(w, fma(w, total, k1 * (1.0 / 6.0)), a)
    small = scale * (2.0 * _INV_ROOT_2PI) * t * total
    m1 = scale * e1
    inside = h < t
    part = small + b if series else (least - m1 if inside else m1)
    rest = least - part if series or not inside else m1
    # h < t: least - m1 - b loses nothing; else m1 - b loses at most 1 / series digits.
    price = small if series else part - b
    return price, part, rest, b
