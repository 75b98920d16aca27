"""Derive's standard manager: margin per position, or the worst payoff of an expiry if smaller.

All requirements here are positive amounts that equity, the options at their marks included, has to
cover. The venue shows minus this requirement with the mark added.

For one short option with mark V at spot S, strike K, out of the money by ``o = max(+-(K - S), 0)``:

- initial, call: ``max(most - o/S, least) S``;
- maintenance, call: ``mm_call S``;
- maintenance, put: ``max(mm_put S, mm_put_mark V)``;
- initial, put: the larger of the call's rule and ``offset (maintenance + V) - V``.

A long option needs its own mark: it lends nothing to the rest. Per expiry the account may instead
set aside its worst payoff over all strikes and 0, with ``unpaired F`` for every call sold short net
of the calls held; the better of the two counts.

Source: Derive, v2-core, standard risk manager and its published parameters; checked against its 28
published cases (see tests/reference/margin/test_standard_answers.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin._bounds import check_rules

__all__ = [
    "CollateralTerms",
    "DepegTerms",
    "ShortOption",
    "StandardMarket",
    "StandardParameters",
    "WorstPayoff",
    "confidence_penalty",
    "settlement_forward",
    "short_option_requirement",
    "worst_payoff",
]

_REMEDY: Final = "start from the published parameters"

AVERAGE_SECONDS: Final = 1800.0
"""Length of the average that settles an option."""
# Elements of one (groups, strikes, options) block of worst_payoff.
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StandardMarket:
    """Terms of one underlying. Fractions of spot where nothing else is said.

    Attributes
    ----------
    most, least : float
        Initial requirement of a short option at the money, and its floor far from it.
    mm_call, mm_put : float
        Maintenance requirement of a short call and put.
    mm_put_mark : float
        Maintenance requirement of a short put as a fraction of its mark.
    unpaired_initial, unpaired_maintenance : float
        Multiple of the forward for each call sold short net of calls held.
    put_offset : float
        Initial margin of a short put is at least this multiple of its maintenance margin.
    perp_initial, perp_maintenance : float
        Fraction of the notional at the perpetual's price.
    option_confidence, perp_confidence : float
        An oracle confidence below it adds to the initial requirement.
    confidence_factor : float
        Of notional, for each unit of confidence that is missing.
    """

    most: float
    least: float
    mm_call: float
    mm_put: float
    mm_put_mark: float
    unpaired_initial: float
    unpaired_maintenance: float
    put_offset: float
    perp_initial: float
    perp_maintenance: float
    option_confidence: float
    perp_confidence: float
    confidence_factor: float

    def __post_init__(self) -> None:
        """Check bounds, the venue's own among them."""
        check_rules(
            "standard market",
            self,
            {
                "0 < least <= most <= 1": 0.0 < self.least <= self.most <= 1.0,
                "0 < mm_call <= least": 0.0 < self.mm_call <= self.least,
                "0 < mm_put <= least": 0.0 < self.mm_put <= self.least,
                "0 <= mm_put_mark <= 1": 0.0 <= self.mm_put_mark <= 1.0,
                "1 <= unpaired_maintenance <= unpaired_initial": 1.0
                <= self.unpaired_maintenance
                <= self.unpaired_initial,
                "1 <= put_offset <= 3": 1.0 <= self.put_offset <= 3.0,
                "0 < perp_maintenance <= perp_initial <= 1": 0.0
                < self.perp_maintenance
                <= self.perp_initial
                <= 1.0,
                "confidences lie in [0, 1]": 0.0 <= self.option_confidence <= 1.0
                and 0.0 <= self.perp_confidence <= 1.0,
                "0 <= confidence_factor <= 1": 0.0 <= self.confidence_factor <= 1.0,
            },
            remedy=_REMEDY,
        )


@dataclass(frozen=True, slots=True)
class CollateralTerms:
    """Terms of one collateral asset.

    Attributes
    ----------
    factor : float
        Fraction of its USD value that counts.
    initial_scale : float
        What is left of it in the initial margin.
    confidence, confidence_factor : float
        As for a market.
    """

    factor: float
    initial_scale: float = 1.0
    confidence: float = 0.0
    confidence_factor: float = 0.0

    def __post_init__(self) -> None:
        """Check bounds."""
        values = (self.factor, self.initial_scale, self.confidence, self.confidence_factor)
        rules = {"all lie in [0, 1]": all(0.0 <= x <= 1.0 for x in values)}
        check_rules("collateral terms", self, rules, remedy=_REMEDY)


@dataclass(frozen=True, slots=True)
class DepegTerms:
    """What a stablecoin below its peg adds to the initial requirement.

    Attributes
    ----------
    threshold : float
        USD.
    factor : float
        Of the spot value of shorts and perpetuals, for each dollar below the threshold.
    """

    threshold: float
    factor: float

    def __post_init__(self) -> None:
        """Check bounds."""
        check_rules(
            "depeg terms",
            self,
            {
                "0 < threshold <= 1": 0.0 < self.threshold <= 1.0,
                "0 <= factor <= 10": 0.0 <= self.factor <= 10.0,
            },
            remedy=_REMEDY,
        )


@dataclass(frozen=True, slots=True)
class StandardParameters:
    """Terms of the manager.

    Attributes
    ----------
    markets : mapping of underlying to StandardMarket
    collateral : mapping of asset to CollateralTerms
        An asset that is not named here is not accepted.
    depeg : DepegTerms
    """

    markets: Mapping[str, StandardMarket]
    collateral: Mapping[str, CollateralTerms]
    depeg: DepegTerms

    def __post_init__(self) -> None:
        """Freeze the mappings."""
        if not self.markets:
            raise ConfigurationError(
                "standard parameters: no market", remedy="give at least one market"
            )
        object.__setattr__(self, "markets", MappingProxyType(dict(self.markets)))
        object.__setattr__(self, "collateral", MappingProxyType(dict(self.collateral)))


@dataclass(frozen=True, slots=True, eq=False)
class ShortOption:
    """Requirement of one short option, its mark left out; float64, USD per coin.

    Attributes
    ----------
    initial, maintenance : float64
    """

    initial: FloatArray
    maintenance: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class WorstPayoff:
    """Worst payoff of each group of options at expiry; shape (G,).

    Attributes
    ----------
    payoff : float64
        Not above 0.
    price : float64
        Settlement price where it falls; NaN where no price loses.
    """

    payoff: FloatArray
    price: FloatArray


def settlement_forward(
    forward: ArrayLike, seconds: ArrayLike, settled: ArrayLike = np.nan
) -> FloatArray:
    """Expected settlement price: in the last half hour a part of the average is known.

    Parameters
    ----------
    forward : array_like
        USD.
    seconds : array_like
        To expiry.
    settled : array_like
        The part of the average that is fixed, USD (fixings so far over all fixings); NaN: as if
        every fixing so far had been at the forward.

    Returns
    -------
    float64, broadcast shape
    """
    f, t, fixed = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (forward, seconds, settled))
    )
    open_part = np.clip(t / AVERAGE_SECONDS, 0.0, 1.0)
    known = np.isfinite(fixed) & (open_part < 1.0)
    return np.where(known, f * open_part + np.where(known, fixed, 0.0), f)


def short_option_requirement(
    spot: ArrayLike,
    strike: ArrayLike,
    mark: ArrayLike,
    sign: ArrayLike,
    terms: StandardMarket,
) -> ShortOption:
    """Isolated requirement of one short option on one coin.

    Parameters
    ----------
    spot, strike, mark : array_like
        USD.
    sign : array_like
        +1 call, -1 put.
    terms : StandardMarket

    Returns
    -------
    ShortOption
        Of the broadcast shape.
    """
    s, k, v, sgn = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (spot, strike, mark, sign))
    )
    out = np.maximum(sgn * (k - s), 0.0) / s
    initial = np.maximum(terms.most - out, terms.least) * s
    put = np.maximum(terms.mm_put * s, terms.mm_put_mark * v)
    maintenance = np.where(sgn > 0, terms.mm_call * s, put)
    floor = (maintenance + v) * terms.put_offset - v
    return ShortOption(np.where(sgn > 0, initial, np.maximum(initial, floor)), maintenance)


def worst_payoff(
    quantity: FloatArray, strike: FloatArray, sign: FloatArray, offsets: IntArray
) -> WorstPayoff:
    """Worst payoff at settlement over 0 and every strike of a group, for all groups at once.

    The payoff of options of one expiry is linear between strikes, so its minimum over bounded
    prices lies at one of them; above the last strike it falls only if calls are short net, which
    is charged apart.

    Parameters
    ----------
    quantity : float64, shape (P,)
        Coins, signed.
    strike : float64, shape (P,)
        USD.
    sign : float64, shape (P,)
        +1 call, -1 put.
    offsets : int64, shape (G + 1,)
        Options of group g are ``offsets[g] : offsets[g + 1]``.

    Returns
    -------
    WorstPayoff
    """
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(quantity):
        raise DataError(
            f"offsets must run from 0 to {len(quantity)}", remedy="one entry more than groups"
        )
    size = np.diff(offsets)
    payoff, price = np.zeros(len(size)), np.full(len(size), np.nan)
    # Groups of one size are a rectangular table, so no loop runs over groups.
    for n in np.unique(size[size > 0]).tolist():
        groups = np.flatnonzero(size == n)
        step = max(1, _BLOCK // (n * (n + 1)))
        for start in range(0, len(groups), step):
            some = groups[start : start + step]
            at = offsets[some][:, None] + np.arange(n)
            k, q, sgn = strike[at], quantity[at], sign[at]
            levels = np.concatenate((np.zeros((len(some), 1)), k), axis=1)
            value = np.maximum(sgn[:, None, :] * (levels[:, :, None] - k[:, None, :]), 0.0)
            total = np.einsum("gln,gn->gl", value, q)
            worst = np.argmin(total, axis=1)
            row = np.arange(len(some))
            least = total[row, worst]
            # NaN stays: `not >= 0` is true of it.
            loses = ~(least >= 0.0)
            payoff[some] = np.where(loses, least, 0.0)
            price[some] = np.where(loses, levels[row, worst], np.nan)
    return WorstPayoff(payoff, price)


def confidence_penalty(confidence: ArrayLike, threshold: float, factor: float) -> FloatArray:
    """Fraction of notional added for an oracle whose confidence is below the threshold.

    Parameters
    ----------
    confidence : array_like
        In [0, 1].
    threshold, factor : float

    Returns
    -------
    float64, shape of ``confidence``
    """
    sure = np.asarray(confidence, np.float64)
    return np.where(sure < threshold, (1.0 - sure) * factor, 0.0)
