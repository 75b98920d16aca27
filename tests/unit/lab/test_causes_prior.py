"""The prior over worlds of known causes is what it says, and frozen."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from commonmode.lab.causes import cause_world
from commonmode.lab.causes_design import LAYER_MECHANISMS, CauseWorldDesign, WorldKind
from commonmode.lab.causes_prior import CAUSE_PRIOR_VERSION, draw_design
from commonmode.register.cards import Layer

HASH = "8099bbf320526260498425d7abea96fb3ba68ac700bd303d2345e1b3fc99a969"
# Seed, mean log of minus the forecast, effective number.
WORLDS = [
    (5, -3.10275208, 11.5556013),
    (18, -3.99232846, 2.15016878),
    (34, -3.89991447, 6.53848156),
]


def told(value: Any) -> str:
    """A design in words, with nine digits of every number."""
    if is_dataclass(value):
        return f"({','.join(told(getattr(value, field.name)) for field in fields(value))})"
    if isinstance(value, tuple):
        return f"[{','.join(told(part) for part in value)}]"
    return f"{value:.9g}" if isinstance(value, float) else str(value)


@pytest.fixture(scope="module")
def designs() -> list[CauseWorldDesign]:
    return [draw_design(seed) for seed in range(1000)]


def test_frozen_designs(designs: list[CauseWorldDesign]) -> None:
    """Worlds of version 1 never change; a new prior takes a new version and a new hash."""
    text = "\n".join(told(design) for design in designs[:50])
    assert CAUSE_PRIOR_VERSION == "1"
    assert hashlib.sha256(text.encode()).hexdigest() == HASH


@pytest.mark.parametrize(("seed", "size", "number"), WORLDS)
def test_frozen_worlds(seed: int, size: float, number: float) -> None:
    """What a design plays out to is frozen too."""
    world = cause_world(seed)
    assert np.nanmean(np.log(-world.forecast)) == pytest.approx(size, rel=1e-6)
    assert world.truth.effective_number == pytest.approx(number, rel=1e-6)


def test_shares_of_kinds(designs: list[CauseWorldDesign]) -> None:
    kinds = Counter(design.kind for design in designs)
    for kind, share in ((WorldKind.ONE, 0.6), (WorldKind.NONE, 0.25), (WorldKind.TWO, 0.15)):
        assert kinds[kind] / 1000 == pytest.approx(
            share, abs=4 * (share * (1 - share) / 1000) ** 0.5
        )


def test_ranges(designs: list[CauseWorldDesign]) -> None:
    for design in designs:
        assert 5 <= design.models <= 30
        assert 1_500 <= design.times <= 20_000
        assert 1 <= design.targets <= 5
        assert 0.01 <= design.level <= 0.05
        assert 0.3 <= design.benchmarks.noise <= 1.5
        assert len(design.crowd.windows) in (0, design.models)
        assert len(set(design.crowd.windows)) == len(design.crowd.windows)
        for cause in design.causes:
            assert 2 <= len(set(cause.users)) == len(cause.users) <= design.models // 2
            assert max(cause.shares) <= 0.9
            assert cause.mechanism in LAYER_MECHANISMS[cause.layer]
    layers = {cause.layer for design in designs for cause in design.causes}
    mechanisms = {cause.mechanism for design in designs for cause in design.causes}
    assert layers == set(Layer)
    assert mechanisms == {m for group in LAYER_MECHANISMS.values() for m in group}


def test_two_causes_leave_room(designs: list[CauseWorldDesign]) -> None:
    for design in designs:
        if design.kind is not WorldKind.TWO:
            continue
        first, second = design.causes
        assert first.layer is not second.layer
        common = set(first.users) & set(second.users)
        assert len(common) <= min(len(first.users), len(second.users)) // 2
        total = np.zeros(design.models)
        for cause in design.causes:
            total[list(cause.users)] += cause.shares
        assert total.max() <= 0.9 + 1e-12


def test_forced_kind_keeps_the_rest() -> None:
    none, one = (draw_design(11, kind=kind) for kind in (WorldKind.NONE, WorldKind.ONE))
    assert none.acting == ()
    assert one.acting == none.causes
    assert (none.market, none.crowd, none.factor) == (one.market, one.crowd, one.factor)
