"""Walking models forward through a history: each fit and each forecast sees only its past.

The walk is cut into blocks of a fixed number of bars counted from the first origin. A block is
computed from its own slice of the history, and warm starts never cross from one block into the
next, so every number is the same however blocks and models are dealt out to processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.core.result import Failure, FailureReason, Success, capture
from commonmode.market.history import History
from commonmode.register.model import FittedRisk, RiskForecast, RiskModel, WarmStarted

__all__ = [
    "BLOCK_BARS",
    "FailedSpan",
    "ForecastTask",
    "WalkPiece",
    "Walked",
    "cut_into_pieces",
    "declared_only",
    "join_pieces",
    "run_piece",
    "walk_forward",
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


def declared_only(model: RiskModel, history: History) -> History:
    """The history with the columns that ``model`` declares, and no others.

    ``close`` stays in any case: a history is not one without it.

    Raises
    ------
    DataError
        If a declared column is not there.
    """
    names = dict.fromkeys((*model.requires.columns, "close"))
    return History(
        history.instrument,
        history.step_ms,
        history.times_ms,
        {name: history.column(name) for name in names},
        history.notes,
    )


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


def run_piece(piece: WalkPiece) -> PieceResult:
    """Walk each model of a piece forward; one tuple of :class:`Walked` (per task) per model."""
    return tuple(_walk_block(model, piece) for model in piece.models)


def walk_forward(
    model: RiskModel,
    history: History,
    tasks: Sequence[ForecastTask],
    *,
    first: int,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Walked, ...]:
    """Walk one model forward; one :class:`Walked` per task.

    The model is refitted every ``requires.refit_every`` bars on ``requires.window`` bars, is handed
    nothing later than the fit's own row, and then forecasts every origin up to the next refit, each
    from its own past. A failed fit fails the origins until the next one; the rest goes on.

    Parameters
    ----------
    model : RiskModel
    history : History
    tasks : sequence of ForecastTask
        One fit serves them all.
    first : int
        Row of the first possible origin, at least ``requires.window``.
    executor, progress : optional
    """
    pieces = cut_into_pieces((model,), history, tasks, first=first)
    teller = progress or SilentProgress()
    teller.start(model.id, len(pieces))
    results: list[tuple[WalkPiece, PieceResult]] = []
    outcomes = (executor or SerialExecutor()).map(run_piece, pieces)
    for piece, result in zip(pieces, outcomes, strict=True):
        results.append((piece, result))
        teller.advance(model.id)
    teller.finish(model.id)
    return join_pieces((model,), tasks, results)[0]


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


def _walk_block(model: RiskModel, piece: WalkPiece) -> tuple[Walked, ...]:
    arrays = [[np.full(len(task.origins), np.nan) for _ in range(3)] for task in piece.tasks]
    failures: list[list[FailedSpan]] = [[] for _ in piece.tasks]
    needs = model.requires
    every = max(needs.refit_every, 1)
    view = capture(lambda: declared_only(model, piece.history), what=model.id, errors=(DataError,))
    if isinstance(view, Failure):
        return tuple(_all_failed(model.id, task, view) for task in piece.tasks)
    visible = view.value
    previous: FittedRisk | None = None
    for row in range(piece.start, piece.stop, every):
        until = min(row + every, piece.stop)
        base = row - needs.window
        fitted = _fit(model, visible.rows(base, row + 1), previous)
        previous = None if isinstance(fitted, Failure) else fitted.value
        for k, task in enumerate(piece.tasks):
            low, high = (int(i) for i in np.searchsorted(task.origins, (row, until)))
            if low == high:
                continue
            origins = task.origins[low:high]
            made: Success[_Made] | Failure
            if isinstance(fitted, Failure):
                made = fitted
            else:
                known = visible.rows(base, int(origins[-1]) + 1)
                made = _forecast(model, fitted.value, known, origins - base, task)
            if isinstance(made, Failure):
                failures[k].append(FailedSpan(low, high - low, made))
                continue
            for target, source in zip(arrays[k], made.value.arrays, strict=True):
                target[low:high] = source
            failures[k] += [
                FailedSpan(low + s.start, s.count, s.failure) for s in made.value.failures
            ]
    return tuple(
        Walked(model.id, RiskForecast(*values), tuple(spans))
        for values, spans in zip(arrays, failures, strict=True)
    )


def _all_failed(model: ModelId, task: ForecastTask, failure: Failure) -> Walked:
    n = len(task.origins)
    nothing = RiskForecast(*(np.full(n, np.nan) for _ in range(3)))
    return Walked(model, nothing, (FailedSpan(0, n, failure),) if n else ())


def _fit(
    model: RiskModel, known: History, previous: FittedRisk | None
) -> Success[FittedRisk] | Failure:
    # A plug-in may raise anything: at the border to it, whatever it raises is its own failure.
    def fit() -> Success[FittedRisk] | Failure:
        if previous is not None and isinstance(model, WarmStarted):
            return model.recalibrate(known, previous)
        return model.calibrate(known)

    outcome = capture(fit, what=f"fit of {model.id}", errors=(Exception,))
    return outcome if isinstance(outcome, Failure) else outcome.value


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """Checked forecasts of one span: vol, quantile, shortfall, and which of them are unusable."""

    arrays: tuple[FloatArray, FloatArray, FloatArray]
    failures: tuple[FailedSpan, ...]


def _forecast(
    model: RiskModel, fitted: FittedRisk, known: History, rows: IntArray, task: ForecastTask
) -> Success[_Made] | Failure:
    outcome = capture(
        lambda: fitted.forecast(known, rows, horizon=task.horizon, level=task.level),
        what=f"forecast of {model.id}",
        errors=(Exception,),
    )
    if isinstance(outcome, Failure):
        return outcome
    f = outcome.value
    vol, quantile, shortfall = (
        np.array(a, dtype=np.float64) for a in (f.vol, f.quantile, f.shortfall)
    )
    if not vol.shape == quantile.shape == shortfall.shape == rows.shape:
        return Failure(
            FailureReason.CALCULATION_FAILED,
            f"{model.id} returned shapes {vol.shape}, {quantile.shape}, {shortfall.shape} for "
            f"{len(rows)} origins",
            "return one value per origin",
        )
    missing = np.isnan(quantile)
    wrong = ~missing & ~((quantile < 0) & np.isfinite(quantile))
    quantile[wrong] = np.nan
    reasons = (
        (missing, FailureReason.MISSING_DATA, "no forecast", "the model returned NaN"),
        (
            wrong,
            FailureReason.CALCULATION_FAILED,
            "quantile is not a finite loss",
            "lower quantiles of the return are negative",
        ),
    )
    spans = [
        FailedSpan(start, count, Failure(reason, f"{model.id}: {text}", remedy))
        for mask, reason, text, remedy in reasons
        for start, count in _runs(mask)
    ]
    return Success(_Made((vol, quantile, shortfall), tuple(sorted(spans, key=lambda s: s.start))))


def _runs(mask: BoolArray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


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
