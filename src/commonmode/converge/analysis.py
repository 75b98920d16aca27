"""All indices of one error panel: what ``commonmode converge`` and a study's panels run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from commonmode.converge.cofailure import CoFailureResult, ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber, EffectiveNumberResult
from commonmode.converge.dispersion import Disagreement, DispersionResult
from commonmode.converge.groups import declared_groups
from commonmode.core.errors import CommonmodeError
from commonmode.core.result import Failure, FailureReason, Result, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.register.cards import Card
from commonmode.register.graph import CommonCauseGraph, common_cause_graph, similarity_interval

__all__ = ["IndexOptions", "PanelAnalysis", "Similarity", "analyse_panel"]

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
    seed : int
    """

    alpha: float = 0.05
    flips: int = 1999
    draws: int = 999
    minimum_block_rows: int = 1
    tail: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """C1: the declared graph with the interval of its mean similarity."""

    graph: CommonCauseGraph
    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class PanelAnalysis:
    """The indices of one panel; an index that could not be computed is a failure with a reason."""

    panel: ErrorPanel
    c1: Result[Similarity]
    c2: Result[EffectiveNumberResult]
    c3: Result[CoFailureResult]
    c6: Result[DispersionResult]


def analyse_panel(
    panel: ErrorPanel, cards: Sequence[Card] = (), options: IndexOptions | None = None
) -> PanelAnalysis:
    """Compute C1, C2, C3 and C6.

    Parameters
    ----------
    panel : ErrorPanel
    cards : sequence of Card
        Cards of models that are not in the panel are ignored; without any, C1 and the ranking of
        components are not available.
    options : IndexOptions, optional
    """
    use = options or IndexOptions()
    mine = [card for card in cards if card.model in panel.models]
    groups = declared_groups(panel.models, mine)

    def comovement() -> EffectiveNumberResult:
        index = EffectiveNumber(
            alpha=use.alpha,
            flips=use.flips,
            draws=use.draws,
            minimum_block_rows=use.minimum_block_rows,
            rng=use.seed,
        )
        return index.fit(panel, groups).result_

    def cofailure() -> CoFailureResult:
        index = ConditionalCoFailure(
            alpha=use.alpha,
            flips=use.flips,
            draws=use.draws,
            minimum_block_rows=use.minimum_block_rows,
            rng=use.seed,
        )
        return index.fit(panel, groups).result_

    c3: Result[CoFailureResult]
    if panel.kind is not PanelKind.QUANTILE or not use.tail:
        c3 = Failure(
            FailureReason.NOT_APPLICABLE,
            f"panel {panel.name} carries no tail claim",
            "co-failure needs a long panel of quantile forecasts",
        )
    else:
        c3 = _try("co-failure (C3)", cofailure)
    return PanelAnalysis(
        panel=panel,
        c1=_try("common-cause graph (C1)", lambda: _similarity(panel, mine, use.seed)),
        c2=_try("effective number (C2)", comovement),
        c3=c3,
        c6=_try("disagreement (C6)", lambda: _disagreement(panel, use)),
    )


def _disagreement(panel: ErrorPanel, use: IndexOptions) -> DispersionResult:
    return Disagreement(alpha=use.alpha, draws=use.draws, rng=use.seed).fit(panel).result_


def _similarity(panel: ErrorPanel, cards: Sequence[Card], seed: int) -> Similarity:
    exposure = dict(zip(panel.models, panel.exposure_usd.tolist(), strict=True))
    graph = common_cause_graph(cards, exposure)
    upper = np.triu_indices(len(graph.models), 1)
    mean = float(graph.overall[upper].mean()) if len(graph.models) > 1 else 1.0
    return Similarity(graph, mean, similarity_interval(graph.use, rng=seed))


def _try(what: str, compute: Callable[[], T]) -> Success[T] | Failure:
    """One index that fails is one failed cell; errors that are not ours propagate as bugs."""
    try:
        return Success(compute())
    except CommonmodeError as error:
        return Failure(FailureReason.CALCULATION_FAILED, f"{what}: {error.message}", error.remedy)
