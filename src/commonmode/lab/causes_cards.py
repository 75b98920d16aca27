"""Cards of a world of known causes: what is declared, among decoys and with mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from commonmode.core.ids import ComponentId, ModelId
from commonmode.lab.causes_design import (
    CardDesign,
    CardMistake,
    CauseDesign,
    CauseWorldDesign,
    NearDecoy,
)
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily

__all__ = ["Declaration", "Identifiability", "declare", "identifiability", "jaccard"]

_LAYERS = tuple(Layer)
Users = frozenset[int]


class Identifiability(Enum):
    """Whether data could ever tell the cause from everything else on the cards.

    ``YES``          no other component has its users, and none lies as close to the true users.
    ``TIED``         others are declared by the very same users: no data can tell them apart.
    ``MISDECLARED``  the cards are wrong and another component lies at least as close to the
                     true users as the cause does, by Jaccard or by the count of wrong declarations.
    ``UNSHARED``     the cards leave the cause fewer than two users.
    ``UNDECLARED``   the cause is not on the cards.
    """

    YES = "yes"
    TIED = "tied"
    MISDECLARED = "misdeclared"
    UNSHARED = "unshared"
    UNDECLARED = "undeclared"


@dataclass(frozen=True, slots=True)
class Declaration:
    """The cards and what was meant by them.

    Attributes
    ----------
    cards : tuple of Card
    users : mapping of ComponentId to frozenset of int
        Declared users of every component on the cards.
    causes : tuple of ComponentId
        Name of each designed cause, in order; on the cards unless undeclared.
    """

    cards: tuple[Card, ...]
    users: Mapping[ComponentId, Users]
    causes: tuple[ComponentId, ...]


@dataclass(slots=True)
class _Part:
    """A component being drawn."""

    layer: Layer
    weights: dict[int, float]

    @property
    def users(self) -> Users:
        return frozenset(self.weights)


def jaccard(a: Users, b: Users) -> float:
    """Size of the intersection over size of the union, 0 for two empty sets."""
    union = len(a | b)
    return len(a & b) / union if union else 0.0


def identifiability(
    declared: Mapping[ComponentId, Users], cause: ComponentId, truth: Users
) -> tuple[Identifiability, frozenset[ComponentId]]:
    """Whether the cause can be told, and the components declared by the same users (with itself).

    The second is empty where the cause is undeclared or unshared.
    """
    if cause not in declared:
        return Identifiability.UNDECLARED, frozenset()
    mine = declared[cause]
    if len(mine) < 2:
        return Identifiability.UNSHARED, frozenset()
    same = frozenset(name for name, users in declared.items() if users == mine)
    others = {users for users in declared.values() if len(users) >= 2 and users != mine}
    near, wrong = jaccard(mine, truth), len(mine ^ truth)
    if any(jaccard(users, truth) >= near or len(users ^ truth) <= wrong for users in others):
        return Identifiability.MISDECLARED, same
    return (Identifiability.YES if len(same) == 1 else Identifiability.TIED), same


def _layer(rng: np.random.Generator) -> Layer:
    return _LAYERS[int(rng.integers(len(_LAYERS)))]


def _weights(rng: np.random.Generator, users: Users) -> dict[int, float]:
    """All one in two fifths of the components, else uniform above a tenth."""
    drawn = rng.uniform(0.1, 1.0, len(users))
    if rng.random() < 0.4:
        drawn = np.ones(len(users))
    return {user: float(w) for user, w in zip(sorted(users), drawn, strict=True)}


def _cause_part(rng: np.random.Generator, cause: CauseDesign, informative: bool) -> _Part:
    """The cause with its true users; informative weights follow the loadings with some error."""
    weights = _weights(rng, frozenset(cause.users))
    spread = rng.uniform(0.8, 1.2, len(cause.users))
    if informative:
        loading = np.sqrt(np.array(cause.shares))
        follow = np.clip(loading / loading.max() * spread, 0.05, 1.0)
        weights = {u: float(w) for u, w in zip(cause.users, follow, strict=True)}
    return _Part(cause.layer, weights)


def _near(rng: np.random.Generator, kind: NearDecoy, users: Users, models: int) -> Users | None:
    """Users of a near decoy, None where the cause has too few users for its kind."""
    inside = [int(u) for u in rng.permutation(sorted(users))]
    outside = [int(u) for u in rng.permutation(sorted(set(range(models)) - users))]
    extra = int(rng.integers(1, 3))
    if kind is NearDecoy.SUBSET:
        return frozenset(inside[1:]) if len(inside) > 2 else None
    if kind is NearDecoy.SUPERSET:
        return users | frozenset(outside[:extra])
    half = max(1, len(inside) // 2)
    return frozenset(inside[:half] + outside[: len(inside) - half])


def _random_users(rng: np.random.Generator, models: int, houses: tuple[int, ...]) -> Users:
    """Users of a decoy: a group of any size, or most of a house and some of the others."""
    if not houses:
        size = int(rng.integers(2, max(2, models // 2) + 1))
        return frozenset(int(u) for u in rng.permutation(models)[:size])
    house = houses[int(rng.integers(models))]
    chance = np.where(np.array(houses) == house, 0.8, 0.1)
    chosen = np.flatnonzero(rng.random(models) < chance)
    if len(chosen) < 2:
        chosen = rng.permutation(models)[:2]
    return frozenset(int(u) for u in chosen)


def _decoys(
    rng: np.random.Generator, design: CardDesign, models: int, causes: list[_Part]
) -> list[_Part]:
    """Everything on the cards that causes nothing; only a twin has the users of a cause."""
    first = causes[0]
    parts: list[_Part] = []
    if design.twin:
        parts.append(_Part(_layer(rng), dict(first.weights)))
    near = [_near(rng, kind, first.users, models) for kind in design.near]
    everybody = frozenset(range(models))
    groups = [users for users in near if users is not None and len(users) >= 2]
    groups += [everybody] * design.everybody
    groups += [frozenset({int(rng.integers(models))}) for _ in range(design.single)]
    taken = {part.users for part in causes}
    groups = [users for users in groups if users not in taken]
    while len(causes) + len(parts) + len(groups) < design.components:
        users = _random_users(rng, models, design.houses)
        if users not in taken:
            groups.append(users)
    parts += [_Part(_layer(rng), _weights(rng, users)) for users in groups]
    return parts


def _mistaken(rng: np.random.Generator, part: _Part, mistake: CardMistake, models: int) -> _Part:
    """The cause as the cards have it."""
    weights = dict(part.weights)
    users = sorted(weights)
    if mistake is CardMistake.MISSING_USER:
        del weights[users[int(rng.integers(len(users)))]]
    else:
        others = sorted(set(range(models)) - set(users))
        weights[others[int(rng.integers(len(others)))]] = float(rng.uniform(0.1, 1.0))
    return _Part(part.layer, weights)


def declare(
    design: CauseWorldDesign, models: tuple[ModelId, ...], rng: np.random.Generator
) -> Declaration:
    """Draw the cards; names say nothing of what a component does.

    A mistake concerns the first cause. An undeclared cause leaves its name unused.
    """
    cards, count = design.cards, len(models)
    causes = [_cause_part(rng, cause, cards.informative_weights) for cause in design.causes]
    parts = causes + _decoys(rng, cards, count, causes)
    names = [ComponentId(f"component {n + 1:02d}") for n in rng.permutation(len(parts))]
    if cards.mistake is not None and cards.mistake is not CardMistake.UNDECLARED:
        parts[0] = _mistaken(rng, parts[0], cards.mistake, count)
    hidden = 1 if cards.mistake is CardMistake.UNDECLARED else 0
    shown = list(zip(names, parts, strict=True))[hidden:]
    uses: list[list[ComponentUse]] = [[] for _ in models]
    for name, part in shown:
        for user, weight in part.weights.items():
            uses[user].append(ComponentUse(name, part.layer, weight))
    return Declaration(
        cards=tuple(
            Card(
                model=model,
                family=ModelFamily.RISK,
                owner="laboratory",
                purpose="simulated quantile forecast",
                components=tuple(sorted(use, key=lambda one: one.component)),
            )
            for model, use in zip(models, uses, strict=True)
        ),
        users={name: part.users for name, part in sorted(shown, key=lambda pair: pair[0])},
        causes=tuple(names[: len(causes)]),
    )
