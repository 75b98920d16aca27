"""The data passport of a model: what it was calibrated on, and for what that is not enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId, ModelId
from commonmode.market.bars import stale_runs
from commonmode.market.clock import utc_iso
from commonmode.market.history import History
from commonmode.market.integrity.bars import copied_bars, frozen_bars, partial_bars
from commonmode.market.integrity.derivatives import label_phase
from commonmode.market.integrity.screen import Screen, Verdict
from commonmode.register.model import Requirements
from commonmode.stats.blocks import autocorrelation_time_interval
from commonmode.stats.extrapolation import (
    Extrapolation,
    RegimeCoverage,
    extrapolation_distance,
    regime_coverage,
)
from commonmode.stats.samples import (
    TailSample,
    minimum_kupiec_length,
    tail_sample,
)

__all__ = ["DataPassport", "data_passport", "history_screens", "risk_factors"]

_FEW_TAIL_EVENTS = 10.0  # clusters; below it a tail quantile rests on single days


@dataclass(frozen=True, slots=True)
class DataPassport:
    """What one model's data can carry.

    Attributes
    ----------
    model : ModelId
    instrument : InstrumentId
    source, licence : str
        Lineage, as declared; "" when undeclared.
    columns : tuple of str
        What the model reads.
    content_hash : str
        Of the history, so that a passport belongs to one state of the data.
    start, end : str
        First and last time of the calibration window, ISO 8601 UTC.
    rows, window : int
        Bars on record, and in the calibration window.
    refit_every : int
    missing : Mapping[str, int]
        Values missing in the window, by column the model reads.
    gaps, missing_bars : int
        Gaps in the window and bars lost in them.
    stale_bars : int
        Bars of the window that repeat the one before.
    effective_size : float
        Independent observations for a volatility: of the absolute returns.
    effective_interval : (float, float)
        95 % interval of it.
    tail : TailSample
        Tail events at the level, in clusters.
    level : float
        Tail probability.
    backtest_bars : int
        Non-overlapping outcomes that a backtest needs to tell twice the stated breach rate (80 %).
    regimes : RegimeCoverage
    stresses : tuple of Extrapolation
    screens : tuple of Screen
    limits : tuple of str
        Limits of use that follow, in plain words.
    """

    model: ModelId
    instrument: InstrumentId
    source: str
    licence: str
    columns: tuple[str, ...]
    content_hash: str
    start: str
    end: str
    rows: int
    window: int
    refit_every: int
    missing: Mapping[str, int]
    gaps: int
    missing_bars: int
    stale_bars: int
    effective_size: float
    effective_interval: tuple[float, float]
    tail: TailSample
    level: float
    backtest_bars: int
    regimes: RegimeCoverage
    stresses: tuple[Extrapolation, ...] = field(default=())
    screens: tuple[Screen, ...] = field(default=())
    limits: tuple[str, ...] = field(default=())

    @property
    def failed_screens(self) -> tuple[Screen, ...]:
        """Screens that flagged something."""
        return tuple(screen for screen in self.screens if screen.flagged)

    @property
    def sentence(self) -> str:
        """The passport in one sentence."""
        passed = sum(screen.verdict is Verdict.PASSED for screen in self.screens)
        crash = "a crash" if self.regimes.crash_in_window else "no crash"
        return (
            f"{self.model} rests on {self.window:,} bars of {self.instrument} ({self.start} to "
            f"{self.end}), worth {self.effective_size:,.0f} independent ones for a volatility "
            f"(95 % {self.effective_interval[0]:,.0f} to {self.effective_interval[1]:,.0f}) and "
            f"{self.tail.clusters:.0f} tail events at {100 * self.level:g} %; {crash} in the "
            f"window; {passed} of {len(self.screens)} screens passed; limits of use: "
            f"{len(self.limits)}."
        )


def risk_factors(history: History) -> FloatArray:
    """Return and log range of every bar, shape (T, 2): what a stress of one instrument is made of.

    NaN where a price is missing. Histories of closes alone have the absolute return in place of
    the range.
    """
    returns = history.log_returns
    if {"high", "low"} <= set(history.columns):
        with np.errstate(divide="ignore", invalid="ignore"):
            span = np.log(history.column("high") / history.column("low"))
        return np.column_stack([returns, span])
    return np.column_stack([returns, np.abs(returns)])


def history_screens(history: History) -> tuple[Screen, ...]:
    """The screens that need this history only; those against peers are added by the caller."""
    return (
        frozen_bars(history),
        copied_bars(history),
        partial_bars(history),
        label_phase(history.times_ms, history.step_ms, subject=history.instrument),
    )


def data_passport(
    model: ModelId,
    requirements: Requirements,
    history: History,
    *,
    source: str = "",
    licence: str = "",
    level: float = 0.025,
    horizon: int = 24,
    crash: float = 0.2,
    stresses: Mapping[str, Sequence[float]] | None = None,
    screens: Sequence[Screen] = (),
) -> DataPassport:
    """Passport of a model as calibrated at the history's last bar.

    Parameters
    ----------
    model : ModelId
    requirements : Requirements
        Its window (0: everything) and columns.
    history : History
        The whole record; the window is its end.
    source, licence : str
    level : float
        Tail probability that the model forecasts.
    horizon : int
        Bars over which falls and volatility are measured.
    crash : float
        Fall that counts as a crash.
    stresses : mapping of name to (return, log range) of one bar, optional
        See :func:`risk_factors`.
    screens : sequence of Screen
        Of the same data against others (:mod:`commonmode.market.integrity`).

    Raises
    ------
    DataError
        The history is shorter than the window or two horizons, or lacks a column.
    """
    rows = len(history)
    window = requirements.window or rows
    if rows < window or rows < 2 * horizon:
        raise DataError(
            f"{model} needs a window of {window} bars, {history.instrument} has {rows}",
            remedy="give a longer history",
        )
    used = history.rows(rows - window, rows)
    missing = {
        name: int(np.count_nonzero(~np.isfinite(used.column(name))))
        for name in requirements.columns
    }
    steps = np.diff(used.times_ms)
    gaps = steps > used.step_ms
    lost = int((np.rint(steps[gaps] / used.step_ms) - 1).sum())
    returns = used.log_returns
    tail = tail_sample(-returns, level)
    known = float(np.isfinite(returns).sum())
    tau, fastest, slowest = autocorrelation_time_interval(np.abs(returns))
    regimes = regime_coverage(
        history.log_returns, slice(rows - window, rows), horizon=horizon, crash=crash
    )
    far: tuple[Extrapolation, ...] = ()
    if stresses:
        factors = risk_factors(used)
        far = extrapolation_distance(
            factors[np.isfinite(factors).all(axis=1)],
            np.asarray([list(values) for values in stresses.values()], dtype=np.float64),
            names=tuple(stresses),
            exclude=horizon,
        )
    every = (*history_screens(used), *screens)
    needed = minimum_kupiec_length(level, 2.0 * level)
    stale = int(np.count_nonzero(stale_runs(used.columns, 2)))
    return DataPassport(
        model=model,
        instrument=history.instrument,
        source=source,
        licence=licence,
        columns=requirements.columns,
        content_hash=history.content_hash,
        start=utc_iso(int(used.times_ms[0])),
        end=utc_iso(int(used.times_ms[-1])),
        rows=rows,
        window=window,
        refit_every=requirements.refit_every,
        missing=missing,
        gaps=int(np.count_nonzero(gaps)),
        missing_bars=lost,
        stale_bars=stale,
        effective_size=known / tau,
        effective_interval=(known / slowest, known / fastest),
        tail=tail,
        level=level,
        backtest_bars=needed,
        regimes=regimes,
        stresses=far,
        screens=every,
        limits=_limits(source, regimes, tail, level, missing, lost, needed, rows, far, every),
    )


def _limits(
    source: str,
    regimes: RegimeCoverage,
    tail: TailSample,
    level: float,
    missing: Mapping[str, int],
    lost: int,
    needed: int,
    rows: int,
    stresses: Sequence[Extrapolation],
    screens: Sequence[Screen],
) -> tuple[str, ...]:
    found = []
    if not source:
        found.append("The data's source is not declared.")
    if not regimes.crash_in_window:
        found.append(
            f"No crash in the window (worst fall {100 * -np.expm1(-regimes.worst_fall):.0f} %, on "
            f"record {100 * -np.expm1(-regimes.record_worst_fall):.0f} %): not for stressed "
            "margins without an add-on."
        )
    if tail.clusters < _FEW_TAIL_EVENTS:
        found.append(
            f"{tail.clusters:.0f} independent tail events at {100 * level:g} %: its tail rests on "
            "a law, not on data."
        )
    if needed > rows:
        found.append(
            f"{rows:,} bars on record; a backtest that tells twice the breach rate needs "
            f"{needed:,}."
        )
    holes = {name: count for name, count in missing.items() if count}
    if holes or lost:
        parts = [f"{count} values of {name}" for name, count in holes.items()]
        parts += [f"{lost} whole bars"] if lost else []
        found.append(f"Missing in the window: {', '.join(parts)}.")
    found += [
        f"{one.name} lies outside the window (distance {one.distance:.1f}, nearest bar "
        f"{one.neighbour:.1f} away): what it says there is extrapolation."
        for one in stresses
        if one.outside
    ]
    found += [f"Screen flagged: {screen.sentence}" for screen in screens if screen.flagged]
    return tuple(found)
