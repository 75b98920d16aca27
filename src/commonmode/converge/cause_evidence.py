"""How often the right cause comes first, on worlds whose authors did not see the estimator.

The worlds and the rules of scoring are those of :mod:`commonmode.lab.causes` and
:mod:`commonmode.lab.causes_score`; what is measured here is :func:`analyse_panel` as users run it,
but for views that decide nothing about components.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.core.errors import ConfigurationError
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.core.result import Success
from commonmode.lab.causes import cause_world
from commonmode.lab.causes_design import WorldKind
from commonmode.lab.causes_oracle import pairs_oracle
from commonmode.lab.causes_score import CauseScore, CauseTally, score_causes, tally
from commonmode.panel.cause_worlds import panel_of_causes

__all__ = ["CauseEvidence", "score_attribution"]


@dataclass(frozen=True, slots=True)
class CauseEvidence:
    """Scores over many worlds.

    Attributes
    ----------
    ours, oracle : CauseTally
        Of C4, and of a method that is told the true deviations and the law of the worlds.
    scores, oracle_scores : tuple of CauseScore
        In the order of the seeds.
    """

    ours: CauseTally
    oracle: CauseTally
    scores: tuple[CauseScore, ...]
    oracle_scores: tuple[CauseScore, ...]


@dataclass(frozen=True, slots=True)
class _World:
    seed: int
    kind: WorldKind | None
    flips: int


def score_attribution(
    seeds: Iterable[int],
    *,
    kind: WorldKind | None = None,
    flips: int = 1999,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> CauseEvidence:
    """Draw a world per seed, attribute its co-movement, and score what was said.

    Parameters
    ----------
    seeds : iterable of int
    kind : WorldKind, optional
        Worlds of one kind; as the prior draws them if left out.
    flips : int
    executor, progress : optional

    Raises
    ------
    ConfigurationError
        No seeds.
    """
    pieces = [_World(seed, kind, flips) for seed in seeds]
    if not pieces:
        raise ConfigurationError("no seeds, so no worlds", remedy="give at least one seed")
    told = progress or SilentProgress()
    told.start("worlds of known causes", len(pieces))
    ours, best = [], []
    for own, top in (executor or SerialExecutor()).map(_score, pieces):
        ours.append(own)
        best.append(top)
        told.advance("worlds of known causes")
    told.finish("worlds of known causes")
    return CauseEvidence(tally(ours, best), tally(best, best), tuple(ours), tuple(best))


def _score(piece: _World) -> tuple[CauseScore, CauseScore]:
    world = cause_world(piece.seed, kind=piece.kind)
    # Neither co-failure nor biases decide which component is a cause, and they take most time.
    options = IndexOptions(flips=piece.flips, draws=99, tail=False, biases=False, seed=piece.seed)
    analysis = analyse_panel(panel_of_causes(world), world.cards, options)
    found = analysis.c4.value.components if isinstance(analysis.c4, Success) else ()
    ranking = [frozenset(name for _, name in one.group.components) for one in found]
    causes = [name for one in found if one.is_cause for _, name in one.group.components]
    oracle = pairs_oracle(world)
    return (
        score_causes(ranking, causes, world.truth),
        score_causes(oracle.ranking, oracle.significant, world.truth),
    )
