"""Option chains written down as the tables that a user's files would hold."""

from __future__ import annotations

import numpy as np
import polars as pl

from commonmode.core.ids import CurrencyCode
from commonmode.market.snapshot import Snapshot

__all__ = ["chain_table"]


def chain_table(snapshot: Snapshot, coin: str) -> pl.DataFrame:
    """One row per option, times in milliseconds, volatilities as decimals; NaN: no quote."""
    chain = snapshot.chain(CurrencyCode(coin))
    return pl.DataFrame(
        {
            "time": np.full(len(chain), chain.time_ms),
            "quote_time": chain.quote_ms,
            "name": chain.names,
            "expiry": chain.expiry_ms,
            "strike": chain.strike,
            "type": np.where(chain.sign > 0, "C", "P"),
            "forward": chain.forward,
            "index": chain.index,
            "bid": chain.bid.values,
            "ask": chain.ask.values,
            "mark": chain.mark.values,
            "bid_iv": chain.bid_iv,
            "ask_iv": chain.ask_iv,
            "mark_iv": chain.mark_iv,
        }
    )
