"""What C5 and the recalibration indices promise, on many worlds: size, power, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.herding import Herding
from commonmode.converge.propagation import Propagation
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.tail_propagation import TailPropagation
from following_worlds import Kind, chain_strength, following_panel, following_views, true_chain

pytestmark = pytest.mark.slow

WORLDS = 100
CHAIN = {("model-0", "model-1"), ("model-1", "model-2")}


def found(kind: Kind, seed: int, *, missing: float = 0.0, **world: object) -> PropagationResult:
    views = following_views(kind, seed, **world)  # type: ignore[arg-type]
    panel = following_panel(*views, missing=missing, seed=seed)
    return Propagation(flips=499, draws=199).fit(panel).result_


@pytest.mark.parametrize("kind", ["alone", "shared shocks", "hidden part", "filtered part"])
@pytest.mark.parametrize("rough", [False, True])
def test_nobody_follows_and_nobody_is_said_to(kind: Kind, rough: bool) -> None:
    """Heavy tails, two regimes, rows missing, benchmarks with a memory of their own."""
    world = {"heavy": rough, "regimes": rough, "noise_memory": 0.5 if rough else 0.9}
    share = np.mean(
        [
            found(kind, seed, missing=0.03 if rough else 0.0, **world).rejects
            for seed in range(1000, 1000 + WORLDS)
        ]
    )
    assert share <= 0.05 + 2.0 * np.sqrt(0.05 * 0.95 / WORLDS)


@pytest.mark.parametrize(
    ("world", "least"),
    [
        ({"strength": 0.15}, 0.8),
        ({"strength": 0.2, "lag": 3}, 0.85),
        ({"strength": 0.2, "heavy": True, "regimes": True}, 0.75),
    ],
)
def test_a_chain_is_found_link_by_link(world: dict[str, object], least: float) -> None:
    hits, wrong = 0, 0
    for seed in range(2000, 2000 + WORLDS):
        links = {(k.sender, k.receiver) for k in found("chain", seed, **world).links}
        hits += len(links & CHAIN)
        wrong += bool(links - CHAIN - {("model-0", "model-2")})
    assert hits / (2 * WORLDS) >= least
    assert wrong / WORLDS <= 0.05


@pytest.mark.parametrize("sender", [0, 1])
def test_what_is_promised_to_be_detectable_is_found(sender: int) -> None:
    """The first link, and one whose sender follows another, of the size printed for each."""
    told = [found("chain", 2400 + s, strength=0.12) for s in range(20)]
    sizes = [t.minimum_detectable_onward if sender else t.minimum_detectable for t in told]
    strength = chain_strength(float(np.mean(sizes)), sender=sender)
    link = (f"model-{sender}", f"model-{sender + 1}")
    hits = [
        link in {(k.sender, k.receiver) for k in found("chain", seed, strength=strength).links}
        for seed in range(2500, 2500 + 2 * WORLDS)
    ]
    assert 0.7 <= np.mean(hits) <= 0.92


@pytest.mark.parametrize("rough", [False, True])
def test_intervals_of_the_totals_cover(rough: bool) -> None:
    total, lagged = true_chain(0.2)
    covers, covers_lagged, known = 0, 0, 0
    for seed in range(3000, 3000 + WORLDS):
        last = found("chain", seed, strength=0.2, heavy=rough, regimes=rough).splits[-1]
        covers += last.total_interval[0] <= total <= last.total_interval[1]
        if last.lagged_interval is not None:
            known += 1
            covers_lagged += last.lagged_interval[0] <= lagged <= last.lagged_interval[1]
    assert covers / WORLDS >= 0.88
    assert covers_lagged / known >= 0.88


@pytest.mark.parametrize("kind", ["alone", "shared shocks", "hidden part", "filtered part"])
def test_tails_that_cluster_in_turbulence_do_not_follow(kind: Kind) -> None:
    rejected = 0
    for seed in range(4000, 4000 + WORLDS // 2):
        views = following_views(kind, seed, heavy=True, regimes=True)
        rejected += TailPropagation(flips=499).fit(following_panel(*views)).result_.rejects
    assert rejected / (WORLDS // 2) <= 0.12


@pytest.mark.parametrize("kind", ["alone", "shared shocks", "hidden part", "filtered part"])
def test_what_is_shared_is_not_called_herding(kind: Kind) -> None:
    herds = 0
    for seed in range(5000, 5000 + WORLDS // 2):
        result = Herding(flips=499).fit(following_panel(*following_views(kind, seed))).result_
        herds += any(m.herds for m in result.models)
    assert herds / (WORLDS // 2) <= 0.12
