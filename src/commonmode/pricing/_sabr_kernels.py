"""Compiled SABR fits (Hagan's formula, analytic derivatives), row by row.

The numpy twin is in ``sabr_fit``; padding has weight zero.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.pricing._compiled import compiled
from commonmode.pricing._dense_kernels import (
    cholesky,
    clear,
    copy_to,
    covariance_of,
    damped_step,
    reweight,
    substitute,
)

__all__ = ["sabr_rows"]

_MAX_RHO = float(np.arctanh(0.999))
_EXACT = 1e-26  # cost at which a fit is exact to rounding


@compiled
def sabr_point(
    log_fk: float,
    power: float,
    bend: float,
    lean: float,
    beta: float,
    years: float,
    alpha: float,
    rho: float,
    nu: float,
    above: float,
    below: float,
    jac: FloatArray,
) -> float:
    """Hagan's volatility and its derivatives by (ln alpha, rho, ln nu).

    ``power`` is ``(f K)^(-(1 - beta)/2)``, ``bend`` the inverse of the series in ``ln f/K``;
    ``above, below`` are ``1 / (1 -+ rho)``.
    """
    level = alpha * power
    z = nu / level * log_fk
    if np.abs(z) < 1e-4:
        curve = (2.0 - 3.0 * rho * rho) / 12.0
        stretch = 1.0 - 0.5 * rho * z + curve * z * z
        by_z = z * (-0.5 * rho + 2.0 * curve * z)
        by_rho = -0.5 * z - 0.5 * rho * z * z
    else:
        # chi(z; rho) = -chi(-z; -rho): only z >= 0 is evaluated, which does not cancel.
        side = -1.0 if z < 0.0 else 1.0
        v, r = side * z, side * rho
        spare = below if z < 0.0 else above  # 1 / (1 - r)
        root = np.sqrt(1.0 + v * (v - 2.0 * r))
        reach = root + v - r
        # Near zero the plain logarithm would cancel.
        if v < 0.1:
            chi = np.log1p(v * ((v - 2.0 * r) / (root + 1.0) + 1.0) * spare)
        else:
            chi = np.log(reach * spare)
        inverse, both = 1.0 / chi, 1.0 / (root * reach)
        stretch = v * inverse
        by_z = 1.0 - v * both * reach * inverse
        by_rho = -side * (spare - (v + root) * both) * inverse
    first = lean * lean / 24.0 * level * level
    second = 0.25 * rho * beta * nu * level
    third = (2.0 - 3.0 * rho * rho) / 24.0 * nu * nu
    time = 1.0 + (first + second + third) * years
    vol = level * bend * stretch * time
    share = years / time
    jac[0] = vol * (1.0 - by_z + (2.0 * first + second) * share)
    jac[1] = vol * (by_rho + (0.25 * beta * nu * level - 0.25 * rho * nu * nu) * share)
    jac[2] = vol * (by_z + (second + 2.0 * third) * share)
    return vol


@compiled
def sabr_sums(
    log_fk: FloatArray,
    power: FloatArray,
    bend: FloatArray,
    vol: FloatArray,
    om: FloatArray,
    n: int,
    lean: float,
    beta: float,
    years: float,
    scale: float,
    u: FloatArray,
    grad: FloatArray,
    normal: FloatArray,
    miss: FloatArray,
    jac: FloatArray,
) -> float:
    """Cost, gradient and normal matrix in (ln alpha', atanh rho, ln nu sqrt T)."""
    alpha, rho, nu = np.exp(u[0]) * scale, np.tanh(u[1]), np.exp(u[2]) / np.sqrt(years)
    chain = 1.0 - rho * rho
    above, below = 1.0 / (1.0 - rho), 1.0 / (1.0 + rho)
    cost, g0, g1, g2 = 0.0, 0.0, 0.0, 0.0
    n00, n10, n11, n20, n21, n22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        z = sabr_point(
            log_fk[i], power[i], bend[i], lean, beta, years, alpha, rho, nu, above, below, jac
        )
        z -= vol[i]
        miss[i] = z
        j0, j1, j2 = jac[0], jac[1] * chain, jac[2]
        o0, o1, o2 = om[i] * j0, om[i] * j1, om[i] * j2
        cost += om[i] * z * z
        g0 += o0 * z
        g1 += o1 * z
        g2 += o2 * z
        n00 += o0 * j0
        n10 += o1 * j0
        n11 += o1 * j1
        n20 += o2 * j0
        n21 += o2 * j1
        n22 += o2 * j2
    grad[0], grad[1], grad[2] = g0, g1, g2
    normal[0, 0], normal[1, 0], normal[1, 1] = n00, n10, n11
    normal[2, 0], normal[2, 1], normal[2, 2] = n20, n21, n22
    return cost


@compiled
def sabr_rows(
    forward: FloatArray,
    strike: FloatArray,
    years: FloatArray,
    vol: FloatArray,
    weight: FloatArray,
    side: IntArray,
    beta: float,
    start: FloatArray,
    bounds: FloatArray,
    huber: float,
    rounds: int,
    max_iterations: int,
    tolerance: float,
    parameters: FloatArray,
    covariance: FloatArray,
    factors: FloatArray,
    report: FloatArray,
) -> None:
    """Fit (alpha, rho, nu) of every row; ``bounds`` of (ln alpha', ln nu sqrt T), rows low, high.

    Other arguments as in :func:`svi_rows`.
    """
    rows, width = strike.shape
    lean = 1.0 - beta
    log_fk, power, bend = np.empty(width), np.empty(width), np.empty(width)
    v, om, base, factor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    kept, sides, miss, other = (
        np.empty(width, np.int64),
        np.empty(width, np.int64),
        np.empty(width),
        np.empty(width),
    )
    grad, normal, jac, u = np.empty(3), np.empty((3, 3)), np.empty(3), np.empty(3)
    grad2, normal2, trial = np.empty(3), np.empty((3, 3)), np.empty(3)
    work = np.empty((3, 3))
    held = np.zeros(3, np.bool_)
    lower = np.array([bounds[0, 0], -_MAX_RHO, bounds[0, 1]])
    upper = np.array([bounds[1, 0], _MAX_RHO, bounds[1, 1]])
    for e in range(rows):
        n, two, whole, unit, log_scale = 0, 0, 0.0, 0.0, 0.0
        for i in range(width):
            if weight[e, i] > 0.0:
                kept[n], sides[n], base[n], v[n] = i, side[e, i], weight[e, i], vol[e, i]
                f = np.log(forward[e, i])
                log_fk[n] = np.log(forward[e, i] / strike[e, i])
                power[n] = np.exp(-lean * (f - 0.5 * log_fk[n])) if lean != 0.0 else 1.0
                square = (lean * log_fk[n]) ** 2
                bend[n] = 1.0 / (1.0 + square / 24.0 + square * square / 1920.0)
                factor[n] = 1.0 if side[e, i] == 0 else 0.0
                two += 1 if side[e, i] == 0 else 0
                whole += base[n] * factor[n]
                unit += base[n] * factor[n] * v[n]
                log_scale += base[n] * factor[n] * f
                n += 1
        t = years[e]
        if not (two >= 2 and t > 0.0 and unit > 0.0 and np.isfinite(unit + log_scale)):
            continue
        unit /= whole
        scale = np.exp(lean * log_scale / whole)
        for i in range(n):
            base[i] /= whole * unit * unit
            om[i] = base[i] * factor[i]
        if np.isfinite(start[e, 0] + start[e, 1] + start[e, 2]) and start[e, 0] > 0.0:
            u[0] = np.log(start[e, 0] / scale)
            u[1] = np.arctanh(min(max(start[e, 1], -0.999), 0.999))
            u[2] = np.log(max(start[e, 2], 1e-12) * np.sqrt(t))
        else:
            # vol(k) = alpha + (rho nu - (1 - beta) alpha) k / 2
            #          + (2 - 3 rho^2) nu^2 k^2 / (12 alpha), from a weighted parabola.
            clear(normal)
            clear(grad)
            for i in range(n):
                jac[0], jac[1], jac[2] = 1.0, -log_fk[i], log_fk[i] * log_fk[i]
                for p in range(3):
                    grad[p] += om[i] * jac[p] * v[i]
                    for q in range(p + 1):
                        normal[p, q] += om[i] * jac[p] * jac[q]
            for p in range(3):
                normal[p, p] = normal[p, p] * (1.0 + 1e-9) + 1e-300
            if not cholesky(normal, 3):
                continue
            substitute(normal, grad, 3)
            a = min(max(grad[0], np.exp(bounds[0, 0])), np.exp(bounds[1, 0]))
            both = 2.0 * grad[1] + lean * a
            nu = np.sqrt(max(6.0 * a * grad[2] + 1.5 * both * both, 0.01 / t))
            u[0], u[1] = np.log(a), np.arctanh(min(max(both / nu, -0.9), 0.9))
            u[2] = np.log(nu * np.sqrt(t))
        for p in range(3):
            u[p] = min(max(u[p], lower[p]), upper[p])
        used, done = 0, False
        for turn in range(rounds + 1):
            if turn > 0:
                reweight(miss, base, sides, n, huber, factor)
                change, whole = 0.0, 0.0
                for i in range(n):
                    whole += base[i] * factor[i] * unit * unit
                for i in range(n):
                    fresh = base[i] * factor[i] / whole
                    change = max(change, np.abs(fresh - om[i]) * unit * unit)
                    om[i] = fresh
                if change < 1e-4:
                    break
            cost = sabr_sums(
                log_fk, power, bend, v, om, n, lean, beta, t, scale, u, grad, normal, miss, jac
            )
            damping, done = 1e-3, False
            for _ in range(max_iterations):
                used += 1
                good, promise = damped_step(
                    u, lower, upper, grad, normal, 3, damping, 1e-12, held, work, trial
                )
                if not good:
                    break
                done = promise <= tolerance * cost or cost < _EXACT
                if done:
                    break
                new = sabr_sums(
                    log_fk,
                    power,
                    bend,
                    v,
                    om,
                    n,
                    lean,
                    beta,
                    t,
                    scale,
                    trial,
                    grad2,
                    normal2,
                    other,
                    jac,
                )
                if new < cost:
                    cost = new
                    copy_to(trial, u)
                    copy_to(grad2, grad)
                    copy_to(normal2, normal)
                    copy_to(other, miss)
                    damping = max(0.1 * damping, 1e-10)
                else:
                    damping *= 10.0
                    done = damping > 1e10
                if done:
                    break
        alpha, rho, nu = np.exp(u[0]) * scale, np.tanh(u[1]), np.exp(u[2]) / np.sqrt(t)
        parameters[e, 0], parameters[e, 1], parameters[e, 2] = alpha, rho, nu
        above, below = 1.0 / (1.0 - rho), 1.0 / (1.0 + rho)
        cost = 0.0
        clear(normal)
        for i in range(n):
            z = sabr_point(
                log_fk[i], power[i], bend[i], lean, beta, t, alpha, rho, nu, above, below, jac
            )
            z -= v[i]
            jac[0] /= alpha
            jac[2] /= nu
            here = weight[e, kept[i]] * factor[i]
            factors[e, kept[i]] = factor[i]
            cost += here * z * z
            for p in range(3):
                for q in range(3):
                    normal[p, q] += here * jac[p] * jac[q]
        variance = cost / (two - 3) if two > 3 else np.nan
        report[e, 0], report[e, 2] = cost, used if done else -used
        report[e, 1] = covariance_of(normal, 3, variance, covariance[e])
