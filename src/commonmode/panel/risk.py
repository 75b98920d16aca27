"""Error panels of risk models: lower quantiles of returns, forecast walking forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import TargetId
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.core.units import HOUR_MS
from commonmode.forecast.returns import horizon_returns
from commonmode.market.history import History
from commonmode.panel.benchmark import Half, RangeBenchmark, garman_klass_variance, range_benchmark
from commonmode.panel.error_panel import CellFailure, ErrorPanel, PanelKind
from commonmode.panel.walk_forward import run_piece
from commonmode.panel.walk_pieces import (
    ForecastTask,
    PieceResult,
    Walked,
    WalkPiece,
    cut_into_pieces,
    join_pieces,
)
from commonmode.register.model import RiskModel

__all__ = ["RiskPanelSpec", "build_risk_panel", "build_risk_panels"]

_DAY_MS = 24 * HOUR_MS
_MONDAY_MS = 4 * _DAY_MS  # 1970-01-01 was a Thursday
_LABEL = "risk models"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPanelSpec:
    """One panel: what is forecast, from which times.

    Attributes
    ----------
    name : str
    horizon : int
        Bars.
    level : float
        Probability of the lower tail.
    non_overlapping : bool
        Origins ``horizon`` bars apart instead of at every bar.
    """

    name: str = "risk-1h"
    horizon: int = 1
    level: float = 0.025
    non_overlapping: bool = False

    def __post_init__(self) -> None:
        """Check horizon and level."""
        if self.horizon < 1 or not 0.0 < self.level < 0.5:
            raise ConfigurationError(
                f"risk panel {self.name}: horizon {self.horizon}, level {self.level}",
                remedy="the horizon is 1 bar or more and the level a lower tail, e.g. 0.025",
            )


def build_risk_panel(
    histories: Mapping[str, History],
    models: Sequence[RiskModel],
    *,
    train: int = 2000,
    horizon: int = 1,
    level: float = 0.025,
    non_overlapping: bool = False,
    name: str = "",
    benchmark: RangeBenchmark | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> ErrorPanel:
    """One risk panel; see :func:`build_risk_panels`."""
    spec = RiskPanelSpec(
        name=name or f"risk-{horizon}h",
        horizon=horizon,
        level=level,
        non_overlapping=non_overlapping,
    )
    return build_risk_panels(
        histories,
        models,
        (spec,),
        train=train,
        benchmark=benchmark,
        executor=executor,
        progress=progress,
    )[0]


def build_risk_panels(
    histories: Mapping[str, History],
    models: Sequence[RiskModel],
    specs: Sequence[RiskPanelSpec],
    *,
    train: int = 2000,
    benchmark: RangeBenchmark | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[ErrorPanel, ...]:
    """Walk ``models`` forward once and build every panel from the same fits.

    The outcome is the log return over the horizon (NaN over a gap of the market). The scale is the
    market's own: realised volatility of the day before by ranges, times the root of the horizon;
    its logarithm is the volatility state on which co-failure is conditioned. State columns:
    ``day_of_week`` (0 Monday) and, unless the outcome covers whole days, ``hour_of_day`` (UTC, of
    the origin).

    Parameters
    ----------
    histories : mapping of target (coin) to History
        Columns open, high, low, close and what the models declare; one step for all.
    models : sequence of RiskModel
        The same for every target.
    specs : sequence of RiskPanelSpec
    train : int
        Bars before the first origin.
    benchmark : RangeBenchmark, optional
    executor, progress : optional

    Returns
    -------
    tuple of ErrorPanel
        One per spec; T origins that all targets have, K targets, N models.

    Raises
    ------
    DataError
        If the histories are too short, of different steps, or share no time.
    """
    firsts, last_ms = _training_ends(histories, train)
    first_ms = max(firsts.values())
    common = _common_times(histories, first_ms, last_ms)
    step_ms = next(iter(histories.values())).step_ms
    origins = [_origin_times(common, spec, step_ms, first_ms, last_ms) for spec in specs]
    tasks: dict[str, list[ForecastTask]] = {}
    pieces: list[WalkPiece] = []
    owner: list[str] = []
    for coin, history in histories.items():
        tasks[coin] = [
            ForecastTask(spec.horizon, spec.level, _rows_of(history, times))
            for spec, times in zip(specs, origins, strict=True)
        ]
        first = int(np.searchsorted(history.times_ms, first_ms))
        cut = cut_into_pieces(models, history, tasks[coin], first=first)
        pieces += cut
        owner += [coin] * len(cut)
    teller = progress or SilentProgress()
    teller.start(_LABEL, len(pieces))
    done: dict[str, list[tuple[WalkPiece, PieceResult]]] = {coin: [] for coin in histories}
    results = (executor or SerialExecutor()).map(run_piece, pieces)
    for coin, piece, result in zip(owner, pieces, results, strict=True):
        done[coin].append((piece, result))
        teller.advance(_LABEL)
    teller.finish(_LABEL)
    walked = {coin: join_pieces(models, tasks[coin], done[coin]) for coin in histories}
    panels = []
    for number, (spec, times) in enumerate(zip(specs, origins, strict=True)):
        rows = {coin: tasks[coin][number].origins for coin in histories}
        made = {coin: [of_model[number] for of_model in walked[coin]] for coin in histories}
        panels.append(_assemble(histories, models, spec, times, rows, made, first_ms, benchmark))
    return tuple(panels)


def _training_ends(histories: Mapping[str, History], train: int) -> tuple[dict[str, int], int]:
    """Time of the first possible origin of each target, and the last time all of them have."""
    if not histories:
        raise DataError("a risk panel without a history", remedy="give one history per coin")
    if len({history.step_ms for history in histories.values()}) != 1:
        raise DataError(
            "histories of different steps in one risk panel",
            remedy="resample them to one step; different clocks never enter one panel",
        )
    firsts = {}
    for coin, history in histories.items():
        if len(history) <= train + 1:
            raise DataError(
                f"history of {coin} has {len(history)} bars, {train} of them for training",
                remedy="give a longer history or train on fewer bars",
            )
        firsts[coin] = int(history.times_ms[train])
    return firsts, min(int(history.times_ms[-1]) for history in histories.values())


def _common_times(histories: Mapping[str, History], first_ms: int, last_ms: int) -> IntArray:
    common: IntArray | None = None
    for history in histories.values():
        times = history.times_ms[(history.times_ms >= first_ms) & (history.times_ms <= last_ms)]
        common = times if common is None else np.intersect1d(common, times, assume_unique=True)
    if common is None or not len(common):
        raise DataError(
            "the histories share no time after training",
            remedy="give histories of one period, with the same bar ends in UTC",
        )
    return common


def _origin_times(
    common: IntArray, spec: RiskPanelSpec, step_ms: int, first_ms: int, last_ms: int
) -> IntArray:
    """Origins whose outcome ends inside the data; on the clock, so a gap shifts none of them."""
    span = spec.horizon * step_ms
    keep = common + span <= last_ms
    if spec.non_overlapping:
        keep &= (common - first_ms) % span == 0
    if not np.any(keep):
        raise DataError(
            f"panel {spec.name}: no origin is followed by {spec.horizon} bars",
            remedy="give a longer history or train on fewer bars",
        )
    return np.asarray(common[keep])


def _rows_of(history: History, times_ms: IntArray) -> IntArray:
    return np.asarray(np.searchsorted(history.times_ms, times_ms), dtype=np.int64)


def _assemble(
    histories: Mapping[str, History],
    models: Sequence[RiskModel],
    spec: RiskPanelSpec,
    times: IntArray,
    rows: Mapping[str, IntArray],
    made: Mapping[str, Sequence[Walked]],
    first_ms: int,
    benchmark: RangeBenchmark | None,
) -> ErrorPanel:
    outcome, scale, states, failures = [], [], [], []
    halves: dict[Half, list[FloatArray]] = {half: [] for half in Half}
    for coin, history in histories.items():
        at = rows[coin]
        ahead = np.full(len(history), np.nan)
        ahead[: -spec.horizon] = horizon_returns(history, spec.horizon)[spec.horizon :]
        outcome.append(ahead[at])
        variance = garman_klass_variance(history)
        day = _trailing_vol(variance, max(_DAY_MS // history.step_ms, 1))
        scale.append((day * np.sqrt(spec.horizon))[at])
        states.append(_state(times, spec.horizon * history.step_ms))
        first = int(np.searchsorted(history.times_ms, first_ms))
        for half, columns in halves.items():
            quantile = range_benchmark(
                history,
                half=half,
                horizon=spec.horizon,
                level=spec.level,
                first=first,
                settings=benchmark,
            )
            columns.append(quantile[at])
        failures += [
            CellFailure(walked.model, TargetId(coin), int(times[s.start]), s.count, s.failure)
            for walked in made[coin]
            for s in walked.failures
        ]
    forecast = np.stack(
        [np.column_stack([w.forecast.quantile for w in made[coin]]) for coin in histories], axis=1
    )
    return ErrorPanel(
        name=spec.name,
        kind=PanelKind.QUANTILE,
        level=spec.level,
        horizon_ms=spec.horizon * next(iter(histories.values())).step_ms,
        times_ms=times,
        models=tuple(model.id for model in models),
        targets=tuple(TargetId(coin) for coin in histories),
        forecast=forecast,
        outcome=np.column_stack(outcome),
        scale=np.column_stack(scale),
        benchmark_a=np.column_stack(halves[Half.ODD]),
        benchmark_b=np.column_stack(halves[Half.EVEN]),
        state={name: np.column_stack([s[name] for s in states]) for name in states[0]},
        failures=tuple(failures),
    )


def _trailing_vol(variance: FloatArray, bars: int) -> FloatArray:
    """Root of the mean variance of the last ``bars`` bars that are there, per bar, shape (T,)."""
    there = np.isfinite(variance)
    total = np.concatenate(([0.0], np.cumsum(np.where(there, variance, 0.0))))
    count = np.concatenate(([0], np.cumsum(there)))
    end = np.arange(1, len(variance) + 1)
    low = np.maximum(end - bars, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (total[end] - total[low]) / (count[end] - count[low])
        vol = np.sqrt(mean)
    vol[~(vol > 0.0)] = np.nan
    return np.asarray(vol)


def _state(times: IntArray, horizon_ms: int) -> dict[str, FloatArray]:
    state = {"day_of_week": ((times - _MONDAY_MS) // _DAY_MS % 7).astype(np.float64)}
    if horizon_ms % _DAY_MS:
        state["hour_of_day"] = (times // HOUR_MS % 24).astype(np.float64)
    return state
