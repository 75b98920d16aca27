"""Seven ways in which a forecast can be biased, each as a regression with a known null."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.bias import (
    quantile_identification,
    value_identification,
    volatility_identification,
)
from commonmode.stats.detectable import detectable_effect, grown_effect
from commonmode.stats.moments import BlockMoments, block_instrumented, block_means, block_slopes
from commonmode.stats.regimes import expanding_rank, trailing_volatility

__all__ = [
    "BiasKind",
    "anchoring",
    "detectable_bias",
    "identification",
    "market_regime",
    "moment_builders",
]

# Least of a variance's growth that an estimate is corrected for.
_LEAST_GROWTH = 0.25


class BiasKind(Enum):
    """What is tested; the value is the name in tables.

    The first five need outcomes only and hold whatever the benchmark is worth; the last two read
    the deviation from the benchmark, so a blind spot of the benchmark enters them.

    ``LEVEL``       mean of the identification function: optimism (+) or caution (-)
    ``EFFICIENCY``  its slope on the (log) forecast, per standard deviation (Mincer-Zarnowitz)
    ``REGIME``      its mean in stress less its mean in calm
    ``REACTION``    its slope on the forecast's own last revision, per standard deviation
                    (Coibion-Gorodnichenko): under-reaction (+) or over-reaction (-)
    ``HERDING``     its mean above the others' last consensus less its mean below
                    (Bernhardt-Campello-Kutsoati): stops short of its own view (+), exaggerates (-)
    ``RECENCY``     mean deviation in stress less that in calm
    ``ANCHORING``   share of the benchmark's news that a step leaves out
    """

    LEVEL = "level"
    EFFICIENCY = "efficiency"
    REGIME = "regime"
    REACTION = "reaction"
    HERDING = "herding"
    RECENCY = "recency"
    ANCHORING = "anchoring"


def identification(panel: ErrorPanel) -> FloatArray:
    """The error of each forecast in the sense of :mod:`commonmode.stats.bias`, shape (T, K, N)."""
    outcome = panel.outcome[:, :, None]
    if panel.kind is PanelKind.QUANTILE:
        return quantile_identification(outcome, panel.forecast, panel.level)
    if panel.kind is PanelKind.VOL:
        return volatility_identification(outcome, panel.forecast)
    return value_identification(outcome, panel.forecast, panel.scale[:, :, None])


def market_regime(panel: ErrorPanel, *, calm: float, stress: float, warmup: int) -> FloatArray:
    """1 in stress, 0 in calm, NaN in between and while too little has been seen; shape (T, K).

    By the rank of the market's scale among all its values so far. Where the scale does not vary,
    the exponentially weighted volatility of the outcomes known by then stands in; a panel of
    values has none and is NaN throughout.
    """
    times, targets, _ = panel.shape
    regime = np.full((times, targets), np.nan)
    step = _step(panel.times_ms)
    lag = max(1, -(-panel.horizon_ms // step)) if step else 1
    for k in range(targets):
        scale = panel.scale[:, k]
        if _is_constant(scale) and panel.kind in (PanelKind.QUANTILE, PanelKind.VOL):
            scale = trailing_volatility(panel.outcome[:, k], lag)
        if _is_constant(scale):
            continue
        rank = expanding_rank(scale, warmup=warmup)
        regime[rank <= calm, k] = 0.0
        regime[rank > stress, k] = 1.0
    return regime


def _is_constant(series: FloatArray) -> bool:
    known = series[np.isfinite(series)]
    return known.size == 0 or bool(np.ptp(known) == 0)


def _step(times_ms: IntArray) -> int:
    """The commonest spacing, 0 for fewer than two times."""
    if len(times_ms) < 2:
        return 0
    values, counts = np.unique(np.diff(times_ms), return_counts=True)
    return int(values[np.argmax(counts)])


def _follows(times_ms: IntArray) -> BoolArray:
    """Whether the row before is one step earlier, shape (T,)."""
    follows = np.zeros(len(times_ms), dtype=np.bool_)
    if len(times_ms) > 1:
        follows[1:] = np.diff(times_ms) == _step(times_ms)
    return follows


def _before(values: FloatArray, follows: BoolArray) -> FloatArray:
    """Each row's predecessor; NaN where there is none one step earlier."""
    previous = np.full(values.shape, np.nan)
    previous[1:] = values[:-1]
    previous[~follows] = np.nan
    return previous


def _is_log(panel: ErrorPanel) -> bool:
    return panel.kind in (PanelKind.QUANTILE, PanelKind.VOL)


def _depth(panel: ErrorPanel) -> FloatArray:
    """Log size of quantiles and volatilities, the forecast itself of values; (T, K, N)."""
    return np.asarray(np.log(np.abs(panel.forecast)) if _is_log(panel) else panel.forecast)


def _others(depth: FloatArray) -> FloatArray:
    """Mean of all other models that answered, NaN where nobody else did; (T, K, N)."""
    there = np.isfinite(depth)
    kept = np.where(there, depth, 0.0)
    count = there.sum(axis=2, keepdims=True) - there
    total = kept.sum(axis=2, keepdims=True) - kept
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def moment_builders(
    panel: ErrorPanel, regime: FloatArray
) -> Mapping[BiasKind, Callable[[IntArray], BlockMoments]]:
    """For each kind that the panel can carry, the function from block edges to its moments."""
    v = identification(panel)
    depth = _depth(panel)
    follows = _follows(panel.times_ms)
    unit = np.ones_like(panel.scale) if _is_log(panel) else panel.scale
    builders: dict[BiasKind, Callable[[IntArray], BlockMoments]] = {
        BiasKind.LEVEL: lambda edges: block_means(v, edges),
        BiasKind.EFFICIENCY: lambda edges: block_slopes(v, depth / unit[:, :, None], edges),
    }
    has_regimes = bool((regime == 0).any() and (regime == 1).any())
    if has_regimes:
        builders[BiasKind.REGIME] = lambda edges: block_slopes(
            v, regime[:, :, None], edges, per_sd=False
        )
    revision = (depth - _before(depth, follows)) / unit[:, :, None]
    builders[BiasKind.REACTION] = lambda edges: block_slopes(v, revision, edges)
    if panel.shape[2] > 1:
        side = np.sign(depth - _before(_others(depth), follows))
        above = np.where(side == 0, np.nan, np.where(np.isnan(side), np.nan, (side > 0) * 1.0))
        builders[BiasKind.HERDING] = lambda edges: block_slopes(v, above, edges, per_sd=False)
    a, b = panel.benchmark_a, panel.benchmark_b
    if a is not None and b is not None:
        if has_regimes:
            deviation = 0.5 * (panel.deviation(a) + panel.deviation(b))
            builders[BiasKind.RECENCY] = lambda edges: block_slopes(
                deviation, regime[:, :, None], edges, per_sd=False
            )
        builders[BiasKind.ANCHORING] = lambda edges: anchoring(panel, edges)
    return builders


def detectable_bias(
    panel: ErrorPanel, kind: BiasKind, moment: BlockMoments, critical: float
) -> FloatArray:
    """Bias of one kind and no other that is found with 80 % probability, shape (N,).

    What the estimate carries of the market counts: an effect that rests on a few blocks of stress
    is spread over so many, and breaches that are more frequent are noisier.

    Parameters
    ----------
    panel : ErrorPanel
    kind : BiasKind
    moment : BlockMoments
        Of that kind.
    critical : float
        Of the test, in units of t.
    """
    linear, square = _noise_growth(panel, kind, moment)
    grown = 1.0 + linear * moment.estimate + square * moment.estimate**2
    # The error has grown with what is there; where nothing varied (no breach) it says nothing.
    error = moment.standard_error / np.sqrt(np.maximum(grown, _LEAST_GROWTH))
    error = np.where(error > 0, error, np.inf)
    return np.array(
        [
            grown_effect(detectable_effect(critical, 1.0 + b), e, abs(a), s)
            for b, e, a, s in zip(moment.degrees, error, linear, square, strict=True)
        ]
    )


def _noise_growth(
    panel: ErrorPanel, kind: BiasKind, moment: BlockMoments
) -> tuple[FloatArray, FloatArray]:
    """How an estimate's variance grows with the bias e: ``1 + linear e + square e^2``, (N,) each.

    A bias moves the mean of the identification function by ``e z``, z the regressor (1 for the
    level); rates and variances stay positive, so they go as ``1 + u = exp(lambda z)``, which is
    expanded to the second order in e (exact for the level and for two groups). Breaches at the rate
    ``L (1 + u)`` in place of L vary ``(1 + u) (1 - L (1 + u)) / (1 - L)`` times as much, squared
    moves ``(1 + u)^2`` times, errors of a value no more than before; nor do deviations from the
    benchmark.
    """
    nothing = np.zeros_like(moment.tilt)
    if kind in (BiasKind.RECENCY, BiasKind.ANCHORING) or not _is_log(panel):
        return nothing, nothing
    bent = 0.5 * (moment.bulge - moment.spread - moment.tilt**2)
    if panel.kind is PanelKind.VOL:
        return 2.0 * moment.tilt, moment.bulge + 2.0 * bent
    odds = panel.level / (1.0 - panel.level)
    return (1.0 - odds) * moment.tilt, (1.0 - odds) * bent - odds * moment.bulge


def anchoring(panel: ErrorPanel, edges: IntArray, *, rows: BoolArray | None = None) -> BlockMoments:
    """Share of the benchmark's news that each model leaves out in one step.

    A model that keeps a weight w on its previous value, ``f_t = (1-w) m_t + w f_{t-1}``, deviates
    by ``d_t = w d_{t-1} - w (m_t - m_{t-1})``; one that deviates persistently for other reasons has
    ``d_t = r d_{t-1}`` and nothing from the news. So w is minus the coefficient of the news beside
    the previous deviation. News and deviations are measured against benchmark a and instrumented
    by benchmark b, and the other way round, and the two are averaged: noise in one benchmark would
    otherwise stand on both sides of the regression. News is all that moves the benchmark, its hours
    of the day included: a model that knows no hours is anchored against one that does.

    Parameters
    ----------
    panel : ErrorPanel
        With benchmarks.
    edges : int64, shape (B + 1,)
    rows : bool, shape (T, K), optional
        Rows of the news that count.
    """
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    follows = _follows(panel.times_ms)
    log = _is_log(panel)
    f = _depth(panel)
    unit = np.ones_like(panel.scale) if log else panel.scale
    kept = np.ones(panel.scale.shape, np.bool_) if rows is None else rows

    def measured(benchmark: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        m = np.log(np.abs(benchmark)) if log else benchmark
        previous = _before(m, follows)
        now = (f - m[:, :, None]) / unit[:, :, None]
        before = (_before(f, follows) - previous[:, :, None]) / unit[:, :, None]
        news = np.where(kept, (m - previous) / unit, np.nan)
        return now, before, news[:, :, None]

    first, second = measured(panel.benchmark_a), measured(panel.benchmark_b)
    both = [
        block_instrumented(y[0], y[2], y[1], z[2], z[1], edges)
        for y, z in ((first, second), (second, first))
    ]
    return BlockMoments(
        estimate=-0.5 * (both[0].estimate + both[1].estimate),
        contributions=-0.5 * (both[0].contributions + both[1].contributions),
        influence=-0.5 * (both[0].influence + both[1].influence),
        leverage=0.5 * (both[0].leverage + both[1].leverage),
        rows=np.minimum(both[0].rows, both[1].rows),
        spread=both[0].spread,
        tilt=both[0].tilt,
        bulge=both[0].bulge,
    )
