"""Times as people write them, turned into integer milliseconds UTC; nothing reads a clock here."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

from commonmode.core.errors import DataError

__all__ = ["TimeLike", "utc_iso", "utc_ms"]

TimeLike: TypeAlias = int | str | date | datetime

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def utc_ms(time: TimeLike) -> int:
    """Milliseconds since 1970-01-01 UTC.

    Parameters
    ----------
    time : int, str, date or datetime
        Milliseconds, an ISO 8601 text (``2023-04-12T11:00Z``) or a date (its midnight). A time
        without an offset is taken as UTC.

    Raises
    ------
    DataError
        If a text is not an ISO 8601 time.
    """
    if isinstance(time, int):
        return time
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError as error:
            raise DataError(
                f"{time!r} is not a time",
                remedy="write it as 2023-04-12, 2023-04-12T11:00 or 2023-04-12T11:00Z (UTC)",
            ) from error
    if not isinstance(time, datetime):
        time = datetime(time.year, time.month, time.day)
    moment = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def utc_iso(time_ms: int) -> str:
    """ISO 8601 text of a time in UTC milliseconds, to the minute where nothing is lost by it."""
    moment = _EPOCH + timedelta(milliseconds=int(time_ms))
    if time_ms % 60_000 == 0:
        return moment.strftime("%Y-%m-%dT%H:%MZ")
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
