"""Do models recalibrate together beyond what the market asks of everybody, and who goes first?

Steps are in market-risk units: the move of a log quantile, or of an implied volatility at the same
strikes (times vega: USD); never raw parameters, which are not comparable between models. What the
market asks for is seen twice (:class:`RevisionSteps`), from disjoint data, so that the noise of
one view is not taken for synchrony: the answer ``beta_i`` of each model and the co-movement of what
remains are cross-moments of the two.

Each model may answer the market more or less strongly, but linearly; a non-linear answer that
several models share counts as their synchrony, as a shared technique should.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from commonmode.converge.finding import LATER_OR_AFTER, between, found_from, rows_of
from commonmode.converge.lagged_views import LaggedViews
from commonmode.converge.propagation import Propagation
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.severity import SMALL_CORRELATION
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError, PanelError, ShortPanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.random import stream
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.block_spread import effective_degrees, jackknife_error
from commonmode.stats.blocks import (
    block_edges,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.comovement import block_correlation, cross_moment_blocks
from commonmode.stats.detectable import detectable_correlation, detectable_effect
from commonmode.stats.signflip import sign_flip_max_test

__all__ = [
    "RecalibrationSynchrony",
    "RevisionSteps",
    "SynchronyResult",
    "panel_revisions",
]

_FEWEST = 24
_POWER = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class RevisionSteps:
    """Steps of N models at R times.

    Attributes
    ----------
    name : str
    unit : str
        Of the steps, e.g. "log quantile" or "vol points".
    times_ms : int64, shape (R,)
    models : tuple of ModelId
    targets : tuple of TargetId
    step : float64, shape (R, K, N)
        NaN where a model was not recalibrated or failed.
    market_a, market_b : float64, shape (R, K)
        What the market asked for over the same time, from disjoint data.
    """

    name: str
    unit: str
    times_ms: IntArray
    models: tuple[ModelId, ...]
    targets: tuple[TargetId, ...]
    step: FloatArray
    market_a: FloatArray
    market_b: FloatArray

    def __post_init__(self) -> None:
        """Check shapes."""
        shape = (len(self.times_ms), len(self.targets))
        wanted = (*shape, len(self.models))
        if self.step.shape != wanted or not self.market_a.shape == self.market_b.shape == shape:
            raise DataError(
                f"steps {self.step.shape}, market {self.market_a.shape} and {self.market_b.shape}",
                remedy=f"give steps of shape {wanted} and the market's of shape {shape}",
            )


def panel_revisions(panel: ErrorPanel, *, every: int = 1) -> RevisionSteps:
    """Revisions of forecasts every so many rows, and of both benchmarks.

    A revision holds what the market moved, the filter's answer and the recalibration; it needs no
    insight into a model.

    Parameters
    ----------
    panel : ErrorPanel
        With benchmarks; revisions are logs for quantiles and volatilities, in units of ``scale``
        otherwise.
    every : int
        Rows between revisions.

    Raises
    ------
    PanelError
        No benchmarks, or fewer rows than one revision needs.
    """
    if panel.benchmark_a is None or panel.benchmark_b is None:
        raise PanelError(
            f"panel {panel.name} has no benchmarks to say what the market asked for",
            remedy="give benchmark_a and benchmark_b",
        )
    if every < 1 or len(panel.times_ms) <= every:
        raise ShortPanelError(
            f"panel {panel.name}: {len(panel.times_ms)} rows, revisions {every} apart",
            remedy="give a longer panel",
        )
    rows = np.arange(0, len(panel.times_ms), every)
    log = panel.kind in (PanelKind.QUANTILE, PanelKind.VOL)

    def moved(values: FloatArray) -> FloatArray:
        level = np.log(np.abs(values[rows])) if log else values[rows]
        change = np.diff(level, axis=0)
        if log:
            return np.asarray(change)
        scale = panel.scale[rows[:-1]]
        return np.asarray(change / (scale[..., None] if change.ndim == 3 else scale))

    return RevisionSteps(
        name=panel.name,
        unit="log quantile" if log else "scale",
        times_ms=panel.times_ms[rows[1:]],
        models=panel.models,
        targets=panel.targets,
        step=moved(panel.forecast),
        market_a=moved(panel.benchmark_a),
        market_b=moved(panel.benchmark_b),
    )


@dataclass(frozen=True, slots=True, eq=False)
class SynchronyResult:
    """How far N models recalibrate as one.

    Attributes
    ----------
    name, unit : str
    models : tuple of ModelId
    rows, blocks : int
    raw : float
        Mean correlation of steps, the market's move in them.
    raw_interval : (float, float)
    correlation : float
        Mean correlation of what the market does not ask for.
    interval : (float, float)
        95 %.
    p_value : float
        Of a mean correlation of zero or less, given the market.
    rejects : bool
    minimum_detectable : float
        Mean correlation found with 80 % probability.
    answer : float64, shape (N,)
        Step per unit of the market's own move; 1 follows it, above 1 exaggerates.
    market_share : float64, shape (N,)
        Part of the steps' variance that the market's move explains.
    size : float64, shape (N,)
        Root mean square step, in ``unit``.
    order : Success of PropagationResult, or Failure
        Who goes first, of what the market does not ask for.
    """

    name: str
    unit: str
    models: tuple[ModelId, ...]
    rows: int
    blocks: int
    raw: float
    raw_interval: tuple[float, float]
    correlation: float
    interval: tuple[float, float]
    p_value: float
    rejects: bool
    minimum_detectable: float
    answer: FloatArray
    market_share: FloatArray
    size: FloatArray
    order: Success[PropagationResult] | Failure

    @property
    def sentence(self) -> str:
        """The number, how sure it is, what would have been found, and what to do."""
        follow = ask = ""
        if isinstance(self.order, Success) and self.order.value.links:
            first = self.order.value.links[0]
            follow = (
                f" {first.receiver} recalibrates {rows_of(first.lag)} after {first.sender} "
                f"(adjusted p = {first.p_adjusted:.2g}): it {LATER_OR_AFTER}."
            )
            ask = f"ask whether {first.receiver} waits for {first.sender}"
        elif isinstance(self.order, Success):
            blind = self.order.value.blind
            follow = " Who goes first cannot be seen." if blind else " Nobody is seen to go first."
        told = (
            f"Steps of the {len(self.models)} models correlate {self.raw:.2f} on average; given "
            f"what the market asks of everybody {self.correlation:.2f} "
            f"({between(*self.interval)}, p = {self.p_value:.2g}; "
            f"{found_from(self.minimum_detectable)})."
        )
        said = "They recalibrate as one beyond the market."
        do = "stagger their dates or take apart what they share"
        if not self.rejects:
            said = "Beyond the market they are not seen to recalibrate as one."
            do = "nothing; less than that would not have been seen"
        elif self.correlation < SMALL_CORRELATION:
            do = f"nothing yet; it is less than {SMALL_CORRELATION:.2f}"
        if ask:
            do = f"{do}; {ask}" if self.rejects else ask
        return f"{told} {said}{follow} What to do: {do}."


class RecalibrationSynchrony:
    """Synchrony of recalibrations, and their order.

    Parameters
    ----------
    alpha : float
    flips, draws : int
        Sign flips; bootstrap draws of the order's intervals.
    lag_grid : tuple of int
        Lags, in steps, at which one may follow another.
    rng : int

    Attributes
    ----------
    result_ : SynchronyResult
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        flips: int = 1999,
        draws: int = 199,
        lag_grid: tuple[int, ...] = (1, 2, 3),
        rng: int = 0,
    ) -> None:
        self.alpha = alpha
        self.flips = flips
        self.draws = draws
        self.lag_grid = lag_grid
        self.rng = rng

    def fit(self, steps: RevisionSteps) -> RecalibrationSynchrony:
        """Compute the index.

        Raises
        ------
        DataError
            Fewer than two models that step, or fewer than 24 complete times.
        """
        moving = np.nanstd(steps.step, axis=(0, 1)) > 0
        if int(moving.sum()) < 2:
            raise DataError(
                f"{steps.name}: {int(moving.sum())} models change at recalibration",
                remedy="give two models or more whose recalibration moves a forecast",
            )
        models = tuple(m for m, yes in zip(steps.models, moving, strict=True) if yes)
        step = steps.step[:, :, moving]
        rows = np.isfinite(step).all(axis=2)
        rows &= np.isfinite(steps.market_a) & np.isfinite(steps.market_b)
        if int(rows.sum(axis=0).min()) < _FEWEST:
            raise ShortPanelError(
                f"{steps.name}: {int(rows.sum(axis=0).min())} times with a step of every model",
                remedy=f"give {_FEWEST} or more",
            )
        x, y, answer, share = _beyond(step, steps.market_a, steps.market_b, rows)
        edges = _edges(x, y, rows)
        own = _centred(step, rows)
        raw, raw_interval, *_ = self._mean(own, own, edges, rows, "raw")
        mean, interval, p_value, detectable = self._mean(x, y, edges, rows, "given the market")
        views = LaggedViews(x, y, rows, edges, True, 0)
        search = Propagation(
            lag_grid=self.lag_grid,
            horizons=(max(self.lag_grid),),
            alpha=self.alpha,
            flips=self.flips,
            draws=self.draws,
            rng=self.rng,
        )
        order: Success[PropagationResult] | Failure
        try:
            order = Success(search.fit_views(views, models, name=steps.name).result_)
        except DataError as error:
            order = Failure(FailureReason.INVALID_INPUT, error.message, error.remedy)
        size = np.sqrt(np.mean(np.where(rows[:, :, None], step, 0.0) ** 2, axis=(0, 1)))
        self.result_ = SynchronyResult(
            name=steps.name,
            unit=steps.unit,
            models=models,
            rows=int(rows.any(axis=1).sum()),
            blocks=len(edges) - 1,
            raw=raw,
            raw_interval=raw_interval,
            correlation=mean,
            interval=interval,
            p_value=p_value,
            rejects=p_value <= self.alpha,
            minimum_detectable=detectable,
            answer=answer,
            market_share=share,
            size=np.asarray(size / np.sqrt(rows.mean())),
            order=order,
        )
        return self

    def _mean(
        self, x: FloatArray, y: FloatArray, edges: IntArray, rows: BoolArray, name: str
    ) -> tuple[float, tuple[float, float], float, float]:
        """Mean correlation over pairs, its interval, p-value and minimum detectable size."""
        block = block_correlation(
            np.stack(
                [
                    cross_moment_blocks(x[:, k], y[:, k], edges, mask=rows[:, k])
                    for k in range(x.shape[1])
                ]
            )
        )
        n = x.shape[2]
        contributions = block.contributions.mean(axis=1)
        test = sign_flip_max_test(
            contributions[:, None],
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "recalibration", name),
        )
        # A storm holds more of the variance than other blocks do.
        leverage = block.leverage.mean(axis=1)
        spread = float(jackknife_error(block.influence.mean(axis=1), leverage))
        degrees = float(effective_degrees(leverage))
        half = float(stdtrit(degrees, 0.975)) * spread
        mean = float(block.pairs.mean())
        detectable = detectable_correlation(
            np.full(n * (n - 1) // 2, 2.0 / (n * (n - 1))),
            np.ones(n, dtype=np.bool_),
            spread,  # not the test's own, which grows with what was found
            detectable_effect(test.critical, 1.0 + degrees, power=_POWER),
            noise=_noise(x, y, rows),
        )
        interval = max(mean - half, -1.0), min(mean + half, 1.0)
        return mean, interval, float(test.p_single[0]), detectable


def _noise(x: FloatArray, y: FloatArray, rows: BoolArray) -> float:
    """Variance of the market views' noise over that of what remains of a step; the median model."""
    here, there = (np.where(rows[:, :, None], v, 0.0) for v in (x, y))
    own = np.sum(here * there, axis=(0, 1))
    noise = 0.5 * np.sum((here - there) ** 2, axis=(0, 1))
    return float(np.median(noise / np.maximum(own, 1e-12 + 1e-6 * noise)))


def _centred(values: FloatArray, rows: BoolArray) -> FloatArray:
    out = np.full_like(values, np.nan)
    for k in range(values.shape[1]):
        use = rows[:, k]
        out[use, k] = values[use, k] - values[use, k].mean(axis=0)
    return out


def _beyond(
    step: FloatArray, a: FloatArray, b: FloatArray, rows: BoolArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Steps less each model's answer to the market, seen from either side; answers and shares."""
    x, y = np.full_like(step, np.nan), np.full_like(step, np.nan)
    answers, shares = [], []
    for k in range(step.shape[1]):
        use = rows[:, k]
        s, ma, mb = (v[use, k] - v[use, k].mean(axis=0) for v in (step, a, b))
        common = float(np.mean(ma * mb))
        if common <= 0.0:
            # The two views have nothing in common: the market's move is lost in their noise.
            common = 0.5 * float(np.mean(ma**2) + np.mean(mb**2))
        joint = np.mean(s * 0.5 * (ma + mb)[:, None], axis=0)
        beta = joint / common if common > 0 else np.zeros(s.shape[1])
        x[use, k], y[use, k] = s - ma[:, None] * beta, s - mb[:, None] * beta
        answers.append(beta)
        variance = np.mean(s**2, axis=0)
        shares.append(np.clip(beta * joint / np.where(variance > 0, variance, 1.0), 0.0, 1.0))
    return x, y, np.mean(answers, axis=0), np.mean(shares, axis=0)


def _edges(x: FloatArray, y: FloatArray, rows: BoolArray) -> IntArray:
    n = x.shape[2]
    times = []
    for k in range(x.shape[1]):
        a, b = (np.where(rows[:, [k]], v[:, k], np.nan) for v in (x, y))
        others = [(v.sum(axis=1, keepdims=True) - v) / (n - 1) for v in (a, b)]
        times.append(integrated_autocorrelation_time(0.5 * (a * others[1] + b * others[0])))
    return block_edges(len(x), choose_block_count(len(x), float(np.max(times))))
