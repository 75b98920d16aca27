"""Broken correlation: the same moves of each factor, put together differently.

The moves of one factor (return and volatility move) always stay together and keep their
distribution; only the pairing of the factors changes. Where the P&L of an account is a sum over
factors, no revaluation is needed for this: see ``measure.undiversified``, which is the exact worst
case over every dependence between the factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from commonmode.core.arrays import IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.random import as_generator
from commonmode.margin.dynamic.scenarios import JointScenarios, ScenarioKind

__all__ = ["comonotone_scenarios", "independent_scenarios", "sign_patterns"]

# 2^(U-1) patterns: beyond this many factors they have to be named.
_MOST_FACTORS = 10


def _require_equal_weights(scenarios: JointScenarios, what: str) -> None:
    if not np.allclose(scenarios.weights, scenarios.weights[0], rtol=1e-12, atol=0.0):
        raise DataError(
            f"{what} scenarios need equal weights: moving a row of one factor would change its "
            "distribution",
            remedy="break the correlation of each equally weighted part, then mix the parts",
        )


def _rearranged(
    scenarios: JointScenarios, order: IntArray, kind: ScenarioKind, label: str
) -> JointScenarios:
    """Factor u takes its moves in the order ``order[:, u]``."""
    columns = np.arange(len(scenarios.factors))
    n = len(order)
    return replace(
        scenarios,
        log_returns=scenarios.log_returns[order, columns],
        vol_moves=scenarios.vol_moves[order, columns],
        weights=np.full(n, 1.0 / n),
        kinds=np.full(n, int(kind), dtype=np.int64),
        labels=np.asarray([f"{label} {i}" for i in range(n)], dtype=np.str_),
    )


def independent_scenarios(
    scenarios: JointScenarios, *, rng: int | np.random.Generator, block: int = 1
) -> JointScenarios:
    """Rows of every factor shuffled on their own: hedges across factors hold only by chance.

    Parameters
    ----------
    scenarios : JointScenarios
        Equally weighted.
    rng : int or numpy.random.Generator
    block : int
        Consecutive rows that move together. With overlapping windows single rows would keep no
        run of bad windows; blocks of at least one horizon keep each factor's own runs. The last
        block may be shorter.

    Raises
    ------
    DataError
        If the weights differ.
    """
    _require_equal_weights(scenarios, "independent")
    if block < 1:
        raise ConfigurationError(f"blocks of {block} rows", remedy="use at least one row")
    n = len(scenarios)
    generator = as_generator(rng, "margin", "independent")
    starts = np.arange(0, n, block)
    order = np.empty((n, len(scenarios.factors)), dtype=np.int64)
    for u in range(len(scenarios.factors)):
        shuffled = starts[generator.permutation(len(starts))]
        rows = (shuffled[:, None] + np.arange(block)).ravel()
        order[:, u] = rows[rows < n]
    return _rearranged(scenarios, order, ScenarioKind.INDEPENDENT, "independent")


def sign_patterns(factors: int) -> IntArray:
    """Every pattern of signs of ``factors`` moves, up to a common sign; shape (2^(U-1), U).

    The first factor is always +1: turning all signs round gives the same rows in reverse order.
    """
    if not 1 <= factors <= _MOST_FACTORS:
        raise ConfigurationError(
            f"{factors} factors have {2 ** max(factors - 1, 0)} sign patterns",
            remedy=f"name the patterns that matter; all are listed up to {_MOST_FACTORS} factors",
        )
    return np.asarray([(1, *rest) for rest in product((1, -1), repeat=factors - 1)], dtype=np.int64)


def comonotone_scenarios(
    scenarios: JointScenarios,
    *,
    patterns: Sequence[Sequence[int]] | IntArray | None = None,
    quantiles: int | None = None,
) -> tuple[JointScenarios, ...]:
    """Factors that move in step: the worst of one with the worst of the others.

    For each pattern of signs the k-th lowest return of a factor with +1 meets the k-th lowest of
    the others with +1 and the k-th highest of those with -1. One of the patterns makes a given
    hedge fail at every quantile. The largest margin over the patterns is the correlation stress of
    an account whose P&L is monotone in each factor; for other P&L ``measure.undiversified`` is
    exact.

    Parameters
    ----------
    scenarios : JointScenarios
        Equally weighted.
    patterns : int, shape (V, U), optional
        Signs; all of :func:`sign_patterns` by default.
    quantiles : int, optional
        Keep that many rows per pattern, at evenly spread ranks always including the extremes,
        instead of all S.

    Returns
    -------
    tuple of JointScenarios
        One set per pattern.
    """
    _require_equal_weights(scenarios, "comonotone")
    n, u = scenarios.log_returns.shape
    signs = sign_patterns(u) if patterns is None else np.asarray(patterns, dtype=np.int64)
    if signs.ndim != 2 or signs.shape[1] != u or not np.all(np.abs(signs) == 1):
        raise ConfigurationError(
            f"sign patterns of shape {signs.shape} for {u} factors",
            remedy="give +1 or -1 for each factor in each pattern",
        )
    ascending = np.argsort(scenarios.log_returns, axis=0, kind="stable")
    if quantiles is not None:
        if not 2 <= quantiles <= n:
            raise ConfigurationError(
                f"{quantiles} quantiles of {n} scenarios", remedy="use between 2 and all of them"
            )
        ascending = ascending[np.linspace(0, n - 1, quantiles).round().astype(np.int64)]
    sets = []
    for sign in signs:
        order = np.where(sign > 0, ascending, ascending[::-1])
        name = " ".join(
            f"{'+' if s > 0 else '-'}{f}" for s, f in zip(sign, scenarios.factors, strict=True)
        )
        sets.append(_rearranged(scenarios, order, ScenarioKind.COMONOTONE, name))
    return tuple(sets)
