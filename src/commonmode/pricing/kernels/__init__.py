"""Compiled kernels: Black-76 prices, Greeks and implied volatilities of whole books.

Nothing here imports numba before a kernel is first used. Each kernel has a numpy twin of the same
meaning in :mod:`commonmode.pricing`, which is its reference and its fallback.
"""

from __future__ import annotations

from commonmode.pricing.kernels.columns import Columns
from commonmode.pricing.kernels.dispatch import (
    Engine,
    black76,
    black76_blocks,
    compiled,
    implied_vol,
    inverse76,
    ready,
)
from commonmode.pricing.kernels.scenario import scenario_pnl

__all__ = [
    "Columns",
    "Engine",
    "black76",
    "black76_blocks",
    "compiled",
    "implied_vol",
    "inverse76",
    "ready",
    "scenario_pnl",
]
