"""Durrleman's function by differences against the formula of SVI."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.pricing import SviRaw, durrleman_g
from commonmode.pricing.density import durrleman_on_grid


def test_agrees_with_svi_on_vogts_smile() -> None:
    vogt = SviRaw(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
    k = np.linspace(-1.5, 1.5, 601)
    by_differences = durrleman_on_grid(k, vogt.total_variance(k))
    np.testing.assert_allclose(by_differences[5:-5], durrleman_g(vogt, k)[5:-5], atol=2e-4)
    assert by_differences.min() == pytest.approx(-0.0329, abs=5e-4)  # Gatheral & Jacquier (2014)


def test_uneven_or_short_grids_are_refused() -> None:
    with pytest.raises(DataError, match="even grid"):
        durrleman_on_grid(np.array([0.0, 0.1, 0.3, 0.4, 0.5]), np.ones(5))
    with pytest.raises(DataError, match="linspace"):
        durrleman_on_grid(np.linspace(0, 1, 4), np.ones(4))
