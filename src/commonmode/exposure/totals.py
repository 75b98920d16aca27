"""Greek totals per book, underlying, expiry …, in coin and in USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.exposure.greeks import GreekTable

__all__ = ["GreekTotals", "totals"]

_KEYS = {
    "book": "book",
    "underlying": "underlying",
    "expiry": "expiry_ms",
    "kind": "kind",
    "instrument": "instrument",
}


@dataclass(frozen=True, slots=True, eq=False)
class GreekTotals:
    """Sums of Greeks over groups of positions.

    Attributes
    ----------
    by : tuple of str
    keys : mapping of each name in ``by`` to an array of shape (G,)
        Str, or int64 milliseconds for ``expiry`` (0: perpetuals and spot).
    positions : int64, shape (G,)
        How many positions are in the group.
    models : tuple of ModelId, length M
    usd, coin : float64, shape (G, M, 6)
        Axis 2 by :class:`~commonmode.exposure.greeks.Greek`. NaN where the model left a position of
        the group unpriced (a partial sum would not compare with the others); coin is NaN where a
        group spans several coins.
    priced : int64, shape (G, M)
        Positions the model priced.
    """

    by: tuple[str, ...]
    keys: Mapping[str, NDArray[Any]]
    positions: IntArray
    models: tuple[ModelId, ...]
    usd: FloatArray
    coin: FloatArray
    priced: IntArray

    def __len__(self) -> int:
        return len(self.positions)


def _groups(columns: Sequence[NDArray[Any]], n: int) -> tuple[IntArray, IntArray]:
    """(label of each row, first row of each group); groups in sorted order of the keys."""
    label = np.zeros(n, dtype=np.int64)
    for column in columns:
        _, code = np.unique(column, return_inverse=True)
        label = label * (int(code.max(initial=0)) + 1) + code
        _, label = np.unique(label, return_inverse=True)
    _, first = np.unique(label, return_index=True)
    return np.asarray(label, dtype=np.int64), np.asarray(first, dtype=np.int64)


def totals(table: GreekTable, by: Sequence[str] = ("book", "underlying", "expiry")) -> GreekTotals:
    """Add the positions' Greeks up.

    Parameters
    ----------
    table : GreekTable
    by : sequence of str
        Any of ``book``, ``underlying``, ``expiry``, ``kind``, ``instrument``; empty for one grand
        total.

    Raises
    ------
    ConfigurationError
        An unknown name in ``by``.
    """
    unknown = [name for name in by if name not in _KEYS]
    if unknown:
        raise ConfigurationError(
            f"cannot total by {', '.join(unknown)}", remedy=f"choose from {', '.join(_KEYS)}"
        )
    positions = table.positions
    n = len(positions)
    columns = {name: getattr(positions, _KEYS[name]) for name in by}
    label, first = _groups(list(columns.values()), n)
    count = len(first)

    def add(values: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros((count, *values.shape[1:]), dtype=values.dtype)
        np.add.at(out, label, values)
        return out

    coin = add(table.coin)
    one_coin = np.ones(count, dtype=np.bool_)
    if "underlying" not in by and n:
        _, code = np.unique(positions.underlying, return_inverse=True)
        low, high = np.full(count, n), np.full(count, -1)
        np.minimum.at(low, label, code)
        np.maximum.at(high, label, code)
        one_coin = low == high
    coin[~one_coin] = np.nan
    return GreekTotals(
        by=tuple(by),
        keys={name: column[first] for name, column in columns.items()},
        positions=add(np.ones(n, dtype=np.int64)),
        models=table.models,
        usd=add(table.usd),
        coin=coin,
        priced=add(table.priced.astype(np.int64)),
    )
