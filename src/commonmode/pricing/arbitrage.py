"""Static arbitrage in a fitted surface or a grid of prices: found, located, sized.

Butterfly: Durrleman's condition ``g(k) >= 0`` (Gatheral and Jacquier 2014, lemma 2.2), refined to
the minimum and the roots of g. Calendar: total variance does not fall with time at fixed
log-moneyness (lemma 2.1). Vertical: call prices per forward lie between intrinsic value and 1 and
fall in the strike with a slope in [-1, 0]. Between prices on a grid: differences in place of
derivatives (Carr and Madan 2005, "A note on sufficient conditions for no arbitrage").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from scipy.special import ndtr

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.pricing.ssvi import SsviSlices, ssvi_derivatives
from commonmode.pricing.svi import SviRaw

__all__ = [
    "ArbitrageKind",
    "ArbitrageReport",
    "Slice",
    "Violation",
    "check_price_grid",
    "check_slices",
    "check_ssvi",
    "ssvi_slice",
    "svi_slice",
]

_NODES: Final = 401
_REACH: Final = 1.5  # of the wider of the quoted range and 6 standard deviations
_NEAR_ZERO: Final = 0.1  # a dip between two nodes of the grid is not deeper than this
_GOLDEN: Final = 0.5 * (np.sqrt(5.0) - 1.0)

Slice = Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]
"""Log-moneyness to total variance and its first two derivatives, all of one shape."""


class ArbitrageKind(Enum):
    """Closed list of static arbitrages."""

    BUTTERFLY = "butterfly"
    CALENDAR = "calendar"
    VERTICAL = "vertical"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Violation:
    """One interval of strikes on which a condition fails.

    Attributes
    ----------
    kind : ArbitrageKind
    row : int
        Slice; for calendar arbitrage the later of the two.
    low, high : float
        Ends of the interval: log-moneyness for slices, strike for price grids.
    worst : float
        Where the condition fails most.
    size : float
        By how much, > 0: ``-g`` (butterfly of slices), total variance lost (calendar of
        slices), slope out of range (vertical), price per forward or in its currency (grids).
    """

    kind: ArbitrageKind
    row: int
    low: float
    high: float
    worst: float
    size: float


@dataclass(frozen=True, slots=True)
class ArbitrageReport:
    """What was checked and what failed.

    Attributes
    ----------
    violations : tuple of Violation
        Largest first within each kind and row.
    points : int
        Conditions evaluated.
    tolerance : float
        Sizes up to this are rounding, not arbitrage.
    min_g : tuple of float
        Smallest Durrleman function by slice; empty for price grids.
    """

    violations: tuple[Violation, ...]
    points: int
    tolerance: float
    min_g: tuple[float, ...] = ()

    @property
    def free(self) -> bool:
        """No violation."""
        return not self.violations

    def of(self, kind: ArbitrageKind) -> tuple[Violation, ...]:
        """The violations of one kind."""
        return tuple(v for v in self.violations if v.kind is kind)


def _runs(
    kind: ArbitrageKind, row: int, x: FloatArray, lack: FloatArray, tolerance: float
) -> Iterator[Violation]:
    """One violation for each run of positive ``lack`` that somewhere exceeds the tolerance."""
    bad = np.concatenate([[False], lack > 0.0, [False]])
    edges = np.flatnonzero(bad[1:] != bad[:-1])
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        worst = first + int(np.argmax(lack[first:end]))
        if lack[worst] <= tolerance:
            continue
        yield Violation(
            kind, row, float(x[first]), float(x[end - 1]), float(x[worst]), float(lack[worst])
        )


def _g(slice_: Slice, k: FloatArray) -> FloatArray:
    w, first, second = slice_(k)
    with np.errstate(all="ignore"):
        half = 1.0 - k * first / (2.0 * w)
        g = half * half - 0.25 * first * first * (1.0 / w + 0.25) + 0.5 * second
    return np.where((w > 0) & np.isfinite(g), g, -np.inf)


def _refined(slice_: Slice, k: FloatArray) -> FloatArray:
    """The grid with the minima of g near its lowest nodes and, by bisection, its roots added."""
    g = _g(slice_, k)
    extra: list[float] = []
    dips = np.flatnonzero((g[1:-1] <= g[:-2]) & (g[1:-1] <= g[2:]) & (g[1:-1] < _NEAR_ZERO)) + 1
    for node in dips[np.argsort(g[dips])][:4].tolist():
        low, high = float(k[node - 1]), float(k[node + 1])
        for _ in range(40):
            gap = _GOLDEN * (high - low)
            a, b = high - gap, low + gap
            ga, gb = _g(slice_, np.array([a, b]))
            low, high = (low, b) if ga < gb else (a, high)
        extra.append(0.5 * (low + high))
    for node in np.flatnonzero((g[:-1] < 0) != (g[1:] < 0)).tolist():
        low, high = float(k[node]), float(k[node + 1])
        below = g[node] < 0
        for _ in range(50):
            mid = 0.5 * (low + high)
            if (_g(slice_, np.array([mid]))[0] < 0) == below:
                low = mid
            else:
                high = mid
        extra.extend((low, high))
    return np.unique(np.concatenate([k, extra]))


def _reach(slice_: Slice, quoted: tuple[float, float]) -> FloatArray:
    at_money = float(slice_(np.zeros(1))[0][0])
    wide = 6.0 * np.sqrt(max(at_money, 1e-12))
    return np.linspace(_REACH * min(quoted[0], -wide), _REACH * max(quoted[1], wide), _NODES)


def svi_slice(params: SviRaw) -> Slice:
    """A raw SVI slice as :func:`check_slices` takes it."""

    def slice_(k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        y = k - params.m
        root = np.sqrt(y * y + params.sigma**2)
        w = params.a + params.b * (params.rho * y + root)
        return w, params.b * (params.rho + y / root), params.b * params.sigma**2 / root**3

    return slice_


def ssvi_slice(theta: float, rho: float, psi: float) -> Slice:
    """An SSVI slice as :func:`check_slices` takes it."""

    def slice_(k: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        d = ssvi_derivatives(k, theta, rho, psi)
        return d.w, d.by_k, d.by_kk

    return slice_


def check_slices(
    slices: list[Slice],
    quoted: list[tuple[float, float]],
    *,
    tolerance: float = 1e-10,
) -> ArbitrageReport:
    """Check any smooth slices, in order of time.

    Parameters
    ----------
    slices : list of callable
        Each maps log-moneyness (float64, shape (n,)) to total variance and its first two
        derivatives; see :func:`svi_slice` and :func:`ssvi_slice`.
    quoted : list of (low, high)
        Quoted range of log-moneyness of each slice; the check reaches half as far again, and at
        least nine standard deviations.
    tolerance : float
        Sizes up to this count as rounding (total variance: relative).

    Raises
    ------
    DataError
        If the lists differ in length.
    """
    if len(slices) != len(quoted):
        raise DataError(
            f"{len(slices)} slices with {len(quoted)} ranges", remedy="give one range per slice"
        )
    found: list[Violation] = []
    lowest: list[float] = []
    points = 0
    grids = [_reach(s, q) for s, q in zip(slices, quoted, strict=True)]
    for row, (slice_, grid) in enumerate(zip(slices, grids, strict=True)):
        k = _refined(slice_, grid)
        w, first, _ = slice_(k)
        g = _g(slice_, k)
        lowest.append(float(np.min(g)))
        found.extend(_runs(ArbitrageKind.BUTTERFLY, row, k, -g, tolerance))
        # The digital N(d2) - n(d2) w'/(2 sqrt w), minus the slope of the call price, is in [0, 1].
        with np.errstate(all="ignore"):
            root = np.sqrt(w)
            d2 = -k / root - 0.5 * root
            density = np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi)
            digital = ndtr(d2) - density * first / (2.0 * root)
            lack = np.maximum(-digital, digital - 1.0)
        lack = np.where(np.isfinite(lack), lack, np.inf)
        found.extend(_runs(ArbitrageKind.VERTICAL, row, k, lack, tolerance))
        points += 2 * len(k)
        if row:
            both = np.unique(np.concatenate([grid, grids[row - 1]]))
            later, earlier = slice_(both)[0], slices[row - 1](both)[0]
            lost = earlier - later
            lost = np.where(lost > tolerance * np.abs(earlier), lost, 0.0)
            found.extend(_runs(ArbitrageKind.CALENDAR, row, both, lost, 0.0))
            points += len(both)
    return ArbitrageReport(tuple(found), points, tolerance, tuple(lowest))


def check_ssvi(
    slices: SsviSlices,
    quoted: list[tuple[float, float]] | None = None,
    *,
    between: int = 1,
    tolerance: float = 1e-10,
) -> ArbitrageReport:
    """Check an SSVI or eSSVI surface at its slices and between them.

    Parameters
    ----------
    slices : SsviSlices
    quoted : list of (low, high), optional
        As in :func:`check_slices`.
    between : int
        Interpolated slices checked between two neighbours, before the first and after the last.
    """
    years = slices.years
    edges = np.concatenate([[0.5 * years[0]], years, [2.0 * years[-1]]])
    share = np.arange(between + 1) / (between + 1)
    times = np.concatenate(
        [(edges[:-1, None] + share * np.diff(edges)[:, None]).ravel(), edges[-1:]]
    )
    theta, rho, psi = slices.at(times)

    ranges = [(0.0, 0.0)] * len(times)
    if quoted is not None:
        low, high = (np.array([q[j] for q in quoted]) for j in (0, 1))
        near = np.clip(np.searchsorted(years, times), 0, len(years) - 1)
        ranges = list(zip(low[near].tolist(), high[near].tolist(), strict=True))
    rows = zip(theta.tolist(), rho.tolist(), psi.tolist(), strict=True)
    return check_slices([ssvi_slice(*row) for row in rows], ranges, tolerance=tolerance)


def check_price_grid(
    strike: FloatArray,
    call: FloatArray,
    forward: FloatArray,
    *,
    discount: FloatArray | None = None,
    tolerance: float = 1e-10,
) -> ArbitrageReport:
    """Check call prices on one grid of strikes for several expiries.

    Parameters
    ----------
    strike : float64, shape (n,), ascending, > 0
    call : float64, shape (E, n)
        Call prices by expiry (ascending in time), NaN where absent; same currency as strikes.
    forward : float64, shape (E,)
    discount : float64, shape (E,), optional
        Discount factors; 1 if left out.
    tolerance : float
        Per forward.

    Notes
    -----
    Calendar: at equal strike-to-forward ratio the undiscounted price per forward must not fall;
    the later expiry is interpolated linearly in strike, which a convex price never exceeds, so
    only what cannot be an artefact of interpolation is reported.
    """
    x, c = np.asarray(strike, np.float64), np.asarray(call, np.float64)
    f = np.asarray(forward, np.float64)
    df = np.ones_like(f) if discount is None else np.asarray(discount, np.float64)
    if not (x.ndim == 1 and c.shape == (len(f), len(x)) and np.all(np.diff(x) > 0) and x[0] > 0):
        raise DataError(
            f"price grid of shape {c.shape} for {len(f)} expiries and {len(x)} strikes",
            remedy="give ascending positive strikes and one row of prices per expiry",
        )
    found: list[Violation] = []
    points = 0
    clean: list[tuple[FloatArray, FloatArray]] = []
    for row in range(len(f)):
        here = np.isfinite(c[row])
        k, price = x[here] / f[row], c[row][here] / (f[row] * df[row])
        clean.append((k, price))
        lack = np.maximum(np.maximum(1.0 - k, 0.0) - price, price - 1.0)
        found.extend(_runs(ArbitrageKind.BOUND, row, x[here], lack, tolerance))
        points += len(k)
        if len(k) > 1:
            slope = np.diff(price) / np.diff(k)
            lack = np.maximum(slope, -1.0 - slope)
            found.extend(_runs(ArbitrageKind.VERTICAL, row, x[here][1:], lack, tolerance))
            points += len(slope)
        if len(k) > 2:
            # Price of the butterfly: the middle one above the chord of its neighbours.
            share = (k[1:-1] - k[:-2]) / (k[2:] - k[:-2])
            lack = price[1:-1] - ((1.0 - share) * price[:-2] + share * price[2:])
            found.extend(_runs(ArbitrageKind.BUTTERFLY, row, x[here][1:-1], lack, tolerance))
            points += len(share)
        if row and len(k) > 1 and len(clean[row - 1][0]):
            k0, p0 = clean[row - 1]
            within = (k0 >= k[0]) & (k0 <= k[-1])
            lack = p0[within] - np.interp(k0[within], k, price)
            where = k0[within] * f[row]
            found.extend(_runs(ArbitrageKind.CALENDAR, row, where, lack, tolerance))
            points += int(within.sum())
    return ArbitrageReport(tuple(found), points, tolerance)
