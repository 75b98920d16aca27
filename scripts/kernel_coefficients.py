"""Coefficients of the polynomials in ``commonmode.pricing.kernels``, computed anew.

Prints (1) ``erfcx(x) (1 + 2x)`` as a polynomial of degree 22 in ``t = (x - 3.75)/(x + 3.75)``:
truncated Chebyshev series from 60-digit values (mpmath), written in powers of t, with its largest
relative error; (2) the rational function that inverts Bachelier's price for the first guess of the
implied volatility; (3) the tail of ``atanh(s)`` in powers of ``s^2`` for the logarithm of a ratio
in [0.66, 1.51], interpolated at Chebyshev nodes. Needs mpmath beside the project's own packages:
``python scripts/kernel_coefficients.py``.
"""

from __future__ import annotations

import mpmath as mp
import numpy as np
from scipy.special import erfcx

CENTRE = mp.mpf("3.75")


def scaled_erfcx(t: mp.mpf) -> mp.mpf:
    """``erfcx(x) (1 + 2x)`` at the x of t; above 25 from its asymptotic series."""
    if t >= 1:
        return 2 / mp.sqrt(mp.pi)
    x = CENTRE * (1 + t) / (1 - t)
    if x < 25:
        return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)
    tail = sum((-1) ** n * mp.fac2(2 * n - 1) / (2 * x * x) ** n for n in range(18))
    return (1 + 2 * x) / (x * mp.sqrt(mp.pi)) * tail


def erfcx_powers(degree: int = 22, nodes: int = 200) -> tuple[list[mp.mpf], mp.mpf]:
    """Coefficients of the powers of t, and the largest relative error on a grid."""
    angles = [mp.pi * (k + mp.mpf(1) / 2) / nodes for k in range(nodes)]
    values = [scaled_erfcx(mp.cos(angle)) for angle in angles]
    series = [
        mp.mpf(2) / nodes * sum(v * mp.cos(j * a) for v, a in zip(values, angles, strict=True))
        for j in range(degree + 1)
    ]
    series[0] /= 2
    chebyshev = [[mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]]
    for _ in range(2, degree + 1):
        doubled = [mp.mpf(0)] + [2 * c for c in chebyshev[-1]]
        older = chebyshev[-2] + [mp.mpf(0)] * (len(doubled) - len(chebyshev[-2]))
        chebyshev.append([a - b for a, b in zip(doubled, older, strict=True)])
    powers = [
        sum(series[j] * chebyshev[j][i] for j in range(i, degree + 1)) for i in range(degree + 1)
    ]
    worst = mp.mpf(0)
    for i in range(1, 1000):
        t = mp.mpf(i) / 500 - 1
        exact = scaled_erfcx(t)
        worst = max(worst, abs(mp.polyval(powers[::-1], t) / exact - 1))
    return powers, worst


def bachelier_inverse(scale: float = 0.8) -> tuple[list[float], list[float], float]:
    """Rational function (3, 4) in ``sqrt(z)``, ``z = log(1 + scale x / price)``, for ``h / z``.

    Least squares on the relative error over h in [1e-6, 36], denominator by iteration.
    """
    h = np.exp(np.linspace(np.log(1e-6), np.log(36.0), 4000))
    mills = 1.0 - h * np.sqrt(np.pi / 2.0) * erfcx(h / np.sqrt(2.0))
    mills = np.where(h > 30.0, h**-2 - 3.0 * h**-4 + 15.0 * h**-6, mills)
    price = np.exp(-0.5 * h * h) / np.sqrt(2.0 * np.pi) / h * mills
    z = np.log1p(scale / price)
    v = np.sqrt(z)
    target = h / z
    weight = np.ones_like(h)
    for _ in range(30):
        columns = [v**i for i in range(4)] + [-target * v**i for i in range(1, 5)]
        w = weight / target
        fit = np.linalg.lstsq(np.column_stack(columns) * w[:, None], target * w, rcond=None)[0]
        top, bottom = fit[:4], np.r_[1.0, fit[4:]]
        weight = 1.0 / np.abs(np.polyval(bottom[::-1], v))
    error = np.polyval(top[::-1], v) / np.polyval(bottom[::-1], v) / target - 1.0
    return top.tolist(), bottom.tolist(), float(np.abs(error).max())


def inverse_tangent_tail(degree: int = 7, top: str = "0.0404") -> tuple[list[mp.mpf], mp.mpf]:
    """``(atanh(s)/s - 1)/z`` in powers of ``z = s^2 <= top``; largest error relative to atanh."""
    end = mp.mpf(top)

    def tail(z: mp.mpf) -> mp.mpf:
        root = mp.sqrt(z)
        return (mp.atanh(root) / root - 1) / z

    angles = [mp.pi * (k + mp.mpf(1) / 2) / (degree + 1) for k in range(degree + 1)]
    nodes = [end / 2 * (1 + mp.cos(angle)) for angle in angles]
    powers = mp.lu_solve(
        mp.matrix([[z**j for j in range(degree + 1)] for z in nodes]),
        mp.matrix([tail(z) for z in nodes]),
    )
    grid = [end * i / 2000 for i in range(1, 2001)]
    worst = max(abs(mp.polyval(list(powers)[::-1], z) - tail(z)) * z for z in grid)
    return list(powers), worst


def main() -> None:
    """Print the three sets."""
    with mp.workdps(60):
        powers, worst = erfcx_powers()
        print("erfcx(x) (1 + 2x), powers of t, largest relative error", mp.nstr(worst, 3))
        for power in powers:
            print("   ", mp.nstr(power, 20))
        powers, worst = inverse_tangent_tail()
        print("(atanh(s)/s - 1)/s^2, powers of s^2, largest relative error", mp.nstr(worst, 3))
        for power in powers:
            print("   ", mp.nstr(power, 20))
    top, bottom, error = bachelier_inverse()
    print(f"Bachelier inverse, largest relative error {error:.1e}")
    print("    numerator  ", top)
    print("    denominator", bottom)


if __name__ == "__main__":
    main()
