"""The recorded market: real data of several venues, each with its traps (see docs/data.md)."""

from __future__ import annotations

from commonmode.adapters.feeds.recorded.candles import (
    cross_venue_8h,
    cross_venue_hourly,
    multi_asset_hourly,
)
from commonmode.adapters.feeds.recorded.chains import SINGLE_DATES, single_date_chain
from commonmode.adapters.feeds.recorded.daily import (
    benchmark_returns,
    btc_daily,
    daily_prices,
    dvol_daily,
    stablecoin_peg,
)
from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.adapters.feeds.recorded.feed import RecordedFeed
from commonmode.adapters.feeds.recorded.funding import funding_2020_2022, funding_2025
from commonmode.adapters.feeds.recorded.hourly import hourly_history
from commonmode.adapters.feeds.recorded.locate import find_recordings, require_recordings
from commonmode.adapters.feeds.recorded.open_interest import option_activity
from commonmode.adapters.feeds.recorded.ticks import TopOfBook, TradeTape, top_of_book, trade_tape

__all__ = [
    "SINGLE_DATES",
    "DeribitOptionsFeed",
    "RecordedFeed",
    "TopOfBook",
    "TradeTape",
    "benchmark_returns",
    "btc_daily",
    "cross_venue_8h",
    "cross_venue_hourly",
    "daily_prices",
    "dvol_daily",
    "find_recordings",
    "funding_2020_2022",
    "funding_2025",
    "hourly_history",
    "multi_asset_hourly",
    "option_activity",
    "require_recordings",
    "single_date_chain",
    "stablecoin_peg",
    "top_of_book",
    "trade_tape",
]
