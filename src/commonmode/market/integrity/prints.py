"""Trades held against the order book that they should have taken from."""

from __future__ import annotations

from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.market.integrity.screen import Screen, not_applicable, verdict_of

__all__ = ["prints_inside_spread", "volume_beyond_depth"]

_FEWEST: Final = 200
_ALLOWED: Final = 0.01  # hidden orders and unlucky clocks; one print in a hundred
_SOURCE: Final = "price priority: a trade takes a resting quote; one print in a hundred"


def _in_force(
    trade_ms: IntArray, quote_ms: IntArray, tolerance_ms: int
) -> tuple[IntArray, IntArray]:
    """First and one past the last quote in force within the tolerance of each trade."""
    first = np.searchsorted(quote_ms, trade_ms - tolerance_ms, side="right") - 1
    last = np.searchsorted(quote_ms, trade_ms + tolerance_ms, side="right")
    return first.astype(np.int64), last.astype(np.int64)


def _over(reduce: np.ufunc, values: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
    """``reduce`` of ``values[first:last]`` for each pair."""
    edges = np.column_stack([first, last]).ravel()
    return np.asarray(reduce.reduceat(np.append(values, values[-1]), edges)[::2])


def prints_inside_spread(
    trade_ms: IntArray,
    price: FloatArray,
    quote_ms: IntArray,
    bid: FloatArray,
    ask: FloatArray,
    *,
    subject: str,
    tolerance_ms: int = 100,
) -> Screen:
    """Trades strictly between the best bid and the best ask, where nothing rests to be taken.

    A print that a venue makes up to show volume is put between the quotes, where it hurts nobody.
    Counted are trades at times when the spread was wide enough to lie inside of (two ticks or
    more); a trade is inside only if it is inside of every quote in force within the tolerance.

    Parameters
    ----------
    trade_ms : int64, shape (n,)
    price : float64, shape (n,)
    quote_ms : int64, shape (m,)
        Sorted, of the same clock as the trades'.
    bid, ask : float64, shape (m,)
    subject : str
    tolerance_ms : int
        Trades and quotes come by separate channels.
    """
    name = "prints inside the spread"
    t, q = np.asarray(trade_ms, np.int64), np.asarray(quote_ms, np.int64)
    if len(q) < 2 or len(t) == 0:
        return not_applicable(name, subject, "no quotes or no trades", _SOURCE)
    known = (t >= q[0]) & (t <= q[-1])
    first, last = _in_force(t[known], q, tolerance_ms)
    first = np.maximum(first, 0)
    paid = np.asarray(price, np.float64)[known]
    steps = np.diff(np.unique(np.concatenate([bid, ask])))
    steps = steps[steps > 1e-9 * float(np.median(ask))]  # the rest is rounding
    tick = float(steps.min()) if steps.size else 0.0
    lowest_ask = _over(np.minimum, np.asarray(ask, np.float64), first, last)
    highest_bid = _over(np.maximum, np.asarray(bid, np.float64), first, last)
    wide = lowest_ask - highest_bid > 1.5 * tick
    if wide.sum() < _FEWEST:
        why = f"the spread had room for a print inside at {int(wide.sum())} trades only"
        return not_applicable(name, subject, why, _SOURCE)
    slack = 1e-9 * paid
    inside = wide & (paid > highest_bid + slack) & (paid < lowest_ask - slack)
    share = float(inside.sum() / wide.sum())
    text = (
        f"{subject}: {int(inside.sum()):,} of {int(wide.sum()):,} trades at a spread of two ticks "
        f"or more lie strictly inside it ({100 * share:.1f} %)."
    )
    return Screen(
        name,
        subject,
        verdict_of(share > _ALLOWED),
        share,
        _ALLOWED,
        float("nan"),
        int(inside.sum()),
        text,
        _SOURCE,
    )


def volume_beyond_depth(
    trade_ms: IntArray,
    quantity: FloatArray,
    sign: IntArray,
    quote_ms: IntArray,
    bid_quantity: FloatArray,
    ask_quantity: FloatArray,
    *,
    subject: str,
    tolerance_ms: int = 100,
) -> Screen:
    """Trades at one price larger than anything shown on the side that they took from.

    A single print is filled by what rests at its price; more than the largest size shown around it
    was not there to be taken (or was hidden: one print in a hundred is allowed). Fills of one order
    at several prices are several prints.

    Parameters
    ----------
    trade_ms : int64, shape (n,)
    quantity : float64, shape (n,)
    sign : int64, shape (n,)
        +1 the buyer took (from the ask), -1 the seller took.
    quote_ms : int64, shape (m,)
    bid_quantity, ask_quantity : float64, shape (m,)
        At the best prices.
    subject : str
    tolerance_ms : int
    """
    name = "volume beyond depth"
    t, q = np.asarray(trade_ms, np.int64), np.asarray(quote_ms, np.int64)
    if len(q) < 2 or len(t) == 0:
        return not_applicable(name, subject, "no quotes or no trades", _SOURCE)
    known = (t >= q[0]) & (t <= q[-1])
    if known.sum() < _FEWEST:
        return not_applicable(name, subject, f"{int(known.sum())} trades with quotes", _SOURCE)
    first, last = _in_force(t[known], q, tolerance_ms)
    first = np.maximum(first, 0)
    shown = np.where(
        np.asarray(sign)[known] > 0,
        _over(np.maximum, np.asarray(ask_quantity, np.float64), first, last),
        _over(np.maximum, np.asarray(bid_quantity, np.float64), first, last),
    )
    size = np.asarray(quantity, np.float64)[known]
    beyond = size > shown * (1.0 + 1e-9)
    share = float(beyond.mean())
    volume = float(size[beyond].sum() / size.sum())
    text = (
        f"{subject}: {int(beyond.sum()):,} of {int(known.sum()):,} trades ({100 * share:.1f} %, "
        f"{100 * volume:.1f} % of volume) are larger than any size shown at the best price then."
    )
    return Screen(
        name,
        subject,
        verdict_of(share > _ALLOWED),
        share,
        _ALLOWED,
        float("nan"),
        int(beyond.sum()),
        text,
        _SOURCE,
    )
