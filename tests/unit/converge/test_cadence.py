"""Cadence: the rule, its inputs, and a sweep whose right answer is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from commonmode.converge.cadence import CadenceAdvice, CadenceTrial, advise, step_noise
from commonmode.converge.cadence_sweep import sweep_risk_cadences
from commonmode.core.arrays import IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.ewma import Ewma
from commonmode.forecast.historical import HistoricalSimulation
from commonmode.market.history import History
from commonmode.panel.refits import spread_spans, walk_at_cadence
from commonmode.panel.walk_forward import walk_forward
from commonmode.panel.walk_pieces import ForecastTask
from commonmode.register.cards import Card, ModelFamily
from commonmode.register.model import FittedRisk, Requirements, RiskForecast
from simulated_bars import make_history


def test_steps_of_a_random_walk_do_not_come_back_and_those_of_noise_do() -> None:
    rng = np.random.default_rng(0)
    walk = step_noise(rng.standard_normal((200, 20)), steps_per_week=7.0)
    noise = step_noise(np.diff(rng.standard_normal((200, 21)), axis=1), steps_per_week=7.0)
    assert walk.size == pytest.approx(1.0, abs=0.05)
    assert walk.per_week == pytest.approx(walk.size * np.sqrt(7.0))
    assert walk.at_once < 0.1
    assert walk.comes_back < 0.15
    assert noise.at_once == pytest.approx(1.0, abs=0.05)
    assert noise.comes_back > 0.9
    with pytest.raises(DataError):
        step_noise(np.full((2, 3), np.nan), steps_per_week=1.0)


def trials(seed: int, *, gain: float = 0.0, spread: float = 0.2) -> list[CadenceTrial]:
    """Losses at three cadences; the shortest loses ``gain`` less, the longest as much."""
    rng = np.random.default_rng(seed)
    base = rng.gamma(2.0, 0.5, 3000)
    noise = step_noise(rng.standard_normal((30, 5)), steps_per_week=7.0)
    return [
        CadenceTrial(
            label, hours, base * (1 - off) + spread * base * rng.standard_normal(3000), noise
        )
        for label, hours, off in (("1 h", 1.0, gain), ("1 d", 24.0, 0.0), ("1 w", 168.0, 0.0))
    ]


BLOCK: IntArray = np.repeat(np.arange(30), 100)


def judged(those: Sequence[CadenceTrial], **options: float) -> CadenceAdvice:
    return advise(ModelId("m"), those, present="1 d", block=BLOCK, **options)  # type: ignore[arg-type]


def test_without_evidence_the_present_cadence_stays() -> None:
    advice = judged(trials(1, spread=3.0))
    assert advice.recommended == "1 d"
    assert "keep 1 d" in advice.sentence


def test_as_good_and_longer_is_recommended() -> None:
    advice = judged(trials(2, spread=0.02))
    assert advice.recommended == "1 w"
    assert "every 1 w instead of 1 d" in advice.sentence


def test_better_beats_longer() -> None:
    advice = judged(trials(3, gain=0.1, spread=0.02))
    assert advice.recommended == "1 h"
    row = advice.rows[0]
    assert row.low < -0.1 < row.high
    assert row.p_better < 0.01


def test_a_cadence_that_is_worse_is_rarely_recommended() -> None:
    """One that loses exactly the margin is taken in one of twenty."""
    taken = 0
    for seed in range(100):
        those = trials(seed, spread=0.1)
        worse = CadenceTrial("1 w", 168.0, those[2].loss + 0.01 * those[1].loss, those[2].noise)
        advice = judged([those[1], worse], flips=19)
        taken += advice.recommended == "1 w"
    assert taken <= 12  # 5 expected


def test_the_interval_of_the_change_covers() -> None:
    held = 0
    for seed in range(100):
        row = judged(trials(500 + seed, gain=0.05), flips=19).rows[0]
        held += row.low <= -0.05 <= row.high
    assert held >= 88


def test_what_foretells_the_better_one_is_asked() -> None:
    those = trials(4, spread=0.05)
    state = np.linspace(-1.0, 1.0, 30)
    swing = CadenceTrial("1 h", 1.0, those[1].loss * (1 + 0.1 * state[BLOCK]), those[0].noise)
    advice = advise(ModelId("m"), [swing, those[1]], present="1 d", block=BLOCK, state=state)
    found = advice.rows[0].conditional
    assert found is not None
    assert found.p_value < 0.01
    assert advice.rows[0].p_better > 0.05


def test_bad_trials_are_refused() -> None:
    with pytest.raises(DataError, match="present cadence"):
        judged(trials(1)[:1])
    with pytest.raises(DataError, match="2 blocks"):
        advise(ModelId("m"), trials(1), present="1 d", block=np.repeat([0, 1], 1500))


def test_forecasts_are_those_of_the_walk_forward() -> None:
    history, model = make_history(900, 3), Ewma(decay=0.9, innovations="empirical", window=200)
    (span,) = spread_spans(900, first=500, length=240, count=1)
    walk = walk_at_cadence(model, history, [span], cadence=24)
    origins = np.arange(span.start, span.stop)
    task = ForecastTask(horizon=1, level=0.025, origins=origins)
    (known,) = walk_forward(model, history, [task], first=span.start)
    np.testing.assert_array_equal(walk.quantile, known.forecast.quantile)
    assert walk.step.shape == (1, 10)
    assert walk.step_row[0, 0] == span.start


def test_nothing_later_is_seen() -> None:
    history, model = make_history(900, 3), Ewma(decay=0.9, innovations="empirical", window=200)
    spans = spread_spans(700, first=500, length=100, count=2)
    whole = walk_at_cadence(model, history, spans, cadence=24)
    part = walk_at_cadence(model, history.rows(0, 700), spans, cadence=24)
    np.testing.assert_array_equal(whole.quantile, part.quantile)
    np.testing.assert_array_equal(whole.step, part.step)


def test_spans_must_fit() -> None:
    with pytest.raises(ConfigurationError):
        spread_spans(100, first=50, length=30, count=2)
    history = make_history(300, 1)
    with pytest.raises(ConfigurationError, match="begin later"):
        walk_at_cadence(
            HistoricalSimulation(window=100), history,
            spread_spans(300, first=110, length=50, count=1), cadence=24,
        )  # fmt: skip


_SHORT = ModelId("short-memory")


@dataclass(frozen=True)
class _Level:
    level: float

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        told = np.full(len(origins), -self.level)
        return RiskForecast(-told, told, 1.2 * told)


@dataclass(frozen=True)
class _ShortMemory:
    """Says the volatility of the last 12 bars until it is refitted; fails on odd hours if asked."""

    id: ModelId = _SHORT
    fails: bool = False
    requires: Requirements = field(default=Requirements(("close",), 24, 24))

    @property
    def card(self) -> Card:
        return Card(self.id, ModelFamily.RISK, "a desk", "a test", ())

    def calibrate(self, history: History) -> Success[FittedRisk] | Failure:
        if self.fails and history.times_ms[-1] // 3_600_000 % 2:
            return Failure(FailureReason.CALCULATION_FAILED, "odd hour", "wait")
        moves = np.diff(np.log(history.column("close")))[-12:]
        return Success(_Level(2.0 * float(np.std(moves))))


def test_a_stale_fit_is_found_in_a_sweep() -> None:
    history = make_history(6000, 9)
    spans = spread_spans(5999, first=600, length=168, count=24)
    still = HistoricalSimulation(window=250)
    sweep = sweep_risk_cadences(history, (_ShortMemory(), still), spans, most_refits=168)
    short, window = sweep.advice
    assert short.recommended == "1 h"
    assert short.rows[0].p_better < 0.05
    assert window.recommended == window.present == "1 d"
    assert "changes nothing" in window.sentence
    assert "1 of 2 models" in sweep.sentence
    assert set(sweep.synchrony) == {"1 h", "1 d", "1 w"}


def test_failed_fits_leave_gaps_not_wrong_numbers() -> None:
    history = make_history(900, 9)
    spans = spread_spans(899, first=400, length=48, count=6)
    walk = walk_at_cadence(_ShortMemory(fails=True), history, spans, cadence=1)
    assert walk.failures[0].message == "odd hour"
    assert 0.4 < np.isnan(walk.quantile).mean() < 0.6


def test_the_stated_detectable_gain_is_found_four_times_in_five() -> None:
    size = float(np.median([judged(trials(seed)).rows[0].detectable for seed in range(10)]))
    assert 0.0 < size < 0.2
    found = [
        judged(trials(seed, gain=size), flips=399).rows[0].p_better <= 0.05 for seed in range(80)
    ]
    assert 0.65 <= np.mean(found) <= 0.95
    assert "gains found with 80 % probability" in judged(trials(1)).sentence
