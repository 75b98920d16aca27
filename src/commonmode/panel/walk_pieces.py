"""The walk through a history cut into independent pieces, and put together again.

The walk is cut into blocks of a fixed number of bars counted from the first origin. A block is
computed from its own slice of the history, and warm starts never cross from one block into the
next, so every number is the same however blocks and models are dealt out to processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure
from commonmode.market.history import History
from commonmode.register.model import RiskForecast, RiskModel

__all__ = [
    "BLOCK_BARS",
    "FailedSpan",
    "ForecastTask",
    "PieceResult",
    "WalkPiece",
    "Walked",
    "cut_into_pieces",
    "join_pieces",
]

#: Bars of one block: 30 days of hourly bars, 30 daily refits.
BLOCK_BARS = 720


@dataclass(frozen=True, slots=True, eq=False)
class ForecastTask:
    """What is to be forecast from which rows.

    Attributes
    ----------
    horizon : int
        Bars.
    level : float
        Probability of the lower tail.
    origins : int64, shape (n,)
        Rows of the history, strictly increasing.
    """

    horizon: int
    level: float
    origins: IntArray


@dataclass(frozen=True, slots=True)
class FailedSpan:
    """Consecutive origins of a task without a forecast.

    Attributes
    ----------
    start, count : int
        Position of the first in the task's origins, and how many.
    failure : Failure
    """

    start: int
    count: int
    failure: Failure


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """One model's forecasts for one task.

    Attributes
    ----------
    model : ModelId
    forecast : RiskForecast
        Arrays of shape (n,), one per origin of the task; NaN where it failed.
    failures : tuple of FailedSpan
    """

    model: ModelId
    forecast: RiskForecast
    failures: tuple[FailedSpan, ...]


@dataclass(frozen=True, slots=True, eq=False)
class WalkPiece:
    """Independent work: some models over one block.

    Attributes
    ----------
    models : tuple of RiskModel
    history : History
        The block and the longest window before it.
    start, stop : int
        Rows of ``history`` that the block covers.
    tasks : tuple of ForecastTask
        Origins are rows of this ``history``.
    places : tuple of int
        Position in the whole task of the first origin of each task.
    """

    models: tuple[RiskModel, ...]
    history: History
    start: int
    stop: int
    tasks: tuple[ForecastTask, ...]
    places: tuple[int, ...]


PieceResult = tuple[tuple[Walked, ...], ...]
"""Per model of a piece, one :class:`Walked` per task."""


def cut_into_pieces(
    models: Sequence[RiskModel],
    history: History,
    tasks: Sequence[ForecastTask],
    *,
    first: int,
    models_per_piece: int | None = None,
) -> tuple[WalkPiece, ...]:
    """Cut the walk from row ``first`` to the last origin into independent pieces.

    Parameters
    ----------
    models : sequence of RiskModel
    history : History
    tasks : sequence of ForecastTask
    first : int
        Row of the first possible origin; blocks are counted from it.
    models_per_piece : int, optional
        All by default; models that share a fit are fastest in one piece.

    Raises
    ------
    DataError
        If an origin lies before ``first`` or a window reaches back before the history.
    """
    window = max((model.requires.window for model in models), default=0)
    if window > first:
        raise DataError(
            f"history {history.instrument}: {first} bars before the first origin, but a model "
            f"needs {window}",
            remedy="train on more bars, or shorten the longest window",
        )
    if any(len(task.origins) and task.origins[0] < first for task in tasks):
        raise DataError(
            f"history {history.instrument}: an origin lies before row {first}",
            remedy="origins begin where training ends",
        )
    last = max((int(task.origins[-1]) for task in tasks if len(task.origins)), default=first - 1)
    size = models_per_piece or max(len(models), 1)
    pieces: list[WalkPiece] = []
    for start in range(first, last + 1, BLOCK_BARS):
        stop = min(start + BLOCK_BARS, last + 1)
        base = start - window
        bounds = [np.searchsorted(task.origins, (start, stop)) for task in tasks]
        local = tuple(
            ForecastTask(task.horizon, task.level, task.origins[low:high] - base)
            for task, (low, high) in zip(tasks, bounds, strict=True)
        )
        if not any(len(task.origins) for task in local):
            continue
        pieces += [
            WalkPiece(
                models=tuple(models[i : i + size]),
                history=history.rows(base, stop),
                start=start - base,
                stop=stop - base,
                tasks=local,
                places=tuple(int(low) for low, _ in bounds),
            )
            for i in range(0, len(models), size)
        ]
    return tuple(pieces)


def join_pieces(
    models: Sequence[RiskModel],
    tasks: Sequence[ForecastTask],
    results: Iterable[tuple[WalkPiece, PieceResult]],
) -> PieceResult:
    """Put the pieces of one history together: per model, one :class:`Walked` per task."""
    arrays = {
        (model.id, k): [np.full(len(task.origins), np.nan) for _ in range(3)]
        for model in models
        for k, task in enumerate(tasks)
    }
    failures: dict[tuple[ModelId, int], list[FailedSpan]] = {key: [] for key in arrays}
    for piece, result in results:
        for model, walked in zip(piece.models, result, strict=True):
            for k, part in enumerate(walked):
                place = piece.places[k]
                span = slice(place, place + len(piece.tasks[k].origins))
                whole = arrays[model.id, k]
                f = part.forecast
                for target, source in zip(whole, (f.vol, f.quantile, f.shortfall), strict=True):
                    target[span] = source
                failures[model.id, k] += [
                    FailedSpan(s.start + place, s.count, s.failure) for s in part.failures
                ]
    return tuple(
        tuple(
            Walked(
                model.id,
                RiskForecast(*arrays[model.id, k]),
                _merged(failures[model.id, k]),
            )
            for k in range(len(tasks))
        )
        for model in models
    )


def _merged(spans: list[FailedSpan]) -> tuple[FailedSpan, ...]:
    """Adjacent spans with the same failure become one."""
    merged: list[FailedSpan] = []
    for span in sorted(spans, key=lambda s: s.start):
        last = merged[-1] if merged else None
        if last and last.failure == span.failure and last.start + last.count == span.start:
            merged[-1] = FailedSpan(last.start, last.count + span.count, span.failure)
        else:
            merged.append(span)
    return tuple(merged)
