"""What the recorded joint history holds, and how the scenarios made of it cover what came next."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commonmode.adapters.feeds.recorded.daily import dvol_daily
from commonmode.adapters.feeds.recorded.hourly import hourly_history
from commonmode.core.result import Success
from commonmode.core.units import HOUR_MS
from commonmode.margin.coverage import coverage_cells, equal_coverage_scale
from commonmode.margin.dynamic import (
    ReturnPanel,
    VolatilityFilter,
    filter_volatility,
    fit_vol_response,
    historical_scenarios,
    stressed_rows,
    tail_measure,
)
from commonmode.margin.procyclicality_measures import mean_cost, peak_to_trough
from commonmode.market.clock import utc_ms

pytestmark = pytest.mark.recorded

FACTORS = ("BTC", "ETH", "SOL")


@pytest.fixture(scope="module")
def panel(recorded_data: Path) -> ReturnPanel:
    histories = [hourly_history(recorded_data, name) for name in FACTORS]
    times = histories[0].times_ms
    for history in histories:
        np.testing.assert_array_equal(history.times_ms, times)
    prices = np.stack([history.columns["close"] for history in histories], axis=1)
    return ReturnPanel.from_prices(FACTORS, times, prices, step_ms=HOUR_MS)


def test_ten_outages_are_left_out_and_counted(panel):
    one, day = historical_scenarios(panel), historical_scenarios(panel, bars=24)
    assert (len(one), one.left_out) == (32_369, 10)
    # Each outage spoils the 24 windows that it lies in; none of them lies at an end.
    assert (len(day), day.left_out) == (32_379 - 23 - 240, 240)
    worst = int(np.argmin(one.log_returns[:, 0]))
    assert one.labels[worst] == "2021-05-19T13:00Z"


def test_the_worst_month_is_may_2021(panel):
    month = stressed_rows(panel, 24 * 30)
    assert (
        panel.times_ms[month.start] < utc_ms("2021-05-19T13:00Z") < panel.times_ms[month.stop - 1]
    )


def test_dvol_answers_to_the_size_of_moves_more_than_to_their_sign(recorded_data):
    daily = dvol_daily(recorded_data)
    vol = daily.columns["implied_vol"]
    fit = fit_vol_response(
        daily.log_returns[1:], vol[1:] / vol[:-1] - 1.0, horizon_minutes=24 * 60.0
    )
    # Two years, one coin: implied volatility rises with any large move, a little more with falls,
    # and most of its movement is its own: the response alone would understate volatility risk.
    assert fit.size > 0.0
    assert fit.leverage < 0.0
    assert fit.size > abs(fit.leverage)
    assert fit.r_squared < 0.25


def test_filtered_margin_covers_and_costs_less_but_is_more_procyclical(panel):
    books = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -1, 0], [0, 1, -1], [1, 1, 1]], float)
    path = filter_volatility(panel, VolatilityFilter(decay=0.99))
    assert isinstance(path, Success)
    vol, returns = path.value.forecast, panel.returns
    window = 2_000
    origins = np.arange(window + 300, len(panel), 6)
    margin = np.full((2, len(origins), len(books)), np.nan)
    losses = np.full(margin.shape[1:], np.nan)
    for k, now in enumerate(origins):
        past = slice(now - window, now)
        for m, moves in enumerate((returns[past] / vol[past] * vol[now], returns[past])):
            moves = moves[np.isfinite(moves).all(axis=1)]
            weights = np.full(len(moves), 1.0 / len(moves))
            pnl = books @ np.expm1(moves).T
            margin[m, k] = tail_measure(pnl, weights, 0.99).value_at_risk
        losses[k] = -(books @ np.expm1(returns[now]))
    filtered, plain = margin
    cells = coverage_cells(filtered, losses, level=0.01)
    assert all(cell.observations > 4_900 for cell in cells)
    assert all(cell.kupiec_p > 0.01 for cell in cells)
    cost = [equal_coverage_scale(m, losses, 0.01) * mean_cost(m) for m in margin]
    assert np.mean(cost[0] / cost[1]) < 1.0
    assert np.all(peak_to_trough(filtered).ratio > peak_to_trough(plain).ratio)
