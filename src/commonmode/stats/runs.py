"""The longest run of repeats that chance makes, where the chance of a repeat is not constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, logit

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError

__all__ = ["LongestRun", "longest_run"]

_EQUAL: Final = 1e-8
"""Spread of chances below which they are taken for one."""
_HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class LongestRun:
    """The longest run of repeats of a series.

    Attributes
    ----------
    length, start : int
        Repeats in a row, and the first of them; 0 and 0 where nothing repeats.
    p_value : float
        Chance that the longest run is as long or longer.
    allowed : float
        Length that chance exceeds with probability ``alpha``.
    mean, spread : float
        Of the chance of a repeat: mean, and ``1 / (a + b)`` of its Beta law (0: constant).
    """

    length: int
    start: int
    p_value: float
    allowed: float
    mean: float
    spread: float


def longest_run(repeats: BoolArray, *, alpha: float = 0.01) -> LongestRun:
    """Test the longest run of repeats against a chance of repeating that varies.

    With a constant chance p, a value is followed by R repeats or more with probability ``p^R``
    (Erdos and Renyi 1970, J. d'Analyse Mathematique 23). A price repeats more often when little is
    traded, and runs in such hours are longer than any constant chance makes them: p has a Beta law
    (Weinberg and Gladen 1986, Biometrics 42(3)), so the probability is ``B(a + R, b) / B(a, b)``.
    It is fitted to the runs that a constant chance would make, given that they are no longer than
    that: what is to be judged, however often it occurs, must not be its own measure. The larger of
    both p-values counts.

    Parameters
    ----------
    repeats : bool, shape (n,)
        Whether each value repeats the one before.
    alpha : float
        For ``allowed``, and for what counts as too long for a constant chance.

    Raises
    ------
    DataError
        No values, or a level outside (0, 1).
    """
    same = np.asarray(repeats, dtype=np.bool_)
    n = len(same)
    if not n or not 0.0 < alpha < 1.0:
        raise DataError(f"{n} values at {alpha}", remedy="give values and a level in (0, 1)")
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    lengths = (edges[1::2] - edges[::2]).astype(np.int64)
    values = float(n - np.count_nonzero(same)) + 1.0
    # One half is added to each count: no repeat in n values does not mean that there never is one.
    constant = min((len(lengths) + 0.5) / values, 1.0 - 1e-12)
    # The chance of each value's run at which one of all is as long with probability alpha.
    single = float(-np.expm1(np.log1p(-alpha) / n))
    most = float(np.log(single) / np.log(constant))
    a, b = _beta(lengths, values, max(int(most), 1))

    def beyond(length: float) -> float:
        varying = float(np.exp(betaln(a + length, b) - betaln(a, b)))
        return max(float(constant**length), varying)

    low, high = 0.0, float(n)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if beyond(middle) > single else (low, middle)
    longest = int(lengths.max()) if lengths.size else 0
    start = int(edges[::2][int(np.argmax(lengths))]) if lengths.size else 0
    chance = min(beyond(float(longest)), 1.0 - 1e-12)
    p_value = float(-np.expm1(n * np.log1p(-chance))) if longest else 1.0
    return LongestRun(longest, start, p_value, high, a / (a + b), 1.0 / (a + b))


def _beta(lengths: IntArray, values: float, most: int) -> tuple[float, float]:
    """Beta law of the chance of a repeat, from runs of at most ``most``.

    A spread larger than the counts ask for costs its own size in log likelihood: few repeats say
    nothing of how their chance varies.
    """
    counts = np.bincount(lengths[lengths <= most], minlength=2).astype(np.float64)
    counts[0] = values - len(lengths) + 0.5
    counts[1] += 0.5
    k = np.arange(len(counts), dtype=np.float64)

    def parameters(at: FloatArray) -> tuple[float, float, float]:
        mean, spread = float(expit(at[0])), max(float(np.exp(min(at[1], 50.0))), _EQUAL)
        return mean / spread, (1.0 - mean) / spread, spread

    def cost(at: FloatArray) -> float:
        a, b, spread = parameters(at)
        longer = min(float(betaln(a + most + 1.0, b) - betaln(a, b)), -1e-12)
        each = betaln(a + k, b + 1.0) - betaln(a, b) - np.log(-np.expm1(longer))
        return spread - float(counts @ each)

    begin = np.array([logit(float(counts @ k) / float(counts @ (k + 1.0))), np.log(0.05)])
    found = minimize(cost, begin, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-4})
    a, b, _ = parameters(np.asarray(found.x))
    return a, b
