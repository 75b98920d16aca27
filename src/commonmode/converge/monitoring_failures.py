"""Joint failures as monitoring reads them: by block of time, each from the past alone.

Blocks are those of :mod:`commonmode.converge.monitoring_series`. The probability of failure given
the market's surprise is fitted on rows whose outcome was known when the block began.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from commonmode.converge.monitoring_series import BlockSeries
from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import PanelError, ShortPanelError
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.logistic import cross_fitted_probability, fit_logistic, natural_cubic_basis

__all__ = ["CoFailureSeries", "cofailure_series"]

_KNOTS = 3
_EXTRAPOLATE = np.array([2.0, -0.5, -0.5])  # Cook & Stefanski (1994), linear in the noise variance


@dataclass(frozen=True, slots=True, eq=False)
class CoFailureSeries:
    """Joint failures by block, and how many the market's surprise accounts for.

    Attributes
    ----------
    joint : float64, shape (B,)
        Pairs of models that failed together, over all rows and targets.
    expected : float64, shape (3, B)
        Pairs expected if models failed independently given the surprise, which is measured against
        the mean of the benchmarks, benchmark a and benchmark b.
    residual : float64, shape (3, B)
        ``sum (F_i - p_i)(F_j - p_j)``, orthogonal to errors in p.
    failures, cells : float64, shape (B,)
        Failures of all models, and chances to fail.
    """

    joint: FloatArray
    expected: FloatArray
    residual: FloatArray
    failures: FloatArray
    cells: FloatArray

    def excess(self, weight: FloatArray) -> FloatArray:
        """What each block adds to the weighted ratio less one, extrapolated to no benchmark noise.

        ``2 C3(mean) - (C3(a) + C3(b)) / 2``: the single benchmarks hold twice the mean's noise
        variance. Shape (B,).
        """
        total = (self.expected * weight).sum(axis=1)
        safe = np.where(total > 0, total, np.inf)
        return np.asarray(_EXTRAPOLATE @ (self.residual * weight / safe[:, None]))


def _pair_sum(values: FloatArray) -> FloatArray:
    return np.asarray((values.sum(axis=1) ** 2 - (values**2).sum(axis=1)) / 2.0)


def cofailure_series(
    panel: ErrorPanel, series: BlockSeries, *, refit_blocks: int, learn_blocks: int
) -> CoFailureSeries:
    """Count joint failures and what is expected of them, block by block.

    Parameters
    ----------
    panel : ErrorPanel
        Of kind quantile.
    series : BlockSeries
        Of the same panel.
    refit_blocks, learn_blocks : int
        Blocks between fits of the probability of failure, and blocks that each is learnt from.

    Raises
    ------
    ShortPanelError
        Too few failures in the baseline to learn from.
    """
    a, b = panel.benchmark_a, panel.benchmark_b
    if panel.kind is not PanelKind.QUANTILE or a is None or b is None:
        raise PanelError(
            f"panel {panel.name} has no tail failures", remedy="give a panel of kind 'quantile'"
        )
    edges, end = series.edges, int(series.edges[series.baseline])
    rows = panel.complete
    failed = panel.failed & rows[..., None]
    if failed[:end].any(axis=2).sum(axis=0).min() < 10:
        raise ShortPanelError(
            f"panel {panel.name}: failures at fewer than 10 times of the baseline",
            remedy="give a longer baseline or a less extreme level",
        )
    log_a, log_b = np.log(-a), np.log(-b)
    benchmarks = (0.5 * (log_a + log_b), log_a, log_b)
    fits = _Fits(panel, series, refit_blocks, learn_blocks)
    joint = np.zeros(len(rows))
    expected, residual = np.zeros((3, len(rows))), np.zeros((3, len(rows)))
    for k in range(rows.shape[1]):
        f = failed[:, k].astype(np.float64)
        joint += _pair_sum(f)
        for level, benchmark in enumerate(benchmarks):
            p = fits.probability(k, benchmark[:, k], failed[:, k], rows[:, k])
            expected[level] += _pair_sum(p)
            residual[level] += _pair_sum(f - p)
    per_row = np.stack(
        [joint, failed.sum(axis=(1, 2)), rows.sum(axis=1) * failed.shape[2], *expected, *residual]
    )
    blocks = np.add.reduceat(per_row[:, : edges[-1]], edges[:-1], axis=1)
    return CoFailureSeries(
        joint=blocks[0],
        expected=blocks[3:6],
        residual=blocks[6:],
        failures=blocks[1],
        cells=blocks[2],
    )


@dataclass(frozen=True, slots=True)
class _Fits:
    """Failure probabilities: cross-fitted within the baseline, learnt from the past after it."""

    panel: ErrorPanel
    series: BlockSeries
    refit_blocks: int
    learn_blocks: int

    def probability(
        self, target: int, benchmark: FloatArray, failed: BoolArray, rows: BoolArray
    ) -> FloatArray:
        """Shape (T, N)."""
        edges, start = self.series.edges, self.series.baseline
        step = np.median(np.diff(self.panel.times_ms))
        wait = int(np.ceil(self.panel.horizon_ms / step))
        surprise, state = _surprise(self.panel, target, benchmark)
        number = np.arange(len(rows))
        out = np.zeros(failed.shape)
        base = rows & (number < edges[start])
        out[base] = cross_fitted_probability(
            surprise[base], failed[base], _scaled(state, base)[base], knots=_KNOTS
        )
        for b in range(start, len(self.series), self.refit_blocks):
            lo = int(edges[b])
            hi = int(edges[min(b + self.refit_blocks, len(self.series))])
            first = int(edges[max(b - self.learn_blocks, 0)])
            seen = rows & (number >= first) & (number < lo - wait + 1)
            asked = rows & (number >= lo) & (number < hi)
            out[asked] = _forecast(surprise, failed, _scaled(state, seen), seen, asked)
        return out


def _surprise(
    panel: ErrorPanel, target: int, benchmark: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Log size of the loss over the benchmark's (-inf for gains), and market states."""
    y = panel.outcome[:, target]
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(y < 0, np.log(np.where(y < 0, -y, 1.0)), -np.inf)
        columns = [np.log(panel.scale[:, target]), *(s[:, target] for s in panel.state.values())]
    return size - benchmark, np.stack(columns, axis=1)


def _scaled(state: FloatArray, seen: BoolArray) -> FloatArray:
    """States by their mean and spread over what was seen; what is missing says nothing."""
    there = np.isfinite(state)
    known = np.where(there, state, 0.0)[seen]
    number = np.maximum(there[seen].sum(axis=0), 1)
    mean = known.sum(axis=0) / number
    centred = np.where(there, state - mean, 0.0)
    spread = np.sqrt((centred[seen] ** 2).sum(axis=0) / number)
    return np.asarray(centred / np.where(spread > 1e-12, spread, 1.0))


def _forecast(
    surprise: FloatArray, failed: BoolArray, state: FloatArray, seen: BoolArray, asked: BoolArray
) -> FloatArray:
    """Probability of failure at ``asked`` from a fit on ``seen``, shape (asked, N)."""
    at_failure = surprise[seen & failed.any(axis=1)]
    floor = at_failure.min()
    places = np.unique(np.quantile(at_failure, np.linspace(0.02, 0.90, _KNOTS)))

    def design(rows: BoolArray) -> FloatArray:
        u = surprise[rows]
        smooth = natural_cubic_basis(u, places) if len(places) >= 2 else np.stack([u**0, u], 1)
        return np.concatenate([smooth, state[rows]], axis=1)

    learn, want = seen & (surprise >= floor), asked & (surprise >= floor)
    out = np.zeros((len(surprise), failed.shape[1]))
    out[want] = expit(design(want) @ fit_logistic(design(learn), failed[learn], engine="numpy"))
    return out[asked]
