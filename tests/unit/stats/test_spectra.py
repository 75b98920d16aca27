"""Effective numbers on matrices whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import DataError
from commonmode.stats import spectra


def test_one_model_in_five_copies_is_one_model() -> None:
    ones = np.ones((5, 5))
    assert spectra.participation_ratio(ones) == pytest.approx(1.0)
    assert spectra.effective_rank(ones) == pytest.approx(1.0)
    assert spectra.variance_effective_number(ones) == pytest.approx(1.0)
    assert spectra.absorption_ratio(ones) == pytest.approx(1.0)


def test_correction_removes_the_bias_of_short_samples() -> None:
    rng = np.random.default_rng(7)
    naive, corrected = [], []
    for _ in range(300):
        c = spectra.correlation_matrix(rng.standard_normal((60, 8)))
        naive.append(spectra.participation_ratio(c))
        corrected.append(spectra.participation_ratio_corrected(c, 60))
    assert np.mean(naive) < 7.3
    # the naive one is where theory says it is, to the order left out of it
    assert np.mean(naive) == pytest.approx(spectra.independent_participation_ratio(8, 60), abs=0.15)
    # and what is left of the bias is the documented factor n / (n + 2) of a correlation matrix
    assert np.mean(corrected) == pytest.approx(8.0 * 61 / 59, abs=0.06)


def test_corrected_trace_is_unbiased_for_a_covariance() -> None:
    rng = np.random.default_rng(3)
    root = np.array([[1.0, 0.0, 0.0], [0.5, 1.0, 0.0], [0.2, -0.4, 0.8]])
    sigma = root @ root.T
    traces = [
        spectra.corrected_trace_of_square(
            np.cov(rng.standard_normal((12, 3)) @ root.T, rowvar=False), 12
        )
        for _ in range(6000)
    ]
    expected = float(np.trace(sigma @ sigma))
    standard_error = np.std(traces) / np.sqrt(len(traces))
    assert abs(np.mean(traces) - expected) < 4 * standard_error


def test_partial_correlation_sees_through_a_chain() -> None:
    # x -> y -> z: x and z are correlated, but not given y
    c = np.array([[1.0, 0.6, 0.36], [0.6, 1.0, 0.6], [0.36, 0.6, 1.0]])
    assert spectra.partial_correlations(c)[0, 2] == pytest.approx(0.0, abs=1e-12)


def test_minimum_torsion_decorrelates_and_keeps_variances() -> None:
    sigma = np.array([[0.04, 0.012, 0.006], [0.012, 0.09, 0.018], [0.006, 0.018, 0.16]])
    t = spectra.minimum_torsion(sigma)
    np.testing.assert_allclose(t @ sigma @ t.T, np.diag(np.diag(sigma)), atol=1e-15)
    number, shares = spectra.enb_minimum_torsion(sigma, np.array([0.5, 0.3, 0.2]))
    assert shares.sum() == pytest.approx(1.0)
    assert 1.0 <= number <= 3.0


@pytest.mark.parametrize(
    "panel",
    [
        np.ones((10, 2)),
        np.array([[1.0, np.nan], [2.0, 1.0], [3.0, 2.0]]),
        np.ones((1, 2)),
        np.column_stack([np.arange(5.0), np.full(5, 0.1)]),
    ],
)
def test_correlation_refuses_what_has_none(panel: np.ndarray) -> None:
    with pytest.raises(DataError):
        spectra.correlation_matrix(panel)


def test_singular_and_misshapen_matrices_are_refused() -> None:
    with pytest.raises(DataError, match="singular"):
        spectra.partial_correlations(np.ones((3, 3)))
    with pytest.raises(DataError, match="singular"):
        spectra.minimum_torsion(np.ones((3, 3)))
    with pytest.raises(DataError, match="square"):
        spectra.participation_ratio(np.ones((2, 3)))
    with pytest.raises(DataError, match="NaN"):
        spectra.effective_rank(np.array([[1.0, np.nan], [np.nan, 1.0]]))
    with pytest.raises(DataError, match="factors"):
        spectra.absorption_ratio(np.eye(3), 4)
