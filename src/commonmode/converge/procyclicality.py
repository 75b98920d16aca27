"""Procyclicality: do the models say less risk whenever it has been calm, and all of them at once?

The slope of a log forecast on the log of the market's realised volatility says how much of a calm
is passed on. Passing on what lasts is right: the benchmark's slope says how much that is. The rest,
the slope of the deviation, is the model's own; common to all models it moves everybody's limits and
margins together. Whether calm is passed on as fast as turmoil is asked of changes.

The forecast's own moves against the market's: Danielsson, Shin and Zigrand (2012), "Endogenous and
systemic risk"; measures for margins: Murphy, Vasios and Vause (2014), Bank of England FSP 29.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from commonmode.converge.comovement import deviations
from commonmode.converge.finding import between, found_from, some_of
from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import PanelError, ShortPanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.blocks import (
    block_dependence,
    block_edges,
    block_sums,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.detectable import detectable_effect
from commonmode.stats.moments import BlockMoments, block_slopes
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = ["ModelCycle", "Procyclicality", "ProcyclicalityResult", "Slope"]

_POWER = 0.8
_FEWEST = 48


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope with its 95 % interval.

    Student-t with the effective number of blocks, each left out once
    (:class:`commonmode.stats.moments.BlockMoments`), and what neighbouring blocks share besides
    (:func:`commonmode.stats.blocks.block_dependence`).
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ModelCycle:
    """One model.

    Attributes
    ----------
    model : ModelId
    slope : Slope
        Of the log forecast on the log realised volatility; 1 passes everything on.
    excess : Slope
        Of the deviation: above 0 exaggerates what the benchmark passes on, below 0 is sluggish.
    p_excess : float
        Two-sided, family-wise over models and the crowd's mean.
    up, down : float
        Part of a rise, and of a fall, of log realised volatility that is passed on over ``change``
        rows.
    p_asymmetry : float
        Of up = down, two-sided, family-wise over models.
    """

    model: ModelId
    slope: Slope
    excess: Slope
    p_excess: float
    up: float
    down: float
    p_asymmetry: float


@dataclass(frozen=True, slots=True, eq=False)
class ProcyclicalityResult:
    """Procyclicality of a population.

    Attributes
    ----------
    models : tuple of ModelCycle
        In the panel's order.
    rows, blocks : int
    change : int
        Rows over which rises and falls are taken.
    crowd_slope, benchmark_slope, crowd_excess : Slope
        Of the mean over models, of the benchmarks' mean, and of the mean deviation.
    p_crowd : float
        Of no excess of the crowd, family-wise with the models'.
    calm_together : float
        In the calmest third of rows: how often every model is below its own median forecast.
    calm_benchmark : float
        How often the benchmark is below its own median there: what calm asks for.
    minimum_detectable : float
        Excess slope of one model found with 80 % probability; infinite where a few turns of the
        market hold so much that the test cannot reject.
    alpha : float
        Level at which the sentence calls something found.
    """

    models: tuple[ModelCycle, ...]
    rows: int
    blocks: int
    change: int
    crowd_slope: Slope
    benchmark_slope: Slope
    crowd_excess: Slope
    p_crowd: float
    calm_together: float
    calm_benchmark: float
    minimum_detectable: float
    alpha: float = 0.05

    @property
    def sentence(self) -> str:
        """The number, how sure it is, what would have been found, and what to do."""
        crowd, due = self.crowd_slope, self.benchmark_slope
        said = (
            f"When realised volatility falls by 10 % the models' risk falls by "
            f"{10 * crowd.value:.1f} % ({between(crowd.low, crowd.high, '.1f', 10)}), the "
            f"benchmark's by {10 * due.value:.1f} %; in the calmest third all "
            f"{len(self.models)} are below their median at once {100 * self.calm_together:.0f} % "
            f"of the time (the benchmark {100 * self.calm_benchmark:.0f} %)."
        )
        excess = self.crowd_excess
        sure = (
            f"excess slope {excess.value:+.2f}, {between(excess.low, excess.high, '+.2f')}; "
            f"p = {self.p_crowd:.2g}; "
            f"{found_from(self.minimum_detectable, most=math.inf, unit=' in one model')}"
        )
        if self.p_crowd > self.alpha:
            said += f" No excess of the crowd is seen ({sure})."
            do = ["nothing about the crowd; less than that would not have been seen"]
        elif self.crowd_excess.value > 0:
            said += f" The crowd exaggerates the cycle ({sure})."
            do = ["put a floor under what calm may take off"]
        else:
            said += f" The crowd lags behind the cycle ({sure})."
            do = ["expect all limits to be too wide at once in a sudden storm"]
        apart = [m for m in self.models if m.p_asymmetry <= self.alpha]
        if slow := some_of([m.model for m in apart if m.up > m.down]):
            said += f" {slow} answer rises more than falls."
        if fast := some_of([m.model for m in apart if m.up < m.down]):
            said += f" {fast} answer falls more than rises."
            do.append(f"slow down what calm takes off in {fast}")
        return f"{said} What to do: {'; '.join(do)}."


class Procyclicality:
    """Procyclicality estimator.

    Parameters
    ----------
    change : int
        Rows over which rises and falls are taken.
    alpha : float
        Level of every test, and of what the sentence calls found.
    flips : int
    rng : int

    Attributes
    ----------
    result_ : ProcyclicalityResult
    """

    def __init__(
        self, *, change: int = 24, alpha: float = 0.05, flips: int = 1999, rng: int = 0
    ) -> None:
        self.change = change
        self.alpha = alpha
        self.flips = flips
        self.rng = rng

    def fit(self, panel: ErrorPanel) -> Procyclicality:
        """Compute the index.

        Raises
        ------
        PanelError
            Not a panel of quantiles with benchmarks, a scale that does not move, or too few rows.
        """
        if panel.kind is not PanelKind.QUANTILE or panel.benchmark_a is None:
            raise PanelError(
                f"panel {panel.name}: the cycle is asked of quantile forecasts with benchmarks",
                remedy="give a risk panel; its scale is the market's realised volatility",
            )
        rows = usable_rows(panel)
        with np.errstate(divide="ignore", invalid="ignore"):
            market = np.log(panel.scale)
        rows &= np.isfinite(market)
        if len(panel.times_ms) < _FEWEST:
            raise ShortPanelError(
                f"panel {panel.name}: {len(panel.times_ms)} rows; the cycle needs {_FEWEST}",
                remedy="give a longer panel",
            )
        if rows.sum(axis=0).min() < _FEWEST or not any(
            market[rows[:, k], k].std() > 1e-12 for k in range(market.shape[1])
        ):
            raise PanelError(
                f"panel {panel.name}: realised volatility does not move, or is not there",
                remedy=f"give {_FEWEST} rows or more with a scale",
            )
        x, y, _ = deviations(panel)
        deviation = 0.5 * (x + y)
        level = np.log(np.abs(panel.forecast))
        due = level - deviation
        n = len(panel.models)
        levels, own, shared = _moments(
            np.concatenate([level, level.mean(axis=2, keepdims=True), due[:, :, :1]], axis=2),
            np.concatenate([deviation, deviation.mean(axis=2, keepdims=True)], axis=2),
            np.where(rows, market, np.nan),
        )
        slope, excess = _with_intervals(levels, shared), _with_intervals(own, shared)
        blocks = len(own.contributions)
        # Under no excess the deviation itself, not what the slope leaves, makes the scores.
        test, p_excess = self._two_sided(own.contributions, shared, "excess")
        edges = block_edges(len(market), blocks)
        up, down, p_asymmetry = self._asymmetry(level, market, rows, edges)
        # What an excess adds is spread over the blocks as the market's moves are.
        need = detectable_effect(test.critical, 1.0 + float(np.median(own.degrees)), power=_POWER)
        calm, calm_due = _calm(level, due[:, :, 0], market, rows)
        self.result_ = ProcyclicalityResult(
            models=tuple(
                ModelCycle(
                    model=model,
                    slope=slope[i],
                    excess=excess[i],
                    p_excess=float(p_excess[i]),
                    up=float(up[i]),
                    down=float(down[i]),
                    p_asymmetry=float(p_asymmetry[i]),
                )
                for i, model in enumerate(panel.models)
            ),
            rows=int(rows.any(axis=1).sum()),
            blocks=blocks,
            change=self.change,
            crowd_slope=slope[n],
            benchmark_slope=slope[n + 1],
            crowd_excess=excess[n],
            p_crowd=float(p_excess[n]),
            calm_together=calm,
            calm_benchmark=calm_due,
            minimum_detectable=need * float(np.median(test.standard_error[:n])),
            alpha=self.alpha,
        )
        return self

    def _asymmetry(
        self, level: FloatArray, market: FloatArray, rows: BoolArray, edges: IntArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Slopes on rises and on falls, and p-values of their difference."""
        c, n = self.change, level.shape[2]
        t, targets = market.shape
        up, down = np.zeros(n), np.zeros(n)
        scores = np.zeros((t, n))
        if t <= c + _FEWEST:
            return np.full(n, np.nan), np.full(n, np.nan), np.ones(n)
        for k in range(targets):
            both = rows[c:, k] & rows[:-c, k]
            move = market[c:, k] - market[:-c, k]
            change = level[c:, k] - level[:-c, k]
            design = np.column_stack([np.ones(t - c), move, np.abs(move)])[both]
            inverse = np.linalg.pinv(design.T @ design)
            beta = inverse @ design.T @ change[both]
            up += (beta[1] + beta[2]) / targets
            down += (beta[1] - beta[2]) / targets
            # Score of the coefficient on |move| with it at zero: half the difference.
            fresh = np.abs(move[both]) - design[:, :2] @ np.linalg.lstsq(
                design[:, :2], np.abs(move[both]), rcond=None
            )[0]  # fmt: skip
            restricted = change[both] - design[:, :2] @ np.linalg.lstsq(
                design[:, :2], change[both], rcond=None
            )[0]  # fmt: skip
            scores[c:][both] += fresh[:, None] * restricted / float(fresh @ fresh) / targets
        shared = block_dependence(scores, len(edges) - 1)
        return up, down, self._two_sided(block_sums(scores, edges), shared, "asymmetry")[1]

    def _two_sided(
        self, contributions: FloatArray, shared: float, name: str
    ) -> tuple[MaxTest, FloatArray]:
        """Test of both signs of every column, and the columns' adjusted p-values."""
        # Flips of independent blocks lack what neighbours share: it comes as noise besides.
        between = np.sqrt((shared - 1.0) * np.sum(contributions**2, axis=0))
        test = sign_flip_max_test(
            np.concatenate([contributions, -contributions], axis=1),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "procyclicality", name),
            between=np.tile(between, 2),
        )
        n = contributions.shape[1]
        return test, np.minimum(test.p_adjusted[:n], test.p_adjusted[n:])


def _moments(
    levels: FloatArray, own: FloatArray, market: FloatArray
) -> tuple[BlockMoments, BlockMoments, float]:
    """Slopes on the market of either's columns over blocks, and what neighbouring blocks share."""
    t = len(market)
    one, two = (
        block_slopes(v, market[:, :, None], block_edges(t, t), per_sd=False) for v in (levels, own)
    )
    left = np.concatenate([one.influence, two.influence], axis=1)
    blocks = choose_block_count(t, integrated_autocorrelation_time(left))
    edges = block_edges(t, blocks)
    return one.over(edges), two.over(edges), block_dependence(left, blocks)


def _with_intervals(moments: BlockMoments, shared: float) -> list[Slope]:
    reach = stdtrit(moments.degrees, 0.975) * moments.standard_error * np.sqrt(shared)
    return [
        Slope(float(value), float(value - half), float(value + half))
        for value, half in zip(moments.estimate, reach, strict=True)
    ]


def _calm(
    level: FloatArray, due: FloatArray, market: FloatArray, rows: BoolArray
) -> tuple[float, float]:
    """How often all models, and the benchmark, are below their medians in the calmest third."""
    together, alone = [], []
    for k in range(market.shape[1]):
        use = rows[:, k]
        calm = use & (market[:, k] <= np.quantile(market[use, k], 1.0 / 3.0))
        below = level[calm, k] < np.median(level[use, k], axis=0)
        together.append(below.all(axis=1).mean())
        alone.append((due[calm, k] < np.median(due[use, k])).mean())
    return float(np.mean(together)), float(np.mean(alone))
