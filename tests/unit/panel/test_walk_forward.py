"""Failed fits stay failed cells, and pieces go through worker processes unchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from commonmode.adapters.compute import ProcessExecutor
from commonmode.core.arrays import IntArray
from commonmode.core.errors import ConfigurationError, DataError, PanelError
from commonmode.core.ids import InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast import BlackBox, Ewma, HistoricalSimulation, RecordedForecasts
from commonmode.forecast.parts import risk_card
from commonmode.market.history import History
from commonmode.panel.benchmark import validate_benchmark
from commonmode.panel.risk import RiskPanelSpec, build_risk_panel, build_risk_panels
from commonmode.panel.walk_forward import walk_forward
from commonmode.panel.walk_pieces import BLOCK_BARS, ForecastTask
from commonmode.register.cards import Card
from commonmode.register.model import Requirements, RiskForecast
from simulated_bars import STEP, make_history

FIRST = 800
N = FIRST + BLOCK_BARS + 100
HISTORY = make_history(N, 31)


@dataclass(frozen=True)
class Constant:
    value: float

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        if self.value == 13.0:
            raise ZeroDivisionError("thirteen")
        n = 1 if self.value == 14.0 else len(origins)
        quantile = np.full(n, self.value)
        return RiskForecast(np.ones(n), quantile, 2 * quantile)


@dataclass(frozen=True)
class Moody:
    """Fits well or badly by the number of the refit since the first."""

    moods: tuple[float | str, ...]
    columns: tuple[str, ...] = ("close",)

    @property
    def id(self) -> ModelId:
        return ModelId("moody")

    @property
    def requires(self) -> Requirements:
        return Requirements(self.columns, 10, 24)

    @property
    def card(self) -> Card:
        return risk_card(self.id, purpose="to fail at times")

    def calibrate(self, history: History):
        number = (int(history.times_ms[-1]) - int(HISTORY.times_ms[FIRST])) // (24 * STEP)
        mood = self.moods[number % len(self.moods)]
        if mood == "fails":
            return Failure(FailureReason.CALIBRATION_FAILED, "not today")
        if mood == "raises":
            raise ValueError("bad day")
        return Success(Constant(float(mood)))


def walk(model, n: int = 24 * 6):
    task = ForecastTask(1, 0.025, np.arange(FIRST, FIRST + n))
    return walk_forward(model, HISTORY, [task], first=FIRST)[0]


def test_failed_fits_fail_their_span_only() -> None:
    walked = walk(Moody((-0.01, "fails", "fails", "raises", -0.02, -0.03)))
    quantile = walked.forecast.quantile.reshape(6, 24)
    np.testing.assert_array_equal(quantile[0], -0.01)
    assert np.isnan(quantile[1:4]).all()
    np.testing.assert_array_equal(quantile[4], -0.02)
    first, second = walked.failures
    assert (first.start, first.count) == (24, 48)
    assert first.failure.reason is FailureReason.CALIBRATION_FAILED
    assert (second.start, second.count) == (72, 24)
    assert "ValueError: bad day" in second.failure.message


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        (0.01, "not a finite loss"),
        (float("inf"), "not a finite loss"),
        (float("nan"), "no forecast"),
        (13.0, "ZeroDivisionError: thirteen"),
        (14.0, "shapes"),
    ],
)
def test_unusable_forecasts_are_failed_cells(mood: float, words: str) -> None:
    walked = walk(Moody((mood,)), 48)
    assert np.isnan(walked.forecast.quantile).all()
    (span,) = walked.failures if mood != 14.0 else walked.failures[:1]
    assert (span.start, span.count) == (0, 48)
    assert words in span.failure.message


def test_missing_column_fails_every_cell_and_says_which() -> None:
    walked = walk(Moody((-0.01,), ("close", "funding")))
    assert walked.failures[0].count == 24 * 6
    assert "funding" in walked.failures[0].failure.message


def test_model_sees_its_window_and_nothing_later() -> None:
    seen = []

    @dataclass(frozen=True)
    class Watching(Moody):
        def calibrate(self, history: History):
            seen.append((len(history), int(history.times_ms[-1]), tuple(history.columns)))
            return super().calibrate(history)

    walk(Watching((-0.01,)), 72)
    ends = [int(HISTORY.times_ms[FIRST + 24 * k]) for k in range(3)]
    assert seen == [(11, end, ("close",)) for end in ends]


def test_window_longer_than_training_is_refused() -> None:
    task = ForecastTask(1, 0.025, np.arange(100, 200))
    with pytest.raises(DataError, match="needs 500"):
        walk_forward(HistoricalSimulation(window=500), HISTORY, [task], first=100)
    with pytest.raises(DataError, match="before row"):
        walk_forward(HistoricalSimulation(window=50), HISTORY, [task], first=150)


MODELS = (HistoricalSimulation(window=200), Ewma(), Moody((-0.01, "fails")))
SPECS = (
    RiskPanelSpec(),
    RiskPanelSpec(name="risk-24h", horizon=24, non_overlapping=True),
)


def test_panels_of_two_coins() -> None:
    whole = make_history(N, 32, "ETH-USDT")
    keep = np.ones(N, dtype=bool)
    keep[900:903] = False
    gappy = History(
        whole.instrument,
        STEP,
        whole.times_ms[keep],
        {name: column[keep] for name, column in whole.columns.items()},
    )
    hourly, daily = build_risk_panels({"BTC": HISTORY, "ETH": gappy}, MODELS, SPECS, train=FIRST)
    assert hourly.models == ("hs-200h", "ewma-0.97", "moody")
    assert hourly.targets == ("BTC", "ETH")
    assert hourly.shape == (N - FIRST - 1 - 3, 2, 3)
    row = int(np.searchsorted(hourly.times_ms, HISTORY.times_ms[899]))
    assert np.isnan(hourly.outcome[row]).tolist() == [False, True]
    closes = np.log(HISTORY.column("close"))
    at = np.searchsorted(HISTORY.times_ms, hourly.times_ms)
    np.testing.assert_allclose(hourly.outcome[:, 0], closes[at + 1] - closes[at])
    assert np.all(np.diff(daily.times_ms) % (24 * STEP) == 0)
    assert "hour_of_day" in hourly.state
    assert "hour_of_day" not in daily.state
    moody = [f for f in hourly.failures if f.model == "moody"]
    assert {f.target for f in moody} == {"BTC", "ETH"}
    assert sum(f.count for f in moody) == np.isnan(hourly.forecast[:, :, 2]).sum()
    assert np.all(hourly.scale > 0)


def test_scale_is_the_markets_own() -> None:
    panel = build_risk_panel({"BTC": HISTORY}, MODELS[:2], train=FIRST)
    row = int(np.searchsorted(HISTORY.times_ms, panel.times_ms[50]))
    o, h, low, c = (HISTORY.column(n)[row - 23 : row + 1] for n in ("open", "high", "low", "close"))
    variance = 0.5 * np.log(h / low) ** 2 - (2 * np.log(2) - 1) * np.log(c / o) ** 2
    assert panel.scale[50, 0] == pytest.approx(np.sqrt(variance.mean()), rel=1e-9)
    assert panel.state["hour_of_day"][50, 0] == panel.times_ms[50] // STEP % 24


def test_black_box_enters_a_panel_with_its_holes() -> None:
    times = HISTORY.times_ms[FIRST : FIRST + 200 : 2]
    recorded = RecordedForecasts(HISTORY.instrument, 1, 0.025, times, np.full(100, -0.01))
    panel = build_risk_panel(
        {"BTC": HISTORY}, [BlackBox(id=ModelId("theirs"), recorded=[recorded])], train=FIRST
    )
    assert np.isfinite(panel.forecast[:, 0, 0]).sum() == 100
    assert sum(f.count for f in panel.failures) == panel.shape[0] - 100
    assert {f.failure.reason for f in panel.failures} == {FailureReason.MISSING_DATA}


def test_benchmark_report_scores_every_forecast() -> None:
    panel = build_risk_panel({"BTC": HISTORY}, MODELS[:2], train=FIRST)
    report = validate_benchmark(panel)
    assert report.forecasts[3:] == ("hs-200h", "ewma-0.97")
    rows = panel.complete[:, 0]
    y, f = panel.outcome[rows, 0], panel.forecast[rows, 0, 1]
    assert report.pinball[4, 0] == pytest.approx(np.mean((0.025 - (y < f)) * (y - f)), rel=1e-12)
    assert report.coverage[4, 0] == pytest.approx(np.mean(y < f))
    assert report.half_spread[0] > 0
    assert report.rank[0] == np.sum(report.pinball[3:, 0] < report.pinball[2, 0])


def test_benchmark_report_needs_benchmarks_and_rows() -> None:
    panel = build_risk_panel({"BTC": HISTORY}, [Moody(("fails",))], train=FIRST)
    with pytest.raises(PanelError, match="complete row"):
        validate_benchmark(panel)


@pytest.mark.parametrize(
    ("histories", "words"),
    [
        ({}, "without a history"),
        ({"BTC": HISTORY.rows(0, 801)}, "801 bars"),
        (
            {
                "BTC": HISTORY,
                "ETH": History(InstrumentId("E"), 60_000, HISTORY.times_ms, HISTORY.columns),
            },
            "different steps",
        ),
        ({"BTC": HISTORY.rows(0, 850), "ETH": HISTORY.rows(100, 950)}, "share no time"),
    ],
)
def test_unusable_histories_name_the_remedy(histories, words) -> None:
    with pytest.raises(DataError, match=words) as caught:
        build_risk_panel(histories, MODELS[:1], train=FIRST)
    assert caught.value.remedy


def test_spec_is_checked() -> None:
    with pytest.raises(ConfigurationError, match="horizon 0"):
        RiskPanelSpec(horizon=0)


def test_worker_processes_give_the_same_panel() -> None:
    models = (HistoricalSimulation(window=200), Ewma())
    alone = build_risk_panel({"BTC": HISTORY}, models, train=FIRST)
    with ProcessExecutor(workers=1) as executor:
        shared = build_risk_panel({"BTC": HISTORY}, models, train=FIRST, executor=executor)
        squares = list(executor.map(abs, [-3, -1, -2]))
    assert squares == [3, 1, 2]
    assert alone.content_hash == shared.content_hash


def test_executor_needs_a_worker() -> None:
    with pytest.raises(ConfigurationError, match="0 worker"):
        ProcessExecutor(workers=0)
