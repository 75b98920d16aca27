"""Gaussian transfer entropy, and the Granger test that is the same comparison of two regressions.

Schreiber (2000), "Measuring information transfer", Phys. Rev. Lett. 85(2); Granger (1969),
Econometrica 37(3); that the two are one quantity for Gaussian series: Barnett, Barrett and Seth
(2009), Phys. Rev. Lett. 103(23).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError

__all__ = ["TransferEntropy", "linear_transfer_entropy", "transfer_entropy"]


@dataclass(frozen=True, slots=True)
class TransferEntropy:
    """What the past of one series tells about another beyond that one's own past.

    Attributes
    ----------
    entropy : float
        ``log(RSS without / RSS with) / 2``, nats, never negative; its mean without any transfer is
        about ``lags / 2 rows``, so it is read beside the test.
    statistic, p_value : float
        Granger's F of the same two regressions; for errors of one variance and without memory.
    numerator, denominator : int
        Degrees of freedom of F.
    rows : int
    """

    entropy: float
    statistic: float
    p_value: float
    numerator: int
    denominator: int
    rows: int


def linear_transfer_entropy(
    coefficient: float, source_variance: float = 1.0, noise_variance: float = 1.0
) -> float:
    """Transfer entropy of ``y_t = b x_{t-1} + u_t`` with x and u Gaussian white noises, nats.

    ``log(1 + b^2 var x / var u) / 2``.

    Raises
    ------
    DataError
        A variance that is not positive.
    """
    if not (source_variance > 0.0 and noise_variance > 0.0):
        raise DataError(
            f"variances {source_variance} and {noise_variance}", remedy="both are above zero"
        )
    return 0.5 * float(np.log1p(coefficient**2 * source_variance / noise_variance))


def transfer_entropy(
    source: FloatArray,
    target: FloatArray,
    *,
    lags: int = 1,
    given: FloatArray | None = None,
) -> TransferEntropy:
    """From ``source`` to ``target``, by least squares with a constant.

    Parameters
    ----------
    source, target : float64, shape (T,)
        Rows with a gap, and those whose lags have one, are left out.
    lags : int
        Of source, target and the series given.
    given : float64, shape (T,) or (T, M), optional
        Series whose past is known as well (conditional transfer entropy).

    Raises
    ------
    DataError
        Too few complete rows, or a source whose past the others' past determines.
    """
    x, y = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if x.ndim != 1 or x.shape != y.shape or lags < 1:
        raise DataError(
            f"source {x.shape}, target {y.shape}, {lags} lags",
            remedy="give two series of one length and at least one lag",
        )
    rest = np.zeros((len(x), 0)) if given is None else np.asarray(given, np.float64)
    known = np.column_stack([y, rest.reshape(len(x), -1)])
    without = [np.ones((len(x) - lags, 1))]
    without += [known[lags - k : len(x) - k] for k in range(1, lags + 1)]
    own = np.concatenate(without, axis=1)
    past = np.column_stack([x[lags - k : len(x) - k] for k in range(1, lags + 1)])
    now = y[lags:]
    use = np.isfinite(own).all(axis=1) & np.isfinite(past).all(axis=1) & np.isfinite(now)
    own, past, now = own[use], past[use], now[use]
    freedom = len(now) - own.shape[1] - lags
    if freedom < 1:
        raise DataError(
            f"{len(now)} complete rows for {own.shape[1] + lags} coefficients",
            remedy="use fewer lags, or longer series",
        )
    basis, _ = np.linalg.qr(own)
    left = now - basis @ (basis.T @ now)
    fresh = past - basis @ (basis.T @ past)
    scale = np.linalg.norm(past - past.mean(axis=0), axis=0)
    if np.any(np.linalg.norm(fresh, axis=0) <= 1e-10 * scale) or np.any(scale == 0.0):
        raise DataError(
            "the source's past is a combination of what is given",
            remedy="leave the duplicate out",
        )
    slope, *_ = np.linalg.lstsq(fresh, left, rcond=None)
    before = float(left @ left)
    after = float(np.sum((left - fresh @ slope) ** 2))
    if not after > 0.0:
        raise DataError("the target is determined without error", remedy="nothing is left to test")
    statistic = max(before - after, 0.0) / lags / (after / freedom)
    return TransferEntropy(
        entropy=0.5 * max(float(np.log(before / after)), 0.0),
        statistic=statistic,
        p_value=float(fdtrc(lags, freedom, statistic)),
        numerator=lags,
        denominator=freedom,
        rows=len(now),
    )
