"""Monitoring: alarms, e-processes, change points, and the weighted index's interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from evidence_case import Case, coverage, power, size
from scipy.signal import lfilter

from commonmode.converge.monitoring import MonitoringSettings, monitor_panel
from commonmode.converge.monitoring_result import RuleKind
from commonmode.core.random import stream
from commonmode.core.units import HOUR_MS
from commonmode.lab.truth import true_effective_number
from commonmode.lab.worlds import WorldConfig
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.changepoint import cusum_test
from commonmode.stats.eprocess import betting_factors, e_process, failure_e_values
from monitoring_worlds import BASELINE, joined

__all__ = ["WATCH_CASES"]

Answers = Mapping[str, bool | None]
_DAY_MS = 24 * HOUR_MS
# Thresholds of the window rules from 400 paths instead of 4 000, indices every 60 days: faster.
_SETTINGS = MonitoringSettings(every=60, paths=400, flips=99, draws=99)
_ANY_IN_A_YEAR = 1.0 - float(np.exp(-_SETTINGS.false_alarms_per_year))
_AFTER = 365


def _changed(
    panel: ErrorPanel,
    seed: int,
    *,
    missing: float = 0.0,
    factor: float = 0.0,
    shallow: float = 1.0,
) -> ErrorPanel:
    """What the monitor is not told: holes, a lasting factor, quantiles that are off."""
    rng = stream(seed, "monitoring", "changes")
    forecast, times = panel.forecast.copy(), len(panel.times_ms)
    if factor:
        shocks = rng.standard_normal(times + 200) * np.sqrt(1 - 0.9**2)
        forecast *= np.exp(factor * lfilter([1.0], [1.0, -0.9], shocks)[200:])[:, None, None]
    forecast[24 * BASELINE :] *= shallow
    if missing:
        forecast[rng.random(forecast.shape) < missing] = np.nan
        forecast[24 * 200 : 24 * 203] = np.nan
    return replace(panel, forecast=forecast)


def _watched(
    seed: int,
    planted: float,
    *,
    share: float = 0.0,
    world: Mapping[str, float] | None = None,
    changes: Mapping[str, float] | None = None,
) -> Answers:
    panel = _changed(
        joined(seed, share, _AFTER, right=True, **(world or {})), seed, **(changes or {})
    )  # type: ignore[arg-type]
    start = BASELINE * _DAY_MS
    result = monitor_panel(panel, start, _SETTINGS, rng=seed)

    def by(kind: RuleKind) -> bool:
        return any(len(rule.alarms) > 0 for rule in result.rules if rule.kind is kind)

    def within(days: int) -> bool:
        return any(a.time_ms <= start + days * _DAY_MS for a in result.alerts)

    truth = true_effective_number(WorldConfig(planted_share=share, planted_models=8))
    path = result.effective_number
    low, high = path.low[-1], path.high[-1]
    return {
        "an alarm within a year": bool(result.alerts),
        "an e-detector's": by(RuleKind.E_DETECTOR),
        "a window's": by(RuleKind.WINDOW),
        "co-movement refuted at 20 to 1": result.levels[0].first_ms is not None,
        "co-failure refuted at 20 to 1": result.levels[1].first_ms is not None,
        "change point at 5 %": result.change.p_value <= 0.05,
        "last window rejects": bool(path.p_value[-1] <= 0.05),
        "alarm within 14 days": within(14),
        "alarm within 60 days": within(60),
        "change dated within 20 days": abs(result.change_ms - start) <= 20 * _DAY_MS,
        "weighted number covered": None if not np.isfinite(low) else bool(low <= truth <= high),
    }


_QUIET = (
    size("an alarm within a year", _ANY_IN_A_YEAR),
    power("an e-detector's"),
    power("a window's"),
    size("co-movement refuted at 20 to 1"),
    size("co-failure refuted at 20 to 1"),
    size("change point at 5 %"),
    size("last window rejects"),
)
_ALWAYS = (*_QUIET[:3], power("co-movement refuted at 20 to 1"), _QUIET[5])
_BEGINS = (
    power("alarm within 14 days"),
    power("alarm within 60 days"),
    power("co-movement refuted at 20 to 1"),
    power("change point at 5 %"),
    power("change dated within 20 days"),
    coverage("weighted number covered"),
)


def _monitoring_cases() -> list[Case]:
    rows = (
        ("nothing shared", {}, _QUIET),
        ("deviations last (0.97)", {"world": {"deviation_autocorrelation": 0.97}}, _QUIET),
        (
            "heavier tails, noisier benchmarks",
            {
                "world": {
                    "degrees_of_freedom": 3.0,
                    "log_vol_sd": 0.9,
                    "benchmark_noise_sd": 0.25,
                }
            },
            _QUIET,
        ),
        ("deviations switch regimes", {"world": {"spells": 2.0}}, _QUIET),
        ("2 % missing, three days dark", {"changes": {"missing": 0.02}}, _QUIET),
        ("unlisted factor from the first day", {"changes": {"factor": 0.1}}, _ALWAYS),
        ("10 % shared by all from day 0", {"share": 0.1}, _BEGINS),
        ("30 % shared by all from day 0", {"share": 0.3}, _BEGINS),
        ("80 % shared by all from day 0", {"share": 0.8}, _BEGINS),
        (
            "quantiles a fifth too shallow from day 0",
            {"changes": {"shallow": 0.8}},
            (power("alarm within 14 days"), power("alarm within 60 days")),
        ),
    )
    return [
        Case("Monitoring", w, q, partial(_watched, **k), worlds=40 if q is _QUIET else 20)  # type: ignore[arg-type]
        for w, k, q in rows
    ]


def _failures(seed: int, planted: float, *, world: str) -> Answers:
    """An e-process of failures at 2.5 % along 3 000 rows."""
    rng = stream(seed, "failures")
    times, level = 3000, 0.025
    rate = np.full(times, level)
    if world == "regimes":  # below its level in calm, at it in storms
        rate = np.where((rng.random(times // 50) < 0.3).repeat(50), level, 0.5 * level)
    elif world == "clustered":  # right on average, wrong in either regime
        rate = np.where((rng.random(times // 50) < 0.2).repeat(50), 3.0 * level, 0.5 * level)
    elif world == "one and a half times":
        rate = rate * 1.5
    elif world == "twice":
        rate = rate * 2.0
    values = failure_e_values(rng.random(times) < rate, level)
    if world == "missing":
        values[rng.random(times) < 0.2] = np.nan
    log_e = e_process(betting_factors(values[:, None]))
    return {"ever 20 to 1": bool(log_e.max() >= np.log(20.0))}


def _cusum(
    seed: int, planted: float, *, memory: float = 0.0, heavy: bool = False, shift: float = 0.0
) -> Answers:
    rng = stream(seed, "cusum")
    n = 400
    shocks = rng.standard_t(3, n + 100) if heavy else rng.standard_normal(n + 100)
    x = lfilter([1.0], [1.0, -memory], shocks)[100:]
    x[n // 2 :] += shift * x.std()
    return {"a change is found": bool(cusum_test(x).p_value <= 0.05)}


def _parts() -> list[Case]:
    false, true = (size("ever 20 to 1"),), (power("ever 20 to 1"),)
    rows = (
        ("failures at their rate", "independent", false),
        ("the same, below it in calm", "regimes", false),
        ("the same, 20 % missing", "missing", false),
        ("right on average, thrice in storms", "clustered", true),
        ("one and a half times as often", "one and a half times", true),
        ("twice as often", "twice", true),
    )
    cases = [Case("E-process", w, q, partial(_failures, world=k), worlds=400) for w, k, q in rows]
    none, one = (size("a change is found"),), (power("a change is found"),)
    changes = (
        ("no change", {}, none),
        ("the same, three degrees of freedom", {"heavy": True}, none),
        ("the same, memory 0.5", {"memory": 0.5}, none),
        ("the same, memory 0.8", {"memory": 0.8}, none),
        ("half a deviation, in the middle", {"shift": 0.5}, one),
    )
    cases += [
        Case("Change point", w, q, partial(_cusum, **k), worlds=400)  # type: ignore[arg-type]
        for w, k, q in changes
    ]
    return cases


WATCH_CASES = (*_monitoring_cases(), *_parts())
