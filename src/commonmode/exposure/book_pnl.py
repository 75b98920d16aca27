"""P&L of books in scenarios: instruments' values gathered to the positions and added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from commonmode.core.arrays import FloatArray, IntArray, StringArray
from commonmode.core.errors import ConfigurationError
from commonmode.exposure.book import ResolvedBook
from commonmode.exposure.revaluation import Revaluation

__all__ = ["BookPnl", "book_pnl"]


@dataclass(frozen=True, slots=True, eq=False)
class BookPnl:
    """P&L of B books in S scenarios under one model.

    Attributes
    ----------
    books : array of str, shape (B,)
        Sorted.
    pnl : float64, shape (B, S)
        NaN where a position of the book has no value: a part of the sum would not compare.
    unpriced : int64, shape (B,)
        Positions without a value.
    """

    books: StringArray
    pnl: FloatArray
    unpriced: IntArray

    def __len__(self) -> int:
        return len(self.books)


def book_pnl(
    positions: ResolvedBook, values: Revaluation, *, unit: Literal["usd", "coin"] = "usd"
) -> BookPnl:
    """Add the P&L of the positions up by book.

    Parameters
    ----------
    positions : ResolvedBook
        Of any number of books; every instrument must be among those revalued.
    values : Revaluation
    unit : {"usd", "coin"}
        Coin is each position's own underlying and is NaN for a book that holds several.

    Raises
    ------
    DataError
        An instrument that was not revalued.
    ConfigurationError
        An unknown unit.
    """
    if unit not in ("usd", "coin"):
        raise ConfigurationError(f"unit {unit!r} is not known", remedy="use usd or coin")
    row = values.rows(positions)
    books, owner = np.unique(positions.book, return_inverse=True)
    shape = (len(books), len(values.instruments))
    held = csr_array((positions.quantity, (owner, row)), shape=shape)
    pnl = np.asarray(held @ (values.pnl_usd if unit == "usd" else values.pnl_coin))
    missing = np.isnan(values.today)[row]
    unpriced = np.bincount(owner[missing], minlength=len(books)).astype(np.int64)
    if unit == "coin":
        pairs = np.unique(
            np.stack([owner, np.unique(positions.underlying, return_inverse=True)[1]]), axis=1
        )
        pnl[np.bincount(pairs[0], minlength=len(books)) > 1] = np.nan
    return BookPnl(np.asarray(books), pnl, unpriced)
