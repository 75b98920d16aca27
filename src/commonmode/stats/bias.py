"""Bias of forecasts: identification functions, and the statistics of the forecasting literature.

An identification function has mean zero, given all that was known, exactly when the forecast is
right (Gneiting 2011, J. American Statistical Association 106; Nolde & Ziegel 2017, Annals of
Applied Statistics 11(4)). It is the "error" of a forecast whose target is not a mean: the error of
a quantile is not ``y - q``. All three below are positive when the forecast was too optimistic: a
loss beyond the quantile, a move larger than the volatility, a value above the one forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.stats.hac import HacRegression, hac_regression

__all__ = [
    "HerdingStatistic",
    "MincerZarnowitz",
    "coibion_gorodnichenko",
    "herding_statistic",
    "implied_level",
    "mincer_zarnowitz",
    "quantile_identification",
    "quantile_mincer_zarnowitz",
    "value_identification",
    "volatility_identification",
    "volatility_mincer_zarnowitz",
]


def quantile_identification(outcome: FloatArray, quantile: FloatArray, level: float) -> FloatArray:
    """``1{y < q} / level - 1``: breaches in excess of those stated, relative; NaN stays NaN."""
    y, q = np.broadcast_arrays(np.asarray(outcome, np.float64), np.asarray(quantile, np.float64))
    value = (y < q) / level - 1.0
    return np.asarray(np.where(np.isfinite(y) & np.isfinite(q), value, np.nan))


def volatility_identification(outcome: FloatArray, volatility: FloatArray) -> FloatArray:
    """``(y / f)^2 - 1``: the squared move in excess of the variance forecast, relative.

    Squares, not logarithms: a realised variance is a noisy but unbiased proxy of the variance, so
    this has mean zero for the right forecast however noisy the proxy is (Patton 2011, J.
    Econometrics 160(1)); the mean of ``log(y / f)`` is negative by half the proxy's noise variance.
    A forecast is read as root-mean-square.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((np.asarray(outcome, np.float64) / volatility) ** 2 - 1.0)


def value_identification(outcome: FloatArray, value: FloatArray, scale: FloatArray) -> FloatArray:
    """``(y - f) / scale``: the error in the market's own scale."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((np.asarray(outcome, np.float64) - value) / scale)


@dataclass(frozen=True, slots=True, eq=False)
class MincerZarnowitz:
    """Regression of outcomes on forecasts.

    Attributes
    ----------
    regression : HacRegression
        Intercept and slope; of an identification function, the slope per unit of log forecast.
    intercept_identified : bool
        False for the log regression on realised volatility, whose intercept holds the mean of the
        proxy's log noise: only the slope is a statement about the forecast.
    unbiased, efficient : float
        The intercept and the slope of a right forecast.
    joint_p_value : float
        Of both (of the slope only, where the intercept is not identified).
    """

    regression: HacRegression
    intercept_identified: bool
    unbiased: float
    efficient: float
    joint_p_value: float

    @property
    def slope_p_value(self) -> float:
        """Two-sided, of the efficient slope."""
        return float(self.regression.p_value(np.array([self.unbiased, self.efficient]))[1])


def _tested(regression: HacRegression, unbiased: float, efficient: float) -> MincerZarnowitz:
    joint = regression.joint_p_value(np.array([unbiased, efficient]))
    return MincerZarnowitz(regression, True, unbiased, efficient, joint)


def mincer_zarnowitz(outcome: FloatArray, forecast: FloatArray) -> MincerZarnowitz:
    """Regress outcomes on forecasts of their mean: a right forecast has intercept 0 and slope 1.

    Mincer & Zarnowitz (1969), "The evaluation of economic forecasts", NBER. Both series must be
    stationary: prices are not, so divide them by the price at the origin or take differences.
    """
    return _tested(hac_regression(outcome, forecast), 0.0, 1.0)


def volatility_mincer_zarnowitz(outcome: FloatArray, volatility: FloatArray) -> MincerZarnowitz:
    """Regress ``log y`` on ``log f``, y realised volatility (or absolute return), f its forecast.

    Logarithms keep a few large moves from deciding the slope. The realised volatility is the true
    one times noise: as the dependent variable it leaves the slope unbiased while the noise is
    independent of the forecast, but moves the intercept by the mean of its logarithm, so only the
    slope is tested (Andersen, Bollerslev & Meddahi 2005, Econometrica 73(1); Patton 2011). Noise in
    the *forecast*, e.g. sampling error of its parameters, pulls the slope below 1 and is the
    forecast's own inefficiency.
    """
    y, f = np.asarray(outcome, np.float64), np.asarray(volatility, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_y, log_f = np.log(np.abs(y)), np.log(f)
    log_y = np.where(np.isfinite(log_y), log_y, np.nan)  # a bar that did not move has no logarithm
    regression = hac_regression(log_y, log_f)
    slope = float(regression.p_value(np.array([0.0, 1.0]))[1])
    return MincerZarnowitz(regression, False, float("nan"), 1.0, slope)


def quantile_mincer_zarnowitz(
    outcome: FloatArray, quantile: FloatArray, level: float
) -> MincerZarnowitz:
    """Regress the identification function on the log forecast: a right forecast has 0 and 0.

    The Mincer-Zarnowitz idea for a quantile: nothing known at the origin, the forecast itself
    first of all, may predict a breach (the conditional calibration test of Nolde & Ziegel 2017
    with instruments ``(1, log|q|)``; Gaglianone, Lima, Linton & Smith 2011, J. Business & Economic
    Statistics 29(1), test the same by a quantile regression, which needs a density). The log
    forecast is centred: the intercept is the excess breach rate, relative.
    """
    q = np.asarray(quantile, dtype=np.float64)
    value = quantile_identification(outcome, q, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.log(np.abs(q))
    use = np.isfinite(value) & np.isfinite(depth)
    centred = np.where(use, depth - depth[use].mean() if use.any() else depth, np.nan)
    return _tested(hac_regression(value, centred), 0.0, 0.0)


def coibion_gorodnichenko(error: FloatArray, revision: FloatArray) -> HacRegression:
    """Regress the forecast error on the forecast's own revision.

    The slope is 0 for a forecast that uses all it knows; above 0 it under-reacts (it revised too
    little), below 0 it over-reacts. Coibion & Gorodnichenko (2015), American Economic Review
    105(8), equation 5; Bordalo, Gennaioli, Ma & Shleifer (2020), AER 110(9), for single
    forecasters.

    Parameters
    ----------
    error : float64, shape (T,)
        ``y - f`` of a mean forecast; of any other its identification function.
    revision : float64, shape (T,)
        Forecast less the forecast made one step before; the log of its size for quantiles and
        volatilities.
    """
    return hac_regression(error, revision)


def implied_level(outcome: FloatArray, forecast: FloatArray) -> float:
    """Share of outcomes below the forecast: the quantile that the forecaster in fact reports.

    Under an asymmetric piecewise linear loss it is the loss's asymmetry (Elliott, Komunjer &
    Timmermann 2005, Review of Economic Studies 72(4), equation 6 with a constant instrument).
    """
    y, f = np.asarray(outcome, np.float64), np.asarray(forecast, np.float64)
    use = np.isfinite(y) & np.isfinite(f)
    return float(np.mean(y[use] < f[use])) if use.any() else float("nan")


@dataclass(frozen=True, slots=True)
class HerdingStatistic:
    """Bernhardt-Campello-Kutsoati statistic of one forecaster.

    Attributes
    ----------
    statistic : float
        S: 1/2 unbiased, below it herding, above it exaggeration away from the consensus.
    standard_error : float
    p_value : float
        Two-sided, of S = 1/2.
    above, below : int
        Forecasts above and below the consensus.
    """

    statistic: float
    standard_error: float
    p_value: float
    above: int
    below: int


def herding_statistic(
    outcome: FloatArray, forecast: FloatArray, consensus: FloatArray, *, level: float = 0.5
) -> HerdingStatistic:
    """Do forecasts above the consensus overshoot, or stop short of what then happens?

    S at ``level`` 1/2 is the mean of ``P(y < f | f > c)``
    and ``P(y > f | f < c)``: both are 1/2 for a forecast of the median, whatever shock is common to
    a period, because it moves the two in opposite directions. Bernhardt, Campello & Kutsoati
    (2006), "Who herds?", J. Financial Economics 80(3), equations 4-6. For another quantile the two
    conditional probabilities are ``level`` and ``1 - level``; S is then their mean, still 1/2 for a
    right forecast.

    Parameters
    ----------
    outcome, forecast, consensus : float64, shape (T,)
        The consensus is that of the others, as known when the forecast was made. Ties with the
        outcome or with the consensus say nothing and are left out.
    level : float
        Of the quantile that is forecast.

    Notes
    -----
    The standard error takes periods as independent; for dependent ones use the block test of
    :mod:`commonmode.converge.bias`.

    Raises
    ------
    DataError
        No forecast above, or none below the consensus.
    """
    y, f, c = (np.asarray(v, np.float64) for v in (outcome, forecast, consensus))
    use = np.isfinite(y) & np.isfinite(f) & np.isfinite(c) & (y != f)
    above, below = use & (f > c), use & (f < c)
    n_above, n_below = int(above.sum()), int(below.sum())
    if min(n_above, n_below) == 0:
        raise DataError(
            f"{n_above} forecasts above and {n_below} below the consensus",
            remedy="the statistic compares the two: give a longer series",
        )
    under_above = float((y[above] < f[above]).mean())
    over_below = float((y[below] > f[below]).mean())
    statistic = 0.5 * (under_above + over_below)
    error = 0.5 * float(np.sqrt(level * (1.0 - level) * (1.0 / n_above + 1.0 / n_below)))
    p_value = float(2.0 * ndtr(-abs(statistic - 0.5) / error))
    return HerdingStatistic(statistic, error, min(p_value, 1.0), n_above, n_below)
