"""Steps, crowds and cycles of models that recalibrate: truth known, misspecified on demand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.converge.recalibration import RevisionSteps
from commonmode.core.ids import ModelId, TargetId
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from following_worlds import autoregression, following_panel, following_views


def revisions(
    seed: int,
    *,
    times: int = 900,
    share: float = 0.0,
    noise: float = 1.0,
    follow: float = 0.0,
    rough: bool = True,
    missing: float = 0.0,
    bent: float = 0.0,
) -> RevisionSteps:
    """Steps that answer one market move, 0.5 to 1.5 times; if ``rough`` heavy tails, two regimes.

    ``share`` of what a model does beyond that is everybody's; ``bent`` times the square of the
    market's move is answered by all alike; ``missing`` of the cells did not answer.
    """
    rng = np.random.default_rng(seed)
    shapes = ((times, 1), (times, 6), (times, 1))
    market, own, common = (
        rng.standard_t(4, s) / np.sqrt(2) if rough else rng.standard_normal(s) for s in shapes
    )
    beyond = np.sqrt(1 - share) * own + np.sqrt(share) * common
    beyond[1:, 1] += follow * beyond[:-1, 0]
    regime = np.ones((times, 1))
    if rough:
        regime = np.where(np.cumsum(rng.random(times) < 0.02) % 2 == 1, 3.0, 1.0)[:, None]
    bend = bent * (market**2 - 1.0)
    step = regime * (market * np.linspace(0.5, 1.5, 6) + beyond + bend)
    a, b = (regime * market + noise * rng.standard_normal((times, 1)) for _ in range(2))
    step[rng.random(step.shape) < missing] = np.nan
    models = tuple(ModelId(f"model-{i}") for i in range(6))
    return RevisionSteps(
        "steps", "log quantile", np.arange(times, dtype=np.int64), models,
        (TargetId("ONE"),), step[:, None], a, b,
    )  # fmt: skip


def follower_of_the_crowd(seed: int, pull: float) -> ErrorPanel:
    """Model 0 closes ``pull`` of its gap to the mean of the others at every row."""
    rng = np.random.default_rng(seed)
    d, v = np.zeros((5000, 6)), rng.standard_normal((5000, 6))
    for t in range(1, 5000):
        d[t] = 0.8 * d[t - 1] + v[t]
        d[t, 0] += pull * (d[t - 1, 1:].mean() - d[t - 1, 0])
    d *= 0.15 / d.std(axis=0)
    a, b = (autoregression(rng.standard_normal((5000, 1)), 0.9) * 0.06 for _ in range(2))
    return following_panel(d - a, d - b)


def breaches(seed: int, lean: float, *, missing: float = 0.0, degrees: float = 4.0) -> ErrorPanel:
    """Model 0 knows the quantile and says ``lean`` of the way from it to the others' median."""
    x, y = following_views("alone", seed, noise=0.0)
    rng = np.random.default_rng(seed + 1)
    truth = np.exp(x[:, :1])
    others = np.exp(x[:, 1:])
    centre = np.median(others, axis=1, keepdims=True)
    says = truth ** (1 - lean) * centre**lean
    panel = following_panel(x, y)
    outcome = -truth * np.abs(rng.standard_t(degrees, (len(x), 1))) / 2.0
    forecast = -np.concatenate([says, others], axis=1)[:, None]
    forecast[rng.random(len(x)) < missing] = np.nan
    return replace(
        panel, kind=PanelKind.QUANTILE, level=0.2, outcome=outcome, forecast=forecast,
        benchmark_a=-np.ones((len(x), 1)), benchmark_b=-np.ones((len(x), 1)),
    )  # fmt: skip


def cycle(
    seed: int,
    *,
    excess: float = 0.0,
    crowd: float = 0.0,
    lagging: bool = False,
    heavy: bool = True,
    regimes: bool = True,
    missing: float = 0.02,
    memory: float = 0.98,
    factor: float = 0.0,
) -> ErrorPanel:
    """Forecasts that pass 0.6 of the market's log volatility on, as the benchmarks do.

    ``excess`` is passed on by model 0 besides, ``crowd`` by everybody; ``factor`` is the standard
    deviation of something that moves all forecasts, no benchmark, and not with the market.
    """
    x, y = following_views("alone", seed, regimes=regimes)
    rng = np.random.default_rng(seed + 1)
    shocks = (
        rng.standard_t(4, (len(x), 1)) if heavy else np.sqrt(2) * rng.standard_normal((len(x), 1))
    )
    market = 0.1 * autoregression(shocks, memory)
    panel = following_panel(x, y, missing=missing, seed=seed)
    due = np.exp(0.6 * market)
    forecast = -panel.forecast * due[:, :, None]
    forecast *= np.exp(crowd * market)[:, :, None]
    if factor:
        lasting = autoregression(rng.standard_normal((len(x), 1)), 0.95) * np.sqrt(1 - 0.95**2)
        forecast *= np.exp(factor * lasting)[:, :, None]
    forecast[:, 0, 0] *= np.exp(excess * market[:, 0])
    if lagging:  # up at once, down slowly
        held = market[:, 0].copy()
        for t in range(1, len(held)):
            held[t] = max(market[t, 0], held[t - 1] + 0.02 * (market[t, 0] - held[t - 1]))
        forecast[:, 0, 0] *= np.exp(0.6 * (held - market[:, 0]))
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    return replace(
        panel, kind=PanelKind.QUANTILE, level=0.025, forecast=forecast, outcome=-panel.outcome,
        scale=np.exp(market), benchmark_a=-panel.benchmark_a * due,
        benchmark_b=-panel.benchmark_b * due,
    )  # fmt: skip
