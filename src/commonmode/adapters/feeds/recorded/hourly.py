"""Hourly spot bars of Binance, 2020-09-20 to 2024-05-31: BTC, ETH, SOL, XRP, BNB.

``ts_utc`` of the files is the *open* of the bar (the Deribit index of the first minute of an hour
lies by that bar's open, not by its close); a :class:`History` carries the end. Ten gaps are venue
outages: they stay gaps, and the return over one is NaN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId
from commonmode.core.units import HOUR_MS
from commonmode.market.bars import clean_bars
from commonmode.market.clock import TimeLike, utc_ms
from commonmode.market.history import History

__all__ = ["hourly_history"]

_FOLDER: Final = "binance_spot_hourly_2020_2025"
_PRICES: Final = ("open", "high", "low", "close", "volume")


def hourly_history(
    root: Path, underlying: str, start: TimeLike | None = None, end: TimeLike | None = None
) -> History:
    """Hourly bars of ``underlying`` against USDT whose end lies in [start, end].

    Parameters
    ----------
    root : Path
        Folder of the recordings.
    underlying : str
        ``BTC``, ``ETH``, ``SOL``, ``XRP`` or ``BNB``.
    start, end : TimeLike, optional
        Bounds on the *end* of the bars, inclusive.

    Raises
    ------
    DataError
        Unknown underlying, or no bar in the period.
    """
    found = sorted((root / _FOLDER).glob(f"{underlying.upper()}USDT_1h_*.parquet"))
    if not found:
        raise DataError(
            f"no recorded hourly bars of {underlying!r}",
            remedy="recorded are BTC, ETH, SOL, XRP and BNB; check COMMONMODE_DATA",
        )
    path = found[0]
    end_of_bar = pl.col("ts_utc").dt.offset_by("1h")
    frame = scan_table(path, ("ts_utc", *_PRICES)).select(end_of_bar.alias("time"), *_PRICES)
    if start is not None:
        frame = frame.filter(pl.col("time").dt.epoch("ms") >= utc_ms(start))
    if end is not None:
        frame = frame.filter(pl.col("time").dt.epoch("ms") <= utc_ms(end))
    rows = collect(frame, path)
    return clean_bars(
        InstrumentId(f"{underlying.upper()}USDT"),
        HOUR_MS,
        milliseconds(rows, "time"),
        {name: floats(rows, name) for name in _PRICES},
    )
