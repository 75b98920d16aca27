"""What monitoring found: indices along time, rules with their alarms, and the words for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from commonmode.converge.finding import FOUND, between
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.market.clock import utc_iso
from commonmode.stats.changepoint import CusumTest

__all__ = [
    "Alert",
    "AlertRule",
    "Episode",
    "IndexPath",
    "LevelEvidence",
    "MonitoringResult",
    "RuleKind",
]


class RuleKind(Enum):
    """How a rule keeps its rate of false alarms.

    ``E_DETECTOR``  guaranteed average run length; the null is one-sided and needs no law.
    ``WINDOW``      simulated: ranks against the baseline, latest windows against all of it.
    """

    E_DETECTOR = "e-detector"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, eq=False)
class IndexPath:
    """An exponentially weighted index along time, with the test applied to each window.

    Attributes
    ----------
    name : str
    time_ms : int64, shape (W,)
        When the last outcome of the window was known.
    value, low, high : float64, shape (W,)
        Estimate and 95 % interval of the window; NaN where it has none.
    p_value : float64, shape (W,)
        Of the window on its own: many windows are looked at, so it describes and does not warn.
    """

    name: str
    time_ms: IntArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray

    def at(self, time_ms: int) -> float:
        """The latest value known at a time; NaN before the first."""
        row = int(np.searchsorted(self.time_ms, time_ms, side="right")) - 1
        return float(self.value[row]) if row >= 0 else float("nan")

    def mean(self, start_ms: int, end_ms: int) -> float:
        """Mean of the values known from start to before end; NaN if there are none."""
        rows = (self.time_ms >= start_ms) & (self.time_ms < end_ms) & np.isfinite(self.value)
        return float(self.value[rows].mean()) if rows.any() else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class AlertRule:
    """One rule run along the blocks after the baseline.

    Attributes
    ----------
    name : str
    kind : RuleKind
    null : str
        What it holds to be normal.
    time_ms : int64, shape (A,)
        When the last outcome of the block was known.
    statistic : float64, shape (A,)
        Logarithm of the e-detector, or standard errors.
    threshold : float
    alarms, started : int64
        Rows at which it went off and, for each, since when the evidence speaks.
    evidence : float
        Largest logarithm of the e-process begun at the end of the baseline; NaN for windows.
    run_length : float
        Blocks between false alarms: on average at least (e-detector), or as simulated (window).
    detectable : float
        Lasting shift that the rule sees with 80 % probability once its longest window is full, in
        the series' own unit; NaN for e-detectors.
    """

    name: str
    kind: RuleKind
    null: str
    time_ms: IntArray
    statistic: FloatArray
    threshold: float
    alarms: IntArray
    started: IntArray
    evidence: float
    run_length: float
    detectable: float


@dataclass(frozen=True, slots=True, eq=False)
class LevelEvidence:
    """Evidence that a level is above that of independent models, since the baseline's end.

    Unlike an alert it asks for no change: a crowd that always was one model shows here only.

    Attributes
    ----------
    name, null : str
    time_ms : int64, shape (A,)
    log_e : float64, shape (A,)
        E-process: 20 to 1 or more, ever, with probability 5 % at most under the null.
    first_ms : int or None
        When it first reached 20 to 1.
    withheld : str
        Why nothing is claimed, or empty; then ``log_e`` is 0 and ``first_ms`` None.
    """

    name: str
    null: str
    time_ms: IntArray
    log_e: FloatArray
    first_ms: int | None
    withheld: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alarm.

    Attributes
    ----------
    time_ms, since_ms : int
        When it was raised; when, judging from then, the change began.
    rule : str
    statistic, threshold : float
    effective_number, cofailure : float
        The indices as they stood; NaN where there are none.
    """

    time_ms: int
    since_ms: int
    rule: str
    statistic: float
    threshold: float
    effective_number: float
    cofailure: float

    @property
    def sentence(self) -> str:
        """What a risk officer reads."""
        state = f"effective number {self.effective_number:.1f}"
        if np.isfinite(self.cofailure):
            state += f", co-failure ratio {self.cofailure:.2f}"
        return (
            f"{utc_iso(self.time_ms)}: {self.rule} at {self.statistic:.1f} against a threshold of "
            f"{self.threshold:.1f}, since about {utc_iso(self.since_ms)}; {state}. What to do: "
            "look at which component the models share before relying on their agreement."
        )


@dataclass(frozen=True, slots=True)
class Episode:
    """The monitor around one event.

    Attributes
    ----------
    name : str
    start_ms, end_ms : int
    before, during, after : tuple of (effective number, co-failure ratio)
        Means over as long before and after as the event lasted, at least ``margin_ms``.
    alerts_before, alerts_during, alerts_after : tuple of Alert
    """

    name: str
    start_ms: int
    end_ms: int
    before: tuple[float, float]
    during: tuple[float, float]
    after: tuple[float, float]
    alerts_before: tuple[Alert, ...]
    alerts_during: tuple[Alert, ...]
    alerts_after: tuple[Alert, ...]

    @property
    def sentence(self) -> str:
        """What it would have warned of, and when; or that it would not have."""
        number, ratio = (
            f"{self.before[i]:.2f} before, {self.during[i]:.2f} during, {self.after[i]:.2f} after"
            for i in (0, 1)
        )
        if self.alerts_before:
            told = f"warned before it, last on {utc_iso(self.alerts_before[-1].time_ms)}"
            told += f" ({self.alerts_before[-1].rule})"
        elif self.alerts_during:
            late = (self.alerts_during[0].time_ms - self.start_ms) / 3_600_000.0
            told = f"did not warn before it; first alarm {late:.0f} h after its start"
            told += f" ({self.alerts_during[0].rule})"
        elif self.alerts_after:
            told = f"saw it only afterwards, on {utc_iso(self.alerts_after[0].time_ms)}"
        else:
            told = "did not see it"
        return (
            f"{self.name}: effective number {number}; co-failure ratio {ratio}. The monitor {told}."
        )


@dataclass(frozen=True, slots=True, eq=False)
class MonitoringResult:
    """A panel monitored from the end of its baseline on.

    Attributes
    ----------
    panel : str
    models : int
    baseline_start_ms, baseline_end_ms : int
    baseline_blocks, block_rows, lag : int
        Every ``lag``-th block is a stream of its own, as the baseline's memory asks.
    baseline_score : float
        Mean pair correlation of a block in the baseline.
    baseline_cofailure : float
        NaN where the panel has no failures.
    effective_number, cofailure : IndexPath or None
    rules : tuple of AlertRule
    alerts : tuple of Alert
        In order of time.
    levels : tuple of LevelEvidence
        Whether models move and fail together at all, changed or not.
    change : CusumTest
        Of the block scores over the whole panel, in hindsight.
    change_ms : int
        Its date.
    false_alarms_per_year : float
        Of all rules together, stated beforehand.
    years : float
        Monitored.
    """

    panel: str
    models: int
    baseline_start_ms: int
    baseline_end_ms: int
    baseline_blocks: int
    block_rows: int
    lag: int
    baseline_score: float
    baseline_cofailure: float
    effective_number: IndexPath
    cofailure: IndexPath | None
    rules: tuple[AlertRule, ...]
    alerts: tuple[Alert, ...]
    levels: tuple[LevelEvidence, ...]
    change: CusumTest
    change_ms: int
    false_alarms_per_year: float
    years: float

    def episode(self, name: str, start_ms: int, end_ms: int, margin_ms: int) -> Episode:
        """The monitor before, during and after an event."""
        span = max(end_ms - start_ms, margin_ms)
        spans = ((start_ms - span, start_ms), (start_ms, end_ms), (end_ms, end_ms + span))

        def means(lo: int, hi: int) -> tuple[float, float]:
            ratio = self.cofailure.mean(lo, hi) if self.cofailure else float("nan")
            return self.effective_number.mean(lo, hi), ratio

        def heard(lo: int, hi: int) -> tuple[Alert, ...]:
            return tuple(a for a in self.alerts if lo <= a.time_ms < hi)

        before, during, after = (means(*s) for s in spans)
        return Episode(name, start_ms, end_ms, before, during, after, *(heard(*s) for s in spans))

    @property
    def sentence(self) -> str:
        """The result in words: what was watched, what went off, how often it may for nothing."""
        expected = self.false_alarms_per_year * self.years
        last = self.effective_number
        number = float(last.value[-1]) if len(last.value) else float("nan")
        now = "effective number not known yet (no interval)"
        if np.isfinite(number):
            bounds = (float(last.low[-1]), float(last.high[-1]))
            now = f"effective number now {number:.1f} ({between(*bounds, '.1f')})"
        seen = [r.detectable for r in self.rules if np.isfinite(r.detectable)]
        effect = (
            f"a lasting rise of {seen[0]:.2f} in pair correlation {FOUND}"
            if seen
            else "no detectable effect: the baseline is too short"
        )
        head = (
            f"{self.panel}: {len(self.alerts)} alarms in {self.years:.1f} years where at most "
            f"{expected:.1f} are expected by chance; {now} of {self.models} models; {effect}. "
        )
        for level in self.levels:
            if level.first_ms is not None:
                head += f"That {level.null} was refuted at 20 to 1 by {utc_iso(level.first_ms)}. "
            if level.withheld:
                head += f"Whether {level.null} is not judged: {level.withheld}. "
        if not self.alerts:
            if any(level.first_ms is not None for level in self.levels):
                return head + (
                    "Nothing has changed since, but the level itself is that of models that share "
                    "parts. What to do: attribute it (C4)."
                )
            return head + "Nothing has changed. What to do: renew the baseline when models do."
        first = self.alerts[0]
        return head + (
            f"First: {first.rule} on {utc_iso(first.time_ms)}. What to do: attribute it to a "
            "shared component, then renew the baseline only if the new state is accepted."
        )
