"""From an option chain to the quotes a surface is fitted to, one row per expiry.

Selection: usable and not crossed, at least an hour to expiry, out of the money where both a call
and a put are quoted at a strike. Rows are padded to equal length with weight zero, so that all
expiries are fitted in one go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.core.units import HOUR_MS, YEAR_MS
from commonmode.market.chain import OptionChain, QuoteFlag
from commonmode.pricing._normalised import normal_density

__all__ = [
    "ChainSlices",
    "QuoteSource",
    "Weighting",
    "chain_slices",
    "check_quote_options",
]

QuoteSource = Literal["mark", "mid"]
Weighting = Literal["vega", "spread"]

_SOURCES: Final = ("mark", "mid")
_WEIGHTINGS: Final = ("vega", "spread")
_MIN_YEARS: Final = HOUR_MS / YEAR_MS
# A bid-ask interval wider than the volatility itself says nothing about it (venues publish
# sentinels such as 0 and 500 % for "no bid" and "no bound").
_MAX_RELATIVE_SPREAD: Final = 1.0
# Weights 1/spread are capped at this relative spread: one tick must not outvote a slice.
_MIN_RELATIVE_SPREAD: Final = 0.002


@dataclass(frozen=True, slots=True, eq=False)
class ChainSlices:
    """Quotes by expiry, ascending; E expiries, n = longest row, padding has weight 0.

    Attributes
    ----------
    expiry_ms : int64, shape (E,)
    years : float64, shape (E,)
        Median over the quotes of the slice.
    strike, forward, vol, weight : float64, shape (E, n)
        USD; USD; annualised decimal; weights of squared volatility errors, mean 1 per slice.
        Strikes ascend; padding repeats the last quote.
    count : int64, shape (E,)
        Quotes in the slice.
    failures : mapping of expiry_ms to Failure
        Expiries of the chain that cannot be fitted.
    """

    expiry_ms: IntArray
    years: FloatArray
    strike: FloatArray
    forward: FloatArray
    vol: FloatArray
    weight: FloatArray
    count: IntArray
    failures: Mapping[int, Failure]

    @property
    def log_moneyness(self) -> FloatArray:
        """``ln(K/F)``, each quote with its own forward, shape (E, n)."""
        return np.asarray(np.log(self.strike / self.forward))

    @property
    def slice_forward(self) -> FloatArray:
        """Weighted mean forward of each slice, shape (E,)."""
        return np.asarray(np.sum(self.weight * self.forward, axis=1) / np.sum(self.weight, axis=1))

    @property
    def at_money_vol(self) -> FloatArray:
        """Quoted volatility at the forward, linear between strikes, shape (E,)."""
        return np.array(
            [
                np.interp(0.0, k[:n], v[:n])
                for k, v, n in zip(self.log_moneyness, self.vol, self.count, strict=True)
            ]
        )

    def rmse(self, fitted_vol: FloatArray) -> FloatArray:
        """Weighted root mean square error of ``fitted_vol`` (E, n) per slice, shape (E,)."""
        miss = self.weight * (fitted_vol - self.vol) ** 2
        return np.asarray(np.sqrt(np.sum(miss, axis=1) / np.sum(self.weight, axis=1)))


def check_quote_options(quotes: str, weighting: str, min_quotes: int, *, least: int = 1) -> None:
    """Check the options that all surface models share.

    Raises
    ------
    ConfigurationError
        If one is not known.
    """
    if quotes not in _SOURCES:
        raise ConfigurationError(f"quotes={quotes!r} is not known", remedy="use 'mark' or 'mid'")
    if weighting not in _WEIGHTINGS:
        raise ConfigurationError(
            f"weighting={weighting!r} is not known", remedy="use 'vega' or 'spread'"
        )
    if min_quotes < least:
        raise ConfigurationError(
            f"min_quotes={min_quotes} is too low", remedy=f"this model needs at least {least}"
        )


def _quoted_vol(chain: OptionChain, quotes: QuoteSource) -> tuple[FloatArray, FloatArray]:
    """Volatility of each quote (NaN if not usable for fitting) and its relative spread."""
    with np.errstate(all="ignore"):
        mid = 0.5 * (chain.bid_iv + chain.ask_iv)
        spread = (chain.ask_iv - chain.bid_iv) / mid
        tight = (chain.bid_iv > 0) & (spread >= 0) & (spread <= _MAX_RELATIVE_SPREAD)
        if quotes == "mid":
            good, vol = chain.two_sided & tight, mid
        else:
            crossed = (chain.flags & int(QuoteFlag.CROSSED)) != 0
            good, vol = chain.usable & ~crossed, chain.mark_iv
        years = chain.years
        good &= (years >= _MIN_YEARS) & (chain.strike > 0) & (chain.forward > 0)
        good &= np.isfinite(vol) & (vol > 0) & np.isfinite(chain.strike + chain.forward)
    return (
        np.where(good, vol, np.nan),
        np.where(tight & np.isfinite(spread), spread, _MAX_RELATIVE_SPREAD),
    )


def _nothing_usable(chain: OptionChain, quotes: QuoteSource) -> Failure:
    where = f"{chain.underlying} chain at {chain.time_ms}"
    if len(chain) == 0:
        return Failure(
            FailureReason.MISSING_DATA,
            f"{where} is empty",
            "check the feed, the underlying and the time of the snapshot",
        )
    if np.all((chain.flags & int(QuoteFlag.CROSSED)) != 0):
        return Failure(
            FailureReason.INVALID_INPUT,
            f"{where}: every quote is crossed",
            "bid and ask are likely swapped, or the snapshot mixes times: check the feed",
        )
    hint = (
        "use quotes='mark', or a snapshot with two-sided quotes"
        if quotes == "mid"
        else ("the chain needs forwards and positive mark IVs at least one hour before expiry")
    )
    return Failure(
        FailureReason.MISSING_DATA, f"{where}: none of {len(chain)} quotes has a usable IV", hint
    )


def chain_slices(
    chain: OptionChain,
    *,
    quotes: QuoteSource = "mark",
    weighting: Weighting = "vega",
    min_quotes: int = 5,
) -> Success[ChainSlices] | Failure:
    """Select the quotes to fit, by expiry.

    Parameters
    ----------
    chain : OptionChain
    quotes : {"mark", "mid"}
        The venue's mark IV, or the middle of bid and ask IV of two-sided quotes.
    weighting : {"vega", "spread"}
        Squared volatility errors are weighted by squared vega (a least-squares fit of prices to
        first order), or by that over the squared relative bid-ask spread.
    min_quotes : int
        A slice with fewer strikes fails.

    Returns
    -------
    Success of ChainSlices, or Failure
        Failure where no expiry is left; it says why and what to do.
    """
    vol, spread = _quoted_vol(chain, quotes)
    rows = np.flatnonzero(np.isfinite(vol))
    expiries = np.unique(chain.expiry_ms)
    if not len(rows):
        return _nothing_usable(chain, quotes)
    years = chain.years
    in_money = (chain.sign[rows] > 0) == (chain.strike[rows] < chain.forward[rows])
    order = rows[np.lexsort((in_money, chain.strike[rows], chain.expiry_ms[rows]))]
    expiry, strike = chain.expiry_ms[order], chain.strike[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (expiry[1:] != expiry[:-1]) | (strike[1:] != strike[:-1])
    order = order[first]
    expiry = chain.expiry_ms[order]
    kept, start, count = np.unique(expiry, return_index=True, return_counts=True)
    enough = count >= min_quotes
    found = dict(zip(kept.tolist(), count.tolist(), strict=True))
    failures = {
        int(e): Failure(
            FailureReason.MISSING_DATA,
            f"{chain.underlying} expiry {e}: {found.get(e, 0)} usable strikes of {min_quotes}",
            "a thinner slice cannot carry the fit; lower min_quotes only for simpler models",
        )
        for e in expiries.tolist()
        if found.get(e, 0) < min_quotes
    }
    if not enough.any():
        return Failure(
            FailureReason.MISSING_DATA,
            f"{chain.underlying} chain at {chain.time_ms}: no expiry has {min_quotes} usable "
            f"strikes (most: {int(count.max())})",
            "use a fuller snapshot, quotes='mark', or a lower min_quotes",
        )
    kept, start, count = kept[enough], start[enough], count[enough]
    column = np.arange(int(count.max()))
    pad = column[None, :] >= count[:, None]
    pick = order[start[:, None] + np.minimum(column[None, :], count[:, None] - 1)]
    k, f, iv = chain.strike[pick], chain.forward[pick], vol[pick]
    slice_years = np.array([np.median(years[p[:c]]) for p, c in zip(pick, count, strict=True)])
    total = iv * np.sqrt(slice_years)[:, None]
    vega = normal_density(-np.log(k / f) / total + 0.5 * total)  # up to F sqrt(T), one per slice
    weight = vega * vega
    if weighting == "spread":
        weight /= np.maximum(spread[pick], _MIN_RELATIVE_SPREAD) ** 2
    # Far wings underflow; a weight of exactly zero would drop the quote's strike from the slice.
    weight = np.maximum(weight, 1e-12 * np.max(weight, axis=1, keepdims=True))
    weight = np.where(pad, 0.0, weight)
    weight *= (count / weight.sum(axis=1))[:, None]
    return Success(
        ChainSlices(
            kept.astype(np.int64), slice_years, k, f, iv, weight, count.astype(np.int64), failures
        )
    )
