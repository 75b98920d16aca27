"""Compiled joint fit of all expiries of an SSVI or eSSVI surface by Levenberg-Marquardt.

The quotes enter through 3 x 3 normal matrices of the slices, so a step costs one pass over them and
one congruence with the derivatives of the parametrisation. The numpy twin is in ``surface_fit``.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.pricing import _surface_maps
from commonmode.pricing._compiled import compiled
from commonmode.pricing._dense_kernels import clear, copy_to, damped_step

__all__ = ["joint_fit", "slice_starts"]

_essvi_map = compiled(_surface_maps.essvi_map)
_power_map = compiled(_surface_maps.ssvi_power_map)
_heston_map = compiled(_surface_maps.ssvi_heston_map)
_EXACT = 1e-26


@compiled
def slice_sums(
    k: FloatArray,
    w: FloatArray,
    om: FloatArray,
    theta: float,
    rho: float,
    psi: float,
    grad: FloatArray,
    normal: FloatArray,
) -> float:
    """Cost, gradient and normal matrix of one slice in (theta, rho, psi)."""
    cost, g0, g1, g2 = 0.0, 0.0, 0.0, 0.0
    n00, n01, n02, n11, n12, n22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    both = theta * rho
    for i in range(len(k)):
        z = psi * k[i]
        root = np.sqrt(z * z + 2.0 * z * both + theta * theta)
        inverse = 1.0 / root
        miss = 0.5 * (theta + rho * z + root) - w[i]
        j0 = 0.5 * (1.0 + (z * rho + theta) * inverse)
        j1 = 0.5 * z * (1.0 + theta * inverse)
        j2 = 0.5 * k[i] * (rho + (z + both) * inverse)
        o0, o1, o2 = om[i] * j0, om[i] * j1, om[i] * j2
        cost += om[i] * miss * miss
        g0 += o0 * miss
        g1 += o1 * miss
        g2 += o2 * miss
        n00 += o0 * j0
        n01 += o0 * j1
        n02 += o0 * j2
        n11 += o1 * j1
        n12 += o1 * j2
        n22 += o2 * j2
    grad[0], grad[1], grad[2] = g0, g1, g2
    normal[0, 0], normal[1, 1], normal[2, 2] = n00, n11, n22
    normal[0, 1], normal[0, 2], normal[1, 2] = n01, n02, n12
    normal[1, 0], normal[2, 0], normal[2, 1] = n01, n02, n12
    return cost


@compiled
def joint_sums(
    kind: int,
    u: FloatArray,
    k: FloatArray,
    w: FloatArray,
    om: FloatArray,
    theta: FloatArray,
    rho: FloatArray,
    psi: FloatArray,
    d: FloatArray,
    grad: FloatArray,
    normal: FloatArray,
) -> float:
    """Cost, gradient and (lower) normal matrix in the free parameters."""
    if kind == 0:
        _essvi_map(u, theta, rho, psi, d)
    elif kind == 1:
        _power_map(u, theta, rho, psi, d)
    else:
        _heston_map(u, theta, rho, psi, d)
    many = len(u)
    g, m, e = np.empty(3), np.empty((3, 3)), np.empty((3, many))
    clear(grad)
    clear(normal)
    cost = 0.0
    for i in range(len(theta)):
        cost += slice_sums(k[i], w[i], om[i], theta[i], rho[i], psi[i], g, m)
        for q in range(many):
            a, b, c = d[i, 0, q], d[i, 1, q], d[i, 2, q]
            grad[q] += g[0] * a + g[1] * b + g[2] * c
            e[0, q] = m[0, 0] * a + m[0, 1] * b + m[0, 2] * c
            e[1, q] = m[1, 0] * a + m[1, 1] * b + m[1, 2] * c
            e[2, q] = m[2, 0] * a + m[2, 1] * b + m[2, 2] * c
        for p in range(many):
            a, b, c = d[i, 0, p], d[i, 1, p], d[i, 2, p]
            if a == 0.0 and b == 0.0 and c == 0.0:
                continue
            for q in range(p + 1):
                normal[p, q] += a * e[0, q] + b * e[1, q] + c * e[2, q]
    return cost


@compiled
def joint_fit(
    kind: int,
    u: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    k: FloatArray,
    w: FloatArray,
    om: FloatArray,
    max_iterations: int,
    tolerance: float,
    theta: FloatArray,
    rho: FloatArray,
    psi: FloatArray,
    d: FloatArray,
    normal: FloatArray,
) -> tuple[float, int]:
    """Minimise in place; cost and iterations (negative: ran out); slices, d of the solution."""
    many, n = len(u), len(theta)
    grad, grad2, trial = np.empty(many), np.empty(many), np.empty(many)
    normal2, work = np.empty((many, many)), np.empty((many, many))
    theta2, rho2, psi2, d2 = np.empty(n), np.empty(n), np.empty(n), np.empty((n, 3, many))
    held = np.zeros(many, np.bool_)
    cost = joint_sums(kind, u, k, w, om, theta, rho, psi, d, grad, normal)
    damping, done, used = 1e-3, not np.isfinite(cost), 0
    if done:
        return np.nan, 0
    for _ in range(max_iterations):
        used += 1
        good, promise = damped_step(
            u, lower, upper, grad, normal, many, damping, 0.0, held, work, trial
        )
        if good:
            done = promise <= tolerance * cost or cost < _EXACT
            if done:
                break
            new = joint_sums(kind, trial, k, w, om, theta2, rho2, psi2, d2, grad2, normal2)
        else:
            new = np.inf
        if new < cost:
            cost = new
            copy_to(trial, u)
            copy_to(grad2, grad)
            copy_to(normal2, normal)
            copy_to(theta2, theta)
            copy_to(rho2, rho)
            copy_to(psi2, psi)
            copy_to(d2, d)
            damping = max(0.1 * damping, 1e-10)
        else:
            damping *= 10.0
            done = damping > 1e10
        if done:
            break
    for p in range(many):
        for q in range(p):
            normal[q, p] = normal[p, q]
    return cost, used if done else -used


@compiled
def slice_starts(
    k: FloatArray,
    w: FloatArray,
    om: FloatArray,
    start: FloatArray,
    highest: float,
    max_iterations: int,
    tolerance: float,
) -> None:
    """Fit each slice on its own within its butterfly bounds, in place; columns theta, rho, psi."""
    grad, grad2, x, trial = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    normal, normal2, work = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    least, most, held = np.full(3, -np.inf), np.full(3, np.inf), np.zeros(3, np.bool_)
    for i in range(len(k)):
        for p in range(3):
            x[p] = start[i, p]
        cost = slice_sums(k[i], w[i], om[i], x[0], x[1], x[2], grad, normal)
        damping = 1e-3
        for _ in range(max_iterations):
            # The bounds of psi move with the others: the step is free and cut afterwards.
            good, _ = damped_step(x, least, most, grad, normal, 3, damping, 0.0, held, work, trial)
            if not good:
                break
            trial[0] = max(trial[0], 0.1 * x[0])
            trial[1] = min(max(trial[1], -highest), highest)
            lean = 1.0 + np.abs(trial[1])
            top = min(4.0 / lean, 2.0 * np.sqrt(trial[0] / lean))
            trial[2] = min(max(trial[2], 1e-3 * top), top)
            new = slice_sums(k[i], w[i], om[i], trial[0], trial[1], trial[2], grad2, normal2)
            if new < cost:
                gain = cost - new
                cost = new
                copy_to(trial, x)
                copy_to(grad2, grad)
                copy_to(normal2, normal)
                damping = max(0.1 * damping, 1e-10)
                if gain <= tolerance * cost:
                    break
            else:
                damping *= 10.0
                if damping > 1e6:
                    break
        for p in range(3):
            start[i, p] = x[p]
