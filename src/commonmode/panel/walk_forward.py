"""Walking models forward through a history: each fit and each forecast sees only its past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.core.result import Failure, FailureReason, Success, capture
from commonmode.market.history import History
from commonmode.panel.walk_pieces import (
    FailedSpan,
    ForecastTask,
    PieceResult,
    Walked,
    WalkPiece,
    cut_into_pieces,
    join_pieces,
)
from commonmode.register.model import FittedRisk, RiskForecast, RiskModel, WarmStarted

__all__ = ["declared_only", "run_piece", "walk_forward"]


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
