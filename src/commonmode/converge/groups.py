"""Groups of models whose co-movement is tested: declared components, or all small groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import stdtrit

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.ids import ComponentId, ModelId
from commonmode.register.cards import Card, Layer
from commonmode.register.graph import common_cause_graph
from commonmode.stats.comovement import pair_index
from commonmode.stats.contrasts import (
    factor_free_contrasts,
    fall_of_squares,
    group_contrasts,
    group_means,
    one_factor,
)
from commonmode.stats.signflip import MaxTest, sign_flip_max_test

__all__ = [
    "Group",
    "GroupContrast",
    "account_for_overlap",
    "blind_groups",
    "contrast_groups",
    "declared_groups",
]


@dataclass(frozen=True, slots=True)
class Group:
    """Models that may act as one.

    Attributes
    ----------
    name : str
    members : tuple of ModelId
    components : tuple of (Layer, ComponentId)
        Declared components used by exactly these models; empty for a group found blind.
        Components with the same users cannot be told apart by any data and stand together.
    """

    name: str
    members: tuple[ModelId, ...]
    components: tuple[tuple[Layer, ComponentId], ...] = ()


@dataclass(frozen=True, slots=True)
class GroupContrast:
    """How much more a group's models move (or fail) together than with everybody else.

    Attributes
    ----------
    group : Group
    estimate : float
        Excess of the group's pair correlation (C2), or of its share of co-failure (C3).
    standard_error, t : float
    p_single, p_adjusted : float
        One-sided; adjusted for all groups looked at together.
    identified : bool
        False when (nearly) everybody is in the group: there is nobody to compare with, the estimate
        is the group's mean, and a blind spot of the benchmark would look the same. Without
        benchmarks such a mean says nothing, and the estimate is zero.
    confounded_with : tuple of str
        Other groups whose contrast is the same by algebra (a group and its complement): no data
        can tell them apart.
    explained_by : str
        A group ranked higher whose overlap with this one accounts for it: with that group in the
        regression nothing significant is left. Empty if it stands on its own.
    between_pairs : float
        Part of the standard error that is due to pairs being unlike one another for reasons of
        their own: a longer history does not make it smaller. 0 where it was not estimated.
    blocks : int
        Of time that the standard error rests on; 0 where that is not known.
    """

    group: Group
    estimate: float
    standard_error: float
    t: float
    p_single: float
    p_adjusted: float
    identified: bool = True
    confounded_with: tuple[str, ...] = ()
    explained_by: str = ""
    between_pairs: float = 0.0
    blocks: int = 0

    @property
    def centred_error(self) -> float:
        """Standard error about the estimate; ``standard_error`` is about none, as tests ask.

        NaN where the blocks are not known.
        """
        if self.blocks < 2:
            return float("nan")
        own, between = self.standard_error**2, self.between_pairs**2
        within = max(own - between - (self.t * self.standard_error) ** 2 / self.blocks, 0.0)
        return float(np.sqrt(within * self.blocks / (self.blocks - 1) + between))

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, Student's over blocks; NaN where those are not known."""
        if self.blocks < 2:
            return float("nan"), float("nan")
        half = float(stdtrit(self.blocks - 1, 0.975)) * self.centred_error
        return max(self.estimate - half, -1.0), min(self.estimate + half, 1.0)


def declared_groups(models: Sequence[ModelId], cards: Sequence[Card]) -> tuple[Group, ...]:
    """Groups of the panel's models that share a declared component (at least two users)."""
    mine = [card for card in cards if card.model in models]
    if not mine:
        return ()
    graph = common_cause_graph(mine)
    by_members: dict[tuple[ModelId, ...], list[tuple[Layer, ComponentId]]] = {}
    for column, key in enumerate(graph.components):
        users = set(graph.members(column))
        members = tuple(m for m in models if m in users)
        if len(members) >= 2:
            by_members.setdefault(members, []).append(key)
    return tuple(
        Group(" + ".join(dict.fromkeys(c for _, c in keys)), members, tuple(keys))
        for members, keys in by_members.items()
    )


def blind_groups(models: Sequence[ModelId], *, triples_up_to: int = 20) -> tuple[Group, ...]:
    """Every pair, every triple (up to ``triples_up_to`` models) and the whole crowd."""
    sizes = (2, 3) if len(models) <= triples_up_to else (2,)
    small = [Group(" + ".join(g), g) for size in sizes for g in combinations(models, size)]
    if len(models) > 3:
        small.append(Group("all models", tuple(models)))
    return tuple(small)


def membership(groups: Sequence[Group], models: Sequence[ModelId]) -> BoolArray:
    """Who is in which group, bool, shape (M, N)."""
    return np.array([[m in g.members for m in models] for g in groups], dtype=bool)


def contrast_groups(
    contributions: FloatArray,
    groups: Sequence[Group],
    models: Sequence[ModelId],
    *,
    flips: int,
    alpha: float,
    rng: int | np.random.Generator,
    crowd_sd: FloatArray | None = None,
    factor_free: bool = False,
) -> tuple[tuple[GroupContrast, ...], MaxTest | None]:
    """Contrast of every group, tested together, largest t first.

    Groups with the same contrast (``confounded_with``) stand by the mean of their own pairs.

    Parameters
    ----------
    contributions : float64, shape (B, P)
        Block contributions of every pair.
    groups : sequence of Group
    models : sequence of ModelId, length N
    flips, alpha, rng
        As in :func:`commonmode.stats.signflip.sign_flip_max_test`.
    crowd_sd : float64, shape (N,), optional
        Given when ``contributions`` are covariances of deviations from the crowd's own mean.
        Centring puts ``-(v_i + v_j) / N`` and a constant into each pair's covariance: an effect per
        model, so contrasts free of these are zero when models are independent, however unequal the
        variances v (those of correlations are not). Estimates are in units of the mean product of
        the members' standard deviations, given here.
    factor_free : bool
        Contrasts beyond unlisted factors that may move all models unequally, tested against how
        unlike the other pairs are (:func:`commonmode.stats.contrasts.factor_free_contrasts`).
    """
    if not groups:
        return (), None
    members = membership(groups, models)
    contrast = factor_free_contrasts if factor_free else group_contrasts
    found = contrast(contributions, members, strict=crowd_sd is not None, scale=crowd_sd)
    alike = _same_contrast(found.weights, groups, members)
    test = sign_flip_max_test(
        found.values,
        flips=flips,
        alpha=alpha,
        rng=rng,
        between=found.between,
        freedom=found.freedom,
    )
    between = np.zeros(len(groups)) if found.between is None else found.between
    # Of groups with the same contrast the one whose own pairs are larger comes first.
    own = group_means(contributions.sum(axis=0), members)
    order = np.lexsort((-own, -np.round(test.t, 6)))
    contrasts = tuple(
        GroupContrast(
            group=groups[g],
            estimate=float(np.clip(test.estimate[g], -1.0, 1.0)),
            standard_error=float(test.standard_error[g]),
            t=float(test.t[g]),
            p_single=float(test.p_single[g]),
            p_adjusted=float(test.p_adjusted[g]),
            identified=bool(found.told_apart[g]),
            confounded_with=alike[g],
            between_pairs=float(between[g]),
            blocks=len(contributions),
        )
        for g in order
    )
    return contrasts, test


def account_for_overlap(
    contrasts: Sequence[GroupContrast],
    contributions: FloatArray,
    models: Sequence[ModelId],
    *,
    flips: int,
    alpha: float,
    rng: int | np.random.Generator,
    strict: bool = False,
    factor_free: bool = False,
) -> tuple[GroupContrast, ...]:
    """Mark significant groups that are significant only because they overlap another.

    Forward selection: of the significant groups the one whose indicator fits the pairs best
    (largest fall of the sum of squares) stands first; each further one has to be significant,
    adjusted for those still waiting, beside the indicators and the one factor each of those that
    stand. Fit, not t, decides the order: where a shared part is strong, groups that overlap its
    users are all as significant as the part itself.

    Parameters
    ----------
    contrasts : sequence of GroupContrast
        As from :func:`contrast_groups`.
    contributions : float64, shape (B, P)
    models : sequence of ModelId, length N
    flips, alpha, rng
        Of the tests.
    strict : bool
        As in :func:`commonmode.stats.comovement.contrast_weights`.
    factor_free : bool
        As in :func:`contrast_groups`.
    """
    waiting = [c for c in contrasts if c.identified and c.p_adjusted <= alpha and c.estimate > 0]
    standing: list[Group] = []
    while waiting:
        given = membership(standing, models) if standing else None
        mine = membership([contrast.group for contrast in waiting], models)
        found = group_contrasts(
            contributions, mine, given, strict=strict, beside=loadings(contributions, given)
        )
        # What an unlisted factor takes from the test it must not take from the comparison: the
        # users of a strong part look like a factor of their own.
        fits = fall_of_squares(found)
        passes = np.ones(len(waiting), dtype=np.bool_)
        if standing:
            tested = (
                factor_free_contrasts(contributions, mine, given, strict=strict)
                if factor_free
                else found
            )
            test = sign_flip_max_test(
                tested.values,
                flips=flips,
                rng=rng,
                between=tested.between,
                freedom=tested.freedom,
            )
            passes = (test.p_adjusted <= alpha) & tested.told_apart
        usable = np.flatnonzero(passes & (fits > 0))
        if not len(usable):
            break
        standing.append(waiting.pop(int(usable[np.argmax(fits[usable])])).group)
    explained = {
        contrast.group.members: _widest_overlap(contrast.group, standing) for contrast in waiting
    }
    return tuple(
        replace(contrast, explained_by=explained.get(contrast.group.members, ""))
        for contrast in contrasts
    )


def loadings(contributions: FloatArray, standing: BoolArray | None) -> FloatArray | None:
    """One factor per standing group as columns of pairs, shape (P, R); None where none stands."""
    if standing is None:
        return None
    pairs = contributions.sum(axis=0)
    rows, columns = pair_index(standing.shape[1])
    loading = np.stack([one_factor(pairs, members) for members in standing])
    return np.asarray((loading[:, rows] * loading[:, columns]).T)


def _widest_overlap(group: Group, standing: Sequence[Group]) -> str:
    if not standing:
        return ""
    members = set(group.members)
    return standing[int(np.argmax([len(members & set(one.members)) for one in standing]))].name


def _same_contrast(
    weights: FloatArray | None, groups: Sequence[Group], members: BoolArray
) -> list[tuple[str, ...]]:
    """Names of the other groups with the same weights, per group.

    Where the weights were too many to be held, those of complementary groups: their indicators
    differ by effects of single models, so their contrasts are the same.
    """
    if weights is not None:
        keys = [row.round(9).tobytes() for row in weights + 0.0]
    else:
        # Either half of the models stands for both: the one without the first model.
        keys = [(row ^ row[0]).tobytes() for row in members]
    names: dict[bytes, list[str]] = {}
    for key, group in zip(keys, groups, strict=True):
        names.setdefault(key, []).append(group.name)
    return [
        tuple(name for name in names[key] if name != group.name)
        for key, group in zip(keys, groups, strict=True)
    ]
