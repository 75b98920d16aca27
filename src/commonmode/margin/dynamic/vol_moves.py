"""Volatility moves that go with return scenarios.

Implied volatility is supplied where it was recorded. Where it was not, moves of realised volatility
stand in for it, or a regression of recorded moves on returns carries over to other returns: the
leverage of an asset (the sign) and its asymmetry (the size) in two slopes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.result import Failure
from commonmode.margin.dynamic.filtered import VolatilityFilter, filter_volatility
from commonmode.margin.dynamic.history import ReturnPanel

__all__ = ["VolResponse", "fit_vol_response", "realised_vol_moves"]


def realised_vol_moves(
    panel: ReturnPanel, *, bars: int = 1, settings: VolatilityFilter | None = None
) -> FloatArray:
    """Relative move of filtered realised volatility over each window of ``bars`` bars.

    Row i is the one-bar volatility forecast made after bar i + bars - 1 over the one made before
    bar i, minus 1. A stand-in for implied volatility, and a rough one: realised volatility of short
    memory moves more than implied volatility of a month; :class:`VolResponse` measures how much.

    Returns
    -------
    float64, shape (T - bars + 1, U)
        NaN during burn-in.

    Raises
    ------
    DataError
        If a factor cannot be filtered.
    """
    path = filter_volatility(panel, settings or VolatilityFilter())
    if isinstance(path, Failure):
        raise DataError(path.message, remedy=path.remedy)
    forecast = path.value.forecast
    return np.asarray(forecast[bars:] / forecast[:-bars] - 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class VolResponse:
    """``ln(vol after / vol before) = intercept + leverage r + size |r| + residual``.

    Attributes
    ----------
    intercept : float
    leverage : float
        Slope on the log return r; negative where volatility rises as prices fall.
    size : float
        Slope on |r|: what any large move does to volatility. After a fall the slope is
        ``size - leverage`` per unit, after a rise ``size + leverage``.
    residual_std : float
        Of the logarithm.
    r_squared : float
    observations : int
    horizon_minutes : float
        Of the returns and moves that it was fitted to.
    """

    intercept: float
    leverage: float
    size: float
    residual_std: float
    r_squared: float
    observations: int
    horizon_minutes: float

    def vol_moves(self, log_returns: FloatArray, residuals: FloatArray | None = None) -> FloatArray:
        """Relative volatility moves that go with returns of the same horizon.

        Parameters
        ----------
        log_returns : float64, any shape
        residuals : float64, same shape, optional
            Standardised; without them the move is the conditional median, which understates how
            much volatility can rise on its own.
        """
        r = np.asarray(log_returns, dtype=np.float64)
        log_move = self.intercept + self.leverage * r + self.size * np.abs(r)
        if residuals is not None:
            log_move = log_move + self.residual_std * residuals
        return np.asarray(np.expm1(log_move))


def fit_vol_response(
    log_returns: FloatArray, vol_moves: FloatArray, *, horizon_minutes: float
) -> VolResponse:
    """Least squares of logarithmic volatility moves on returns and their sizes.

    Parameters
    ----------
    log_returns, vol_moves : float64, shape (n,)
        Of one factor over the same windows; vol moves relative, above -1. Rows with NaN are left
        out.
    horizon_minutes : float

    Raises
    ------
    DataError
        With fewer than four complete rows, or returns that do not identify both slopes.
    """
    r = np.asarray(log_returns, dtype=np.float64)
    move = np.asarray(vol_moves, dtype=np.float64)
    if r.ndim != 1 or r.shape != move.shape:
        raise DataError(
            f"{r.shape} returns and {move.shape} volatility moves",
            remedy="give one factor at a time, one move per return",
        )
    use = np.isfinite(r) & np.isfinite(move) & (move > -1.0)
    r, y = r[use], np.log1p(move[use])
    design = np.stack([np.ones_like(r), r, np.abs(r)], axis=1)
    if len(r) < 4 or np.linalg.matrix_rank(design) < 3:
        raise DataError(
            f"{len(r)} moves do not identify leverage and size",
            remedy="give a longer history with rises and falls of several sizes",
        )
    coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
    residual = y - design @ coefficients
    spread = float(np.sum((y - y.mean()) ** 2))
    return VolResponse(
        intercept=float(coefficients[0]),
        leverage=float(coefficients[1]),
        size=float(coefficients[2]),
        residual_std=float(np.sqrt(np.sum(residual**2) / (len(r) - 3))),
        r_squared=1.0 - float(np.sum(residual**2)) / spread if spread > 0.0 else 0.0,
        observations=len(r),
        horizon_minutes=horizon_minutes,
    )
