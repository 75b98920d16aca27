"""Columns of a panel file, checked one at a time: times, names, numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError, PanelError
from commonmode.market.clock import utc_ms
from commonmode.market.columns import describe_missing
from commonmode.market.snapshot import DataNote

__all__ = ["number_column", "read_frame", "text_column", "time_column"]

_EARLIEST_MS: Final = 631_152_000_000  # 1990-01-01
_LATEST_MS: Final = 4_102_444_800_000  # 2100-01-01
_TEXTS: Final = ("model", "target", "kind", "reason", "message", "remedy")
_AGAIN: Final = "the file looks cut off or is not what its name says: export it again"


def read_frame(path: Path, required: tuple[str, ...]) -> pl.DataFrame:
    """Whole Parquet or CSV file whose columns include ``required``.

    Raises
    ------
    PanelError
        No such file, empty, damaged, unknown suffix, columns missing, no rows.
    """
    if not path.is_file():
        raise PanelError(f"no file {path}", remedy="check the path")
    if path.stat().st_size == 0:
        raise PanelError(f"{path.name} is empty", remedy=_AGAIN)
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise PanelError(
            f"{path.name} is not a .parquet or .csv file", remedy="export the panel as one of them"
        )
    try:
        if suffix == ".parquet":
            frame = pl.read_parquet(path)
        else:
            # Names are texts whatever they look like: a model "007" is not the number 7.
            header = pl.read_csv(path, n_rows=0).columns
            texts: dict[str, pl.DataType] = {n: pl.String() for n in _TEXTS if n in header}
            frame = pl.read_csv(path, infer_schema_length=None, schema_overrides=texts)
    except (PolarsError, OSError) as error:
        detail = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PanelError(f"cannot read {path.name}: {detail}", remedy=_AGAIN) from error
    missing = [name for name in required if name not in frame.columns]
    if missing:
        raise PanelError(
            f"{path.name}: {describe_missing(missing, frame.columns)}",
            remedy=f"a panel file has the columns {', '.join(required)}",
        )
    if frame.is_empty():
        raise PanelError(f"{path.name} has no rows", remedy="write at least one forecast")
    return frame


def time_column(column: pl.Series) -> tuple[IntArray, tuple[DataNote, ...]]:
    """Times as int64 UTC milliseconds, shape (n,), with a note where UTC was assumed.

    Datetime (naive is UTC), Date (its midnight), integers (milliseconds) and ISO 8601 texts.

    Raises
    ------
    PanelError
        Missing or unparsable times, or integers that are not milliseconds.
    """
    _no_nulls(column)
    assumed = DataNote("naive_times", f"{column.name!r} has no time zone: taken as UTC", 1)
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        if dtype.time_unit != "ms":
            _whole_milliseconds(column, dtype)
        times = column.dt.epoch("ms").cast(pl.Int64).to_numpy()
        return times, () if dtype.time_zone else (assumed,)
    if dtype == pl.Date:
        return column.cast(pl.Datetime("ms")).dt.epoch("ms").cast(pl.Int64).to_numpy(), (assumed,)
    if dtype.is_integer():
        times = column.cast(pl.Int64).to_numpy()
        if times.min() < _EARLIEST_MS or times.max() > _LATEST_MS:
            raise PanelError(
                f"{column.name!r} holds {times[0]}, which is no time in milliseconds",
                remedy="write milliseconds since 1970-01-01 UTC (13 digits), not s, us or ns",
            )
        return times, ()
    if dtype == pl.String:
        return _iso_times(column, assumed)
    raise PanelError(
        f"{column.name!r} holds {dtype}, not times",
        remedy="write a datetime, a date, integer milliseconds or ISO 8601 text",
    )


def text_column(column: pl.Series) -> pl.Series:
    """Names as text; a missing name is an error."""
    _no_nulls(column)
    return column.cast(pl.String)


def number_column(column: pl.Series) -> FloatArray:
    """Numbers as float64, shape (n,); null becomes NaN.

    Raises
    ------
    PanelError
        Texts or infinite numbers.
    """
    if column.null_count() == len(column):
        return np.full(len(column), np.nan)
    if not column.dtype.is_numeric():
        example = next((v for v in column.to_list() if v is not None), None)
        raise PanelError(
            f"{column.name!r} holds {column.dtype}, not numbers (e.g. {example!r})",
            remedy="write plain numbers with a decimal point; leave a failed forecast empty",
        )
    values = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise PanelError(
            f"{column.name!r} is infinite in row {row + 1}",
            remedy="leave a failed forecast empty and say why in the column 'reason'",
        )
    return values


def _no_nulls(column: pl.Series) -> None:
    if column.null_count():
        row = int(column.is_null().arg_max() or 0)
        raise PanelError(
            f"{column.name!r} is empty in row {row + 1}", remedy="every row needs it: fill it in"
        )


def _whole_milliseconds(column: pl.Series, dtype: pl.Datetime) -> None:
    per_ms = 1_000 if dtype.time_unit == "us" else 1_000_000
    off = column.to_physical() % per_ms != 0
    if off.any():
        raise PanelError(
            f"{column.name!r} is finer than a millisecond in row {int(off.arg_max() or 0) + 1}",
            remedy="round the times to milliseconds",
        )


def _iso_times(column: pl.Series, assumed: DataNote) -> tuple[IntArray, tuple[DataNote, ...]]:
    unique = column.unique(maintain_order=True).to_list()
    try:
        known = [utc_ms(text.strip()) for text in unique]
    except DataError as error:
        raise PanelError(f"{column.name!r}: {error.message}", remedy=error.remedy) from error
    code = column.cast(pl.Enum(unique)).to_physical().to_numpy()
    # A zone is a Z or a sign after the date (ten characters).
    naive = any(not (t.endswith(("Z", "z")) or "+" in t[10:] or "-" in t[10:]) for t in unique)
    return np.array(known, dtype=np.int64)[code], (assumed,) if naive else ()
