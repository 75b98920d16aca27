"""Smiles for properties that hold whatever the surface is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from commonmode.core.arrays import FloatArray, IntArray

__all__ = ["Parabola", "surfaces"]


@dataclass(frozen=True)
class Parabola:
    """Volatility by log-moneyness, flat beyond a factor e."""

    level: float
    slope: float
    curve: float

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        """Annualised volatility, decimal."""
        k = np.clip(np.log(strike / forward), -1, 1)
        return self.level + self.slope * k + self.curve * k**2


surfaces = st.builds(Parabola, st.floats(0.3, 1.5), st.floats(-0.15, 0.15), st.floats(0.0, 0.5))
