"""Who moves whom: generalised variance decompositions of a vector autoregression.

Koop, Pesaran and Potter (1996), J. Econometrics 74; Pesaran and Shin (1998), Economics Letters 58;
Diebold and Yilmaz (2012), "Better to give than to receive", Int. J. Forecasting 28(1), whose tables
these are. Generalised, because models have no natural order in which one's shock comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.random import as_generator

__all__ = [
    "Autoregression",
    "Spillovers",
    "cholesky_decomposition",
    "fit_autoregression",
    "generalised_decomposition",
    "moving_average",
    "simulate_autoregression",
    "spillovers",
    "stability",
]


@dataclass(frozen=True, slots=True, eq=False)
class Autoregression:
    """``x_t = c + sum_k Phi_k x_{t-k} + u_t`` of N series, by least squares.

    Attributes
    ----------
    intercept : float64, shape (N,)
    coefficients : float64, shape (p, N, N)
    covariance : float64, shape (N, N)
        Of the residuals, with the degrees of freedom of each equation taken off.
    residuals : float64, shape (n, N)
    start : float64, shape (p, N)
        The first rows, oldest first: what a simulation starts from.
    """

    intercept: FloatArray
    coefficients: FloatArray
    covariance: FloatArray
    residuals: FloatArray
    start: FloatArray

    @property
    def lags(self) -> int:
        """Order p."""
        return len(self.coefficients)


@dataclass(frozen=True, slots=True, eq=False)
class Spillovers:
    """A connectedness table of N series; shares of forecast error variance.

    Attributes
    ----------
    table : float64, shape (N, N)
        Row i: where the error variance of series i comes from; rows sum to 1.
    total : float
        Mean over series of what comes from the others, in [0, 1).
    received : float64, shape (N,)
        From all others to i.
    given : float64, shape (N,)
        From i to all others; may exceed 1.
    """

    table: FloatArray
    total: float
    received: FloatArray
    given: FloatArray

    @property
    def net(self) -> FloatArray:
        """Given less received, shape (N,): positive for a sender."""
        return np.asarray(self.given - self.received)

    @property
    def net_pairs(self) -> FloatArray:
        """``[i, j]``: what i gives to j less what it receives from j, shape (N, N)."""
        return np.asarray(self.table.T - self.table)


def fit_autoregression(
    panel: FloatArray, lags: int, *, ridge: float = 0.0, weights: FloatArray | None = None
) -> Autoregression:
    """Estimate by least squares; rows with a gap, and those whose lags have one, are left out.

    Parameters
    ----------
    panel : float64, shape (T, N)
    lags : int
    ridge : float
        Penalty on the coefficients of standardised series, as a share of the number of rows.
    weights : float64, shape (T,), optional
        Weight of each row as a response, >= 0.

    Raises
    ------
    DataError
        Not enough complete rows, or series that determine one another.
    """
    x = np.asarray(panel, dtype=np.float64)
    if x.ndim != 2 or lags < 1 or len(x) <= lags:
        raise DataError(
            f"an autoregression of order {lags} on a panel of shape {x.shape}",
            remedy="give more rows than lags, at least one lag",
        )
    t, n = x.shape
    past = np.concatenate([x[lags - k - 1 : t - k - 1] for k in range(lags)], axis=1)
    now = x[lags:]
    use = np.isfinite(past).all(axis=1) & np.isfinite(now).all(axis=1)
    w = np.ones(t - lags) if weights is None else np.asarray(weights, dtype=np.float64)[lags:]
    use &= w > 0
    rows = int(use.sum())
    if rows <= n * lags + 1:
        raise DataError(
            f"{rows} complete rows for {n * lags + 1} coefficients an equation",
            remedy="use fewer lags or series, or a longer panel",
        )
    past, now, w = past[use], now[use], w[use] / w[use].mean()
    centre_past, centre_now = np.average(past, 0, w), np.average(now, 0, w)
    root = np.sqrt(w)[:, None]
    design, target = root * (past - centre_past), root * (now - centre_now)
    scale = np.sqrt(np.mean(design**2, axis=0))
    if np.any(scale == 0.0):
        raise DataError("a series does not move", remedy="leave it out")
    design = design / scale
    gram = design.T @ design + ridge * rows * np.eye(n * lags)
    if np.linalg.cond(gram) > 1e13:
        raise DataError(
            "some series are combinations of others",
            remedy="leave out duplicates, or give a ridge",
        )
    slopes = np.linalg.solve(gram, design.T @ target) / scale[:, None]
    residuals = now - centre_now - (past - centre_past) @ slopes
    freedom = rows - n * lags - 1
    covariance = (residuals * w[:, None]).T @ residuals / freedom
    return Autoregression(
        intercept=centre_now - centre_past @ slopes,
        coefficients=np.stack([slopes[k * n : (k + 1) * n].T for k in range(lags)]),
        covariance=covariance,
        residuals=residuals,
        start=x[:lags].copy(),
    )


def stability(coefficients: FloatArray) -> float:
    """Largest modulus of the companion matrix's eigenvalues; below 1 shocks die out."""
    p, n, _ = coefficients.shape
    companion = np.zeros((n * p, n * p))
    companion[:n] = np.concatenate(list(coefficients), axis=1)
    companion[n:, :-n] = np.eye(n * (p - 1))
    return float(np.abs(np.linalg.eigvals(companion)).max())


def moving_average(coefficients: FloatArray, horizon: int) -> FloatArray:
    """Responses ``A_0 .. A_{horizon-1}`` to a unit shock, float64, shape (horizon, N, N)."""
    p, n, _ = coefficients.shape
    out = np.zeros((horizon, n, n))
    out[0] = np.eye(n)
    for h in range(1, horizon):
        for k in range(min(p, h)):
            out[h] += coefficients[k] @ out[h - k - 1]
    return out


def generalised_decomposition(
    coefficients: FloatArray, covariance: FloatArray, horizon: int
) -> FloatArray:
    """Generalised forecast error variance shares before normalisation, shape (N, N).

    ``theta_ij(H) = sigma_jj^-1 sum_h (e_i' A_h S e_j)^2 / sum_h e_i' A_h S A_h' e_i`` with
    h = 0 .. H - 1; rows need not sum to 1.
    """
    responses = moving_average(coefficients, horizon)
    shocked = responses @ covariance
    top = np.sum(shocked**2, axis=0) / np.diag(covariance)
    below = np.einsum("hij,hij->i", shocked, responses)
    return np.asarray(top / below[:, None])


def cholesky_decomposition(
    coefficients: FloatArray, covariance: FloatArray, horizon: int
) -> FloatArray:
    """Variance shares with shocks made orthogonal in the order of the series, shape (N, N)."""
    factor = np.linalg.cholesky(covariance)
    responses = moving_average(coefficients, horizon) @ factor
    squares = np.sum(responses**2, axis=0)
    return np.asarray(squares / squares.sum(axis=1, keepdims=True))


def spillovers(
    coefficients: FloatArray, covariance: FloatArray, horizon: int, *, orthogonal: bool = False
) -> Spillovers:
    """Connectedness table at a horizon.

    Parameters
    ----------
    coefficients : float64, shape (p, N, N)
    covariance : float64, shape (N, N)
    horizon : int
        Steps ahead, >= 1.
    orthogonal : bool
        Cholesky in the order of the series in place of the generalised decomposition.

    Raises
    ------
    DataError
        A horizon below 1.
    """
    if horizon < 1:
        raise DataError(f"a horizon of {horizon} steps", remedy="use one or more")
    decompose = cholesky_decomposition if orthogonal else generalised_decomposition
    shares = decompose(coefficients, covariance, horizon)
    table = shares / shares.sum(axis=1, keepdims=True)
    own = np.diag(table)
    received = table.sum(axis=1) - own
    return Spillovers(
        table=table,
        total=float(received.mean()),
        received=received,
        given=np.asarray(table.sum(axis=0) - own),
    )


def simulate_autoregression(
    model: Autoregression, shocks: FloatArray, *, rng: int | np.random.Generator | None = None
) -> FloatArray:
    """A path of the model under given shocks, from its own start.

    Parameters
    ----------
    model : Autoregression
    shocks : float64, shape (T, N)
    rng : int or Generator, optional
        Draws rows of the shocks with replacement; they are used in order if left out.

    Returns
    -------
    float64, shape (p + T, N)
    """
    p, n = model.lags, len(model.intercept)
    if rng is not None:
        generator = as_generator(rng, "residual bootstrap")
        shocks = shocks[generator.integers(0, len(shocks), len(shocks))]
    path = np.empty((p + len(shocks), n))
    path[:p] = model.start
    stacked = np.concatenate(list(model.coefficients), axis=1)
    lagged = model.start[::-1].ravel().copy()
    for t, shock in enumerate(shocks):
        row = model.intercept + stacked @ lagged + shock
        path[p + t] = row
        lagged[n:] = lagged[:-n].copy()
        lagged[:n] = row
    return path
