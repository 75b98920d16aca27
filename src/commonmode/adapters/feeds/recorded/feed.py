"""The recorded market as one feed: Deribit snapshots and Binance hourly bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.adapters.feeds.recorded.funding import funding_2020_2022
from commonmode.adapters.feeds.recorded.hourly import hourly_history
from commonmode.core.arrays import IntArray
from commonmode.market.clock import TimeLike
from commonmode.market.funding import FundingSeries
from commonmode.market.history import History
from commonmode.market.snapshot import Snapshot

__all__ = ["RecordedFeed"]


class RecordedFeed:
    """Implements :class:`commonmode.market.feed.Feed` over the recordings.

    Parameters
    ----------
    root : Path
        Folder of the recordings (see ``find_recordings``).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.options = DeribitOptionsFeed(root)

    def snapshot_times(self, start: TimeLike, end: TimeLike, every_minutes: int = 60) -> IntArray:
        """Recorded times on the grid; see :meth:`DeribitOptionsFeed.snapshot_times`."""
        return self.options.snapshot_times(start, end, every_minutes)

    def snapshots(
        self, times: IntArray | Sequence[int], underlyings: Sequence[str] = ("BTC", "ETH")
    ) -> Iterator[Snapshot]:
        """Option chains at ``times``; see :meth:`DeribitOptionsFeed.snapshots`."""
        return self.options.snapshots(times, underlyings)

    def history(
        self, underlying: str, start: TimeLike | None = None, end: TimeLike | None = None
    ) -> History:
        """Hourly spot bars; see :func:`hourly_history`."""
        return hourly_history(self._root, underlying, start, end)

    def funding(self, underlying: str) -> FundingSeries:
        """Funding of Binance's perpetual, 2020 to 2022; see :func:`funding_2020_2022`."""
        return funding_2020_2022(self._root, "binance", underlying)
