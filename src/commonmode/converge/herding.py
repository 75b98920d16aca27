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

from commonmode.converge.comovement import POWER
from commonmode.converge.finding import between, found_from, plain, some_of
from commonmode.converge.lagged_views import LaggedViews, lagged_views
from commonmode.converge.propagation import Propagation
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.block_spread import block_error, block_interval
from commonmode.stats.crosslags import following_contributions, lag_moments
from commonmode.stats.detectable import detectable_effect
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
    pull_interval : (float, float)
        95 %, Student's over blocks.
    pull_detectable : float
        Pull of one model that is found with 80 % probability.
    outcomes : float
        Mean over models.
    outcomes_interval : (float, float)
    outcomes_detectable : float
        Of the mean.
    p_outcomes : float
        Two-sided, of the mean.
    alpha : float
        Level at which the sentence calls something found.
    """

    models: tuple[ModelHerding, ...]
    rows: int
    blocks: int
    pull: float
    pull_interval: tuple[float, float]
    pull_detectable: float
    outcomes: float
    outcomes_interval: tuple[float, float]
    outcomes_detectable: float
    p_outcomes: float
    alpha: float = 0.05

    @property
    def sentence(self) -> str:
        """The numbers, how sure they are, what would have been found, and what to do."""
        herd = [m.model for m in self.models if m.herds]
        pulled = [m.model for m in self.models if m.p_pull <= self.alpha]
        pull = (
            f"mean pull {plain(self.pull, '+.2f')} of the gap a row "
            f"({between(*self.pull_interval, '+.2f')}; {found_from(self.pull_detectable)} in one "
            "model)"
        )
        todo = []
        if herd:
            told = f"{some_of(herd)} revise towards the others and follow them in time: {pull}."
            todo.append("ask whether the consensus is among their inputs")
        elif pulled:
            told = (
                f"{len(pulled)} of {len(self.models)} models draw nearer to the others without "
                f"following them in time: {pull}; what they share lasts longer than what is their "
                "own, and this is no herding."
            )
        else:
            told = f"No model is seen to revise towards the others: {pull}."
        sure = (
            f"{self.outcomes:+.3f} in probability, {between(*self.outcomes_interval, '+.3f')}; "
            f"p = {self.p_outcomes:.2g}; {found_from(self.outcomes_detectable, '.3f')}"
        )
        if not any(self.outcomes_interval):
            said = (
                "Too few forecasts lie on either side of the consensus for outcomes to say more "
                "(no interval, no detectable effect)."
            )
        elif self.p_outcomes > self.alpha:
            said = f"Outcomes do not say that forecasts stay too close to the consensus ({sure})."
        elif self.outcomes > 0:
            said = f"By their outcomes forecasts stay too close to the consensus ({sure})."
            todo.append("let them go as far as their own view does")
        else:
            said = (
                "By their outcomes forecasts differ from the consensus by more than outcomes bear "
                f"out ({sure}): noise, or the others' information left unused."
            )
            todo.append("shrink the differences, or read what the others read")
        if not todo:
            todo.append("nothing; smaller sizes would not have been seen")
        return f"{told} {said} What to do: {'; '.join(todo)}."


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
        pull, towards, pulls = self._pull(views)
        follows = holm(np.array([self._follows(views, i) for i in range(n)]))
        outcomes, apart, beyond, mean_beyond = self._outcomes(panel, whole)
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
            pull_interval=_interval(towards.mean(axis=1)),
            pull_detectable=detectable_effect(pulls.critical, len(towards), power=POWER)
            * float(np.median(block_error(towards))),
            outcomes=float(np.nanmean(outcomes)),
            outcomes_interval=_interval(apart),
            outcomes_detectable=detectable_effect(mean_beyond.critical, len(apart), power=POWER)
            * float(block_error(apart)),
            p_outcomes=float(min(2.0 * mean_beyond.p_single.min(), 1.0)),
            alpha=self.alpha,
        )
        return self

    def _pull(self, views: LaggedViews) -> tuple[FloatArray, FloatArray, MaxTest]:
        """Coefficient on the gap to the others' mean, its block scores, their test over models."""
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
        return coefficient, scores, test

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
    ) -> tuple[FloatArray, FloatArray, MaxTest, MaxTest]:
        """Of each model, blocks of the mean over models, and the tests of both."""
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
        return difference, mean, each, joint


def _interval(contributions: FloatArray) -> tuple[float, float]:
    low, high = block_interval(contributions)
    return float(low), float(high)
