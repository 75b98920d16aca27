"""Dutch auction of an account below its maintenance margin, as Derive publishes it.

An auction starts when the maintenance balance MM of an account is below 0. A liquidator buys a
share ``f`` of everything the account holds, except the cash R that earlier bids of the same
auction have paid in, and pays cash for it. What is asked for falls with time. With MtM the
mark-to-market value of the account and d the fraction of value asked for:

- the buffer margin lies beyond maintenance, ``BM = MM + (MM - MtM) * buffer``;
- a sale of the share f takes ``f (MtM - R)`` of value away and brings ``d f (MtM - R)`` of cash.
  MM and BM scale with the positions (margin is homogeneous of degree one), so
  ``BM' = BM - f (BM - R) + d f (MtM - R)``, and the same holds for MM;
- ``BM' = 0`` gives the largest share that may be sold,
  ``f = BM / (BM - MtM d - R (1 - d))``.

Source: Derive, v2-core: its documentation of liquidations and its published parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import ConfigurationError

__all__ = [
    "AuctionParameters",
    "AuctionQuote",
    "Payout",
    "Sale",
    "asked_fraction",
    "auction_quote",
    "buffer_margin",
    "insolvent_payout",
    "largest_share",
    "pay_out",
    "sell",
    "start_fee",
]


@dataclass(frozen=True, slots=True)
class AuctionParameters:
    """Parameters of the auction; the defaults are those published for Derive's main network.

    Attributes
    ----------
    start : float
        Fraction of the value asked for at the start.
    cutoff : float
        Fraction at which the fast phase gives way to the slow one.
    fast_seconds, slow_seconds : float
        Lengths of the two phases.
    insolvent_seconds : float
        Length over which the payout of an insolvent auction rises to the whole shortfall.
    fee : float
        Rate of the fee that the account pays to the security module at the start.
    buffer : float
        Fraction of the maintenance requirement that a sale restores on top of it.
    whole_below : float
        USD; an account worth less may be sold whole. The venue's amount is not published.
    """

    start: float = 0.95
    cutoff: float = 0.70
    fast_seconds: float = 900.0
    slow_seconds: float = 43_200.0
    insolvent_seconds: float = 3_600.0
    fee: float = 0.10
    buffer: float = 0.15
    whole_below: float = 0.0

    def __post_init__(self) -> None:
        """Check bounds."""
        lengths = (self.fast_seconds, self.slow_seconds, self.insolvent_seconds)
        checks = {
            "start must lie in (0, 1]": 0.0 < self.start <= 1.0,
            "cutoff must lie in (0, start]": 0.0 < self.cutoff <= self.start,
            "lengths must be positive and finite": all(0.0 < x < math.inf for x in lengths),
            "fee must lie in [0, 1]": 0.0 <= self.fee <= 1.0,
            "buffer must lie in [0, 1]": 0.0 <= self.buffer <= 1.0,
            "whole_below must be >= 0 and finite": 0.0 <= self.whole_below < math.inf,
        }
        broken = [rule for rule, holds in checks.items() if not holds]
        if broken:
            raise ConfigurationError(
                f"auction: {'; '.join(broken)}", remedy="start from the published parameters"
            )


@dataclass(frozen=True, slots=True, eq=False)
class AuctionQuote:
    """What an auction offers at a time; all arrays of the broadcast shape of its inputs.

    Attributes
    ----------
    fraction : float64
        Fraction of value asked for.
    buffer_margin : float64
        USD; the auction ends where it is >= 0.
    largest_share : float64
        Share of the account that one bid may take, in [0, 1].
    bid : float64
        USD that the largest share costs.
    insolvent : bool
        Nobody is asked to pay any more: the security module pays instead.
    """

    fraction: FloatArray
    buffer_margin: FloatArray
    largest_share: FloatArray
    bid: FloatArray
    insolvent: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Sale:
    """An account after a bid; all arrays of the broadcast shape of the inputs, USD.

    Attributes
    ----------
    bid : float64
        Paid by the liquidator.
    mtm, maintenance : float64
        Value and maintenance balance afterwards.
    paid_in : float64
        Cash that all bids of this auction have paid so far.
    """

    bid: FloatArray
    mtm: FloatArray
    maintenance: FloatArray
    paid_in: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Payout:
    """Who bears the payouts of insolvent auctions; float64 of shape (A,), USD.

    Attributes
    ----------
    from_fund : float64
        Paid by the security module.
    socialised : float64
        The rest, a loss of everybody who holds the stablecoin cash.
    """

    from_fund: FloatArray
    socialised: FloatArray


def _arrays(*values: ArrayLike) -> list[FloatArray]:
    return list(np.broadcast_arrays(*(np.asarray(value, np.float64) for value in values)))


def buffer_margin(mtm: ArrayLike, maintenance: ArrayLike, buffer: float) -> FloatArray:
    """Balance that sales have to bring back to 0.

    Parameters
    ----------
    mtm : array_like
        Mark-to-market value, USD.
    maintenance : array_like
        Maintenance balance (value less requirement), USD.
    buffer : float
        Fraction of the requirement ``mtm - maintenance``.

    Returns
    -------
    float64, broadcast shape
        USD.
    """
    value, balance = _arrays(mtm, maintenance)
    return np.asarray(balance + (balance - value) * buffer)


def asked_fraction(seconds: ArrayLike, parameters: AuctionParameters) -> FloatArray:
    """Fraction of the value asked for: start to cut-off quickly, cut-off to 0 slowly.

    Parameters
    ----------
    seconds : array_like
        Since the auction started.
    parameters : AuctionParameters

    Returns
    -------
    float64, shape of ``seconds``
        Within [0, start], never rising; NaN before the start.
    """
    t = np.asarray(seconds, np.float64)
    fast = np.minimum(t / parameters.fast_seconds, 1.0)
    slow = np.clip((t - parameters.fast_seconds) / parameters.slow_seconds, 0.0, 1.0)
    fraction = (parameters.start - (parameters.start - parameters.cutoff) * fast) * (1.0 - slow)
    return np.where(t >= 0.0, fraction, np.nan)


def largest_share(
    mtm: ArrayLike,
    margin: ArrayLike,
    fraction: ArrayLike,
    paid_in: ArrayLike = 0.0,
    *,
    whole_below: float = 0.0,
) -> FloatArray:
    """Largest share of the account that may be sold: the one that just restores the buffer.

    Parameters
    ----------
    mtm, margin : array_like
        Mark-to-market value and :func:`buffer_margin`, USD.
    fraction : array_like
        :func:`asked_fraction`.
    paid_in : array_like
        Cash that earlier bids of the same auction have paid, USD.
    whole_below : float
        USD; an account worth less may be sold whole.

    Returns
    -------
    float64, broadcast shape
        In [0, 1]: 0 where the buffer is met already, 1 where no sale can restore it (insolvent,
        or so much has been paid in that what is left is worth nothing) and below ``whole_below``.
    """
    value, bm, d, cash = _arrays(mtm, margin, fraction, paid_in)
    below = bm - value * d - cash * (1.0 - d)
    short = bm < 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(below <= bm, bm / below, 1.0)
    whole = (value <= 0.0) | (value < whole_below)
    share = np.where(short, np.where(whole, 1.0, share), 0.0)
    return np.where(np.isnan(below), np.nan, share)


def sell(
    mtm: ArrayLike,
    maintenance: ArrayLike,
    fraction: ArrayLike,
    share: ArrayLike,
    paid_in: ArrayLike = 0.0,
) -> Sale:
    """An account after a liquidator took a share of it.

    Parameters
    ----------
    mtm, maintenance : array_like
        Value and maintenance balance before, USD.
    fraction : array_like
        :func:`asked_fraction` at the time of the bid.
    share : array_like
        Of what the account holds now (not of what it held at the start), in [0, 1].
    paid_in : array_like
        Cash that earlier bids have paid, which is not for sale, USD.

    Returns
    -------
    Sale
    """
    value, balance, d, f, cash = _arrays(mtm, maintenance, fraction, share, paid_in)
    bid = np.maximum((value - cash) * d * f, 0.0)
    return Sale(
        bid=bid,
        mtm=np.asarray(value - f * (value - cash) + bid),
        maintenance=np.asarray(balance - f * (balance - cash) + bid),
        paid_in=np.asarray(cash + bid),
    )


def auction_quote(
    mtm: ArrayLike,
    maintenance: ArrayLike,
    seconds: ArrayLike,
    parameters: AuctionParameters,
    *,
    paid_in: ArrayLike = 0.0,
) -> AuctionQuote:
    """What auctions offer at given times: accounts and times broadcast against each other.

    Parameters
    ----------
    mtm, maintenance : array_like
        Value and maintenance balance at that time, USD; shape (A, 1) for A accounts and T times.
    seconds : array_like
        Since the auction started, for instance of shape (T,).
    parameters : AuctionParameters
    paid_in : array_like
        Cash that earlier bids have paid, USD.

    Returns
    -------
    AuctionQuote
    """
    value, balance, t, cash = _arrays(mtm, maintenance, seconds, paid_in)
    d = asked_fraction(t, parameters)
    bm = buffer_margin(value, balance, parameters.buffer)
    share = largest_share(value, bm, d, cash, whole_below=parameters.whole_below)
    bid = sell(value, balance, d, share, cash).bid
    return AuctionQuote(
        fraction=d,
        buffer_margin=bm,
        largest_share=share,
        bid=bid,
        insolvent=np.asarray((value <= 0.0) | (d == 0.0)),
    )


def start_fee(mtm: ArrayLike, maintenance: ArrayLike, parameters: AuctionParameters) -> FloatArray:
    """Fee of a solvent auction: on the value that would be sold at full price.

    Parameters
    ----------
    mtm, maintenance : array_like
        Value and maintenance balance before the auction starts, USD.
    parameters : AuctionParameters

    Returns
    -------
    float64, broadcast shape
        USD, paid in cash by the account to the security module; 0 for an insolvent account.
    """
    value, balance = _arrays(mtm, maintenance)
    bm = buffer_margin(value, balance, parameters.buffer)
    share = largest_share(value, bm, 1.0, whole_below=parameters.whole_below)
    return np.asarray(np.maximum(value, 0.0) * share * parameters.fee)


def insolvent_payout(
    mtm: ArrayLike, maintenance: ArrayLike, seconds: ArrayLike, parameters: AuctionParameters
) -> FloatArray:
    """What a liquidator is paid for taking the whole of an insolvent account.

    Parameters
    ----------
    mtm, maintenance : array_like
        Value and maintenance balance, USD.
    seconds : array_like
        Since the auction became insolvent.
    parameters : AuctionParameters

    Returns
    -------
    float64, broadcast shape
        USD, >= 0: from ``-min(mtm, 0)`` to ``-maintenance``, linearly; a share of the account
        earns that share of it. NaN before the start.
    """
    value, balance, t = _arrays(mtm, maintenance, seconds)
    first, last = np.minimum(value, 0.0), np.minimum(balance, 0.0)
    gone = np.minimum(t / parameters.insolvent_seconds, 1.0)
    return np.where(t >= 0.0, -(first + (last - first) * gone), np.nan)


def pay_out(payouts: ArrayLike, fund: float) -> Payout:
    """Split payouts between the security module and everybody, in the order of the bids.

    Parameters
    ----------
    payouts : array_like, shape (A,)
        Of consecutive bids, USD, >= 0.
    fund : float
        What the security module holds, USD.

    Returns
    -------
    Payout
    """
    asked = np.atleast_1d(np.asarray(payouts, np.float64))
    spent = np.minimum(np.cumsum(asked), max(fund, 0.0))
    from_fund = np.diff(spent, prepend=0.0)
    return Payout(from_fund=from_fund, socialised=np.asarray(np.maximum(asked - from_fund, 0.0)))
