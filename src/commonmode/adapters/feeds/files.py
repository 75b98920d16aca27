"""Parquet and CSV opened lazily; a file that cannot be read is a message, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.market.columns import describe_missing

__all__ = ["collect", "floats", "milliseconds", "scan_table"]

_REMEDY = "the file looks cut off or is not what its name says: download or export it again"


def scan_table(path: Path, needed: Sequence[str] = ()) -> pl.LazyFrame:
    """Lazy frame of a Parquet or CSV file whose schema has been read and checked.

    Raises
    ------
    DataError
        No such file, empty, truncated, unknown suffix or columns missing.
    """
    if not path.is_file():
        raise DataError(f"no file {path}", remedy="check the path; recordings are not shipped")
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise DataError(f"{path} is not a .parquet or .csv file", remedy="export it as one of them")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty", remedy=_REMEDY)
    try:
        if suffix == ".parquet":
            frame = pl.scan_parquet(path)
        else:
            frame = pl.scan_csv(path, infer_schema_length=None)
        found = frame.collect_schema().names()
    except (PolarsError, OSError) as error:
        raise DataError(f"cannot read {path}: {_first_line(error)}", remedy=_REMEDY) from error
    missing = [name for name in needed if name not in found]
    if missing:
        raise DataError(
            f"{path}: {describe_missing(missing, found)}",
            remedy="rename the columns, or pass a mapping of our names to yours",
        )
    return frame


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Read the frame; a damaged body (the schema was fine) is a DataError too."""
    try:
        return frame.collect()
    except (PolarsError, OSError) as error:
        raise DataError(f"cannot read {path}: {_first_line(error)}", remedy=_REMEDY) from error


def floats(frame: pl.DataFrame, name: str) -> FloatArray:
    """Column as float64, shape (n,); nulls become NaN, text is an error.

    Raises
    ------
    DataError
        If the column does not hold numbers.
    """
    column = frame[name]
    # A column of nothing but gaps has no type of its own in a CSV.
    if not column.dtype.is_numeric() and column.null_count() < len(column):
        raise DataError(
            f"column {name!r} holds {column.dtype}, not numbers",
            remedy="check the column mapping and the decimal sign of the file",
        )
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()


def milliseconds(frame: pl.DataFrame, name: str) -> IntArray:
    """A Datetime column (naive is UTC) as int64 UTC milliseconds, shape (n,)."""
    return frame[name].dt.epoch("ms").cast(pl.Int64).to_numpy().copy()


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
