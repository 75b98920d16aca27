"""Implied volatility where none was recorded: a regression on realised volatility.

Option surfaces of 2020 to 2024 are not recorded. What is recorded is the index of BTC's 30-day
implied volatility (DVOL), daily from 2024. Its logarithm is regressed on the logarithms of realised
volatilities of several memories (in the spirit of Corsi 2009, "A simple approximate long-memory
model of realized volatility", J. Financial Econometrics 7(2)), and the fit is applied to other
times and coins. The result is a *modelled* market: flat in strike and tenor, without moves of its
own beyond what realised volatility does. It is the same for every margin method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.forecast.ewma import ewma_variance

__all__ = ["MEMORIES_DAYS", "ImpliedVolModel", "fit_implied_vol", "realised_vols"]

MEMORIES_DAYS: Final = (5.0, 20.0, 60.0)
"""Half-lives of the realised volatilities, days."""

_START_DAYS: Final = 20.0


def realised_vols(returns: FloatArray, bars_per_day: float) -> FloatArray:
    """Annualised EWMA volatilities known after each bar, one column per memory.

    Parameters
    ----------
    returns : float64, shape (T,)
        Log returns; NaN leaves the state as it is.
    bars_per_day : float

    Returns
    -------
    float64, shape (T, 3)
        All start from the mean square of the first 20 days, whose own rows are NaN. Nothing after
        a bar is used.
    """
    r = np.asarray(returns, dtype=np.float64)
    seen = np.flatnonzero(np.isfinite(r))
    out = np.full((len(r), len(MEMORIES_DAYS)), np.nan)
    start = int(np.ceil(_START_DAYS * bars_per_day))
    if len(seen) <= start:
        return out
    known = r[seen]
    first = float(np.mean(known[:start] ** 2))
    # A bar without a return keeps the last volatility.
    last = np.searchsorted(seen, np.arange(len(r)), side="right") - 1
    for k, days in enumerate(MEMORIES_DAYS):
        bars = days * bars_per_day
        variance = ewma_variance(known[start:], float(0.5 ** (1.0 / bars)), first)
        after = np.full(len(known), np.nan)
        after[start - 1 :] = np.sqrt(variance * bars_per_day * 365.0)
        out[:, k] = np.where(last >= 0, after[np.maximum(last, 0)], np.nan)
    return out


@dataclass(frozen=True, slots=True)
class ImpliedVolModel:
    """``ln IV = intercept + sum_k slope_k ln RV_k``.

    Attributes
    ----------
    intercept : float
    slopes : tuple of float
        One per memory.
    residual_std : float
        Of the logarithm: what the model leaves out.
    r_squared : float
    observations : int
    """

    intercept: float
    slopes: tuple[float, ...]
    residual_std: float
    r_squared: float
    observations: int

    def implied_vol(self, realised: FloatArray) -> FloatArray:
        """Annualised volatility, shape (T,), of realised ones of shape (T, 3)."""
        with np.errstate(divide="ignore"):
            logs = np.log(realised)
        return np.asarray(np.exp(self.intercept + logs @ np.asarray(self.slopes)))


def fit_implied_vol(implied: FloatArray, realised: FloatArray) -> ImpliedVolModel:
    """Least squares on the rows where everything is known.

    Parameters
    ----------
    implied : float64, shape (T,)
        Annualised decimal.
    realised : float64, shape (T, 3)

    Raises
    ------
    DataError
        With fewer than 60 complete rows.
    """
    use = np.isfinite(implied) & np.isfinite(realised).all(axis=1) & (implied > 0)
    if int(use.sum()) < 60:
        raise DataError(
            f"{int(use.sum())} rows with implied and realised volatility",
            remedy="give at least 60 days of both",
        )
    y, x = np.log(implied[use]), np.log(realised[use])
    design = np.column_stack([np.ones(len(y)), x])
    beta = np.linalg.lstsq(design, y, rcond=None)[0]
    residual = y - design @ beta
    return ImpliedVolModel(
        intercept=float(beta[0]),
        slopes=tuple(float(b) for b in beta[1:]),
        residual_std=float(np.sqrt(np.sum(residual**2) / (len(y) - len(beta)))),
        r_squared=1.0 - float(np.sum(residual**2) / np.sum((y - y.mean()) ** 2)),
        observations=len(y),
    )
