"""How sentences write money: as many digits as a reader uses; the rest stays in the numbers."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["usd", "usd_range"]

_UNITS: Final = ((1e12, "tn"), (1e9, "bn"), (1e6, "m"), (1e3, "k"), (1.0, ""))


def usd(amount: float, *, digits: int = 3) -> str:
    """An amount in words a person reads: ``$1.2bn``, ``$340m``, ``$12k``.

    Parameters
    ----------
    amount : float
        USD.
    digits : int
        Significant ones; three at most are shown, and below a dollar's worth cents are not.
    """
    if not math.isfinite(amount):
        return "an unknown amount"
    if abs(amount) < 0.5:
        return "$0"
    rounded = float(f"{abs(amount):.{digits}g}")
    size, unit = next((one for one in _UNITS if rounded >= one[0]), _UNITS[-1])
    number = rounded / size
    shown = f"{number:,.{digits}g}" if number < 10**digits and unit else f"{number:,.0f}"
    return f"{'-' if amount < 0 else ''}${shown}{unit}"


def usd_range(low: float, high: float) -> str:
    """``$1.2m to $1.4m``; both ends to three digits."""
    return f"{usd(low)} to {usd(high)}"
