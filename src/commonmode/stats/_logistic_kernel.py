"""Compiled ridge-penalised logistic regressions that share a design; imports numba."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numba import njit

from commonmode.core.arrays import BoolArray, FloatArray

__all__ = ["fit_columns"]


def _likelihood(
    z: FloatArray,
    outcome: BoolArray,
    beta: FloatArray,
    penalty: FloatArray,
    gradient: FloatArray,
    hessian: FloatArray,
) -> float:
    """Penalised log likelihood at beta; fills its gradient and negative Hessian."""
    n, p = z.shape
    gradient[:] = 0.0
    hessian[:] = 0.0
    height = 0.0
    # sum of log(1 + e^-|x|) as the logarithm of a product: at most 2^32 before it is taken.
    product = 1.0
    for i in range(n):
        linear = 0.0
        for a in range(p):
            linear += z[i, a] * beta[a]
        small = math.exp(-abs(linear))
        mean = 1.0 / (1.0 + small) if linear >= 0.0 else small / (1.0 + small)
        # log(1 + e^x) = max(x, 0) + log(1 + e^-|x|)
        height -= max(linear, 0.0)
        product *= 1.0 + small
        if i & 31 == 31:
            height -= math.log(product)
            product = 1.0
        residual = -mean
        if outcome[i]:
            height += linear
            residual += 1.0
        weight = mean * (1.0 - mean) + 1e-10
        for a in range(p):
            gradient[a] += z[i, a] * residual
            wa = weight * z[i, a]
            for b in range(a + 1):
                hessian[a, b] += wa * z[i, b]
    height -= math.log(product)
    for a in range(p):
        height -= 0.5 * penalty[a] * beta[a] * beta[a]
        gradient[a] -= penalty[a] * beta[a]
        hessian[a, a] += penalty[a]
        for b in range(a):
            hessian[b, a] = hessian[a, b]
    return height


_likelihood_compiled = njit(cache=True, nogil=True, error_model="numpy")(_likelihood)


def _solve(matrix: FloatArray, right: FloatArray, factor: FloatArray, out: FloatArray) -> None:
    """Solution of a small positive definite system by Cholesky; factor is room to work in."""
    p = len(right)
    for a in range(p):
        for b in range(a + 1):
            value = matrix[a, b]
            for c in range(b):
                value -= factor[a, c] * factor[b, c]
            factor[a, b] = math.sqrt(value) if a == b else value / factor[b, b]
    for a in range(p):
        value = right[a]
        for c in range(a):
            value -= factor[a, c] * out[c]
        out[a] = value / factor[a, a]
    for a in range(p - 1, -1, -1):
        value = out[a]
        for c in range(a + 1, p):
            value -= factor[c, a] * out[c]
        out[a] = value / factor[a, a]


_solve_compiled = njit(cache=True, nogil=True, error_model="numpy")(_solve)


def _fit_columns(
    z: FloatArray,
    outcome: BoolArray,
    start: FloatArray,
    penalty: FloatArray,
    out: FloatArray,
    low: int,
    high: int,
    iterations: int,
    halvings: int,
) -> None:
    """Damped Newton for regressions low .. high - 1; outcome (m, n), start and out (m, p)."""
    p = z.shape[1]
    gradient, trial_gradient = np.empty(p), np.empty(p)
    hessian, trial_hessian = np.empty((p, p)), np.empty((p, p))
    factor, step = np.empty((p, p)), np.empty(p)
    for j in range(low, high):
        beta = start[j].copy()
        height = _likelihood_compiled(z, outcome[j], beta, penalty, gradient, hessian)
        for _ in range(iterations):
            _solve_compiled(hessian, gradient, factor, step)
            length = 1.0
            reached = height
            moved = False
            for _ in range(halvings):
                reached = _likelihood_compiled(
                    z, outcome[j], beta + length * step, penalty, trial_gradient, trial_hessian
                )
                if reached >= height - 1e-9 * abs(height):
                    moved = True
                    break
                length *= 0.5
            if not moved:
                break
            beta = beta + length * step
            height = reached
            gradient[:] = trial_gradient
            hessian[:] = trial_hessian
            if np.abs(length * step).max() < 1e-7:
                break
        out[j] = beta


fit_columns = cast(
    Callable[..., Any], njit(cache=True, nogil=True, error_model="numpy")(_fit_columns)
)
