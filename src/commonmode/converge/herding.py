"""Herding: does a model revise towards the others, and do outcomes say that it stayed too close?

*Revision*: a model's next change of deviation on its gap to the mean of the others, beside its gap
to the benchmark (moving towards what is right is no herding). A hidden part that outlives the
models' own deviations brings them together as well, without anybody looking at anybody. So a
revision counts as herding only if the model also follows the mean of the others in time, by the
tests of :mod:`commonmode.converge.propagation`.

*Outcomes*: who herds stays between its own view and the consensus, so outcomes lie beyond it, away
from the consensus, too often (Bernhardt, Campello and Kutsoati 2006, "Who herds?", J. Financial
Economics 80(3), here for breaches of a quantile as well). Who adds noise, or wants to stand out,
lies beyond its own view, and outcomes fall short of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.converge.lagged_views import LaggedViews, lagged_views
from commonmode.converge.propagation import Propagation
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.crosslags import following_contributions, lag_moments
from commonmode.stats.multiplicity import holm
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = ["Herding", "HerdingResult", "ModelHerding"]

_FEWEST = 30  # rows on either side of the consensus


@dataclass(frozen=True, slots=True)
class ModelHerding:
    """One model.

    Attributes
    ----------
    model : ModelId
    pull : float
        Part of the gap to the mean of the others that is closed at the next revision, beside the
        gap to the benchmark.
    p_pull : float
        Of no pull towards them, family-wise.
    p_follows : float
        Of not following their mean in time, Holm over models.
    herds : bool
        Both.
    outcomes : float
        Probability that the outcome lies beyond the model, away from the consensus, less that when
        the model is on the other side: positive for herding, negative for noise, standing out,
        or leaving unused what the others know.
    p_herding, p_apart : float
        One-sided, family-wise over models and both sides.
    """

    model: ModelId
    pull: float
    p_pull: float
    p_follows: float
    herds: bool
    outcomes: float
    p_herding: float
    p_apart: float


@dataclass(frozen=True, slots=True, eq=False)
class HerdingResult:
    """Herding of a population.

    Attributes
    ----------
    models : tuple of ModelHerding
        Largest pull first.
    rows, blocks : int
    pull : float
        Mean over models.
    outcomes : float
        Mean over models.
    p_outcomes : float
        Two-sided, of the mean.
    alpha : float
        Level at which the sentence calls something found.
    """

    models: tuple[ModelHerding, ...]
    rows: int
    blocks: int
    pull: float
    outcomes: float
    p_outcomes: float
    alpha: float = 0.05

    @property
    def sentence(self) -> str:
        """The number, how sure it is and what to do."""
        herd = [m.model for m in self.models if m.herds]
        pulled = [m.model for m in self.models if m.p_pull <= self.alpha]
        if herd:
            told = (
                f"{', '.join(herd)} revise towards the others and follow them in time: ask whether "
                "the consensus is among their inputs."
            )
        elif pulled:
            told = (
                f"{len(pulled)} of {len(self.models)} models draw nearer to the others (mean pull "
                f"{self.pull:.2f} of the gap a row) without following them in time: what they "
                "share lasts longer than what is their own; this is no herding."
            )
        else:
            told = "No model is seen to revise towards the others."
        if self.p_outcomes > self.alpha:
            return f"{told} Outcomes do not say that forecasts stay too close to the consensus."
        side = (
            "stay too close to the consensus"
            if self.outcomes > 0
            else "differ from the consensus by more than outcomes bear out (noise, or the others' "
            "information left unused)"
        )
        return f"{told} By their outcomes forecasts {side} (p = {self.p_outcomes:.2g})."


class Herding:
    """Herding estimator.

    Parameters
    ----------
    every : int
        Rows between revisions.
    alpha : float
        Level of every test, and of what the sentence calls found.
    flips : int
    market : bool
        As for :class:`~commonmode.converge.propagation.Propagation`.
    rng : int

    Attributes
    ----------
    result_ : HerdingResult
    """

    def __init__(
        self,
        *,
        every: int = 1,
        alpha: float = 0.05,
        flips: int = 1999,
        market: bool = True,
        rng: int = 0,
    ) -> None:
        self.every = every
        self.alpha = alpha
        self.flips = flips
        self.market = market
        self.rng = rng

    def fit(self, panel: ErrorPanel) -> Herding:
        """Compute the index.

        Raises
        ------
        PanelError
            Fewer than three models (two have no consensus), no benchmarks, or too few rows.
        """
        if len(panel.models) < 3 or panel.benchmark_a is None:
            raise PanelError(
                f"panel {panel.name}: {len(panel.models)} models"
                + ("" if panel.benchmark_a is not None else ", no benchmarks"),
                remedy="herding needs three models, and benchmarks to say what is right",
            )
        whole = lagged_views(panel, market=self.market)
        views = whole.thinned(self.every)
        n = views.series
        pull, pulls = self._pull(views)
        follows = holm(np.array([self._follows(views, i) for i in range(n)]))
        outcomes, beyond, mean_beyond = self._outcomes(panel, whole)
        models = [
            ModelHerding(
                model=model,
                pull=float(pull[i]),
                p_pull=float(pulls.p_adjusted[i]),
                p_follows=float(follows[i]),
                herds=bool(max(pulls.p_adjusted[i], follows[i]) <= self.alpha),
                outcomes=float(outcomes[i]),
                p_herding=float(beyond.p_adjusted[i]),
                p_apart=float(beyond.p_adjusted[n + i]),
            )
            for i, model in enumerate(panel.models)
        ]
        self.result_ = HerdingResult(
            models=tuple(sorted(models, key=lambda m: -m.pull)),
            rows=int(views.rows.any(axis=1).sum()),
            blocks=len(views.edges) - 1,
            pull=float(pull.mean()),
            outcomes=float(np.nanmean(outcomes)),
            p_outcomes=float(min(2.0 * mean_beyond.p_single.min(), 1.0)),
            alpha=self.alpha,
        )
        return self

    def _pull(self, views: LaggedViews) -> tuple[FloatArray, MaxTest]:
        """Coefficient on the gap to the others' mean, its block scores tested over all models."""
        _, k, n = views.x.shape
        coefficient = np.zeros(n)
        scores = np.zeros((len(views.edges) - 1, n))
        for target in range(k):
            x, y, rows = views.x[:, target], views.y[:, target], views.rows[:, target].copy()
            rows[:-1] &= rows[1:]
            rows[-1] = False
            for i in range(n):
                seen = []
                for view in (x, y):
                    others = np.delete(view, i, axis=1).mean(axis=1)
                    change = np.concatenate([np.diff(view[:, i]), [np.nan]])
                    seen.append(np.column_stack([change, others - view[:, i], view[:, i]]))
                moments, _ = lag_moments(seen[0], seen[1], 0, views.edges, rows)
                part, _ = following_contributions(moments, 1)
                scores[:, i] += part[:, 0, 0, 0] / k
                coefficient[i] += float(part[:, 0, 0, 0].sum()) / k
        test = sign_flip_max_test(
            scores, flips=self.flips, alpha=self.alpha, rng=stream(self.rng, "herding", "pull")
        )
        return coefficient, test

    def _follows(self, views: LaggedViews, i: int) -> float:
        """Adjusted p that model i follows the mean of the others."""
        x, y = (
            np.stack([v[:, :, i], np.delete(v, i, axis=2).mean(axis=2)], axis=2)
            for v in (views.x, views.y)
        )
        pair = LaggedViews(x, y, views.rows, views.edges, views.benchmarked, views.controls)
        search = Propagation(
            lag_grid=(1, 2, 3),
            horizons=(1,),
            alpha=self.alpha,
            flips=self.flips,
            draws=2,
            alike=2.0,
            rng=self.rng,
        )
        found = search.fit_views(pair, (ModelId("model"), ModelId("others")), name="revisions")
        return float(found.result_.p_pairs[0, 0, 1])

    def _outcomes(
        self, panel: ErrorPanel, views: LaggedViews
    ) -> tuple[FloatArray, MaxTest, MaxTest]:
        size = np.abs(panel.forecast)
        quantile = panel.kind is PanelKind.QUANTILE
        level = size if panel.kind in (PanelKind.QUANTILE, PanelKind.VOL) else panel.forecast
        outcome = -panel.outcome if quantile else panel.outcome
        n = len(panel.models)
        difference, blocks = np.zeros(n), np.zeros((len(views.edges) - 1, n))
        for i in range(n):
            consensus = np.median(np.delete(level, i, axis=2), axis=2)
            for k in range(level.shape[1]):
                use = views.rows[:, k] & (level[:, k, i] != consensus[:, k])
                above = use & (level[:, k, i] > consensus[:, k])
                below = use & ~above
                if min(above.sum(), below.sum()) < _FEWEST:
                    continue
                exceeds = (outcome[:, k] > level[:, k, i]).astype(np.float64)
                exceeds -= exceeds[use].mean()
                share = np.where(above, exceeds / above.sum(), 0.0)
                share -= np.where(below, exceeds / below.sum(), 0.0)
                difference[i] += share.sum() / level.shape[1]
                blocks[:, i] += np.add.reduceat(share, views.edges[:-1]) / level.shape[1]
        each = sign_flip_max_test(
            np.concatenate([blocks, -blocks], axis=1),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "herding", "outcomes"),
        )
        mean = blocks.mean(axis=1)
        joint = sign_flip_max_test(
            np.column_stack([mean, -mean]),
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "herding", "mean"),
        )
        return difference, each, joint
