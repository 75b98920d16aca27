"""A user's own tables as a feed: what a study with ``source = "files"`` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from commonmode.core.arrays import IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode
from commonmode.market.chain import OptionChain
from commonmode.market.clock import TimeLike, utc_iso, utc_ms
from commonmode.market.history import History
from commonmode.market.snapshot import DataNote, Snapshot

__all__ = ["OwnFeed"]


class OwnFeed:
    """Implements :class:`commonmode.market.feed.Feed` over histories and snapshots already read.

    Parameters
    ----------
    histories : mapping of underlying to History
        As from :func:`commonmode.adapters.feeds.tables.read_history`.
    snapshots : sequence of Snapshot
        As from :func:`commonmode.adapters.feeds.tables.read_chain_table`; snapshots of several
        underlyings at one time are put together.
    """

    def __init__(
        self, histories: Mapping[str, History], snapshots: Sequence[Snapshot] = ()
    ) -> None:
        self._histories = dict(histories)
        chains: dict[int, dict[CurrencyCode, OptionChain]] = {}
        notes: dict[int, list[DataNote]] = {}
        for snapshot in snapshots:
            chains.setdefault(snapshot.time_ms, {}).update(snapshot.chains)
            notes.setdefault(snapshot.time_ms, []).extend(snapshot.notes)
        self._snapshots = {
            time: Snapshot(time, chains[time], tuple(notes[time])) for time in sorted(chains)
        }

    def snapshot_times(self, start: TimeLike, end: TimeLike, every_minutes: int = 60) -> IntArray:
        """Times in the tables that lie on the grid anchored at the full hour."""
        low, high, step = utc_ms(start), utc_ms(end), every_minutes * 60_000
        times = np.array(list(self._snapshots), dtype=np.int64)
        return np.asarray(times[(times >= low) & (times <= high) & (times % step == 0)])

    def snapshots(
        self, times: IntArray | Sequence[int], underlyings: Sequence[str] = ("BTC", "ETH")
    ) -> Iterator[Snapshot]:
        """Snapshots at ``times`` that the tables have, restricted to ``underlyings``."""
        for time in np.unique(np.asarray(times, dtype=np.int64)).tolist():
            found = self._snapshots.get(time)
            if found is None:
                continue
            wanted = {coin: chain for coin, chain in found.chains.items() if coin in underlyings}
            yield Snapshot(time, wanted, found.notes)

    def history(
        self, underlying: str, start: TimeLike | None = None, end: TimeLike | None = None
    ) -> History:
        """Bars of ``underlying`` whose end lies in [start, end].

        Raises
        ------
        DataError
            No table of that underlying, or no bar in the period.
        """
        if underlying not in self._histories:
            raise DataError(
                f"the study names no history of {underlying}",
                remedy=f"add [[market.histories]] for it (there is: "
                f"{', '.join(sorted(self._histories)) or 'none'})",
            )
        history = self._histories[underlying]
        times = history.times_ms
        low = 0 if start is None else int(np.searchsorted(times, utc_ms(start)))
        high = len(times) if end is None else int(np.searchsorted(times, utc_ms(end), "right"))
        if high <= low:
            span = (
                f"{utc_iso(int(times[0]))} to {utc_iso(int(times[-1]))}"
                if len(times)
                else "nothing"
            )
            raise DataError(
                f"the history of {underlying} has no bar in that period",
                remedy=f"it covers {span}",
            )
        return history.rows(low, high)
