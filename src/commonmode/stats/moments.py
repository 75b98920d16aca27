"""Least-squares slopes of many series at once, as sums of contributions of blocks of time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.stats.block_spread import effective_degrees, jackknife_error, weighted_interval
from commonmode.stats.blocks import block_sums

__all__ = ["BlockMoments", "block_instrumented", "block_means", "block_slopes", "unbiased_products"]


@dataclass(frozen=True, slots=True, eq=False)
class BlockMoments:
    """N estimates, each a sum over B blocks.

    Attributes
    ----------
    estimate : float64, shape (N,)
        NaN where nothing varies or nothing is there.
    contributions : float64, shape (B, N)
        Add up to the estimate; each has mean zero where the estimate's true value is zero.
    influence : float64, shape (B, N)
        What the estimate is off by, to first order, whatever its true value.
    leverage : float64, shape (B, N)
        Share of the information that each block holds; adds up to 1. With instruments a block's
        share may be a little negative.
    rows : int64, shape (N,)
        Cells used.
    spread, tilt, bulge : float64, shape (N,)
        Of the regressor z in the estimate's unit: its variance, ``sum z^3 / sum z^2`` and
        ``sum z^4 / sum z^2`` (0, 1 and 1 for a mean, all zero with instruments). They say how noise
        that grows with what is there enters the estimate.
    """

    estimate: FloatArray
    contributions: FloatArray
    influence: FloatArray
    leverage: FloatArray
    rows: IntArray
    spread: FloatArray
    tilt: FloatArray
    bulge: FloatArray

    @property
    def standard_error(self) -> FloatArray:
        """Leaving out one block at a time, shape (N,)."""
        return jackknife_error(self.influence, self.leverage)

    @property
    def degrees(self) -> FloatArray:
        """Of the t law, by the effective number of blocks; shape (N,)."""
        return effective_degrees(self.leverage)

    def over(self, edges: IntArray) -> BlockMoments:
        """The same estimates over coarser blocks, ``edges`` counting the present ones."""
        return BlockMoments(
            estimate=self.estimate,
            contributions=block_sums(self.contributions, edges),
            influence=block_sums(self.influence, edges),
            leverage=block_sums(self.leverage, edges),
            rows=self.rows,
            spread=self.spread,
            tilt=self.tilt,
            bulge=self.bulge,
        )

    def interval(self, level: float = 0.95) -> FloatArray:
        """Student-t with the effective degrees of freedom, shape (N, 2)."""
        ends = weighted_interval(self.estimate, self.influence, self.leverage, level=level)
        return np.stack(ends, axis=1)


def _finish(
    total: FloatArray,
    own: FloatArray,
    rest: FloatArray,
    held: FloatArray,
    rows: IntArray,
    *,
    spread: FloatArray | float = 0.0,
    tilt: FloatArray | float = 0.0,
    bulge: FloatArray | float = 0.0,
) -> BlockMoments:
    there = (total > 0) & (rows > 0)
    safe = np.where(there, total, 1.0)
    whole = held.sum(axis=0)
    contributions = np.where(there, own / safe, 0.0)
    return BlockMoments(
        estimate=np.where(there, contributions.sum(axis=0), np.nan),
        contributions=contributions,
        influence=np.where(there, rest / safe, 0.0),
        leverage=held / np.where(whole > 0, whole, 1.0),
        rows=rows,
        spread=np.where(there, spread, 0.0),
        tilt=np.where(there, tilt, 0.0),
        bulge=np.where(there, bulge, 0.0),
    )


def block_means(v: FloatArray, edges: IntArray) -> BlockMoments:
    """Mean of each series over times and targets.

    Parameters
    ----------
    v : float64, shape (T, K, N)
        NaN is missing.
    edges : int64, shape (B + 1,)
    """
    use = np.isfinite(v)
    rows = use.sum(axis=(0, 1))
    total = rows.astype(np.float64)
    kept = np.where(use, v, 0.0)
    mean = kept.sum(axis=(0, 1)) / np.maximum(total, 1.0)
    own = block_sums(kept.sum(axis=1), edges)
    rest = block_sums(np.where(use, v - mean, 0.0).sum(axis=1), edges)
    held = block_sums(use.sum(axis=1).astype(np.float64), edges)
    return _finish(total, own, rest, held, rows.astype(np.int64), tilt=1.0, bulge=1.0)


def _centred(values: FloatArray, use: BoolArray) -> FloatArray:
    """Less the mean of each target and series over the cells in use; zero elsewhere."""
    kept = np.where(use, values, 0.0)
    mean = kept.sum(axis=0) / np.maximum(use.sum(axis=0), 1)
    return np.asarray(np.where(use, values - mean, 0.0))


def block_slopes(
    v: FloatArray, z: FloatArray, edges: IntArray, *, per_sd: bool = True
) -> BlockMoments:
    """Slope of each series on its regressor, with one intercept per target.

    Parameters
    ----------
    v : float64, shape (T, K, N)
    z : float64, shape (T, K, N) or broadcastable to it
        NaN in either leaves the cell out.
    edges : int64, shape (B + 1,)
    per_sd : bool
        The slope per standard deviation of the regressor rather than per unit.
    """
    both = np.broadcast_to(z, v.shape)
    use = np.isfinite(v) & np.isfinite(both)
    vc, zc = _centred(v, use), _centred(both, use)
    rows = use.sum(axis=(0, 1))
    total = (zc**2).sum(axis=(0, 1))
    # What is constant but for rounding has no slope.
    size = (np.where(use, both, 0.0) ** 2).sum(axis=(0, 1))
    varies = total > 1e-20 * size
    if per_sd:
        sd = np.sqrt(total / np.maximum(rows, 1))
        zc = zc / np.where(sd > 0, sd, 1.0)
        total = (zc**2).sum(axis=(0, 1))
    own = block_sums((zc * vc).sum(axis=1), edges)
    slope = own.sum(axis=0) / np.where(total > 0, total, 1.0)
    rest = block_sums((zc * (vc - slope * zc)).sum(axis=1), edges)
    held = block_sums((zc**2).sum(axis=1), edges)
    square = zc**2
    third, fourth = (square * zc).sum(axis=(0, 1)), (square**2).sum(axis=(0, 1))
    safe = np.where(total > 0, total, 1.0)
    return _finish(
        np.where(varies, total, 0.0),
        own,
        rest,
        held,
        rows.astype(np.int64),
        spread=total / np.maximum(rows, 1),
        tilt=third / safe,
        bulge=fourth / safe,
    )


def block_instrumented(
    y: FloatArray,
    x: FloatArray,
    control: FloatArray,
    x_instrument: FloatArray,
    control_instrument: FloatArray,
    edges: IntArray,
) -> BlockMoments:
    """Coefficient of ``x`` beside ``control``, both instrumented, one intercept per target.

    Two-stage least squares, exactly identified. Instruments are second measurements of the same
    quantities whose errors are independent of the first's.

    Parameters
    ----------
    y, x, control, x_instrument, control_instrument : float64, shape (T, K, N) or broadcastable
    edges : int64, shape (B + 1,)
    """
    parts = np.broadcast_arrays(y, x, control, x_instrument, control_instrument)
    use = np.logical_and.reduce([np.isfinite(part) for part in parts])
    yc, x1, x2, z1, z2 = (_centred(part, use) for part in parts)
    rows = use.sum(axis=(0, 1)).astype(np.int64)

    def total(a: FloatArray, b: FloatArray) -> FloatArray:
        return np.asarray((a * b).sum(axis=(0, 1)))

    a, b, c, d = total(z1, x1), total(z1, x2), total(z2, x1), total(z2, x2)
    determinant = a * d - b * c
    # Not identified where the instruments say (almost) nothing about the regressors.
    size = np.sqrt(total(z1, z1) * total(x1, x1) * total(z2, z2) * total(x2, x2))
    there = (np.abs(determinant) > 1e-8 * size) & (d != 0)
    safe = np.where(there, determinant, 1.0)
    weight = (d * z1 - b * z2) / safe
    alone = total(z2, yc) / np.where(d != 0, d, 1.0)
    own = block_sums((weight * (yc - alone * x2)).sum(axis=1), edges)
    slope = own.sum(axis=0)
    beside = (total(z2, yc) - c * slope) / np.where(d != 0, d, 1.0)
    rest = block_sums((weight * (yc - slope * x1 - beside * x2)).sum(axis=1), edges)
    held = block_sums((weight * x1).sum(axis=1), edges)
    return _finish(there.astype(np.float64), own, rest, held, rows)


def unbiased_products(contributions: FloatArray) -> FloatArray:
    """``theta_i theta_j`` summed over features, free of the estimates' shared sampling error.

    Estimates of N models from the same market err together, so the product of two estimates holds
    the covariance of their errors. Products of *different* blocks do not, where blocks are
    independent: a U-statistic of order two.

    Parameters
    ----------
    contributions : float64, shape (F, B, N)
        Of F features; each adds up over blocks to its estimate.

    Returns
    -------
    float64, shape (N, N)
        Symmetric; the diagonal may be negative where there is nothing but noise.
    """
    total = contributions.sum(axis=1)
    same = np.einsum("fbi,fbj->ij", contributions, contributions)
    blocks = contributions.shape[1]
    return np.asarray((total.T @ total - same) * blocks / (blocks - 1))
