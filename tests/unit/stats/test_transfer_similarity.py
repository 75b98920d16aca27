"""Transfer entropy, linear CKA, response gain, Gaussian CoVaR."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import multivariate_normal

from commonmode.core.errors import DataError
from commonmode.stats.interaction import gaussian_covar, response_gain
from commonmode.stats.similarity import linear_cka
from commonmode.stats.transfer import linear_transfer_entropy, transfer_entropy


def test_a_long_series_has_the_closed_form_s_entropy() -> None:
    rng = np.random.default_rng(0)
    x, u = rng.standard_normal((2, 100_000))
    y = 0.5 * np.concatenate(([0.0], x[:-1])) + u
    assert transfer_entropy(x, y).entropy == pytest.approx(linear_transfer_entropy(0.5), abs=0.006)
    assert transfer_entropy(y, x).entropy < 1e-4


def test_granger_f_keeps_its_size_and_law() -> None:
    rng = np.random.default_rng(1)
    p = [transfer_entropy(*rng.standard_normal((2, 120)), lags=2).p_value for _ in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_what_is_given_explains_an_indirect_transfer() -> None:
    rng = np.random.default_rng(2)
    x, z, y = rng.standard_normal((3, 5000))
    z[1:] += x[:-1]
    y[1:] += z[:-1]
    z[7] = np.nan
    two = np.concatenate(([0.0], x[:-1]))  # what x says one row later
    assert transfer_entropy(two, y).p_value < 1e-6
    assert transfer_entropy(two, y, given=z).p_value > 0.01


def test_cka_is_one_for_a_rotation_and_fits_its_definition() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((50, 3)), rng.standard_normal((50, 4))
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    assert linear_cka(x, 2.5 * x @ q + 1.0) == pytest.approx(1.0)
    k, m = x @ x.T, y @ y.T
    h = np.eye(50) - 1 / 50
    hsic = np.trace(k @ h @ m @ h) / np.sqrt(np.trace(k @ h @ k @ h) * np.trace(m @ h @ m @ h))
    assert linear_cka(x, y) == pytest.approx(float(hsic))


def test_unbiased_cka_fits_song_s_formula_and_has_no_floor() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((30, 5)), rng.standard_normal((30, 6))

    def hsic(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a - a.mean(0), b - b.mean(0)
        k, m, n = a @ a.T, b @ b.T, len(a)
        np.fill_diagonal(k, 0.0)
        np.fill_diagonal(m, 0.0)
        mean = k.sum() * m.sum() / ((n - 1) * (n - 2))
        return float(np.trace(k @ m) + mean - 2 / (n - 2) * (k.sum(0) @ m.sum(1)))

    expected = hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))
    assert linear_cka(x, y, unbiased=True) == pytest.approx(expected)
    draws = rng.standard_normal((300, 2, 30, 5))
    assert np.mean([linear_cka(a, b) for a, b in draws]) > 0.1
    assert abs(np.mean([linear_cka(a, b, unbiased=True) for a, b in draws])) < 0.02


def test_gain_of_two_that_answer_each_other() -> None:
    gain = response_gain(np.array([[0.0, 0.5], [0.5, 0.0]]))
    assert gain.spectral_radius == pytest.approx(0.5)
    assert gain.common == pytest.approx(2.0)
    np.testing.assert_allclose(gain.response[:, 0], [4 / 3, 2 / 3])
    endless = response_gain(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.isinf(endless.common)


def test_covar_is_the_quantile_given_the_other_s() -> None:
    level, rho = 0.05, 0.6
    covar, rise = gaussian_covar(level, rho, 2.0)
    z = stats.norm.ppf(level)
    law = multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]])
    # P(other in a thin slice at its quantile, own below CoVaR) over that of the slice.
    width = 1e-4
    at = [law.cdf([z + s * width / 2, covar / 2.0]) for s in (1, -1)]
    slice_ = stats.norm.cdf(z + width / 2) - stats.norm.cdf(z - width / 2)
    assert (at[0] - at[1]) / slice_ == pytest.approx(level, rel=1e-2)
    assert rise == pytest.approx(covar - z * 2.0 * np.sqrt(1 - rho**2))


def test_bad_inputs_are_refused() -> None:
    x = np.arange(10.0)
    for call in (
        lambda: transfer_entropy(x, x[:5]),
        lambda: transfer_entropy(x[:3], x[:3]),
        lambda: transfer_entropy(np.ones(30), np.random.default_rng(0).standard_normal(30)),
        lambda: linear_transfer_entropy(0.1, 0.0),
        lambda: linear_cka(x, x[:4]),
        lambda: linear_cka(np.ones(8), x[:8]),
        lambda: response_gain(np.ones((2, 3))),
        lambda: gaussian_covar(0.05, 1.1, 1.0),
    ):
        with pytest.raises(DataError):
            call()
