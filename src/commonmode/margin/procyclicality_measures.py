"""How procyclical a margin path is: peak to trough, n-step rise, cost, response to a step.

References: Murphy, Vasios and Vause (2014), "An investigation into the procyclicality of risk-based
initial margin models", Bank of England Financial Stability Paper 29 (peak-to-trough and n-day
measures). All are meant for a constant portfolio; ratios do not depend on the unit of margin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError

__all__ = [
    "ImpulseResponse",
    "PeakToTrough",
    "ewma_step_volatility",
    "impulse_response",
    "mean_cost",
    "n_step_rise",
    "peak_to_trough",
]


def _path(margin: FloatArray) -> FloatArray:
    path = np.asarray(margin, dtype=np.float64)
    if path.ndim != 2 or not len(path):
        raise DataError(
            f"a margin path of shape {path.shape}", remedy="paths are (times, accounts)"
        )
    return path


@dataclass(frozen=True, slots=True, eq=False)
class PeakToTrough:
    """How far the margin of a constant portfolio travels; all arrays of shape (A,).

    Attributes
    ----------
    ratio : float64
        Highest over lowest margin of the path, whichever came first.
    rise : float64
        Largest ratio of a margin to an earlier one: what holders had to find.
    fall : float64
        Largest ratio of a margin to a later one.
    peak, trough : int64
        Rows of the highest and the lowest margin, the first of equal ones.
    trough_first : bool
        Whether the lowest came before the highest, so that ``ratio`` is a rise.
    """

    ratio: FloatArray
    rise: FloatArray
    fall: FloatArray
    peak: IntArray
    trough: IntArray
    trough_first: BoolArray


def _positive(path: FloatArray) -> BoolArray:
    return np.asarray((np.isfinite(path) & (path > 0.0)).all(axis=0))


def peak_to_trough(margin: FloatArray) -> PeakToTrough:
    """Peak over trough of every account's path, with the order said.

    Parameters
    ----------
    margin : float64, shape (T, A)
        Ratios are NaN for an account whose margin is not positive and finite throughout.
    """
    path = _path(margin)
    good = _positive(path)
    safe = np.where(good, path, 1.0)
    lowest_so_far = np.minimum.accumulate(safe, axis=0)
    highest_so_far = np.maximum.accumulate(safe, axis=0)
    peak, trough = np.argmax(safe, axis=0), np.argmin(safe, axis=0)
    nan = np.where(good, 1.0, np.nan)
    return PeakToTrough(
        ratio=safe.max(axis=0) / safe.min(axis=0) * nan,
        rise=(safe / lowest_so_far).max(axis=0) * nan,
        fall=(highest_so_far / safe).max(axis=0) * nan,
        peak=peak,
        trough=trough,
        trough_first=np.asarray(trough <= peak),
    )


def n_step_rise(margin: FloatArray, steps: int) -> FloatArray:
    """``max_t M_t / M_{t-n}``, shape (A,); below 1 where margin only ever fell.

    Parameters
    ----------
    margin : float64, shape (T, A)
        NaN for an account whose margin is not positive and finite throughout.
    steps : int
        ``n``: 1, 5 and 30 days in the usual report, in steps of the path.
    """
    path = _path(margin)
    if not 1 <= steps < len(path):
        raise DataError(
            f"a rise over {steps} steps on a path of {len(path)}",
            remedy="give a longer path or fewer steps",
        )
    good = _positive(path)
    safe = np.where(good, path, 1.0)
    return np.where(good, (safe[steps:] / safe[:-steps]).max(axis=0), np.nan)


def mean_cost(margin: FloatArray) -> FloatArray:
    """Mean margin over time, in its own unit, shape (A,); NaN rows of an account do not count."""
    path = _path(margin)
    known = np.isfinite(path)
    count = known.sum(axis=0)
    total = np.where(known, path, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def ewma_step_volatility(
    before: float, after: float, *, decay: float, steps: int, lead: int = 1
) -> FloatArray:
    """Volatility that an EWMA expects after true volatility jumps from one level to another.

    ``sigma2_t = after^2 + (before^2 - after^2) lambda^t``, t = 0 at the step: the mean of the
    RiskMetrics recursion.

    Parameters
    ----------
    before, after : float
    decay : float
        ``lambda`` in (0, 1).
    steps, lead : int
        Rows after and before the step.

    Returns
    -------
    float64, shape (lead + steps,)
    """
    if not 0.0 < decay < 1.0:
        raise ConfigurationError(f"decay {decay} is not in (0, 1)", remedy="RiskMetrics uses 0.94")
    faded = decay ** np.arange(steps, dtype=np.float64)
    response = np.sqrt(after**2 + (before**2 - after**2) * faded)
    return np.concatenate([np.full(lead, float(before)), response])


@dataclass(frozen=True, slots=True, eq=False)
class ImpulseResponse:
    """What a method asks for after volatility steps up; shapes (T, A) and (A,).

    Attributes
    ----------
    ratio : float64, shape (T, A)
        Margin over margin before the step.
    settled : float64, shape (A,)
        Last ratio.
    overshoot : float64, shape (A,)
        Highest ratio over the last one, minus 1.
    half_time : float64, shape (A,)
        Rows after the step until half of the way to the last ratio is done; NaN where the last
        ratio does not differ from 1 (nothing to travel).
    largest_step : float64, shape (A,)
        Largest one-step ratio.
    """

    ratio: FloatArray
    settled: FloatArray
    overshoot: FloatArray
    half_time: FloatArray
    largest_step: FloatArray


def impulse_response(
    margin_of: Callable[[FloatArray], FloatArray], volatility: FloatArray, *, lead: int = 1
) -> ImpulseResponse:
    """Run a method along a volatility path and describe the answer.

    Parameters
    ----------
    margin_of : callable
        Maps volatility of shape (T,) to margin of shape (T, A): a model, and a control after it.
    volatility : float64, shape (T,)
        For example :func:`ewma_step_volatility`.
    lead : int
        Rows before the step; the ratio is to the last of them.

    Raises
    ------
    DataError
        If margin before the step is not positive.
    """
    if not 1 <= lead < len(volatility):
        raise DataError(
            f"{lead} rows before the step in a path of {len(volatility)}",
            remedy="give rows before and after the step",
        )
    path = _path(margin_of(np.asarray(volatility, dtype=np.float64)))
    base = path[lead - 1]
    if len(path) != len(volatility) or not np.all(base > 0.0):
        raise DataError(
            "an impulse response needs one margin per volatility, positive before the step",
            remedy="check the portfolio and the method",
        )
    ratio = path / base
    after = ratio[lead:]
    settled = ratio[-1]
    travelled = (after - 1.0) * np.sign(settled - 1.0)
    half = travelled >= 0.5 * np.abs(settled - 1.0)
    return ImpulseResponse(
        ratio=ratio,
        settled=settled,
        overshoot=after.max(axis=0) / settled - 1.0,
        half_time=np.where(settled == 1.0, np.nan, np.argmax(half, axis=0).astype(np.float64)),
        largest_step=(ratio[lead:] / ratio[lead - 1 : -1]).max(axis=0),
    )
