"""Our margin path: components mixed, controlled, and scaled by a multiplier refitted every month.

The multiplier of a month is the smallest factor at which, over the calibration window that ended
before the month began, no more than the promised share of losses breached; all portfolios are
pooled. Nothing in a month's margin was unknown when the month began, apart from the scenarios
themselves, which are as of each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.backtest.bootstrap import pooled_scale, scale_interval
from commonmode.margin.backtest.ours import Components
from commonmode.margin.procyclicality import ProcyclicalityControl

__all__ = ["Settings", "WalkForward", "controlled", "month_starts", "walk_forward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is chosen on the training period.

    Attributes
    ----------
    half_lives : tuple of float
        Of the volatility filter, bars.
    level : float
        Of the expected shortfall.
    stressed_weight : float
        Share of the stressed shortfall.
    correlation_stress : float
        Share of the gap to broken correlation.
    floor : float
        Share of the long-history margin below which margin does not fall.
    buffer : float
        Buffer, exhausted as margin comes near the stressed one (its release level).
    window_days : int
        Of history on which the multiplier is fitted.
    daily_limit : float
        Largest ratio of a margin rate to that of a day before; infinity for none.
    """

    half_lives: tuple[float, ...]
    level: float = 0.975
    stressed_weight: float = 0.25
    correlation_stress: float = 0.0
    floor: float = 0.0
    buffer: float = 0.0
    window_days: int = 365
    daily_limit: float = float("inf")

    @property
    def label(self) -> str:
        """Short text for tables and figures."""
        memory = "/".join(f"{half_life:g}" for half_life in self.half_lives)
        parts = [f"half-life {memory} h", f"ES {100 * self.level:g} %"]
        for name, value in (
            ("stressed", self.stressed_weight),
            ("broken", self.correlation_stress),
            ("floor", self.floor),
            ("buffer", self.buffer),
        ):
            if value:
                parts.append(f"{name} {value:g}")
        if np.isfinite(self.daily_limit):
            parts.append(f"limit {self.daily_limit:g} a day")
        return ", ".join(parts)


def month_starts(times_ms: IntArray) -> IntArray:
    """Rows at which a calendar month (UTC) begins; the first row only if it does."""
    month = times_ms.astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.flatnonzero(month[1:] != month[:-1]) + 1
    begins = len(times_ms) and times_ms[0] == month[0].astype("datetime64[ms]").astype(np.int64)
    return np.concatenate(([0], starts) if begins else ([], starts)).astype(np.int64)


def controlled(
    parts: Components, settings: Settings, long_margin: FloatArray, *, lag: int = 24
) -> FloatArray:
    """The path before the multiplier, per dollar of notional, shape (R, A).

    Parameters
    ----------
    parts : Components
    settings : Settings
        Its half-lives must be those of the components.
    long_margin : float64, shape (R, A)
        Shortfall on all history known.
    lag : int
        Rows in a day.
    """
    try:
        at = parts.levels.index(settings.level)
    except ValueError as error:
        raise ConfigurationError(
            f"level {settings.level} was not computed",
            remedy=f"there are {parts.levels}",
        ) from error
    mixed = parts.mixed(at, settings.stressed_weight, settings.correlation_stress)
    control = ProcyclicalityControl(buffer=settings.buffer, limit=settings.daily_limit, lag=lag)
    floor = settings.floor * long_margin if settings.floor else 0.0
    return control.path(mixed, floor=floor, release=parts.stressed[:, :, at])


@dataclass(frozen=True, slots=True, eq=False)
class WalkForward:
    """A margin path with its multipliers.

    Attributes
    ----------
    margin : float64, shape (R, A)
        NaN before the first calibration.
    starts_ms : int64, shape (M,)
        When each multiplier came into force.
    multiplier : float64, shape (M,)
    low, high : float64, shape (M,)
        Block-bootstrap interval of each multiplier, 95 %; NaN where it was not asked for.
    """

    margin: FloatArray
    starts_ms: IntArray
    multiplier: FloatArray
    low: FloatArray
    high: FloatArray


def walk_forward(
    base: FloatArray,
    losses: FloatArray,
    times_ms: IntArray,
    *,
    level: float,
    window_ms: int,
    least_ms: int,
    horizon_ms: int,
    draws: int = 0,
    block: int = 168,
) -> WalkForward:
    """Scale a path month by month on what was known.

    Parameters
    ----------
    base, losses : float64, shape (R, A)
        Per dollar of notional, at the same times.
    times_ms : int64, shape (R,)
    level : float
        Promised breach probability.
    window_ms, least_ms : int
        Calibration window, and how much of it there has to be.
    horizon_ms : int
        A loss is known that long after its row.
    draws : int
        Block-bootstrap draws for the interval of each multiplier; 0 for none.
    block : int
        Rows per block of the bootstrap.
    """
    if base.shape != losses.shape or len(base) != len(times_ms):
        raise DataError(
            f"margin {base.shape}, losses {losses.shape} and {len(times_ms)} times",
            remedy="all have one row per time",
        )
    months = month_starts(times_ms)
    begun = times_ms[int(np.argmax(np.isfinite(base).any(axis=1)))]
    starts = months[times_ms[months] - begun >= least_ms]
    margin = np.full_like(base, np.nan)
    scales = np.full((len(starts), 3), np.nan)
    for i, (start, stop) in enumerate(
        zip(starts.tolist(), [*starts[1:].tolist(), len(base)], strict=True)
    ):
        now = int(times_ms[start])
        past = (times_ms >= now - window_ms) & (times_ms <= now - horizon_ms)
        if draws:
            found = scale_interval(
                base[past], losses[past], level, block=block, draws=draws, rng=start
            )
            scales[i] = found.value, found.low, found.high
        else:
            scales[i, 0] = pooled_scale(base[past], losses[past], level)
        margin[start:stop] = base[start:stop] * scales[i, 0]
    return WalkForward(margin, times_ms[starts], scales[:, 0], scales[:, 1], scales[:, 2])
