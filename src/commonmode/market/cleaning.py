"""Raw option quotes to a chain: sentinels become NaN, doubtful rows are flagged, none lost."""

from __future__ import annotations

from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import CoinArray, Money, UsdArray
from commonmode.market.chain import OptionChain, QuoteFlag
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import DataNote

__all__ = ["IV_CEILING", "STALE_AFTER_MS", "chain_notes", "clean_chain"]

IV_CEILING: Final = 3.0
"""Implied volatilities of 300 % and more are sentinels of the venue, not quotes (Deribit: 999)."""

STALE_AFTER_MS: Final = 300_000
"""A quote stamped this long before its snapshot is stale: the recordings poll every 5 minutes."""

_FLAG_NOTES: Final = (
    (QuoteFlag.NO_BID, "no_bid", "quotes without a bid: bid price is NaN"),
    (QuoteFlag.NO_ASK, "no_ask", "quotes without an ask: ask price is NaN"),
    (QuoteFlag.CROSSED, "crossed", "quotes with the bid above the ask"),
    (QuoteFlag.NO_FORWARD, "no_forward", "quotes without a positive forward"),
    (QuoteFlag.EXPIRED, "expired", "quotes stamped at or after their expiry"),
    (QuoteFlag.STALE, "stale", "quotes stamped long before the snapshot"),
    (QuoteFlag.NOT_FINITE, "not_finite", "rows with an impossible strike or price"),
    (QuoteFlag.NO_IV, "no_iv", "quotes without a positive mark volatility"),
)


def clean_chain(
    *,
    venue: VenueId,
    underlying: CurrencyCode,
    settlement: Settlement,
    time_ms: int,
    names: StringArray,
    quote_ms: IntArray,
    expiry_ms: IntArray,
    strike: FloatArray,
    sign: IntArray,
    bid: FloatArray,
    ask: FloatArray,
    mark: FloatArray,
    bid_iv: FloatArray,
    ask_iv: FloatArray,
    mark_iv: FloatArray,
    forward: FloatArray,
    index: FloatArray,
    open_interest: FloatArray,
    iv_ceiling: float = IV_CEILING,
    stale_after_ms: int = STALE_AFTER_MS,
) -> OptionChain:
    """Build a chain from raw columns, all of shape (n,).

    A bid or ask of zero (or below, or not finite) is no quote. Volatilities outside
    ``(0, iv_ceiling)`` are sentinels. A mark of zero is kept: it is a price below the venue's
    rounding. Every doubt is a bit of ``flags``.

    Parameters
    ----------
    bid, ask, mark : float64
        In the settlement's unit (coin or USD).
    bid_iv, ask_iv, mark_iv : float64
        Annualised decimals.
    iv_ceiling : float
        Volatilities at or above it are sentinels.
    stale_after_ms : int
        A quote this much older than ``time_ms`` is flagged ``STALE``.
    """
    no_bid, no_ask = ~_positive(bid), ~_positive(ask)
    impossible = ~_positive(strike) | np.isinf(mark) | (mark < 0) | np.isinf(bid) | np.isinf(ask)
    impossible |= (bid < 0) | (ask < 0)
    clean_mark_iv = _volatility(mark_iv, iv_ceiling)
    flags = np.zeros(len(names), dtype=np.int64)
    for bit, rows in (
        (QuoteFlag.NO_BID, no_bid),
        (QuoteFlag.NO_ASK, no_ask),
        (QuoteFlag.CROSSED, ~no_bid & ~no_ask & (bid > ask)),
        (QuoteFlag.NO_FORWARD, ~_positive(forward)),
        (QuoteFlag.EXPIRED, quote_ms >= expiry_ms),
        (QuoteFlag.STALE, quote_ms < time_ms - stale_after_ms),
        (QuoteFlag.NOT_FINITE, impossible),
        (QuoteFlag.NO_IV, np.isnan(clean_mark_iv)),
    ):
        flags |= np.where(rows, int(bit), 0)
    money: type[Money] = CoinArray if settlement is Settlement.COIN else UsdArray
    return OptionChain(
        venue=venue,
        underlying=underlying,
        settlement=settlement,
        time_ms=int(time_ms),
        names=names,
        quote_ms=quote_ms,
        expiry_ms=expiry_ms,
        strike=strike,
        sign=sign,
        bid=money(np.where(no_bid, np.nan, bid)),
        ask=money(np.where(no_ask, np.nan, ask)),
        mark=money(np.where(np.isfinite(mark) & (mark >= 0), mark, np.nan)),
        bid_iv=_volatility(bid_iv, iv_ceiling),
        ask_iv=_volatility(ask_iv, iv_ceiling),
        mark_iv=clean_mark_iv,
        forward=np.where(_positive(forward), forward, np.nan),
        index=np.where(_positive(index), index, np.nan),
        open_interest=open_interest,
        flags=flags,
    )


def chain_notes(chain: OptionChain) -> tuple[DataNote, ...]:
    """What is worth telling about ``chain``: flags counted, clocks, sentinels, rounding."""
    if not len(chain):
        return (DataNote("empty_chain", f"no quotes of {chain.underlying}", 0),)
    notes = []
    span_ms = int(chain.quote_ms.max() - chain.quote_ms.min())
    if span_ms > 0:
        late_s = (int(chain.quote_ms.max()) - chain.time_ms) / 1000
        notes.append(
            DataNote(
                "asynchronous_quotes",
                f"{chain.underlying}: quotes are {span_ms / 1000:.1f} s apart, the last one "
                f"{late_s:+.1f} s from the nominal time; each keeps its own time and forward",
                len(chain),
            )
        )
    for bit, code, text in _FLAG_NOTES:
        count = int(np.count_nonzero(chain.flags & int(bit)))
        if count:
            notes.append(DataNote(code, f"{chain.underlying}: {count} {text}", count))
    for side, price, vol in (
        ("bid", chain.bid.values, chain.bid_iv),
        ("ask", chain.ask.values, chain.ask_iv),
    ):
        if np.isnan(vol).all():
            continue  # the source carries no volatilities of this side at all
        count = int(np.count_nonzero(np.isfinite(price) & np.isnan(vol)))
        if count:
            text = f"{count} {side} volatilities are venue sentinels beside a price: NaN"
            notes.append(DataNote(f"{side}_iv_sentinel", f"{chain.underlying}: {text}", count))
    zero = int(np.count_nonzero(chain.mark.values == 0))
    if zero:
        text = f"{zero} marks are rounded down to zero by the venue; prefer their mark volatility"
        notes.append(DataNote("rounded_mark", f"{chain.underlying}: {text}", zero))
    return tuple(notes)


def _positive(values: FloatArray) -> BoolArray:
    return np.asarray(np.isfinite(values) & (values > 0))


def _volatility(values: FloatArray, ceiling: float) -> FloatArray:
    ok = np.isfinite(values) & (values > 0) & (values < ceiling)
    return np.asarray(np.where(ok, values, np.nan))
