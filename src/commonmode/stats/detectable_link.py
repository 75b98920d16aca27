"""How close a follower has to follow for three tests at once to find it.

The tests of :mod:`commonmode.converge.propagation` see a link in different ways: its coefficient,
and the excess of one direction over the other after two ways of whitening. What the latter keep of
a link depends on the memories, on the shocks that models share, and on where in a chain it stands:
if the sender follows somebody too, its own past is no longer news only, and the shocks that it
shares with its receiver's make the reverse direction look like a link. So a chain 0 -> 1 -> 2 is
planted into a typical system of three and its moments are worked out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import solve_discrete_lyapunov
from scipy.special import ndtr

from commonmode.core.arrays import FloatArray

__all__ = ["LinkTests", "detectable_links"]

_FIRST: Final = (1, 0)
_ONWARD: Final = (2, 1)
_GRID: Final = np.geomspace(0.01, 0.95, 16)
_HALVINGS: Final = 6
_LEAST_SHARED: Final = -0.4
_MOST_SHARED: Final = 0.95
_LONGEST: Final = 0.99
"""Radius of the longest memory that is planted into."""


@dataclass(frozen=True, slots=True, eq=False)
class LinkTests:
    """What the three tests are made of, of the typical pair.

    Attributes
    ----------
    memory : float64, shape (p,)
        Filter that whitens all models on average.
    shared : float
        Correlation of two models' shocks.
    unit : float
        Partial correlation per unit of coefficient.
    errors : (float, float, float)
        Standard errors when nobody follows: of the partial correlation, and of the directions
        after one filter for all and after each model's own, in correlations.
    criticals : (float, float, float)
        Units of t.
    blocks : int
    models : int
        Whose filter for all is one; a chain among few of them bends it.
    own_order : int
        Of the models' own filters.
    """

    memory: FloatArray
    shared: float
    unit: float
    errors: tuple[float, float, float]
    criticals: tuple[float, float, float]
    blocks: int
    models: int
    own_order: int


def detectable_links(tests: LinkTests, *, power: float = 0.8) -> tuple[float, float]:
    """Partial correlations of a follower, one row behind, that all three tests find.

    Parameters
    ----------
    tests : LinkTests
    power : float

    Returns
    -------
    first, onward : float
        Of a sender that follows nobody, and of one that follows another as closely; 1 where not
        even nearly the same model would be found.
    """
    shared = float(np.clip(tests.shared, _LEAST_SHARED, _MOST_SHARED))
    memory = _held(tests.memory)
    # A model's own filter is estimated from its own noise, which two models share with the
    # contrast of their directions: it adds the square of their shocks' correlation.
    extra = (0.0, 0.0, shared**2)

    def found(partial: float) -> tuple[float, float]:
        strength = partial / tests.unit
        one, own = _directions(memory, shared, strength, tests.models, tests.own_order)

        def passed(k: int, effect: float) -> float:
            blocks, critical = tests.blocks, tests.criticals[k]
            room = 1.0 - critical**2 / blocks
            if room <= 0:
                return 0.0
            threshold = critical / np.sqrt(room)
            spread = np.sqrt(1.0 + extra[k] + threshold**2 / (2.0 * (blocks - 1)))
            return float(ndtr((effect / tests.errors[k] - threshold) / spread))

        follows = passed(0, partial)
        # Both directions see the same noise: who passes the less powerful passes both.
        first, onward = (
            follows * min(passed(1, one[place]), passed(2, own[place]))
            for place in (_FIRST, _ONWARD)
        )
        return first, onward

    if not (tests.unit > 0 and min(tests.errors) > 0):
        return 1.0, 1.0
    grid: list[tuple[float, float]] = []
    for size in _GRID.tolist():
        grid.append(found(size))
        if all(max(chances) >= power for chances in zip(*grid, strict=True)):
            break
    return _least(grid, 0, found, power), _least(grid, 1, found, power)


def _least(
    grid: list[tuple[float, float]],
    which: int,
    found: Callable[[float], tuple[float, float]],
    power: float,
) -> float:
    """Smallest size that is found often enough, between the grid's points by halving."""
    enough = [k for k, chances in enumerate(grid) if chances[which] >= power]
    if not enough:
        return 1.0
    high = float(_GRID[enough[0]])
    low = float(_GRID[enough[0] - 1]) if enough[0] else 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if found(middle)[which] >= power else (middle, high)
    return high


def _held(memory: FloatArray) -> FloatArray:
    """The filter, its memory shortened where an estimate makes it endless."""
    p = len(memory)
    companion = np.eye(p, k=-1)
    companion[0] = memory
    radius = float(np.abs(np.linalg.eigvals(companion)).max())
    return memory * min(1.0, _LONGEST / max(radius, 1e-12)) ** np.arange(1, p + 1)


def _directions(
    memory: FloatArray, shared: float, strength: float, models: int, own_order: int
) -> tuple[FloatArray, FloatArray]:
    """``corr(w_i, w_j a row ago)`` less the reverse, whitened in two ways, (3, 3) each."""
    n, p = 3, len(memory)
    order = max(p, own_order)
    transition = np.eye(n * p, k=-n)
    transition[:n] = np.kron(memory, np.eye(n))
    transition[1, 0] += strength
    transition[2, 1] += strength
    shocks = np.zeros((n * p, n * p))
    shocks[:n, :n] = (1.0 - shared) * np.eye(n) + shared
    state = solve_discrete_lyapunov(transition, shocks, method="bilinear")
    past = np.empty((order + 2, n, n))
    for k in range(order + 2):
        past[k] = state[:n, :n]
        state = transition @ state
    # Covariance of (d_t, ..., d_{t - order - 1}): block (a, b) is E[d_{t-a} d_{t-b}'].
    lag = np.arange(order + 2)
    ahead = lag[None, :] - lag[:, None]
    blocks = np.where(
        (ahead >= 0)[..., None, None], past[np.abs(ahead)], past[np.abs(ahead)].swapaxes(-1, -2)
    )
    each = np.einsum("abii->iab", blocks)
    each = each / each[:, :1, :1]
    # The first of the chain is like all models outside of it.
    pooled = ((models - 2) * each[0] + each[1] + each[2]) / models
    one = np.zeros((n, order))
    one[:, :p] = _whitens(pooled, p)
    own = np.zeros((n, order))
    own[:, :own_order] = [_whitens(covariance, own_order) for covariance in each]
    return _contrast(blocks, one), _contrast(blocks, own)


def _whitens(covariance: FloatArray, order: int) -> FloatArray:
    inner, cross = covariance[1 : order + 1, 1 : order + 1], covariance[0, 1 : order + 1]
    return np.asarray(np.linalg.solve(inner, cross))


def _contrast(blocks: FloatArray, filters: FloatArray) -> FloatArray:
    weights = np.concatenate([np.ones((len(filters), 1)), -filters], axis=1)
    now, then = blocks[:-1, :-1], blocks[:-1, 1:]
    # What is left holds the shock, of variance one; rounding of long memories may put it below.
    variance = np.maximum(np.einsum("ia,abii,ib->i", weights, now, weights), 1.0)
    cross = np.einsum("ia,abij,jb->ij", weights, then, weights)
    unit = np.sqrt(np.outer(variance, variance))
    return np.asarray((cross - cross.T) / unit)
