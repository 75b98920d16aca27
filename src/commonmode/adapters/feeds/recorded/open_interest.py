"""Open interest and rolling 24-hour volume of Deribit's options, a day apart.

The set carries ``stats_volume``, what was traded in the 24 hours before a snapshot (null: nothing);
so open interest a day apart can be held against it, instrument by instrument.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from commonmode.adapters.feeds.files import collect, floats, scan_table
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["option_activity"]

_NAMES = ("snapshot_ts", "instrument_name", "open_interest", "stats_volume")


def option_activity(
    root: Path, underlying: str, *, every_minutes: int = 60
) -> tuple[FloatArray, FloatArray, int]:
    """Open interest of each option now and 24 hours before, with what was traded in between.

    Parameters
    ----------
    root : Path
    underlying : str
        ``BTC`` or ``ETH``.
    every_minutes : int
        Grid of the snapshots compared, from the full hour.

    Returns
    -------
    open_interest : float64, shape (3 M,)
        M pairs one after another: a day before, now, NaN.
    volume : float64, shape (3 M,)
        NaN, contracts of the coin traded in the 24 hours before now, NaN.
    instruments : int
        How many options the pairs are of.

    Raises
    ------
    DataError
        No such coin, or no two snapshots a day apart.
    """
    path = root / "deribit_options_5min_202304" / f"{underlying.lower()}_options_top.parquet"
    if not path.is_file():
        raise DataError(
            f"no recorded options of {underlying}", remedy="BTC or ETH; check COMMONMODE_DATA"
        )
    on_grid = pl.col("snapshot_ts").dt.epoch("ms") % (every_minutes * 60_000) == 0
    rows = collect(scan_table(path, _NAMES).select(_NAMES).filter(on_grid), path)
    before = rows.select(
        "instrument_name",
        pl.col("snapshot_ts").dt.offset_by("24h"),
        pl.col("open_interest").alias("before"),
    )
    pairs = rows.join(before, on=["instrument_name", "snapshot_ts"]).sort(
        "instrument_name", "snapshot_ts"
    )
    if pairs.is_empty():
        raise DataError(
            f"no two snapshots of {underlying} a day apart", remedy="record more than a day"
        )
    gap = np.full(len(pairs), np.nan)
    now, then = floats(pairs, "open_interest"), floats(pairs, "before")
    traded = floats(pairs.with_columns(pl.col("stats_volume").fill_null(0.0)), "stats_volume")
    return (
        np.column_stack([then, now, gap]).ravel(),
        np.column_stack([gap, traded, gap]).ravel(),
        pairs["instrument_name"].n_unique(),
    )
