"""Accounts as the compiled reductions take them, and their pieces on threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from commonmode.margin.accounts import Accounts

__all__ = ["CHUNK", "account_arguments", "first_refused"]

CHUNK: Final = 8192
"""Accounts per piece of work: its columns fit the second-level cache, and threads stay level."""


def account_arguments(accounts: Accounts) -> tuple[Any, ...]:
    """The arrays of accounts in the order in which compiled code takes them."""
    return (
        np.ascontiguousarray(accounts.offsets, dtype=np.int64),
        np.ascontiguousarray(accounts.instrument),
        np.ascontiguousarray(accounts.quantity),
        np.ascontiguousarray(accounts.cash),
        np.ascontiguousarray(accounts.unrealised),
        np.ascontiguousarray(accounts.collateral),
    )


def first_refused(loop: Callable[..., Any], n: int, threads: int, chunk: int) -> int | None:
    """Run a loop over accounts ``0 .. n - 1``; the first that it cannot read, or None.

    Parameters
    ----------
    loop : callable
        Takes the first account and the last + 1, writes their results, and gives the first account
        that it cannot read, or a negative number. It does not hold the interpreter lock.
    n, threads : int
    chunk : int
        Accounts per piece where there are several threads.
    """
    lows = range(0, n, chunk)
    if threads < 2 or len(lows) < 2:
        refused = [loop(0, n)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            refused = list(pool.map(lambda low: loop(low, min(low + chunk, n)), lows))
    return min((int(row) for row in refused if row >= 0), default=None)
