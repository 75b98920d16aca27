"""Accounts over a Deribit grid: compiled code on threads, and its numpy twin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.margin._chunks import CHUNK, account_arguments, first_refused
from commonmode.margin._columns import Columns, sums
from commonmode.margin.accounts import Accounts
from commonmode.margin.deribit.grid import COINS, MARK, DeribitGrid
from commonmode.margin.deribit.ledgers import ledgers_of

__all__ = ["OUTPUTS", "loaded", "reduce_compiled", "reduce_numpy"]

OUTPUTS: Final = (
    "equity",
    "initial",
    "maintenance",
    "worst",
    "roll",
    "delta",
    "collateral",
    "maintenance.worst",
    "maintenance.roll",
    "maintenance.delta",
)
"""Rows of the output of a reduction; collateral is the same in both requirements."""

_LOOPS: Final[list[Callable[..., Any]]] = []
# Accounts whose scenario profits the twin holds at a time.
_BLOCK: Final = 1 << 16


def loaded() -> bool:
    """Whether the compiled loop has been loaded."""
    return bool(_LOOPS)


def _loop() -> Callable[..., Any]:
    """The compiled loop, loaded or compiled on first use."""
    if not _LOOPS:
        from commonmode.margin.deribit._reduce import accounts_loop

        _LOOPS.append(accounts_loop())
    return _LOOPS[0]


def _unknown(account: str) -> DataError:
    return DataError(
        f"account {account}: a position is in no row of the instrument table",
        remedy="build the accounts with margin.portfolio, against this market",
    )


def reduce_compiled(
    grid: DeribitGrid, accounts: Accounts, *, threads: int, chunk: int = CHUNK
) -> FloatArray:
    """As :func:`reduce_numpy`, with its bits, by compiled code.

    Neither the number of threads nor of accounts in a piece of work changes them.
    """
    n = len(accounts)
    out = np.empty((len(OUTPUTS), n))
    loop = partial(_loop(), *grid.arguments, *account_arguments(accounts), out)
    wrong = first_refused(loop, n, threads, chunk)
    if wrong is not None:
        raise _unknown(str(accounts.ids[wrong]))
    return out


def reduce_numpy(grid: DeribitGrid, accounts: Accounts) -> FloatArray:
    """Margin of every account.

    Returns
    -------
    float64, shape (10, A)
        The rows of :data:`OUTPUTS`, USD; NaN for an account that holds what cannot be margined.

    Raises
    ------
    DataError
        If a position is in no row of the instrument table.
    """
    n, account, instrument = len(accounts), accounts.row, accounts.instrument.astype(np.int64)
    outside = np.flatnonzero((instrument < 0) | (instrument >= len(grid.rows)))
    if len(outside):
        raise _unknown(str(accounts.ids[account[outside[0]]]))
    out = np.zeros((len(OUTPUTS), n))
    coins = accounts.quantity * grid.rows[instrument, COINS]
    edges = accounts.offsets[np.minimum(np.arange(0, n + _BLOCK, _BLOCK), n)]
    with np.errstate(invalid="ignore"):
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            part = slice(low, high)
            block = Columns(account[part], instrument[part], coins[part])
            ledgers = ledgers_of(grid, block)
            out[3] += sums(ledgers.pool_account, ledgers.worst.loss, n)
            out[4] += sums(ledgers.account, ledgers.roll, n)
            out[5] += sums(ledgers.account, ledgers.shock, n)
        marks = sums(account, coins * grid.rows[instrument, MARK], n)
        worth = np.zeros(n)
        for c, (price, lost) in enumerate(grid.assets.tolist()):
            worth += accounts.collateral[:, c] * price
            out[6] += accounts.collateral[:, c] * lost
        cash = (accounts.cash + accounts.unrealised) * grid.market.stable_price
        out[0] = cash + marks + worth
        out[7:] = grid.parameters.general.maintenance * out[3:6]
        out[1] = out[3] + out[4] + out[5] + out[6]
        out[2] = out[7] + out[8] + out[9] + out[6]
    return out
