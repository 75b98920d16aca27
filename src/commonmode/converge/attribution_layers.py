"""Which layer of the cards, or which likeness of biases, goes with moving together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from commonmode.converge.attribution_result import BIAS, LayerRegression
from commonmode.converge.bias_layer import EarlyBias
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.register.cards import Card
from commonmode.register.graph import common_cause_graph
from commonmode.stats.comovement import pair_index
from commonmode.stats.contrasts import model_effects
from commonmode.stats.qap import mrqap

__all__ = ["BLIND_SPOT", "declared_similarity", "regress_on_biases", "regress_on_layers"]

BLIND_SPOT: Final = "blind spot"
"""What an error common to both benchmarks would make of pairs, up to its size."""
_ROUNDING: Final = 1e-9
_LEAST_MODELS: Final = 5
"""Fewer nodes have too few permutations for a level of 5 %."""


def declared_similarity(
    models: Sequence[ModelId], cards: Sequence[Card]
) -> Mapping[str, FloatArray]:
    """Similarity by layer in the panel's order; empty unless every model has a card."""
    mine = {card.model: card for card in cards if card.model in set(models)}
    if set(mine) != set(models) or len(models) < 2:
        return MappingProxyType({})
    graph = common_cause_graph([mine[model] for model in models])
    return {layer.value: matrix for layer, matrix in graph.similarity.items()}


def regress_on_layers(
    graph: str,
    response: str,
    pairs: FloatArray,
    similarity: Mapping[str, FloatArray],
    *,
    permutations: int,
    rng: int | np.random.Generator,
) -> Result[LayerRegression]:
    """Regress a pair vector on the similarity in every layer, nodes permuted.

    Parameters
    ----------
    graph, response : str
        As in :class:`LayerRegression`.
    pairs : float64, shape (P,)
    similarity : mapping of layer to float64, shape (N, N)
        One layer at least.
    permutations : int
    rng : int or Generator
    """
    models = len(next(iter(similarity.values())))
    if models < _LEAST_MODELS:
        return Failure(
            FailureReason.MISSING_DATA,
            f"{models} models are too few to permute",
            f"layers are compared from {_LEAST_MODELS} models on",
        )
    try:
        found = mrqap(
            _matrix(pairs),
            list(similarity.values()),
            names=tuple(similarity),
            permutations=permutations,
            rng=rng,
        )
    except DataError as error:
        return Failure(FailureReason.MISSING_DATA, str(error), error.remedy)
    return Success(LayerRegression(graph, response, found))


def regress_on_biases(
    response: str,
    bias: EarlyBias,
    declared: Mapping[str, FloatArray],
    *,
    permutations: int,
    rng: int | np.random.Generator,
) -> Result[LayerRegression]:
    """Regress later co-movement on the alikeness of earlier biases, beside the cards' layers.

    Beside the cards', so that what models are told to share is not counted as a bias; the layers
    themselves are judged without it, since a bias may be what a shared part does. Beyond model
    effects, and beside what a blind spot of the benchmarks would do: an error that they share is in
    every deviation and every bias, and makes those models most alike that deviate least. An
    unlisted factor is not taken away: where models that lean on it are biased alike, it is their
    bias.

    Parameters
    ----------
    response : str
    bias : EarlyBias
    declared : mapping of layer to float64, shape (N, N)
    permutations, rng
        As in :func:`regress_on_layers`.
    """
    models = len(bias.similarity)
    basis = model_effects(models)
    rows, columns = pair_index(models)
    weight = np.where(bias.spread > 0, 1.0 / np.where(bias.spread > 0, bias.spread, 1.0), 0.0)
    weight /= max(float(weight.max()), 1e-300)
    relations = {BIAS: bias.similarity, **declared, BLIND_SPOT: np.outer(weight, weight)}

    def beyond(pairs: FloatArray) -> FloatArray:
        rest = pairs - basis @ (basis.T @ pairs)
        # Of a relation that model effects make up nothing is left but rounding, which is no data.
        gone = float(rest @ rest) <= _ROUNDING**2 * float(pairs @ pairs)
        return np.zeros_like(rest) if gone else np.asarray(rest)

    return regress_on_layers(
        BIAS,
        response,
        beyond(bias.later),
        {name: _matrix(beyond(matrix[rows, columns])) for name, matrix in relations.items()},
        permutations=permutations,
        rng=rng,
    )


def _matrix(pairs: FloatArray) -> FloatArray:
    """Symmetric matrix of a pair vector, zero diagonal."""
    models = round((1.0 + np.sqrt(1.0 + 8.0 * len(pairs))) / 2.0)
    rows, columns = pair_index(models)
    out = np.zeros((models, models))
    out[rows, columns] = out[columns, rows] = pairs
    return out
