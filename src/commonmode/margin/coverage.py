"""Does a margin path cover the losses it was meant for: breaches, tests, equal coverage, frontier.

Row t of a margin path is what was held at t; row t of the losses is the loss of the same portfolio
over the horizon that starts at t, positive for a loss. A breach is a loss above the margin.

Losses over h steps that start at every step overlap: one bad hour is in h of them. Tests that need
independence (Kupiec, Christoffersen) therefore run on every h-th row, from a stated offset; the
rate over all rows has its standard error from the long-run variance with h - 1 lags (Newey and West
1987, Econometrica 55).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.stats.coverage import Transitions, independence_test, kupiec

__all__ = [
    "ALL",
    "CoverageCell",
    "Frontier",
    "coverage_cells",
    "coverage_frontier",
    "equal_coverage_scale",
    "overlapping_rate",
    "regimes_by_volatility",
]

#: Name of the group that holds every row or column.
ALL: Final = "all"


def _pair(margin: FloatArray, losses: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    m = np.asarray(margin, dtype=np.float64)
    loss = np.asarray(losses, dtype=np.float64)
    if m.ndim != 2 or m.shape != loss.shape or not m.size:
        raise DataError(
            f"a margin path of shape {m.shape} and losses of shape {loss.shape}",
            remedy="both are (times, portfolios)",
        )
    return m, loss, np.asarray(np.isfinite(m) & np.isfinite(loss))


@dataclass(frozen=True, slots=True)
class CoverageCell:
    """Coverage of one portfolio in one regime, on rows whose horizons do not overlap.

    Attributes
    ----------
    portfolio, regime : str
    observations, breaches : int
    left_out : int
        Rows of the sub-grid without margin or loss.
    rate : float
        Breaches over observations; NaN without observations.
    kupiec_p : float
        That the rate is the promised one; NaN without observations.
    independence_p : float
        That a breach does not make the next one likelier, from neighbouring rows of the sub-grid
        that are both in the regime; NaN without such neighbours.
    conditional_p : float
        Both together (Christoffersen 1998), two degrees of freedom.
    mean_margin : float
        Over the observations, in the unit of the path.
    mean_excess : float
        Mean loss beyond the margin, over breaches; 0 without any.
    """

    portfolio: str
    regime: str
    observations: int
    breaches: int
    left_out: int
    rate: float
    kupiec_p: float
    independence_p: float
    conditional_p: float
    mean_margin: float
    mean_excess: float


def _cell(
    portfolio: str,
    regime: str,
    margin: FloatArray,
    losses: FloatArray,
    known: BoolArray,
    inside: BoolArray,
    level: float,
) -> CoverageCell:
    use = known & inside
    hit = use & (losses > margin)
    n, x = int(use.sum()), int(hit.sum())
    left_out = int((inside & ~known).sum())
    if n == 0:
        nan = float("nan")
        return CoverageCell(portfolio, regime, 0, 0, left_out, *(nan,) * 5, 0.0)
    unconditional = kupiec(x, n, level)
    both = use[:-1] & use[1:]
    before, after = hit[:-1][both], hit[1:][both]
    independence_p = conditional_p = float("nan")
    if both.any():
        counts = Transitions(
            n00=int(np.sum(~before & ~after)),
            n01=int(np.sum(~before & after)),
            n10=int(np.sum(before & ~after)),
            n11=int(np.sum(before & after)),
        )
        independence = independence_test(counts)
        independence_p = float(independence.p_value)
        joint = float(unconditional.statistic) + float(independence.statistic)
        conditional_p = float(chdtrc(2.0, joint))
    return CoverageCell(
        portfolio=portfolio,
        regime=regime,
        observations=n,
        breaches=x,
        left_out=left_out,
        rate=x / n,
        kupiec_p=float(unconditional.p_value),
        independence_p=independence_p,
        conditional_p=conditional_p,
        mean_margin=float(margin[use].mean()),
        mean_excess=float((losses[hit] - margin[hit]).mean()) if x else 0.0,
    )


def coverage_cells(
    margin: FloatArray,
    losses: FloatArray,
    *,
    level: float,
    horizon: int = 1,
    offset: int = 0,
    portfolios: Sequence[str] | None = None,
    regimes: ArrayLike | None = None,
) -> tuple[CoverageCell, ...]:
    """Test every portfolio, over all rows and in every regime.

    Portfolios are tested one by one: their breaches come on the same days, so pooling them would
    count one event many times.

    Parameters
    ----------
    margin, losses : float64, shape (T, A)
        NaN where unknown; such rows are left out and counted.
    level : float
        Promised breach probability over the horizon, e.g. 0.01.
    horizon : int
        Steps that a loss covers; every ``horizon``-th row is used.
    offset : int
        First row used, in [0, horizon).
    portfolios : sequence of str, length A, optional
        Names; the underlying, for one portfolio each.
    regimes : str, shape (T,), optional
        Regime at the start of each loss.

    Returns
    -------
    tuple of CoverageCell
        By portfolio, then ``"all"`` and the regimes in alphabetical order.
    """
    m, loss, known = _pair(margin, losses)
    if horizon < 1 or not 0 <= offset < horizon:
        raise ConfigurationError(
            f"a horizon of {horizon} steps from row {offset}",
            remedy="the offset lies in [0, horizon)",
        )
    names = [str(a) for a in range(m.shape[1])] if portfolios is None else list(portfolios)
    labels: NDArray[np.str_] | None = None
    if regimes is not None:
        labels = np.asarray(regimes, dtype=np.str_)
    if len(names) != m.shape[1] or (labels is not None and labels.shape != m.shape[:1]):
        raise DataError(
            f"{len(names)} portfolio names and regimes of shape "
            f"{None if labels is None else labels.shape} for paths of shape {m.shape}",
            remedy="one name per column and one regime per row",
        )
    grid = slice(offset, None, horizon)
    groups: list[tuple[str, BoolArray]] = [(ALL, np.ones(len(m), dtype=np.bool_)[grid])]
    if labels is not None:
        groups += [(str(r), np.asarray(labels[grid] == r)) for r in np.unique(labels)]
    return tuple(
        _cell(name, regime, m[grid, a], loss[grid, a], known[grid, a], inside, level)
        for a, name in enumerate(names)
        for regime, inside in groups
    )


def overlapping_rate(
    margin: FloatArray, losses: FloatArray, *, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """Breach rate over all rows, overlapping as they are, with its standard error.

    The variance of the mean is ``(g_0 + 2 sum_{k<h} (1 - k/h) g_k) / n`` with autocovariances
    ``g_k`` of the breaches (Bartlett weights); unknown rows count as their mean.

    Parameters
    ----------
    margin, losses : float64, shape (T, A)
    horizon : int
        ``h`` >= 1.

    Returns
    -------
    rate, standard_error : float64, shape (A,)
        NaN for a portfolio without a known row.
    """
    m, loss, known = _pair(margin, losses)
    if not 1 <= horizon <= len(m):
        raise ConfigurationError(
            f"a horizon of {horizon} steps on {len(m)} rows", remedy="use a shorter horizon"
        )
    count = known.sum(axis=0)
    n = np.maximum(count, 1)
    hit = (known & (loss > m)).astype(np.float64)
    rate = hit.sum(axis=0) / n
    centred = np.where(known, hit - rate, 0.0)
    variance = np.sum(centred**2, axis=0)
    for k in range(1, horizon):
        variance += 2.0 * (1.0 - k / horizon) * np.sum(centred[k:] * centred[:-k], axis=0)
    error = np.sqrt(np.maximum(variance, 0.0)) / n
    nothing = count == 0
    return np.where(nothing, np.nan, rate), np.where(nothing, np.nan, error)


def equal_coverage_scale(margin: FloatArray, losses: FloatArray, level: float) -> FloatArray:
    """Smallest factor on a margin path at which at most ``level`` of the losses breach it.

    With it, methods are compared at equal coverage by what they cost. It is fitted in sample: give
    it the training rows and apply it to the others to stay out of sample.

    Parameters
    ----------
    margin, losses : float64, shape (T, A)
        NaN rows are left out. Margin must be positive where a loss is.
    level : float
        In [0, 1).

    Returns
    -------
    float64, shape (A,)
        Of n losses ``floor(level n)`` may breach; the scale is the ratio of loss to margin that
        comes next, and 0 where that is a gain. NaN without observations; infinity where a loss
        without margin would have to be covered.
    """
    if not 0.0 <= level < 1.0:
        raise ConfigurationError(f"breach rate {level} is not in [0, 1)", remedy="use 0.01")
    m, loss, known = _pair(margin, losses)
    out = np.full(m.shape[1], np.nan)
    for a in range(m.shape[1]):
        use = known[:, a]
        n = int(use.sum())
        if not n:
            continue
        ratio = _coverage_ratio(m[use, a], loss[use, a])
        # 0.01 x 300 is 3, whatever its last bit.
        allowed = int(np.floor(level * n * (1.0 + 1e-12)))
        last = float(np.partition(ratio, n - 1 - allowed)[n - 1 - allowed])
        # Loss / margin x margin may round to less than the loss: the scale is to cover it.
        out[a] = max(last * (1.0 + 2.0 * np.finfo(np.float64).eps), 0.0)
    return out


def _coverage_ratio(margin: FloatArray, losses: FloatArray) -> FloatArray:
    """Scale from which on each loss is covered: infinite for a loss without margin."""
    if np.any(margin < 0.0):
        raise DataError("a margin path holds a negative requirement", remedy="margin is 0 or more")
    safe = np.where(margin > 0.0, margin, 1.0)
    return np.where(margin > 0.0, losses / safe, np.where(losses > 0.0, np.inf, 0.0))


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """Cost against coverage as a margin path is scaled; arrays of shape (K, A).

    Attributes
    ----------
    scales : float64, shape (K,)
    cost : float64
        Mean margin.
    breach_rate : float64
    mean_shortfall : float64
        Mean over all rows of the loss beyond the margin: what somebody else pays.
    observations : int64, shape (A,)
    """

    scales: FloatArray
    cost: FloatArray
    breach_rate: FloatArray
    mean_shortfall: FloatArray
    observations: IntArray


def coverage_frontier(margin: FloatArray, losses: FloatArray, scales: ArrayLike) -> Frontier:
    """Cost, breach rate and shortfall of the path times each scale.

    Parameters
    ----------
    margin, losses : float64, shape (T, A)
        NaN rows are left out.
    scales : float64, shape (K,)
        Non-negative.
    """
    m, loss, known = _pair(margin, losses)
    k = np.atleast_1d(np.asarray(scales, dtype=np.float64))
    if k.ndim != 1 or np.any(k < 0.0) or not np.all(np.isfinite(k)):
        raise ConfigurationError(
            "scales of a frontier must be finite and not negative", remedy="e.g. 0.5 to 2"
        )
    count = known.sum(axis=0)
    n = np.where(count > 0, count, 1)
    m, loss = np.where(known, m, 0.0), np.where(known, loss, 0.0)
    nan = np.where(count > 0, 1.0, np.nan)
    excess = [np.maximum(loss - scale * m, 0.0).sum(axis=0) for scale in k]
    hits = [(known & (loss > scale * m)).sum(axis=0) for scale in k]
    return Frontier(
        scales=k,
        cost=k[:, None] * (m.sum(axis=0) / n * nan),
        breach_rate=np.asarray(hits) / n * nan,
        mean_shortfall=np.asarray(excess) / n * nan,
        observations=count.astype(np.int64),
    )


def regimes_by_volatility(
    volatility: FloatArray, names: Sequence[str] = ("calm", "normal", "stressed")
) -> NDArray[np.str_]:
    """Label each row by where its volatility lies among all rows, in equal parts.

    Parameters
    ----------
    volatility : float64, shape (T,)
        Known at the start of the loss; the cuts are quantiles of the whole sample, so the labels
        sort results and must not steer margin.
    names : sequence of str
        From the lowest part to the highest.

    Returns
    -------
    str, shape (T,)
        ``"unknown"`` where volatility is not finite.
    """
    vol = np.asarray(volatility, dtype=np.float64)
    known = np.isfinite(vol)
    if vol.ndim != 1 or not known.any() or not names:
        raise DataError(
            f"volatility of shape {vol.shape} with {int(known.sum())} known rows",
            remedy="give one series and at least one regime name",
        )
    cuts = np.quantile(vol[known], np.arange(1, len(names)) / len(names))
    part = np.searchsorted(cuts, np.where(known, vol, 0.0), side="left")
    return np.where(known, np.asarray(names, dtype=np.str_)[part], "unknown")
