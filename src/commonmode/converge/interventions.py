"""C1, the interventional graph: which models really move when a component is changed.

A model rests on a component if changing it moves the model by more than the placebos do. For a
model that repeats itself bit for bit any move beyond what a change of the 12th digit causes is
cause and effect. For one that does not (simulation, a live service), the moves under intervention
and under placebo at the same time are exchangeable if the component does not reach it, so the signs
of their differences are flipped over times, all cells together
(:func:`~commonmode.stats.signflip.sign_flip_max_test`); a model that breaks under an intervention
counts as moved further than anything else moved it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.random import stream
from commonmode.panel.interventions import Intervention, InterventionResponses
from commonmode.register.cards import Card, Layer
from commonmode.register.graph import jaccard
from commonmode.stats.detectable import detectable_move
from commonmode.stats.signflip import sign_flip_max_test

__all__ = [
    "CardDisagreement",
    "CardFault",
    "InterventionalGraph",
    "interventional_graph",
]

_LEAST_TIMES: Final = 8
"""Fewer times have too few sign patterns for many cells at once."""


class CardFault(Enum):
    """How a card and an intervention disagree."""

    UNDECLARED = "moves but is not declared"
    UNUSED = "declared but does not move"


@dataclass(frozen=True, slots=True)
class CardDisagreement:
    """A card that says one thing and a model that does another.

    Attributes
    ----------
    model : ModelId
    layer, component
    fault : CardFault
    intervention : str
        The one that moved it most, or, where none did, the one that would have shown the least.
    response : float
        Root mean square move beyond the placebo's, market units; 0 for ``UNUSED``.
    detectable : float
        Move that would have been found (with 80 % probability, where the model is random).
    broke : bool
        It gave no answer at all without the component.
    unit : str
    """

    model: ModelId
    layer: Layer
    component: ComponentId
    fault: CardFault
    intervention: str
    response: float
    detectable: float
    broke: bool
    unit: str


@dataclass(frozen=True, slots=True, eq=False)
class InterventionalGraph:
    """The measured graph of N models under C interventions.

    Attributes
    ----------
    models : tuple of ModelId
    interventions : tuple of Intervention
    unit : str
        Of responses.
    times : int
        How often each was repeated.
    response : float64, shape (N, C)
        Root mean square move, that of the placebo taken out; NaN where nothing was learned.
    floor : float64, shape (N,)
        Largest move under placebo.
    p_value : float64, shape (N, C)
        Adjusted for all cells; 0 where a model that repeats itself moved, which is no test.
    moves, broke : bool, shape (N, C)
    detectable : float64, shape (N, C)
    repeatable : bool, shape (N,)
        The model gives the same answer to the same data bit for bit.
    components : tuple of (Layer, ComponentId), length M
    use : float64, shape (N, M)
        Response to a component (the largest of its interventions) over the largest of all models';
        1 for a model that broke, 0 for one that does not move.
    similarity : mapping of layer to float64, shape (N, N)
        Weighted Jaccard of ``use``, by layer as on cards: what
        :meth:`commonmode.converge.attribution.Attribution.fit` takes as ``interventional``. Layers
        in which no model moved are absent.
    disagreements : tuple of CardDisagreement
        Largest first, undeclared before unused.
    """

    models: tuple[ModelId, ...]
    interventions: tuple[Intervention[Any], ...]
    unit: str
    times: int
    response: FloatArray
    floor: FloatArray
    p_value: FloatArray
    moves: BoolArray
    broke: BoolArray
    detectable: FloatArray
    repeatable: BoolArray
    components: tuple[tuple[Layer, ComponentId], ...]
    use: FloatArray
    similarity: Mapping[str, FloatArray]
    disagreements: tuple[CardDisagreement, ...]


def interventional_graph(
    responses: InterventionResponses,
    cards: Sequence[Card] = (),
    *,
    alpha: float = 0.05,
    material: float = 1e-3,
    flips: int = 1999,
    rng: int = 0,
) -> InterventionalGraph:
    """Say who moves under what, and compare with the cards.

    Parameters
    ----------
    responses : InterventionResponses
    cards : sequence of Card
        Models without one are not compared.
    alpha : float
        Family-wise level over all models and interventions.
    material : float
        Smallest move that a card has to declare, in the responses' unit: by default a thousandth
        of the quantile, of the largest position or of a vol point. A declared part that moves its
        model at all is not held against the card.
    flips : int
    rng : int

    Raises
    ------
    DataError
        Fewer than 8 times, or a model that never answered.
    """
    r, n, c = responses.size.shape
    if r < _LEAST_TIMES:
        raise DataError(
            f"{r} times are too few to tell a response from chance",
            remedy=f"repeat the interventions at {_LEAST_TIMES} times or more",
        )
    silent = ~np.isfinite(responses.jitter).any(axis=0)
    silent |= ~np.isfinite(responses.rerun).any(axis=0)
    if silent.any():
        raise DataError(
            f"{responses.models[int(np.argmax(silent))]} never answered on the data as they are",
            remedy="leave it out, or look at the failures of the responses",
        )
    repeatable = np.nanmax(responses.rerun, axis=0) == 0.0
    # A time at which the model could not be asked at all says nothing about repeating.
    asked = np.isfinite(responses.jitter) | np.isfinite(responses.size).any(axis=2)
    asked |= responses.broke.any(axis=2)
    repeatable &= (np.isfinite(responses.rerun) | ~asked).all(axis=0)
    floor = np.nanmax(responses.jitter, axis=0)
    mean_noise = np.nanmean(responses.jitter**2, axis=0)
    known = np.isfinite(responses.size)
    count = known.sum(axis=0)
    squares = np.where(known, responses.size, 0.0) ** 2
    mean_square = squares.sum(axis=0) / np.maximum(count, 1)
    response = np.sqrt(np.maximum(mean_square - mean_noise[:, None], 0.0))
    response[count == 0] = np.nan
    beyond = np.where(known, responses.size, 0.0).max(axis=0) > floor[:, None]
    test = _differences(responses)
    flipped = sign_flip_max_test(
        test.reshape(r, n * c), flips=flips, alpha=alpha, rng=stream(rng, "C1", "interventions")
    )
    p = flipped.p_adjusted.reshape(n, c).copy()
    sure = repeatable[:, None] & beyond
    p[sure] = 0.0
    moves = (p <= alpha) & (flipped.estimate.reshape(n, c) > 0.0) | sure
    broke = responses.broke.any(axis=0) & moves
    response[~moves & np.isfinite(response)] = 0.0
    detectable = np.repeat(floor[:, None], c, axis=1)
    for i in np.flatnonzero(~repeatable).tolist():
        detectable[i] = _found_from(responses, i, flipped.critical)
    detectable[count == 0] = np.nan
    components = tuple(dict.fromkeys((one.layer, one.component) for one in responses.interventions))
    use = _use(responses, components, response, moves, broke)
    return InterventionalGraph(
        models=responses.models,
        interventions=responses.interventions,
        unit=responses.unit,
        times=r,
        response=response,
        floor=floor,
        p_value=p,
        moves=moves,
        broke=broke,
        detectable=detectable,
        repeatable=repeatable,
        components=components,
        use=use,
        similarity=_similarity(components, use),
        disagreements=_against_cards(
            responses, cards, components, response, moves, broke, detectable, material
        ),
    )


def _found_from(responses: InterventionResponses, model: int, critical: float) -> FloatArray:
    """Move that is found of a model whose answers are random, shape (C,)."""
    size, broke = responses.size[:, model], responses.broke[:, model]
    jitter, rerun = responses.jitter[:, model], responses.rerun[:, model]
    asked = np.isfinite(jitter) | np.isfinite(size).any(axis=1)
    placebos = np.stack([jitter[asked], rerun[asked]])
    # Each is the difference of two answers, both of the same one, so 2 R of them know as much of
    # the variance as 1.6 R would; the mean of an estimated standard deviation is too low.
    few = 1.0 - 1.0 / (6.4 * placebos.shape[1])
    sd = float(np.sqrt(0.5 * np.nanmean(placebos**2))) / few
    fails = float(np.isnan(placebos).mean())
    furthest = float(_furthest(responses)[model]) / sd if fails and sd else 0.0
    told = (np.isfinite(size) | broke).sum(axis=0).tolist()
    found = [detectable_move(critical, k, fails=fails, furthest=furthest) for k in told]
    return np.asarray(sd * np.array(found))


def _furthest(responses: InterventionResponses) -> FloatArray:
    """How far a model that broke counts as moved: twice its furthest move, or 1; shape (N,)."""
    moved = np.nanmax(
        np.concatenate([responses.size, responses.jitter[:, :, None]], axis=2), axis=(0, 2)
    )
    return np.asarray(np.where(moved > 0, 2.0 * moved, 1.0))


def _differences(responses: InterventionResponses) -> FloatArray:
    """Move under intervention less move under placebo, shape (R, N, C); 0 where unknown.

    A model that broke moved further than anything else moved it (or by 1, if nothing did); so did
    one that broke under placebo.
    """
    furthest = _furthest(responses)[None, :, None]
    answered = np.isfinite(responses.jitter) | np.isfinite(responses.size).any(axis=2)
    size = np.where(responses.broke, furthest, responses.size)
    placebo = np.where(
        np.isfinite(responses.jitter), responses.jitter, np.where(answered, furthest[:, :, 0], 0.0)
    )
    difference = size - placebo[:, :, None]
    return np.asarray(np.where(np.isfinite(difference), difference, 0.0))


def _use(
    responses: InterventionResponses,
    components: Sequence[tuple[Layer, ComponentId]],
    response: FloatArray,
    moves: BoolArray,
    broke: BoolArray,
) -> FloatArray:
    columns = np.nan_to_num(response)
    most = columns.max(axis=0)
    relative = np.divide(columns, most, out=np.zeros_like(columns), where=most > 0)
    relative = np.where(broke, 1.0, np.where(moves, relative, 0.0))
    use = np.zeros((len(responses.models), len(components)))
    for k, one in enumerate(responses.interventions):
        place = components.index((one.layer, one.component))
        use[:, place] = np.maximum(use[:, place], relative[:, k])
    return use


def _similarity(
    components: Sequence[tuple[Layer, ComponentId]], use: FloatArray
) -> Mapping[str, FloatArray]:
    found = {}
    for layer in Layer:
        mine = [k for k, key in enumerate(components) if key[0] is layer]
        if mine and use[:, mine].any():
            found[layer.value] = jaccard(use[:, mine])
    return MappingProxyType(found)


def _against_cards(
    responses: InterventionResponses,
    cards: Sequence[Card],
    components: Sequence[tuple[Layer, ComponentId]],
    response: FloatArray,
    moves: BoolArray,
    broke: BoolArray,
    detectable: FloatArray,
    material: float,
) -> tuple[CardDisagreement, ...]:
    declared = {
        card.model: {(use.layer, use.component) for use in card.components} for card in cards
    }
    found = []
    for i, model in enumerate(responses.models):
        if model not in declared:
            continue
        for key in components:
            mine = [
                k
                for k, one in enumerate(responses.interventions)
                if one.on_cards and (one.layer, one.component) == key
            ]
            # Learned nothing: neither an answer nor a break.
            mine = [k for k in mine if np.isfinite(response[i, k]) or broke[i, k]]
            if not mine:
                continue
            moved = [k for k in mine if moves[i, k]]
            size = np.nan_to_num(response[i])
            if key not in declared[model]:
                moved = [k for k in moved if broke[i, k] or size[k] >= material]
            if bool(moved) == (key in declared[model]):
                continue
            if not moved:
                mine = [k for k in mine if responses.interventions[k].must_move]
                if not mine:
                    continue
            best = (
                max(moved, key=lambda k: (broke[i, k], size[k]))
                if moved
                else min(mine, key=lambda k: detectable[i, k])
            )
            found.append(
                CardDisagreement(
                    model=model,
                    layer=key[0],
                    component=key[1],
                    fault=CardFault.UNDECLARED if moved else CardFault.UNUSED,
                    intervention=responses.interventions[best].name,
                    response=float(size[best]) if moved else 0.0,
                    detectable=float(detectable[i, best]),
                    broke=bool(broke[i, best]),
                    unit=responses.unit,
                )
            )
    found.sort(key=lambda one: (one.fault is CardFault.UNUSED, not one.broke, -one.response))
    return tuple(found)
