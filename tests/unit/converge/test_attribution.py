"""C4: the planted part comes first, and what no card names is found all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.attribution import Attribution, AttributionResult
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.groups import declared_groups
from commonmode.core.ids import ComponentId
from commonmode.core.result import Failure, Success
from commonmode.lab.worlds import PLANTED, ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world
from commonmode.register.cards import Card, ComponentUse, Layer


def attribute(
    world: ForecastWorld, cards: tuple[Card, ...], **options: object
) -> AttributionResult:
    index = EffectiveNumber(flips=499, draws=99, rng=1)
    index.fit(panel_of_world(world), declared_groups(world.models, cards))
    c4 = Attribution(flips=499, draws=199, permutations=199, rng=1)
    return c4.fit(world.models, cards, index, **options).result_  # type: ignore[arg-type]


def uses(card: Card, component: str) -> bool:
    return any(use.component == component for use in card.components)


@pytest.fixture(scope="module")
def planted() -> ForecastWorld:
    return simulate_world(WorldConfig(planted_share=0.5, times=4_000), seed=3)


def test_the_planted_part_is_the_first_cause(planted: ForecastWorld) -> None:
    found = attribute(planted, planted.cards)
    first = found.components[0]
    assert PLANTED in {component for _, component in first.group.components}
    assert [one.group for one in found.causes] == [first.group]
    assert first.first_share > 0.9
    assert first.ahead_share > 0.9
    assert found.advised is first
    assert (first.rank_low, first.rank_high) == (1, 1)
    assert not found.undeclared
    assert PLANTED in found.sentence
    assert "take it apart first" in found.sentence
    # Everybody has a place, and only one of them is sure.
    assert len(found.components) == len(declared_groups(planted.models, planted.cards))


def without(world: ForecastWorld, *components: str) -> tuple[Card, ...]:
    return tuple(
        replace(card, components=tuple(u for u in card.components if u.component not in components))
        for card in world.cards
    )


def test_a_part_that_no_card_names_is_found_all_the_same(planted: ForecastWorld) -> None:
    # decoy 01 is used by the same models and one more: without it nothing stands for the part.
    found = attribute(planted, without(planted, PLANTED, "decoy 01"))
    assert set(found.undeclared[0].group.members) == set(planted.planted_models)
    assert "no card names" in found.sentence


def test_a_card_that_names_a_part_it_does_not_rest_on_is_said_to(planted: ForecastWorld) -> None:
    first = attribute(planted, without(planted, PLANTED)).causes[0]
    assert first.group.name == "decoy 01"
    by_model = dict(zip(first.group.members, first.loadings, strict=True))
    (extra,) = set(first.group.members) - set(planted.planted_models)
    assert abs(by_model[extra]) < 0.3 * min(by_model[m] for m in planted.planted_models)
    sentence = attribute(planted, without(planted, PLANTED)).sentence
    assert f"{extra} names it and does not move with the others" in sentence


def test_a_part_with_the_same_users_stands_beside_it(planted: ForecastWorld) -> None:
    twin = ComponentUse(ComponentId("twin"), Layer.VENDOR)
    cards = tuple(
        replace(card, components=(*card.components, twin)) if uses(card, PLANTED) else card
        for card in planted.cards
    )
    first = attribute(planted, cards).components[0]
    names = {component for _, component in first.group.components}
    assert {PLANTED, "twin"} <= names


def test_nothing_planted_nothing_found() -> None:
    world = simulate_world(WorldConfig(times=4_000), seed=8)
    found = attribute(world, world.cards)
    assert not found.causes
    assert not found.undeclared
    assert "None of" in found.sentence


def test_layers_are_regressed_on_both_graphs(planted: ForecastWorld) -> None:
    together = np.array(
        [[uses(a, PLANTED) and uses(b, PLANTED) for a in planted.cards] for b in planted.cards],
        dtype=float,
    )
    found = attribute(planted, planted.cards, interventional={"technique": together})
    graphs = [layer.value.graph for layer in found.layers if isinstance(layer, Success)]
    assert graphs == ["declared", "interventional"]
    measured = found.layers[1]
    assert isinstance(measured, Success)
    regression = measured.value.regression
    assert regression.names == ("technique",)
    # Three of eight users: one of 56 placings of the three is the observed one.
    assert regression.p_greater[0] < 0.05
    assert regression.coefficient[0] > 0.2


def test_too_few_models_to_permute_is_said(planted: ForecastWorld) -> None:
    some = planted.models[:4]
    cards = tuple(card for card in planted.cards if card.model in some)
    panel = panel_of_world(planted).select_models(some)
    index = EffectiveNumber(flips=199, draws=49).fit(panel, declared_groups(some, cards))
    found = Attribution(flips=199, draws=49).fit(some, cards, index).result_
    assert all(isinstance(layer, Failure) for layer in found.layers)


def test_without_cards_there_is_nothing_to_rank(planted: ForecastWorld) -> None:
    found = attribute(planted, ())
    assert found.components == ()
    assert found.layers == ()
    assert set(found.undeclared[0].group.members) == set(planted.planted_models)


@pytest.mark.slow
def test_false_alarms_at_the_stated_level() -> None:
    """No component is a cause in 95 % of worlds where nothing is planted."""
    alarms = 0
    worlds = 200
    for seed in range(worlds):
        world = simulate_world(WorldConfig(times=2_000), seed=20_000 + seed)
        alarms += bool(attribute(world, world.cards).causes)
    assert alarms / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)
