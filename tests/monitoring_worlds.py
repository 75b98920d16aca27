"""Crowds that begin to share something after a baseline in which they shared nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

from commonmode.core.arrays import FloatArray
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world

BASELINE = 120


def joined(
    seed: int,
    share: float,
    after: int = 240,
    *,
    spells: float = 1.0,
    right: bool = False,
    **world: float,
) -> ErrorPanel:
    """A crowd that shares nothing for 120 days, then a stated share of everybody's variance.

    In spells of 20 days on average all deviations are ``spells`` times as large. Forecasts that
    deviate fail oftener than the level says; if ``right`` they are deepened so that they do not.
    """
    config = WorldConfig(**world)  # type: ignore[arg-type]
    first = simulate_world(replace(config, times=24 * BASELINE), seed=seed)
    crowd = replace(config, times=24 * after, planted_share=share, planted_models=8)
    second = simulate_world(crowd, seed=seed + 10_000)

    def both(column: str) -> FloatArray:
        return np.concatenate([getattr(first, column), getattr(second, column)])

    truth, forecast = both("true_quantile")[:, None], both("forecast")
    switches = np.random.default_rng(seed).random(len(truth)) < 1 / (24 * 20)
    larger = np.where(np.cumsum(switches) % 2 == 1, spells, 1.0)[:, None]
    if spells != 1.0:
        forecast = truth * (forecast / truth) ** larger
    if right:
        deeper = {by: _deepening(config, by * config.deviation_sd) for by in (1.0, spells)}
        forecast = forecast * np.where(larger == 1.0, deeper[1.0], deeper[spells])
    return panel_of_world(
        replace(
            first,
            forecast=forecast,
            outcome=both("outcome"),
            benchmark_a=both("benchmark_a"),
            benchmark_b=both("benchmark_b"),
        )
    )


def _deepening(config: WorldConfig, sd: float) -> float:
    """Factor at which forecasts with normal log deviations of ``sd`` fail as often as stated."""
    node, weight = np.polynomial.hermite_e.hermegauss(64)
    quantile = student.ppf(config.level, config.degrees_of_freedom)

    def off(log_factor: float) -> float:
        fails = student.cdf(quantile * np.exp(log_factor + sd * node), config.degrees_of_freedom)
        return float(weight @ fails / weight.sum()) - config.level

    return float(np.exp(brentq(off, -1.0, 1.0)))
