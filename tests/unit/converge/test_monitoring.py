"""Monitoring: no look-ahead, false alarms and power in worlds of the laboratory, gaps, words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.monitoring import MonitoringSettings, monitor_panel
from commonmode.converge.monitoring_failures import cofailure_series
from commonmode.converge.monitoring_result import RuleKind
from commonmode.converge.monitoring_series import block_series
from commonmode.core.errors import ConfigurationError, PanelError
from commonmode.core.units import HOUR_MS
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.panel.laboratory import panel_of_world
from monitoring_worlds import BASELINE, joined
from sentences import lacks

DAY_MS = 24 * HOUR_MS
FAST = MonitoringSettings(every=60, paths=400, flips=99, draws=49)


def shortened(panel: ErrorPanel, days: int) -> ErrorPanel:
    return panel.select_rows(slice(0, 24 * days))


def test_what_is_said_of_a_day_does_not_change_when_more_days_follow() -> None:
    panel = joined(1, 0.5)
    long = monitor_panel(panel, BASELINE * DAY_MS, FAST)
    short = monitor_panel(shortened(panel, 240), BASELINE * DAY_MS, FAST)
    for a, b in zip(short.rules, long.rules, strict=True):
        assert a.threshold == b.threshold
        np.testing.assert_array_equal(a.statistic, b.statistic[: len(a.statistic)])
    assert short.cofailure is not None
    assert long.cofailure is not None
    pairs = ((short.effective_number, long.effective_number), (short.cofailure, long.cofailure))
    for one, other in pairs:
        np.testing.assert_array_equal(one.value, other.value[: len(one.value)])
        np.testing.assert_array_equal(one.p_value, other.p_value[: len(one.value)])
    early = [a for a in long.alerts if a.time_ms <= short.rules[0].time_ms[-1]]
    assert [(a.time_ms, a.rule) for a in early] == [(a.time_ms, a.rule) for a in short.alerts]


def test_alarms_are_known_only_after_the_last_outcome_of_their_block() -> None:
    panel = joined(2, 0.8)
    result = monitor_panel(panel, BASELINE * DAY_MS, FAST)
    assert result.baseline_end_ms == BASELINE * DAY_MS
    assert result.alerts
    first = result.alerts[0]
    # The last forecast of the block is of its 24th hour, its outcome is known one hour later.
    assert first.time_ms % DAY_MS == 0
    assert first.time_ms > BASELINE * DAY_MS
    assert first.since_ms <= first.time_ms - DAY_MS


def test_a_shared_part_that_appears_is_seen_and_dated() -> None:
    delays, falls = [], []
    for seed in range(3):
        result = monitor_panel(joined(seed, 0.8), BASELINE * DAY_MS, FAST)
        delays.append((result.alerts[0].time_ms - BASELINE * DAY_MS) / DAY_MS)
        path = result.effective_number
        falls.append(path.value[0] / path.value[-1])
        assert result.change.p_value < 0.01
        assert abs(result.change_ms - BASELINE * DAY_MS) < 20 * DAY_MS
    assert np.median(delays) < 14
    assert np.median(falls) > 3.0


def test_a_crowd_that_always_was_one_is_told_by_its_level_not_by_alarms() -> None:
    world = simulate_world(
        WorldConfig(times=24 * 300, planted_share=0.8, planted_models=8), seed=11
    )
    result = monitor_panel(panel_of_world(world), BASELINE * DAY_MS, FAST)
    comovement, cofailure = result.levels
    assert comovement.first_ms is not None
    assert comovement.first_ms < (BASELINE + 60) * DAY_MS
    assert cofailure.log_e[-1] > cofailure.log_e[0]
    assert "models do not move together was refuted at 20 to 1" in result.sentence


def test_co_failure_is_not_judged_by_benchmarks_noisier_than_the_models() -> None:
    for noise, judged in ((0.15, True), (0.25, False)):
        config = WorldConfig(times=24 * 200, benchmark_noise_sd=noise)
        world = simulate_world(config, seed=12)
        result = monitor_panel(panel_of_world(world), BASELINE * DAY_MS, FAST)
        level = result.levels[1]
        assert (level.withheld == "") is judged
        assert ("is not judged: the benchmarks are 1." in result.sentence) is not judged
        if not judged:
            assert level.first_ms is None
            assert not level.log_e.any()


def test_quiet_worlds_raise_few_alarms() -> None:
    any_alarm, together = 0, np.zeros(2)
    for seed in range(8):
        result = monitor_panel(joined(100 + seed, 0.0), BASELINE * DAY_MS, FAST)
        any_alarm += bool(result.alerts)
        together += [level.first_ms is not None for level in result.levels]
    # Two thirds of a year each at half an alarm a year: P(any) <= 1 - exp(-1/3) = 0.28.
    assert any_alarm <= 8 * 0.28 + 2 * np.sqrt(8 * 0.28 * 0.72)
    assert together.max() <= 8 * 0.05 + 2 * np.sqrt(8 * 0.05 * 0.95)


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        {},
        {"deviation_autocorrelation": 0.97},
        {"degrees_of_freedom": 3.0, "log_vol_sd": 0.9, "benchmark_noise_sd": 0.25},
    ],
    ids=["plain", "persistent", "heavy-noisy"],
)
def test_false_alarms_keep_to_the_stated_rate(world: dict[str, float]) -> None:
    years = any_alarm = 0.0
    for seed in range(80):
        result = monitor_panel(joined(500 + seed, 0.0, 365, **world), BASELINE * DAY_MS, FAST)
        any_alarm += bool(result.alerts)
        years += result.years
    p = 1.0 - np.exp(-0.5)
    assert years == pytest.approx(80.0, rel=0.01)
    assert any_alarm / 80 <= p + 2 * np.sqrt(p * (1 - p) / 80)


def test_gaps_and_a_dead_model_feed_do_not_stop_it() -> None:
    panel = joined(3, 0.5)
    forecast = panel.forecast.copy()
    rng = np.random.default_rng(0)
    forecast[rng.random(forecast.shape) < 0.02] = np.nan
    forecast[24 * 200 : 24 * 203] = np.nan  # three days without anything
    result = monitor_panel(replace(panel, forecast=forecast), BASELINE * DAY_MS, FAST)
    assert all(np.isfinite(rule.statistic[10:]).all() for rule in result.rules)
    assert result.alerts


def test_a_blind_spot_that_was_there_before_is_no_news() -> None:
    # An unlisted factor that both benchmarks miss: everybody co-moves, but nothing changes.
    panel = joined(4, 0.0)
    rng = np.random.default_rng(1)
    x = np.zeros(len(panel.times_ms))
    for t in range(1, len(x)):
        x[t] = 0.9 * x[t - 1] + rng.standard_normal() * 0.1 * np.sqrt(0.19)
    shifted = replace(panel, forecast=panel.forecast * np.exp(x)[:, None, None])
    result = monitor_panel(shifted, BASELINE * DAY_MS, FAST)
    assert result.effective_number.p_value.max() < 0.06
    assert not result.alerts


def test_panels_without_failures_are_watched_for_comovement_only() -> None:
    panel = joined(5, 0.8)
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    vols = replace(
        panel,
        kind=PanelKind.VOL,
        level=0.0,
        forecast=-panel.forecast,
        outcome=np.abs(panel.outcome),
        benchmark_a=-panel.benchmark_a,
        benchmark_b=-panel.benchmark_b,
    )
    result = monitor_panel(vols, BASELINE * DAY_MS, FAST)
    assert result.cofailure is None
    assert [r.kind for r in result.rules] == [RuleKind.E_DETECTOR, RuleKind.WINDOW]
    assert result.alerts
    assert "co-failure" not in result.alerts[0].sentence


def test_expected_joint_failures_match_what_happens_where_nothing_is_shared() -> None:
    panel = joined(6, 0.0, benchmark_noise_sd=0.0)
    series = block_series(panel, baseline_until_ms=BASELINE * DAY_MS, block_rows=24, half_life=30.0)
    joint = cofailure_series(panel, series, refit_blocks=7, learn_blocks=180)
    later = slice(series.baseline, None)
    assert joint.joint[later].sum() == pytest.approx(joint.expected[0, later].sum(), rel=0.25)
    assert joint.cells[0] == 24 * 8
    assert joint.failures.sum() == panel.failed.sum()


def test_words_carry_number_interval_effect_and_action() -> None:
    result = monitor_panel(joined(7, 0.8), BASELINE * DAY_MS, FAST)
    assert "alarms in" in result.sentence
    assert "effective number now" in result.sentence
    assert " to " in result.sentence
    assert "in pair correlation would have been found with 80 % probability" in result.sentence
    assert "What to do: attribute it" in result.sentence
    assert lacks(result.sentence) == []
    event = result.episode("event", 200 * DAY_MS, 210 * DAY_MS, 30 * DAY_MS)
    assert event.before[0] < 8.0
    assert "event: effective number" in event.sentence
    quiet = result.episode("before", -20 * DAY_MS, -10 * DAY_MS, DAY_MS)
    assert "did not see it" in quiet.sentence
    assert "threshold" in result.alerts[0].sentence


def test_bad_input_names_a_remedy() -> None:
    panel = joined(8, 0.0)
    cases = (
        lambda: monitor_panel(panel, 5 * DAY_MS, FAST),
        lambda: monitor_panel(panel, 10**6 * DAY_MS, FAST),
        lambda: monitor_panel(
            replace(panel, benchmark_a=None, benchmark_b=None), BASELINE * DAY_MS, FAST
        ),
    )
    for call in cases:
        with pytest.raises(PanelError) as error:
            call()
        assert error.value.remedy
    with pytest.raises(ConfigurationError):
        MonitoringSettings(false_alarms_per_year=2.0)
    with pytest.raises(ConfigurationError):
        MonitoringSettings(windows=())
