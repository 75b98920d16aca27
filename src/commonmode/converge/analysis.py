"""All indices of one error panel: what ``commonmode converge`` and a study's panels run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from commonmode.converge.attribution import Attribution, AttributionResult
from commonmode.converge.bias_layer import EarlyBias, early_bias
from commonmode.converge.cofailure import CoFailureResult, ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber, EffectiveNumberResult
from commonmode.converge.dispersion import Disagreement, DispersionResult
from commonmode.converge.groups import declared_groups
from commonmode.converge.left_out import LeftOut, judged_panel
from commonmode.core.errors import CommonmodeError, ConfigurationError, PanelError
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.register.cards import Card
from commonmode.register.graph import CommonCauseGraph, common_cause_graph, similarity_interval

__all__ = ["IndexOptions", "LeftOut", "PanelAnalysis", "Similarity", "analyse_panel"]

# Seconds of work; the look at biases computes them of larger panels, on request.
_BIAS_CELLS = 5_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexOptions:
    """How the indices are computed.

    Attributes
    ----------
    alpha : float
        Level of every test.
    flips, draws : int
    minimum_block_rows : int
    tail : bool
        Whether C3 is allowed; False for panels too short for a tail claim.
    biases : bool
        Whether C4 also asks if models that are biased alike move together.
    threads : int
        For panels of hundreds of models; the bits do not depend on it.
    seed : int
    """

    alpha: float = 0.05
    flips: int = 1999
    draws: int = 999
    minimum_block_rows: int = 1
    tail: bool = True
    biases: bool = True
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """C1: the declared graph with the interval of its mean similarity."""

    graph: CommonCauseGraph
    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class PanelAnalysis:
    """The indices of one panel; an index that could not be computed is a failure with a reason.

    Attributes
    ----------
    panel : ErrorPanel
        The indices', without the models left out.
    given : ErrorPanel
        As it came.
    c1, c2, c3, c4, c6 : Success or Failure
    options : IndexOptions
    left_out : tuple of LeftOut
        Models with forecasts at fewer than half of the times, and models that cannot be told from
        the benchmarks' noise; the others' numbers are what they would be without them.
    """

    panel: ErrorPanel
    given: ErrorPanel
    c1: Result[Similarity]
    c2: Result[EffectiveNumberResult]
    c3: Result[CoFailureResult]
    c4: Result[AttributionResult]
    c6: Result[DispersionResult]
    options: IndexOptions = field(default_factory=IndexOptions)
    left_out: tuple[LeftOut, ...] = ()


def analyse_panel(
    panel: ErrorPanel, cards: Sequence[Card] = (), options: IndexOptions | None = None
) -> PanelAnalysis:
    """Compute C1, C2, C3, C4 and C6.

    A model that mostly failed is left out, not the times at which it did.

    Parameters
    ----------
    panel : ErrorPanel
    cards : sequence of Card
        Cards of models that are not in the panel are ignored; without any, C1 and the ranking of
        components are not available.
    options : IndexOptions, optional
    """
    use = options or IndexOptions()
    given = panel
    panel, left_out, nobody_apart = judged_panel(panel, minimum_block_rows=use.minimum_block_rows)
    mine = [card for card in cards if card.model in panel.models]
    groups = declared_groups(panel.models, mine)

    def comovement() -> EffectiveNumber:
        index = EffectiveNumber(
            alpha=use.alpha,
            flips=use.flips,
            draws=use.draws,
            minimum_block_rows=use.minimum_block_rows,
            rng=use.seed,
        )
        return index.fit(panel, groups)

    def cofailure() -> ConditionalCoFailure:
        index = ConditionalCoFailure(
            alpha=use.alpha,
            flips=use.flips,
            draws=use.draws,
            minimum_block_rows=use.minimum_block_rows,
            threads=use.threads,
            rng=use.seed,
        )
        return index.fit(panel, groups)

    c1: Result[Similarity]
    if mine:
        c1 = _try("common-cause graph (C1)", lambda: _similarity(panel, mine, use.seed))
    else:
        c1 = Failure(
            FailureReason.NOT_APPLICABLE,
            f"there are no cards of the models of panel {panel.name}",
            "declare what the models are made of (docs/panel.md)",
        )
    c3: Result[ConditionalCoFailure]
    if panel.kind is not PanelKind.QUANTILE or not use.tail:
        c3 = Failure(
            FailureReason.NOT_APPLICABLE,
            f"panel {panel.name} carries no tail claim",
            "give a long panel of quantile forecasts",
        )
    else:
        c3 = _try("co-failure (C3)", cofailure)
    c2: Result[EffectiveNumber]
    if nobody_apart and len(panel.models) >= 2:
        c2 = Failure(
            FailureReason.NOT_APPLICABLE,
            f"fewer than two models of panel {panel.name} deviate from the benchmarks beyond their "
            "own noise, so how many are independent cannot be judged",
            "give a longer panel, or benchmarks from data that the models do not read",
        )
    else:
        c2 = _try("effective number (C2)", comovement)
    return PanelAnalysis(
        panel=panel,
        given=given,
        c1=c1,
        c2=Success(c2.value.result_) if isinstance(c2, Success) else c2,
        c3=Success(c3.value.result_) if isinstance(c3, Success) else c3,
        c4=_attribution(panel, mine, c2, c3, use),
        c6=_try("disagreement (C6)", lambda: _disagreement(panel, use)),
        options=use,
        left_out=left_out,
    )


def _attribution(
    panel: ErrorPanel,
    cards: Sequence[Card],
    c2: Result[EffectiveNumber],
    c3: Result[ConditionalCoFailure],
    use: IndexOptions,
) -> Result[AttributionResult]:
    """C4 from what C2 and C3 have worked out."""
    if isinstance(c2, Failure):
        return Failure(c2.reason, f"nothing to attribute: {c2.message}", c2.remedy)
    if not cards:
        return Failure(
            FailureReason.NOT_APPLICABLE,
            f"there are no cards of the models of panel {panel.name}",
            "declare what the models are made of (docs/panel.md)",
        )

    def attribution() -> AttributionResult:
        index = Attribution(
            alpha=use.alpha,
            flips=use.flips,
            draws=use.draws,
            permutations=use.flips,
            rng=use.seed,
        )
        tail = c3.value if isinstance(c3, Success) else None
        return index.fit(panel.models, cards, c2.value, tail, bias=_biases(panel, use)).result_

    return _try("attribution (C4)", attribution)


def _biases(panel: ErrorPanel, use: IndexOptions) -> EarlyBias | None:
    """Alikeness of the models' biases; None where nobody asks or none can be had."""
    if not use.biases or panel.forecast.size > _BIAS_CELLS:
        return None
    try:
        return early_bias(panel, minimum_block_rows=use.minimum_block_rows)
    except PanelError:
        return None  # too short for a bias: C4 has one layer less


def _disagreement(panel: ErrorPanel, use: IndexOptions) -> DispersionResult:
    return Disagreement(alpha=use.alpha, draws=use.draws, rng=use.seed).fit(panel).result_


def _similarity(panel: ErrorPanel, cards: Sequence[Card], seed: int) -> Similarity:
    exposure = dict(zip(panel.models, panel.exposure_usd.tolist(), strict=True))
    graph = common_cause_graph(cards, exposure)
    upper = np.triu_indices(len(graph.models), 1)
    if len(graph.models) < 2:
        raise ConfigurationError(
            f"only {len(graph.models)} model has a card", remedy="write one card per model"
        )
    mean = float(graph.overall[upper].mean())
    return Similarity(graph, mean, similarity_interval(graph.use, rng=seed))


def _try(what: str, compute: Callable[[], T]) -> Success[T] | Failure:
    """One index that fails is one failed cell; errors that are not ours propagate as bugs."""
    try:
        return Success(compute())
    except CommonmodeError as error:
        return Failure(FailureReason.CALCULATION_FAILED, f"{what}: {error.message}", error.remedy)
