"""A black box's forecasts from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from commonmode.adapters.store._columns import (
    number_column,
    read_frame,
    text_column,
    time_column,
)
from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import InstrumentId
from commonmode.forecast.blackbox import RecordedForecasts

__all__ = ["read_forecasts"]

_REQUIRED: Final = ("time", "instrument", "horizon", "level", "quantile")
_OPTIONAL: Final = ("vol", "shortfall")


def read_forecasts(path: Path) -> tuple[RecordedForecasts, ...]:
    """Read a Parquet or CSV table of forecasts.

    Columns ``time`` (when the forecast was made), ``instrument`` (as the feed names it, e.g.
    ``BTCUSDT``), ``horizon`` (bars), ``level`` (0.025), ``quantile`` (lower quantile of the log
    return, negative) and, if known, ``vol`` and ``shortfall``. Read
    :class:`~commonmode.forecast.blackbox.RecordedForecasts`.

    Raises
    ------
    PanelError
        No such file, damaged, columns missing, a horizon or level that is none, a quantile that is
        not negative, or two forecasts of one thing at one time.
    """
    frame = read_frame(path, _REQUIRED)
    times, _ = time_column(frame["time"])
    horizon, level = number_column(frame["horizon"]), number_column(frame["level"])
    _check(path, "horizon", horizon, (horizon >= 1) & (horizon == np.floor(horizon)), "whole bars")
    _check(path, "level", level, (level > 0) & (level < 0.5), "a lower tail such as 0.025")
    quantile = number_column(frame["quantile"])
    _check(path, "quantile", quantile, ~(quantile >= 0), "negative: turn the sign of losses")
    frame = frame.with_columns(
        pl.Series("time", times),
        text_column(frame["instrument"]).alias("instrument"),
        pl.Series("horizon", horizon.astype(np.int64)),
        pl.Series("level", level),
    )
    keys = ["instrument", "horizon", "level"]
    doubled = frame.filter(frame.select("time", *keys).is_duplicated())
    if len(doubled):
        raise PanelError(
            f"{path.name}: {len(doubled)} rows forecast the same thing at the same time, e.g. "
            f"{doubled.row(0, named=True)}",
            remedy="keep one forecast per time, instrument, horizon and level",
        )
    recorded = []
    for (instrument, bars, tail), part in frame.sort("time").group_by(keys, maintain_order=True):
        columns = {name: number_column(part[name]) for name in _OPTIONAL if name in frame.columns}
        recorded.append(
            RecordedForecasts(
                instrument=InstrumentId(str(instrument)),
                horizon=int(bars),
                level=float(tail),
                times_ms=part["time"].to_numpy().astype(np.int64),
                quantile=number_column(part["quantile"]),
                vol=columns.get("vol"),
                shortfall=columns.get("shortfall"),
            )
        )
    return tuple(recorded)


def _check(path: Path, column: str, values: FloatArray, good: BoolArray, wanted: str) -> None:
    bad = np.flatnonzero(~good)
    if len(bad):
        raise PanelError(
            f"{path.name}: {column} {values[bad[0]]:g} in row {int(bad[0]) + 1}",
            remedy=f"{column} is {wanted}",
        )
