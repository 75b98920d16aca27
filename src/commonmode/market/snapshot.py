"""A snapshot: what one moment of the market looked like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode
from commonmode.market.chain import OptionChain

__all__ = ["DataNote", "Snapshot"]


@dataclass(frozen=True, slots=True)
class DataNote:
    """Something a feed noticed about the data: a trap survived, a row marked, a gap.

    Attributes
    ----------
    code : str
        Short stable name, e.g. ``"asynchronous_quotes"``.
    message : str
    count : int
        Rows or intervals concerned.
    """

    code: str
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Option chains by underlying at one nominal time.

    Attributes
    ----------
    time_ms : int
        UTC milliseconds.
    chains : mapping of underlying to OptionChain
    notes : tuple of DataNote
    """

    time_ms: int
    chains: Mapping[CurrencyCode, OptionChain]
    notes: tuple[DataNote, ...] = field(default=())

    def chain(self, underlying: str) -> OptionChain:
        """The chain of ``underlying``.

        Raises
        ------
        DataError
            If there is none.
        """
        try:
            return self.chains[CurrencyCode(underlying)]
        except KeyError:
            raise DataError(
                f"the snapshot has no chain of {underlying}",
                remedy=f"it has: {', '.join(sorted(self.chains)) or 'none'}",
            ) from None
