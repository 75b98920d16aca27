"""Every BTC and ETH option of Deribit, every five minutes, 12-13 April 2023.

The traps of the set and what becomes of them: quotes of one snapshot are stamped up to 146 s apart
(each keeps its own time and forward, a note gives the span); prices are in coin (``CoinArray``)
and volatilities in percent (decimals here); ``best_bid_price`` 0 is no bid and ``bid_iv`` 0 or
``ask_iv`` >= 300 are sentinels (NaN, flags, notes); marks are rounded to four decimals (note);
snapshots are missing, among them 07:55 to 08:55 on 13 April, which swallows an expiry (reported,
never filled in).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.arrays import IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import vol_from_percent
from commonmode.market.chain import OptionChain
from commonmode.market.cleaning import chain_notes, clean_chain
from commonmode.market.clock import TimeLike, utc_iso, utc_ms
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import DataNote, Snapshot

__all__ = ["DeribitOptionsFeed"]

_FOLDER: Final = "deribit_options_5min_202304"
_STEP_MS: Final = 300_000
_COLUMNS: Final = (
    "snapshot_ts",
    "exchange_ts",
    "instrument_name",
    "expiry",
    "strike",
    "option_type",
    "underlying_price",
    "index_price",
    "mark_price",
    "mark_iv",
    "bid_iv",
    "ask_iv",
    "best_bid_price",
    "best_ask_price",
    "open_interest",
)


class DeribitOptionsFeed:
    """Snapshots of the recorded option chains.

    Parameters
    ----------
    root : Path
        Folder of the recordings (see ``find_recordings``).
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / _FOLDER

    def snapshot_times(
        self,
        start: TimeLike,
        end: TimeLike,
        every_minutes: int = 60,
        underlyings: Sequence[str] = ("BTC", "ETH"),
    ) -> IntArray:
        """Recorded times on the grid, at which at least one underlying has a chain.

        Parameters
        ----------
        start, end : TimeLike
            Inclusive; the grid is anchored at the full hour.
        every_minutes : int
            Spacing of the grid.
        underlyings : sequence of str

        Returns
        -------
        int64, shape (T,)
        """
        recorded = np.concatenate([self._recorded(name) for name in underlyings])
        return np.intersect1d(recorded, _grid(start, end, every_minutes))

    def coverage(
        self,
        start: TimeLike,
        end: TimeLike,
        every_minutes: int = 5,
        underlyings: Sequence[str] = ("BTC", "ETH"),
    ) -> tuple[DataNote, ...]:
        """One note for each run of missing times on the grid, by underlying."""
        grid = _grid(start, end, every_minutes)
        notes = []
        for name in underlyings:
            missing = np.setdiff1d(grid, self._recorded(name))
            breaks = np.flatnonzero(np.diff(missing) > every_minutes * 60_000) + 1
            for run in np.split(missing, breaks):
                if len(run):
                    span = f"{utc_iso(int(run[0]))} to {utc_iso(int(run[-1]))}"
                    text = f"{name}: no snapshot from {span}: {len(run)} missing, none filled in"
                    notes.append(DataNote("missing_snapshots", text, len(run)))
        return tuple(notes)

    def snapshots(
        self, times: IntArray | Sequence[int], underlyings: Sequence[str] = ("BTC", "ETH")
    ) -> Iterator[Snapshot]:
        """Snapshots at ``times``; each file is read once, only the rows and columns needed.

        A time that was not recorded gives no snapshot; the next one that is there carries a note
        naming it (the last one, if none follows). Expiries hidden by a gap of the file are
        noted too.

        Parameters
        ----------
        times : int64, shape (T,)
            Nominal times, UTC milliseconds, in any order; served in increasing order.
        underlyings : sequence of str

        Raises
        ------
        DataError
            None of the times was recorded, or an underlying is not in the set.
        """
        wanted = np.unique(np.asarray(times, dtype=np.int64))
        frames = {name: self._read(name, wanted) for name in underlyings}
        stamps = {name: milliseconds(f, "snapshot_ts") for name, f in frames.items()}
        present = np.unique(np.concatenate([*stamps.values(), np.empty(0, dtype=np.int64)]))
        if len(wanted) and not len(present):
            span = f"{utc_iso(int(wanted[0]))} to {utc_iso(int(wanted[-1]))}"
            raise DataError(
                f"none of the {len(wanted)} snapshot times from {span} was recorded",
                remedy="the set covers 2023-04-12T10:40Z to 2023-04-13T23:55Z in steps of 5 "
                "minutes; ask for the times of snapshot_times",
            )
        return self._serve(wanted, present, frames, stamps)

    def _serve(
        self,
        wanted: IntArray,
        present: IntArray,
        frames: dict[str, pl.DataFrame],
        stamps: dict[str, IntArray],
    ) -> Iterator[Snapshot]:
        missing = np.setdiff1d(wanted, present)
        # Index of the present time that follows each missing one; the last one speaks for the rest.
        owner = np.minimum(np.searchsorted(present, missing), len(present) - 1)
        recorded = {name: self._recorded(name) for name in frames}
        previous: dict[str, OptionChain] = {}
        for i, time in enumerate(present.tolist()):
            chains: dict[CurrencyCode, OptionChain] = {}
            notes: list[DataNote] = []
            lost = missing[owner == i]
            for name, frame in frames.items():
                low, high = np.searchsorted(stamps[name], [time, time + 1])
                if low == high:
                    notes.append(DataNote("missing_chain", f"{name}: no chain at {utc_iso(time)}"))
                    continue
                chain = _chain(name, time, frame[int(low) : int(high)])
                chains[CurrencyCode(name)] = chain
                notes.extend(chain_notes(chain))
                if name in previous:
                    notes.extend(_swallowed(previous[name], time, recorded[name]))
                previous[name] = chain
            if len(lost):
                text = f"not recorded: {', '.join(utc_iso(int(t)) for t in lost)}; none filled in"
                notes.append(DataNote("missing_snapshots", text, len(lost)))
            yield Snapshot(time, chains, tuple(notes))

    def _path(self, underlying: str) -> Path:
        path = self._folder / f"{underlying.lower()}_options_top.parquet"
        if not path.is_file():
            raise DataError(
                f"the recorded options hold no underlying {underlying!r} ({path.name})",
                remedy="BTC and ETH were recorded; check COMMONMODE_DATA",
            )
        return path

    def _recorded(self, underlying: str) -> IntArray:
        path = self._path(underlying)
        frame = scan_table(path, _COLUMNS).select(pl.col("snapshot_ts").unique().sort())
        return milliseconds(collect(frame, path), "snapshot_ts")

    def _read(self, underlying: str, times: IntArray) -> pl.DataFrame:
        path = self._path(underlying)
        wanted = pl.Series(times).cast(pl.Datetime("ms", "UTC"))
        frame = scan_table(path, _COLUMNS).select(_COLUMNS)
        frame = frame.filter(pl.col("snapshot_ts").is_in(wanted.implode()))
        return collect(frame.sort("snapshot_ts", "expiry", "strike", "option_type"), path)


def _chain(underlying: str, time_ms: int, rows: pl.DataFrame) -> OptionChain:
    return clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode(underlying),
        settlement=Settlement.COIN,
        time_ms=time_ms,
        names=np.array(rows["instrument_name"].to_list(), dtype=np.str_),
        quote_ms=milliseconds(rows, "exchange_ts"),
        expiry_ms=milliseconds(rows, "expiry"),
        strike=floats(rows, "strike"),
        sign=np.where(rows["option_type"].to_numpy() == "C", 1, -1).astype(np.int64),
        bid=floats(rows, "best_bid_price"),
        ask=floats(rows, "best_ask_price"),
        mark=floats(rows, "mark_price"),
        bid_iv=vol_from_percent(floats(rows, "bid_iv")),
        ask_iv=vol_from_percent(floats(rows, "ask_iv")),
        mark_iv=vol_from_percent(floats(rows, "mark_iv")),
        forward=floats(rows, "underlying_price"),
        index=floats(rows, "index_price"),
        open_interest=floats(rows, "open_interest"),
    )


def _swallowed(before: OptionChain, time_ms: int, recorded: IntArray) -> Iterator[DataNote]:
    """Expiries between the chain ``before`` and ``time_ms`` that a gap of the file hides."""
    expiries = np.unique(before.expiry_ms)
    for expiry in expiries[(expiries > before.time_ms) & (expiries <= time_ms)].tolist():
        after = int(np.searchsorted(recorded, expiry))
        last, following = int(recorded[after - 1]), int(recorded[after])
        if following - last <= _STEP_MS:
            continue
        count = int(np.count_nonzero(before.expiry_ms == expiry))
        text = (
            f"{before.underlying}: {count} options expired at {utc_iso(expiry)} inside a gap of "
            f"the recording ({utc_iso(last)} to {utc_iso(following)})"
        )
        yield DataNote("expiry_in_gap", text, count)


def _grid(start: TimeLike, end: TimeLike, every_minutes: int) -> IntArray:
    if every_minutes < 1:
        raise DataError(f"every_minutes is {every_minutes}", remedy="give a whole number >= 1")
    step = every_minutes * 60_000
    first = -(-utc_ms(start) // step) * step
    return np.arange(first, utc_ms(end) + 1, step, dtype=np.int64)
