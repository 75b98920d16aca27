"""How many independent series a covariance or correlation matrix holds.

All functions take a symmetric matrix, not the data, except where the number of observations enters;
``correlation_matrix`` makes one from a panel.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = [
    "absorption_ratio",
    "corrected_trace_of_square",
    "correlation_matrix",
    "effective_rank",
    "enb_minimum_torsion",
    "enb_principal_components",
    "independent_participation_ratio",
    "marchenko_pastur_edges",
    "mean_correlation",
    "minimum_torsion",
    "partial_correlations",
    "participation_ratio",
    "participation_ratio_corrected",
    "variance_effective_number",
]


def _square(matrix: FloatArray, what: str) -> FloatArray:
    values = np.asarray(matrix, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or values.shape[0] == 0:
        raise DataError(
            f"{what} needs a square matrix, got shape {values.shape}",
            remedy="pass the N x N covariance or correlation matrix of the N series",
        )
    if not np.all(np.isfinite(values)):
        raise DataError(
            f"{what}: the matrix holds NaN or infinite entries",
            remedy="drop series that never vary and rows with missing values before correlating",
        )
    return values


def _eigenvalues(matrix: FloatArray, what: str) -> FloatArray:
    """Descending, rounding noise below zero cut off."""
    values = np.linalg.eigvalsh(_square(matrix, what))[::-1]
    return np.asarray(np.maximum(values, 0.0), dtype=np.float64)


def correlation_matrix(panel: FloatArray) -> FloatArray:
    """Pearson correlations of the columns of ``panel``.

    Parameters
    ----------
    panel : float64, shape (T, N)
        T >= 2 observations of N series, no missing values.

    Returns
    -------
    float64, shape (N, N)

    Raises
    ------
    DataError
        Fewer than two rows, missing values, or a series that never varies.
    """
    values = np.asarray(panel, dtype=np.float64)
    if values.ndim != 2 or values.shape[0] < 2 or not np.all(np.isfinite(values)):
        raise DataError(
            f"correlations need a finite panel of at least two rows, got shape {values.shape}",
            remedy="drop rows with missing values first",
        )
    centred = values - values.mean(axis=0)
    norms = np.sqrt(np.einsum("ti,ti->i", centred, centred))
    scale = np.finfo(np.float64).eps * np.abs(values).max(axis=0) * np.sqrt(values.shape[0])
    if np.any(norms <= scale):
        raise DataError(
            f"series {np.flatnonzero(norms <= scale).tolist()} never vary",
            remedy="leave constant series out of the correlation",
        )
    unit = centred / norms
    correlations = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(correlations, 1.0)
    return np.asarray(correlations, dtype=np.float64)


def mean_correlation(correlation: FloatArray) -> float:
    """Mean of the N(N-1)/2 off-diagonal entries; 0 for a single series."""
    c = _square(correlation, "the mean correlation")
    n = c.shape[0]
    return 0.0 if n == 1 else float(c[np.triu_indices(n, 1)].mean())


def participation_ratio(matrix: FloatArray) -> float:
    """Effective number of series ``(tr C)^2 / tr C^2``, in [1, N].

    For a correlation matrix this is ``N^2 / tr C^2``; under equicorrelation it is
    ``N / (1 + (N-1) rho^2)``. It is biased downwards in short samples: see
    :func:`participation_ratio_corrected`.

    Parameters
    ----------
    matrix : float64, shape (N, N)
        Covariance or correlation, positive semi-definite.
    """
    c = _square(matrix, "the participation ratio")
    return float(np.trace(c) ** 2 / np.sum(c * c.T))


def corrected_trace_of_square(matrix: FloatArray, observations: int) -> float:
    """Unbiased estimate of ``tr Sigma^2`` from a sample matrix S of T Gaussian observations.

    ``n^2 / ((n-1)(n+2)) (tr S^2 - (tr S)^2 / n)`` with ``n = T - 1``; exact for a covariance
    matrix; for a correlation matrix (tr S = N, no noise on the diagonal) a factor ``n / (n + 2)``
    is left under independence. Source: Srivastava (2005),
    J. Japan Statist. Soc. 35(2).

    Parameters
    ----------
    matrix : float64, shape (N, N)
    observations : int
        T >= 3 independent rows behind the matrix.
    """
    if observations < 3:
        raise DataError(
            f"the finite-sample correction needs at least 3 observations, got {observations}",
            remedy="use a longer panel",
        )
    s = _square(matrix, "the corrected trace")
    n = observations - 1
    raw = float(np.sum(s * s.T)) - float(np.trace(s)) ** 2 / n
    return n * n / ((n - 1) * (n + 2)) * raw


def participation_ratio_corrected(matrix: FloatArray, observations: int) -> float:
    """Participation ratio with the finite-sample bias of ``tr C^2`` removed.

    Not clipped: for independent series it scatters around N and may exceed it. Where the corrected
    trace is not positive (far more series than observations) the result is infinite.

    Parameters
    ----------
    matrix : float64, shape (N, N)
        Sample correlation or covariance.
    observations : int
        T >= 3.
    """
    trace = corrected_trace_of_square(matrix, observations)
    return float(np.trace(np.asarray(matrix)) ** 2 / trace) if trace > 0 else float("inf")


def independent_participation_ratio(series: int, observations: int) -> float:
    """What the naive participation ratio shows for ``series`` independent series: N / (1 + N/n).

    From ``E tr S^2 ~ N + N^2 / n``, ``n = T - 1`` (leading order, unit variances; see
    :func:`corrected_trace_of_square`). For correlations, whose diagonal is exactly one, N^2 becomes
    N(N-1) at the next order.
    """
    n = observations - 1
    return series**2 / (series + series**2 / n)


def variance_effective_number(correlation: FloatArray) -> float:
    """``N / (1 + (N-1) rho_bar)``: independent series whose average is as noisy as this one.

    ``N^2 / sum_ij C_ij``; infinite when the average of the series does not vary at all.
    """
    c = _square(correlation, "the variance effective number")
    total = float(c.sum())
    return c.shape[0] ** 2 / total if total > 0 else float("inf")


def effective_rank(matrix: FloatArray) -> float:
    """``exp`` of the entropy of the normalised eigenvalues, in [1, N] (Roy & Vetterli 2007)."""
    values = _eigenvalues(matrix, "the effective rank")
    share = values / values.sum()
    positive = share[share > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def absorption_ratio(matrix: FloatArray, factors: int = 1) -> float:
    """Share of total variance in the ``factors`` largest eigenvalues (Kritzman et al. 2011)."""
    values = _eigenvalues(matrix, "the absorption ratio")
    if not 1 <= factors <= values.size:
        raise DataError(
            f"cannot take {factors} factors of {values.size} series",
            remedy="choose between 1 and the number of series",
        )
    return float(values[:factors].sum() / values.sum())


def marchenko_pastur_edges(series: int, observations: int) -> tuple[float, float]:
    """Lower and upper edge ``(1 -+ sqrt(N/T))^2`` of the spectrum of N independent series.

    Marchenko & Pastur (1967), unit variance. For N > T the lower edge is that of the non-zero part.
    """
    root = float(np.sqrt(series / observations))
    return (1.0 - root) ** 2, (1.0 + root) ** 2


def partial_correlations(matrix: FloatArray) -> FloatArray:
    """Correlation of each pair given all other series: ``-P_ij / sqrt(P_ii P_jj)``, P = C^-1.

    Returns
    -------
    float64, shape (N, N)
        Unit diagonal.

    Raises
    ------
    DataError
        The matrix is singular to working precision.
    """
    c = _square(matrix, "partial correlations")
    if np.linalg.cond(c) > 1.0 / np.finfo(np.float64).eps:
        raise DataError(
            "partial correlations need an invertible matrix, this one is singular",
            remedy="remove series that are combinations of others",
        )
    precision = np.linalg.inv(c)
    root = np.sqrt(np.diag(precision))
    partial = -precision / np.outer(root, root)
    np.fill_diagonal(partial, 1.0)
    return np.asarray(partial, dtype=np.float64)


def _diversification(
    covariance: FloatArray, weights: FloatArray, torsion: FloatArray
) -> FloatArray:
    """Share of portfolio variance of each uncorrelated bet ``torsion @ x``; sums to one."""
    bets = np.linalg.solve(torsion.T, weights)
    contribution = bets * (torsion @ covariance @ weights)
    return np.asarray(contribution / (weights @ covariance @ weights), dtype=np.float64)


def _entropy_number(shares: FloatArray) -> float:
    positive = shares[shares > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def enb_principal_components(
    covariance: FloatArray, weights: FloatArray
) -> tuple[float, FloatArray]:
    """Effective number of bets along principal components (Meucci 2009).

    Parameters
    ----------
    covariance : float64, shape (N, N)
    weights : float64, shape (N,)
        Exposures to the N series.

    Returns
    -------
    (float, float64 of shape (N,))
        ``exp`` entropy of the variance shares, and the shares, largest eigenvalue first.
    """
    sigma = _square(covariance, "the effective number of bets")
    b = np.asarray(weights, dtype=np.float64)
    vectors = np.linalg.eigh(sigma)[1][:, ::-1]
    shares = _diversification(sigma, b, vectors.T)
    return _entropy_number(shares), shares


def minimum_torsion(covariance: FloatArray) -> FloatArray:
    """Approximate minimum-torsion transform ``diag(s) C^(-1/2) diag(1/s)``, s the volatilities.

    The linear map to uncorrelated factors closest to the original series; the symmetric root is the
    closed-form approximation of Meucci, Santangelo & Deguest (2015), "Risk budgeting and
    diversification based on optimized uncorrelated factors".

    Returns
    -------
    float64, shape (N, N)
        Rows are factors.
    """
    sigma = _square(covariance, "the minimum torsion")
    s = np.sqrt(np.diag(sigma))
    values, vectors = np.linalg.eigh(sigma / np.outer(s, s))
    if values[0] <= values[-1] * np.finfo(np.float64).eps * values.size:
        raise DataError(
            "minimum torsion needs an invertible covariance, this one is singular",
            remedy="remove series that are combinations of others",
        )
    inverse_root = (vectors / np.sqrt(values)) @ vectors.T
    return np.asarray(s[:, None] * inverse_root / s[None, :], dtype=np.float64)


def enb_minimum_torsion(covariance: FloatArray, weights: FloatArray) -> tuple[float, FloatArray]:
    """Effective number of minimum-torsion bets (Meucci, Santangelo & Deguest 2015).

    Parameters
    ----------
    covariance : float64, shape (N, N)
    weights : float64, shape (N,)

    Returns
    -------
    (float, float64 of shape (N,))
        ``exp`` entropy of the variance shares, and the shares, in the order of the series.
    """
    sigma = _square(covariance, "the effective number of bets")
    b = np.asarray(weights, dtype=np.float64)
    shares = _diversification(sigma, b, minimum_torsion(sigma))
    return _entropy_number(shares), shares
