"""Two benchmarks for the lower-tail quantile, each from data the other never sees.

A benchmark is the best forecast outside the population, so that what is left of a model's forecast
is what the model chose. Each half forecasts every hour from the *ranges* of every other bar (odd or
even hours since 1970) and learns from outcomes of every other week, so the noise of one half is not
in the other. The method is a heterogeneous autoregression (Corsi 2009, J. Financial Econometrics
7(2)) of the log Garman-Klass variance (Garman and Klass 1980, J. Business 53(1)) with the hours of
day and week, times the quantile of its own out-of-sample standardised outcomes. Ranges and
seasonality are used by no model of the ordinary population. ``validate_benchmark`` holds both
halves against the outcomes and against every model.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError, PanelError
from commonmode.core.ids import TargetId
from commonmode.core.units import HOUR_MS
from commonmode.forecast.returns import horizon_returns
from commonmode.market.history import History
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.coverage import kupiec
from commonmode.stats.losses import pinball_loss

__all__ = [
    "BenchmarkReport",
    "Half",
    "RangeBenchmark",
    "garman_klass_variance",
    "range_benchmark",
    "validate_benchmark",
]

_WEEK_MS = 7 * 24 * HOUR_MS
_MONDAY_MS = 4 * 24 * HOUR_MS  # 1970-01-01 was a Thursday
# A bar that did not move has no logarithm: it counts as this share of the long-run variance.
_LEAST_SHARE = 1e-3


class Half(Enum):
    """Which bars (by number since 1970) a benchmark reads, and which weeks it learns from."""

    EVEN = 0
    ODD = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeBenchmark:
    """Settings of the benchmark; the defaults are Corsi's day and week, and a shorter and a longer.

    Attributes
    ----------
    spans : tuple of int
        Bars over which the variance of the own half is averaged, e.g. (2, 6, 24, 168, 720).
    drift_spans : tuple of int
        Bars over which the own half's direction enters (leverage).
    day_harmonics, week_harmonics : int
    refit_every : int
        Bars between refits.
    ridge : float
        Penalty in observations, on standardised regressors.
    folds : int
        Contiguous folds that make the training span's residuals out of sample.
    """

    spans: tuple[int, ...] = (2, 6, 24, 168, 720)
    drift_spans: tuple[int, ...] = (6, 24)
    day_harmonics: int = 4
    week_harmonics: int = 3
    refit_every: int = 168
    ridge: float = 10.0
    folds: int = 5

    def __post_init__(self) -> None:
        """Check spans and cadence."""
        if min((*self.spans, *self.drift_spans), default=0) < 2 or self.refit_every < 1:
            raise ConfigurationError(
                "a benchmark's spans are at least 2 bars and its refits at least 1 bar apart",
                remedy="one half has a bar every 2 bars only",
            )


def garman_klass_variance(history: History) -> FloatArray:
    """Variance of each bar from open, high, low and close; never negative, shape (T,).

    ``0.5 ln(H/L)^2 - (2 ln 2 - 1) ln(C/O)^2``; NaN where a price is missing.
    """
    o, h, low, c = (history.column(name) for name in ("open", "high", "low", "close"))
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = 0.5 * np.log(h / low) ** 2 - (2.0 * np.log(2.0) - 1.0) * np.log(c / o) ** 2
    variance[~np.isfinite(variance)] = np.nan
    return np.asarray(np.maximum(variance, 0.0))


def range_benchmark(
    history: History,
    *,
    half: Half,
    horizon: int,
    level: float,
    first: int,
    settings: RangeBenchmark | None = None,
) -> FloatArray:
    """Lower quantile of the return over ``horizon`` bars, forecast from every row on.

    Walk-forward: at each refit only outcomes known by then are used, and the quantile is that of
    outcomes standardised by forecasts made before them (in the training span: by forecasts fitted
    on the other folds).

    Parameters
    ----------
    history : History
        Columns open, high, low, close.
    half : Half
    horizon : int
        Bars.
    level : float
        Probability of the lower tail.
    first : int
        Row of the first forecast; everything before trains.
    settings : RangeBenchmark, optional

    Returns
    -------
    float64, shape (T,)
        Negative; NaN before ``first`` and where no forecast can be made.

    Raises
    ------
    DataError
        If the training span holds too few outcomes.
    """
    use = settings or RangeBenchmark()
    variance = garman_klass_variance(history)
    regressors, fresh = _regressors(history, variance, half, horizon, use)
    log_target, outcome = _targets(history, variance, horizon)
    learn = _own_weeks(history, half, horizon)
    learn &= np.isfinite(regressors).all(axis=1) & np.isfinite(log_target) & np.isfinite(outcome)
    rows = np.flatnonzero(learn)
    groups = (fresh, ~fresh)
    known = rows[rows + horizon <= first]
    least = use.folds * regressors.shape[1]
    if any(int(np.count_nonzero(group[known])) < least for group in groups):
        raise DataError(
            f"benchmark of {history.instrument}: {len(known)} outcomes in {first} bars of training",
            remedy=f"train on more bars (each half needs {2 * least} outcomes at least)",
        )
    n = len(history)
    predicted = np.full(n, np.nan)
    for group in groups:
        mine = known[group[known]]
        predicted[mine] = _cross_fitted(regressors[mine], log_target[mine], use)
    systems = [_RidgeSystem(regressors.shape[1], use.ridge) for _ in groups]
    quantile = np.full(n, np.nan)
    learned = 0
    for row in range(first, n, use.refit_every):
        until = min(row + use.refit_every, n)
        count = int(np.searchsorted(rows, row - horizon, side="right"))
        new, learned = rows[learned:count], count
        for group, system in zip(groups, systems, strict=True):
            mine = new[group[new]]
            system.add(regressors[mine], log_target[mine])
            # Outcomes pending when training ends are forecast too: they are judged later.
            begin = row if row > first else max(first - horizon + 1, 0)
            ahead = begin + np.flatnonzero(group[begin:until])
            predicted[ahead] = system.predict(regressors[ahead])
        past = rows[:count]
        standardised = outcome[past] / np.exp(0.5 * predicted[past])
        # Both tails together: symmetric innovations have their level-quantile at minus the
        # (1 - 2 level)-quantile of the absolute value, with half the sampling variance.
        factor = -float(np.quantile(np.abs(standardised), 1.0 - 2.0 * level))
        quantile[row:until] = factor * np.exp(0.5 * predicted[row:until])
    return quantile


@dataclass(frozen=True, slots=True, eq=False)
class BenchmarkReport:
    """How the benchmarks did against outcomes, beside every model, on the rows all have.

    Attributes
    ----------
    forecasts : tuple of str, length R
        "benchmark_a", "benchmark_b", "benchmark" (their geometric mean), then the models.
    targets : tuple of TargetId, length K
    observations : int64, shape (K,)
    pinball : float64, shape (R, K)
        Mean tick loss; smaller is better.
    coverage : float64, shape (R, K)
        Share of outcomes below the forecast.
    coverage_p : float64, shape (R, K)
        P-value of Kupiec's test that the coverage is the level.
    half_spread : float64, shape (K,)
        Standard deviation of ``log(m_a / m_b)``: sqrt(2) times the noise of one half, if equal.
    """

    forecasts: tuple[str, ...]
    targets: tuple[TargetId, ...]
    observations: IntArray
    pinball: FloatArray
    coverage: FloatArray
    coverage_p: FloatArray
    half_spread: FloatArray

    @property
    def rank(self) -> IntArray:
        """How many models have a smaller tick loss than the mean benchmark, shape (K,)."""
        return np.asarray((self.pinball[3:] < self.pinball[2]).sum(axis=0), dtype=np.int64)


def validate_benchmark(panel: ErrorPanel) -> BenchmarkReport:
    """Score both benchmarks, their mean and every model against the outcomes.

    Raises
    ------
    PanelError
        If the panel is not one of quantiles, has no benchmarks or no complete row for a target.
    """
    a, b = panel.benchmark_a, panel.benchmark_b
    if panel.kind is not PanelKind.QUANTILE or a is None or b is None:
        raise PanelError(
            f"panel {panel.name} of kind {panel.kind.value} has no quantile benchmarks to check",
            remedy="build the panel with two benchmarks, or give benchmark_a and benchmark_b",
        )
    counts = panel.complete.sum(axis=0)
    if np.any(counts == 0):
        raise PanelError(
            f"panel {panel.name} has a target without a single complete row",
            remedy="look at its failures; leave out the model or the target that has none",
        )
    mean = -np.sqrt(a * b)
    every = np.concatenate([np.stack([a, b, mean], axis=2), panel.forecast], axis=2)
    k, r = len(panel.targets), every.shape[2]
    pinball, coverage, p_value, spread = np.empty((r, k)), np.empty((r, k)), np.empty((r, k)), []
    for j in range(k):
        rows = panel.complete[:, j]
        outcome, forecast = panel.outcome[rows, j, None], every[rows, j]
        below = outcome < forecast
        pinball[:, j] = pinball_loss(outcome, forecast, panel.level).mean(axis=0)
        coverage[:, j] = below.mean(axis=0)
        p_value[:, j] = kupiec(below.sum(axis=0), int(rows.sum()), panel.level).p_value
        spread.append(float(np.std(np.log(a[rows, j] / b[rows, j]))))
    return BenchmarkReport(
        forecasts=("benchmark_a", "benchmark_b", "benchmark", *panel.models),
        targets=panel.targets,
        observations=np.asarray(counts, dtype=np.int64),
        pinball=pinball,
        coverage=coverage,
        coverage_p=p_value,
        half_spread=np.array(spread),
    )


def _own_bars(history: History, half: Half) -> BoolArray:
    return np.asarray((history.times_ms // history.step_ms) % 2 == half.value)


def _own_weeks(history: History, half: Half, horizon: int) -> BoolArray:
    """Rows whose whole outcome, from t to t + horizon, lies in one week of this half."""
    week = (history.times_ms - _MONDAY_MS) // _WEEK_MS
    learn = np.zeros(len(history), dtype=np.bool_)
    if len(history) > horizon:
        begin, end = week[1 : len(week) - horizon + 1], week[horizon:]
        learn[:-horizon] = (begin == end) & (end % 2 == half.value)
    return learn


def _targets(history: History, variance: FloatArray, horizon: int) -> tuple[FloatArray, FloatArray]:
    """Log variance by ranges, and return, of the ``horizon`` bars after each row."""
    n = len(history)
    outcome, total = np.full(n, np.nan), np.full(n, np.nan)
    if n > horizon:
        outcome[:-horizon] = horizon_returns(history, horizon)[horizon:]
        windows = np.lib.stride_tricks.sliding_window_view(variance, horizon)
        total[:-horizon] = windows[1:].sum(axis=1)
    with np.errstate(divide="ignore"):
        return np.log(np.where(total > 0.0, total, np.nan)), outcome


def _regressors(
    history: History, variance: FloatArray, half: Half, horizon: int, use: RangeBenchmark
) -> tuple[FloatArray, BoolArray]:
    """Regressors of each row from the own half's bars up to it, and whether the row is own.

    Shapes (T, P) and (T,). Rows that are own and rows that are not look back over different
    distances, so they have coefficients of their own.
    """
    own = _own_bars(history, half) & np.isfinite(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = np.log(history.column("close")[own] / history.column("open")[own])
    known = np.cumsum(own, dtype=np.int64)
    columns = [np.ones(len(history))]
    mean = {}
    for span in (*use.spans, *use.drift_spans):
        mean[span] = _trailing_mean(variance[own], known, span // 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = _LEAST_SHARE * mean[max(use.spans)]
        columns += [np.log(np.maximum(mean[span], floor)) for span in use.spans]
        columns += [
            _trailing_mean(moves, known, span // 2) / np.sqrt(mean[span])
            for span in use.drift_spans
        ]
    middle = history.times_ms + 0.5 * horizon * history.step_ms
    for period, harmonics in ((24 * HOUR_MS, use.day_harmonics), (_WEEK_MS, use.week_harmonics)):
        if horizon * history.step_ms % period == 0:
            continue  # the outcome covers whole periods
        phase = 2.0 * np.pi * ((middle - _MONDAY_MS) % period) / period
        for k in range(1, harmonics + 1):
            columns += [np.cos(k * phase), np.sin(k * phase)]
    table = np.column_stack(columns)
    table[~np.isfinite(table)] = np.nan
    return table, own


def _trailing_mean(values: FloatArray, known: IntArray, count: int) -> FloatArray:
    """Mean of the last ``count`` values known at each row (of all, while there are fewer)."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    low = np.maximum(known - count, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((total[known] - total[low]) / (known - low))


class _RidgeSystem:
    """Normal equations that grow with the sample; the first regressor is the constant."""

    def __init__(self, size: int, ridge: float) -> None:
        self.gram = np.zeros((size, size))
        self.moment = np.zeros(size)
        self.ridge = ridge

    def add(self, regressors: FloatArray, target: FloatArray) -> None:
        self.gram += regressors.T @ regressors
        self.moment += regressors.T @ target

    def predict(self, regressors: FloatArray) -> FloatArray:
        n = self.gram[0, 0]
        mean = self.gram[0] / n
        spread = np.diag(self.gram) / n - mean**2
        # Penalty on standardised slopes: ridge times each regressor's variance; none on the level.
        # Centred, so that a slope's penalty does not pull the level.
        centred = self.gram[1:, 1:] - n * np.outer(mean[1:], mean[1:])
        cross = self.moment[1:] - mean[1:] * self.moment[0]
        slopes = np.linalg.solve(centred + self.ridge * np.diag(spread[1:]), cross)
        level = self.moment[0] / n - mean[1:] @ slopes
        # Row by row, not by matrix product: its rounding depends on how many rows there are.
        return np.asarray(level + (regressors[:, 1:] * slopes).sum(axis=1))


def _cross_fitted(regressors: FloatArray, target: FloatArray, use: RangeBenchmark) -> FloatArray:
    """Prediction of each row from the folds it is not in, shape (n,)."""
    out = np.empty(len(target))
    for fold in np.array_split(np.arange(len(target)), use.folds):
        rest = np.ones(len(target), dtype=np.bool_)
        rest[fold] = False
        system = _RidgeSystem(regressors.shape[1], use.ridge)
        system.add(regressors[rest], target[rest])
        out[fold] = system.predict(regressors[fold])
    return out
