"""An error panel laid out as a long table: rows by time, then target, then model."""

from __future__ import annotations

import numpy as np
import polars as pl

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.result import Failure
from commonmode.panel.error_panel import ErrorPanel

__all__ = ["panel_frame"]


def panel_frame(panel: ErrorPanel) -> pl.DataFrame:
    """Long table of ``panel``: T * K * N rows; NaN becomes null, failures carry their reason."""
    t, k, n = panel.shape
    per_pair = np.repeat(np.arange(t * k), n)
    time = pl.Series("time", np.repeat(panel.times_ms, k * n)).cast(pl.Datetime("ms", "UTC"))
    columns: dict[str, pl.Series] = {
        "time": time,
        "model": _labels(panel.models, np.tile(np.arange(n), t * k)),
        "target": _labels(panel.targets, np.tile(np.repeat(np.arange(k), n), t)),
        "kind": pl.repeat(panel.kind.value, t * k * n, eager=True),
        "level": pl.repeat(panel.level, t * k * n, dtype=pl.Float64, eager=True),
        "forecast": _numbers(panel.forecast.reshape(-1)),
        "outcome": _numbers(panel.outcome.reshape(-1)[per_pair]),
        "scale": _numbers(panel.scale.reshape(-1)[per_pair]),
    }
    shared = {"benchmark_a": panel.benchmark_a, "benchmark_b": panel.benchmark_b}
    shared |= {f"state_{name}": array for name, array in panel.state.items()}
    columns |= {
        name: _numbers(array.reshape(-1)[per_pair])
        for name, array in shared.items()
        if array is not None
    }
    columns["exposure_usd"] = _numbers(np.tile(panel.exposure_usd, t * k))
    columns["horizon_ms"] = pl.repeat(panel.horizon_ms, t * k * n, dtype=pl.Int64, eager=True)
    if panel.failures:
        columns |= _failure_columns(panel)
    return pl.DataFrame(columns)


def _failure_columns(panel: ErrorPanel) -> dict[str, pl.Series]:
    code = np.zeros(panel.shape, dtype=np.int64)
    listed: dict[Failure, int] = {}
    for entry in panel.failures:
        number = listed.setdefault(entry.failure, len(listed) + 1)
        first = int(np.searchsorted(panel.times_ms, entry.time_ms))
        column = panel.targets.index(entry.target), panel.models.index(entry.model)
        code[first : first + entry.count, column[0], column[1]] = number
    flat = code.reshape(-1)
    texts = {
        "reason": [None, *(f.reason.value for f in listed)],
        "message": [None, *(f.message for f in listed)],
        "remedy": [None, *(f.remedy for f in listed)],
    }
    return {
        name: pl.Series(values, dtype=pl.String).gather(pl.Series(flat))
        for name, values in texts.items()
    }


def _labels(names: tuple[str, ...], code: IntArray) -> pl.Series:
    return pl.Series(list(names), dtype=pl.String).gather(pl.Series(code))


def _numbers(values: FloatArray) -> pl.Series:
    return pl.Series(values).fill_nan(None)
