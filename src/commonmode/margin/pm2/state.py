"""One account held ready: a trade or a moved quote recomputes only the expiry it touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError
from commonmode.core.result import Failure
from commonmode.margin.accounts import Accounts
from commonmode.margin.pm2 import faults
from commonmode.margin.pm2.grid import PM2Grid
from commonmode.margin.pm2.reduce import OUTPUTS, out_of_order
from commonmode.margin.pm2.requote import changed_groups, same_instruments

__all__ = ["PM2State", "account_state", "moved_state", "traded_state"]

_LOOPS: Final[dict[int, Callable[..., Any]]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class PM2State:
    """An account, the scenario vectors of its expiries, and its margin.

    Attributes
    ----------
    grid : PM2Grid
    id : str
    instrument : int32, quantity : float64, shape (P,)
        Positions that are not zero, in the order of the table.
    cash, unrealised : float
    collateral : float64, shape (1, C)
    slot : int32, shape (G,)
        Where the vector of each group is, -1 for none.
    values : float64, shape (slots * W,); scalars : float64, shape (slots, 4)
        Sums over the positions of each group.
    out : float64, shape (13, 1)
        The rows of :data:`~commonmode.margin.pm2.reduce.OUTPUTS`, NaN if it cannot be margined.
    worst : int
        The scenario that sets the requirement, an index of ``grid.labels``; -1 for none.
    """

    grid: PM2Grid
    id: str
    instrument: NDArray[np.int32]
    quantity: FloatArray
    cash: float
    unrealised: float
    collateral: FloatArray
    slot: NDArray[np.int32]
    values: FloatArray
    scalars: FloatArray
    out: FloatArray
    worst: int

    @property
    def equity(self) -> float:
        """Cash, collateral, unrealised profit and options at their marks, USD-stable."""
        return float(self.out[0, 0])

    @property
    def initial(self) -> float:
        """Initial requirement, USD-stable."""
        return float(self.out[1, 0])

    @property
    def maintenance(self) -> float:
        """Maintenance requirement, USD-stable."""
        return float(self.out[2, 0])

    @property
    def scenario(self) -> str:
        """The scenario that sets the requirement."""
        return self.grid.labels[self.worst] if self.worst >= 0 else "none"

    @property
    def components(self) -> dict[str, float]:
        """Rows of the output by name."""
        return dict(zip(OUTPUTS, self.out[:, 0].tolist(), strict=True))

    @property
    def accounts(self) -> Accounts:
        """The account as a table of one row."""
        return Accounts(
            ids=np.array([self.id], dtype=np.str_),
            offsets=np.array([0, len(self.instrument)], dtype=np.int64),
            instrument=self.instrument,
            quantity=self.quantity,
            cash=np.array([self.cash]),
            unrealised=np.array([self.unrealised]),
            collateral=self.collateral,
        )

    @property
    def failure(self) -> Failure | None:
        """Why the account cannot be margined, if it cannot."""
        if np.isfinite(self.out[:3]).all():
            return None
        grid = self.grid
        return faults.account_failure(self.accounts, grid.market, grid.parameters, grid.fault, 0)


def _compiled(width: int) -> Callable[..., Any]:
    if width not in _LOOPS:
        from commonmode.margin.pm2._what_if import what_if_loop

        _LOOPS[width] = what_if_loop(width)
    return _LOOPS[width]


def _next(
    grid: PM2Grid,
    before: PM2State,
    trades: tuple[NDArray[np.int32], FloatArray],
    stale: BoolArray,
    cash: float,
    unrealised: float,
) -> PM2State:
    width = grid.rows.shape[1]
    most = len(before.instrument) + len(trades[0])
    room = min(most, len(grid.groups))
    instrument, quantity = np.empty(most, np.int32), np.empty(most)
    slot, ids = np.empty(len(grid.groups), np.int32), np.empty(room, np.int32)
    values, scalars = np.empty(room * width), np.empty((room, 4))
    out, worst = np.empty((len(OUTPUTS), 1)), np.empty(1, np.int16)
    n = _compiled(width)(
        *grid.arguments,
        before.instrument,
        before.quantity,
        before.slot,
        before.values,
        before.scalars,
        *trades,
        stale,
        cash,
        unrealised,
        before.collateral,
        instrument,
        quantity,
        slot,
        ids,
        values,
        scalars,
        out,
        worst,
    )
    return PM2State(
        grid=grid,
        id=before.id,
        instrument=instrument[:n],
        quantity=quantity[:n],
        cash=cash,
        unrealised=unrealised,
        collateral=before.collateral,
        slot=slot,
        values=values,
        scalars=scalars,
        out=out,
        worst=int(worst[0]),
    )


def account_state(grid: PM2Grid, accounts: Accounts, row: int) -> PM2State:
    """The state of account `row`.

    Raises
    ------
    DataError
        If its positions are not in the order of the instrument table, or the account has failed.
    """
    given = accounts.failures.get(row)
    if given is not None:
        raise DataError(f"account {accounts.ids[row]}: {given.message}", remedy=given.remedy)
    part = slice(int(accounts.offsets[row]), int(accounts.offsets[row + 1]))
    instrument = np.ascontiguousarray(accounts.instrument[part])
    outside = len(instrument) and not 0 <= instrument[0] <= instrument[-1] < len(grid.rows)
    if outside or np.any(np.diff(instrument) < 0):
        raise out_of_order(str(accounts.ids[row]))
    bare = PM2State(
        grid=grid,
        id=str(accounts.ids[row]),
        instrument=instrument,
        quantity=np.ascontiguousarray(accounts.quantity[part]),
        cash=float(accounts.cash[row]),
        unrealised=float(accounts.unrealised[row]),
        collateral=np.ascontiguousarray(accounts.collateral[row : row + 1]),
        slot=np.full(len(grid.groups), -1, dtype=np.int32),
        values=np.empty(0),
        scalars=np.empty((0, 4)),
        out=np.empty((len(OUTPUTS), 1)),
        worst=-1,
    )
    none = np.empty(0, np.int32), np.empty(0)
    return _next(grid, bare, none, np.zeros(len(grid.groups), np.bool_), bare.cash, bare.unrealised)


def traded_state(
    state: PM2State, trades: Iterable[tuple[int, float]], *, cash: float = 0.0
) -> PM2State:
    """The account after trades.

    Parameters
    ----------
    state : PM2State
    trades : iterable of (instrument row, contracts)
        Contracts are added to the position, signed.
    cash : float
        What the trades pay the account (negative: what they cost), USD-stable.

    Raises
    ------
    DataError
        If there is no such instrument.
    """
    total: dict[int, float] = {}
    for instrument, quantity in trades:
        total[instrument] = total.get(instrument, 0.0) + quantity
    order = sorted(total)
    grid = state.grid
    if order and not 0 <= order[0] <= order[-1] < len(grid.rows):
        raise DataError(
            f"trade in instrument row {order[0] if order[0] < 0 else order[-1]}: there are "
            f"{len(grid.rows)} instruments",
            remedy="name a row of the market's instrument table",
        )
    rows = np.array(order, dtype=np.int32)
    stale = np.zeros(len(grid.groups), np.bool_)
    stale[grid.kind[rows, 0]] = True
    quantities = np.array([total[row] for row in order], dtype=np.float64)
    return _next(grid, state, (rows, quantities), stale, state.cash + cash, state.unrealised)


def moved_state(state: PM2State, grid: PM2Grid) -> PM2State:
    """The account in a market that has moved; only the groups that changed are summed again.

    Raises
    ------
    DataError
        If the market has other instruments.
    """
    if not same_instruments(state.grid, grid.market):
        raise DataError(
            "the market lists other instruments than the account's",
            remedy="make the account's state anew",
        )
    none = np.empty(0, np.int32), np.empty(0)
    return _next(grid, state, none, changed_groups(state.grid, grid), state.cash, state.unrealised)
