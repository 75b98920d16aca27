"""What C2 and C3 promise, measured on many forecast worlds whose truth is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.controls import circular_shift_test, raw_ratio_test, with_single_benchmark
from commonmode.converge.groups import GroupContrast, declared_groups
from commonmode.core.errors import ConfigurationError
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.lab.truth import true_cofailure_ratio, true_effective_number
from commonmode.lab.worlds import PLANTED, ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world
from commonmode.stats.cofailure import binomial_pmf

__all__ = [
    "Rate",
    "Spread",
    "WorldRow",
    "WorldTable",
    "ZeroCheck",
    "run_worlds",
    "zero_check",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRow:
    """What was found in one world; None where the question does not arise or was not asked.

    Attributes
    ----------
    seed : int
    c2_rejects : bool
        Independence of deviations is rejected, no card being looked at.
    found : bool
        The planted component ranks first among those declared and is significant family-wise.
    found_blind : bool
        The models that use it are the first group found without any card.
    effective_number : float
    c2_covers : bool
        The interval holds the true effective number; None where none is given (no rejection).
    detectable_share, detectable_common : float
        Minimum detectable effects as printed.
    c3_rejects : bool
    ratio, uncorrected_ratio : float
    c3_covers : bool
    c3_first : bool
        The planted component ranks first by its excess of co-failure.
    detectable_ratio : float
    single_benchmark_c2, single_benchmark_c3, raw_ratio, circular_shift : bool
        Controls: rejections with one step of the method left out.
    """

    seed: int
    c2_rejects: bool | None = None
    found: bool | None = None
    found_blind: bool | None = None
    effective_number: float | None = None
    c2_covers: bool | None = None
    detectable_share: float | None = None
    detectable_common: float | None = None
    c3_rejects: bool | None = None
    ratio: float | None = None
    uncorrected_ratio: float | None = None
    c3_covers: bool | None = None
    c3_first: bool | None = None
    detectable_ratio: float | None = None
    single_benchmark_c2: bool | None = None
    single_benchmark_c3: bool | None = None
    raw_ratio: bool | None = None
    circular_shift: bool | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened.

    Attributes
    ----------
    value : float
        NaN where the question arose in no world.
    standard_error : float
        Binomial.
    worlds : int
        In which the question arose.
    """

    value: float
    standard_error: float
    worlds: int


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation over worlds, and the standard error of the mean."""

    mean: float
    deviation: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class WorldTable:
    """Many worlds of one kind.

    Attributes
    ----------
    config : WorldConfig
    true_effective_number, true_ratio : float
        What C2 and C3 would be if the history had no end.
    rows : tuple of WorldRow
        In the order of the seeds.
    """

    config: WorldConfig
    true_effective_number: float
    true_ratio: float
    rows: tuple[WorldRow, ...]

    def rate(self, question: str) -> Rate:
        """How often the yes-or-no ``question``, a field of :class:`WorldRow`, was answered yes."""
        answers = self._answers(question)
        if not len(answers):
            return Rate(float("nan"), float("nan"), 0)
        value = float(answers.mean())
        return Rate(value, float(np.sqrt(value * (1 - value) / len(answers))), len(answers))

    def spread(self, quantity: str) -> Spread:
        """Mean and spread of a numeric field of :class:`WorldRow`."""
        values = self._answers(quantity)
        if not len(values):
            return Spread(float("nan"), float("nan"), float("nan"))
        deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        return Spread(float(values.mean()), deviation, deviation / float(np.sqrt(len(values))))

    def _answers(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        answers = [getattr(row, name) for row in self.rows]
        return np.array([a for a in answers if a is not None], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Piece:
    config: WorldConfig
    seed: int
    truth: tuple[float, float]
    c2: bool
    c3: bool
    controls: bool
    alpha: float


def run_worlds(
    config: WorldConfig,
    seeds: Iterable[int],
    *,
    c2: bool = True,
    c3: bool = True,
    controls: bool = False,
    alpha: float = 0.05,
    executor: Executor | None = None,
    progress: Progress | None = None,
    label: str = "worlds",
) -> WorldTable:
    """Simulate a world per seed and measure C2 and C3 in it.

    Parameters
    ----------
    config : WorldConfig
    seeds : iterable of int
        The rows depend on nothing else; the executor does not change them.
    c2, c3 : bool
        Which indices.
    controls : bool
        Also run the methods that leave out a step (:mod:`commonmode.converge.controls`).
    alpha : float
        Level of all tests.
    executor, progress, label
        Where the work is done and who is told of it.

    Raises
    ------
    ConfigurationError
        No seeds.
    """
    truth = true_effective_number(config), true_cofailure_ratio(config)
    pieces = [_Piece(config, seed, truth, c2, c3, controls, alpha) for seed in seeds]
    if not pieces:
        raise ConfigurationError("no seeds, so no worlds", remedy="give at least one seed")
    told = progress or SilentProgress()
    told.start(label, len(pieces))
    rows = []
    for row in (executor or SerialExecutor()).map(_measure, pieces):
        rows.append(row)
        told.advance(label)
    told.finish(label)
    return WorldTable(config, truth[0], truth[1], tuple(rows))


def _uses_planted(contrast: GroupContrast) -> bool:
    return any(component == PLANTED for _, component in contrast.group.components)


def _measure(piece: _Piece) -> WorldRow:
    world = simulate_world(piece.config, seed=piece.seed)
    panel = panel_of_world(world)
    groups = declared_groups(world.models, world.cards)
    row = WorldRow(seed=piece.seed)
    if piece.c2:
        estimator = EffectiveNumber(alpha=piece.alpha, rng=piece.seed).fit(panel, groups)
        c2 = estimator.result_
        found, blind = _found(world, c2.components, c2.found, piece.alpha)
        row = replace(
            row,
            c2_rejects=c2.rejects,
            found=found,
            found_blind=blind,
            effective_number=c2.effective_number,
            c2_covers=_covers(c2.interval, piece.truth[0]),
            detectable_share=c2.minimum_detectable_share,
            detectable_common=c2.minimum_detectable_common,
        )
    if piece.c3:
        c3 = ConditionalCoFailure(alpha=piece.alpha, rng=piece.seed).fit(panel, groups).result_
        first = bool(c3.components) and _uses_planted(c3.components[0])
        row = replace(
            row,
            c3_rejects=c3.rejects,
            ratio=c3.ratio,
            uncorrected_ratio=c3.uncorrected_ratio,
            c3_covers=_covers(c3.interval, piece.truth[1]),
            c3_first=first if world.planted else None,
            detectable_ratio=c3.minimum_detectable_ratio,
        )
    if piece.controls:
        single = with_single_benchmark(panel)
        c2_single = EffectiveNumber(alpha=piece.alpha, draws=1, rng=piece.seed).fit(single)
        c3_single = ConditionalCoFailure(alpha=piece.alpha, draws=1, rng=piece.seed).fit(single)
        row = replace(
            row,
            single_benchmark_c2=c2_single.result_.rejects,
            single_benchmark_c3=c3_single.result_.rejects,
            raw_ratio=raw_ratio_test(panel, rng=piece.seed).p_value <= piece.alpha,
            circular_shift=circular_shift_test(panel, rng=piece.seed) <= piece.alpha,
        )
    return row


def _found(
    world: ForecastWorld,
    components: Sequence[GroupContrast],
    blind: Sequence[GroupContrast],
    alpha: float,
) -> tuple[bool | None, bool | None]:
    """Whether the planted cause is found through the cards, and blind; None if none is planted."""
    if world.planted is None:
        return None, None
    first = components[0]
    through_cards = _uses_planted(first) and first.p_adjusted <= alpha
    return through_cards, bool(blind) and set(blind[0].group.members) == set(world.planted_models)


def _covers(interval: tuple[float, float] | None, truth: float) -> bool | None:
    return None if interval is None else interval[0] <= truth <= interval[1]


@dataclass(frozen=True, slots=True)
class ZeroCheck:
    """The laboratory's zero-check: a planted cause is found, and none is seen where none is.

    Attributes
    ----------
    planted : WorldRow
        One world with a planted component.
    silent : WorldTable
        Worlds with nothing planted.
    alpha : float
        Level of the tests, so ``alpha`` of the unplanted worlds are expected to reject.
    passed : bool
        The planted component was found and ranked first, and neither index rejected in more
        unplanted worlds than would happen by chance once in a thousand checks.
    """

    planted: WorldRow
    silent: WorldTable
    alpha: float
    passed: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, in plain words."""
        worlds = len(self.silent.rows)
        c2 = sum(bool(row.c2_rejects) for row in self.silent.rows)
        c3 = sum(bool(row.c3_rejects) for row in self.silent.rows)
        outcome = "found and ranked first" if self.planted.found else "NOT found"
        return (
            f"Laboratory, one world with a component planted in three of eight models: {outcome}.",
            f"Laboratory, {worlds} worlds with nothing planted: C2 rejects in {c2} and C3 in {c3}, "
            f"about {self.alpha * worlds:.0f} expected by chance at {100 * self.alpha:.0f} %.",
        )

    def __str__(self) -> str:
        """The sentences, one per line."""
        return "\n".join(self.sentences)


def zero_check(
    seed: int = 0,
    *,
    worlds: int = 20,
    share: float = 0.3,
    alpha: float = 0.05,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> ZeroCheck:
    """Check the indices on worlds of known truth: seconds on one core.

    Parameters
    ----------
    seed : int
        World ``seed`` is planted; worlds ``seed + 1, ..., seed + worlds`` are not.
    worlds : int
    share : float
        Part of the deviation variance that the planted component carries.
    alpha : float
    executor, progress
    """
    planted = run_worlds(
        WorldConfig(planted_share=share), [seed], c3=False, alpha=alpha, executor=executor
    ).rows[0]
    silent = run_worlds(
        WorldConfig(),
        range(seed + 1, seed + 1 + worlds),
        alpha=alpha,
        executor=executor,
        progress=progress,
        label="laboratory zero-check",
    )
    most = _chance_limit(worlds, alpha)
    seen = max(silent.rate(index).value for index in ("c2_rejects", "c3_rejects"))
    passed = bool(planted.found) and round(seen * worlds) <= most
    return ZeroCheck(planted=planted, silent=silent, alpha=alpha, passed=passed)


def _chance_limit(worlds: int, alpha: float) -> int:
    """Rejections exceeded by chance at most once in a thousand times."""
    above = 1.0 - np.cumsum(binomial_pmf(worlds, alpha))
    return int(np.argmax(above <= 1e-3))
