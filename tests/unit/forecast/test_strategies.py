"""Strategies honour their contract and hold the position that their source says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, ModelError
from commonmode.core.ids import InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success
from commonmode.forecast.strategies import (
    SIGNAL_MODELS,
    BasisCarry,
    MarketMaker,
    Trend,
    VolSellingVault,
    VolTarget,
    ordinary_strategies,
)
from commonmode.market.history import History
from commonmode.register.cards import Layer, ModelFamily
from commonmode.register.graph import common_cause_graph
from commonmode.register.signal import Traded
from commonmode.register.signal_conformance import check_signal_model
from simulated_bars import STEP, make_history


def market(n: int = 1600, seed: int = 2) -> History:
    bars = make_history(n, seed)
    rng = np.random.default_rng(seed)
    funding = 1e-4 * (1.0 + np.sin(np.arange(n) / 200) + 0.1 * rng.standard_normal(n))
    columns = {**bars.columns, "funding": funding, "implied_vol": np.full(n, 0.6)}
    return replace(bars, columns=columns)


def history_of(close: np.ndarray, **columns: np.ndarray) -> History:
    times = STEP * np.arange(1, len(close) + 1, dtype=np.int64)
    return History(InstrumentId("X"), STEP, times, {"close": close, **columns})


def fitted(model, history: History):
    result = model.calibrate(history)
    assert isinstance(result, Success), result
    return result.value


STRATEGIES = (*ordinary_strategies(), VolSellingVault(vol_column="implied_vol"))


@pytest.mark.parametrize("model", STRATEGIES, ids=lambda m: m.id)
def test_strategies_conform(model) -> None:
    check_signal_model(model, market())


def test_gaps_are_carried_over() -> None:
    bars = market()
    keep = np.ones(len(bars), dtype=bool)
    keep[700:710] = keep[1300] = False
    gappy = History(
        bars.instrument,
        bars.step_ms,
        bars.times_ms[keep],
        {name: column[keep] for name, column in bars.columns.items()},
    )
    for model in STRATEGIES:
        made = fitted(model, gappy.until(1000)).signal(gappy, np.arange(1000, len(gappy)))
        assert np.isfinite(made).all()


def test_trend_is_long_after_a_rise_and_short_after_a_fall() -> None:
    rng = np.random.default_rng(0)
    noise = 0.001 * rng.standard_normal(1600)
    for drift in (0.001, -0.001):
        history = history_of(np.exp(np.cumsum(noise + drift)))
        made = fitted(Trend(), history.until(1000)).signal(history, np.arange(1000, 1600))
        assert np.mean(made == np.sign(drift)) > 0.9


def test_vol_target_halves_when_volatility_doubles() -> None:
    rng = np.random.default_rng(1)
    step = 0.005 * rng.choice([-1.0, 1.0], 2000)
    step[1500:] *= 2.0
    history = history_of(np.exp(np.cumsum(step)))
    model = fitted(VolTarget(), history.until(1400))
    before, after = model.signal(history, np.array([1499, 1999]))
    assert before == pytest.approx(1.0, abs=1e-6)
    assert after == pytest.approx(0.5, abs=1e-4)


def test_carry_holds_in_proportion_to_funding_and_never_shorts() -> None:
    funding = np.linspace(0.0, 2e-4, 1600)
    funding[1500:] = -1e-4
    history = history_of(np.full(1600, 5.0), funding=funding)
    model = fitted(BasisCarry(hold=1), history.until(1001))
    made = model.signal(history, np.array([500, 1450, 1550]))
    assert 0.4 < made[0] < 0.7
    assert made[1] == 1.0
    assert made[2] == 0.0
    assert BasisCarry().traded is Traded.SPREAD
    none = BasisCarry().calibrate(history_of(np.full(1600, 5.0), funding=np.full(1600, -1e-4)))
    assert isinstance(none, Failure)
    assert none.reason is FailureReason.NOT_APPLICABLE


def test_the_vault_sells_when_the_price_falls_and_is_flat_at_the_roll() -> None:
    history = market()
    model = fitted(VolSellingVault(vol_column="implied_vol"), history.until(1000))
    rows = np.arange(1000, 1600)
    made = model.signal(history, rows)
    moves = np.diff(np.log(history.column("close")[rows]))
    weeks = (history.times_ms[rows] - (24 + 8) * STEP) // (7 * 24 * STEP)
    same = np.diff(weeks) == 0
    assert np.corrcoef(np.diff(made)[same], moves[same])[0, 1] > 0.5
    at_roll = (history.times_ms[rows] - (24 + 8) * STEP) % (7 * 24 * STEP) == 0
    assert np.abs(made[at_roll]).max() < 0.05


def test_the_dealer_takes_the_other_side_and_works_it_off() -> None:
    rng = np.random.default_rng(3)
    step = 0.002 * rng.standard_normal(1600)
    step[1400] = 0.006
    step[1401:] = 0.0
    history = history_of(np.exp(np.cumsum(step)))
    model = fitted(MarketMaker(half_life=10.0), history.until(1001))
    made = model.signal(history, np.arange(1399, 1411))
    assert made[1] < made[0]
    assert made[11] == pytest.approx(0.5 * made[1], rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Trend(lookback=0),
        lambda: Trend(lookback=1000, window=1000),
        lambda: VolTarget(vol_decay=1.0),
        lambda: BasisCarry(full_at=1.0),
        lambda: MarketMaker(half_life=0.0),
    ],
)
def test_settings_out_of_range_name_the_remedy(make) -> None:
    with pytest.raises(ConfigurationError, match="remedy:"):
        make()


@pytest.mark.parametrize("model", STRATEGIES, ids=lambda m: m.id)
def test_short_or_frozen_history_is_a_failure(model) -> None:
    assert isinstance(model.calibrate(market(200)), Failure)


def test_cards_share_what_the_code_shares() -> None:
    models = ordinary_strategies()
    graph = common_cause_graph([model.card for model in models])
    assert all(model.card.family is ModelFamily.SIGNAL for model in models)
    place = {model.id: i for i, model in enumerate(models)}
    data = graph.similarity[Layer.DATA]
    assert data[place["basis-carry-72h"], place["trend-168h"]] == 0.0
    assert data[place["vol-target-0.97"], place["trend-168h"]] == 1.0
    assert SIGNAL_MODELS["trend"](lookback=24).id == "trend-24h"
    assert SIGNAL_MODELS["vol-target"](id=ModelId("mine")).card.model == "mine"


def test_the_kit_catches_a_strategy_that_looks_ahead() -> None:
    class Ahead(VolTarget):
        def calibrate(self, history: History):
            class Fit:
                def signal(self, history, origins):
                    return np.full(len(origins), np.tanh(history.column("close")[-1] / 1e5))

            return Success(Fit())

    with pytest.raises(ModelError, match="look-ahead"):
        check_signal_model(Ahead(id=ModelId("ahead")), market())
