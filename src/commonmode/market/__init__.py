"""Instruments, quotes, chains, snapshots and histories: what the market showed, columnar."""

from __future__ import annotations

from commonmode.market.chain import OptionChain, QuoteFlag
from commonmode.market.clock import utc_iso, utc_ms
from commonmode.market.feed import Feed
from commonmode.market.funding import FundingSeries
from commonmode.market.history import History
from commonmode.market.instruments import (
    Instrument,
    InstrumentKind,
    Payoff,
    Settlement,
    parse_deribit_name,
)
from commonmode.market.snapshot import DataNote, Snapshot

__all__ = [
    "DataNote",
    "Feed",
    "FundingSeries",
    "History",
    "Instrument",
    "InstrumentKind",
    "OptionChain",
    "Payoff",
    "QuoteFlag",
    "Settlement",
    "Snapshot",
    "parse_deribit_name",
    "utc_iso",
    "utc_ms",
]
