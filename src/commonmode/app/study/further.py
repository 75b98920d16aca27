"""Further looks as plain JSON values: sentences, and a table of the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from commonmode.app.study.look_context import LookTable
from commonmode.app.study.monitoring_tables import path_table
from commonmode.app.study.results import failure_to_json, plain
from commonmode.converge.bias import BiasResult
from commonmode.converge.finding import rows_of
from commonmode.converge.further import FurtherLook
from commonmode.converge.herding import HerdingResult
from commonmode.converge.monitoring_result import MonitoringResult
from commonmode.converge.procyclicality import ProcyclicalityResult
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.recalibration import SynchronyResult
from commonmode.converge.tail_propagation import TailPropagationResult
from commonmode.core.result import Failure, FailureReason

__all__ = ["look_failures", "look_to_json"]

_PARTS: Final = ("total", "passed_on")
_MOST_PAIRS: Final = 200

Rows = tuple[tuple[str, ...], list[tuple[Any, ...]]]


def look_to_json(look: FurtherLook) -> dict[str, Any]:
    """One look: status, findings, columns and rows of its table, further tables if there are any.

    Columns and rows are empty where there is no table.
    """
    value: dict[str, Any] = {"name": look.name, "status": "ok"}
    columns: Sequence[str] = ()
    rows: list[tuple[Any, ...]] = []
    tables: list[LookTable] = []
    if isinstance(look.result, Failure):
        value |= {"status": "failed", **failure_to_json(look.result)}
    else:
        columns, rows = _table(look.result.value)
        if isinstance(look.result.value, PropagationResult):
            tables = _shares(look.result.value)
        if isinstance(look.result.value, MonitoringResult):
            tables = [path_table(look.result.value)]
    value |= {
        "findings": [
            {
                "index": finding.index,
                "severity": finding.severity.value,
                "sentence": finding.sentence,
                "numbers": dict(finding.numbers),
            }
            for finding in look.findings
        ],
        "columns": list(columns),
        "rows": [list(row) for row in rows],
    }
    if tables:
        value["tables"] = [
            {
                "name": table.name,
                "title": table.title,
                "columns": list(table.columns),
                "rows": [list(row) for row in table.rows],
            }
            for table in tables
        ]
    cleaned: dict[str, Any] = plain(value)
    return cleaned


def look_failures(panel: str, looks: Sequence[FurtherLook]) -> list[dict[str, str]]:
    """Looks that were asked for and failed; a panel that is too short for one is no failure."""
    return [
        {"where": f"{panel} {look.name}", **failure_to_json(look.result)}
        for look in looks
        if isinstance(look.result, Failure)
        and look.result.reason not in (FailureReason.NOT_APPLICABLE, FailureReason.MISSING_DATA)
    ]


def _table(result: Any) -> Rows:
    """What stands behind the sentence, a row per model, link or alarm."""
    match result:
        case BiasResult():
            return _bias(result)
        case PropagationResult():
            columns = ("receiver", "sender", "lag", "partial_correlation", "p_adjusted")
            return columns, [
                (one.receiver, one.sender, one.lag, one.partial_correlation, one.p_adjusted)
                for one in result.links
            ]
        case TailPropagationResult():
            columns = ("receiver", "sender", "lag", "lift", "p_adjusted")
            return columns, [
                (one.receiver, one.sender, one.lag, one.lift, one.p_adjusted)
                for one in result.links
            ]
        case SynchronyResult():
            models = zip(
                result.models,
                result.answer.tolist(),
                result.market_share.tolist(),
                result.size.tolist(),
                strict=True,
            )
            return ("model", "answer_to_market", "market_share", "step_size"), list(models)
        case HerdingResult():
            return _herding(result)
        case ProcyclicalityResult():
            return _cycle(result)
        case MonitoringResult():
            return _alerts(result)
    raise TypeError(f"no table for {type(result).__name__}")


def _shares(result: PropagationResult) -> list[LookTable]:
    """Who passes on how much, at which lags and horizons, and from whom to whom."""
    missing = "; empty where the benchmarks' noise swamps it" if result.swamped else ""
    net = LookTable(
        "net",
        f"Net directional spillover {rows_of(result.horizons[-1])} ahead, in units of one model's "
        "error variance: passed on less taken over, with 95 % intervals for all models at once if "
        f"the test rejects{missing}",
        ("model", "net", "low", "high"),
        [(one.model, one.net, one.low, one.high) for one in result.net],
    )
    grid = LookTable(
        "grid",
        f"Connectedness by lags and horizon, in rows ({rows_of(result.lags)} chosen by Akaike's "
        "criterion): shares of error variance with 95 % bootstrap intervals, of the part passed on "
        f"if the test rejects{missing}",
        ("lags", "horizon", *(f"{of}{end}" for of in _PARTS for end in ("", "_low", "_high"))),
        [
            (
                lags,
                one.horizon,
                one.total,
                *one.total_interval,
                one.lagged,
                *(one.lagged_interval or (None, None)),
            )
            for lags, splits in zip(result.lag_grid, result.by_lag, strict=True)
            for one in splits
        ],
    )
    pairs = [
        (receiver, sender, float(result.table[i, j]), float(result.shared_table[i, j]))
        for i, receiver in enumerate(result.models)
        for j, sender in enumerate(result.models)
        if i != j
    ]
    pairs.sort(key=lambda pair: -pair[2])
    shares = LookTable(
        "shares",
        f"Whose error variance {rows_of(result.horizons[-1])} ahead is whose, largest first (at "
        f"most {_MOST_PAIRS}), and what of it is by moving at the same time",
        ("receiver", "sender", "share", "at_the_same_time"),
        [] if result.swamped else pairs[:_MOST_PAIRS],
    )
    return [net, grid, shares]


def _bias(result: BiasResult) -> Rows:
    columns = ("model", "kind", "estimate", "low", "high", "p_adjusted", "detectable", "cells")
    return columns, [
        (
            "mean over models" if one.model is None else one.model,
            one.kind.value,
            one.estimate,
            *one.interval,
            one.p_adjusted,
            one.detectable,
            one.cells,
        )
        for one in (*result.shared, *result.estimates)
    ]


def _herding(result: HerdingResult) -> Rows:
    columns = ("model", "pull", "p_pull", "p_follows", "outcomes", "p_herding", "p_apart")
    return columns, [
        (m.model, m.pull, m.p_pull, m.p_follows, m.outcomes, m.p_herding, m.p_apart)
        for m in result.models
    ]


def _cycle(result: ProcyclicalityResult) -> Rows:
    columns = ("model", "slope", "low", "high", "excess", "excess_low", "excess_high", "p_excess")
    return (*columns, "up", "down", "p_asymmetry"), [
        (
            m.model,
            m.slope.value,
            m.slope.low,
            m.slope.high,
            m.excess.value,
            m.excess.low,
            m.excess.high,
            m.p_excess,
            m.up,
            m.down,
            m.p_asymmetry,
        )
        for m in result.models
    ]


def _alerts(result: MonitoringResult) -> Rows:
    columns = ("time_ms", "since_ms", "rule", "statistic", "threshold")
    return (*columns, "effective_number", "cofailure"), [
        (
            one.time_ms,
            one.since_ms,
            one.rule,
            one.statistic,
            one.threshold,
            one.effective_number,
            one.cofailure,
        )
        for one in result.alerts
    ]
