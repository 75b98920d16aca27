"""Units carried by type: an amount in coin is not an amount in USD.

Columns of money travel as :class:`CoinArray` or :class:`UsdArray`; adding one to the other is an
error at run time and under mypy. Volatilities are annualised decimals (0.65, never 65), times to
expiry are years of 365 days, times are integer milliseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeVar, final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import UnitError

__all__ = [
    "HOUR_MS",
    "YEAR_MS",
    "CoinArray",
    "Money",
    "UsdArray",
    "vol_from_percent",
    "years_between",
]

HOUR_MS: Final = 3_600_000
YEAR_MS: Final = 365 * 24 * HOUR_MS

M = TypeVar("M", "CoinArray", "UsdArray")


def _same(left: M, right: Any) -> M:
    if type(left) is not type(right):
        raise UnitError(
            f"cannot combine {type(left).__name__} with {type(right).__name__}",
            remedy="convert one side with .to_usd(price) or .to_coin(price)",
        )
    return right


@final
@dataclass(frozen=True, slots=True, eq=False)
class CoinArray:
    """Amounts in units of the underlying coin; ``values`` float64 of any shape."""

    values: FloatArray

    def __add__(self, other: CoinArray) -> CoinArray:
        return CoinArray(self.values + _same(self, other).values)

    def __sub__(self, other: CoinArray) -> CoinArray:
        return CoinArray(self.values - _same(self, other).values)

    def to_usd(self, price: FloatArray | float) -> UsdArray:
        """Convert at ``price`` USD per coin (broadcast)."""
        return UsdArray(np.asarray(self.values * price, dtype=np.float64))


@final
@dataclass(frozen=True, slots=True, eq=False)
class UsdArray:
    """Amounts in US dollars; ``values`` float64 of any shape."""

    values: FloatArray

    def __add__(self, other: UsdArray) -> UsdArray:
        return UsdArray(self.values + _same(self, other).values)

    def __sub__(self, other: UsdArray) -> UsdArray:
        return UsdArray(self.values - _same(self, other).values)

    def to_coin(self, price: FloatArray | float) -> CoinArray:
        """Convert at ``price`` USD per coin (broadcast)."""
        return CoinArray(np.asarray(self.values / price, dtype=np.float64))


Money = CoinArray | UsdArray


def vol_from_percent(percent: FloatArray) -> FloatArray:
    """Venue quotes of implied volatility in percent, as decimals."""
    return np.asarray(percent, dtype=np.float64) / 100.0


def years_between(start_ms: IntArray | int, end_ms: IntArray | int) -> FloatArray:
    """Years of 365 days between two UTC times in milliseconds (Deribit's day count)."""
    span = np.asarray(end_ms, dtype=np.float64) - np.asarray(start_ms, dtype=np.float64)
    return np.asarray(span / YEAR_MS)
