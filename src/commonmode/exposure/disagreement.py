"""How far the models disagree about each Greek: range, interquartile dispersion, max/min (C6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray

__all__ = ["Disagreement", "disagreement"]


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """Disagreement of M models about the same quantities; arrays of the quantities' shape.

    Attributes
    ----------
    models : int64
        How many models have a value; with fewer than two everything below is NaN.
    median : float64
        In the quantities' unit.
    range : float64
        ``max - min`` in the quantities' unit: Cont's (2006) measure of model uncertainty, the
        models being calibrated to the same quotes.
    dispersion : float64
        ``(Q3 - Q1) / (Q3 + Q1)`` of the absolute values, the supervisors' interquartile dispersion
        (EBA benchmarking); NaN where the models differ in sign, 0 where all say 0.
    ratio : float64
        ``max / min`` of the absolute values, >= 1 (the risk ratio); NaN where they differ in sign,
        infinite where the smallest is 0.

    References
    ----------
    Cont, R. (2006). Model uncertainty and its impact on the pricing of derivative instruments.
    Mathematical Finance 16(3), 519-547.
    """

    models: IntArray
    median: FloatArray
    range: FloatArray
    dispersion: FloatArray
    ratio: FloatArray


def disagreement(values: FloatArray, axis: int = 1) -> Disagreement:
    """Measure how far the models disagree.

    Parameters
    ----------
    values : float64
        One axis runs over the models; NaN is a failed cell and is left out. For Greek totals pass
        ``totals.usd`` of shape (G, M, 6) and get results of shape (G, 6).
    axis : int
        The models' axis.

    Returns
    -------
    Disagreement
    """
    by_model = np.moveaxis(np.asarray(values, dtype=np.float64), axis, -1)
    shape = by_model.shape[:-1]
    table = by_model.reshape(int(np.prod(shape, dtype=np.int64)), by_model.shape[-1])
    known = np.isfinite(table)
    count = known.sum(axis=1)
    out = np.full((4, len(table)), np.nan)
    # Rows with the same number of failed cells are one dense block: few blocks, no loop over rows.
    for models in np.unique(count[count >= 2]):
        rows = count == models
        block = table[rows][known[rows]].reshape(-1, models)
        size = np.abs(block)
        low, high = size.min(axis=1), size.max(axis=1)
        q1, q3 = np.quantile(size, [0.25, 0.75], axis=1)
        one_sign = (block >= 0).all(axis=1) | (block <= 0).all(axis=1)
        spread = np.divide(q3 - q1, q3 + q1, out=np.zeros_like(q1), where=q3 + q1 > 0)
        ratio = np.divide(high, low, out=np.where(high > 0, np.inf, 1.0), where=low > 0)
        out[0, rows] = np.median(block, axis=1)
        out[1, rows] = block.max(axis=1) - block.min(axis=1)
        out[2, rows] = np.where(one_sign, spread, np.nan)
        out[3, rows] = np.where(one_sign, ratio, np.nan)
    median, spread, dispersion, ratio = (row.reshape(shape) for row in out)
    return Disagreement(count.reshape(shape).astype(np.int64), median, spread, dispersion, ratio)
