"""Derive's portfolio margin PM2 as a margin method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import FloatArray
from commonmode.core.result import Failure
from commonmode.margin._chunks import CHUNK, account_arguments, first_refused
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import Legs, MarginTable
from commonmode.margin.pm2 import faults
from commonmode.margin.pm2.grid import PM2Grid, revalue
from commonmode.margin.pm2.legs import account_legs
from commonmode.margin.pm2.parameters import PM2Parameters
from commonmode.margin.pm2.reduce import OUTPUTS, out_of_order, reduce_numpy
from commonmode.margin.pm2.requote import requote
from commonmode.margin.pm2.state import PM2State, account_state, moved_state, traded_state
from commonmode.pricing.kernels import Engine

__all__ = ["PM2", "compiled_accounts", "reduce_compiled"]

_LOOPS: Final[dict[int, Callable[..., Any]]] = {}
# Positions from which compiled code pays although it has not been loaded yet: the twin needs about
# two microseconds per position, loading takes about a second.
_BREAK_EVEN: Final = 500_000


def compiled_accounts(width: int) -> Callable[..., Any]:
    """The compiled loop for rows of `width` columns, loaded or compiled on first use."""
    if width not in _LOOPS:
        from commonmode.margin.pm2._reduce import accounts_loop

        _LOOPS[width] = accounts_loop(width)
    return _LOOPS[width]


def reduce_compiled(
    grid: PM2Grid, accounts: Accounts, *, threads: int, chunk: int = CHUNK
) -> tuple[FloatArray, NDArray[np.int16]]:
    """As :func:`~commonmode.margin.pm2.reduce.reduce_numpy`, with its bits, by compiled code.

    Neither the number of threads nor of accounts in a piece of work changes them.
    """
    n = len(accounts)
    out, worst = np.empty((len(OUTPUTS), n)), np.empty(n, dtype=np.int16)
    compiled = compiled_accounts(grid.rows.shape[1])
    loop = partial(compiled, *grid.arguments, *account_arguments(accounts), out, worst)
    wrong = first_refused(loop, n, threads, chunk)
    if wrong is not None:
        raise out_of_order(str(accounts.ids[wrong]))
    return out, worst


@dataclass(frozen=True, slots=True)
class PM2:
    """Scenario margin with full revaluation, one underlying per account, after Derive's PM2.

    An account that holds several underlyings is margined on each as if it were alone and the
    requirements are added; cash and collateral are one buffer. Collateral is shocked where it
    follows an underlying of which the account holds contracts (if it holds none, one of which it
    holds collateral) and has the other haircut elsewhere.

    Coin-settled (inverse) contracts count with their payoff in USD, their size in coins. A dated
    future is treated as a perpetual at its forward, which PM2, having none, does not say. Power
    perpetuals and everlasting options are not in PM2: accounts that hold one fail.

    Parameters
    ----------
    parameters : PM2Parameters
        Pass them through the parameter gate before they are used in earnest.
    engine : {"auto", "numba", "numpy"}
        Both reduce to the same bits; option values agree to rounding.
    threads : int
        Threads of the compiled engine; the bits do not depend on it.
    """

    parameters: PM2Parameters
    engine: Engine = "auto"
    threads: int = 1

    @property
    def id(self) -> str:
        """``pm2``."""
        return "pm2"

    def revalue(self, market: MarginMarket, positions: int = 0) -> PM2Grid:
        """The instruments under the scenarios; once per market, shared by all accounts.

        `positions` is how many will be reduced with it, which decides the engine under "auto".
        """
        engine = self.engine
        if engine == "auto":
            engine = "numba" if _LOOPS or positions >= _BREAK_EVEN else "numpy"
        return revalue(market, self.parameters, engine=engine)

    def margin(self, accounts: Accounts, market: MarginMarket) -> MarginTable:
        """Margin of every account; one that cannot be margined is marked, the others unharmed.

        Raises
        ------
        DataError
            If the accounts were built for another instrument table.
        """
        return self.margin_on(accounts, self.revalue(market, len(accounts.instrument)))

    def margin_on(self, accounts: Accounts, grid: PM2Grid) -> MarginTable:
        """As :meth:`margin`, on instruments that have been revalued."""
        if grid.engine == "numba":
            out, _ = reduce_compiled(grid, accounts, threads=self.threads)
        else:
            out, _ = reduce_numpy(grid, accounts)
        return _table(self, accounts, grid, out)

    def requote(self, grid: PM2Grid, market: MarginMarket) -> PM2Grid:
        """The grid of a market that has moved; only instruments that did are valued again.

        It has the bits of :meth:`revalue` of that market under the grid's engine.
        """
        return requote(grid, market)

    def state(self, accounts: Accounts, grid: PM2Grid, row: int) -> PM2State:
        """One account held ready for trades and moved quotes.

        Raises
        ------
        DataError
            If its positions do not fit the grid, or the account has failed.
        """
        return account_state(grid, accounts, row)

    def what_if(
        self, state: PM2State, trades: Iterable[tuple[int, float]], *, cash: float = 0.0
    ) -> PM2State:
        """The account after trades (instrument row, contracts) that pay it `cash`.

        It has the bits of :meth:`margin_on` for the account with the trades in it.
        """
        return traded_state(state, trades, cash=cash)

    def moved(self, state: PM2State, grid: PM2Grid) -> PM2State:
        """The account in a market that has moved (:meth:`requote`)."""
        return moved_state(state, grid)

    def legs(self, accounts: Accounts, market: MarginMarket, row: int) -> Legs:
        """Exact attribution of one account's requirement; see :mod:`~commonmode.margin.pm2.legs`.

        Raises
        ------
        DataError
            If the account cannot be margined, with its reason.
        """
        one = accounts.select(np.array([row], dtype=np.int64))
        return account_legs(self.revalue(market), one)


def _table(method: PM2, accounts: Accounts, grid: PM2Grid, out: FloatArray) -> MarginTable:
    for row in accounts.failures:
        out[:, row] = np.nan
    failures: dict[int, Failure] = {}
    for row in np.flatnonzero(~np.isfinite(out[:3]).all(axis=0)).tolist():
        failures[row] = faults.account_failure(
            accounts, grid.market, grid.parameters, grid.fault, row
        )
        out[:, row] = np.nan
    parts: dict[str, dict[str, FloatArray]] = {"initial": {}, "maintenance": {}}
    for name, values in zip(OUTPUTS[3:], out[3:], strict=True):
        kind, _, part = name.partition(".")
        parts[kind][part] = values
    return MarginTable(
        method=method.id,
        ids=accounts.ids,
        equity=out[0],
        initial=out[1],
        maintenance=out[2],
        components=parts["initial"],
        maintenance_components=parts["maintenance"],
        failures=failures,
        notices=_notices(accounts, grid),
        unit_usd=grid.market.stable_price,
    )


def _notices(accounts: Accounts, grid: PM2Grid) -> dict[int, tuple[str, ...]]:
    """What holds for every account of a market whose stablecoin has lost its peg."""
    loss, stable = grid.parameters.loss, grid.market.stable_price
    if not 0.0 < stable < loss.peg_threshold:
        return {}
    notice = (
        f"settlement stablecoin at {stable:g} USD, below {loss.peg_threshold:g}: the factor on the "
        f"initial loss is {loss.initial + grid.terms[2]:g} instead of {loss.initial:g}, and "
        f"collateral counts {1.0 / stable:g} times its USD value; amounts are in units of it",
    )
    return dict.fromkeys(range(len(accounts)), notice)
