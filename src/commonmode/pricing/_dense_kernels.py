"""Compiled algebra for small dense problems, and the robust weights of a row of quotes.

Own Cholesky: numpy.linalg inside a kernel would start BLAS threads for matrices of size 3 to 40.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.pricing._compiled import compiled

__all__ = [
    "cholesky",
    "clear",
    "condition_of",
    "copy_to",
    "covariance_of",
    "damped_step",
    "reweight",
    "substitute",
]


@compiled
def copy_to(source: FloatArray, target: FloatArray) -> None:
    """Copy a contiguous array of any shape, up to the length of the source."""
    # Flat indices: to ravel costs more than such copies, a reference count for every view.
    for i in range(source.size):
        target.flat[i] = source.flat[i]


@compiled
def clear(target: FloatArray) -> None:
    """Set a contiguous array of any shape to zero."""
    for i in range(target.size):
        target.flat[i] = 0.0


@compiled
def median_of(x: FloatArray, n: int) -> float:
    """Median of the first n entries, which are sorted in place (insertion: n is small)."""
    for i in range(1, n):
        value, j = x[i], i - 1
        while j >= 0 and x[j] > value:
            x[j + 1] = x[j]
            j -= 1
        x[j + 1] = value
    return float(0.5 * (x[(n - 1) // 2] + x[n // 2]))


@compiled
def cholesky(a: FloatArray, p: int) -> bool:
    """Lower factor in place; False where the matrix is not positive definite."""
    for i in range(p):
        for j in range(i + 1):
            total = a[i, j]
            for q in range(j):
                total -= a[i, q] * a[j, q]
            if i == j:
                if not total > 0.0:
                    return False
                a[i, i] = np.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
    return True


@compiled
def substitute(a: FloatArray, b: FloatArray, p: int) -> None:
    """Solve in place with the factor of :func:`cholesky`."""
    for i in range(p):
        total = b[i]
        for q in range(i):
            total -= a[i, q] * b[q]
        b[i] = total / a[i, i]
    for i in range(p - 1, -1, -1):
        total = b[i]
        for q in range(i + 1, p):
            total -= a[q, i] * b[q]
        b[i] = total / a[i, i]


@compiled
def damped_step(
    x: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    grad: FloatArray,
    normal: FloatArray,
    many: int,
    damping: float,
    ridge: float,
    held: BoolArray,
    work: FloatArray,
    trial: FloatArray,
) -> tuple[bool, float]:
    """Marquardt's step to ``trial``, in a box by projection, and the fall of the cost it promises.

    A bound against which the gradient presses takes its parameter out of the step (``held``).
    ``normal`` is read below its diagonal; ``ridge`` is a share of its largest entry there, added
    to all. False where the damped matrix is not positive definite: ``trial`` is left.
    """
    top = 0.0
    for p in range(many):
        held[p] = (x[p] <= lower[p] and grad[p] > 0.0) or (x[p] >= upper[p] and grad[p] < 0.0)
        top = max(top, normal[p, p])
    # The step stands in trial until its promise is known.
    for p in range(many):
        trial[p] = 0.0 if held[p] else -grad[p]
        for q in range(p):
            work[p, q] = 0.0 if held[p] or held[q] else normal[p, q]
        work[p, p] = normal[p, p] * (1.0 + damping) + ridge * top + 1e-300
    if not cholesky(work, many):
        return False, 0.0
    substitute(work, trial, many)
    promise = 0.0
    for p in range(many):
        if not held[p]:
            promise -= 2.0 * grad[p] * trial[p] + normal[p, p] * trial[p] * trial[p]
            for q in range(p):
                promise -= 2.0 * normal[p, q] * trial[p] * trial[q]
    for p in range(many):
        trial[p] = min(max(x[p] + trial[p], lower[p]), upper[p])
    return True, promise


@compiled
def condition_of(a: FloatArray, p: int) -> float:
    """Root of the ratio of extreme eigenvalues of a symmetric matrix (Jacobi), destroys ``a``."""
    for _ in range(30):
        off = 0.0
        for i in range(p):
            for j in range(i):
                off += a[i, j] * a[i, j]
        if off < 1e-28:
            break
        for i in range(1, p):
            for j in range(i):
                if a[i, j] == 0.0:
                    continue
                tau = (a[j, j] - a[i, i]) / (2.0 * a[i, j])
                sign = 1.0 if tau >= 0 else -1.0
                t = sign / (np.abs(tau) + np.sqrt(1.0 + tau * tau))
                c = 1.0 / np.sqrt(1.0 + t * t)
                s = t * c
                for q in range(p):
                    x, y = a[q, i], a[q, j]
                    a[q, i], a[q, j] = c * x - s * y, s * x + c * y
                for q in range(p):
                    x, y = a[i, q], a[j, q]
                    a[i, q], a[j, q] = c * x - s * y, s * x + c * y
    low, high = a[0, 0], a[0, 0]
    for i in range(1, p):
        low, high = min(low, a[i, i]), max(high, a[i, i])
    return float(np.sqrt(high / low)) if low > 0.0 else np.inf


@compiled
def covariance_of(normal: FloatArray, p: int, variance: float, out: FloatArray) -> float:
    """``variance * inverse(normal)`` to ``out`` (left where singular); scaled condition."""
    scale, work, column = np.empty(p), np.empty((p, p)), np.empty(p)
    other = np.empty((p, p))
    for i in range(p):
        if not normal[i, i] > 0.0:
            return np.inf
        scale[i] = 1.0 / np.sqrt(normal[i, i])
    for i in range(p):
        for j in range(p):
            work[i, j] = normal[i, j] * scale[i] * scale[j]
            other[i, j] = work[i, j]
    condition = condition_of(other, p)
    if condition < 1e7 and cholesky(work, p):
        for j in range(p):
            for i in range(p):
                column[i] = 1.0 if i == j else 0.0
            substitute(work, column, p)
            for i in range(p):
                out[i, j] = variance * column[i] * scale[i] * scale[j]
    return condition


@compiled
def reweight(
    miss: FloatArray, base: FloatArray, side: IntArray, n: int, huber: float, out: FloatArray
) -> None:
    """Huber's factor for each quote; a one-sided quote counts only where it is violated."""
    size = np.empty(n)
    seen = 0
    for i in range(n):
        if side[i] == 0:
            size[seen] = np.abs(miss[i]) * np.sqrt(base[i])
            seen += 1
    scale = 1.4826 * median_of(size, seen) if huber > 0.0 and seen > 0 else 0.0
    for i in range(n):
        factor = 1.0
        z = np.abs(miss[i]) * np.sqrt(base[i])
        if scale > 0.0 and z > huber * scale:
            factor = huber * scale / z
        # miss is model minus quote: a lone bid is violated from below, a lone ask from above.
        if side[i] != 0 and side[i] * miss[i] >= 0.0:
            factor = 0.0
        out[i] = factor
