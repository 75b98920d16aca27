"""Compiled quasi-explicit SVI fits, row by row; padding has weight zero.

The numpy twin is in ``svi_fit``. Variable projection with Kaufman's Jacobian: Golub and Pereyra
(2003), "Separable nonlinear least squares: the variable projection method and its applications",
Inverse Problems 19.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.pricing._compiled import compiled
from commonmode.pricing._dense_kernels import clear, copy_to, covariance_of, reweight

__all__ = ["svi_rows"]

_GRID_M = np.array([0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
_GRID_S = np.array([0.02, 0.05, 0.12, 0.3, 0.8])
_M_LOW, _M_HIGH = -0.5, 1.5
_S_LOW, _S_HIGH = float(np.log(0.002)), float(np.log(3.0))
_FLOOR = 1e-3
_EXACT = 1e-26  # cost at which a fit is exact to rounding


@compiled
def svi_inner(
    x: FloatArray,
    w: FloatArray,
    om: FloatArray,
    n: int,
    m: float,
    s: float,
    limit: float,
    floor: float,
    root: FloatArray,
    out: FloatArray,
) -> int:
    """Best admissible (a, d, c) at (m, s) to ``out``, with moments; what is active is returned.

    0: interior, 1: an edge of the diamond ``|d| <= c, c + |d| <= limit``, 2: a corner; plus 4
    where the floor of the level holds.
    """
    xm, rm, wm = 0.0, 0.0, 0.0
    for i in range(n):
        y = x[i] - m
        r = np.sqrt(y * y + s * s)
        root[i] = r
        xm += om[i] * x[i]
        rm += om[i] * r
        wm += om[i] * w[i]
    xx, xr, rr, xw, rw, ww = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        xc, rc, wc = x[i] - xm, root[i] - rm, w[i] - wm
        xx += om[i] * xc * xc
        xr += om[i] * xc * rc
        rr += om[i] * rc * rc
        xw += om[i] * xc * wc
        rw += om[i] * rc * wc
        ww += om[i] * wc * wc
    det = xx * rr - xr * xr
    d, c, active = 0.0, -1.0, 0
    along_d, along_c = 0.0, 0.0
    if det > 1e-13 * xx * rr:
        d, c = (rr * xw - xr * rw) / det, (xx * rw - xr * xw) / det
    if not (np.abs(d) <= c and c + np.abs(d) <= limit):
        best = np.inf
        for e in range(4):
            # Corners in turn: (0, 0), (1, 1), (0, 2), (-1, 1) halves of the limit.
            d0 = 0.5 * limit if e == 1 else (-0.5 * limit if e == 3 else 0.0)
            c0 = 0.0 if e == 0 else (limit if e == 2 else 0.5 * limit)
            dd = 0.5 * limit if e == 0 or e == 3 else -0.5 * limit
            dc = 0.5 * limit if e < 2 else -0.5 * limit
            bend = xx * dd * dd + 2.0 * xr * dd * dc + rr * dc * dc
            pull = (xw - xx * d0 - xr * c0) * dd + (rw - xr * d0 - rr * c0) * dc
            share = min(max(pull / bend, 0.0), 1.0) if bend > 0.0 else 0.0
            de, ce = d0 + share * dd, c0 + share * dc
            value = xx * de * de + 2.0 * xr * de * ce + rr * ce * ce - 2.0 * (xw * de + rw * ce)
            if value < best:
                best, d, c = value, de, ce
                along_d, along_c = dd, dc
                active = 2 if share <= 0.0 or share >= 1.0 else 1
    a = wm - d * (xm - m) - c * rm
    low = floor - s * np.sqrt(max(c * c - d * d, 0.0))
    if a < low:
        a, active = low, active + 4
    shift = a - (wm - d * (xm - m) - c * rm)
    out[0], out[1], out[2] = a, d, c
    out[3] = ww + xx * d * d + 2.0 * xr * d * c + rr * c * c - 2.0 * (xw * d + rw * c)
    out[3] += shift * shift
    out[4], out[5], out[6], out[7], out[8] = xm, rm, xx, xr, rr
    out[9], out[10] = along_d, along_c
    return active


@compiled
def svi_step(
    x: FloatArray,
    w: FloatArray,
    om: FloatArray,
    n: int,
    m: float,
    s: float,
    active: int,
    inner: FloatArray,
    root: FloatArray,
    out: FloatArray,
) -> None:
    """Cost, gradient and normal matrix of the projected problem in (m, ln s) to ``out``."""
    a, d, c = inner[0], inner[1], inner[2]
    xm, rm, xx, xr, rr = inner[4], inner[5], inner[6], inner[7], inner[8]
    held = active >= 4
    slide = -np.sqrt(max(c * c - d * d, 0.0)) * s if held else 0.0
    cost, g1, g2, m1, m2 = 0.0, 0.0, 0.0, 0.0, 0.0
    n11, n12, n22, x1, x2, r1, r2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(n):
        y = x[i] - m
        inverse = 1.0 / root[i]
        miss = a + d * y + c * root[i] - w[i]
        j1 = -d - c * y * inverse
        j2 = c * s * s * inverse + slide
        o1, o2 = om[i] * j1, om[i] * j2
        cost += om[i] * miss * miss
        g1 += o1 * miss
        g2 += o2 * miss
        m1 += o1
        m2 += o2
        n11 += o1 * j1
        n12 += o1 * j2
        n22 += o2 * j2
        xc, rc = x[i] - xm, root[i] - rm
        x1 += o1 * xc
        x2 += o2 * xc
        r1 += o1 * rc
        r2 += o2 * rc
    if not held:
        n11 -= m1 * m1
        n12 -= m1 * m2
        n22 -= m2 * m2
        kind = active
        if kind == 0:
            det = xx * rr - xr * xr
            q1, t1 = (rr * x1 - xr * r1) / det, (xx * r1 - xr * x1) / det
            q2, t2 = (rr * x2 - xr * r2) / det, (xx * r2 - xr * x2) / det
            n11 -= q1 * x1 + t1 * r1
            n12 -= q1 * x2 + t1 * r2
            n22 -= q2 * x2 + t2 * r2
        elif kind == 1:
            dd, dc = inner[9], inner[10]
            bend = xx * dd * dd + 2.0 * xr * dd * dc + rr * dc * dc
            e1, e2 = dd * x1 + dc * r1, dd * x2 + dc * r2
            n11 -= e1 * e1 / bend
            n12 -= e1 * e2 / bend
            n22 -= e2 * e2 / bend
    out[0], out[1], out[2], out[3], out[4], out[5] = cost, g1, g2, n11, n12, n22


@compiled
def svi_search(
    x: FloatArray,
    w: FloatArray,
    om: FloatArray,
    n: int,
    u: FloatArray,
    limit: float,
    floor: float,
    root: FloatArray,
    inner: FloatArray,
    max_iterations: int,
    tolerance: float,
) -> int:
    """Levenberg-Marquardt in (m, ln s), in place; iterations, negative where they ran out."""
    now, new, trial = np.empty(6), np.empty(6), np.empty(11)
    root2 = np.empty(n)
    m, t = u[0], u[1]
    active = svi_inner(x, w, om, n, m, np.exp(t), limit, floor, root, inner)
    svi_step(x, w, om, n, m, np.exp(t), active, inner, root, now)
    damping, done, used = 1e-3, False, 0
    for _ in range(max_iterations):
        used += 1
        g1, g2 = now[1], now[2]
        n11, n12, n22 = max(now[3], 0.0), now[4], max(now[5], 0.0)
        if (m <= _M_LOW and g1 > 0.0) or (m >= _M_HIGH and g1 < 0.0):
            g1, n11, n12 = 0.0, 0.0, 0.0
        if (t <= _S_LOW and g2 > 0.0) or (t >= _S_HIGH and g2 < 0.0):
            g2, n22, n12 = 0.0, 0.0, 0.0
        ridge = 1e-12 * max(n11, n22) + 1e-300
        l11, l22 = n11 * (1.0 + damping) + ridge, n22 * (1.0 + damping) + ridge
        det = l11 * l22 - n12 * n12
        if not det > 0.0:
            det, n12 = l11 * l22, 0.0
        s1, s2 = -(l22 * g1 - n12 * g2) / det, -(l11 * g2 - n12 * g1) / det
        promise = -2.0 * (g1 * s1 + g2 * s2)
        promise -= n11 * s1 * s1 + 2.0 * n12 * s1 * s2 + n22 * s2 * s2
        done = promise <= tolerance * now[0] or now[0] < _EXACT
        if done:
            break
        m2 = min(max(m + s1, _M_LOW), _M_HIGH)
        t2 = min(max(t + s2, _S_LOW), _S_HIGH)
        active2 = svi_inner(x, w, om, n, m2, np.exp(t2), limit, floor, root2, trial)
        svi_step(x, w, om, n, m2, np.exp(t2), active2, trial, root2, new)
        if new[0] < now[0]:
            m, t, active = m2, t2, active2
            copy_to(new, now)
            copy_to(trial, inner)
            copy_to(root2, root)
            damping = max(0.1 * damping, 1e-10)
        else:
            damping *= 10.0
            done = damping > 1e10
        if done:
            break
    u[0], u[1] = m, t
    return used if done else -used


@compiled
def svi_rows(
    k: FloatArray,
    total: FloatArray,
    weight: FloatArray,
    side: IntArray,
    start: FloatArray,
    huber: float,
    rounds: int,
    max_iterations: int,
    tolerance: float,
    parameters: FloatArray,
    covariance: FloatArray,
    factors: FloatArray,
    report: FloatArray,
) -> None:
    """Fit every row; ``start`` holds raw parameters, NaN for a row without a warm start.

    ``report`` receives cost, condition and iterations (negative: ran out). Outputs come filled
    with what says "no fit" (NaN; NaN; 0; NaN, inf, 0) and are left so for a row without one.
    """
    rows, width = k.shape
    x, w, om, base = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    kept, sides = np.empty(width, np.int64), np.empty(width, np.int64)
    root, inner, u = np.empty(width), np.empty(11), np.empty(2)
    miss, factor, normal = np.empty(width), np.empty(width), np.empty((5, 5))
    jac = np.empty(5)
    for e in range(rows):
        n, two, whole, low, high, unit, least = 0, 0, 0.0, np.inf, -np.inf, 0.0, np.inf
        for i in range(width):
            if weight[e, i] > 0.0:
                kept[n], sides[n], base[n] = i, side[e, i], weight[e, i]
                x[n], w[n] = k[e, i], total[e, i]
                factor[n] = 1.0 if side[e, i] == 0 else 0.0
                two += 1 if side[e, i] == 0 else 0
                whole += base[n] * factor[n]
                unit += base[n] * factor[n] * w[n]
                low, high = min(low, x[n]), max(high, x[n])
                least = min(least, w[n]) if side[e, i] == 0 else least
                n += 1
        span = high - low
        if not (two >= 2 and span > 0.0 and np.isfinite(unit + span) and least > 0.0):
            continue
        unit /= whole
        for i in range(n):
            x[i] = (x[i] - low) / span
            w[i] /= unit
            base[i] /= whole
            om[i] = base[i] * factor[i]
        limit, floor = 2.0 * span / unit, _FLOOR * least / unit
        if np.isfinite(start[e, 3] + start[e, 4]) and start[e, 4] > 0.0:
            u[0] = min(max((start[e, 3] - low) / span, _M_LOW), _M_HIGH)
            u[1] = min(max(np.log(start[e, 4] / span), _S_LOW), _S_HIGH)
        else:
            best = np.inf
            for m in _GRID_M:
                for s in _GRID_S:
                    svi_inner(x, w, om, n, m, s, limit, floor, root, inner)
                    if inner[3] < best:
                        best, u[0], u[1] = inner[3], m, np.log(s)
        used = svi_search(x, w, om, n, u, limit, floor, root, inner, max_iterations, tolerance)
        for _ in range(rounds):
            for i in range(n):
                miss[i] = inner[0] + inner[1] * (x[i] - u[0]) + inner[2] * root[i] - w[i]
            reweight(miss, base, sides, n, huber, factor)
            change, whole = 0.0, 0.0
            for i in range(n):
                whole += base[i] * factor[i]
            for i in range(n):
                fresh = base[i] * factor[i] / whole
                change = max(change, np.abs(fresh - om[i]))
                om[i] = fresh
            if change < 1e-4:
                break
            more = svi_search(x, w, om, n, u, limit, floor, root, inner, max_iterations, tolerance)
            used = np.abs(used) + np.abs(more) if more > 0 else -np.abs(used) - np.abs(more)
        s = np.exp(u[1])
        scale = unit / span
        a, b = inner[0] * unit, inner[2] * scale
        rho = inner[1] / inner[2] if inner[2] > 0.0 else 0.0
        parameters[e, 0], parameters[e, 1], parameters[e, 2] = a, b, rho
        parameters[e, 3], parameters[e, 4] = low + u[0] * span, s * span
        clear(normal)
        cost = 0.0
        for i in range(n):
            y = (x[i] - u[0]) * span
            r = root[i] * span
            jac[0], jac[1], jac[2] = 1.0, rho * y + r, b * y
            jac[3], jac[4] = -b * (rho + y / r), b * s * span / r
            z = a + b * (rho * y + r) - w[i] * unit
            here = weight[e, kept[i]] * factor[i]
            cost += here * z * z
            factors[e, kept[i]] = factor[i]
            for p in range(5):
                for q in range(p + 1):
                    normal[p, q] += here * jac[p] * jac[q]
        for p in range(5):
            for q in range(p):
                normal[q, p] = normal[p, q]
        spare = two - 5
        variance = cost / spare if spare > 0 else np.nan
        report[e, 0], report[e, 2] = cost, used
        report[e, 1] = covariance_of(normal, 5, variance, covariance[e])
