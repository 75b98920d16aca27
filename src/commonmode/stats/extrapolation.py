"""How far a stress lies from what a model was calibrated on, and which regimes it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial import KDTree
from scipy.special import chdtrc, chdtri

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "Extrapolation",
    "RegimeCoverage",
    "RobustLocation",
    "extrapolation_distance",
    "regime_coverage",
    "robust_location",
]

_MAD_OF_NORMAL: Final = 0.6744897501960817


@dataclass(frozen=True, slots=True, eq=False)
class RobustLocation:
    """Centre and spread that outliers do not move.

    Attributes
    ----------
    centre : float64, shape (P,)
    covariance : float64, shape (P, P)
    """

    centre: FloatArray
    covariance: FloatArray

    def distance(self, points: FloatArray) -> FloatArray:
        """Mahalanobis distance of points (M, P), shape (M,)."""
        gap = np.atleast_2d(points) - self.centre
        solved = np.linalg.solve(self.covariance, gap.T).T
        return np.asarray(np.sqrt(np.clip((gap * solved).sum(axis=1), 0.0, None)))


def _scale(x: FloatArray) -> FloatArray:
    """Median absolute deviation of each column, consistent for the normal."""
    return np.asarray(np.median(np.abs(x - np.median(x, axis=0)), axis=0) / _MAD_OF_NORMAL)


def robust_location(sample: FloatArray) -> RobustLocation:
    """Orthogonalised Gnanadesikan-Kettenring estimate, reweighted.

    Maronna & Zamar (2002), Technometrics 44(4), sections 4 and 5: pairwise robust covariances, made
    positive definite in the space of their eigenvectors (twice), then the plain mean and covariance
    of the points within the 90 % ellipsoid. Deterministic, breakdown up to half.

    Parameters
    ----------
    sample : float64, shape (n, P)

    Raises
    ------
    DataError
        Fewer than 5 rows per column, values that are not finite, or a column that hardly varies.
    """
    x = np.asarray(sample, dtype=np.float64)
    n, p = x.shape
    if n < 5 * p or not np.isfinite(x).all():
        raise DataError(
            f"{n} rows of {p} columns for a robust centre",
            remedy="give at least five finite rows per column",
        )
    if np.any(_scale(x) <= 0):
        raise DataError(
            "a column is constant in more than half of the rows",
            remedy="leave it out: it has no spread to measure a distance in",
        )
    z, basis = x, np.eye(p)
    for _ in range(2):
        size = _scale(z)
        y = z / size
        correlation = np.eye(p)
        for j in range(p):
            for k in range(j):
                pair = np.stack([y[:, j] + y[:, k], y[:, j] - y[:, k]], axis=1)
                plus, minus = _scale(pair) ** 2
                correlation[j, k] = correlation[k, j] = 0.25 * (plus - minus)
        vectors = np.linalg.eigh(correlation)[1]
        basis = basis @ np.diag(size) @ vectors
        z = y @ vectors
    raw = RobustLocation(
        basis @ np.median(z, axis=0), basis @ np.diag(np.maximum(_scale(z), 1e-12) ** 2) @ basis.T
    )
    squared = raw.distance(x) ** 2
    cut = float(chdtri(p, 0.1)) * float(np.median(squared)) / float(chdtri(p, 0.5))
    kept = x[squared <= cut]
    centre = kept.mean(axis=0)
    covariance = np.atleast_2d(np.cov(kept, rowvar=False))
    inner = RobustLocation(centre, covariance)
    stretch = float(np.median(inner.distance(x) ** 2)) / float(chdtri(p, 0.5))
    return RobustLocation(centre, covariance * stretch)


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """One stress held against a calibration window.

    Attributes
    ----------
    name : str
    distance : float
        Robust Mahalanobis distance.
    normal_tail : float
        Chance of a larger one under a normal law: a scale, not a probability of the event.
    rank : float
        Share of the window's own days that lie at least as far out.
    neighbour : float
        Distance to the nearest day of the window, in robust standard deviations.
    neighbour_p : float
        ``(1 + #{days whose nearest other day is at least as far}) / (1 + n)``: small where the
        window holds nothing like the stress.
    """

    name: str
    distance: float
    normal_tail: float
    rank: float
    neighbour: float
    neighbour_p: float

    @property
    def outside(self) -> bool:
        """The window holds nothing so far out, nor anything near it (5 %)."""
        return self.neighbour_p <= 0.05 and self.rank <= 0.05


def extrapolation_distance(
    window: FloatArray, stresses: FloatArray, *, names: tuple[str, ...] = (), exclude: int = 0
) -> tuple[Extrapolation, ...]:
    """How far each stress lies outside the calibration window.

    Two measures, because the window is not a normal cloud: robust Mahalanobis distance (past
    crashes in the window do not widen the ellipsoid that is to judge the next one) and distance to
    the nearest day of the window in the same metric, against the window's own nearest-neighbour
    distances.

    Parameters
    ----------
    window : float64, shape (n, P)
        Risk-factor moves (or states) that the model was calibrated on, in order of time.
    stresses : float64, shape (M, P)
    names : tuple of str, length M
    exclude : int
        Rows on either side of a day that do not count as its neighbours: dependent days are near
        each other for no merit of the window.
    """
    x = np.asarray(window, dtype=np.float64)
    s = np.atleast_2d(np.asarray(stresses, dtype=np.float64))
    if s.shape[1] != x.shape[1] or not np.isfinite(s).all():
        raise DataError(
            f"stresses of shape {s.shape} on a window of shape {x.shape}",
            remedy="name a finite move of every risk factor of the window",
        )
    place = robust_location(x)
    white = np.linalg.cholesky(np.linalg.inv(place.covariance))
    own, far = (x - place.centre) @ white, (s - place.centre) @ white
    tree = KDTree(own)
    ask = min(2 * exclude + 2, len(own))
    near, which = tree.query(own, k=ask)
    apart = np.abs(which - np.arange(len(own))[:, None]) > exclude
    reference = np.where(apart, near, np.inf).min(axis=1)
    reference = reference[np.isfinite(reference)]
    distances, own_distances = np.linalg.norm(far, axis=1), np.linalg.norm(own, axis=1)
    neighbours = np.atleast_1d(tree.query(far, k=1)[0])
    labels = names or tuple(f"stress {i + 1}" for i in range(len(s)))
    return tuple(
        Extrapolation(
            name=label,
            distance=float(d),
            normal_tail=float(chdtrc(x.shape[1], d * d)),
            rank=float((own_distances >= d).mean()),
            neighbour=float(near_by),
            neighbour_p=float((1 + (reference >= near_by).sum()) / (1 + len(reference))),
        )
        for label, d, near_by in zip(labels, distances, neighbours, strict=True)
    )


@dataclass(frozen=True, slots=True)
class RegimeCoverage:
    """Which markets a calibration window has seen, of those that the whole record holds.

    Attributes
    ----------
    calm, middle, stress : float
        Shares of the window below the record's median volatility, up to its 90 % quantile, above.
    stress_episodes : int
        Separate stretches of stress in the window.
    worst_fall, record_worst_fall : float
        Largest log loss over the horizon inside the window and on record, positive.
    crash_in_window : bool
        A fall of at least the stated size is in the window.
    """

    calm: float
    middle: float
    stress: float
    stress_episodes: int
    worst_fall: float
    record_worst_fall: float
    crash_in_window: bool


def regime_coverage(
    returns: FloatArray,
    window: slice,
    *,
    horizon: int = 24,
    crash: float = 0.2,
    calm: float = 0.5,
    stress: float = 0.9,
) -> RegimeCoverage:
    """Was there a crash in the window?

    Parameters
    ----------
    returns : float64, shape (T,)
        Log returns of the whole record; NaN over a gap.
    window : slice
        Rows that the model was calibrated on.
    horizon : int
        Rows over which a fall and the volatility are taken (24 hourly rows: a day).
    crash : float
        Fall in simple terms that counts as a crash over the horizon; 0.2 is the convention by
        which a bear market begins.
    calm, stress : float
        Quantiles of the record's volatility.

    Raises
    ------
    DataError
        A record or window shorter than two horizons.
    """
    x = np.asarray(returns, dtype=np.float64)
    inside = x[window]
    if min(len(x), len(inside)) < 2 * horizon:
        raise DataError(
            f"{len(inside)} rows of a record of {len(x)} for a horizon of {horizon}",
            remedy="give a window of at least two horizons",
        )
    rows = np.arange(len(x))[window]
    path = np.concatenate([[0.0], np.cumsum(np.nan_to_num(x))])
    fall = np.zeros(len(x))
    moved = np.concatenate([[0.0], np.cumsum(np.nan_to_num(x) ** 2)])
    known = np.concatenate([[0.0], np.cumsum(np.isfinite(x))])
    volatility = np.full(len(x), np.nan)
    # The fall ends at row t and may have begun at any of the `horizon` rows before.
    for back in range(1, horizon + 1):
        fall[back - 1 :] = np.maximum(fall[back - 1 :], path[:-back] - path[back:])
    span = known[horizon:] - known[:-horizon]
    with np.errstate(invalid="ignore", divide="ignore"):
        volatility[horizon - 1 :] = np.sqrt((moved[horizon:] - moved[:-horizon]) / span)
    low, high = np.nanquantile(volatility, [calm, stress])
    own = volatility[rows]
    own = own[np.isfinite(own)]
    stressed = own > high
    starts = int(stressed[0]) + int(np.count_nonzero(stressed[1:] & ~stressed[:-1]))
    # A fall that began before the window was not seen by the model as a fall.
    seen = rows[horizon:] if rows[0] > 0 else rows
    worst = float(fall[seen].max())
    return RegimeCoverage(
        calm=float((own <= low).mean()),
        middle=float(((own > low) & ~stressed).mean()),
        stress=float(stressed.mean()),
        stress_episodes=starts,
        worst_fall=worst,
        record_worst_fall=float(fall.max()),
        crash_in_window=bool(1.0 - np.exp(-worst) >= crash),
    )
