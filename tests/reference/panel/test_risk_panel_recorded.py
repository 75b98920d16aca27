"""A short span of the recorded hourly market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.core.ids import InstrumentId
from commonmode.forecast import Ewma, HistoricalSimulation, ordinary_risk_models
from commonmode.market.history import History
from commonmode.panel.benchmark import validate_benchmark
from commonmode.panel.risk import RiskPanelSpec, build_risk_panel, build_risk_panels

pytestmark = pytest.mark.recorded

STEP = 3_600_000


def history_of(folder: Path, coin: str, bars: int) -> History:
    name = f"binance_spot_hourly_2020_2025/{coin}USDT_1h_20200920_20240531.parquet"
    table = pl.read_parquet(folder / name, n_rows=bars)
    times = table["ts_utc"].dt.epoch("ms").to_numpy().astype(np.int64) + STEP
    columns = {c: table[c].to_numpy() for c in ("open", "high", "low", "close")}
    return History(InstrumentId(f"{coin}-USDT"), STEP, times, columns)


def test_sixty_days_of_all_ordinary_models(recorded_data: Path) -> None:
    histories = {coin: history_of(recorded_data, coin, 2000 + 24 * 60) for coin in ("BTC", "ETH")}
    specs = (
        RiskPanelSpec(),
        RiskPanelSpec(name="risk-24h", horizon=24, non_overlapping=True),
    )
    hourly, daily = build_risk_panels(histories, ordinary_risk_models(), specs)
    assert hourly.shape[1:] == (2, 7)
    assert daily.shape[0] in (59, 60)
    assert not hourly.failures
    assert not daily.failures
    # Five gaps of the venue at most fall into these days; everything else is scored.
    assert np.isnan(hourly.outcome).sum() <= 10
    assert hourly.complete.mean() > 0.99
    report = validate_benchmark(hourly)
    best = report.pinball[3:].min(axis=0)
    assert np.all(report.pinball[2] < 1.02 * best)
    assert np.all(np.abs(report.coverage[:3] - 0.025) < 0.015)


def test_hourly_benchmark_beats_a_rolling_quantile_over_the_whole_span(recorded_data: Path) -> None:
    histories = {coin: history_of(recorded_data, coin, 22_444) for coin in ("BTC", "ETH")}
    panel = build_risk_panel(histories, [HistoricalSimulation(), Ewma()])
    report = validate_benchmark(panel)
    assert report.observations.min() > 20_000
    assert np.all(report.rank == 0)
    assert np.all(report.coverage_p[:3] > 0.05)
