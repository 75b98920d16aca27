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

import numpy as np
from scipy.special import ndtri, stdtrit

from commonmode.converge.comovement import POWER
from commonmode.converge.monitoring_failures import CoFailureSeries, cofailure_series
from commonmode.converge.monitoring_paths import cofailure_path, comovement_path
from commonmode.converge.monitoring_result import (
    Alert,
    AlertRule,
    IndexPath,
    LevelEvidence,
    MonitoringResult,
    RuleKind,
)
from commonmode.converge.monitoring_series import block_series
from commonmode.converge.monitoring_settings import MonitoringSettings
from commonmode.core.arrays import FloatArray, IntArray
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
from commonmode.stats.eprocess import (
    betting_factors,
    detect,
    e_process,
    failure_e_values,
    first_crossing,
)

__all__ = ["MonitoringSettings", "monitor_panel"]

_LIMIT = 0.95
_ALPHA = 0.05


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
        cofailure_series(
            panel, series, refit_blocks=use.refit_blocks, learn_blocks=use.learn_blocks
        )
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

    def level(name: str, null: str, e_values: FloatArray) -> LevelEvidence:
        log_e = e_process(betting_factors(e_values[start:]), lag)
        row = first_crossing(log_e, _ALPHA)
        return LevelEvidence(name, null, time, log_e, None if row is None else int(time[row]))

    levels = [level("co-movement", "models do not move together", 1.0 + series.score)]
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
        ratio, high, noise = _baseline_ratio(joint, start)
        expected = joint.expected[0]
        typical = float(expected[:start].mean())
        rules += [
            by_evidence(
                "co-failure, e-detector",
                f"joint failures at most {high:.2f} times what the market's surprise explains",
                (joint.joint + typical) / (high * expected + typical),
            ),
            _by_window(
                "co-failure, window",
                joint.residual[0] / (expected + typical),
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
        alone = "models fail together by the market alone"
        # Beyond this the mean of both benchmarks is noisier than the models are different, and the
        # extrapolation to no noise, linear in its variance, leaves noise that looks like failure.
        if series.noise_ratio > np.sqrt(2.0):
            withheld = LevelEvidence(
                "co-failure",
                alone,
                time,
                np.zeros(len(time)),
                None,
                (
                    f"the benchmarks are {series.noise_ratio:.1f} times as noisy as the models "
                    "differ; take less noisy ones, from more or closer data"
                ),
            )
            levels.append(withheld)
        else:
            chance = (joint.joint + typical) / (noise * expected + typical)
            levels.append(level("co-failure", alone, chance))
    ends = np.arange(start, len(series), use.every)
    number = comovement_path(panel, series, ends, use, rng)
    cofailure = cofailure_path(series, joint, ends, use, rng) if joint else None
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
        levels=tuple(levels),
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


def _baseline_ratio(joint: CoFailureSeries, start: int) -> tuple[float, float, float]:
    """C3 of the baseline; upper limits of the ratio as measured and of the benchmark noise in it.

    Both limits are of the ratio against the mean benchmark, and never below one: the first holds
    whatever the baseline's models share, the second is what models that share nothing would show.
    """
    expected, residual = joint.expected[0, :start], joint.residual[0, :start]
    total = float(expected.sum())
    measured = float(residual.sum()) / total
    own = joint.excess(np.concatenate([np.ones(start), np.zeros(len(joint.joint) - start)]))[:start]
    noise = residual / total - own

    def limit(excess: float, influence: FloatArray) -> float:
        spread = baseline_of(influence)
        error = spread.standard_error * start
        return max(1.0, 1.0 + excess + float(stdtrit(spread.degrees, _LIMIT)) * error)

    return (
        1.0 + float(own.sum()),
        limit(measured, (residual - measured * expected) / total),
        limit(float(noise.sum()), noise),
    )


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
