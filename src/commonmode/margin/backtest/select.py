"""The choice of our settings on the training period, by a rule stated before it is applied.

1. Tail level and correlation stress: the pair with the lowest mean margin at equal coverage, other
   settings at their start.
2. Filter, stressed weight, floor, buffer and calibration window: of all candidates whose pooled
   walk-forward breach rate is not rejected (blocks of a week, 5 %), and whose margin in USD travels
   no further from peak to trough than that of the reference method (geometric mean over the
   portfolios), the one with the lowest mean margin at equal coverage. Without a bound on travel:
   the cheapest.
If no candidate meets the bound, the least travelled of those with unrejected coverage is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.margin.backtest.bootstrap import pooled_scale
from commonmode.margin.backtest.compare import pooled_rate
from commonmode.margin.backtest.ours import Components
from commonmode.margin.backtest.walk import Settings, controlled, walk_forward
from commonmode.margin.procyclicality_measures import peak_to_trough

__all__ = [
    "ACCEPTED_FROM",
    "FILTERS",
    "START",
    "Candidate",
    "TrainingData",
    "candidates",
    "choose",
    "evaluate",
]

FILTERS: Final = (
    (24.0,),
    (72.0,),
    (168.0,),
    (720.0,),
    (72.0, 720.0),
    (168.0, 1440.0),
    (24.0, 168.0, 1440.0),
)
"""Half-lives in hours."""

START: Final = Settings(half_lives=(72.0,))
"""Settings at which level and correlation stress are chosen."""

_LEVELS: Final = (0.975, 0.99)
_BROKEN: Final = (0.0, 0.25)
_WEIGHTS: Final = (0.0, 0.25, 0.5, 0.75)
_FLOORS: Final = (0.0, 0.5, 0.75, 1.0)
_BUFFERS: Final = (0.0, 0.25)
_WINDOWS: Final = (90, 180, 365)
ACCEPTED_FROM: Final = 0.05
"""Smallest p-value of the pooled breach rate with which a candidate may be chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What the choice may see: rows of the training period and nothing after them.

    Attributes
    ----------
    times_ms : int64, shape (R,)
    losses : float64, shape (R, A)
    parts : mapping of half-lives to Components
    long_margin : mapping of level to float64, shape (R, A)
    price : float64, shape (R, A)
        Price index of each portfolio: margin per dollar times it is margin in USD.
    reference_travel : float64, shape (A,)
        Peak to trough of the reference method's margin in USD over the judged rows.
    judged : bool, shape (R,)
    level : float
        Promised breach probability.
    horizon_ms, least_ms : int
    rows_per_day : int
    """

    times_ms: IntArray
    losses: FloatArray
    parts: Mapping[tuple[float, ...], Components]
    long_margin: Mapping[float, FloatArray]
    price: FloatArray
    reference_travel: FloatArray
    judged: BoolArray
    level: float
    horizon_ms: int
    least_ms: int
    rows_per_day: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting on the training period.

    Attributes
    ----------
    settings : Settings
    rate, p_value : float
        Pooled walk-forward breach rate and its block test.
    cost : float
        Mean margin per dollar of notional at the promised coverage, scaled in sample.
    travel_usd : float
        Peak to trough in USD over that of the reference, geometric mean over portfolios.
    travel_rate : float
        Peak to trough of margin per dollar of notional, geometric mean.
    """

    settings: Settings
    rate: float
    p_value: float
    cost: float
    travel_usd: float
    travel_rate: float


def evaluate(data: TrainingData, settings: Settings) -> Candidate:
    """Walk forward through the training period."""
    base = controlled(
        data.parts[settings.half_lives],
        settings,
        data.long_margin[settings.level],
        lag=data.rows_per_day,
    )
    walked = walk_forward(
        base,
        data.losses,
        data.times_ms,
        level=data.level,
        window_ms=settings.window_days * 86_400_000,
        least_ms=data.least_ms,
        horizon_ms=data.horizon_ms,
    )
    margin = np.where(data.judged[:, None], walked.margin, np.nan)
    pooled = pooled_rate(margin, data.losses, data.level, block=7 * data.rows_per_day, draws=200)
    scale = pooled_scale(margin, data.losses, data.level)
    known = np.isfinite(margin).all(axis=1) & np.isfinite(data.price).all(axis=1)
    rate = peak_to_trough(margin[known]).ratio
    usd = peak_to_trough((margin * data.price)[known]).ratio
    return Candidate(
        settings=settings,
        rate=pooled.rate,
        p_value=pooled.p_value,
        cost=scale * float(np.nanmean(margin)),
        travel_usd=float(np.exp(np.mean(np.log(usd / data.reference_travel)))),
        travel_rate=float(np.exp(np.mean(np.log(rate)))),
    )


def _grid(start: Settings) -> Sequence[Settings]:
    return [
        replace(
            start,
            half_lives=filters,
            stressed_weight=weight,
            floor=floor,
            buffer=buffer,
            window_days=window,
        )
        for filters, weight, floor, buffer, window in product(
            FILTERS, _WEIGHTS, _FLOORS, _BUFFERS, _WINDOWS
        )
    ]


def candidates(
    data: TrainingData, *, progress: Progress | None = None
) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Every candidate of the first and of the second step."""
    told = progress or SilentProgress()
    first = tuple(
        evaluate(data, replace(START, level=level, correlation_stress=broken))
        for level, broken in product(_LEVELS, _BROKEN)
    )
    start = min(first, key=lambda each: each.cost).settings
    grid = _grid(start)
    label = "settings on the training period"
    told.start(label, len(grid))
    second = []
    for settings in grid:
        second.append(evaluate(data, settings))
        told.advance(label)
    told.finish(label)
    return first, tuple(second)


def choose(
    found: Sequence[Candidate], *, travel: Callable[[Candidate], float], bound: float
) -> Candidate:
    """The rule of this module.

    Parameters
    ----------
    found : sequence of Candidate
    travel : callable
        The measure of travel that is bounded.
    bound : float
        Infinity for none.

    Raises
    ------
    DataError
        If the coverage of every candidate is rejected.
    """
    covered = [each for each in found if each.p_value >= ACCEPTED_FROM]
    if not covered:
        raise DataError(
            "the coverage of every candidate is rejected on the training period",
            remedy="give a longer training period or more candidates",
        )
    inside = [each for each in covered if travel(each) <= bound]
    if not inside:
        return min(covered, key=travel)
    return min(inside, key=lambda each: each.cost)
