"""Six minutes of Binance trades and quotes on three engines, with the recorder's clock measured.

The recorder's clock ran about 1.27 s behind the exchange: every message arrived "before" it was
sent. A delay cannot be negative, so the clock is behind by at least the largest lead; that bound is
the estimate, and times are the exchange's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from commonmode.adapters.feeds.files import collect, floats, scan_table
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId
from commonmode.market.snapshot import DataNote

__all__ = ["TopOfBook", "TradeTape", "top_of_book", "trade_tape"]


@dataclass(frozen=True, slots=True, eq=False)
class TradeTape:
    """Trades of one instrument.

    Attributes
    ----------
    instrument : InstrumentId
    event_ms : int64, shape (n,)
        The exchange's own time, UTC milliseconds.
    local_ns : int64, shape (n,)
        The recorder's time, nanoseconds; not corrected.
    price, quantity : float64, shape (n,)
    sign : int64, shape (n,)
        +1 the buyer took, -1 the seller took.
    clock_behind_ms : float
        Smallest amount by which the recorder's clock must be behind the exchange's; 0 if no
        message arrived before it was sent.
    notes : tuple of DataNote
    """

    instrument: InstrumentId
    event_ms: IntArray
    local_ns: IntArray
    price: FloatArray
    quantity: FloatArray
    sign: IntArray
    clock_behind_ms: float
    notes: tuple[DataNote, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class TopOfBook:
    """Best bid and ask of one instrument, at every change.

    Attributes
    ----------
    times_ms : int64, shape (n,)
        The exchange's own time of the change, sorted; its event time where it gives no other.
    bid, ask : float64, shape (n,)
    bid_quantity, ask_quantity : float64, shape (n,)
    """

    times_ms: IntArray
    bid: FloatArray
    ask: FloatArray
    bid_quantity: FloatArray
    ask_quantity: FloatArray


def top_of_book(root: Path, market: str, underlying: str) -> TopOfBook | None:
    """Best quotes beside :func:`trade_tape`; None where the set has no clock of the exchange's.

    Raises
    ------
    DataError
        No such market or coin in the set.
    """
    path = _file(root, market, underlying, "bookticker")
    names = ("event_ms", "transact_ms", "bid", "bid_qty", "ask", "ask_qty")
    rows = collect(scan_table(path, names).select(names), path)
    time = "transact_ms" if rows["transact_ms"].null_count() < len(rows) else "event_ms"
    if rows[time].null_count() == len(rows):
        return None
    rows = rows.drop_nulls(time).sort(time)
    return TopOfBook(
        rows[time].to_numpy().astype(np.int64),
        *(floats(rows, name) for name in ("bid", "ask", "bid_qty", "ask_qty")),
    )


def _file(root: Path, market: str, underlying: str, what: str) -> Path:
    folder = root / "binance_ticks_20240808"
    found = sorted(folder.glob(f"{market}_{underlying.lower()}*_{what}.parquet"))
    if not found:
        raise DataError(
            f"no recorded {what} of {underlying} on {market!r}",
            remedy="markets: spot, usdm, cm; coins: BTC, ETH; check COMMONMODE_DATA",
        )
    return found[0]


def trade_tape(root: Path, market: str, underlying: str) -> TradeTape:
    """Trades of BTC or ETH on ``spot``, ``usdm`` (linear) or ``cm`` (coin-margined).

    Raises
    ------
    DataError
        No such market or coin in the set.
    """
    path = _file(root, market, underlying, "trades")
    names = ("local_ts_ns", "event_ms", "price", "qty", "buyer_is_maker")
    rows = collect(scan_table(path, names).select(names), path)
    local = rows["local_ts_ns"].to_numpy().copy()
    event = rows["event_ms"].to_numpy().copy()
    delay_ms = local / 1e6 - event
    early = int(np.count_nonzero(delay_ms < 0))
    behind = max(0.0, -float(delay_ms.min()))
    notes = []
    if early:
        text = (
            f"{early} of {len(rows)} messages arrived before they were sent: the recorder's clock "
            f"is at least {behind / 1000:.3f} s behind the exchange; exchange times are used"
        )
        notes.append(DataNote("clock_skew", text, early))
    return TradeTape(
        InstrumentId(path.name.removesuffix("_trades.parquet")),
        event,
        local,
        floats(rows, "price"),
        floats(rows, "qty"),
        np.where(rows["buyer_is_maker"].to_numpy(), -1, 1).astype(np.int64),
        behind,
        tuple(notes),
    )
