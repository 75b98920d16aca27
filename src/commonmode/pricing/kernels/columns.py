"""Columns in and out of the kernels: which outputs there are, and inputs taken without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError

__all__ = ["BLOCK", "INVERSE", "LINEAR", "Columns", "as_columns", "named_sets", "output"]

BLOCK: Final = 4096
"""Rows per block: ten columns of it fit in the second-level cache of any core."""

LINEAR: Final = (
    "price",
    "delta",
    "gamma",
    "vega",
    "theta",
    "rho",
    "vanna",
    "volga",
    "charm",
    "speed",
    "color",
    "zomma",
    "ultima",
)
"""Outputs of the linear kernel: fields of :class:`~commonmode.pricing.black76.Black76Greeks`."""

INVERSE: Final = (
    "price_coin",
    "price_usd",
    "delta_usd",
    "delta_coin",
    "gamma_usd",
    "gamma_coin",
    "vega_usd",
    "vega_coin",
    "theta_usd_per_year",
    "theta_coin_per_year",
    "theta_usd_per_day",
    "theta_coin_per_day",
    "rho_usd",
    "rho_coin",
)
"""Outputs of the inverse kernel: fields of :class:`~commonmode.pricing.inverse.InverseGreeks`."""

_SETS: Final = {
    LINEAR: {"price": 1, "five": 6, "nine": 10, "all": 13},
    INVERSE: {"price": 1, "all": 14},
}


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Named output columns.

    Attributes
    ----------
    names : tuple of str
    values : float64, shape (len(names), n)
        One row per name; the caller's own array where one was given.
    """

    names: tuple[str, ...]
    values: FloatArray

    def __getitem__(self, name: str) -> FloatArray:
        """One column, shape (n,), a view."""
        if name not in self.names:
            raise KeyError(f"{name!r} was not computed; there are {', '.join(self.names)}")
        return np.asarray(self.values[self.names.index(name)])


def named_sets(names: Sequence[str], fields: tuple[str, ...]) -> tuple[str, ...]:
    """The smallest compiled set of outputs that holds these.

    Parameters
    ----------
    names : str or sequence of str
        ``"price"``, ``"five"``, ``"nine"``, ``"all"`` (price and so many Greeks), or names.
    fields : tuple of str
        :data:`LINEAR` or :data:`INVERSE` (which has ``"price"`` and ``"all"`` only).

    Raises
    ------
    ConfigurationError
        If a name is not known.
    """
    sets = _SETS[fields]
    if isinstance(names, str):
        if names in sets:
            return fields[: sets[names]]
        names = (names,)
    wrong = [name for name in names if name not in fields]
    if wrong:
        raise ConfigurationError(
            f"no output is named {', '.join(map(repr, wrong))}",
            remedy=f"use one of {', '.join(sets)}, or names out of {', '.join(fields)}",
        )
    need = max((fields.index(name) for name in names), default=0)
    return fields[: min(size for size in sets.values() if size > need)]


def _as_column(value: Any) -> FloatArray:
    """Float64, contiguous and aligned; a view where the value is already that."""
    if hasattr(value, "to_numpy") and hasattr(value, "null_count"):  # a polars Series
        value = value.to_numpy()
    column = np.ascontiguousarray(value, dtype=np.float64)
    return column if column.flags.aligned else column.copy()


def as_columns(**values: Any) -> tuple[int, list[FloatArray]]:
    """Number of rows and the columns: full ones as they are, scalars as one block.

    Parameters
    ----------
    values
        Scalars, arrays of shape (n,) or polars Series (nulls become NaN); no copy is made of
        contiguous float64 memory.

    Raises
    ------
    DataError
        If a value is not a scalar or one-dimensional, or lengths differ.
    """
    arrays = {
        name: value if isinstance(value, float) else _as_column(value)
        for name, value in values.items()
    }
    sizes = {}
    for name, array in arrays.items():
        if isinstance(array, float) or array.ndim == 0 or np.ndim(values[name]) == 0:
            continue
        if array.ndim != 1:
            raise DataError(
                f"{name} has shape {array.shape}; a column has one dimension",
                remedy="ravel it, or use commonmode.pricing.black76_greeks, which broadcasts",
            )
        sizes[name] = len(array)
    if len(set(sizes.values())) > 1:
        raise DataError(
            "columns differ in length: " + ", ".join(f"{k} {v}" for k, v in sizes.items()),
            remedy="give columns of one length, and scalars for what is the same in all rows",
        )
    n = next(iter(sizes.values()), 1)
    columns = [
        np.asarray(array) if name in sizes else np.full(min(n, BLOCK), float(np.ravel(array)[0]))
        for name, array in arrays.items()
    ]
    return n, columns


def output(out: FloatArray | None, rows: int, n: int) -> FloatArray:
    """The caller's array if it fits, else a fresh one of shape (rows, n).

    Raises
    ------
    DataError
        If `out` is not a writable, contiguous float64 array of that shape.
    """
    if out is None:
        return np.empty((rows, n))
    good = out.shape == (rows, n) and out.dtype == np.float64
    if not (good and out.flags.carray):
        raise DataError(
            f"out must be a writable contiguous float64 array of shape {(rows, n)}",
            remedy=f"numpy.empty({(rows, n)})",
        )
    return out
