"""The future changes no earlier forecast, and how the work is cut changes no forecast at all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonmode.core.ids import ModelId
from commonmode.forecast import (
    BlackBox,
    Ewma,
    FilteredHistoricalSimulation,
    Garch,
    HistoricalSimulation,
    RecordedForecasts,
)
from commonmode.market.history import History
from commonmode.panel.benchmark import Half, range_benchmark
from commonmode.panel.risk import build_risk_panel
from commonmode.panel.walk_forward import run_piece, walk_forward
from commonmode.panel.walk_pieces import BLOCK_BARS, ForecastTask, cut_into_pieces, join_pieces
from simulated_bars import STEP, make_history

FIRST = 520
ENOUGH = 800  # bars that train a benchmark
N = FIRST + BLOCK_BARS + 150
HISTORY = make_history(N, 11)
BOX = RecordedForecasts(
    HISTORY.instrument, 1, 0.025, HISTORY.times_ms[::2], -0.01 * np.ones(len(HISTORY.times_ms[::2]))
)
MODELS = (
    HistoricalSimulation(window=200),
    Ewma(window=300),
    Ewma(window=500, decay=0.99, innovations="empirical"),
    Garch(window=500, refit_every=120),
    Garch(window=500, refit_every=120, asymmetric=True, innovations="student"),
    FilteredHistoricalSimulation(window=500, refit_every=120, paths=200),
    BlackBox(id=ModelId("theirs"), recorded=[BOX]),
)
TASKS = (
    ForecastTask(1, 0.025, np.arange(FIRST, N - 1)),
    ForecastTask(24, 0.025, np.arange(FIRST, N - 24, 24)),
)
PLAIN = {model.id: walk_forward(model, HISTORY, TASKS, first=FIRST) for model in MODELS}


def changed_after(row: int, how: str, seed: int) -> History:
    """The same bars up to ``row``; afterwards shuffled, scaled or missing."""
    order = np.arange(N)
    columns = {name: column.copy() for name, column in HISTORY.columns.items()}
    if how == "shuffled":
        order[row + 1 :] = np.random.default_rng(seed).permutation(order[row + 1 :])
        columns = {name: column[order] for name, column in columns.items()}
    elif how == "scaled":
        factor = np.exp(0.05 * np.random.default_rng(seed).standard_normal(N - row - 1))
        for column in columns.values():
            column[row + 1 :] *= factor
    else:
        for column in columns.values():
            column[row + 1 :] = np.nan
    return dataclasses.replace(HISTORY, columns=columns)


def assert_same(one, two) -> None:
    for name in ("vol", "quantile", "shortfall"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@settings(max_examples=3)
@given(
    row=st.integers(FIRST, N - 30),
    how=st.sampled_from(["shuffled", "scaled", "missing"]),
    seed=st.integers(0, 99),
)
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.id)
def test_future_changes_no_earlier_forecast(model, row, how, seed) -> None:
    other = walk_forward(model, changed_after(row, how, seed), TASKS, first=FIRST)
    for task, plain, changed in zip(TASKS, PLAIN[model.id], other, strict=True):
        past = task.origins <= row
        for name in ("vol", "quantile", "shortfall"):
            before = getattr(plain.forecast, name)[past]
            np.testing.assert_array_equal(before, getattr(changed.forecast, name)[past])


@settings(max_examples=10)
@given(
    row=st.integers(ENOUGH, N - 30),
    how=st.sampled_from(["shuffled", "scaled", "missing"]),
    half=st.sampled_from(Half),
    horizon=st.sampled_from([1, 24]),
)
def test_future_changes_no_earlier_benchmark(row, how, half, horizon) -> None:
    def made(history: History) -> np.ndarray:
        return range_benchmark(history, half=half, horizon=horizon, level=0.025, first=ENOUGH)

    plain, changed = made(HISTORY), made(changed_after(row, how, 5))
    assert np.isfinite(plain[ENOUGH:]).all()
    np.testing.assert_array_equal(plain[: row + 1], changed[: row + 1])


@pytest.mark.parametrize("horizon", [1, 24])
def test_halves_read_disjoint_bars(horizon) -> None:
    """Bars of one half after training leave the other half's features alone."""

    def made(history: History, half: Half) -> np.ndarray:
        return range_benchmark(history, half=half, horizon=horizon, level=0.025, first=ENOUGH)

    row = ENOUGH + 150  # inside the first refit, so coefficients are settled
    number = HISTORY.times_ms // STEP % 2
    for half in Half:
        columns = {name: column.copy() for name, column in HISTORY.columns.items()}
        theirs = (number != half.value) & (np.arange(N) > ENOUGH) & (np.arange(N) <= row)
        columns["high"][theirs] *= 1.05
        other = dataclasses.replace(HISTORY, columns=columns)
        span = slice(ENOUGH, row + 1)
        np.testing.assert_array_equal(made(HISTORY, half)[span], made(other, half)[span])
        opposite = Half.ODD if half is Half.EVEN else Half.EVEN
        assert np.any(made(HISTORY, opposite)[span] != made(other, opposite)[span])


@settings(max_examples=6)
@given(size=st.integers(1, len(MODELS)), order=st.randoms(use_true_random=False))
def test_any_partition_gives_the_same_numbers(size, order) -> None:
    pieces = list(cut_into_pieces(MODELS, HISTORY, TASKS, first=FIRST, models_per_piece=size))
    order.shuffle(pieces)
    joined = join_pieces(MODELS, TASKS, [(piece, run_piece(piece)) for piece in pieces])
    for model, walked in zip(MODELS, joined, strict=True):
        for plain, part in zip(PLAIN[model.id], walked, strict=True):
            assert_same(plain.forecast, part.forecast)
            assert plain.failures == part.failures


def test_a_longer_history_changes_no_earlier_panel_row() -> None:
    models = MODELS[:2]
    histories = {"BTC": HISTORY, "ETH": make_history(N, 12, "ETH-USDT")}
    shorter = {coin: history.rows(0, N - 200) for coin, history in histories.items()}
    whole = build_risk_panel(histories, models, train=ENOUGH, non_overlapping=True, horizon=6)
    part = build_risk_panel(shorter, models, train=ENOUGH, non_overlapping=True, horizon=6)
    t = len(part.times_ms)
    assert t < len(whole.times_ms)
    for name in ("times_ms", "forecast", "outcome", "scale", "benchmark_a", "benchmark_b"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:t])
    for name, state in part.state.items():
        np.testing.assert_array_equal(state, whole.state[name][:t])
