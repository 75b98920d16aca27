"""The recorded market: real data of several venues, each with its traps."""

from __future__ import annotations

from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.adapters.feeds.recorded.feed import RecordedFeed
from commonmode.adapters.feeds.recorded.hourly import hourly_history
from commonmode.adapters.feeds.recorded.locate import find_recordings, require_recordings

__all__ = [
    "DeribitOptionsFeed",
    "RecordedFeed",
    "find_recordings",
    "hourly_history",
    "require_recordings",
]
