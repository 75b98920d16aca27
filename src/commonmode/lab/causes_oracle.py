"""What could be found at best in a world of known causes.

Two oracles see the true deviations (of the cells that have a forecast) instead of those from noisy
benchmarks, with what the unlisted factor and own look-backs did to them taken out, and the factor's
series projected out; they see the cards as declared, as everybody does.

``series``  knows in addition the very series by which each cause acts, not who loads on it. The
            correlation of each model with the series has a Student-t likelihood from blocks of
            consecutive times; the Bayes factor of "loads" is its mean over the shares the prior
            admits, against zero. A component scores the log likelihood that its declared users load
            and the others do not, when a declaration is wrong with probability ``ORACLE_DOUBT``.
            No estimator knows the series: this bounds them from above.
``pairs``   knows no series; the same with the correlations of pairs, a composite likelihood: both
            of a component's users share, or not. This is what is open to an estimator with perfect
            benchmarks and full knowledge of the nuisance.

Either one *detects* where a component's sum of normal scores (of its users, of its pairs) over the
root of their number exceeds the largest of all components in each of 19 histories in which models
(pairs) or the series (series) are shifted in a circle by random times: size 5 % over the family.
What shares nothing but a user with the cause is significant for ``series``; that is no mistake.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.special import logsumexp, ndtri, stdtr

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import ComponentId
from commonmode.core.random import stream
from commonmode.lab.causes import CauseWorld
from commonmode.lab.causes_series import standardised

__all__ = ["ORACLE_BLOCKS", "ORACLE_DOUBT", "OracleVerdict", "pairs_oracle", "series_oracle"]

#: Blocks of consecutive times whose means are treated as independent.
ORACLE_BLOCKS: Final = 40
#: Chance that a declaration, or its absence, is wrong: a user of about ten, in a quarter of worlds.
ORACLE_DOUBT: Final = 0.02
_SHIFTS = 19
# Shares of the variance that the prior admits.
_SHARES = np.linspace(0.05, 0.90, 35)
_BIG = 8.0


@dataclass(frozen=True, slots=True)
class OracleVerdict:
    """What an oracle says of a world.

    Attributes
    ----------
    ranking : tuple of frozenset of ComponentId
        Components with at least two declared users, best first; those declared by the same users
        stand together.
    significant : frozenset of ComponentId
    """

    ranking: tuple[frozenset[ComponentId], ...]
    significant: frozenset[ComponentId]


def _residuals(world: CauseWorld) -> tuple[FloatArray, FloatArray]:
    """Standardised deviations without nuisance and factor, and presence, both (T, K, N)."""
    present = np.isfinite(world.forecast).astype(float)
    x = world.deviation - world.nuisance
    count = np.maximum(present.sum(axis=0), 1.0)
    f = world.factor[:, :, None] * present
    x = (x - (x * present).sum(axis=0) / count) * present
    f = (f - f.sum(axis=0) / count) * present
    energy = np.maximum((f**2).sum(axis=0), 1e-12)
    x -= f * ((f * x).sum(axis=0) / energy)
    sd = np.sqrt((x**2).sum(axis=0) / count)
    return np.asarray(x / np.where(sd > 0, sd, 1.0)), present


def _blocks(times: int) -> list[slice]:
    edges = np.linspace(0, times, ORACLE_BLOCKS + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _correlations(
    sums: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of the block means over axis 0, its standard error, and the blocks used.

    Blocks without a cell are left out; fewer than three say nothing (infinite error).
    """
    used = counts > 0
    blocks = used.sum(axis=0)
    mean = np.where(used, sums / np.maximum(counts, 1.0), 0.0)
    safe = np.maximum(blocks, 2)
    centre = mean.sum(axis=0) / safe
    spread = np.where(used, (mean - centre) ** 2, 0.0).sum(axis=0) / (safe - 1)
    error = np.sqrt(np.maximum(spread, 1e-30) / safe)
    return centre, np.where(blocks >= 3, error, np.inf), np.maximum(blocks, 3).astype(float)


def _scores(
    sums: FloatArray, counts: FloatArray, correlation: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log Bayes factor of "shares" and the normal score of a positive correlation.

    ``correlation`` holds what "shares" may mean, equally likely.
    """
    centre, error, blocks = _correlations(sums, counts)
    t = centre / error

    def log_likelihood(value: FloatArray | float) -> FloatArray:
        gap = (centre - value) / error
        return np.asarray(-0.5 * blocks * np.log1p(gap**2 / (blocks - 1.0)))

    under = np.stack([log_likelihood(float(value)) for value in correlation])
    factor = logsumexp(under, axis=0) - math.log(len(correlation)) - log_likelihood(0.0)
    # The lower tail is the accurate one; scores end where it underflows.
    score = -np.sign(t) * ndtri(stdtr(blocks - 1.0, -np.abs(t)))
    return np.asarray(factor), np.clip(score, -_BIG, _BIG)


def _gram(part: FloatArray) -> FloatArray:
    """Sums over times and targets of the products of all pairs, shape (N, N)."""
    flat = part.reshape(-1, part.shape[2])
    return np.asarray(flat.T @ flat)


def _judge(
    world: CauseWorld, statistic: Callable[[int], tuple[FloatArray, FloatArray]], *, pairs: bool
) -> OracleVerdict:
    """Rank by agreement, test against the shifted histories; ``statistic(0)`` is the true one."""
    declared = world.truth.declared
    sets = sorted({users for users in declared.values() if len(users) >= 2}, key=sorted)
    chosen: list[tuple[IntArray, ...]] = []
    for users in sets:
        members = np.array(sorted(users), dtype=np.int64)
        i, j = np.triu_indices(len(members), 1)
        chosen.append((members[i], members[j]) if pairs else (members,))

    def added(values: FloatArray, root: bool) -> FloatArray:
        sums = [float(values[c].sum()) / (math.sqrt(len(c[0])) if root else 1.0) for c in chosen]
        return np.array(sums)

    factor, score = statistic(0)
    doubt, sure = math.log(ORACLE_DOUBT), math.log1p(-ORACLE_DOUBT)
    agreement = np.logaddexp(sure + factor, doubt) - np.logaddexp(doubt + factor, sure)
    ranks, signals = added(agreement, False), added(score, True)
    bound = max(
        (float(added(statistic(n)[1], True).max(initial=-np.inf)) for n in range(1, _SHIFTS + 1)),
    )
    names = [frozenset(n for n, own in declared.items() if own == users) for users in sets]
    order = np.argsort(-ranks, kind="stable")
    found = [names[c] for c in range(len(sets)) if signals[c] > bound]
    return OracleVerdict(
        ranking=tuple(names[int(c)] for c in order), significant=frozenset().union(*found)
    )


def pairs_oracle(world: CauseWorld) -> OracleVerdict:
    """Verdict of the oracle that sees the deviations but no cause's series."""
    x, present = _residuals(world)
    rng = stream(world.design.seed, "causes", "oracle", "pairs")
    slices = _blocks(len(x))

    def statistic(shift: int) -> tuple[FloatArray, FloatArray]:
        moved, there = x, present
        if shift:
            by = np.asarray(rng.integers(len(x), size=x.shape[2]))
            moved, there = np.empty_like(x), np.empty_like(present)
            for i, steps in enumerate(by):
                moved[:, :, i] = np.roll(x[:, :, i], int(steps), axis=0)
                there[:, :, i] = np.roll(present[:, :, i], int(steps), axis=0)
        sums = np.stack([_gram(moved[s]) for s in slices])
        counts = np.stack([_gram(there[s]) for s in slices])
        return _scores(sums, counts, _SHARES)

    return _judge(world, statistic, pairs=True)


def series_oracle(world: CauseWorld, cause: int = 0) -> OracleVerdict:
    """Verdict of the oracle that knows the series of acting cause number ``cause``.

    Raises
    ------
    IndexError
        The world has no such cause.
    """
    x, present = _residuals(world)
    known = world.truth.causes[cause].series
    energy = np.maximum((world.factor**2).sum(axis=0), 1e-12)
    known = standardised(known - world.factor * ((world.factor * known).sum(axis=0) / energy))
    rng = stream(world.design.seed, "causes", "oracle", "series", cause)
    slices = _blocks(len(x))
    counts = np.stack([present[s].sum(axis=(0, 1)) for s in slices])

    def statistic(shift: int) -> tuple[FloatArray, FloatArray]:
        moved = np.roll(known, int(rng.integers(len(x))), axis=0) if shift else known
        product = x * moved[:, :, None]
        sums = np.stack([product[s].sum(axis=(0, 1)) for s in slices])
        return _scores(sums, counts, np.sqrt(_SHARES))

    return _judge(world, statistic, pairs=False)
