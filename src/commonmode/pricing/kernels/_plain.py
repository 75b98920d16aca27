"""The rows on which the compiled arithmetic is right.

The others (expired, without volatility, worthless, NaN) are counted by the loops, and redone with
the numpy twin, whose limits are exact. Plain code without numba, for one row or whole columns: the
loops compile what the numpy code calls, so the two cannot disagree on a row.
"""

from __future__ import annotations

from typing import Any

__all__ = ["plain_option", "plain_vol"]


def plain_option(f: Any, k: Any, t: Any, rt: Any, sign: Any) -> Any:
    """``1e-75 <= F, K <= 1e75``, ``1e-12 <= T <= 1e6``, ``|r T| <= 300``, a sign of 1 or -1."""
    return (
        (f >= 1e-75)
        & (f <= 1e75)
        & (k >= 1e-75)
        & (k <= 1e75)
        & (t >= 1e-12)
        & (t <= 1e6)
        & (rt <= 300.0)
        & (rt >= -300.0)
        & (abs(sign) == 1.0)
    )


def plain_vol(v: Any) -> Any:
    """``1e-8 <= vol <= 1e6``."""
    return (v >= 1e-8) & (v <= 1e6)
