"""Sign-flip randomisation tests on block sums.

Under the null each block's sum has mean zero; blocks long enough are nearly independent, and the
joint law of the signed sums is (nearly) invariant under flipping any block's sign. Flipping whole
blocks keeps whatever the columns have in common inside a block -- here the noise that one benchmark
puts into every pair of models -- which a test that shifts each model on its own would destroy.
Flipped blocks are not centred, so the null law is right also in the tails of few blocks.

References
----------
Canay, Romano & Shaikh (2017), Randomization tests under an approximate symmetry assumption,
Econometrica 85(3); Westfall & Young (1993) for the step from one statistic to the maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError, ShortPanelError
from commonmode.core.random import as_generator

__all__ = ["MaxTest", "SignFlipTest", "sign_flip_max_test", "sign_flip_test"]


@dataclass(frozen=True, slots=True)
class SignFlipTest:
    """One-sided test that a sum of block contributions is positive.

    Attributes
    ----------
    estimate : float
        Sum over blocks.
    standard_error : float
        Root of the sum of squared block contributions (exact under the null's mean zero).
    p_value : float
        In (0, 1]; never zero: ``(1 + #{flipped >= observed}) / (1 + flips)``.
    blocks : int
    """

    estimate: float
    standard_error: float
    p_value: float
    blocks: int


@dataclass(frozen=True, slots=True, eq=False)
class MaxTest:
    """Several one-sided tests at once, with the maximum's null law.

    Attributes
    ----------
    estimate, standard_error, t : float64, shape (M,)
    p_single : float64, shape (M,)
        Each on its own.
    p_adjusted : float64, shape (M,)
        Family-wise, by the maximum of all.
    critical : float
        The maximum's ``1 - alpha`` quantile under flips, in units of t.
    law : float64, shape (flips,)
        The maximum under each flip.
    """

    estimate: FloatArray
    standard_error: FloatArray
    t: FloatArray
    p_single: FloatArray
    p_adjusted: FloatArray
    critical: float
    law: FloatArray


# Cells of the flipped statistics held at once (32 MiB).
_CELLS = 4_000_000
# Degrees of freedom that are as good as any more.
_EXACT = 1e6


def _signs(generator: np.random.Generator, flips: int, blocks: int) -> FloatArray:
    return generator.integers(0, 2, size=(flips, blocks)).astype(np.float64) * 2.0 - 1.0


def sign_flip_test(
    contributions: FloatArray, *, flips: int = 1999, rng: int | np.random.Generator = 0
) -> SignFlipTest:
    """Test that the sum of block contributions is at most zero against positive.

    Parameters
    ----------
    contributions : float64, shape (B,)
    flips : int
    rng : int or Generator

    Raises
    ------
    DataError
        Fewer than 6 blocks: a 5 % level cannot be reached.
    """
    test = sign_flip_max_test(contributions[:, None], flips=flips, rng=rng)
    return SignFlipTest(
        estimate=float(test.estimate[0]),
        standard_error=float(test.standard_error[0]),
        p_value=float(test.p_single[0]),
        blocks=len(contributions),
    )


def sign_flip_max_test(
    contributions: FloatArray,
    *,
    flips: int = 1999,
    alpha: float = 0.05,
    rng: int | np.random.Generator = 0,
    between: FloatArray | None = None,
    freedom: FloatArray | None = None,
) -> MaxTest:
    """Test M sums of block contributions at once, one-sided.

    Each column is studentised by the root of its summed squares, which flipping does not change.

    Parameters
    ----------
    contributions : float64, shape (B, M)
    flips : int
    alpha : float
        Level of ``critical``.
    rng : int or Generator
    between : float64, shape (M,), optional
        Standard error that each sum carries besides, however many blocks there are. It joins the
        studentisation, and every flip gets an independent normal draw of that size.
    freedom : float64, shape (M,), optional
        Degrees of freedom that ``between`` was estimated with; known exactly if left out. Every
        flip is then studentised by an estimate of its own, as the sums themselves are: a variance
        that a few pairs showed is often too small, which a normal law would not know.

    Raises
    ------
    DataError
        Fewer than 6 blocks, or contributions that are not finite.
    """
    blocks = contributions.shape[0]
    if blocks < 6:
        raise ShortPanelError(
            f"{blocks} blocks are too few for a test at 5 %",
            remedy="use a longer panel or shorter blocks (six or more are needed)",
        )
    if not np.isfinite(contributions).all():
        raise DataError(
            "block contributions are not finite", remedy="drop rows with missing forecasts first"
        )
    estimate = contributions.sum(axis=0)
    squares = (contributions**2).sum(axis=0)
    scale = np.sqrt(squares)
    generator = as_generator(rng, "sign-flip", flips, blocks)
    signs = _signs(generator, flips, blocks)
    if between is not None:
        scale = np.hypot(scale, between)
    safe = np.where(scale > 0, scale, 1.0)
    t = estimate / safe
    # A flip pattern that reproduces the data must count as "at least as large".
    slack = 1e-12
    at_least = np.zeros(len(t))
    top = np.empty(flips)
    chunk = max(1, _CELLS // max(len(t), 1))
    for start in range(0, flips, chunk):
        null = signs[start : start + chunk] @ contributions
        if between is not None:
            null += between * generator.standard_normal(null.shape)
        if between is not None and freedom is not None:
            known = np.minimum(freedom, _EXACT)
            estimated = generator.chisquare(known, null.shape) / known
            own = np.sqrt(squares + between**2 * estimated)
            null /= np.where(own > 0, own, 1.0)
        else:
            null /= safe
        at_least += (null >= t - slack).sum(axis=0)
        top[start : start + chunk] = null.max(axis=1)
    p_single = (1.0 + at_least) / (1.0 + flips)
    ranked = np.sort(top)
    p_adjusted = (1.0 + flips - np.searchsorted(ranked, t - slack)) / (1.0 + flips)
    return MaxTest(
        estimate=np.asarray(estimate),
        standard_error=np.asarray(scale),
        t=np.asarray(t),
        p_single=np.asarray(p_single),
        p_adjusted=np.asarray(p_adjusted),
        critical=float(np.quantile(top, 1.0 - alpha)),
        law=top,
    )
