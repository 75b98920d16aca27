"""Crowds that begin to share something after a baseline in which they shared nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world

BASELINE = 120


def joined(seed: int, share: float, after: int = 240, **world: float) -> ErrorPanel:
    """A crowd that shares nothing for 120 days, then a stated share of everybody's variance."""
    config = WorldConfig(**world)  # type: ignore[arg-type]
    first = simulate_world(replace(config, times=24 * BASELINE), seed=seed)
    crowd = replace(config, times=24 * after, planted_share=share, planted_models=8)
    second = simulate_world(crowd, seed=seed + 10_000)

    def both(column: str) -> FloatArray:
        return np.concatenate([getattr(first, column), getattr(second, column)])

    return panel_of_world(
        replace(
            first,
            forecast=both("forecast"),
            outcome=both("outcome"),
            benchmark_a=both("benchmark_a"),
            benchmark_b=both("benchmark_b"),
        )
    )
