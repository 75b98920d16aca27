"""A history: time series of one instrument, columnar, with its gaps known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.hashing import hash_arrays
from commonmode.core.ids import InstrumentId
from commonmode.market.snapshot import DataNote

__all__ = ["History"]


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Bars of one instrument.

    Attributes
    ----------
    instrument : InstrumentId
    step_ms : int
        Nominal spacing of the bars, e.g. 3 600 000.
    times_ms : int64, shape (T,)
        *End* of each bar, UTC milliseconds, strictly increasing: everything in row t is known at
        ``times_ms[t]``.
    columns : mapping of name to float64, shape (T,)
        At least ``close``; usually ``open``, ``high``, ``low``, ``volume``. Other columns
        (``funding``, ``implied_vol`` …) are what models may declare that they need.
    notes : tuple of DataNote
    """

    instrument: InstrumentId
    step_ms: int
    times_ms: IntArray
    columns: Mapping[str, FloatArray]
    notes: tuple[DataNote, ...] = field(default=())

    def __post_init__(self) -> None:
        """Check shapes and order of times."""
        n = len(self.times_ms)
        if "close" not in self.columns:
            raise DataError(
                f"history {self.instrument} has no column 'close'",
                remedy="map the price column to 'close'",
            )
        if n and np.any(np.diff(self.times_ms) <= 0):
            raise DataError(
                f"history {self.instrument}: times are not strictly increasing",
                remedy="sort the rows and drop duplicate times",
            )
        for name, column in self.columns.items():
            if column.shape != (n,):
                raise DataError(
                    f"history {self.instrument}: column {name} has shape {column.shape}, "
                    f"expected ({n},)",
                    remedy="all columns have one entry per time",
                )

    def __len__(self) -> int:
        return len(self.times_ms)

    def column(self, name: str) -> FloatArray:
        """Column ``name``, shape (T,).

        Raises
        ------
        DataError
            If there is none.
        """
        try:
            return self.columns[name]
        except KeyError:
            raise DataError(
                f"history {self.instrument} has no column {name!r}",
                remedy=f"it has: {', '.join(sorted(self.columns))}",
            ) from None

    @property
    def log_returns(self) -> FloatArray:
        """``ln(close_t / close_{t-1})``, shape (T,); the first is NaN, and so is one over a gap."""
        close = self.column("close")
        returns = np.full(len(self), np.nan)
        if len(self) > 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                returns[1:] = np.diff(np.log(close))
            returns[1:][np.diff(self.times_ms) != self.step_ms] = np.nan
        return returns

    def until(self, row: int) -> History:
        """Rows up to and including ``row``: what was known at ``times_ms[row]``."""
        return self.rows(0, row + 1)

    def rows(self, start: int, stop: int) -> History:
        """Rows ``start`` to ``stop`` (exclusive), sharing memory."""
        return History(
            self.instrument,
            self.step_ms,
            self.times_ms[start:stop],
            {name: column[start:stop] for name, column in self.columns.items()},
            self.notes,
        )

    @property
    def content_hash(self) -> str:
        """SHA-256 of times and columns."""
        return hash_arrays(times_ms=self.times_ms, **{f"c_{k}": v for k, v in self.columns.items()})
