"""A user's own Parquet or CSV, read through a mapping of our column names to theirs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import CurrencyCode, InstrumentId, VenueId
from commonmode.market.bars import clean_bars
from commonmode.market.cleaning import STALE_AFTER_MS, chain_notes, clean_chain
from commonmode.market.columns import nearest
from commonmode.market.history import History
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import DataNote, Snapshot

__all__ = ["TimeUnit", "read_chain_table", "read_events", "read_history"]

TimeUnit = Literal["s", "ms", "us", "ns"]

_CHAIN_NEEDED: Final = ("time", "expiry", "strike", "type", "forward")
_CHAIN_NUMBERS: Final = (
    "bid",
    "ask",
    "mark",
    "bid_iv",
    "ask_iv",
    "mark_iv",
    "index",
    "open_interest",
)
_SIGNS: Final = {"c": 1, "call": 1, "1": 1, "p": -1, "put": -1, "-1": -1}
_NS_PER: Final[dict[str, int]] = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def read_history(
    path: Path,
    mapping: Mapping[str, str],
    instrument: str,
    step_ms: int,
    *,
    label: Literal["open", "end"],
    time_unit: TimeUnit = "ms",
    timezone: str = "UTC",
) -> History:
    """Bars from a table.

    Parameters
    ----------
    path : Path
        ``.parquet`` or ``.csv``.
    mapping : mapping of str to str
        Our name to the file's: ``time`` and ``close`` are needed; ``open``, ``high``, ``low``,
        ``volume`` and any other column a model asks for may follow.
    instrument : str
    step_ms : int
        Spacing of the bars.
    label : {"open", "end"}
        Which end of the bar the file's time names. Exchanges mostly name the open; taking it for
        the end would show every model one bar of the future.
    time_unit : {"s", "ms", "us", "ns"}
        Of whole-number times.
    timezone : str
        IANA name of the clock of times without an offset.

    Raises
    ------
    DataError
        Damaged file, missing columns (naming those there are), unreadable times, no rows.
    """
    rows = _mapped(path, mapping, ("time", "close"))
    times, notes = _times(rows["time"], time_unit, timezone)
    columns = {name: floats(rows, name) for name in mapping if name != "time"}
    ends = times + (step_ms if label == "open" else 0)
    return clean_bars(InstrumentId(instrument), step_ms, ends, columns, notes=notes)


def read_chain_table(
    path: Path,
    mapping: Mapping[str, str],
    *,
    venue: str,
    underlying: str,
    settlement: Settlement,
    volatility: Literal["percent", "decimal"],
    time_unit: TimeUnit = "ms",
    timezone: str = "UTC",
    stale_after_ms: int = STALE_AFTER_MS,
) -> tuple[Snapshot, ...]:
    """Option chains from a table, one snapshot for each distinct ``time``, in order.

    Parameters
    ----------
    path : Path
    mapping : mapping of str to str
        Our name to the file's: ``time``, ``expiry``, ``strike``, ``type`` (C or P, call or put, 1
        or -1) and ``forward`` are needed; ``name``, ``quote_time``, ``bid``, ``ask``, ``mark``,
        ``bid_iv``, ``ask_iv``, ``mark_iv``, ``index`` and ``open_interest`` may follow. Without
        ``quote_time`` every quote is taken to be of the snapshot's time.
    venue, underlying : str
    settlement : Settlement
        What the prices of the file are in.
    volatility : {"percent", "decimal"}
        Unit of the volatilities.
    time_unit, timezone
        As in :func:`read_history`.
    stale_after_ms : int
        Quotes this much older than their snapshot are flagged.

    Raises
    ------
    DataError
        As :func:`read_history`; also option types that are neither call nor put.
    """
    rows = _mapped(path, mapping, _CHAIN_NEEDED, (*_CHAIN_NUMBERS, "name", "quote_time"))
    n = len(rows)
    times, notes = _times(rows["time"], time_unit, timezone)
    expiry, _ = _times(rows["expiry"], time_unit, timezone)
    quote = times
    if "quote_time" in mapping:
        quote, _ = _times(rows["quote_time"], time_unit, timezone)
    sign = _signs(rows["type"])
    numbers = {
        name: floats(rows, name) if name in mapping else np.full(n, np.nan)
        for name in (*_CHAIN_NUMBERS, "strike", "forward")
    }
    if volatility == "percent":
        numbers |= {name: numbers[name] / 100 for name in ("bid_iv", "ask_iv", "mark_iv")}
    names = np.array(_names(rows, underlying, expiry, numbers["strike"], sign), dtype=np.str_)
    snapshots = []
    for time in np.unique(times).tolist():
        at = np.flatnonzero(times == time)
        columns: dict[str, Any] = {name: values[at] for name, values in numbers.items()}
        chain = clean_chain(
            venue=VenueId(venue),
            underlying=CurrencyCode(underlying),
            settlement=settlement,
            time_ms=time,
            names=names[at],
            quote_ms=quote[at],
            expiry_ms=expiry[at],
            sign=sign[at],
            stale_after_ms=stale_after_ms,
            **columns,
        )
        found = (*notes, *chain_notes(chain))
        snapshots.append(Snapshot(time, {chain.underlying: chain}, found))
    return tuple(snapshots)


def read_events(
    path: Path,
    mapping: Mapping[str, str],
    needed: tuple[str, ...],
    *,
    time_unit: TimeUnit = "ms",
    timezone: str = "UTC",
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Rows with a time and numbers, in order of time: trades, liquidations, open interest.

    Parameters
    ----------
    path, mapping, time_unit, timezone
        As of :func:`read_history`.
    needed : tuple of str
        Our names of the numbers that have to be there, besides ``time``.

    Returns
    -------
    int64 of shape (n,), and mapping of name to float64 of shape (n,)
        UTC milliseconds; every mapped column.
    """
    rows = _mapped(path, mapping, ("time", *needed))
    times, _ = _times(rows["time"], time_unit, timezone)
    order = np.argsort(times, kind="stable")
    return times[order], {name: floats(rows, name)[order] for name in mapping if name != "time"}


def _mapped(
    path: Path,
    mapping: Mapping[str, str],
    needed: tuple[str, ...],
    allowed: tuple[str, ...] | None = None,
) -> pl.DataFrame:
    """The mapped columns under our names, at least one row."""
    missing = [name for name in needed if name not in mapping]
    if missing:
        raise ConfigurationError(
            f"the mapping for {path.name} does not say which column is {', '.join(missing)}",
            remedy=f"map {', '.join(needed)}, e.g. {{{missing[0]!r}: 'your column'}}",
        )
    for name in mapping if allowed is not None else ():
        if name not in (*needed, *(allowed or ())):
            guess = nearest(name, (*needed, *(allowed or ())))
            raise ConfigurationError(
                f"the mapping for {path.name} names {name!r}, which a chain does not have",
                remedy=f"did you mean {guess!r}?"
                if guess
                else f"known: {needed + (allowed or ())}",
            )
    frame = scan_table(path, tuple(mapping.values()))
    rows = collect(
        frame.select(pl.col(theirs).alias(ours) for ours, theirs in mapping.items()), path
    )
    if rows.is_empty():
        raise DataError(f"{path.name} has no rows", remedy="export the data again")
    return rows


def _times(
    column: pl.Series, unit: TimeUnit, timezone: str
) -> tuple[IntArray, tuple[DataNote, ...]]:
    if column.null_count():
        row = int(column.is_null().arg_max() or 0) + 1
        raise DataError(f"{column.name!r} is empty in row {row}", remedy="every row needs a time")
    if column.dtype.is_integer():
        value = column.cast(pl.Int64).to_numpy()
        times = value * 1000 if unit == "s" else value // (_NS_PER["ms"] // _NS_PER[unit])
        if times.min() < 0 or times.max() > 4_102_444_800_000:  # 2100-01-01
            raise DataError(
                f"{column.name!r} holds {value[0]}, which is no time in {unit!r}",
                remedy="say time_unit='s', 'ms', 'us' or 'ns'",
            )
        return times, ()
    try:
        if column.dtype == pl.String:
            column = _parsed(column)
        if column.dtype == pl.Date:
            column = column.cast(pl.Datetime("ms"))
        if not isinstance(column.dtype, pl.Datetime):
            raise DataError(
                f"{column.name!r} holds {column.dtype}, not times",
                remedy="give datetimes, ISO 8601 texts or whole numbers",
            )
        notes: tuple[DataNote, ...] = ()
        if column.dtype.time_zone is None:
            column = column.dt.replace_time_zone(timezone).dt.convert_time_zone("UTC")
            text = f"{column.name!r} has no time zone: taken as {timezone}"
            notes = (DataNote("naive_times", text, 1),)
    except PolarsError as error:
        raise DataError(
            f"{column.name!r} does not fit the clock {timezone!r}: {str(error).splitlines()[0]}",
            remedy="give UTC times, or an IANA zone in which every one of these times exists once",
        ) from error
    return milliseconds(column.to_frame(), column.name), notes


def _parsed(column: pl.Series) -> pl.Series:
    zoned = column.str.to_datetime("%+", time_unit="ms", time_zone="UTC", strict=False)
    if not zoned.null_count():
        return zoned
    naive = column.str.to_datetime(time_unit="ms", strict=False)
    if naive.null_count():
        row = int(naive.is_null().arg_max() or 0)
        raise DataError(
            f"{column.name!r}: {column[row]!r} in row {row + 1} is not a time",
            remedy="write ISO 8601, all with an offset or all without: 2023-04-12T11:00:00Z",
        )
    return naive


def _signs(column: pl.Series) -> IntArray:
    keys = column.cast(pl.String).str.strip_chars().str.to_lowercase()
    signs = keys.replace_strict(_SIGNS, default=None, return_dtype=pl.Int64)
    if signs.null_count():
        wrong = column.cast(pl.String)[int(signs.is_null().arg_max() or 0)]
        raise DataError(
            f"option type {wrong!r} is neither a call nor a put",
            remedy="write C or P, call or put, 1 or -1",
        )
    return signs.to_numpy().copy()


def _names(
    rows: pl.DataFrame, underlying: str, expiry: IntArray, strike: FloatArray, sign: IntArray
) -> list[str]:
    if "name" in rows.columns:
        return [str(name) for name in rows["name"].to_list()]
    dates = np.datetime_as_string(expiry.astype("datetime64[ms]"), unit="D")
    letters = np.where(sign > 0, "C", "P")
    return [f"{underlying}-{d}-{k:g}-{c}" for d, k, c in zip(dates, strike, letters, strict=True)]
