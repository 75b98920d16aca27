"""Equal conditional predictive ability of two forecasts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["PredictiveAbility", "giacomini_white"]


@dataclass(frozen=True, slots=True)
class PredictiveAbility:
    """A chi-squared test that loss differences cannot be foretold from the instruments.

    Attributes
    ----------
    statistic, p_value : float
    freedom : int
    rows : int
    """

    statistic: float
    p_value: float
    freedom: int
    rows: int


def giacomini_white(difference: FloatArray, instruments: FloatArray) -> PredictiveAbility:
    """Test of ``E[h_{t-1} d_t] = 0`` one step ahead.

    ``T zbar' (sum z_t z_t' / T)^{-1} zbar`` with ``z_t = h_{t-1} d_t``: Giacomini and White (2006),
    "Tests of conditional predictive ability", Econometrica 74(6), eq. 4. With the constant alone it
    is an unconditional test whose variance is not centred.

    Parameters
    ----------
    difference : float64, shape (T,)
        Of losses; without memory under the null, so one step ahead or sums over blocks.
    instruments : float64, shape (T, q)
        Known when the forecasts of row t were made; usually with a column of ones.

    Raises
    ------
    DataError
        Too few complete rows, or instruments that are combinations of one another.
    """
    d, h = np.asarray(difference, np.float64), np.asarray(instruments, np.float64)
    if h.ndim != 2 or d.shape != h.shape[:1]:
        raise DataError(f"differences {d.shape}, instruments {h.shape}", remedy="one row each")
    use = np.isfinite(d) & np.isfinite(h).all(axis=1)
    z = h[use] * d[use, None]
    rows, q = z.shape
    if rows <= 2 * q:
        raise DataError(f"{rows} rows for {q} instruments", remedy="give a longer series")
    moment = z.T @ z / rows
    if np.linalg.matrix_rank(moment) < q:
        raise DataError("instruments are combinations of one another", remedy="leave some out")
    mean = z.mean(axis=0)
    statistic = float(rows * mean @ np.linalg.solve(moment, mean))
    return PredictiveAbility(statistic, float(chdtrc(q, statistic)), q, rows)
