"""Bias built into models' design: of each one, and shared by all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.converge.bias_kinds import (
    BiasKind,
    anchoring,
    detectable_bias,
    identification,
    market_regime,
    moment_builders,
)
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import ShortPanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.blocks import block_edges, choose_block_count, integrated_autocorrelation_time
from commonmode.stats.moments import BlockMoments, unbiased_products
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = ["Bias", "BiasEstimate", "BiasResult", "bias_similarity", "pattern_similarity"]

_FEWEST_CELLS = 100
_FEWEST_TIMES = 60
_FEWEST_BREACHES = 5  # expected of a right quantile


@dataclass(frozen=True, slots=True)
class BiasEstimate:
    """One bias of one model, or of the crowd.

    Attributes
    ----------
    model : ModelId or None
        None for the mean over models.
    kind : BiasKind
    estimate, standard_error : float
        In the kind's own unit (:class:`BiasKind`).
    interval : (float, float)
        95 %, on its own.
    p_single, p_adjusted : float
        Two-sided; adjusted for all models and kinds (or, of the crowd, all kinds) at once.
    detectable : float
        A bias of this kind and no other that is found with 80 % probability at the adjusted level,
        of the sign that is harder to find; infinite where the blocks are too few to reject.
    cells : int
    """

    model: ModelId | None
    kind: BiasKind
    estimate: float
    standard_error: float
    interval: tuple[float, float]
    p_single: float
    p_adjusted: float
    detectable: float
    cells: int


@dataclass(frozen=True, slots=True, eq=False)
class BiasResult:
    """Biases of one panel.

    Attributes
    ----------
    models : tuple of ModelId, length N
    panel_kind : PanelKind
    level : float
        Of a quantile panel, else 0.
    kinds : tuple of BiasKind
        Those that the panel can carry.
    times, blocks : int
    estimates : tuple of BiasEstimate
        Models in order, kinds within.
    shared : tuple of BiasEstimate
        Of the mean over models.
    alpha : float
        Level of ``found`` and ``found_shared``.
    implied_level : float64, shape (N,)
        Share of outcomes below the forecast: the quantile that a model in fact reports, and the
        asymmetry of the loss under which it would be right (Elliott, Komunjer & Timmermann 2005).
    anchoring_by_regime : mapping of "calm" and "stress" to float64, shape (N,)
        Weight on the previous value after calm and after stress; empty without benchmarks.
    similarity : float64, shape (N, N)
        Alikeness of bias patterns beyond what all models have in common, in [-1, 1], 1 on the
        diagonal: a layer for attribution (C4).
    """

    models: tuple[ModelId, ...]
    panel_kind: PanelKind
    level: float
    kinds: tuple[BiasKind, ...]
    times: int
    blocks: int
    estimates: tuple[BiasEstimate, ...]
    shared: tuple[BiasEstimate, ...]
    alpha: float
    implied_level: FloatArray
    anchoring_by_regime: Mapping[str, FloatArray]
    similarity: FloatArray

    @property
    def found(self) -> tuple[BiasEstimate, ...]:
        """Biases of single models that hold after adjustment, clearest first."""
        return _clear(self.estimates, self.alpha)

    @property
    def found_shared(self) -> tuple[BiasEstimate, ...]:
        """Biases of the crowd that hold after adjustment, clearest first."""
        return _clear(self.shared, self.alpha)

    def of(self, kind: BiasKind) -> tuple[BiasEstimate, ...]:
        """Estimates of one kind, models in order."""
        return tuple(one for one in self.estimates if one.kind is kind)


def _clear(estimates: Sequence[BiasEstimate], alpha: float) -> tuple[BiasEstimate, ...]:
    clear = [one for one in estimates if one.p_adjusted <= alpha]
    return tuple(sorted(clear, key=_clearness))


def _clearness(one: BiasEstimate) -> float:
    """Smaller is clearer; what does not vary at all is clearest."""
    return -abs(one.estimate) / one.standard_error if one.standard_error > 0 else -math.inf


class Bias:
    """Bias tests of a panel.

    Parameters
    ----------
    alpha : float
        Level after adjustment.
    flips : int
    calm, stress : float
        A time is calm (stress) where the market's scale ranks at or below (above) this share of
        all that had been seen by then.
    warmup : int
        Times before the first rank.
    minimum_block_rows : int
    rng : int
        Seed.

    Attributes
    ----------
    result_ : BiasResult

    Notes
    -----
    Every kind is a mean or a slope, hence a sum over blocks of time whose true value is zero for a
    right forecast. Whole blocks are sign-flipped, for all models and kinds at once: what models
    have in common inside a block (the market's surprise, a common factor nobody listed) stays in
    it, so the level of the maximum is right however alike the models are. The crowd's bias is
    tested on the mean over models in the same way.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        flips: int = 1999,
        calm: float = 0.5,
        stress: float = 0.9,
        warmup: int = 100,
        minimum_block_rows: int = 1,
        rng: int = 0,
    ) -> None:
        self.alpha = alpha
        self.flips = flips
        self.calm = calm
        self.stress = stress
        self.warmup = warmup
        self.minimum_block_rows = minimum_block_rows
        self.rng = rng

    def fit(self, panel: ErrorPanel) -> Bias:
        """Compute the tests.

        Each model is judged on the times at which it answered.

        Parameters
        ----------
        panel : ErrorPanel
            With or without benchmarks; without them the kinds that need them are left out.

        Raises
        ------
        PanelError
            Fewer than 60 times, or a model with fewer than 100 forecasts that have an outcome, or
            with fewer than make five breaches of a right quantile.
        """
        # Of fewer breaches than a handful, none may come by chance, and signs say nothing.
        level = panel.level if panel.kind is PanelKind.QUANTILE else 1.0
        _check(panel, max(_FEWEST_CELLS, math.ceil(_FEWEST_BREACHES / level)))
        regime = market_regime(panel, calm=self.calm, stress=self.stress, warmup=self.warmup)
        moments, edges = _moments(panel, regime, self.minimum_block_rows)
        crowd = {kind: _crowd(m) for kind, m in moments.items()}
        single, shared = self._tested(moments, "models"), self._tested(crowd, "crowd")
        # A biased model no longer fails with the others: its kinds are tests of their own beside
        # theirs, as many as the crowd's, and the critical value rises by them.
        own = float(np.quantile(np.maximum(single.law, shared.law), 1.0 - self.alpha))
        self.result_ = BiasResult(
            models=panel.models,
            panel_kind=panel.kind,
            level=panel.level,
            kinds=tuple(moments),
            times=len(panel.times_ms),
            blocks=len(edges) - 1,
            estimates=self._estimates(panel, moments, panel.models, single, own),
            shared=self._estimates(panel, crowd, (None,), shared, shared.critical),
            alpha=self.alpha,
            implied_level=_implied_levels(panel),
            anchoring_by_regime=_by_regime(panel, regime, edges),
            similarity=pattern_similarity(tuple(moments.values())),
        )
        return self

    def _tested(self, moments: Mapping[BiasKind, BlockMoments], family: str) -> MaxTest:
        columns = np.concatenate([m.contributions for m in moments.values()], axis=1)
        return sign_flip_max_test(
            np.concatenate([columns, -columns], axis=1),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "bias", family),
        )

    def _estimates(
        self,
        panel: ErrorPanel,
        moments: Mapping[BiasKind, BlockMoments],
        models: Sequence[ModelId | None],
        test: MaxTest,
        critical: float,
    ) -> tuple[BiasEstimate, ...]:
        half = len(test.t) // 2
        single = np.minimum(1.0, 2.0 * np.minimum(test.p_single[:half], test.p_single[half:]))
        adjusted = np.minimum(test.p_adjusted[:half], test.p_adjusted[half:])
        detectable = [detectable_bias(panel, k, m, critical) for k, m in moments.items()]
        found = []
        for i, model in enumerate(models):
            for j, (kind, moment) in enumerate(moments.items()):
                if not np.isfinite(moment.estimate[i]):
                    continue
                column = j * len(models) + i
                error, (low, high) = moment.standard_error[i], moment.interval()[i]
                found.append(
                    BiasEstimate(
                        model=model,
                        kind=kind,
                        estimate=float(moment.estimate[i]),
                        standard_error=float(error),
                        interval=(float(low), float(high)),
                        p_single=float(single[column]),
                        p_adjusted=float(adjusted[column]),
                        detectable=float(detectable[j][i]),
                        cells=int(moment.rows[i]),
                    )
                )
        return tuple(found)


def bias_similarity(panel: ErrorPanel, *, minimum_block_rows: int = 1) -> FloatArray:
    """How alike the models' biases are, without testing any: ``BiasResult.similarity``.

    Parameters
    ----------
    panel : ErrorPanel
    minimum_block_rows : int

    Returns
    -------
    float64, shape (N, N)

    Raises
    ------
    PanelError
        Fewer than 60 times or 100 forecasts of a model.
    """
    _check(panel, _FEWEST_CELLS)
    use = Bias()
    regime = market_regime(panel, calm=use.calm, stress=use.stress, warmup=use.warmup)
    moments, _ = _moments(panel, regime, minimum_block_rows)
    return pattern_similarity(tuple(moments.values()))


def _moments(
    panel: ErrorPanel, regime: FloatArray, minimum_block_rows: int
) -> tuple[dict[BiasKind, BlockMoments], IntArray]:
    """Moments of the kinds that the panel can carry, and the edges of their blocks."""
    builders = moment_builders(panel, regime)
    t = len(panel.times_ms)
    # Row by row first: how long the dependence of what is summed lasts decides the blocks. Of its
    # noise: a bias itself would last as long as what it goes by.
    rowwise = {kind: build(block_edges(t, t)) for kind, build in builders.items()}
    memory = [
        integrated_autocorrelation_time(m.influence.mean(axis=1, keepdims=True))
        for m in rowwise.values()
    ]
    count = choose_block_count(t, max(memory))
    edges = block_edges(t, min(count, max(t // max(minimum_block_rows, 1), 1)))
    moments = {kind: m.over(edges) for kind, m in rowwise.items()}
    return {k: m for k, m in moments.items() if np.isfinite(m.estimate).any()}, edges


def _check(panel: ErrorPanel, fewest: int) -> None:
    if len(panel.times_ms) < _FEWEST_TIMES:
        raise ShortPanelError(
            f"panel {panel.name} has {len(panel.times_ms)} times; a bias needs {_FEWEST_TIMES}",
            remedy="give a longer panel",
        )
    answered = np.isfinite(identification(panel)).sum(axis=(0, 1))
    few = int(np.argmin(answered))
    if answered[few] < fewest:
        raise ShortPanelError(
            f"panel {panel.name}: {panel.models[few]} has {answered[few]} forecasts with an "
            f"outcome; a bias needs {fewest}",
            remedy="leave the model out or give a longer panel",
        )


def _crowd(moment: BlockMoments) -> BlockMoments:
    """The mean over the models that have an estimate."""
    there: BoolArray = np.isfinite(moment.estimate)
    return BlockMoments(
        estimate=moment.estimate[there].mean(keepdims=True),
        contributions=moment.contributions[:, there].mean(axis=1, keepdims=True),
        influence=moment.influence[:, there].mean(axis=1, keepdims=True),
        leverage=moment.leverage[:, there].mean(axis=1, keepdims=True),
        rows=moment.rows[there].max(keepdims=True),
        spread=moment.spread[there].mean(keepdims=True),
        tilt=moment.tilt[there].mean(keepdims=True),
        bulge=moment.bulge[there].mean(keepdims=True),
    )


def _implied_levels(panel: ErrorPanel) -> FloatArray:
    both = np.isfinite(panel.forecast) & np.isfinite(panel.outcome)[:, :, None]
    below = (panel.outcome[:, :, None] < panel.forecast) & both
    return np.asarray(below.sum(axis=(0, 1)) / both.sum(axis=(0, 1)))


def _by_regime(panel: ErrorPanel, regime: FloatArray, edges: IntArray) -> dict[str, FloatArray]:
    if panel.benchmark_a is None:
        return {}
    names = {"calm": regime == 0, "stress": regime == 1}
    return {
        name: anchoring(panel, edges, rows=rows).estimate
        for name, rows in names.items()
        if rows.any()
    }


def pattern_similarity(moments: Sequence[BlockMoments]) -> FloatArray:
    """How alike the models' patterns of bias are, shape (N, N).

    A pattern holds one number per kind: the model's estimate less the crowd's mean, in units of
    the kind's median standard error. Products of patterns come from different blocks
    (:func:`commonmode.stats.moments.unbiased_products`), so the market's surprise that is in every
    estimate does not make patterns alike. A model whose pattern is not larger than its sampling
    error is like nobody: products are divided by the patterns' sizes, but by no less than the
    standard deviation ``sqrt(2 F)`` of a size under pure noise.
    """
    features = []
    for moment in moments:
        there = np.isfinite(moment.estimate)
        error = float(np.median(moment.standard_error[there]))
        if not error > 0:
            continue
        centre = moment.contributions[:, there].mean(axis=1, keepdims=True)
        features.append(np.where(there, moment.contributions - centre, 0.0) / error)
    n = len(moments[0].estimate) if moments else 0
    if not features:
        return np.eye(n)
    product = unbiased_products(np.stack(features))
    size = np.maximum(np.diag(product), np.sqrt(2.0 * len(features)))
    similarity = np.clip(product / np.sqrt(np.outer(size, size)), -1.0, 1.0)
    np.fill_diagonal(similarity, 1.0)
    return np.asarray(similarity)
