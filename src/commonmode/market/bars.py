"""Raw bars to a history: gaps, repeated bars and impossible prices are found and noted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId
from commonmode.market.clock import utc_iso
from commonmode.market.history import History
from commonmode.market.snapshot import DataNote

__all__ = ["bar_notes", "clean_bars", "stale_runs"]


def stale_runs(columns: Mapping[str, FloatArray], at_least: int) -> BoolArray:
    """Bars that repeat the bar before them, in runs of ``at_least`` identical bars.

    A venue that stops updating repeats its last open, high, low and close. The first bar of a run
    is not marked: it was news.

    Parameters
    ----------
    columns : mapping of name to float64, shape (T,)
        Of ``open``, ``high``, ``low``, ``close`` those that are there are compared.
    at_least : int
        Shortest run of identical bars that counts, >= 2.

    Returns
    -------
    bool, shape (T,)
    """
    names = [name for name in ("open", "high", "low", "close") if name in columns]
    n = len(columns[names[0]])
    same = np.zeros(n, dtype=np.bool_)
    if n > 1:
        same[1:] = np.logical_and.reduce([np.diff(columns[name]) == 0 for name in names])
    # Run lengths of `same`: a run of r repeats is r + 1 identical bars.
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    marked = np.zeros(n, dtype=np.bool_)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start + 1 >= at_least:
            marked[start:stop] = True
    return marked


def bar_notes(
    times_ms: IntArray, columns: Mapping[str, FloatArray], step_ms: int, *, stale_after: int = 2
) -> tuple[DataNote, ...]:
    """Gaps (one note each), repeated bars, bars without volume and impossible prices."""
    notes = []
    steps = np.diff(times_ms)
    for i in np.flatnonzero(steps > step_ms):
        lost = round(int(steps[i]) / step_ms) - 1
        span = f"{utc_iso(int(times_ms[i]))} to {utc_iso(int(times_ms[i + 1]))}"
        notes.append(DataNote("gap", f"no bars from {span}: {lost} missing, none filled in", lost))
    irregular = int(np.count_nonzero((steps < step_ms) | (steps % step_ms != 0)))
    if irregular:
        notes.append(DataNote("irregular_steps", f"{irregular} steps off the grid", irregular))
    stale = int(np.count_nonzero(stale_runs(columns, stale_after))) if len(times_ms) else 0
    if stale:
        notes.append(DataNote("stale_bars", f"{stale} bars repeat the bar before them", stale))
    broken = int(np.count_nonzero(_discontinuous(times_ms, columns, step_ms)))
    if broken:
        text = f"{broken} bars open far from the close before them: the venue's bars are partial"
        notes.append(DataNote("discontinuous_bars", text, broken))
    if "volume" in columns:
        idle = int(np.count_nonzero(columns["volume"] == 0))
        if idle:
            notes.append(DataNote("zero_volume", f"{idle} bars without volume", idle))
    bad = int(np.count_nonzero(_impossible(columns)))
    if bad:
        text = f"{bad} bars whose prices contradict one another (low <= open, close <= high)"
        notes.append(DataNote("ohlc_violation", text, bad))
    return tuple(notes)


def clean_bars(
    instrument: InstrumentId,
    step_ms: int,
    times_ms: IntArray,
    columns: Mapping[str, FloatArray],
    *,
    notes: tuple[DataNote, ...] = (),
    stale_after: int = 2,
) -> History:
    """History of bars whose *end* is ``times_ms``; prices that are not positive become NaN.

    Rows are sorted; a repeated time keeps its first row, and a note says so.

    Parameters
    ----------
    instrument : InstrumentId
    step_ms : int
    times_ms : int64, shape (T,)
    columns : mapping of name to float64, shape (T,)
        Must hold ``close``.
    notes : tuple of DataNote
        What the reader already knows.
    stale_after : int
        Shortest run of identical bars that is reported.

    Raises
    ------
    DataError
        No rows, or no ``close``.
    """
    if len(times_ms) == 0:
        raise DataError(
            f"history {instrument} has no rows",
            remedy="choose a period that the data covers, or record it again",
        )
    found = list(notes)
    order = np.argsort(times_ms, kind="stable")
    fresh = np.concatenate(([True], np.diff(times_ms[order]) > 0))
    repeated = int(len(order) - np.count_nonzero(fresh))
    if repeated:
        found.append(DataNote("duplicate_times", f"{repeated} repeated times dropped", repeated))
    rows = order[fresh]
    kept: dict[str, FloatArray] = {}
    for name, column in columns.items():
        values = np.asarray(column, dtype=np.float64)[rows]
        if name in ("open", "high", "low", "close"):
            wrong = ~(np.isfinite(values) & (values > 0))
            if wrong.any():
                count = int(np.count_nonzero(wrong))
                text = f"{count} values of {name} are missing or not positive: NaN"
                found.append(DataNote("bad_price", text, count))
                values = np.where(wrong, np.nan, values)
        kept[name] = values
    times = np.asarray(times_ms, dtype=np.int64)[rows]
    found.extend(bar_notes(times, kept, step_ms, stale_after=stale_after))
    return History(instrument, step_ms, times, kept, tuple(found))


def _discontinuous(
    times_ms: IntArray, columns: Mapping[str, FloatArray], step_ms: int
) -> BoolArray:
    """Bars that open further from the previous close than a quarter of their own range.

    Trading is continuous, so consecutive bars meet; where they do not, part of the hour is not in
    the bar. A venue that is not updated shows this before it ever repeats a bar.
    """
    apart = np.zeros(len(times_ms), dtype=np.bool_)
    if not {"open", "high", "low"} <= set(columns) or len(times_ms) < 2:
        return apart
    jump = np.abs(columns["open"][1:] - columns["close"][:-1])
    spread = columns["high"][1:] - columns["low"][1:]
    apart[1:] = (np.diff(times_ms) == step_ms) & (jump > 0.25 * spread) & (spread > 0)
    return apart


def _impossible(columns: Mapping[str, FloatArray]) -> BoolArray:
    high, low = columns.get("high"), columns.get("low")
    bad = np.zeros(len(columns["close"]), dtype=np.bool_)
    for name in ("open", "close"):
        if name in columns and high is not None and low is not None:
            bad |= (columns[name] > high) | (columns[name] < low)
    return bad
