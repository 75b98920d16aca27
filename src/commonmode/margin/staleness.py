"""Feeds that are too old: what they price, and who posted it, fails."""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import IntArray
from commonmode.core.result import Failure, FailureReason
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.market import Expiries, MarginMarket, Underlyings
from commonmode.market.instruments import InstrumentKind

__all__ = ["stale_collateral", "stale_instruments"]


def stale_instruments(
    table: ResolvedBook,
    underlyings: Underlyings,
    expiries: Expiries,
    underlying: IntArray,
    expiry: IntArray,
    max_age_seconds: float,
) -> dict[int, Failure]:
    """Rows whose spot or forward is older than allowed."""
    failures = {}
    for row in range(len(table)):
        stamps = {str(table.underlying[row]): int(underlyings.stamp_ms[underlying[row]])}
        if table.kind[row] in (InstrumentKind.OPTION.value, InstrumentKind.FUTURE.value):
            stamps["its forward"] = int(expiries.stamp_ms[expiry[row]])
        feed, stamp = min(stamps.items(), key=lambda item: item[1])
        age = (table.time_ms - stamp) / 1000.0
        if age > max_age_seconds:
            failures[row] = _too_old(str(table.instrument[row]), feed, age, max_age_seconds)
    return failures


def stale_collateral(
    market: MarginMarket, name: str, column: int, max_age_seconds: float
) -> Failure | None:
    """A coin that is posted at the spot of its feed is worth no more than that feed."""
    at = np.flatnonzero(market.underlyings.name == name)
    if not len(at) or market.assets.price[column] != market.underlyings.spot[at[0]]:
        return None
    age = (market.time_ms - int(market.underlyings.stamp_ms[at[0]])) / 1000.0
    if not age > max_age_seconds:
        return None
    return _too_old(f"collateral {name}", name, age, max_age_seconds)


def _too_old(what: str, feed: str, age: float, allowed: float) -> Failure:
    return Failure(
        FailureReason.STALE_DATA,
        f"{what}: the feed of {feed} is {age:.0f} s old, {allowed:.0f} s are allowed",
        "restart the feed, or allow an older one",
    )
