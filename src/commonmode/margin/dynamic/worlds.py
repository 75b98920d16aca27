"""Profit in every scenario set of a method, at once: one surface model, one market.

Exactly, or interpolated: for searches that value the same contracts at many spots. Interpolated
profits are bilinear in the log return and the volatility factor of the contract's own coin, between
nodes that span all the sets; the error is that of a second derivative over a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_array

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.exposure.revaluation import held_values
from commonmode.exposure.scenarios import ScenarioGrid
from commonmode.margin.dynamic.profit import ScenarioProfit, factor_columns, instrument_profit
from commonmode.margin.dynamic.scenarios import JointScenarios
from commonmode.margin.dynamic.sets import ScenarioSets
from commonmode.margin.market import MarginMarket
from commonmode.pricing.kernels import Engine

__all__ = ["NODES", "Valuation", "Worlds", "value_worlds"]

_SPOT_NODES: Final = 65
_VOL_NODES: Final = 9
NODES: Final = _SPOT_NODES * _VOL_NODES
"""Values per option where profits are interpolated."""


@dataclass(frozen=True, slots=True, eq=False)
class Worlds:
    """Profit of contracts and assets in every scenario set.

    Attributes
    ----------
    normal, stressed : ScenarioProfit
    hypothetical, long : ScenarioProfit or None
        ``long`` holds all history known, unfiltered: what the floor is measured on.
    before : tuple of Worlds
        As they stood on each day before, oldest first.
    """

    normal: ScenarioProfit
    stressed: ScenarioProfit
    hypothetical: ScenarioProfit | None = None
    long: ScenarioProfit | None = None
    before: tuple[Worlds, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Valuation:
    """How contracts are valued in the scenarios.

    Attributes
    ----------
    vol : float64, shape (I,)
        Held per strike, then moved by the scenario.
    marks : float64, shape (I,)
        What the contracts are carried at, USD.
    held : int64
        Rows of the instruments that are needed.
    stable : str
        Factor that moves the settlement stablecoin; "" for none.
    engine : {"auto", "numba", "numpy"}
    quick : bool
        Interpolate.
    """

    vol: FloatArray
    marks: FloatArray
    held: IntArray
    stable: str = ""
    engine: Engine = "auto"
    quick: bool = False


def value_worlds(market: MarginMarket, sets: ScenarioSets, how: Valuation) -> Worlds:
    """Profit of every contract that is held, in every set."""
    nodes = _nodes(market, sets, how) if how.quick else None

    def profit(one: JointScenarios) -> ScenarioProfit:
        found = instrument_profit(
            market,
            one,
            vol=how.vol,
            marks=how.marks,
            # Interpolated ones are valued at the nodes instead.
            held=how.held if nodes is None else how.held[:0],
            stable=how.stable,
            engine=how.engine,
        )
        return found if nodes is None else nodes.profit(found)

    def worlds(each: ScenarioSets) -> Worlds:
        return Worlds(
            normal=profit(each.normal),
            stressed=profit(each.stressed),
            hypothetical=None if each.hypothetical is None else profit(each.hypothetical),
            long=None if each.long is None else profit(each.long),
            before=tuple(worlds(one) for one in each.before),
        )

    return worlds(sets)


@dataclass(frozen=True, slots=True, eq=False)
class _Nodes:
    """Profits at the nodes, shape (I, N), and the axes of each factor's nodes."""

    values: FloatArray
    axes: dict[int, tuple[FloatArray, FloatArray]]

    def profit(self, found: ScenarioProfit) -> ScenarioProfit:
        spread = {
            k: _weights(found.scenarios, k, spot, vol) for k, (spot, vol) in self.axes.items()
        }
        return ScenarioProfit(
            scenarios=found.scenarios,
            factor=found.factor,
            instruments=self.values,
            assets=found.assets,
            unmoved=found.unmoved,
            cash=found.cash,
            spread=spread,
        )


def _nodes(market: MarginMarket, sets: ScenarioSets, how: Valuation) -> _Nodes:
    columns = factor_columns(market, sets.normal)
    factor = columns[market.underlying] if len(market.underlying) else np.zeros(0, dtype=np.int64)
    values = np.full((len(factor), NODES), np.nan)
    axes = {}
    for k in np.unique(factor[how.held]).tolist():
        if k < 0:
            continue
        spot = _axis([one.log_returns[:, k] for one in sets.all], _SPOT_NODES)
        vol = _axis([one.vol_moves[:, k] for one in sets.all], _VOL_NODES)
        axes[k] = (spot, vol)
        rows = how.held[factor[how.held] == k]
        grid = ScenarioGrid(
            np.repeat(np.exp(spot), len(vol)), vol_scale=1.0 + np.tile(vol, len(spot))
        )
        table = market.instruments.select(rows)
        worth = held_values(table, how.vol[rows], grid, engine=how.engine)
        values[rows] = worth - how.marks[rows, None]
    return _Nodes(values, axes)


def _axis(moves: list[FloatArray], count: int) -> FloatArray:
    """Even steps from the least to the greatest move, today's state among them."""
    low = min(0.0, *(float(each.min()) for each in moves))
    high = max(0.0, *(float(each.max()) for each in moves))
    if high - low < 1e-12:
        high = low + 1e-6
    step = (high - low) / (count - 2)
    # One more step than the range needs, shifted so that 0 is a node.
    first = -np.ceil(-low / step) * step
    return np.asarray(first + step * np.arange(count))


def _weights(scenarios: JointScenarios, k: int, spot: FloatArray, vol: FloatArray) -> csr_array:
    """Bilinear weights of the nodes in every scenario, sparse, shape (N, S)."""
    s = len(scenarios)
    i, x = _place(scenarios.log_returns[:, k], spot)
    j, y = _place(scenarios.vol_moves[:, k], vol)
    at = np.concatenate([(i + di) * len(vol) + (j + dj) for di in (0, 1) for dj in (0, 1)])
    weight = np.concatenate(
        [(x if di else 1.0 - x) * (y if dj else 1.0 - y) for di in (0, 1) for dj in (0, 1)]
    )
    return csr_array((weight, (at, np.tile(np.arange(s), 4))), shape=(NODES, s))


def _place(moves: FloatArray, axis: FloatArray) -> tuple[IntArray, FloatArray]:
    """Node to the left, and how far towards the next one."""
    position = (moves - axis[0]) / (axis[1] - axis[0])
    left = np.clip(np.floor(position), 0, len(axis) - 2).astype(np.int64)
    return left, np.asarray(position - left)
