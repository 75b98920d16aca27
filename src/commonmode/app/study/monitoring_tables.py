"""The weighted indices of the monitor along time, as a table."""

from __future__ import annotations

from commonmode.app.study.look_context import LookTable
from commonmode.converge.monitoring_result import MonitoringResult

__all__ = ["path_table"]


def path_table(result: MonitoringResult) -> LookTable:
    """A row for every index and time at which it was computed."""
    paths = [one for one in (result.effective_number, result.cofailure) if one is not None]
    return LookTable(
        "paths",
        "Exponentially weighted indices since the end of the baseline, with the 95 % interval of "
        "each window and the p-value of its own test: they describe, and do not warn (empty: no "
        "interval, for the test finds no co-movement, or too few blocks)",
        ("index", "time_ms", "value", "low", "high", "p_value"),
        [
            (one.name, *row)
            for one in paths
            for row in zip(
                one.time_ms.tolist(),
                one.value.tolist(),
                one.low.tolist(),
                one.high.tolist(),
                one.p_value.tolist(),
                strict=True,
            )
        ],
    )
