"""The built-in models honour their contract, and the kit names what a bad model breaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from commonmode.core.arrays import IntArray
from commonmode.core.errors import ModelError
from commonmode.core.ids import InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast import (
    Ewma,
    FilteredHistoricalSimulation,
    Garch,
    HistoricalSimulation,
    ordinary_risk_models,
)
from commonmode.forecast.parts import risk_card
from commonmode.market.history import History
from commonmode.register.cards import Card
from commonmode.register.conformance import check_risk_model
from commonmode.register.model import Requirements, RiskForecast
from simulated_bars import STEP, make_history

HISTORY = make_history(2150, 21)


@pytest.mark.parametrize("model", ordinary_risk_models(), ids=lambda m: m.id)
def test_ordinary_models_conform(model) -> None:
    check_risk_model(model, HISTORY)


@pytest.mark.parametrize(
    "model",
    [
        HistoricalSimulation(window=100),
        Ewma(decay=0.9, innovations="empirical", window=200),
        Garch(window=600, innovations="student"),
        FilteredHistoricalSimulation(window=600, asymmetric=True, paths=150),
    ],
    ids=lambda m: m.id,
)
def test_other_settings_conform(model) -> None:
    check_risk_model(model, HISTORY, horizons=(1, 7), level=0.01)


@dataclass(frozen=True)
class Fitted:
    """Ten times the mean absolute return, unless told to misbehave."""

    vice: str
    memory: np.ndarray

    def forecast(
        self, history: History, origins: IntArray, *, horizon: int, level: float
    ) -> RiskForecast:
        moves = np.abs(np.nan_to_num(history.log_returns))
        size = np.array([moves[: row + 1].mean() for row in origins]) + 1e-9
        if self.vice == "look-ahead":
            size = np.array([moves[min(row + 1, len(moves) - 1)] for row in origins]) + 1e-9
        if self.vice == "partition":
            size = size * len(origins)
        if self.vice == "declared data":
            size = size + history.columns.get("volume", np.ones(len(history)))[origins]
        if self.vice == "shapes":
            size = size[:-1]
        if self.vice == "purity":
            history.column("close")[0] *= 1.01
        if self.vice == "determinism":
            size = size + len(CALLS)
            CALLS.append(1)
        sign = 1.0 if self.vice == "values" else -1.0
        return RiskForecast(size, 2 * sign * size, 3 * sign * size)


CALLS: list[int] = []


class Thawed(Fitted):
    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


@dataclass(frozen=True)
class Bad:
    vice: str

    @property
    def id(self) -> ModelId:
        return ModelId("bad")

    @property
    def requires(self) -> Requirements:
        return Requirements(("close",), 50, 1)

    @property
    def card(self) -> Card:
        name = "worse" if self.vice == "card" else "bad"
        return risk_card(ModelId(name), purpose="to fail")

    def calibrate(self, history: History):
        if self.vice == "fit":
            return Failure(FailureReason.CALIBRATION_FAILED, "will not")
        memory = np.zeros(3)
        memory.flags.writeable = self.vice == "immutability"
        fitted = Fitted(self.vice, memory)
        return fitted if self.vice == "result" else Success(fitted)


def test_a_plain_model_conforms() -> None:
    check_risk_model(Bad("none"), HISTORY.rows(0, 300))


@pytest.mark.parametrize(
    "vice",
    [
        "card",
        "fit",
        "result",
        "shapes",
        "values",
        "determinism",
        "look-ahead",
        "partition",
        "immutability",
        "purity",
    ],
)
def test_each_broken_rule_is_named(vice: str) -> None:
    columns = {name: column.copy() for name, column in HISTORY.rows(0, 300).columns.items()}
    history = History(InstrumentId("X"), STEP, HISTORY.times_ms[:300], columns)
    with pytest.raises(ModelError, match=f"rule {vice!r}") as caught:
        check_risk_model(Bad(vice), history)
    assert caught.value.remedy


def test_undeclared_column_is_found() -> None:
    columns = dict(HISTORY.columns) | {"volume": np.linspace(1, 2, len(HISTORY))}
    history = History(InstrumentId("X"), STEP, HISTORY.times_ms, columns)
    with pytest.raises(ModelError, match="declared data"):
        check_risk_model(Bad("declared data"), history)


def test_something_else_is_not_a_model() -> None:
    with pytest.raises(ModelError, match="protocol"):
        check_risk_model(object(), HISTORY)  # type: ignore[arg-type]


def test_short_history_is_refused() -> None:
    with pytest.raises(ModelError, match="too short"):
        check_risk_model(HistoricalSimulation(window=500), HISTORY.rows(0, 510))
