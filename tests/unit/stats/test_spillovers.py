"""Variance decompositions against their definition, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats.spillovers import (
    fit_autoregression,
    generalised_decomposition,
    moving_average,
    simulate_autoregression,
    spillovers,
    stability,
)

PHI = np.array([[[0.5, 0.2, 0.0], [0.1, 0.4, 0.3], [0.0, 0.0, 0.6]]])
SIGMA = np.array([[1.0, 0.3, 0.1], [0.3, 2.0, 0.4], [0.1, 0.4, 1.5]])


def by_conditioning(phi: np.ndarray, sigma: np.ndarray, horizon: int) -> np.ndarray:
    """Share of i's H-step error variance that goes when j's future shocks become known.

    From the joint covariance of all shocks of the H steps (Koop, Pesaran and Potter 1996), with
    paths of unit shocks run through the recursion: no moving-average formula is used.
    """
    n = len(sigma)
    weights = np.zeros((n, horizon * n))  # error of i, H steps ahead, by shock (step, series)
    for step in range(horizon):
        for j in range(n):
            path = [np.zeros(n) for _ in range(len(phi))]
            for s in range(horizon):
                shock = np.eye(n)[j] if s == step else np.zeros(n)
                path.append(shock + sum(phi[k] @ path[-1 - k] for k in range(len(phi))))
            weights[:, step * n + j] = path[-1]
    joint = np.kron(np.eye(horizon), sigma)
    out = np.empty((n, n))
    for j in range(n):
        known = np.arange(horizon) * n + j
        cross = joint[:, known]
        explained = cross @ np.linalg.solve(joint[np.ix_(known, known)], cross.T)
        gone = np.einsum("ia,ab,ib->i", weights, explained, weights)
        out[:, j] = gone / np.einsum("ia,ab,ib->i", weights, joint, weights)
    return out


@pytest.mark.parametrize("lags", [1, 2])
def test_generalised_shares_are_what_knowing_a_shock_takes_away(lags: int) -> None:
    phi = np.concatenate([PHI, 0.2 * PHI[:, ::-1]])[:lags]
    found = generalised_decomposition(phi, SIGMA, 6)
    np.testing.assert_allclose(found, by_conditioning(phi, SIGMA, 6), rtol=1e-12)


def test_two_series_that_do_not_lag_give_squared_correlations() -> None:
    sigma = np.array([[4.0, 1.0], [1.0, 1.0]])
    table = spillovers(np.zeros((1, 2, 2)), sigma, 5).table
    np.testing.assert_allclose(table, [[0.8, 0.2], [0.2, 0.8]])


def test_rows_add_up_and_net_adds_to_nothing() -> None:
    found = spillovers(PHI, SIGMA, 10)
    np.testing.assert_allclose(found.table.sum(axis=1), 1.0)
    assert found.net.sum() == pytest.approx(0.0, abs=1e-14)
    np.testing.assert_allclose(found.net_pairs, -found.net_pairs.T)
    np.testing.assert_allclose(found.net_pairs.sum(axis=1), found.net, atol=1e-14)


def test_generalised_shares_do_not_depend_on_order_or_units() -> None:
    order, units = [2, 0, 1], np.diag([1.0, 10.0, 0.1])
    phi = units @ PHI @ np.linalg.inv(units)
    table = spillovers(phi, units @ SIGMA @ units, 8).table
    np.testing.assert_allclose(table, spillovers(PHI, SIGMA, 8).table, rtol=1e-11)
    moved = spillovers(PHI[:, order][:, :, order], SIGMA[order][:, order], 8).table
    np.testing.assert_allclose(moved, spillovers(PHI, SIGMA, 8).table[order][:, order])


def test_moving_average_of_one_lag_is_its_powers() -> None:
    found = moving_average(PHI, 4)
    np.testing.assert_allclose(found[3], np.linalg.matrix_power(PHI[0], 3))
    assert stability(PHI) == pytest.approx(np.abs(np.linalg.eigvals(PHI[0])).max())


def test_a_long_path_gives_its_parameters_back_despite_gaps() -> None:
    rng = np.random.default_rng(5)
    start = fit_autoregression(rng.standard_normal((60, 3)), 1)
    shocks = rng.standard_normal((20_000, 3)) @ np.linalg.cholesky(SIGMA).T
    known = type(start)(np.array([1.0, 0.0, -1.0]), PHI, SIGMA, start.residuals, start.start)
    path = simulate_autoregression(known, shocks)
    path[rng.integers(0, len(path), 300), 1] = np.nan
    found = fit_autoregression(path, 1)
    np.testing.assert_allclose(found.coefficients, PHI, atol=0.03)
    np.testing.assert_allclose(found.covariance, SIGMA, atol=0.08)
    np.testing.assert_allclose(found.intercept, [1.0, 0.0, -1.0], atol=0.06)


def test_what_cannot_be_estimated_is_refused() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((40, 2))
    for bad in (x[:4], np.column_stack([x, x[:, 0]]), np.column_stack([x, np.ones(40)])):
        with pytest.raises(DataError):
            fit_autoregression(bad, 1)
    with pytest.raises(DataError):
        spillovers(PHI, SIGMA, 0)
