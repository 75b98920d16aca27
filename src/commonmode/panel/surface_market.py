"""The market's side of the surface panel: observed vols, buckets, the sticky-smile benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.interpolate import PchipInterpolator

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.market.chain import OptionChain
from commonmode.pricing.black76 import black76_greeks

__all__ = [
    "BUCKETS",
    "Evaluation",
    "bucket_mean",
    "evaluation_quotes",
    "observed_vol",
    "sticky_smile",
]

_DAYS_PER_YEAR: Final = 365.0
_TENOR_DAYS: Final = (1.0, 7.0, 45.0)
_TENORS: Final = ("1-7d", "7-45d", ">45d")
_WINGS: Final = ("put 10-35", "atm", "call 10-35")
_WING_DELTA: Final = 0.10
_ATM_DELTA: Final = 0.35
# A bid-ask interval wider than the volatility itself says nothing about where it is.
_MAX_RELATIVE_SPREAD: Final = 1.0

BUCKETS: Final = tuple(f"{tenor} {wing}" for tenor in _TENORS for wing in _WINGS)
"""Tenors by years to expiry, wings by the Black delta of the out-of-the-money option."""


def observed_vol(chain: OptionChain) -> tuple[FloatArray, FloatArray]:
    """What the market says the volatility of each quote is, and how sure it is.

    Returns
    -------
    vol : float64, shape (n,)
        Middle of bid and ask IV where both are there, else the venue's mark IV; NaN where the
        quote is not usable.
    half_spread : float64, shape (n,)
        Half the bid-ask interval in volatility; NaN where it is not two-sided.
    """
    with np.errstate(invalid="ignore"):
        mid = 0.5 * (chain.bid_iv + chain.ask_iv)
        spread = chain.ask_iv - chain.bid_iv
        two_sided = chain.two_sided & (spread >= 0) & (spread <= _MAX_RELATIVE_SPREAD * mid)
    vol = np.where(two_sided, mid, chain.mark_iv)
    return np.where(chain.usable, vol, np.nan), np.where(two_sided, 0.5 * spread, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Out-of-the-money quotes seen both now and an hour later; arrays of shape (n,).

    Attributes
    ----------
    strike, years, forward : float64
        Of the later quote, each with its own time and forward: where forecasts are evaluated.
    expiry_ms : int64
    outcome : float64
        Observed volatility of the later quote.
    half_spread : float64
        Of the earlier quote, in volatility; NaN where one-sided.
    weight : float64
        Black vega at the later forward and the *earlier* volatility: known before the outcome.
    bucket : int64
        Index into :data:`BUCKETS`, by the delta at the same forward and volatility.
    """

    strike: FloatArray
    years: FloatArray
    forward: FloatArray
    expiry_ms: IntArray
    outcome: FloatArray
    half_spread: FloatArray
    weight: FloatArray
    bucket: IntArray


def evaluation_quotes(now: OptionChain, later: OptionChain) -> Evaluation:
    """Match the quotes of two chains of one underlying and sort them into buckets.

    Kept are options quoted in both, out of the money and with at least a day to expiry at the later
    time, whose delta lies in a bucket.
    """
    _, before, after = np.intersect1d(now.names, later.names, return_indices=True)
    vol_now, half_spread = observed_vol(now)
    vol_later, _ = observed_vol(later)
    vol, outcome = vol_now[before], vol_later[after]
    strike, years = later.strike[after], later.years[after]
    forward, sign = later.forward[after], later.sign[after]
    days = years * _DAYS_PER_YEAR
    keep = (vol > 0) & (outcome > 0) & (days >= _TENOR_DAYS[0]) & (sign * (strike - forward) >= 0)
    # Where a strike sits at the forward, call and put are both out of the money: the call stands.
    keep &= ~((strike == forward) & (sign < 0))
    black = black76_greeks(forward, strike, years, np.where(keep, vol, 1.0), sign=sign)
    size = np.abs(black.delta)
    keep &= size >= _WING_DELTA
    tenor = np.searchsorted(_TENOR_DAYS[1:], days, side="right")
    wing = np.where(size >= _ATM_DELTA, 1, np.where(sign < 0, 0, 2))
    return Evaluation(
        strike=strike[keep],
        years=years[keep],
        forward=forward[keep],
        expiry_ms=later.expiry_ms[after][keep],
        outcome=outcome[keep],
        half_spread=half_spread[before][keep],
        weight=black.vega[keep],
        bucket=(tenor * len(_WINGS) + wing)[keep].astype(np.int64),
    )


def bucket_mean(
    values: FloatArray, quotes: Evaluation, *, skip_missing: bool = False
) -> FloatArray:
    """Vega-weighted mean of ``values`` (n,) in each bucket, shape (9,).

    NaN where a bucket has no quotes, or where a value is missing: a mean over fewer quotes would
    not compare with the outcome. ``skip_missing`` leaves missing values out instead.
    """
    weight = quotes.weight
    if skip_missing:
        weight = np.where(np.isfinite(values), weight, 0.0)
        values = np.where(np.isfinite(values), values, 0.0)
    total = np.bincount(quotes.bucket, weights=weight * values, minlength=len(BUCKETS))
    mass = np.bincount(quotes.bucket, weights=weight, minlength=len(BUCKETS))
    mean: FloatArray = np.full(len(BUCKETS), np.nan)
    np.divide(total, mass, out=mean, where=mass > 0)
    return mean


def sticky_smile(now: OptionChain, quotes: Evaluation, half: int) -> FloatArray:
    """The previous smile, moved with the forward, from one half of the quotes.

    Per expiry, the observed volatilities of the out-of-the-money quotes at every second strike are
    joined by a shape-preserving cubic (Fritsch and Carlson 1980) in ``ln(K/F)/sqrt(T)``, constant
    beyond the last quote, and read off where the later quotes are. It has no parameter to fit and
    belongs to no model.

    Parameters
    ----------
    now : OptionChain
    quotes : Evaluation
    half : int
        0 or 1: which of the alternate strikes; the two halves share no quote.

    Returns
    -------
    float64, shape (n,)
        NaN for an expiry without quotes in this half.
    """
    vol, _ = observed_vol(now)
    usable = (vol > 0) & (now.years > 0) & (now.sign * (now.strike - now.forward) >= 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        x = now.log_moneyness / np.sqrt(now.years)
    at = np.log(quotes.strike / quotes.forward) / np.sqrt(quotes.years)
    out = np.full(len(at), np.nan)
    for expiry in np.unique(quotes.expiry_ms):
        rows = np.flatnonzero(usable & (now.expiry_ms == expiry))
        # Strikes are dealt out, not quotes: a call and a put at one strike stay together.
        _, code = np.unique(now.strike[rows], return_inverse=True)
        rows = rows[code % 2 == half]
        nodes, first = np.unique(x[rows], return_index=True)
        mine = quotes.expiry_ms == expiry
        if len(nodes) == 1:
            out[mine] = vol[rows[first[0]]]
        elif len(nodes):
            curve = PchipInterpolator(nodes, vol[rows[first]])
            out[mine] = curve(np.clip(at[mine], nodes[0], nodes[-1]))
    return out
