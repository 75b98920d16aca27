"""The surface error panel: every model calibrated at t forecasts the smile at t + 60 minutes.

Each coin has nine targets: three tenors by three delta buckets (see
:data:`~commonmode.panel.surface_market.BUCKETS`). A model is calibrated on the chain at t and asked
for the volatility of every quote of the chain at t + h, at the quote's own forward and time; target
and forecast are the same vega-weighted mean over a bucket. What the later chain lends to a forecast
is where to evaluate it (strike, time, forward), never a volatility.

The scale is the market's: half the bid-ask interval at t, in volatility, vega-weighted. The state
``log_abs_move`` is the log of the index's absolute log return from t to t + h.

The recorded set is 37 hours of one regime: the panel describes co-movement and carries no claim
about tails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, StringArray
from commonmode.core.errors import ModelError, PanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.core.result import Failure, FailureReason, Success, capture
from commonmode.core.units import HOUR_MS
from commonmode.exposure.surfaces import CALCULATION_ERRORS, calibrate_surface
from commonmode.market.chain import OptionChain
from commonmode.market.clock import utc_iso
from commonmode.market.snapshot import DataNote, Snapshot
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind
from commonmode.panel.surface_market import (
    BUCKETS,
    Evaluation,
    bucket_mean,
    evaluation_quotes,
    sticky_smile,
)
from commonmode.pricing.fitted import SliceTable
from commonmode.register.model import FittedSurface, SurfaceModel

__all__ = ["FittedParameters", "SurfacePanel", "build_surface_panel"]

_LABEL: Final = "surface panel"
# A move below a hundredth of a basis point is none: the index is quoted to the cent.
_SMALLEST_MOVE: Final = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class FittedParameters:
    """Every parameter of every slice that was fitted, one row each; arrays of shape (R,).

    Attributes
    ----------
    time_ms, expiry_ms : int64
    underlying, model, name : array of str
    value : float64
        Unrounded.
    """

    time_ms: IntArray
    underlying: StringArray
    model: StringArray
    expiry_ms: IntArray
    name: StringArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.value)


@dataclass(frozen=True, slots=True, eq=False)
class SurfacePanel:
    """The panel with what stands behind it.

    Attributes
    ----------
    panel : ErrorPanel
        Of kind ``VOL``.
    parameters : FittedParameters
        Of all calibrations the panel rests on: for each slice of a
        :class:`~commonmode.pricing.fitted.SliceTable` its parameters, years, forward, rmse, count.
    quotes : int64, shape (T, K)
        How many quotes each target is a mean of.
    notes : tuple of DataNote
        Rows that were dropped, and why.
    """

    panel: ErrorPanel
    parameters: FittedParameters
    quotes: IntArray
    notes: tuple[DataNote, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """One coin at one time: all models calibrated on ``now``, evaluated on ``later``."""

    now: OptionChain
    later: OptionChain
    models: tuple[SurfaceModel, ...]


_Row = tuple[int, str, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What one piece gives; arrays (9,) or (9, N)."""

    forecast: FloatArray
    outcome: FloatArray
    benchmarks: tuple[FloatArray, FloatArray]
    scale: FloatArray
    move: float
    quotes: IntArray
    failures: dict[tuple[int, int], Failure]
    parameters: tuple[list[_Row], ...]


def _index(chain: OptionChain) -> float:
    good = chain.index[np.isfinite(chain.index) & (chain.index > 0)]
    return float(np.median(good)) if len(good) else np.nan


def _forecast(
    model: SurfaceModel, piece: _Piece, quotes: Evaluation
) -> tuple[FloatArray | Failure, list[_Row]]:
    """The model's volatility of each later quote, and its parameters."""
    result = calibrate_surface(model, piece.now)
    if isinstance(result, Failure):
        return result, []
    fitted = result.value

    def evaluate() -> FloatArray:
        vol = np.asarray(
            fitted.implied_vol(quotes.strike, quotes.years, quotes.forward, quotes.expiry_ms),
            dtype=np.float64,
        )
        if vol.shape != quotes.strike.shape:
            raise ModelError(
                f"{model.id} gave volatilities of shape {vol.shape} for {quotes.strike.shape}",
                remedy="implied_vol returns one volatility per strike",
            )
        return np.where(np.isfinite(vol) & (vol > 0), vol, np.nan)

    evaluated = capture(evaluate, what=f"volatilities of {model.id}", errors=CALCULATION_ERRORS)
    forecast = evaluated.value if isinstance(evaluated, Success) else evaluated
    return forecast, _parameters(fitted)


def _parameters(fitted: FittedSurface) -> list[_Row]:
    """Rows (expiry, name, value) of a surface that keeps a table of slices; others tell nothing."""
    table = getattr(fitted, "slices", None)
    if not isinstance(table, SliceTable):
        return []
    columns = {"years": table.years, "forward": table.forward, **table.parameters}
    columns |= {"rmse": table.rmse, "count": table.count.astype(np.float64)}
    return [
        (int(expiry), name, float(column[row]))
        for row, expiry in enumerate(table.expiry_ms)
        for name, column in columns.items()
    ]


def _score(piece: _Piece) -> _Scored:
    quotes = evaluation_quotes(piece.now, piece.later)
    count = np.bincount(quotes.bucket, minlength=len(BUCKETS))
    forecast = np.full((len(BUCKETS), len(piece.models)), np.nan)
    failures: dict[tuple[int, int], Failure] = {}
    parameters = []
    for m, model in enumerate(piece.models):
        vol, rows = _forecast(model, piece, quotes)
        parameters.append(rows)
        if isinstance(vol, Failure):
            failures |= {(int(k), m): vol for k in np.flatnonzero(count)}
            continue
        forecast[:, m] = bucket_mean(vol, quotes)
        for k in np.flatnonzero((count > 0) & np.isnan(forecast[:, m])):
            missing = int(np.isnan(vol[quotes.bucket == k]).sum())
            failures[int(k), m] = Failure(
                FailureReason.CALCULATION_FAILED,
                f"{model.id}: no volatility for {missing} of {count[k]} quotes of "
                f"{piece.now.underlying} {BUCKETS[k]}",
                "its surface does not reach them; see the failed expiries of the calibration",
            )
    start, end = _index(piece.now), _index(piece.later)
    move = max(abs(float(np.log(end / start))), _SMALLEST_MOVE) if start > 0 < end else np.nan
    return _Scored(
        forecast=forecast,
        outcome=bucket_mean(quotes.outcome, quotes),
        benchmarks=(
            bucket_mean(sticky_smile(piece.now, quotes, 0), quotes),
            bucket_mean(sticky_smile(piece.now, quotes, 1), quotes),
        ),
        scale=bucket_mean(quotes.half_spread, quotes, skip_missing=True),
        move=float(np.log(move)),
        quotes=count.astype(np.int64),
        failures=failures,
        parameters=tuple(parameters),
    )


def _pair_up(
    snapshots: Sequence[Snapshot], horizon_ms: int
) -> tuple[list[tuple[Snapshot, Snapshot]], list[DataNote]]:
    """Snapshots with the one a horizon later, and notes on those that have none."""
    by_time = {snapshot.time_ms: snapshot for snapshot in snapshots}
    if len(by_time) != len(snapshots):
        raise PanelError(
            f"{len(snapshots) - len(by_time)} snapshots share a time with another",
            remedy="give one snapshot per time",
        )
    times = sorted(by_time)
    pairs = [(by_time[t], by_time[t + horizon_ms]) for t in times if t + horizon_ms in by_time]
    if not pairs:
        return [], []
    # The grid is the finest spacing there is; what it lacks are rows that could have been.
    step = int(np.diff(times).min())
    grid = np.arange(times[0], times[-1] - horizon_ms + 1, step)
    dropped = [t for t in grid.tolist() if t not in by_time or t + horizon_ms not in by_time]
    if not dropped:
        return pairs, []
    text = (
        f"{len(dropped)} rows dropped, none filled in: no snapshot at, or {horizon_ms // 60_000} "
        f"minutes after, {', '.join(utc_iso(t) for t in dropped)}"
    )
    return pairs, [DataNote("missing_snapshots", text, len(dropped))]


def _cell_failures(
    times: IntArray,
    targets: Sequence[TargetId],
    models: Sequence[ModelId],
    cells: Mapping[tuple[int, int, int], Failure],
) -> tuple[CellFailure, ...]:
    """Failed cells (row, target, model), runs of one reason in consecutive rows put together."""
    spans: list[tuple[int, int, int, int, Failure]] = []
    for row, target, model in sorted(cells, key=lambda cell: (cell[2], cell[1], cell[0])):
        failure = cells[row, target, model]
        if spans:
            m, k, start, count, first = spans[-1]
            if (m, k, start + count) == (model, target, row) and first.reason is failure.reason:
                spans[-1] = (m, k, start, count + 1, first)
                continue
        spans.append((model, target, row, 1, failure))
    return tuple(
        CellFailure(models[m], targets[k], int(times[row]), count, failure)
        for m, k, row, count, failure in spans
    )


def build_surface_panel(
    snapshots: Iterable[Snapshot],
    models: Sequence[SurfaceModel],
    *,
    underlyings: Sequence[str] = ("BTC", "ETH"),
    horizon_ms: int = HOUR_MS,
    exposure_usd: Mapping[ModelId, float] | None = None,
    name: str = "surface",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> SurfacePanel:
    """Walk the models through the snapshots.

    Parameters
    ----------
    snapshots : iterable of Snapshot
        In any order; a row is made for each that has one exactly ``horizon_ms`` later. Where it is
        missing the row is dropped and noted, never filled in.
    models : sequence of SurfaceModel
        Ids must be unique. A model that fails, raises an arithmetic error or does not reach a quote
        of a bucket gives failed cells with the reason; the others are unharmed.
    underlyings : sequence of str
        Targets are ``"<underlying> <tenor> <wing>"``, nine for each.
    horizon_ms : int
    exposure_usd : mapping, optional
        USD behind each model; 1 each by default.
    name : str
        Of the panel.
    executor : Executor, optional
        Pieces are one coin at one time; the numbers do not depend on it.
    progress : Progress, optional

    Returns
    -------
    SurfacePanel

    Raises
    ------
    PanelError
        No pair of snapshots a horizon apart, no model, or a time given twice.
    """
    executor, progress = executor or SerialExecutor(), progress or SilentProgress()
    pairs, notes = _pair_up(tuple(snapshots), horizon_ms)
    ids = tuple(model.id for model in models)
    if not pairs or not ids:
        raise PanelError(
            f"surface panel of {len(ids)} models: {len(pairs)} pairs of snapshots "
            f"{horizon_ms // 60_000} minutes apart",
            remedy="give at least one model and snapshots on a grid that contains the horizon",
        )
    targets = tuple(TargetId(f"{coin} {bucket}") for coin in underlyings for bucket in BUCKETS)
    width, t, k, n = len(BUCKETS), len(pairs), len(targets), len(ids)
    where: list[tuple[int, int]] = []
    pieces: list[_Piece] = []
    for row, (now, later) in enumerate(pairs):
        for c, coin in enumerate(underlyings):
            if coin in now.chains and coin in later.chains:
                where.append((row, c))
                pieces.append(_Piece(now.chain(coin), later.chain(coin), tuple(models)))
            else:
                text = f"{coin}: no chain at {utc_iso(now.time_ms)} or a horizon later; not filled"
                notes.append(DataNote("missing_chain", text))
    forecast = np.full((t, k, n), np.nan)
    outcome, benchmark_a, benchmark_b, scale, move = (np.full((t, k), np.nan) for _ in range(5))
    quotes = np.zeros((t, k), dtype=np.int64)
    cells: dict[tuple[int, int, int], Failure] = {}
    fitted: list[tuple[int, str, str, _Row]] = []
    progress.start(_LABEL, len(pieces))
    for (row, c), scored in zip(where, executor.map(_score, pieces), strict=True):
        block = slice(c * width, (c + 1) * width)
        forecast[row, block] = scored.forecast
        outcome[row, block] = scored.outcome
        benchmark_a[row, block], benchmark_b[row, block] = scored.benchmarks
        scale[row, block] = scored.scale
        move[row, block] = scored.move
        quotes[row, block] = scored.quotes
        time = pairs[row][0].time_ms
        cells |= {(row, c * width + b, m): f for (b, m), f in scored.failures.items()}
        for model, rows in zip(ids, scored.parameters, strict=True):
            fitted += [(time, underlyings[c], model, parameter) for parameter in rows]
        progress.advance(_LABEL)
    progress.finish(_LABEL)
    empty = int(np.count_nonzero(quotes == 0))
    if empty:
        text = f"{empty} cells of {t} x {k} have no quote in their bucket; not filled"
        notes.append(DataNote("empty_bucket", text, empty))
    times = np.array([now.time_ms for now, _ in pairs], dtype=np.int64)
    exposure = np.array([1.0 if exposure_usd is None else exposure_usd.get(i, 0.0) for i in ids])
    panel = ErrorPanel(
        name=name,
        kind=PanelKind.VOL,
        level=0.0,
        horizon_ms=horizon_ms,
        times_ms=times,
        models=ids,
        targets=targets,
        forecast=forecast,
        outcome=outcome,
        scale=scale,
        benchmark_a=benchmark_a,
        benchmark_b=benchmark_b,
        exposure_usd=exposure,
        state={"log_abs_move": move},
        failures=_cell_failures(times, targets, ids, cells),
    )
    return SurfacePanel(panel, _columns(fitted), quotes, tuple(notes))


def _columns(rows: Sequence[tuple[int, str, str, _Row]]) -> FittedParameters:
    return FittedParameters(
        time_ms=np.array([row[0] for row in rows], dtype=np.int64),
        underlying=np.array([row[1] for row in rows], dtype=np.str_),
        model=np.array([row[2] for row in rows], dtype=np.str_),
        expiry_ms=np.array([row[3][0] for row in rows], dtype=np.int64),
        name=np.array([row[3][1] for row in rows], dtype=np.str_),
        value=np.array([row[3][2] for row in rows], dtype=np.float64),
    )
