"""SVI: raw and jump-wings parameters, butterfly arbitrage, the SSVI condition.

Gatheral and Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "ButterflyReport",
    "JumpWings",
    "SsviCondition",
    "SviRaw",
    "butterfly_report",
    "durrleman_g",
    "ssvi_butterfly_free",
    "svi_durrleman_g",
    "svi_total_variance",
]


def svi_total_variance(
    k: ArrayLike, a: ArrayLike, b: ArrayLike, rho: ArrayLike, m: ArrayLike, sigma: ArrayLike
) -> FloatArray:
    """Raw SVI ``w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2))``, broadcast.

    Parameters
    ----------
    k : array_like
        Log-moneyness ``ln(K/F)``.
    a, b, rho, m, sigma : array_like
        Raw parameters (eq. 3.1).

    Returns
    -------
    float64, broadcast shape
        Total implied variance ``vol^2 T``.
    """
    ks, level, slope, lean, centre, width = (
        np.asarray(value, np.float64) for value in (k, a, b, rho, m, sigma)
    )
    y = ks - centre
    return np.asarray(level + slope * (lean * y + np.sqrt(y * y + width * width)))


@dataclass(frozen=True, slots=True)
class JumpWings:
    """SVI jump-wings parameters (eq. 3.5).

    Attributes
    ----------
    v : at-the-money variance per year
    psi : at-the-money skew
    p, c : slopes of the put and the call wing
    v_tilde : minimum variance per year
    """

    v: float
    psi: float
    p: float
    c: float
    v_tilde: float


@dataclass(frozen=True, slots=True)
class SviRaw:
    """Raw SVI parameters of one expiry (eq. 3.1), total variance.

    Attributes
    ----------
    a, b, rho, m, sigma : float
        b >= 0, -1 <= rho <= 1, sigma > 0.

    Raises
    ------
    DataError
        If a parameter is not finite or outside its range.
    """

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        finite = bool(np.all(np.isfinite([self.a, self.b, self.rho, self.m, self.sigma])))
        if not (finite and self.b >= 0 and -1 <= self.rho <= 1 and self.sigma > 0):
            raise DataError(
                f"not SVI parameters: {self.a=}, {self.b=}, {self.rho=}, {self.m=}, {self.sigma=}",
                remedy="needs finite values, b >= 0, -1 <= rho <= 1 and sigma > 0",
            )

    def total_variance(self, k: ArrayLike) -> FloatArray:
        """Total implied variance at log-moneyness ``k``, same shape."""
        return svi_total_variance(k, self.a, self.b, self.rho, self.m, self.sigma)

    def jump_wings(self, years: float) -> JumpWings:
        """The same slice in jump-wings parameters, for an expiry ``years`` away (> 0).

        Raises
        ------
        DataError
            If the at-the-money variance is not positive.
        """
        root = float(np.hypot(self.m, self.sigma))
        w = self.a + self.b * (root - self.rho * self.m)
        if not (w > 0 and years > 0):
            raise DataError(
                f"jump wings need a positive at-the-money variance and time ({w=}, {years=})",
                remedy="check the raw parameters: a + b (sqrt(m^2 + sigma^2) - rho m) > 0",
            )
        scale = self.b / np.sqrt(w)
        return JumpWings(
            v=w / years,
            psi=float(0.5 * scale * (self.rho - self.m / root)),
            p=float(scale * (1.0 - self.rho)),
            c=float(scale * (1.0 + self.rho)),
            v_tilde=float(self.a + self.b * self.sigma * np.sqrt(1.0 - self.rho**2)) / years,
        )

    @classmethod
    def from_jump_wings(
        cls, v: float, psi: float, p: float, c: float, v_tilde: float, years: float
    ) -> SviRaw:
        """Raw parameters from jump wings (lemma 3.2, in trigonometric form).

        With ``rho = sin A`` and ``m / sqrt(m^2 + sigma^2) = sin B`` the distance of the
        at-the-money variance from the minimum is ``b sqrt(m^2 + sigma^2) (1 - cos(A - B))``.

        Raises
        ------
        DataError
            If no raw slice, or no single one, has these jump wings.
        """
        w = v * years
        b = 0.5 * np.sqrt(max(w, 0.0)) * (c + p)
        rho = 1.0 - p * np.sqrt(max(w, 0.0)) / b if b > 0 else np.nan
        lean = rho - 2.0 * psi * np.sqrt(max(w, 0.0)) / b if b > 0 else np.nan
        if not (abs(rho) <= 1.0 and abs(lean) < 1.0 and v >= v_tilde):
            raise DataError(
                f"no SVI slice has the jump wings {v=}, {psi=}, {p=}, {c=}, {v_tilde=}",
                remedy="needs v > 0, p, c >= 0, -p/2 < psi < c/2 and v >= v_tilde",
            )
        gap = 2.0 * np.sin(0.5 * (np.arcsin(rho) - np.arcsin(lean))) ** 2
        radius = (v - v_tilde) * years / (b * gap) if gap > 0 else np.nan
        if not (radius > 0 and np.isfinite(radius)):
            raise DataError(
                f"jump wings {v=}, {psi=}, {v_tilde=} do not determine a slice",
                remedy="at zero skew the minimum is at the money: give raw parameters instead",
            )
        sigma = radius * np.sqrt(1.0 - lean**2)
        a = v_tilde * years - b * sigma * np.sqrt(1.0 - rho**2)
        return cls(float(a), float(b), float(rho), float(lean * radius), float(sigma))


@dataclass(frozen=True, slots=True)
class ButterflyReport:
    """Whether a slice admits butterfly arbitrage.

    Attributes
    ----------
    arbitrage : True where the implied density is negative somewhere (g < 0 or w <= 0)
    argmin_g, min_g : where Durrleman's function is smallest, and its value there
    roots_of_g : log-moneyness where g changes sign, ascending
    """

    arbitrage: bool
    argmin_g: float
    min_g: float
    roots_of_g: tuple[float, ...]


def svi_durrleman_g(
    k: ArrayLike, a: ArrayLike, b: ArrayLike, rho: ArrayLike, m: ArrayLike, sigma: ArrayLike
) -> FloatArray:
    """Durrleman's function (eq. 2.1) of raw SVI slices; parameters as `svi_total_variance`.

    Returns
    -------
    float64, broadcast shape
        Negative where the implied density is; NaN or inf where the total variance is not positive.
    """
    ks, slope, lean, centre, width = (np.asarray(v, np.float64) for v in (k, b, rho, m, sigma))
    y = ks - centre
    root = np.hypot(y, width)
    with np.errstate(all="ignore"):
        w = svi_total_variance(ks, a, b, rho, m, sigma)
        w1 = slope * (lean + y / root)
        w2 = slope * width**2 / root**3
        return np.asarray(
            (1.0 - ks * w1 / (2.0 * w)) ** 2 - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2
        )


def durrleman_g(params: SviRaw, k: ArrayLike) -> FloatArray:
    """Durrleman's function of one slice; butterfly-free iff it is >= 0 and w > 0 everywhere."""
    return svi_durrleman_g(k, params.a, params.b, params.rho, params.m, params.sigma)


# Scan in asinh((k - m) / sigma): dense near the bend, out to 1e4 sigma in the wings.
_SCAN: Final = np.sinh(np.linspace(-10.0, 10.0, 4001))


def butterfly_report(params: SviRaw) -> ButterflyReport:
    """Scan, then refine: the minimum of g, its roots, and whether there is arbitrage.

    The limits ``1/4 - b^2 (1 +- rho)^2 / 16`` of g in the wings count as well.
    """
    grid = params.m + params.sigma * _SCAN
    w_min = params.a + params.b * params.sigma * float(np.sqrt(1.0 - params.rho**2))
    if w_min <= 0:
        lean = params.rho / np.sqrt(1.0 - params.rho**2) if abs(params.rho) < 1 else 0.0
        return ButterflyReport(True, float(params.m - params.sigma * lean), -np.inf, ())
    g = durrleman_g(params, grid)

    def at(k: float) -> float:
        return float(durrleman_g(params, k))

    best = int(np.argmin(g))
    inner = min(max(best, 1), len(grid) - 2)
    found = minimize_scalar(
        at, bounds=(grid[inner - 1], grid[inner + 1]), method="bounded", options={"xatol": 1e-12}
    )
    argmin, low = (float(found.x), float(found.fun))
    if g[best] < low:
        argmin, low = float(grid[best]), float(g[best])
    cross = np.flatnonzero(np.sign(g[:-1]) * np.sign(g[1:]) < 0)
    roots = tuple(float(brentq(at, grid[i], grid[i + 1], xtol=1e-14)) for i in cross)
    wings = [0.25 - (params.b * (1.0 + side * params.rho)) ** 2 / 16.0 for side in (-1.0, 1.0)]
    return ButterflyReport(bool(low < 0 or min(wings) < 0), argmin, low, roots)


@dataclass(frozen=True, slots=True, eq=False)
class SsviCondition:
    """The two numbers of Gatheral and Jacquier's theorem 4.2 and their verdict, broadcast shape.

    Attributes
    ----------
    theta_phi_1_abs_rho : theta phi (1 + |rho|), must be < 4
    theta_phi2_1_abs_rho : theta phi^2 (1 + |rho|), must be <= 4
    free : both hold (sufficient for no butterfly arbitrage)
    """

    theta_phi_1_abs_rho: FloatArray
    theta_phi2_1_abs_rho: FloatArray
    free: BoolArray


def ssvi_butterfly_free(rho: ArrayLike, theta: ArrayLike, phi: ArrayLike) -> SsviCondition:
    """SSVI no-butterfly condition.

    Parameters
    ----------
    rho : array_like
        Correlation in (-1, 1).
    theta : array_like
        At-the-money total variance.
    phi : array_like
        Value of the SSVI function phi at theta.
    """
    lean = 1.0 + np.abs(np.asarray(rho, np.float64))
    first = np.asarray(np.asarray(theta, np.float64) * np.asarray(phi, np.float64) * lean)
    second = np.asarray(first * np.asarray(phi, np.float64))
    return SsviCondition(first, second, np.asarray((first < 4.0) & (second <= 4.0)))
