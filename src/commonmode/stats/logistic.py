"""Failure probability as a smooth function of market state, cross-fitted in contiguous blocks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
from scipy.special import expit

from commonmode.core.arrays import BoolArray, FloatArray

__all__ = [
    "COMPILED_FROM",
    "Engine",
    "cross_fitted_probability",
    "fit_logistic",
    "natural_cubic_basis",
]

Engine = Literal["auto", "numba", "numpy"]

# A Newton step is halved at most this often.
_HALVINGS = 30
# Rows times regressions from which the compiled fit pays although loading it takes seconds where it
# is compiled first: numpy needs about half a microsecond for one of each.
COMPILED_FROM = 20_000_000


def natural_cubic_basis(x: FloatArray, knots: FloatArray) -> FloatArray:
    """Natural cubic spline basis (linear beyond the outer knots), intercept first.

    Parameters
    ----------
    x : float64, shape (n,)
    knots : float64, shape (q,), increasing, q >= 2

    Returns
    -------
    float64, shape (n, q)

    References
    ----------
    Hastie, Tibshirani & Friedman (2009), Elements of Statistical Learning, eq. 5.4-5.5.
    """

    def bend(j: int) -> FloatArray:
        above = np.clip(x - knots[j], 0, None) ** 3 - np.clip(x - knots[-1], 0, None) ** 3
        return np.asarray(above / (knots[-1] - knots[j]))

    columns = [np.ones_like(x), x]
    columns += [bend(j) - bend(len(knots) - 2) for j in range(len(knots) - 2)]
    return np.stack(columns, axis=1)


def fit_logistic(
    design: FloatArray,
    outcome: FloatArray | BoolArray,
    *,
    ridge: float = 1e-2,
    iterations: int = 30,
    engine: Engine = "auto",
    threads: int = 1,
) -> FloatArray:
    """Ridge-penalised logistic regressions that share a design, by damped Newton steps.

    Parameters
    ----------
    design : float64, shape (n, p)
        First column is the intercept (all but unpenalised).
    outcome : float64, shape (n, m)
        Zeros and ones, one column per regression.
    ridge : float
        Penalty on coefficients of columns scaled to unit mean square: keeps separated data finite.
    iterations : int
    engine : {"auto", "numba", "numpy"}
        Compiled for large jobs; both stop within the same tolerance of the same maximum.
    threads : int
        Of the compiled engine; the bits do not depend on it.

    Returns
    -------
    float64, shape (p, m)
    """
    scale = np.sqrt(np.mean(design**2, axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    z = design / scale
    penalty = np.full(z.shape[1], ridge)
    penalty[0] = 1e-8
    rate = np.clip(outcome.mean(axis=0), 1e-4, 1 - 1e-4)
    start = np.zeros((z.shape[1], outcome.shape[1]))
    start[0] = np.log(rate / (1 - rate))
    use = engine
    if use == "auto":
        use = "numba" if outcome.size >= COMPILED_FROM else "numpy"
    if use == "numba":
        beta = _fit_compiled(z, outcome, start, penalty, iterations, threads)
    else:
        beta = _fit_numpy(z, outcome.astype(np.float64), start, penalty, iterations)
    return np.asarray(beta / scale[:, None])


def _fit_compiled(
    z: FloatArray,
    outcome: FloatArray | BoolArray,
    start: FloatArray,
    penalty: FloatArray,
    iterations: int,
    threads: int,
) -> FloatArray:
    from commonmode.stats._logistic_kernel import fit_columns

    m = outcome.shape[1]
    happened = np.ascontiguousarray(outcome.T != 0)
    out = np.empty((m, z.shape[1]))
    arguments = (np.ascontiguousarray(z), happened, np.ascontiguousarray(start.T), penalty, out)
    edges = np.linspace(0, m, min(max(threads, 1), m) + 1).astype(int).tolist()
    with ThreadPoolExecutor(max(len(edges) - 1, 1)) as pool:
        list(
            pool.map(
                lambda low, high: fit_columns(*arguments, low, high, iterations, _HALVINGS),
                edges[:-1],
                edges[1:],
            )
        )
    return np.ascontiguousarray(out.T)


def _fit_numpy(
    z: FloatArray,
    outcome: FloatArray,
    start: FloatArray,
    penalties: FloatArray,
    iterations: int,
) -> FloatArray:
    """All regressions at once; the compiled fit's twin."""
    p, beta, penalty = z.shape[1], start, np.diag(penalties)
    products = (z[:, :, None] * z[:, None, :]).reshape(len(z), p * p)
    linear = z @ beta
    height = _penalised_likelihood(linear, outcome, beta, penalty)
    for _ in range(iterations):
        mean = expit(linear)
        weight = mean * (1 - mean) + 1e-10
        gradient = z.T @ (outcome - mean) - penalty @ beta
        hessian = (weight.T @ products).reshape(-1, p, p) + penalty
        step = np.linalg.solve(hessian, gradient.T[:, :, None])[:, :, 0].T
        # A full Newton step can overshoot into the flat region of separated data and stay there,
        # so each regression's step is halved until its likelihood does not fall.
        shift = z @ step
        length = np.ones(outcome.shape[1])
        for _ in range(_HALVINGS):
            reached = _penalised_likelihood(
                linear + length * shift, outcome, beta + length * step, penalty
            )
            worse = reached < height - 1e-9 * np.abs(height)
            if not worse.any():
                break
            length[worse] *= 0.5
        length[worse] = 0.0
        beta = beta + length * step
        linear = linear + length * shift
        height = np.where(worse, height, reached)
        if np.abs(length * step).max() < 1e-7:
            break
    return beta


def _penalised_likelihood(
    linear: FloatArray, outcome: FloatArray, beta: FloatArray, penalty: FloatArray
) -> FloatArray:
    """Log likelihood less half the penalty, one per regression."""
    likelihood = (outcome * linear - np.logaddexp(0.0, linear)).sum(axis=0)
    return np.asarray(likelihood - 0.5 * np.diag(penalty) @ beta**2)


def cross_fitted_probability(
    surprise: FloatArray,
    failed: BoolArray,
    state: FloatArray | None = None,
    *,
    folds: int = 5,
    knots: int = 3,
    engine: Engine = "auto",
    threads: int = 1,
) -> FloatArray:
    """Probability that each model fails given how large the market's surprise was.

    A model fails when the surprise exceeds its deviation, so given the surprise the probability is
    the law of its deviation: smooth and rising. It is fitted by a logistic natural spline and,
    for each of ``folds`` contiguous spans of time, on the other spans only. Few knots are wanted:
    the excess of joint over expected failures is orthogonal to first-order errors of this fit,
    while a wiggly fit extrapolates badly into the rare largest surprises.

    Parameters
    ----------
    surprise : float64, shape (T,)
        ``-inf`` where no failure is possible (the outcome was a gain).
    failed : bool, shape (T, N)
    state : float64, shape (T, S), optional
        Further market states; they enter linearly, standardised.
    folds, knots : int
    engine, threads
        As for :func:`fit_logistic`.

    Returns
    -------
    float64, shape (T, N)
        Zero where the surprise is smaller than at any failure of the other spans.
    """
    t, n = failed.shape
    probability = np.zeros((t, n))
    fold = np.arange(t) * folds // t
    for k in range(folds):
        held = fold == k
        # Knots and the span of the fit too come from the other folds only.
        train = ~held & failed.any(axis=1)
        if not held.any() or not train.any():
            continue
        at_failure = surprise[train]
        relevant = surprise >= at_failure.min()
        places = np.unique(np.quantile(at_failure, np.linspace(0.02, 0.90, knots)))
        seen, asked = ~held & relevant, held & relevant
        design = _design(surprise[seen], places, _standardised(state, seen, seen))
        beta = fit_logistic(design, failed[seen], engine=engine, threads=threads)
        curve = _design(surprise[asked], places, _standardised(state, asked, seen)) @ beta
        probability[asked] = expit(curve)
    return probability


def _design(x: FloatArray, places: FloatArray, state: FloatArray) -> FloatArray:
    """Spline of the surprise (a line where all failures lie at one place), then the states."""
    smooth = (
        natural_cubic_basis(x, places) if len(places) >= 2 else np.stack([np.ones_like(x), x], 1)
    )
    return np.concatenate([smooth, state], axis=1)


def _standardised(state: FloatArray | None, rows: BoolArray, by: BoolArray) -> FloatArray:
    """``state`` at ``rows`` by its mean and spread at ``by``; no columns if there is none."""
    if state is None:
        return np.zeros((int(rows.sum()), 0))
    spread = state[by].std(axis=0)
    centred = state[rows] - state[by].mean(axis=0)
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))
