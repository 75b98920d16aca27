"""Error panels of trading strategies: the positions they want, walking forward.

Of kind ``SIGNAL``, and without benchmarks. A benchmark is the best forecast outside the population;
of a position there is none that two disjoint halves of the data could agree on: the best forecast
of an hourly return is close to nothing, so two half-data references would be two draws of noise,
and a reference of zero would leave in every deviation what all strategies read off the same price.
Co-movement of strategies is therefore told by contrasts (C2 of a panel without benchmarks): which
of them move together more than each of them does with the rest, which no market, outcome or
reference enters. How many independent ones there are is not said. What they do to the risk models'
limits is the business of :mod:`commonmode.converge.strategies`.

The outcome is in the forecast's own units: the position hindsight would have taken, the next return
over the market's volatility of the day before, within [-1, 1]. The scale is one largest position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.protocols import Executor, SerialExecutor
from commonmode.core.result import Failure, FailureReason, Success, capture
from commonmode.core.units import HOUR_MS
from commonmode.forecast.returns import horizon_returns
from commonmode.market.history import History
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind
from commonmode.register.model import Model
from commonmode.register.signal import FittedSignal, SignalModel

__all__ = ["build_signal_panel", "walk_signals"]

_DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    model: SignalModel
    history: History
    origins: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Walked:
    signal: FloatArray
    failures: tuple[tuple[int, int, Failure], ...]


def walk_signals(
    model: SignalModel, history: History, origins: IntArray
) -> tuple[FloatArray, tuple[tuple[int, int, Failure], ...]]:
    """One strategy's signals at every origin, walking forward.

    It is refitted every ``requires.refit_every`` bars on ``requires.window`` bars of the columns it
    declares, and handed nothing later than an origin's own row. A failed fit fails the origins
    until the next one.

    Parameters
    ----------
    model : SignalModel
    history : History
    origins : int64, shape (n,)
        Rows, consecutive or not, ascending, the first at least ``requires.window``.

    Returns
    -------
    signal : float64, shape (n,)
        In [-1, 1]; NaN where it failed.
    failures : tuple of (place of the first origin, how many, Failure)

    Raises
    ------
    DataError
        No origin, or one with less than a window before it.
    """
    if not len(origins) or origins[0] < model.requires.window:
        raise DataError(
            f"{model.id} needs {model.requires.window} bars before the first of {len(origins)} "
            "origins",
            remedy="begin later, or shorten its window",
        )
    done = _walk(_Piece(model, history, origins))
    return done.signal, done.failures


def build_signal_panel(
    histories: Mapping[str, History],
    models: Sequence[SignalModel],
    *,
    train: int = 1000,
    horizon: int = 1,
    name: str = "",
    exposure_usd: Mapping[ModelId, float] | None = None,
    executor: Executor | None = None,
) -> ErrorPanel:
    """Walk strategies forward on every coin.

    Parameters
    ----------
    histories : mapping of target (coin) to History
        The columns that the strategies declare; one step for all.
    models : sequence of SignalModel
    train : int
        Bars before the first origin, at least the longest window.
    horizon : int
        Bars from signal to outcome.
    name : str
        ``signals-<horizon>`` by default.
    exposure_usd : mapping, optional
        Largest position of each strategy, USD.
    executor : Executor, optional

    Raises
    ------
    DataError
        No history, histories too short or of different steps, or without a common time.
    """
    if not histories or not models:
        raise DataError("a signal panel needs a history and a strategy", remedy="give one of each")
    steps = {history.step_ms for history in histories.values()}
    window = max(model.requires.window for model in models)
    if len(steps) != 1 or window > train:
        raise DataError(
            f"signal panel of {len(steps)} different steps, windows up to {window} bars, "
            f"{train} bars of training",
            remedy="one step for all coins, and training as long as the longest window",
        )
    step = steps.pop()
    times = _common_origins(histories, train, horizon, step)
    rows = {coin: np.searchsorted(h.times_ms, times) for coin, h in histories.items()}
    keys = [(coin, model) for coin in histories for model in models]
    pieces = [_Piece(model, histories[coin], rows[coin]) for coin, model in keys]
    results = list((executor or SerialExecutor()).map(_walk, pieces))
    forecast = np.full((len(times), len(histories), len(models)), np.nan)
    failures = []
    for number, ((coin, model), walked) in enumerate(zip(keys, results, strict=True)):
        forecast[:, number // len(models), number % len(models)] = walked.signal
        failures += [
            CellFailure(model.id, TargetId(coin), int(times[start]), count, failure)
            for start, count, failure in walked.failures
        ]
    outcome = np.column_stack([_hindsight(h, rows[coin], horizon) for coin, h in histories.items()])
    exposure = np.array([1.0 if exposure_usd is None else exposure_usd[m.id] for m in models])
    return ErrorPanel(
        name=name or f"signals-{horizon}",
        kind=PanelKind.SIGNAL,
        level=0.0,
        horizon_ms=horizon * step,
        times_ms=times,
        models=tuple(model.id for model in models),
        targets=tuple(TargetId(coin) for coin in histories),
        forecast=forecast,
        outcome=outcome,
        scale=np.ones_like(outcome),
        exposure_usd=exposure,
        failures=tuple(failures),
    )


def _common_origins(
    histories: Mapping[str, History], train: int, horizon: int, step: int
) -> IntArray:
    for coin, history in histories.items():
        if len(history) <= train + horizon:
            raise DataError(
                f"history of {coin} has {len(history)} bars, {train} of them for training",
                remedy="give a longer history or train on fewer bars",
            )
    first = max(int(history.times_ms[train]) for history in histories.values())
    last = min(int(history.times_ms[-1]) for history in histories.values())
    common: IntArray | None = None
    for history in histories.values():
        times = history.times_ms[history.times_ms >= first]
        times = times[times + horizon * step <= last]
        common = times if common is None else np.intersect1d(common, times, assume_unique=True)
    if common is None or not len(common):
        raise DataError("the histories share no time after training", remedy="give one period")
    return common


def _hindsight(history: History, rows: IntArray, horizon: int) -> FloatArray:
    ahead = np.full(len(history), np.nan)
    ahead[:-horizon] = horizon_returns(history, horizon)[horizon:]
    squares = history.log_returns**2
    day = max(_DAY_MS // history.step_ms, 1)
    there = np.isfinite(squares)
    total = np.concatenate(([0.0], np.cumsum(np.where(there, squares, 0.0))))
    count = np.concatenate(([0], np.cumsum(there)))
    end = np.arange(1, len(history) + 1)
    low = np.maximum(end - day, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        vol = np.sqrt(np.maximum(total[end] - total[low], 0.0) / (count[end] - count[low]))
        moved = ahead / (vol * np.sqrt(horizon))
    moved[~np.isfinite(moved)] = np.nan
    return np.asarray(np.clip(moved[rows], -1.0, 1.0))


def _walk(piece: _Piece) -> _Walked:
    model, origins = piece.model, piece.origins
    signal = np.full(len(origins), np.nan)
    view = capture(lambda: _declared_only(model, piece.history), what=model.id, errors=(DataError,))
    if isinstance(view, Failure):
        return _Walked(signal, ((0, len(origins), view),))
    visible, needs = view.value, model.requires
    failures: list[tuple[int, int, Failure]] = []
    first, stop = int(origins[0]), int(origins[-1]) + 1
    for row in range(first, stop, max(needs.refit_every, 1)):
        until = min(row + max(needs.refit_every, 1), stop)
        low, high = (int(i) for i in np.searchsorted(origins, (row, until)))
        if low == high:
            continue
        made = _at(model, visible, row, origins[low:high])
        if isinstance(made, Failure):
            failures.append((low, high - low, made))
            continue
        signal[low:high] = made.value
        nothing = Failure(
            FailureReason.MISSING_DATA, f"{model.id}: no signal", "look at the columns it declares"
        )
        failures += [
            (low + start, count, nothing) for start, count in _runs(~np.isfinite(made.value))
        ]
    return _Walked(signal, tuple(failures))


def _runs(mask: BoolArray) -> list[tuple[int, int]]:
    """First place and length of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _declared_only(model: Model, history: History) -> History:
    names = dict.fromkeys((*model.requires.columns, "close"))
    columns = {name: history.column(name) for name in names}
    return History(history.instrument, history.step_ms, history.times_ms, columns, history.notes)


def _at(
    model: SignalModel, visible: History, row: int, origins: IntArray
) -> Success[FloatArray] | Failure:
    base = row - model.requires.window

    def tell() -> Success[FloatArray] | Failure:
        # A plug-in may raise anything: at the border to it that is its own failure.
        fitted: Success[FittedSignal] | Failure = model.calibrate(visible.rows(base, row + 1))
        if isinstance(fitted, Failure):
            return fitted
        known = visible.rows(base, int(origins[-1]) + 1)
        made = np.asarray(fitted.value.signal(known, origins - base), dtype=np.float64)
        if made.shape != origins.shape or np.any(np.abs(made) > 1.0):
            return Failure(
                FailureReason.CALCULATION_FAILED,
                f"{model.id}: signals of shape {made.shape}, or beyond [-1, 1]",
                "return one share of the largest position per origin",
            )
        return Success(made)

    outcome = capture(tell, what=f"signal of {model.id}", errors=(Exception,))
    return outcome if isinstance(outcome, Failure) else outcome.value
