"""Local volatility: known surfaces, Dupire's equation on prices, and prices back from it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.linalg import solve_banded

from commonmode.core.result import Failure, FailureReason
from commonmode.pricing import (
    SsviSlices,
    black76_implied_vol,
    black76_price,
    dupire_variance,
    local_variance,
    local_vol_grid,
)

YEARS = np.array([0.05, 0.2, 0.5, 1.0])
SURFACE = SsviSlices(
    YEARS,
    0.3 * YEARS * (1 + 0.2 * YEARS),
    np.array([-0.1, -0.15, -0.2, -0.25]),
    0.5 * np.sqrt(YEARS),
)


def call(k, t):
    """Undiscounted call per forward of the surface."""
    vol = np.sqrt(SURFACE.total_variance(k, t) / t)
    return black76_price(1.0, np.exp(k), t, vol)


def test_without_a_smile_it_is_the_forward_volatility():
    flat = SsviSlices(YEARS, 0.04 * YEARS**1.5, np.zeros(4), np.full(4, 1e-9))
    between = np.array([0.1, 0.3, 0.7])
    slope = np.diff(flat.theta) / np.diff(YEARS)
    np.testing.assert_allclose(local_variance(flat, 0.3, between), slope, rtol=1e-6)


def test_it_obeys_dupires_equation_on_prices():
    """``C_T = sigma^2 K^2 C_KK / 2`` by differences of prices, no formula of ours on that side."""
    k = np.linspace(-0.4, 0.4, 9)
    for t in (0.1, 0.35, 0.75):
        h, dk = 1e-4, 1e-3
        by_t = (call(k, t + h) - call(k, t - h)) / (2 * h)
        up, mid, down = call(k + dk, t), call(k, t), call(k - dk, t)
        # K^2 C_KK = C_kk - C_k with k = ln K.
        convex = (up - 2 * mid + down) / dk**2 - (up - down) / (2 * dk)
        np.testing.assert_allclose(local_variance(SURFACE, k, t), 2 * by_t / convex, rtol=2e-3)


def test_the_forward_equation_gives_the_prices_back():
    x = np.linspace(-3.0, 3.0, 601)
    dx = x[1] - x[0]
    steps = np.linspace(YEARS[0], YEARS[-1], 401)
    price = call(x, YEARS[0])
    for t0, t1 in pairwise(steps):
        half = 0.5 * (t1 - t0) * 0.5 * local_variance(SURFACE, x, 0.5 * (t0 + t1))
        low, mid, high = half * (1 / dx**2 + 0.5 / dx), -2 * half / dx**2, half * (
            1 / dx**2 - 0.5 / dx)  # fmt: skip
        right = price.copy()
        right[1:-1] += low[1:-1] * price[:-2] + mid[1:-1] * price[1:-1] + high[1:-1] * price[2:]
        band = np.zeros((3, len(x)))
        band[1] = 1.0
        band[0, 2:], band[1, 1:-1], band[2, :-2] = -high[1:-1], 1 - mid[1:-1], -low[1:-1]
        price = solve_banded((1, 1), band, right)
    near = np.abs(x) < 0.8
    vol = black76_implied_vol(price[near], 1.0, np.exp(x[near]), 1.0)
    np.testing.assert_allclose(vol, np.sqrt(SURFACE.total_variance(x[near], 1.0)), atol=1e-3)


def test_time_derivative_matches_differences_everywhere():
    k, t = np.linspace(-1, 1, 7), np.array([0.02, 0.1, 0.35, 0.8, 1.5, 3.0])[:, None]
    h = 1e-6
    slope = (SURFACE.total_variance(k, t + h) - SURFACE.total_variance(k, t - h)) / (2 * h)
    np.testing.assert_allclose(SURFACE.time_derivative(k, t), slope, rtol=1e-6)


def test_after_the_last_slice_the_wings_stop_at_their_bound():
    late = SsviSlices(np.array([1.0]), np.array([4.0]), np.array([-0.5]), np.array([2.0]))
    _, rho, psi = late.at(np.array([1.0, 2.0, 50.0]))
    assert np.all(psi * (1 + np.abs(rho)) <= 4.0 + 1e-12)
    assert np.all(np.diff(psi) >= 0)
    assert np.all(local_variance(late, np.linspace(-3, 3, 61)[None, :],
                                 np.array([0.5, 2.0, 50.0])[:, None]) > 0)  # fmt: skip


def test_grid_is_positive_and_interpolates():
    k, t = np.linspace(-1.0, 1.0, 41), np.linspace(0.01, 1.5, 30)
    grid = local_vol_grid(SURFACE, k, t).value
    assert np.all(grid.vol > 0)
    np.testing.assert_allclose(grid(k[None, :], t[:, None]), grid.vol, rtol=1e-12)
    np.testing.assert_allclose(grid(5.0, 9.0), grid.vol[-1, -1])
    inside = grid(0.5 * (k[3] + k[4]), t[5])
    assert inside == pytest.approx(0.5 * (grid.vol[5, 3] + grid.vol[5, 4]))


def test_arbitrage_is_a_failure_with_its_place():
    crossing = SsviSlices(
        YEARS[:2], np.array([0.02, 0.021]), np.array([-0.5, 0.5]), np.array([0.3, 0.3])
    )
    result = local_vol_grid(crossing, np.linspace(-1, 1, 41), np.array([0.1, 0.15]))
    assert isinstance(result, Failure)
    assert result.reason is FailureReason.ARBITRAGE
    assert "k=-1" in result.message
    assert np.isnan(local_variance(SURFACE, 0.0, -1.0))
    assert dupire_variance(0.0, 0.04, 0.0, 0.0, 0.09) == pytest.approx(0.09)
