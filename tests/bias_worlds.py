"""Worlds whose forecasts are right but for what is planted in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.stats import t as student

from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId, TargetId
from commonmode.panel.error_panel import ErrorPanel, PanelKind

HOUR = 3_600_000


def autoregression(
    rng: np.random.Generator, times: int, series: int, phi: float, sd: float
) -> FloatArray:
    noise = rng.standard_normal((times, series))
    noise[0] /= np.sqrt(1 - phi**2)
    return np.asarray(sd * np.sqrt(1 - phi**2) * lfilter([1.0], [1.0, -phi], noise, axis=0))


@dataclass(frozen=True)
class BiasWorld:
    """One market: log volatility, outcomes, two benchmarks and the generator for what follows."""

    log_vol: FloatArray
    outcome: FloatArray
    benchmarks: FloatArray
    truth: FloatArray
    level: float
    rng: np.random.Generator


def market(
    seed: int,
    *,
    times: int = 3000,
    level: float = 0.025,
    degrees: float = 4.0,
    switching: bool = False,
    noise: float = 0.1,
) -> BiasWorld:
    """Persistent log volatility (and jumps of regime), heavy-tailed outcomes, noisy benchmarks."""
    rng = np.random.default_rng(seed)
    log_vol = autoregression(rng, times, 1, 0.98, 0.5)[:, 0]
    if switching:
        log_vol = log_vol + np.cumsum(rng.random(times) < 1 / 300) % 2
    scale = 0.01 * np.exp(log_vol)
    outcome = scale * rng.standard_t(degrees, times)
    truth = scale * student.ppf(level, degrees)
    benchmarks = truth[:, None] * np.exp(autoregression(rng, times, 2, 0.9, noise))
    return BiasWorld(log_vol, outcome, benchmarks, truth, level, rng)


def quantile_panel(world: BiasWorld, forecast: FloatArray, name: str = "bias") -> ErrorPanel:
    times, models = forecast.shape
    return ErrorPanel(
        name=name,
        kind=PanelKind.QUANTILE,
        level=world.level,
        horizon_ms=HOUR,
        times_ms=np.arange(times, dtype=np.int64) * HOUR,
        models=tuple(ModelId(f"m{i}") for i in range(models)),
        targets=(TargetId("BTC"),),
        forecast=forecast[:, None, :],
        outcome=world.outcome[:, None],
        scale=np.exp(world.log_vol)[:, None],
        benchmark_a=world.benchmarks[:, :1],
        benchmark_b=world.benchmarks[:, 1:],
    )


def right_forecasts(world: BiasWorld, models: int) -> FloatArray:
    """All models say the truth, so nearly that only their last digits differ."""
    jitter = 1e-6 * world.rng.standard_normal((len(world.truth), models))
    return np.asarray(world.truth[:, None] * np.exp(jitter))
