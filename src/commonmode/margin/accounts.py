"""Accounts: what each holds, as one compressed table that a margin method gathers and reduces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from commonmode.core.arrays import FloatArray, IntArray, StringArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode
from commonmode.core.result import Failure
from commonmode.register.book import Book

__all__ = ["Account", "Accounts", "Holding"]


@dataclass(frozen=True, slots=True)
class Holding:
    """Collateral that is not cash: so many units of an asset."""

    asset: CurrencyCode
    amount: float


@dataclass(frozen=True, slots=True)
class Account:
    """One account as its owner states it.

    Attributes
    ----------
    book : Book
        Its id names the account.
    cash : float
        Units of the settlement stablecoin; negative is a debt.
    collateral : tuple of Holding
    unrealised : float
        Unrealised profit and funding of its perpetuals, in the unit of cash.
    """

    book: Book
    cash: float = 0.0
    collateral: tuple[Holding, ...] = ()
    unrealised: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """A accounts with P positions in all, in compressed rows.

    Attributes
    ----------
    ids : array of str, shape (A,)
    offsets : int64, shape (A + 1,)
        Positions of account ``a`` are ``offsets[a] : offsets[a + 1]``.
    instrument : int32, shape (P,)
        Row of the market's instrument table, ascending within an account.
    quantity : float64, shape (P,)
        Contracts, signed.
    cash, unrealised : float64, shape (A,)
        Units of the settlement stablecoin.
    collateral : float64, shape (A, C)
        Units of each asset of the market.
    failures : mapping of account row to Failure
        Accounts that cannot be margined; they are carried with no positions.
    """

    ids: StringArray
    offsets: IntArray
    instrument: NDArray[np.int32]
    quantity: FloatArray
    cash: FloatArray
    unrealised: FloatArray
    collateral: FloatArray
    failures: Mapping[int, Failure] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Check that the columns fit one another."""
        a, p = len(self.ids), len(self.instrument)
        problem = ""
        if self.offsets.shape != (a + 1,) or self.offsets[0] != 0 or self.offsets[-1] != p:
            problem = f"offsets must run from 0 to {p} in {a + 1} entries"
        elif np.any(np.diff(self.offsets) < 0):
            problem = "offsets must not fall"
        elif self.quantity.shape != (p,) or self.instrument.dtype != np.int32:
            problem = "one quantity and one int32 instrument row per position"
        elif self.cash.shape != (a,) or self.unrealised.shape != (a,):
            problem = f"cash and unrealised have shape ({a},)"
        elif self.collateral.ndim != 2 or len(self.collateral) != a:
            problem = f"collateral has shape ({a}, assets)"
        if problem:
            raise DataError(f"accounts: {problem}", remedy="build them with margin.portfolio")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def row(self) -> IntArray:
        """Account row of every position, shape (P,)."""
        return np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.offsets))

    def matrix(self, instruments: int) -> csr_array:
        """Contracts by account and instrument, sparse, shape (A, instruments)."""
        return csr_array(
            (self.quantity, self.instrument, self.offsets), shape=(len(self), instruments)
        )

    def select(self, rows: IntArray) -> Accounts:
        """The accounts in ``rows``, in that order."""
        sizes = np.diff(self.offsets)[rows]
        offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
        at = np.repeat(self.offsets[rows] - offsets[:-1], sizes) + np.arange(offsets[-1])
        kept = {int(row): new for new, row in enumerate(rows)} if self.failures else {}
        return Accounts(
            ids=self.ids[rows],
            offsets=offsets,
            instrument=self.instrument[at],
            quantity=self.quantity[at],
            cash=self.cash[rows],
            unrealised=self.unrealised[rows],
            collateral=self.collateral[rows],
            failures={kept[row]: why for row, why in self.failures.items() if row in kept},
        )
