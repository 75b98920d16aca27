"""What cards say: C1's interval, and C4's regressions of co-movement on the cards' layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from evidence_case import Case, coverage, power, size
from evidence_series import lasting

from commonmode.converge.attribution_layers import declared_similarity, regress_on_layers
from commonmode.converge.comovement import EffectiveNumber
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import ComponentId
from commonmode.core.random import stream
from commonmode.core.result import Failure
from commonmode.lab.worlds import ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily
from commonmode.register.graph import jaccard, similarity_interval

__all__ = ["LAYER_CASES"]

Answers = Mapping[str, bool | None]
_LAYERS = (Layer.DATA, Layer.ASSUMPTION, Layer.TECHNIQUE, Layer.CALIBRATION)
_CAUSE = _LAYERS.index(Layer.TECHNIQUE)
_MODELS = 12
_TIMES = 3000
_PERMUTATIONS = 399


def _crowd(
    seed: int,
    *,
    share: float = 0.0,
    alike: float = 0.0,
    factor: float = 0.0,
    heavy: bool = False,
    regimes: bool = False,
    missing: float = 0.0,
    wrong: float = 0.0,
) -> tuple[ForecastWorld, tuple[Card, ...]]:
    """Twelve models, each with one of three parts in four layers; those of a technique share.

    Parameters
    ----------
    share : float
        Of the deviation variance, among models of one technique.
    alike : float
        Chance that a model takes its data along with its technique.
    factor : float
        Carried by a factor on no card, 0 to 2 times as much in each model.
    heavy, regimes, missing
        Four degrees of freedom; three times as large in spells; forecasts that are not there.
    wrong : float
        Share of all entries on the cards that name another part.
    """
    rng = stream(seed, "layers")
    parts = rng.integers(0, 3, (_MODELS, len(_LAYERS)))
    taken = rng.random(_MODELS) < alike
    parts[:, 0] = np.where(taken, parts[:, _CAUSE], parts[:, 0])
    world = simulate_world(WorldConfig(models=_MODELS, times=_TIMES, decoys=0), seed=seed)
    shared = lasting(rng, _TIMES, 3, 0.9, heavy)[:, parts[:, _CAUSE]]
    loading = np.sqrt(factor) * rng.uniform(0.0, 2.0, _MODELS)
    deviation = np.sqrt(1.0 - share) * lasting(rng, _TIMES, _MODELS, 0.9, heavy)
    deviation += np.sqrt(share) * shared + loading * lasting(rng, _TIMES, 1, 0.9, heavy)
    if regimes:
        turns = np.cumsum(rng.random((_TIMES, _MODELS)) < 0.01, axis=0)
        deviation *= np.where(turns % 2 == 1, 3.0, 1.0)
    forecast = world.true_quantile[:, None] * np.exp(0.15 * deviation)
    forecast[rng.random(forecast.shape) < missing] = np.nan
    off = rng.random(parts.shape) < wrong
    named = np.where(off, (parts + rng.integers(1, 3, parts.shape)) % 3, parts)
    return replace(world, forecast=forecast), _cards(world, named)


def _cards(world: ForecastWorld, named: IntArray) -> tuple[Card, ...]:
    return tuple(
        Card(
            model,
            ModelFamily.RISK,
            components=tuple(
                ComponentUse(ComponentId(f"{layer.value} {part}"), layer)
                for layer, part in zip(_LAYERS, row, strict=True)
            ),
        )
        for model, row in zip(world.models, named.tolist(), strict=True)
    )


def _layers(seed: int, planted: float, **options: float) -> Answers:
    world, cards = _crowd(seed, **options)  # type: ignore[arg-type]
    found = EffectiveNumber(flips=19, draws=2, rng=seed).fit(panel_of_world(world))
    answer = regress_on_layers(
        "declared",
        "deviation",
        np.asarray(found.contributions_.sum(axis=0)),
        declared_similarity(world.models, cards),
        permutations=_PERMUTATIONS,
        rng=seed,
    )
    names = ("the layer is found", "another layer is blamed", "some layer is blamed")
    if isinstance(answer, Failure):
        return dict.fromkeys(names)
    told = dict(zip(answer.value.regression.names, answer.value.regression.p_greater, strict=True))
    cause = told[Layer.TECHNIQUE.value]
    others = [p for name, p in told.items() if name != Layer.TECHNIQUE.value]
    # Each layer is a test of its own: one of the others stands for them.
    return {
        "the layer is found": bool(cause <= 0.05),
        "another layer is blamed": bool(others[0] <= 0.05),
        "some layer is blamed": bool(min(cause, *others) * len(told) <= 0.05),
    }


def _layer_cases() -> list[Case]:
    index = "C4, layers"
    none = (size("another layer is blamed"), size("some layer is blamed"))
    some = (power("the layer is found"), size("another layer is blamed"))
    rough = {"heavy": True, "regimes": True, "missing": 0.03}
    rows = (
        ("nothing is shared", {}, none),
        ("the same, heavy tails, regimes, 3 % missing", rough, none),
        ("unlisted factor of unequal weight, 30 %", {"factor": 0.3}, none),
        ("the same, data taken along with techniques", {"factor": 0.3, "alike": 0.7}, none),
        ("a technique carries 10 %", {"share": 0.1}, some),
        ("a technique carries 20 %", {"share": 0.2}, some),
        ("20 %, data taken along", {"share": 0.2, "alike": 0.7}, some),
        ("20 %, heavy tails, regimes, 3 % missing", {"share": 0.2, **rough}, some),
        ("20 %, unlisted factor", {"share": 0.2, "factor": 0.3}, some),
        ("20 %, a tenth of the cards' entries wrong", {"share": 0.2, "wrong": 0.1}, some),
        ("20 %, a third wrong", {"share": 0.2, "wrong": 1 / 3}, some),
        ("20 %, a third wrong, data taken along",
         {"share": 0.2, "wrong": 1 / 3, "alike": 0.7}, some),
    )  # fmt: skip
    return [
        Case(index, w, q, partial(_layers, **k), worlds=300 if q is none else 100)  # type: ignore[arg-type]
        for w, k, q in rows
    ]


def _similarity(
    seed: int,
    planted: float,
    *,
    forgotten: float = 0.0,
    invented: float = 0.0,
    off: float = 0.0,
    concentration: float = 0.0,
    assumed: bool = False,
) -> Answers:
    """True uses of 15 parts by 10 models, and cards that say something else of them.

    Parameters
    ----------
    forgotten, invented : float
        Share of uses that are not on the card, and of parts on it that are not used.
    off : float
        Weights on the cards are so many times the true ones.
    concentration : float
        Of the Beta law of the true weight around the one on the card; 0: as on the card.
    assumed : bool
        Every part not on a card is used after all with a tenth of the share of its users.
    """
    rng = stream(seed, "cards")
    shape = (10, 15)
    use = np.where(rng.random(shape) < rng.uniform(0.1, 0.6, 15), rng.uniform(0.3, 1.0, shape), 0.0)
    card = use.copy()
    if concentration:
        mean = np.clip(card, 0.02, 0.98)
        drawn = rng.beta(mean * concentration, (1.0 - mean) * concentration)
        use = np.where(use > 0, drawn, 0.0)
    if assumed:
        more = (card == 0) & (rng.random(shape) < 0.1 * (card > 0).mean(axis=0))
        use = np.where(more, use.max(axis=0), use)
    card[(use > 0) & (rng.random(shape) < forgotten)] = 0.0
    card[(use == 0) & (rng.random(shape) < invented)] = 1.0
    if off:
        card = np.clip(card * off, 0.0, 1.0)
    low, high = similarity_interval(card, draws=200, rng=seed)
    truth = _mean_similarity(use)
    return {"true mean similarity covered": low <= truth <= high}


def _mean_similarity(use: FloatArray) -> float:
    return float(jaccard(use)[np.triu_indices(len(use), 1)].mean())


def _card_cases() -> list[Case]:
    asked = (coverage("true mean similarity covered"),)
    rows = (
        ("wrong as assumed", {"concentration": 10.0, "assumed": True}),
        ("cards are right", {}),
        ("weights imprecise, nothing forgotten", {"concentration": 10.0}),
        ("weights far more imprecise", {"concentration": 2.0, "assumed": True}),
        ("every tenth use forgotten", {"concentration": 10.0, "forgotten": 0.1}),
        ("every third use forgotten", {"concentration": 10.0, "forgotten": 1 / 3}),
        ("a tenth of what is not used is on the card", {"concentration": 10.0, "invented": 0.1}),
        ("all weights said to be a half larger", {"concentration": 10.0, "off": 1.5}),
    )  # fmt: skip
    return [Case("C1", w, asked, partial(_similarity, **k), worlds=100) for w, k in rows]  # type: ignore[arg-type]


LAYER_CASES = (*_card_cases(), *_layer_cases())
