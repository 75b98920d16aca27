"""What the rooms above ask of a feed: times, snapshots, histories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from commonmode.core.arrays import IntArray
from commonmode.market.clock import TimeLike
from commonmode.market.funding import FundingSeries
from commonmode.market.history import History
from commonmode.market.snapshot import Snapshot

__all__ = ["Feed", "FundedFeed"]


@runtime_checkable
class Feed(Protocol):
    """A source of market data; the recorded market and the laboratory are two of them."""

    def snapshot_times(self, start: TimeLike, end: TimeLike, every_minutes: int = 60) -> IntArray:
        """Times of the grid from ``start`` to ``end`` (inclusive) at which there is a snapshot.

        int64, shape (T,), UTC milliseconds; times of the grid that are missing are left out.
        """
        ...

    def snapshots(
        self, times: IntArray | Sequence[int], underlyings: Sequence[str] = ("BTC", "ETH")
    ) -> Iterator[Snapshot]:
        """Snapshots at ``times``, in order; what is missing is said in the notes."""
        ...

    def history(
        self, underlying: str, start: TimeLike | None = None, end: TimeLike | None = None
    ) -> History:
        """Hourly bars of ``underlying`` whose end lies in [start, end]."""
        ...


@runtime_checkable
class FundedFeed(Protocol):
    """A source that also knows what perpetuals paid (optional)."""

    def funding(self, underlying: str) -> FundingSeries:
        """Funding of the perpetual on ``underlying``; a DataError where there is none."""
        ...
