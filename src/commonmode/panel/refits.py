"""One model at several cadences: its forecasts, and what each recalibration changes by itself.

A step is the move of the log quantile at one and the same time when the parameters of the previous
refit give way to those of the new one: the market stands still, so it is recalibration only. It is
in units of the risk reported, hence, times a position's risk, in USD.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason, Success, capture
from commonmode.market.history import History
from commonmode.panel.walk_forward import declared_only
from commonmode.register.model import FittedRisk, RiskModel, WarmStarted

__all__ = ["CadenceWalk", "Span", "spread_spans", "walk_at_cadence"]


@dataclass(frozen=True, slots=True)
class Span:
    """Rows ``start .. stop - 1`` of a history, whose forecasts are looked at."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class CadenceWalk:
    """A model refitted every ``cadence`` bars, over S spans.

    Attributes
    ----------
    model : ModelId
    cadence : int
    rows : int64, shape (n,)
        Origins forecast, of all spans in order.
    span : int64, shape (n,)
        Which span each belongs to.
    quantile : float64, shape (n,)
        NaN where a fit or forecast failed.
    step : float64, shape (S, m)
        Log-quantile move of each refit in order; NaN where there was none.
    step_row : int64, shape (S, m)
        Row of each refit; -1 where there was none.
    failures : tuple of Failure
        One of each reason.
    """

    model: ModelId
    cadence: int
    rows: IntArray
    span: IntArray
    quantile: FloatArray
    step: FloatArray
    step_row: IntArray
    failures: tuple[Failure, ...]


def spread_spans(rows: int, *, first: int, length: int, count: int) -> tuple[Span, ...]:
    """``count`` spans of ``length`` rows, evenly spread from ``first`` to the end, without overlap.

    Raises
    ------
    ConfigurationError
        They do not fit.
    """
    if count < 1 or first + count * length > rows:
        raise ConfigurationError(
            f"{count} spans of {length} bars do not fit between bar {first} and bar {rows}",
            remedy="use fewer or shorter spans",
        )
    starts = np.linspace(first, rows - length, count).astype(np.int64)
    return tuple(Span(int(s), int(s) + length) for s in starts)


def walk_at_cadence(
    model: RiskModel,
    history: History,
    spans: Sequence[Span],
    *,
    cadence: int,
    horizon: int = 1,
    level: float = 0.025,
    steps: int = 2,
    most_refits: int = 24,
) -> CadenceWalk:
    """Refit every ``cadence`` bars in each span and forecast each of its bars from the last refit.

    Parameters
    ----------
    model : RiskModel
    history : History
    spans : sequence of Span
        Each starts with a refit; spans are cut to ``most_refits`` refits.
    cadence : int
        Bars.
    horizon : int
        Bars.
    level : float
    steps : int
        Recalibration steps wanted of each span at least; refits before it are made where the span
        is too short.
    most_refits : int
        Where refits are dear.

    Raises
    ------
    ConfigurationError
        A span that begins before the window and the refits before it are there.
    """
    window = model.requires.window
    made: list[tuple[IntArray, FloatArray]] = []
    all_steps: list[list[tuple[int, float]]] = []
    failures: dict[FailureReason, Failure] = {}
    visible = declared_only(model, history)
    for span in spans:
        stop = min(span.stop, span.start + most_refits * cadence)
        inside = list(range(span.start, stop, cadence))
        before = max(steps + 1 - len(inside), 1)
        refits = [span.start - k * cadence for k in range(before, 0, -1)] + inside
        if refits[0] < window:
            raise ConfigurationError(
                f"{model.id}: the first span begins at bar {span.start}, its refits need "
                f"{window + span.start - refits[0]} bars before",
                remedy="begin later or use a shorter cadence",
            )
        rows, quantile = np.arange(span.start, stop), np.full(stop - span.start, np.nan)
        found: list[tuple[int, float]] = []
        last: tuple[int, FittedRisk] | None = None
        for row in refits:
            known = visible.rows(row - window, row + 1)
            fitted = _fit(model, known, last[1] if last else None)
            if isinstance(fitted, Failure):
                failures.setdefault(fitted.reason, fitted)
                continue
            if last is not None:
                here = np.array([row])
                new = _quantile(model, fitted.value, visible, row, here, horizon, level)
                old = _quantile(model, last[1], visible, last[0], here, horizon, level)
                for one in (new, old):
                    if isinstance(one, Failure):
                        failures.setdefault(one.reason, one)
                if isinstance(new, Success) and isinstance(old, Success):
                    found.append((row, float(np.log(new.value[0] / old.value[0]))))
            last = (row, fitted.value)
            if row >= span.start:
                mine = np.arange(row, min(row + cadence, stop))
                told = _quantile(model, fitted.value, visible, row, mine, horizon, level)
                if isinstance(told, Failure):
                    failures.setdefault(told.reason, told)
                else:
                    quantile[mine - span.start] = told.value
        made.append((rows, quantile))
        all_steps.append(found)
    width = max((len(found) for found in all_steps), default=0)
    step, step_row = np.full((len(spans), width), np.nan), np.full((len(spans), width), -1)
    for s, found in enumerate(all_steps):
        for k, (row, move) in enumerate(found):
            step[s, k], step_row[s, k] = move, row
    return CadenceWalk(
        model=model.id,
        cadence=cadence,
        rows=np.concatenate([rows for rows, _ in made]),
        span=np.repeat(np.arange(len(made)), [len(rows) for rows, _ in made]),
        quantile=np.concatenate([quantile for _, quantile in made]),
        step=step,
        step_row=step_row,
        failures=tuple(failures.values()),
    )


def _fit(
    model: RiskModel, known: History, previous: FittedRisk | None
) -> Success[FittedRisk] | Failure:
    # As in the walk-forward driver: whatever a plug-in raises is its own failure.
    def fit() -> Success[FittedRisk] | Failure:
        if previous is not None and isinstance(model, WarmStarted):
            return model.recalibrate(known, previous)
        return model.calibrate(known)

    outcome = capture(fit, what=f"fit of {model.id}", errors=(Exception,))
    return outcome if isinstance(outcome, Failure) else outcome.value


def _quantile(
    model: RiskModel,
    fitted: FittedRisk,
    visible: History,
    fitted_at: int,
    rows: IntArray,
    horizon: int,
    level: float,
) -> Success[FloatArray] | Failure:
    """Checked quantiles at ``rows`` by a fit made at ``fitted_at``."""
    base = fitted_at - model.requires.window

    def tell() -> FloatArray:
        known = visible.rows(base, int(rows[-1]) + 1)
        told = fitted.forecast(known, rows - base, horizon=horizon, level=level)
        return np.asarray(told.quantile, dtype=np.float64)

    outcome = capture(tell, what=f"forecast of {model.id}", errors=(Exception,))
    if isinstance(outcome, Failure):
        return outcome
    if outcome.value.shape != rows.shape or not np.all(outcome.value < 0):
        return Failure(
            FailureReason.CALCULATION_FAILED,
            f"{model.id}: quantiles of shape {outcome.value.shape}, not all below zero",
            "return one lower quantile of the return per origin",
        )
    return outcome
