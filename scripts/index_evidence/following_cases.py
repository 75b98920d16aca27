"""C5 and its tail, synchrony of recalibrations, herding."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
from evidence_case import Case, coverage, power, size

from commonmode.converge.herding import Herding
from commonmode.converge.propagation import Propagation
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.recalibration import RecalibrationSynchrony
from commonmode.converge.tail_propagation import TailPropagation
from following_worlds import (
    chain_strength,
    following_panel,
    following_views,
    pushed_tail,
    true_chain,
)
from recalibration_worlds import breaches, follower_of_the_crowd, revisions

__all__ = ["FOLLOWING_CASES"]

Answers = Mapping[str, bool | None]
_FLIPS = 499
_CHAIN = {("model-0", "model-1"), ("model-1", "model-2")}
_THROUGH = {("model-0", "model-2")}
_ROUGH = {"heavy": True, "regimes": True, "noise_memory": 0.5}


def _propagation(seed: int, missing: float, world: Mapping[str, object]) -> PropagationResult:
    views = following_views(seed=seed, **world)  # type: ignore[arg-type]
    panel = following_panel(*views, missing=missing, seed=seed)
    return Propagation(flips=_FLIPS, draws=199, rng=seed).fit(panel).result_


def _silent(seed: int, planted: float, *, missing: float = 0.0, **world: object) -> Answers:
    return {"somebody is said to follow": _propagation(seed, missing, world).rejects}


def _chain(seed: int, planted: float, *, missing: float = 0.0, **world: object) -> Answers:
    strength = float(world.pop("strength", planted))  # type: ignore[arg-type]
    found = _propagation(seed, missing, {"kind": "chain", "strength": strength, **world})
    links = {(k.sender, k.receiver) for k in found.links}
    total, lagged = true_chain(strength)
    last = found.splits[-1]
    low, high = last.total_interval
    passed = last.lagged_interval
    return {
        "first link found": ("model-0", "model-1") in links,
        "second link found": ("model-1", "model-2") in links,
        "a link that is none": bool(links - _CHAIN - _THROUGH),
        "total covered": low <= total <= high,
        "part passed on covered": None if passed is None else passed[0] <= lagged <= passed[1],
    }


@cache
def _printed_links() -> tuple[float, float]:
    """Strengths of chains whose first, or second, link is as large as chains of 0.12 print."""
    world = {"kind": "chain", "strength": 0.12}
    told = [_propagation(900_000 + s, 0.0, world) for s in range(30)]
    first = float(np.mean([t.minimum_detectable for t in told]))
    onward = float(np.mean([t.minimum_detectable_onward for t in told]))
    return chain_strength(first), chain_strength(onward, sender=1)


def _printed(which: int) -> float:
    return _printed_links()[which]


_LINKS = (power("first link found"), power("second link found"), size("a link that is none"))
_COVERS = (coverage("total covered"), coverage("part passed on covered"))
_SILENT = (size("somebody is said to follow"),)
_PROMISED = (power("first link found", 0.8), power("second link found"))
_ONWARD = (power("second link found", 0.8), power("first link found"))


def _propagation_cases() -> list[Case]:
    nobody = {
        "memories of their own": {"kind": "alone"},
        "own memories, heavy tails, regimes": {"kind": "alone", **_ROUGH},
        "own memories, 10 % of rows missing": {"kind": "alone", "missing": 0.1},
        "unlisted factor in all shocks": {"kind": "shared shocks"},
        "the same, heavy tails, regimes, 3 % missing": {
            "kind": "shared shocks",
            "missing": 0.03,
            **_ROUGH,
        },
        "unlisted lasting factor": {"kind": "hidden part"},
        "the same, heavy tails, regimes, 3 % missing ": {
            "kind": "hidden part",
            "missing": 0.03,
            **_ROUGH,
        },
        "unlisted factor, memories differ": {"kind": "filtered part"},
    }
    cases = [Case("C5", w, _SILENT, partial(_silent, **k)) for w, k in nobody.items()]  # type: ignore[arg-type]
    follows = {
        "chain, 0.10": {"strength": 0.10},
        "chain, 0.15": {"strength": 0.15},
        "chain, 0.20": {"strength": 0.20},
        "chain, 0.20, heavy tails, regimes": {"strength": 0.20, "heavy": True, "regimes": True},
        "chain, 0.20, 10 % of rows missing": {"strength": 0.20, "missing": 0.1},
    }
    for w, k in follows.items():
        asked = (*_LINKS, *_COVERS) if "0.20" in w else _LINKS
        cases.append(Case("C5", w, asked, partial(_chain, **k), worlds=100))  # type: ignore[arg-type]
    at_lag = partial(_chain, strength=0.2, lag=3)
    cases.append(Case("C5", "chain three rows behind, 0.20", _LINKS, at_lag, worlds=100))
    for w, asked, which in (
        ("chain of the size printed", _PROMISED, 0),
        ("chain of the size printed for further links", _ONWARD, 1),
    ):
        cases.append(Case("C5", w, asked, _chain, planted=partial(_printed, which)))
    return cases


def _tail(
    seed: int, planted: float, *, chance: float, missing: float = 0.0, **world: object
) -> Answers:
    x, y = following_views(seed=seed, **world)  # type: ignore[arg-type]
    if chance:
        x, y = pushed_tail(x, y, chance=chance, seed=seed + 1)
    panel = following_panel(x, y, missing=missing, seed=seed)
    found = TailPropagation(flips=_FLIPS, rng=seed).fit(panel).result_
    links = {(k.sender, k.receiver) for k in found.links}
    return {
        "somebody is said to follow": found.rejects,
        "the link is found": ("model-0", "model-1") in links,
        "another receiver is named": any(receiver != "model-1" for _, receiver in links),
    }


def _tail_cases() -> list[Case]:
    nobody = {
        "memories of their own": {"kind": "alone"},
        "unlisted factor, heavy tails, regimes": {"kind": "shared shocks", **_ROUGH},
        "unlisted lasting factor, heavy tails, regimes": {"kind": "hidden part", **_ROUGH},
        "memories differ, heavy tails, regimes": {"kind": "filtered part", **_ROUGH},
        "own memories, 10 % of rows missing": {"kind": "alone", "missing": 0.1},
    }
    cases = [
        Case("C5 in the tail", w, _SILENT, partial(_tail, chance=0.0, **k))  # type: ignore[arg-type]
        for w, k in nobody.items()
    ]
    asked = (power("the link is found"), size("another receiver is named"))
    for chance in (0.25, 0.5):
        for rough, words in ((False, ""), (True, ", heavy tails, regimes")):
            world = {"kind": "shared shocks", "heavy": rough, "regimes": rough}
            found = partial(_tail, chance=chance, **world)  # type: ignore[arg-type]
            cases.append(
                Case("C5 in the tail", f"falls follow {chance:g}{words}", asked, found, worlds=100)
            )
    return cases


def _synchrony(seed: int, planted: float, **world: float) -> Answers:
    share = world.pop("share", 0.0 if np.isnan(planted) else planted)
    steps = revisions(seed, share=share, **world)  # type: ignore[arg-type]
    found = RecalibrationSynchrony(flips=_FLIPS, draws=10, rng=seed).fit(steps).result_
    low, high = found.interval
    return {"found": found.rejects, "covered": low <= share <= high}


@cache
def _printed_synchrony() -> float:
    fit = RecalibrationSynchrony(flips=_FLIPS, draws=10)
    printed = [fit.fit(revisions(900_000 + s)).result_.minimum_detectable for s in range(30)]
    return float(np.mean(printed))


def _synchrony_cases() -> list[Case]:
    nothing = (size("found"), coverage("covered"))
    some = (power("found"), coverage("covered"))
    rows = (
        ("answers to the market alone", {"rough": False}, nothing),
        ("the same, heavy tails, regimes", {}, nothing),
        ("the same, 5 % missing", {"missing": 0.05}, nothing),
        ("a noisy market, 1.5 times", {"noise": 1.5}, nothing),
        ("one model a step behind another", {"follow": 0.4}, nothing),
        ("all answer the square of the move", {"bent": 0.3}, (power("found"),)),
        ("unlisted factor, 5 %", {"share": 0.05}, some),
        ("unlisted factor, 10 %", {"share": 0.1}, some),
        ("unlisted factor, 20 %", {"share": 0.2}, some),
        ("unlisted factor, 20 %, 5 % missing", {"share": 0.2, "missing": 0.05}, some),
    )
    index = "Recalibration"
    cases = [
        Case(index, w, q, partial(_synchrony, **k), worlds=200 if q is nothing else 100)
        for w, k, q in rows
    ]  # type: ignore[arg-type]
    asked = (power("found", 0.8), coverage("covered"))
    cases.append(
        Case(index, "factor of the size printed", asked, _synchrony, planted=_printed_synchrony)
    )
    return cases


def _herds(seed: int, planted: float, *, missing: float = 0.0, **world: object) -> Answers:
    views = following_views(seed=seed, **world)  # type: ignore[arg-type]
    panel = following_panel(*views, missing=missing, seed=seed)
    result = Herding(flips=_FLIPS, rng=seed).fit(panel).result_
    return {"somebody is said to herd": any(m.herds for m in result.models)}


def _pulled(seed: int, planted: float, *, pull: float) -> Answers:
    result = Herding(flips=_FLIPS, rng=seed).fit(follower_of_the_crowd(seed, pull)).result_
    herds = {m.model for m in result.models if m.herds}
    return {"found": "model-0" in herds, "another is said to herd": bool(herds - {"model-0"})}


def _outcomes(seed: int, planted: float, *, lean: float, **world: float) -> Answers:
    result = Herding(flips=_FLIPS, rng=seed).fit(breaches(seed, lean, **world)).result_
    (first,) = (m for m in result.models if m.model == "model-0")
    side = first.p_herding if lean > 0 else first.p_apart
    return {
        "model 0 is said to differ": min(first.p_herding, first.p_apart) <= 0.05,
        "found": side <= 0.05,
    }


def _herding_cases() -> list[Case]:
    nobody = {
        "memories of their own": {"kind": "alone"},
        "unlisted factor in all shocks": {"kind": "shared shocks"},
        "unlisted lasting factor": {"kind": "hidden part"},
        "unlisted factor, memories differ": {"kind": "filtered part"},
        "lasting factor, heavy tails, regimes, 3 % missing": {
            "kind": "hidden part",
            "missing": 0.03,
            **_ROUGH,
        },
    }
    asked = (size("somebody is said to herd"),)
    cases = [Case("Herding", w, asked, partial(_herds, **k), worlds=100) for w, k in nobody.items()]  # type: ignore[arg-type]
    found = (power("found"), size("another is said to herd"))
    for pull in (0.1, 0.2, 0.4):
        measure = partial(_pulled, pull=pull)
        cases.append(Case("Herding", f"one closes {pull:g} of its gap", found, measure, worlds=60))
    honest = (size("model 0 is said to differ"),)
    said = (power("found"),)
    rows = (
        ("outcomes: one knows the quantile", {"lean": 0.0}, honest),
        ("the same, heavier tails", {"lean": 0.0, "degrees": 2.5}, honest),
        ("the same, 10 % missing", {"lean": 0.0, "missing": 0.1}, honest),
        ("outcomes: 0.4 of the way to the others", {"lean": 0.4}, said),
        ("outcomes: 0.8 of the way to the others", {"lean": 0.8}, said),
        ("outcomes: 0.8 away from the others", {"lean": -0.8}, said),
    )
    for w, k, q in rows:
        cases.append(Case("Herding", w, q, partial(_outcomes, **k), worlds=100))  # type: ignore[arg-type]
    return cases


FOLLOWING_CASES = (
    *_propagation_cases(),
    *_tail_cases(),
    *_synchrony_cases(),
    *_herding_cases(),
)
