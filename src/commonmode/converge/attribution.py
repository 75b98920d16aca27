"""C4: which shared part the co-movement is due to.

Two questions. *Which layer*: does similarity of data, assumptions or technique on the cards (or as
measured by interventions) go with moving together? A regression of pairs on pairs, nodes permuted
(:mod:`commonmode.stats.qap`). *Which component*: whose users move, or fail, together beyond what
each of them does with everybody, and beyond what pairs without it do for reasons of their own?
Contrasts of blocks of time, signs flipped (:mod:`commonmode.converge.groups`); benchmark noise and
the market cancel in them. The first needs many models, the second a long history; both are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from commonmode.converge.attribution_layers import (
    declared_similarity,
    regress_on_biases,
    regress_on_layers,
)
from commonmode.converge.attribution_result import (
    BIAS,
    INTERVENTIONAL,
    Attributed,
    AttributionResult,
    LayerRegression,
)
from commonmode.converge.bias_layer import EarlyBias
from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.groups import (
    Group,
    GroupContrast,
    account_for_overlap,
    blind_groups,
    contrast_groups,
    declared_groups,
    loadings,
    membership,
)
from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.core.result import Result
from commonmode.register.cards import Card
from commonmode.stats.contrasts import (
    Contrasts,
    fall_of_squares,
    group_contrasts,
    one_factor,
)
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = ["Attributed", "Attribution", "AttributionResult", "LayerRegression"]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One index's pairs: what blocks put into them."""

    name: str
    contributions: FloatArray
    crowd_sd: FloatArray | None = None

    @property
    def strict(self) -> bool:
        """Whether one effect per model has to go, however few they are."""
        return self.crowd_sd is not None


@dataclass(frozen=True, slots=True, eq=False)
class _Tests:
    """Every component's contrast in one view, by members, and the maximum's critical value."""

    contrasts: Mapping[tuple[ModelId, ...], GroupContrast]
    critical: float


class Attribution:
    """C4 estimator.

    Parameters
    ----------
    alpha : float
        Level of every test.
    flips, draws, permutations : int
        Sign flips of the contrasts, resamples of the ranks, permutations of the nodes.
    rng : int
        Seed; streams are derived from it by name.

    Attributes
    ----------
    result_ : AttributionResult
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        flips: int = 1999,
        draws: int = 999,
        permutations: int = 1999,
        rng: int = 0,
    ) -> None:
        self.alpha = alpha
        self.flips = flips
        self.draws = draws
        self.permutations = permutations
        self.rng = rng

    def fit(
        self,
        models: Sequence[ModelId],
        cards: Sequence[Card],
        comovement: EffectiveNumber,
        cofailure: ConditionalCoFailure | None = None,
        interventional: Mapping[str, FloatArray] | None = None,
        bias: EarlyBias | None = None,
    ) -> Attribution:
        """Attribute what C2 and C3 found.

        Parameters
        ----------
        models : sequence of ModelId, length N
            In the panel's order.
        cards : sequence of Card
        comovement : EffectiveNumber
            Fitted on the panel.
        cofailure : ConditionalCoFailure, optional
            Fitted on the panel; left out where it could not be.
        interventional : mapping of layer to float64, shape (N, N), optional
            Similarity as measured by perturbing components.
        bias : EarlyBias, optional
            From :func:`commonmode.converge.bias_layer.early_bias`: a shared bias is a common
            cause, whether or not a card names it.
        """
        groups = declared_groups(models, cards)
        views = [_View("deviation", comovement.contributions_, comovement.crowd_sd_)]
        if cofailure is not None and cofailure.contributions_ is not None:
            views.append(_View("co-failure", cofailure.contributions_))
        tested = [self._contrasts(view, groups, models) for view in views]
        # Co-failure is shown and decides nothing, so only co-movement needs the selection.
        tested[0] = self._selected(tested[0], views[0], models)
        components = self._ranked(views[0], tested, groups, models)
        standing = [one.group for one in components if one.is_cause]
        self.result_ = AttributionResult(
            components=components,
            undeclared=self._undeclared(views[0], standing, models),
            layers=self._layers(views, models, cards, interventional, bias),
            alpha=self.alpha,
            critical=tested[0].critical,
            models=len(models),
        )
        return self

    def _contrasts(self, view: _View, groups: Sequence[Group], models: Sequence[ModelId]) -> _Tests:
        contrasts, test = contrast_groups(
            view.contributions,
            groups,
            models,
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C4", view.name),
            crowd_sd=view.crowd_sd,
            factor_free=True,
        )
        critical = float("nan") if test is None else test.critical
        return _Tests({one.group.members: one for one in contrasts}, critical)

    def _selected(self, tests: _Tests, view: _View, models: Sequence[ModelId]) -> _Tests:
        """With those marked that are significant only because they overlap another."""
        marked = account_for_overlap(
            tuple(tests.contrasts.values()),
            view.contributions,
            models,
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C4", view.name, "overlap"),
            strict=view.strict,
            factor_free=True,
        )
        return replace(tests, contrasts={one.group.members: one for one in marked})

    def _ranked(
        self,
        view: _View,
        tested: Sequence[_Tests],
        groups: Sequence[Group],
        models: Sequence[ModelId],
    ) -> tuple[Attributed, ...]:
        if not groups:
            return ()
        pairs, members = view.contributions.sum(axis=0), membership(groups, models)
        contrasts = group_contrasts(view.contributions, members, strict=view.strict)
        again = self._resampled_fits(contrasts)
        ranks = 1 + (again[:, None, :] > again[:, :, None]).sum(axis=2)
        contested = members.astype(np.int64) @ members.T.astype(np.int64) >= 2
        np.fill_diagonal(contested, False)
        low, high = np.quantile(ranks, [0.05, 0.95], axis=0, method="nearest")
        found = []
        for g, group in enumerate(groups):
            own = tested[0].contrasts[group.members]
            found.append(
                Attributed(
                    group=group,
                    deviation=own,
                    cofailure=tested[1].contrasts[group.members] if len(tested) > 1 else None,
                    p_value=own.p_adjusted,
                    first_share=float(np.mean(ranks[:, g] == 1)),
                    ahead_share=float(
                        np.mean((again[:, [g]] > again[:, contested[g]]).all(axis=1))
                    ),
                    rank_low=int(low[g]),
                    rank_high=int(high[g]),
                    loadings=tuple(one_factor(pairs, members[g])[members[g]].tolist()),
                    is_cause=bool(
                        own.p_adjusted <= self.alpha
                        and own.estimate > 0
                        and own.identified
                        and not own.explained_by
                    ),
                )
            )
        fits = fall_of_squares(contrasts)
        best_fit = {group.members: float(fit) for group, fit in zip(groups, fits, strict=True)}
        found.sort(key=lambda one: (not one.is_cause, -best_fit[one.group.members]))
        return tuple(found)

    def _resampled_fits(self, contrasts: Contrasts) -> FloatArray:
        """Fit of each group in resamples of the blocks, shape (draws, M)."""
        blocks = len(contrasts.values)
        generator = stream(self.rng, "C4", "ranks")
        drawn = generator.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=self.draws)
        return fall_of_squares(contrasts, drawn.astype(np.float64))

    def _undeclared(
        self, view: _View, standing: Sequence[Group], models: Sequence[ModelId]
    ) -> tuple[GroupContrast, ...]:
        """Blind groups that hold together beyond the declared causes; disjoint."""
        blind = [g for g in blind_groups(models) if len(g.members) < len(models)]
        if not blind:
            return ()
        given = membership(standing, models) if standing else None
        found = group_contrasts(
            view.contributions,
            membership(blind, models),
            given,
            strict=view.strict,
            beside=loadings(view.contributions, given),
        )
        usable = np.flatnonzero(found.values.any(axis=0))
        blind = [blind[g] for g in usable]
        if not blind:
            return ()
        test = sign_flip_max_test(
            found.values[:, usable],
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C4", "undeclared"),
        )
        taken: set[ModelId] = set()
        kept = []
        for g in np.argsort(-test.t, kind="stable").tolist():
            if test.p_adjusted[g] > self.alpha or test.estimate[g] <= 0:
                break
            if taken & set(blind[g].members):
                continue
            members = _grown(blind[g], blind, test, self.alpha, taken, models)
            taken |= set(members)
            kept.append(
                GroupContrast(
                    group=Group(" + ".join(members), members),
                    estimate=float(np.clip(test.estimate[g], -1.0, 1.0)),
                    standard_error=float(test.standard_error[g]),
                    t=float(test.t[g]),
                    p_single=float(test.p_single[g]),
                    p_adjusted=float(test.p_adjusted[g]),
                    blocks=len(view.contributions),
                )
            )
        return tuple(kept)

    def _layers(
        self,
        views: Sequence[_View],
        models: Sequence[ModelId],
        cards: Sequence[Card],
        interventional: Mapping[str, FloatArray] | None,
        bias: EarlyBias | None,
    ) -> tuple[Result[LayerRegression], ...]:
        declared = declared_similarity(models, cards)
        found = [
            self._regression(graph, view, similarity)
            for graph, similarity in (
                ("declared", declared),
                (INTERVENTIONAL, interventional or MappingProxyType({})),
            )
            for view in (views if similarity else ())
        ]
        if bias is not None:
            rng = stream(self.rng, "C4", "layers", BIAS, views[0].name)
            found.append(
                regress_on_biases(
                    views[0].name,
                    bias,
                    declared,
                    permutations=self.permutations,
                    rng=rng,
                )
            )
        return tuple(found)

    def _regression(
        self, graph: str, view: _View, similarity: Mapping[str, FloatArray]
    ) -> Result[LayerRegression]:
        return regress_on_layers(
            graph,
            view.name,
            np.asarray(view.contributions.sum(axis=0)),
            similarity,
            permutations=self.permutations,
            rng=stream(self.rng, "C4", "layers", graph, view.name),
        )


def _grown(
    core: Group,
    blind: Sequence[Group],
    test: MaxTest,
    alpha: float,
    taken: set[ModelId],
    models: Sequence[ModelId],
) -> tuple[ModelId, ...]:
    """The group with every model that moves with each of its members, in the panel's order.

    Only pairs and triples are tested blind; a larger group shows as one of its parts.
    """
    with_pair = {
        frozenset(group.members)
        for g, group in enumerate(blind)
        if len(group.members) == 2 and test.p_single[g] <= alpha and test.estimate[g] > 0
    }
    members = set(core.members)
    for model in models:
        free = model not in taken and model not in members
        if free and all(frozenset((model, other)) in with_pair for other in members):
            members.add(model)
    return tuple(model for model in models if model in members)
