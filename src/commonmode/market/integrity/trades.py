"""Wash-trading signs in a tape of trades.

Cong, Li, Tang & Yang (2023), "Crypto wash trading", Management Science 69(11), find on regulated
exchanges what authentic trading leaves everywhere (first digits by Benford's law, clustering at
round sizes, power tails with exponents between 1 and 2) and on many unregulated ones its absence.
Buying from oneself leaves pairs: equal size, opposite side, next to each other.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import bdtr, bdtrc

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.random import as_generator
from commonmode.market.integrity.screen import Screen, not_applicable, verdict_of
from commonmode.stats.digits import benford_test, hill_tail

__all__ = ["matched_pairs", "round_sizes", "size_digits", "size_tail"]

_CONG: Final = "Cong, Li, Tang & Yang (2023), Management Science 69(11)"
_NIGRINI: Final = "Nigrini (2012), Benford's Law, table 7.1: above .015 nonconformity"
_NONCONFORMITY: Final = 0.015
_DECADES: Final = 2.0
_FEWEST: Final = 1000
_ROUND: Final = 100  # a round size is a multiple of this many units (Cong et al., section 4.2)


def size_digits(quantity: FloatArray, *, subject: str, alpha: float = 0.01) -> Screen:
    """First digits of trade sizes against Benford's law.

    Flagged where the deviation is large (Nigrini) and not by chance (chi-squared, corrected for
    runs of equal sizes). Sizes that span less than two powers of ten follow the law nowhere. A weak
    sign on its own: market makers' standard lots break the law on authentic venues too.

    Parameters
    ----------
    quantity : float64, shape (n,)
        Positive, in order of time.
    subject : str
    alpha : float
    """
    name, source = "first digits of trade sizes", f"{_CONG}; {_NIGRINI}"
    x = np.asarray(quantity, dtype=np.float64)
    if len(x) < _FEWEST:
        return not_applicable(name, subject, f"{len(x)} trades, {_FEWEST} are needed", source)
    low, high = np.quantile(x, [0.025, 0.975])
    if np.log10(high / low) < _DECADES:
        why = f"sizes span {np.log10(high / low):.1f} powers of ten, Benford's law needs two"
        return not_applicable(name, subject, why, source)
    test = benford_test(x)
    flagged = test.deviation > _NONCONFORMITY and test.p_value < alpha
    text = (
        f"{subject}: first digits of {len(x):,} trade sizes are {test.deviation:.3f} off Benford's "
        f"law on average (conforming up to {_NONCONFORMITY}; p = {test.p_value:.2g} with a design "
        f"effect of {test.design_effect:.1f})."
    )
    return Screen(
        name,
        subject,
        verdict_of(flagged),
        test.deviation,
        _NONCONFORMITY,
        test.p_value,
        len(x),
        text,
        source,
    )


def _unit(x: FloatArray) -> float:
    """Largest power of ten of which (nearly) all sizes are multiples."""
    for exponent in range(6, -9, -1):
        unit = 10.0**exponent
        parts = x / unit
        whole = np.rint(parts)
        if np.mean((whole >= 1) & (np.abs(parts - whole) < 1e-6 * np.maximum(parts, 1.0))) > 0.999:
            return unit
    return 1e-8


def round_sizes(quantity: FloatArray, *, subject: str, alpha: float = 0.05) -> Screen:
    """Do sizes cluster at round numbers, as people's orders do?

    Around each multiple of 100 units (of the venue's size step) the window of 50 units to either
    side holds 101 sizes; without clustering the middle one gets its share. Flagged where there is
    no significant clustering although a doubling would have been found with 95 % probability:
    bots' random sizes do not care for round numbers.

    Parameters
    ----------
    quantity : float64, shape (n,)
    subject : str
    alpha : float
        Level of the clustering test.
    """
    name = "clustering at round sizes"
    x = np.asarray(quantity, dtype=np.float64)
    units = np.rint(x / _unit(x)).astype(np.int64)
    half = _ROUND // 2
    inside = units >= half
    offset = (units[inside] + half) % _ROUND - half
    # Both edges of a window are at the same distance: they are shared by two windows.
    weight = int(np.count_nonzero(np.abs(offset) < half))
    count = int(np.count_nonzero(offset == 0))
    share = 1.0 / (_ROUND - 1)
    needed = 0
    while needed < weight and bdtrc(needed, weight, share) > alpha:
        needed += 1
    power = 1.0 - float(bdtr(needed, weight, 2.0 * share / (1.0 + share)))
    if power < 0.95:
        why = f"{weight} trades near round sizes could not show clustering"
        return not_applicable(name, subject, why, _CONG)
    ratio = count / (weight * share)
    p_value = float(bdtrc(count - 1, weight, share)) if count else 1.0
    text = (
        f"{subject}: round sizes are {ratio:.1f} times as frequent as their neighbours among "
        f"{weight:,} trades (p = {p_value:.2g}; authentic trading clusters there)."
    )
    return Screen(
        name, subject, verdict_of(p_value > alpha), ratio, 1.0, p_value, count, text, _CONG
    )


def size_tail(quantity: FloatArray, *, subject: str) -> Screen:
    """Exponent of the tail of trade sizes against the Pareto-Levy range of 1 to 2.

    Flagged where the whole 95 % interval lies outside.

    Parameters
    ----------
    quantity : float64, shape (n,)
        In order of time.
    subject : str
    """
    name = "tail of trade sizes"
    source = f"{_CONG}; Gopikrishnan, Plerou, Gabaix & Stanley (2000), Physical Review E 62(4)"
    try:
        tail = hill_tail(quantity)
    except DataError as error:
        return not_applicable(name, subject, error.message, source)
    low, high = tail.interval
    off = high < 1.0 or low > 2.0
    bound = 1.0 if tail.exponent < 1.5 else 2.0
    text = (
        f"{subject}: the largest {tail.count:,} trade sizes fall off with exponent "
        f"{tail.exponent:.2f} (95 % {low:.2f} to {high:.2f}; authentic between 1 and 2)."
    )
    return Screen(
        name,
        subject,
        verdict_of(off),
        tail.exponent,
        bound,
        float("nan"),
        tail.count,
        text,
        source,
    )


def matched_pairs(
    quantity: FloatArray,
    sign: IntArray,
    *,
    subject: str,
    neighbourhood: int = 200,
    shuffles: int = 999,
    alpha: float = 0.01,
    rng: int | np.random.Generator = 0,
) -> Screen:
    """Consecutive trades of the same size and opposite side, against shuffled sizes.

    Sizes are shuffled among trades on the *same side* within a neighbourhood, which keeps what is
    popular then and there on each side and in what order sides come.

    Parameters
    ----------
    quantity : float64, shape (n,)
    sign : int64, shape (n,)
        +1 the buyer took, -1 the seller took.
    subject : str
    neighbourhood : int
        Consecutive trades among which sizes are shuffled.
    shuffles : int
    alpha : float
    rng : int or Generator
    """
    name, source = "matched opposite trades", "permutation of sizes within sides (exact)"
    x, side = np.asarray(quantity, np.float64), np.asarray(sign, np.int64)
    if len(x) < _FEWEST:
        return not_applicable(name, subject, f"{len(x)} trades, {_FEWEST} are needed", source)
    opposite = side[1:] != side[:-1]
    group = 2 * (np.arange(len(x)) // neighbourhood) + (side > 0)
    order = np.argsort(group, kind="stable")

    def pairs(sizes: FloatArray) -> int:
        return int(np.count_nonzero(opposite & (sizes[1:] == sizes[:-1])))

    observed = pairs(x)
    generator = as_generator(rng, "matched-pairs", subject)
    null = np.empty(shuffles)
    shuffled = np.empty_like(x)
    for s in range(shuffles):
        # A random key within each group: the groups stay in place, their members move.
        moved = np.argsort(group + generator.random(len(x)))
        shuffled[order] = x[moved]
        null[s] = pairs(shuffled)
    p_value = float((1 + (null >= observed).sum()) / (1 + shuffles))
    expected = float(null.mean())
    excess = 2.0 * (observed - expected) / len(x)
    text = (
        f"{subject}: {observed} consecutive trades of equal size and opposite side where "
        f"{expected:.0f} are expected (p = {p_value:.2g}): {100 * max(excess, 0.0):.1f} % of "
        "trades beyond chance."
    )
    return Screen(
        name,
        subject,
        verdict_of(p_value < alpha),
        float(observed),
        float(np.quantile(null, 1 - alpha)),
        p_value,
        observed,
        text,
        source,
    )
