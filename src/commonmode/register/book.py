"""Books as traded: who holds how many contracts of what, before any market is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import BookId, InstrumentId

__all__ = ["Book", "Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """A holding of one instrument.

    Attributes
    ----------
    instrument : InstrumentId
        The venue's own name; it is resolved later, so it may turn out to be unknown or expired.
    quantity : float
        Contracts; positive is long, negative is short.
    """

    instrument: InstrumentId
    quantity: float


@dataclass(frozen=True, slots=True)
class Book:
    """The positions of one book.

    Attributes
    ----------
    id : BookId
    positions : tuple of Position
        At most one per instrument.

    Raises
    ------
    ConfigurationError
        If an instrument is listed twice.
    """

    id: BookId
    positions: tuple[Position, ...]

    def __post_init__(self) -> None:
        """Check that no instrument is listed twice."""
        names = [position.instrument for position in self.positions]
        if len(names) != len(set(names)):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigurationError(
                f"book {self.id} lists {', '.join(twice)} more than once",
                remedy="build the book with Book.of, which nets trades of one instrument",
            )

    @classmethod
    def of(cls, book: str, trades: Iterable[tuple[str, float]]) -> Book:
        """A book from ``(instrument, contracts)`` trades, netted per instrument.

        Flat instruments are left out; the order is that of the first trade.
        """
        parts: dict[str, list[float]] = {}
        for name, quantity in trades:
            parts.setdefault(name, []).append(quantity)
        # A NaN is kept: it becomes one failed position when the book is resolved.
        net = {name: math.fsum(quantities) for name, quantities in parts.items()}
        positions = (Position(InstrumentId(n), q) for n, q in net.items() if q != 0.0)
        return cls(BookId(book), tuple(positions))
