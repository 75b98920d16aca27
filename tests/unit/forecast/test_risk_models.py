"""Settings that make no sense, data that carries no fit, and boxes that answer from a file."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError, ModelError
from commonmode.core.ids import InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast import (
    RISK_MODELS,
    BlackBox,
    Ewma,
    FilteredHistoricalSimulation,
    Garch,
    GarchParameters,
    HistoricalSimulation,
    RecordedForecasts,
    ordinary_risk_models,
)
from commonmode.forecast.garch_fit import estimate_garch
from commonmode.forecast.tails import normal_tail, student_tail
from commonmode.market.history import History
from commonmode.register.cards import Layer
from commonmode.register.graph import common_cause_graph

STEP = 3_600_000


def history_of(close: np.ndarray) -> History:
    times = STEP * np.arange(1, len(close) + 1, dtype=np.int64)
    return History(InstrumentId("X"), STEP, times, {"close": close})


@pytest.mark.parametrize(
    "make",
    [
        lambda: HistoricalSimulation(window=1),
        lambda: Ewma(decay=1.0),
        lambda: Ewma(decay=0.99, window=100),
        lambda: Ewma(innovations="cauchy"),
        lambda: Garch(window=100),
        lambda: Garch(innovations="cauchy"),
        lambda: FilteredHistoricalSimulation(paths=10),
        lambda: FilteredHistoricalSimulation(window=100),
    ],
)
def test_settings_out_of_range_name_the_remedy(make) -> None:
    with pytest.raises(ConfigurationError, match="remedy:"):
        make()


@pytest.mark.parametrize("model", ordinary_risk_models(), ids=lambda m: m.id)
def test_short_history_is_a_failure(model) -> None:
    result = model.calibrate(history_of(np.full(100, 5.0)))
    assert isinstance(result, Failure)
    assert result.reason is FailureReason.MISSING_DATA


@pytest.mark.parametrize("model", [Ewma(), Garch(), FilteredHistoricalSimulation()])
def test_frozen_price_is_a_failure(model) -> None:
    result = model.calibrate(history_of(np.full(3000, 5.0)))
    assert isinstance(result, Failure)
    assert result.reason is FailureReason.INVALID_INPUT
    assert result.remedy


def test_mostly_missing_prices_are_a_failure() -> None:
    close = np.full(2100, np.nan)
    close[::3] = 5.0
    assert isinstance(Garch().calibrate(history_of(close)), Failure)


def test_warm_start_finds_the_same_optimum() -> None:
    rng = np.random.default_rng(3)
    vol = np.exp(0.5 * np.sin(np.arange(1500) / 100))
    returns = 0.01 * vol * rng.standard_normal(1500)
    cold = estimate_garch(returns, asymmetric=True, innovations="student")
    assert isinstance(cold, Success)
    start = cold.value.parameters
    warm = estimate_garch(returns, asymmetric=True, innovations="student", start=start)
    assert isinstance(warm, Success)
    assert warm.value.log_likelihood == pytest.approx(cold.value.log_likelihood, abs=0.05)
    # Far from the optimum and on every edge that arch refuses: it still begins there and fits.
    edge = GarchParameters(omega=0.0, alpha=0.3, gamma=-0.3, beta=0.9, dof=1e9)
    edged = estimate_garch(returns, asymmetric=True, innovations="student", start=edge)
    assert isinstance(edged, Success)
    assert edged.value.parameters.persistence <= 1.0


def test_tails_need_a_lower_tail_level_and_a_variance() -> None:
    with pytest.raises(ModelError, match="lower tail"):
        normal_tail(0.7)
    with pytest.raises(ModelError, match="no variance"):
        student_tail(0.025, 2.0)
    assert student_tail(0.025, np.inf) == normal_tail(0.025)


def test_cards_say_what_is_shared() -> None:
    models = ordinary_risk_models()
    graph = common_cause_graph([model.card for model in models])
    assert len(set(graph.models)) == len(models) == 7
    place = {model.id: i for i, model in enumerate(models)}
    code = graph.similarity[Layer.CALIBRATION]
    assert code[place["garch-n"], place["fhs-garch"]] == 1.0
    assert graph.similarity[Layer.DATA].min() == 1.0
    assert (
        graph.overall[place["garch-n"], place["hs-500h"]]
        < graph.overall[place["garch-n"], place["gjr-garch-t"]]
    )


def test_type_names_build_models() -> None:
    assert RISK_MODELS["gjr-garch"]().id == "gjr-garch-t"
    assert RISK_MODELS["historical-simulation"](window=300).requires.window == 300
    assert RISK_MODELS["ewma"](id="mine").card.model == "mine"


def recorded(horizon: int = 1) -> RecordedForecasts:
    times = STEP * np.array([2, 3, 5], dtype=np.int64)
    return RecordedForecasts(
        InstrumentId("X"), horizon, 0.025, times, quantile=np.array([-0.1, -0.2, -0.3])
    )


def test_black_box_answers_what_it_recorded_and_nothing_else() -> None:
    box = BlackBox(id=ModelId("theirs"), recorded=[recorded()])
    history = history_of(np.full(6, 5.0))
    fit = box.calibrate(history)
    assert isinstance(fit, Success)
    made = fit.value.forecast(history, np.arange(6), horizon=1, level=0.025)
    np.testing.assert_array_equal(made.quantile, [np.nan, -0.1, -0.2, np.nan, -0.3, np.nan])
    assert np.isnan(made.vol).all()
    other = fit.value.forecast(history, np.arange(6), horizon=24, level=0.025)
    assert np.isnan(other.quantile).all()
    assert box.card.components == ()


def test_black_box_of_another_instrument_fails() -> None:
    box = BlackBox(id=ModelId("theirs"), recorded=[])
    result = box.calibrate(history_of(np.full(6, 5.0)))
    assert isinstance(result, Failure)
    assert "nothing" in result.remedy


def test_black_box_refuses_ragged_arrays() -> None:
    with pytest.raises(DataError, match="one forecast per time"):
        RecordedForecasts(InstrumentId("X"), 1, 0.025, np.arange(3), quantile=np.zeros(2))
    with pytest.raises(DataError, match="sort the rows"):
        RecordedForecasts(InstrumentId("X"), 1, 0.025, np.array([3, 2]), quantile=np.zeros(2))
