"""Monitoring: C2 and C3 along time against a stated baseline, with alarms at a stated rate.

No look-ahead: every number at a time is made of outcomes known by then, thresholds before the first
block after the baseline. The budget of false alarms is shared out evenly among the rules.

=====================  ==========================================================================
co-movement, e         ``(1 + r_b) / (1 + r_0)`` on the mean pair correlation of a block, r_0 the
                       upper 95 % limit of the baseline's mean
co-failure, e          ``(J_b + m) / (R_0 D_b + m)``: joint failures over those that the market's
                       surprise explains, R_0 the upper limit of the baseline's ratio, m its mean D
failures, e            share of failures over the level: averages of dependent models' e-values
co-movement, window    latest 7 to 56 blocks against the baseline, by ranks
co-failure, window     the same for ``sum (F_i - p_i)(F_j - p_j) / (D_b + m)``
=====================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from commonmode.converge.comovement import POWER
from commonmode.converge.groups import blind_groups, contrast_groups
from commonmode.converge.monitoring_result import (
    Alert,
    AlertRule,
    IndexPath,
    MonitoringResult,
    RuleKind,
)
from commonmode.converge.monitoring_series import (
    BlockSeries,
    CoFailureSeries,
    block_series,
    cofailure_series,
)
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.random import stream
from commonmode.core.units import YEAR_MS
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.changepoint import (
    WindowRule,
    baseline_of,
    cusum_test,
    normal_scores,
    window_rule,
    window_statistic,
)
from commonmode.stats.comovement import (
    block_correlation,
    debiased_excess,
    effective_number,
    excess_interval,
)
from commonmode.stats.eprocess import betting_factors, detect, e_process, failure_e_values
from commonmode.stats.signflip import sign_flip_test

__all__ = ["MonitoringSettings", "monitor_panel"]

_LIMIT = 0.95
_FEWEST_GROUPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """Everything that is fixed before the monitor starts.

    Attributes
    ----------
    block_rows : int
        Rows of one block; a day of an hourly panel.
    half_life : float
        Blocks, of the weighted indices.
    windows : tuple of int
        Blocks, of the window rules.
    false_alarms_per_year : float
        Of all rules together, below 1: ``1 - exp(-rate)`` bounds the chance of any in a year.
    every : int
        Blocks between two values of the weighted indices.
    refit_blocks : int
        Blocks between fits of the probability of failure.
    flips, draws, paths : int
        Of the windows' tests and intervals, and of the simulated threshold.
    """

    block_rows: int = 24
    half_life: float = 30.0
    windows: tuple[int, ...] = (7, 14, 28, 56)
    false_alarms_per_year: float = 0.5
    every: int = 7
    refit_blocks: int = 7
    flips: int = 499
    draws: int = 299
    paths: int = 4000

    def __post_init__(self) -> None:
        """Check ranges."""
        whole = (self.block_rows, self.every, self.refit_blocks, *self.windows)
        if min(whole) < 1 or not self.windows or not self.half_life > 0:
            raise ConfigurationError(
                "blocks, windows, cadences and the half-life are positive",
                remedy="for an hourly panel: block_rows 24, windows of one to eight weeks",
            )
        if not 0.0 < self.false_alarms_per_year < 1.0:
            raise ConfigurationError(
                f"{self.false_alarms_per_year} false alarms per year",
                remedy="state a rate between 0 and 1 a year, for all rules together",
            )


def monitor_panel(
    panel: ErrorPanel,
    baseline_until_ms: int,
    settings: MonitoringSettings | None = None,
    *,
    rng: int = 0,
) -> MonitoringResult:
    """Run the monitor along a panel.

    Parameters
    ----------
    panel : ErrorPanel
        With two benchmarks; kinds other than quantile are watched for co-movement only.
    baseline_until_ms : int
        Outcomes known by then are the baseline; monitoring starts with the next block.
    settings : MonitoringSettings, optional
    rng : int
        Seed; streams are derived from it by name.

    Raises
    ------
    PanelError
        No benchmarks, too short a baseline, or nothing after it.
    """
    use = settings or MonitoringSettings()
    series = block_series(
        panel,
        baseline_until_ms=baseline_until_ms,
        block_rows=use.block_rows,
        half_life=use.half_life,
    )
    joint = (
        cofailure_series(panel, series, refit_blocks=use.refit_blocks)
        if panel.kind is PanelKind.QUANTILE
        else None
    )
    start = series.baseline
    year = max(round(YEAR_MS / float(np.median(np.diff(series.start_ms)))), max(use.windows))
    base = baseline_of(series.score[:start])
    lag = _lag(series.score[:start])
    count = 5 if joint else 2
    rate = use.false_alarms_per_year / count
    rule = window_rule(
        use.windows,
        baseline_rows=int(np.isfinite(series.score[:start]).sum()),
        horizon=year,
        false_alarm=1.0 - float(np.exp(-rate)),  # none in a year, of a Poisson stream
        paths=use.paths,
        rng=stream(rng, "monitoring", "threshold"),
    )
    time = series.known_ms[start:]

    def by_evidence(name: str, null: str, e_values: FloatArray) -> AlertRule:
        factors = betting_factors(e_values[start:])
        found = detect(factors, year / rate, lag)
        return AlertRule(
            name=name,
            kind=RuleKind.E_DETECTOR,
            null=null,
            time_ms=time,
            statistic=found.log_statistic,
            threshold=found.log_threshold,
            alarms=found.alarms,
            started=found.started,
            evidence=float(e_process(factors, lag).max()),
            run_length=year / rate,
            detectable=float("nan"),
        )

    limit = float(min(base.mean + stdtrit(base.degrees, _LIMIT) * base.standard_error, 1.0))
    rules = [
        by_evidence(
            "co-movement, e-detector",
            f"mean pair correlation of a block at most {limit:.3f}",
            (1.0 + series.score) / (1.0 + limit),
        ),
        _by_window("co-movement, window", series.score, time, rule, year / rate),
    ]
    ratio = float("nan")
    if joint:
        ratio, high = _baseline_ratio(joint, start)
        typical = float(joint.expected[:start].mean())
        rules += [
            by_evidence(
                "co-failure, e-detector",
                f"joint failures at most {high:.2f} times what the market's surprise explains",
                (joint.joint + typical) / (high * joint.expected + typical),
            ),
            _by_window(
                "co-failure, window",
                joint.residual / (joint.expected + typical),
                time,
                rule,
                year / rate,
            ),
            by_evidence(
                "failures, e-detector",
                f"models fail no oftener than {100 * panel.level:g} % on average",
                failure_e_values(_share(joint), panel.level),
            ),
        ]
    ends = np.arange(start, len(series), use.every)
    number = _comovement_path(panel, series, ends, use, rng)
    cofailure = _cofailure_path(series, joint, ends, use, rng) if joint else None
    known = np.isfinite(series.score)
    hindsight = cusum_test(series.score[known])
    return MonitoringResult(
        panel=panel.name,
        models=len(panel.models),
        baseline_start_ms=int(series.start_ms[0]),
        baseline_end_ms=int(series.known_ms[start - 1]),
        baseline_blocks=start,
        block_rows=use.block_rows,
        lag=lag,
        baseline_score=base.mean,
        baseline_cofailure=ratio,
        effective_number=number,
        cofailure=cofailure,
        rules=tuple(rules),
        alerts=_alerts(rules, series.start_ms[start:], number, cofailure),
        change=hindsight,
        change_ms=int(series.start_ms[known][hindsight.change]),
        false_alarms_per_year=use.false_alarms_per_year,
        years=len(time) / year,
    )


def _lag(score: FloatArray) -> int:
    """First lag at which the baseline's autocorrelation is within its noise."""
    x = np.where(np.isfinite(score), score - np.nanmean(score), 0.0)
    variance, most = float(x @ x), len(x) // 4
    for lag in range(1, most):
        if float(x[lag:] @ x[:-lag]) < variance * 2.0 / np.sqrt(len(x)):
            return lag
    return most


def _share(joint: CoFailureSeries) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(joint.failures / joint.cells)


def _baseline_ratio(joint: CoFailureSeries, start: int) -> tuple[float, float]:
    """C3 of the baseline and its upper limit, never below one."""
    expected, residual = joint.expected[:start], joint.residual[:start]
    excess = float(residual.sum() / expected.sum())
    spread = baseline_of(residual - excess * expected)
    error = spread.standard_error * start / float(expected.sum())
    return 1.0 + excess, max(1.0, 1.0 + excess + float(stdtrit(spread.degrees, _LIMIT)) * error)


def _by_window(
    name: str, values: FloatArray, time: IntArray, rule: WindowRule, run_length: float
) -> AlertRule:
    start = len(values) - len(time)
    reference = values[:start][np.isfinite(values[:start])]
    statistic, window = window_statistic(values[start:], reference, rule.windows)
    above = statistic >= rule.threshold
    rows = np.flatnonzero(above)
    # Windows overlap: what crosses again before the longest has passed is the same event.
    alarms = rows[np.diff(rows, prepend=-max(rule.windows) - 1) > max(rule.windows)]
    scores = baseline_of(normal_scores(reference, reference))
    longest = max(rule.windows)
    reach = (rule.threshold + float(ndtri(POWER))) * scores.long_run_sd
    shift = reach * np.sqrt(1.0 / longest + 1.0 / len(reference))
    return AlertRule(
        name=name,
        kind=RuleKind.WINDOW,
        null=f"the latest {min(rule.windows)} to {longest} blocks rank like the baseline",
        time_ms=time,
        statistic=statistic,
        threshold=rule.threshold,
        alarms=alarms.astype(np.int64),
        started=np.asarray(alarms - window[alarms] + 1, np.int64),
        evidence=float("nan"),
        run_length=run_length,
        detectable=float(shift * reference.std()),
    )


def _comovement_path(
    panel: ErrorPanel, series: BlockSeries, ends: IntArray, use: MonitoringSettings, rng: int
) -> IndexPath:
    """C2 of every window by C2's own estimator, test and interval."""
    groups, n = blind_groups(panel.models), len(panel.models)

    def one(end: int) -> tuple[float, float, float, float]:
        moments = series.weighted(end, use.half_life)
        nan = float("nan")
        if moments.shape[1] < _FEWEST_GROUPS:
            return nan, nan, nan, nan
        block = block_correlation(moments)
        contrasts, _ = contrast_groups(
            block.contributions,
            groups,
            panel.models,
            flips=use.flips,
            alpha=0.05,
            rng=stream(rng, "monitoring", "C2", end),
        )
        p = min(c.p_adjusted for c in contrasts)
        value = float(effective_number(debiased_excess(block), n))
        low, high = excess_interval(
            moments, draws=use.draws, rng=stream(rng, "monitoring", "interval", end)
        )
        # At independence the interval of a number that cannot exceed N covers nothing: test first.
        if p > 0.05:
            return value, nan, nan, p
        return value, float(effective_number(high, n)), float(effective_number(low, n)), p

    return _path("effective number", series.known_ms[ends], ends, one)


def _cofailure_path(
    series: BlockSeries,
    joint: CoFailureSeries,
    ends: IntArray,
    use: MonitoringSettings,
    rng: int,
) -> IndexPath:
    """``1 + sum w R / sum w D`` over the same weights and groups as C2."""

    def one(end: int) -> tuple[float, float, float, float]:
        depth = min(end + 1, int(np.ceil(6.0 * use.half_life)))
        at = end - np.arange(depth)
        weight = 0.5 ** (np.arange(depth) / use.half_life)
        expected = weight * joint.expected[at]
        cuts = np.arange(0, depth, series.blocks_apart)
        nan = float("nan")
        if len(cuts) < _FEWEST_GROUPS or not expected.sum() > 0:
            return nan, nan, nan, nan
        excess = float((weight * joint.residual[at]).sum() / expected.sum())
        part = np.add.reduceat(weight * joint.residual[at], cuts) / expected.sum()
        spread = part - excess * np.add.reduceat(expected, cuts) / expected.sum()
        groups = len(cuts)
        error = float(np.sqrt((spread**2).sum() * groups / (groups - 1)))
        half = float(stdtrit(groups - 1, 0.975)) * error
        p = sign_flip_test(part, flips=use.flips, rng=stream(rng, "monitoring", "C3", end)).p_value
        return 1.0 + excess, 1.0 + excess - half, 1.0 + excess + half, p

    return _path("co-failure ratio", series.known_ms[ends], ends, one)


def _path(
    name: str,
    time: IntArray,
    ends: IntArray,
    one: Callable[[int], tuple[float, float, float, float]],
) -> IndexPath:
    table = np.array([one(int(end)) for end in ends]).reshape(-1, 4)
    return IndexPath(name, time, *(np.ascontiguousarray(column) for column in table.T))


def _alerts(
    rules: list[AlertRule], begins: IntArray, number: IndexPath, cofailure: IndexPath | None
) -> tuple[Alert, ...]:
    """All alarms in order of time, with the indices as they stood."""
    found = [
        Alert(
            time_ms=int(rule.time_ms[row]),
            since_ms=int(begins[max(since, 0)]),
            rule=rule.name,
            statistic=float(rule.statistic[row]),
            threshold=rule.threshold,
            effective_number=number.at(int(rule.time_ms[row])),
            cofailure=cofailure.at(int(rule.time_ms[row])) if cofailure else float("nan"),
        )
        for rule in rules
        for row, since in zip(rule.alarms.tolist(), rule.started.tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda alert: alert.time_ms))
