"""P&L of accounts in joint scenarios, split by risk factor so that each can be cut off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.result import Failure, FailureReason
from commonmode.exposure.revaluation import held_values
from commonmode.exposure.scenarios import ScenarioGrid
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.scenarios import JointScenarios
from commonmode.margin.market import MarginMarket
from commonmode.pricing.kernels import Engine

__all__ = [
    "ScenarioProfit",
    "factor_columns",
    "instrument_profit",
    "mark_values",
    "missing_factors",
    "silent_models",
]


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioProfit:
    """What one contract and one unit of collateral gain in every scenario.

    Attributes
    ----------
    scenarios : JointScenarios
    factor : int64, shape (I,)
        Column of the scenarios that moves each instrument; -1 for none.
    instruments : float64, shape (I, S), or (I, N) at nodes
        USD per contract.
    assets : float64, shape (C, S, U)
        USD per unit of collateral, split by the factors that move it: what follows a coin moves
        with it, and with a factor of its own name where there is one (a staking token's basis).
    unmoved : bool, shape (C,)
        Assets that no scenario moves; their holders cannot be margined.
    cash : float64, shape (S, U)
        USD per unit of the settlement stablecoin.
    spread : mapping of factor to sparse array, shape (N, S), or None
        Weights of the nodes in every scenario, where profits are interpolated.
    """

    scenarios: JointScenarios
    factor: IntArray
    instruments: FloatArray
    assets: FloatArray
    unmoved: BoolArray
    cash: FloatArray
    spread: Mapping[int, csr_array] | None = None

    def accounts(self, accounts: Accounts) -> FloatArray:
        """P&L of accounts by factor, float64, shape (A, S, U); it adds up over the factors."""
        n, s, u = len(accounts), len(self.scenarios), len(self.scenarios.factors)
        out = np.zeros((n, s, u))
        matrix = accounts.matrix(len(self.factor)).tocsc()
        for k in range(u):
            rows = np.flatnonzero(self.factor == k)
            # Interpolated only along the factors of what is held.
            if len(rows) and (self.spread is None or k in self.spread):
                pnl = matrix[:, rows] @ self.instruments[rows]
                out[:, :, k] = pnl if self.spread is None else pnl @ self.spread[k]
        if self.assets.shape[0]:
            out += np.einsum("ac,csu->asu", accounts.collateral, self.assets)
        money = accounts.cash + accounts.unrealised
        return np.asarray(out + money[:, None, None] * self.cash)


def missing_factors(market: MarginMarket, scenarios: JointScenarios) -> dict[int, Failure]:
    """Rows of the underlyings that the scenarios do not move."""
    return {
        row: Failure(
            FailureReason.MISSING_DATA,
            f"no scenario moves {name}",
            "give its history, a proxy for it or a hypothetical move",
        )
        for row, name in enumerate(market.underlyings.name.tolist())
        if name not in scenarios.factors
    }


def factor_columns(market: MarginMarket, scenarios: JointScenarios) -> IntArray:
    """Column of every underlying among the factors, -1 for none, shape (U,)."""
    known = {name: k for k, name in enumerate(scenarios.factors)}
    names = market.underlyings.name.tolist()
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)


def mark_values(
    market: MarginMarket, vol: FloatArray | None = None, *, engine: Engine = "auto"
) -> FloatArray:
    """USD value of one contract today, shape (I,); futures and perpetuals are worth 0.

    NaN where a volatility is needed and missing.
    """
    today = ScenarioGrid(np.ones(1))
    used = market.vol if vol is None else vol
    return np.asarray(held_values(market.instruments, used, today, engine=engine)[:, 0])


def instrument_profit(
    market: MarginMarket,
    scenarios: JointScenarios,
    *,
    vol: FloatArray | None = None,
    marks: FloatArray | None = None,
    held: IntArray | None = None,
    stable: str = "",
    engine: Engine = "auto",
) -> ScenarioProfit:
    """Revalue every instrument and asset once, on its own underlying's moves.

    Parameters
    ----------
    market : MarginMarket
    scenarios : JointScenarios
    vol : float64, shape (I,), optional
        Another model's volatilities; the market's own if left out. Held per strike, then moved by
        the scenario.
    marks : float64, shape (I,), optional
        What the contracts are carried at, USD; their value under ``vol`` if left out. With another
        model's ``vol`` and the reference's marks the profit includes what the models disagree on.
    held : int64, optional
        Rows of the instruments that are needed; all of them if left out.
    stable : str
        Factor that moves the settlement stablecoin; "" for none.
    engine : {"auto", "numba", "numpy"}
        As for :func:`~commonmode.exposure.revaluation.held_values`.

    Returns
    -------
    ScenarioProfit
        NaN rows for instruments that are not needed, or have no volatility or no factor.
    """
    used = market.vol if vol is None else vol
    carried = mark_values(market, used, engine=engine) if marks is None else marks
    columns = factor_columns(market, scenarios)
    factor = columns[market.underlying] if len(market.underlying) else np.zeros(0, dtype=np.int64)
    profit = np.broadcast_to(np.float64(np.nan), (len(factor), len(scenarios)))
    if held is None or len(held):
        profit = profit.copy()
    needed = np.ones(len(factor), dtype=np.bool_)
    if held is not None:
        needed[:] = False
        needed[held] = True
    for k in np.unique(factor[needed & (factor >= 0)]).tolist():
        rows = np.flatnonzero(needed & (factor == k))
        grid = ScenarioGrid(
            np.exp(scenarios.log_returns[:, k]), vol_scale=1.0 + scenarios.vol_moves[:, k]
        )
        values = held_values(market.instruments.select(rows), used[rows], grid, engine=engine)
        profit[rows] = values - carried[rows, None]
    return ScenarioProfit(
        scenarios=scenarios,
        factor=factor,
        instruments=profit,
        assets=_assets(market, scenarios, columns),
        unmoved=_unmoved(market, scenarios, columns),
        cash=_cash(market, scenarios, stable),
    )


def _assets(market: MarginMarket, scenarios: JointScenarios, columns: IntArray) -> FloatArray:
    out = np.zeros((len(market.assets), len(scenarios), len(scenarios.factors)))
    known = {name: k for k, name in enumerate(scenarios.factors)}
    for c, name in enumerate(market.assets.name.tolist()):
        price, follows = float(market.assets.price[c]), int(market.assets.underlying[c])
        if not np.isfinite(price):
            continue  # Its holders have no equity; a NaN here would reach everybody else.
        coin = int(columns[follows]) if follows >= 0 else -1
        own = known.get(name, -1)
        moved = np.ones(len(scenarios))
        if coin >= 0:
            moved = np.exp(scenarios.log_returns[:, coin])
            out[c, :, coin] = price * (moved - 1.0)
        if own >= 0 and own != coin:
            out[c, :, own] = price * moved * np.expm1(scenarios.log_returns[:, own])
    return out


def _unmoved(market: MarginMarket, scenarios: JointScenarios, columns: IntArray) -> BoolArray:
    follows = market.assets.underlying
    coin = np.array([columns[u] if u >= 0 else -1 for u in follows.tolist()], dtype=np.int64)
    own = np.isin(market.assets.name, scenarios.factors)
    return np.asarray((coin < 0) & ~own)


def _cash(market: MarginMarket, scenarios: JointScenarios, stable: str) -> FloatArray:
    out = np.zeros((len(scenarios), len(scenarios.factors)))
    if stable:
        column = scenarios.column(stable)
        out[:, column] = market.stable_price * np.expm1(scenarios.log_returns[:, column])
    return out


def silent_models(accounts: Accounts, market: MarginMarket) -> dict[int, list[str]]:
    """Surface models that cannot value a position, by account."""
    table = market.instruments
    needed = table.is_option | table.is_curved_perpetual
    silent: dict[int, list[str]] = {}
    for model, vol in market.alternatives.items():
        missing = (needed & ~(vol > 0))[accounts.instrument]
        for row in np.unique(accounts.row[missing]).tolist():
            silent.setdefault(row, []).append(str(model))
    return silent
