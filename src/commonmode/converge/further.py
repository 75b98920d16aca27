"""Further looks at one panel, each asked for by name.

The indices of :mod:`commonmode.converge.analysis` say whether models are one; these say how they
came to be, and whether that is changing. Each look stands alone: one that cannot be computed is a
failure with its reason, and the others are what they would be without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from commonmode.converge.bias import Bias
from commonmode.converge.bias_words import bias_findings
from commonmode.converge.finding import Finding, failure_sentence
from commonmode.converge.herding import Herding, HerdingResult
from commonmode.converge.monitoring import MonitoringSettings, monitor_panel
from commonmode.converge.monitoring_result import MonitoringResult
from commonmode.converge.procyclicality import Procyclicality, ProcyclicalityResult
from commonmode.converge.propagation import Propagation
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.recalibration import (
    RecalibrationSynchrony,
    SynchronyResult,
    panel_revisions,
)
from commonmode.converge.severity import SMALL_CORRELATION, SMALL_SHARE, Severity, severity_of
from commonmode.converge.tail_propagation import TailPropagation, TailPropagationResult
from commonmode.core.errors import CommonmodeError, ConfigurationError, ShortPanelError
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["LOOKS", "FurtherLook", "chosen_looks", "further_looks"]

LOOKS: Final = (
    "bias",
    "propagation",
    "tail",
    "recalibration",
    "herding",
    "procyclicality",
    "monitoring",
)
"""Names of the looks, in the order in which they are computed and shown."""

_NEEDS_BENCHMARKS: Final = frozenset({"recalibration", "herding", "procyclicality", "monitoring"})
_FEWEST_MODELS: Final = {
    "propagation": 2,
    "tail": 2,
    "recalibration": 2,
    "herding": 3,
    "procyclicality": 2,
    "monitoring": 2,
}

Looked = tuple[Any, tuple[Finding, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class FurtherLook:
    """One look at a panel.

    Attributes
    ----------
    name : str
        One of :data:`LOOKS`.
    result : Success or Failure
        Of the look's own result: ``BiasResult``, ``PropagationResult``, ``TailPropagationResult``,
        ``SynchronyResult``, ``HerdingResult``, ``ProcyclicalityResult`` or ``MonitoringResult``.
    findings : tuple of Finding
        What it says about itself, with its numbers unrounded; for a failure why there is none.
    """

    name: str
    result: Result[Any]
    findings: tuple[Finding, ...]


def chosen_looks(names: Sequence[str]) -> tuple[str, ...]:
    """The looks that these names stand for, each once, in the order of :data:`LOOKS`.

    Raises
    ------
    ConfigurationError
        A name that is none.
    """
    unknown = [name for name in names if name not in (*LOOKS, "all")]
    if unknown:
        raise ConfigurationError(
            f"there is no look called {unknown[0]!r}",
            remedy=f"use one of {', '.join(LOOKS)}, or all",
        )
    return LOOKS if "all" in names else tuple(name for name in LOOKS if name in names)


def further_looks(
    panel: ErrorPanel,
    names: Sequence[str],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    baseline_until_ms: int | None = None,
    every: int = 1,
    tail_level: float = 0.05,
    monitoring: MonitoringSettings | None = None,
) -> tuple[FurtherLook, ...]:
    """Look further at a panel.

    Parameters
    ----------
    panel : ErrorPanel
    names : sequence of str
        Of :data:`LOOKS`; ``"all"`` stands for all of them. Each is computed once.
    alpha : float
        Level of the tests; the monitor states a rate of false alarms instead.
    seed : int
        Each look draws from streams of its own, so what is said of one does not depend on which
        others are asked for.
    baseline_until_ms : int, optional
        End of the monitor's baseline, UTC; the middle of the panel's times if not given.
    every : int
        Rows between those that propagation, tail, recalibration and herding look at.
    tail_level : float
        Share of surprises that the tail counts as extreme, in (0, 0.5).
    monitoring : MonitoringSettings, optional

    Returns
    -------
    tuple of FurtherLook
        In the order of :data:`LOOKS`.

    Raises
    ------
    ConfigurationError
        A name that is none, a level or a step out of range.
    """
    wanted = chosen_looks(names)
    if not 0.0 < alpha < 1.0 or not 0.0 < tail_level < 0.5 or every < 1:
        raise ConfigurationError(
            f"alpha {alpha}, every {every} rows, tail level {tail_level}",
            remedy="a level of the tests in (0, 1), at least one row, a tail level in (0, 0.5)",
        )
    times = panel.times_ms
    until = baseline_until_ms
    if until is None:
        until = int(times[len(times) // 2]) if len(times) else 0

    def bias() -> Looked:
        result = Bias(alpha=alpha, rng=seed).fit(panel).result_
        return result, bias_findings(panel.name, result)

    def propagation() -> Looked:
        result = Propagation(alpha=alpha, every=every, rng=seed).fit(panel).result_
        return result, _propagation(panel.name, result)

    def tail() -> Looked:
        index = TailPropagation(level=tail_level, alpha=alpha, every=every, rng=seed)
        result = index.fit(panel).result_
        return result, _tail(panel.name, result)

    def recalibration() -> Looked:
        steps = panel_revisions(panel, every=every)
        result = RecalibrationSynchrony(alpha=alpha, rng=seed).fit(steps).result_
        return result, _recalibration(panel.name, result)

    def herding() -> Looked:
        result = Herding(alpha=alpha, every=every, rng=seed).fit(panel).result_
        return result, _herding(panel.name, result, alpha)

    def procyclicality() -> Looked:
        result = Procyclicality(alpha=alpha, rng=seed).fit(panel).result_
        return result, _procyclicality(panel.name, result, alpha)

    def monitor() -> Looked:
        result = monitor_panel(panel, until, monitoring, rng=seed)
        return result, _monitoring(panel.name, result)

    computes: dict[str, Callable[[], Looked]] = {
        "bias": bias,
        "propagation": propagation,
        "tail": tail,
        "recalibration": recalibration,
        "herding": herding,
        "procyclicality": procyclicality,
        "monitoring": monitor,
    }
    return tuple(_look(name, panel, computes[name]) for name in wanted)


def _look(name: str, panel: ErrorPanel, compute: Callable[[], Looked]) -> FurtherLook:
    failure = _not_applicable(name, panel)
    if failure is None:
        try:
            result, findings = compute()
        except ShortPanelError as error:
            failure = Failure(FailureReason.MISSING_DATA, error.message, error.remedy)
        except CommonmodeError as error:
            failure = Failure(FailureReason.CALCULATION_FAILED, error.message, error.remedy)
        except np.linalg.LinAlgError as error:
            failure = Failure(
                FailureReason.CALCULATION_FAILED,
                f"panel {panel.name}: {error}",
                "leave out models that are copies of one another, or give a longer panel",
            )
        else:
            return FurtherLook(name, Success(result), findings)
    sentence = failure_sentence(name, failure)
    return FurtherLook(name, failure, (Finding(name, panel.name, Severity.UNKNOWN, sentence),))


def _not_applicable(name: str, panel: ErrorPanel) -> Failure | None:
    """Why a look makes no sense for a panel of this kind, whatever its length."""
    reason = FailureReason.NOT_APPLICABLE
    if name == "procyclicality" and panel.kind is not PanelKind.QUANTILE:
        return Failure(
            reason,
            f"panel {panel.name} holds no quantile forecasts",
            "give a risk panel; its scale is the market's realised volatility",
        )
    if name == "procyclicality" and bool(np.all(panel.scale == panel.scale[:1])):
        return Failure(
            reason,
            f"the scale of panel {panel.name} is the same throughout, so calm is not told from "
            "turmoil",
            "give the market's realised volatility as the scale",
        )
    if name in _NEEDS_BENCHMARKS and panel.benchmark_a is None:
        return Failure(
            reason,
            f"panel {panel.name} has no benchmarks",
            "give benchmark_a and benchmark_b from disjoint data",
        )
    fewest = _FEWEST_MODELS.get(name, 1)
    if len(panel.models) < fewest:
        return Failure(
            reason,
            f"panel {panel.name} has {len(panel.models)} models, {name} needs {fewest}",
            "add models",
        )
    return None


def _later(found: bool, blind: bool) -> Severity:
    """A note at most: independent filters of one market, fast and slow, come one after another.

    Unknown where nothing is found and nothing would have been.
    """
    if found:
        return Severity.NOTE
    return Severity.UNKNOWN if blind else Severity.FINE


def _propagation(panel: str, result: PropagationResult) -> tuple[Finding, ...]:
    severity = _later(result.rejects, result.blind)
    return (Finding("propagation", panel, severity, result.sentence, result.numbers),)


def _tail(panel: str, result: TailPropagationResult) -> tuple[Finding, ...]:
    numbers = {
        "level": result.level,
        "p_value": result.p_value,
        "links": float(len(result.links)),
        "same_time_lift": result.same_time_lift,
        "same_time_low": result.same_time_interval[0],
        "same_time_high": result.same_time_interval[1],
        "minimum_detectable": result.minimum_detectable,
    }
    if result.links:
        first = result.links[0]
        numbers |= {"lift": first.lift, "low": first.interval[0], "high": first.interval[1]}
    blind = not result.minimum_detectable < 1.0 / result.level
    severity = _later(result.rejects, blind)
    return (Finding("tail", panel, severity, result.sentence, numbers),)


def _recalibration(panel: str, result: SynchronyResult) -> tuple[Finding, ...]:
    numbers = {
        "raw": result.raw,
        "correlation": result.correlation,
        "low": result.interval[0],
        "high": result.interval[1],
        "p_value": result.p_value,
        "minimum_detectable": result.minimum_detectable,
    }
    severity = severity_of(result.rejects, result.correlation, SMALL_CORRELATION)
    return (Finding("recalibration", panel, severity, result.sentence, numbers),)


def _herding(panel: str, result: HerdingResult, alpha: float) -> tuple[Finding, ...]:
    numbers = {
        "pull": result.pull,
        "pull_low": result.pull_interval[0],
        "pull_high": result.pull_interval[1],
        "pull_detectable": result.pull_detectable,
        "herding_models": float(sum(model.herds for model in result.models)),
        "outcomes": result.outcomes,
        "outcomes_low": result.outcomes_interval[0],
        "outcomes_high": result.outcomes_interval[1],
        "outcomes_detectable": result.outcomes_detectable,
        "p_outcomes": result.p_outcomes,
    }
    # Outcomes say what a gap is worth and not where it comes from: a note, whatever their size.
    severity = Severity.NOTE if result.p_outcomes <= alpha else Severity.FINE
    herding = [model.pull for model in result.models if model.herds]
    if herding:
        severity = severity_of(True, max(herding), SMALL_SHARE)
    return (Finding("herding", panel, severity, result.sentence, numbers),)


def _procyclicality(panel: str, result: ProcyclicalityResult, alpha: float) -> tuple[Finding, ...]:
    numbers = {
        "crowd_slope": result.crowd_slope.value,
        "benchmark_slope": result.benchmark_slope.value,
        "crowd_excess": result.crowd_excess.value,
        "low": result.crowd_excess.low,
        "high": result.crowd_excess.high,
        "p_crowd": result.p_crowd,
        "calm_together": result.calm_together,
        "calm_benchmark": result.calm_benchmark,
        "minimum_detectable": result.minimum_detectable,
    }
    severity = severity_of(result.p_crowd <= alpha, abs(result.crowd_excess.value), SMALL_SHARE)
    return (Finding("procyclicality", panel, severity, result.sentence, numbers),)


def _monitoring(panel: str, result: MonitoringResult) -> tuple[Finding, ...]:
    """The result, then the first alarm of each rule."""
    numbers = {
        "alarms": float(len(result.alerts)),
        "expected_false_alarms": result.false_alarms_per_year * result.years,
        "years": result.years,
        "baseline_blocks": float(result.baseline_blocks),
        "baseline_score": result.baseline_score,
        "baseline_cofailure": result.baseline_cofailure,
        "change_p_value": result.change.p_value,
    }
    above = any(level.first_ms is not None for level in result.levels)
    severity = Severity.NOTE if above else Severity.FINE
    if result.alerts:
        severity = Severity.ALERT
    found = [Finding("monitoring", panel, severity, result.sentence, numbers)]
    heard: set[str] = set()
    for alert in result.alerts:
        if alert.rule in heard:
            continue
        heard.add(alert.rule)
        state = {
            "statistic": alert.statistic,
            "threshold": alert.threshold,
            "effective_number": alert.effective_number,
            "cofailure": alert.cofailure,
        }
        found.append(Finding("monitoring", panel, Severity.ALERT, alert.sentence, state))
    return tuple(found)
