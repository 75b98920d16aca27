"""Local-linear smoothing of all expiries at once, and the curves through it.

Fan and Gijbels (1996), "Local polynomial modelling and its applications", section 3.1: at each
quoted node a line is fitted by least squares with a Gaussian kernel, whose width here follows the
distance to the nearer neighbour. Its value and slope at the nodes define a cubic Hermite curve,
held constant beyond the first and the last node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, frozen

__all__ = ["SmoothCurves", "curve_parameters", "smooth_curves"]

# Where a curve is recorded as evidence: standardised moneyness ln(K/F) / (atm_vol sqrt(T)).
_EVIDENCE_Z: Final = (-1.5, -0.75, 0.0, 0.75, 1.5)


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCurves:
    """Cubic Hermite curves, one per row.

    Attributes
    ----------
    node, value, slope : float64, shape (E, n)
        Nodes ascend; padding repeats the last node.
    count : int64, shape (E,)
        Nodes that are not padding.
    """

    node: FloatArray
    value: FloatArray
    slope: FloatArray
    count: IntArray

    def __call__(self, row: IntArray, at: FloatArray) -> FloatArray:
        """Curve ``row[i]`` at ``at[i]``, constant beyond its nodes; shape (q,)."""
        x, last = self.node, self.count[row] - 1
        point = np.clip(at, x[row, 0], x[row, last])
        left = np.zeros(len(row), dtype=np.int64)
        for r in np.unique(row).tolist():
            mine = row == r
            left[mine] = np.searchsorted(x[r, : self.count[r]], point[mine], side="right") - 1
        left = np.clip(left, 0, np.maximum(last - 1, 0))
        right = np.minimum(left + 1, last)
        width = x[row, right] - x[row, left]
        u = np.where(width > 0, (point - x[row, left]) / np.where(width > 0, width, 1.0), 0.0)
        v0, v1 = self.value[row, left], self.value[row, right]
        d0, d1 = self.slope[row, left] * width, self.slope[row, right] * width
        rise = v1 - v0
        return np.asarray(
            v0 + u * (d0 + u * ((3.0 * rise - 2.0 * d0 - d1) + u * (d0 + d1 - 2.0 * rise)))
        )

    def rows(self, have: IntArray, wanted: IntArray) -> SmoothCurves:
        """The curves of the labels ``wanted`` among ``have`` (both ascending), read-only."""
        keep = np.isin(have, wanted)
        return SmoothCurves(
            frozen(self.node[keep]),
            frozen(self.value[keep]),
            frozen(self.slope[keep]),
            frozen(self.count[keep]),
        )


def smooth_curves(
    node: FloatArray, observed: FloatArray, count: IntArray, *, bandwidth: float
) -> SmoothCurves:
    """Smooth each row.

    Parameters
    ----------
    node, observed : float64, shape (E, n)
        Ascending nodes and observations; padding repeats the last node and is left out.
    count : int64, shape (E,)
        Nodes that are not padding, >= 1.
    bandwidth : float
        Standard deviation of the kernel in units of the distance to the nearer neighbour, > 0.
    """
    last = (count - 1)[:, None]
    column = np.arange(node.shape[1])[None, :]
    right = np.take_along_axis(node, np.minimum(column + 1, last), axis=1)
    left = np.take_along_axis(node, np.clip(column - 1, 0, last), axis=1)
    before, after = node - left, right - node
    # The nearer neighbour sets the scale: where the spacing changes, the mean of both sides would
    # blend the dense side into one value.
    nearer = np.minimum(np.where(before > 0, before, np.inf), np.where(after > 0, after, np.inf))
    spacing = np.where(np.isfinite(nearer), nearer, 1.0)
    gap = node[:, None, :] - node[:, :, None]
    # No vega weights: over the width of a kernel in a wing they would undo its locality.
    scaled = np.clip(gap / (bandwidth * spacing)[:, :, None], -40.0, 40.0)
    kernel = np.exp(-0.5 * scaled * scaled) * (column <= last)[:, None, :]
    weighted = kernel * observed[:, None, :]
    moved = kernel * gap
    s0, s1, s2 = kernel.sum(-1), moved.sum(-1), (moved * gap).sum(-1)
    t0, t1 = weighted.sum(-1), (weighted * gap).sum(-1)
    det = s0 * s2 - s1 * s1
    # A kernel that sees a single node gives its observation and no slope.
    alone = det <= 1e-12 * s0 * s2
    safe = np.where(alone, 1.0, det)
    value = np.where(alone, t0 / s0, (s2 * t0 - s1 * t1) / safe)
    slope = np.where(alone, 0.0, (s0 * t1 - s1 * t0) / safe)
    return SmoothCurves(node, value, slope, count)


def curve_parameters(
    curves: SmoothCurves, atm_vol: FloatArray, place: Callable[[float], FloatArray]
) -> dict[str, FloatArray]:
    """At-the-money volatility and each curve at five standardised moneynesses, shape (E,) each.

    Parameters
    ----------
    curves : SmoothCurves
    atm_vol : float64, shape (E,)
    place : callable
        Maps z to the position (E, 1) on the curves' axis.
    """
    row = np.arange(len(atm_vol))
    table = {f"vol_z{z:+.2f}": curves(row, place(z)[:, 0]) for z in _EVIDENCE_Z}
    return {"atm_vol": atm_vol, **table}
