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
        No such file, damaged, columns missing, or two forecasts of one thing at one time.
    """
    frame = read_frame(path, _REQUIRED)
    times, _ = time_column(frame["time"])
    frame = frame.with_columns(
        pl.Series("time", times), text_column(frame["instrument"]).alias("instrument")
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
    for (instrument, horizon, level), part in frame.sort("time").group_by(
        keys, maintain_order=True
    ):
        columns = {name: number_column(part[name]) for name in _OPTIONAL if name in frame.columns}
        recorded.append(
            RecordedForecasts(
                instrument=InstrumentId(str(instrument)),
                horizon=int(str(horizon)),
                level=float(str(level)),
                times_ms=part["time"].to_numpy().astype(np.int64),
                quantile=number_column(part["quantile"]),
                vol=columns.get("vol"),
                shortfall=columns.get("shortfall"),
            )
        )
    return tuple(recorded)
