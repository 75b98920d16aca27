"""C1, the common-cause graph: which models share which parts, and what hangs on each part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import pdist, squareform

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.random import as_generator
from commonmode.register.cards import Card, Layer

__all__ = [
    "BlastRadius",
    "CommonCauseGraph",
    "blast_radius",
    "common_cause_graph",
    "jaccard",
    "similarity_interval",
]


# Entries of (N, N, C) up to which minima are taken one by one (8 MB).
_DENSE = 1_000_000
# Pairs of models up to which every draw of the interval looks at all of them (500 models).
_PAIRS = 125_000
_ROUNDING = 1e-12


def jaccard(use: FloatArray, component_weights: FloatArray | None = None) -> FloatArray:
    """Materiality-weighted Jaccard similarity of models.

    ``J_ij = sum_c w_c min(W_ic, W_jc) / sum_c w_c max(W_ic, W_jc)`` (Ruzicka similarity).

    Parameters
    ----------
    use : float64, shape (N, C)
        ``W_ic`` in [0, 1]: how much model i rests on component c.
    component_weights : float64, shape (C,), optional
        ``w_c >= 0``; equal by default.

    Returns
    -------
    float64, shape (N, N)
        Symmetric with unit diagonal; a pair that uses nothing at all has similarity 0.
    """
    c = use.shape[1]
    w = np.ones(c) if component_weights is None else np.asarray(component_weights, np.float64)
    if np.any(use < 0) or np.any(use > 1) or np.any(w < 0):
        raise ConfigurationError(
            "component use must lie in [0, 1] and component weights must not be negative",
            remedy="check the weights on the cards",
        )
    if len(use) ** 2 * c <= _DENSE:
        shared = np.minimum(use[:, None, :], use[None, :, :]) @ w
        union = np.maximum(use[:, None, :], use[None, :, :]) @ w
    else:
        # min and max are half the sum less, or plus, the distance: no (N, N, C) array is needed.
        return np.asarray(squareform(_pairwise(use * w)) + np.eye(len(use)))
    similarity = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    np.fill_diagonal(similarity, 1.0)
    return similarity


def _pairwise(weighted: FloatArray) -> FloatArray:
    """Similarity of every pair of rows in the order of ``pdist``, shape (N (N - 1) / 2,)."""
    n = len(weighted)
    total = weighted.sum(axis=1)
    distance = pdist(weighted, "cityblock")
    sums = np.empty_like(distance)
    start = 0
    for i in range(n - 1):  # a row of pairs at a time: no (N, N) array of sums
        sums[start : start + n - 1 - i] = total[i] + total[i + 1 :]
        start += n - 1 - i
    union = 0.5 * (sums + distance)
    shared = 0.5 * (sums - distance)
    shared[shared <= _ROUNDING * union] = 0.0
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def blast_radius(use: FloatArray, exposure: FloatArray) -> FloatArray:
    """Share of exposure that rests on each component: ``sum_i x_i W_ic / sum_i x_i``.

    Parameters
    ----------
    use : float64, shape (N, C)
    exposure : float64, shape (N,)
        USD behind each model, >= 0.

    Returns
    -------
    float64, shape (C,), in [0, 1]
    """
    x = np.asarray(exposure, dtype=np.float64)
    total = x.sum()
    if np.any(x < 0) or not total > 0:
        raise ConfigurationError(
            "exposures must not be negative and must add up to more than zero",
            remedy="give every model the USD that rest on it",
        )
    return np.asarray(x @ use / total)


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What hangs on one component.

    Attributes
    ----------
    component, layer
    models : tuple of ModelId
        Who uses it.
    share : float
        Of all exposure, in [0, 1].
    exposure_usd : float
    """

    component: ComponentId
    layer: Layer
    models: tuple[ModelId, ...]
    share: float
    exposure_usd: float


@dataclass(frozen=True, slots=True, eq=False)
class CommonCauseGraph:
    """The declared graph of one panel's models.

    Attributes
    ----------
    models : tuple of ModelId, length N
    components : tuple of (Layer, ComponentId), length C
    use : float64, shape (N, C)
    similarity : mapping of Layer to float64, shape (N, N)
        Per layer; layers no model declares are absent.
    overall : float64, shape (N, N)
        Over all layers together.
    blast : tuple of BlastRadius
        Sorted by exposure, largest first.
    """

    models: tuple[ModelId, ...]
    components: tuple[tuple[Layer, ComponentId], ...]
    use: FloatArray
    similarity: Mapping[Layer, FloatArray]
    overall: FloatArray
    blast: tuple[BlastRadius, ...]

    def members(self, column: int) -> tuple[ModelId, ...]:
        """Models that use component number ``column``."""
        return tuple(m for m, w in zip(self.models, self.use[:, column], strict=True) if w > 0)


def common_cause_graph(
    cards: Sequence[Card], exposure_usd: Mapping[ModelId, float] | None = None
) -> CommonCauseGraph:
    """Build the declared graph of the models on ``cards``.

    Parameters
    ----------
    cards : sequence of Card
        One per model.
    exposure_usd : mapping, optional
        USD behind each model; equal (1 each) by default.

    Raises
    ------
    ConfigurationError
        Two cards of one model, no card, or an exposure for nobody.
    """
    models = tuple(card.model for card in cards)
    if not models or len(set(models)) != len(models):
        raise ConfigurationError(
            "the graph needs one card per model",
            remedy="remove duplicate cards" if models else "give at least one card",
        )
    keys = sorted(
        {(use.layer, use.component) for card in cards for use in card.components},
        key=lambda key: (key[0].value, key[1]),
    )
    column = {key: c for c, key in enumerate(keys)}
    use = np.zeros((len(models), len(keys)))
    for i, card in enumerate(cards):
        for part in card.components:
            use[i, column[part.layer, part.component]] = part.weight
    exposure = np.array([1.0 if exposure_usd is None else exposure_usd.get(m, 0.0) for m in models])
    share = blast_radius(use, exposure) if keys else np.zeros(0)
    blast = [
        BlastRadius(
            component=component,
            layer=layer,
            models=tuple(m for m, w in zip(models, use[:, c], strict=True) if w > 0),
            share=float(share[c]),
            exposure_usd=float(share[c] * exposure.sum()),
        )
        for c, (layer, component) in enumerate(keys)
    ]
    layers = [layer for layer in Layer if any(key[0] is layer for key in keys)]
    similarity = {
        layer: jaccard(use[:, [c for c, key in enumerate(keys) if key[0] is layer]])
        for layer in layers
    }
    return CommonCauseGraph(
        models=models,
        components=tuple(keys),
        use=use,
        similarity=similarity,
        overall=jaccard(use) if keys else np.eye(len(models)),
        blast=tuple(sorted(blast, key=lambda b: (-b.exposure_usd, b.layer.value, b.component))),
    )


def _grouped_means(
    use: FloatArray,
    forgotten: FloatArray,
    concentration: float,
    draws: int,
    generator: np.random.Generator,
) -> FloatArray:
    """Mean similarity of imprecise cards, draw by draw, from pairs within random groups."""
    n = len(use)
    groups = np.array_split(generator.permutation(n), max(n // max(2 * _PAIRS // n, 2), 1))
    apart = float(_pairwise(use).mean()) - _within(use, groups)
    rows, columns = np.nonzero(use)
    mean = np.clip(use[rows, columns], 0.02, 0.98)
    means = np.empty(draws)
    for d in range(draws):
        drawn = np.zeros_like(use)
        drawn[rows, columns] = generator.beta(mean * concentration, (1 - mean) * concentration)
        extra = (generator.random(use.shape) < forgotten) & (use == 0)
        means[d] = apart + _within(np.where(extra, drawn.max(axis=0), drawn), groups)
    return means


def _within(use: FloatArray, groups: Sequence[IntArray]) -> float:
    """Mean similarity of the pairs within these groups."""
    return float(np.concatenate([_pairwise(use[group]) for group in groups]).mean())


def similarity_interval(
    use: FloatArray,
    *,
    level: float = 0.95,
    draws: int = 1000,
    weight_concentration: float = 10.0,
    missing_edge: float = 0.1,
    rng: int | np.random.Generator = 0,
) -> tuple[float, float]:
    """Interval of the mean pairwise similarity when cards are imprecise.

    Every positive weight is redrawn from a Beta distribution with its own mean and the given
    concentration, and every undeclared use is there after all with probability ``missing_edge``
    times the component's share of users (a widely used part is the likeliest to be forgotten).

    Above 500 models a draw looks at pairs within random groups alone, about 125 000 of them with
    every model in equally many, and moves the mean over all declared pairs by what these moved: a
    mean over pairs follows what each model contributes to it (Hoeffding 1948, Annals of
    Mathematical Statistics 19), which is kept.

    Parameters
    ----------
    use : float64, shape (N, C)
    level : float
    draws : int
    weight_concentration : float
        Alpha + beta of the Beta distribution; larger trusts the cards more.
    missing_edge : float
        In [0, 1].

    Returns
    -------
    (float, float)
    """
    generator = as_generator(rng, "C1")
    n = use.shape[0]
    popularity = (use > 0).mean(axis=0)
    if n * (n - 1) // 2 > _PAIRS:
        means = _grouped_means(
            use, popularity * missing_edge, weight_concentration, draws, generator
        )
    else:
        upper = np.triu_indices(n, 1)
        mean = np.clip(use, 0.02, 0.98)
        means = np.empty(draws)
        for d in range(draws):
            weight = generator.beta(mean * weight_concentration, (1 - mean) * weight_concentration)
            forgotten = generator.random(use.shape) < missing_edge * popularity
            drawn = np.where(use > 0, weight, np.where(forgotten, weight.max(axis=0), 0.0))
            means[d] = jaccard(drawn)[upper].mean()
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
