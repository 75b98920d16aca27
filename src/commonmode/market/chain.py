"""An option chain at one time: columns, each quote with its own forward and its own clock."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntFlag

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import CoinArray, Money, years_between
from commonmode.market.instruments import Settlement

__all__ = ["OptionChain", "QuoteFlag"]


class QuoteFlag(IntFlag):
    """What is wrong with a quote (zero: clean and two-sided); rows are flagged, never lost."""

    NONE = 0
    NO_BID = 1
    NO_ASK = 2
    CROSSED = 4
    NO_FORWARD = 8
    EXPIRED = 16
    STALE = 32
    NOT_FINITE = 64
    NO_IV = 128


@dataclass(frozen=True, slots=True, eq=False)
class OptionChain:
    """Every quoted option of one underlying on one venue at one snapshot time.

    All arrays have shape (n,). Prices are in the settlement's unit, by type: ``CoinArray`` for
    inverse coin-settled options, ``UsdArray`` for linear ones. NaN means "not quoted".

    Attributes
    ----------
    venue, underlying : VenueId, CurrencyCode
    time_ms : int
        Nominal snapshot time, UTC milliseconds.
    names : array of str
    quote_ms : int64
        When the venue stamped each quote; spans 50-146 s inside one recorded snapshot.
    expiry_ms : int64
    strike : float64
        USD per coin.
    sign : int64
        +1 call, -1 put.
    bid, ask, mark : Money
    bid_iv, ask_iv, mark_iv : float64
        Annualised decimals.
    forward : float64
        USD; the forward of the quote's own expiry at the quote's own time.
    index : float64
        USD; spot index at the quote's own time.
    open_interest : float64
        Coins.
    flags : int64
        Bits of :class:`QuoteFlag`.
    """

    venue: VenueId
    underlying: CurrencyCode
    settlement: Settlement
    time_ms: int
    names: StringArray
    quote_ms: IntArray
    expiry_ms: IntArray
    strike: FloatArray
    sign: IntArray
    bid: Money
    ask: Money
    mark: Money
    bid_iv: FloatArray
    ask_iv: FloatArray
    mark_iv: FloatArray
    forward: FloatArray
    index: FloatArray
    open_interest: FloatArray
    flags: IntArray

    def __post_init__(self) -> None:
        """Check shapes and that prices carry the settlement's unit."""
        n = len(self.names)
        for field in fields(self):
            value = getattr(self, field.name)
            array = getattr(value, "values", value)
            if isinstance(array, np.ndarray) and array.shape != (n,):
                raise DataError(
                    f"chain {self.underlying}: column {field.name} has shape {array.shape}, "
                    f"expected ({n},)",
                    remedy="all columns of a chain have one entry per quote",
                )
        coin = self.settlement is Settlement.COIN
        if any(isinstance(p, CoinArray) is not coin for p in (self.bid, self.ask, self.mark)):
            raise DataError(
                f"chain {self.underlying}: prices are not in {self.settlement.value}",
                remedy="coin-settled chains carry CoinArray prices, USD-settled ones UsdArray",
            )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def years(self) -> FloatArray:
        """Years to expiry from each quote's own time, shape (n,)."""
        return years_between(self.quote_ms, self.expiry_ms)

    @property
    def log_moneyness(self) -> FloatArray:
        """``ln(K / F)`` with each quote's own forward, shape (n,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(self.strike / self.forward))

    @property
    def usable(self) -> BoolArray:
        """Quotes with a forward, unexpired, with a finite positive mark IV, shape (n,)."""
        bad = QuoteFlag.NO_FORWARD | QuoteFlag.EXPIRED | QuoteFlag.NO_IV | QuoteFlag.STALE
        bad |= QuoteFlag.NOT_FINITE
        return np.asarray((self.flags & int(bad)) == 0)

    @property
    def two_sided(self) -> BoolArray:
        """Usable quotes with both sides, not crossed, shape (n,)."""
        bad = QuoteFlag.NO_BID | QuoteFlag.NO_ASK | QuoteFlag.CROSSED
        return np.asarray(self.usable & ((self.flags & int(bad)) == 0))

    def select(self, rows: BoolArray | IntArray) -> OptionChain:
        """The chain restricted to ``rows`` (mask or indices)."""
        changes: dict[str, object] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                changes[field.name] = value[rows]
            elif hasattr(value, "values"):
                changes[field.name] = type(value)(value.values[rows])
        return replace(self, **changes)  # type: ignore[arg-type]  # same types as read above
