"""Error panels of the laboratory's forecast worlds."""

from __future__ import annotations

import numpy as np

from commonmode.core.ids import TargetId
from commonmode.core.units import HOUR_MS
from commonmode.lab.worlds import ForecastWorld
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["panel_of_world"]


def panel_of_world(world: ForecastWorld, *, name: str = "laboratory") -> ErrorPanel:
    """The world as an error panel of hourly quantile forecasts of one target, ``LAB``.

    The scale is one throughout: the truth about the market's volatility is for nobody to see.
    """
    return ErrorPanel(
        name=name,
        kind=PanelKind.QUANTILE,
        level=world.level,
        horizon_ms=HOUR_MS,
        times_ms=np.arange(len(world.outcome), dtype=np.int64) * HOUR_MS,
        models=world.models,
        targets=(TargetId("LAB"),),
        forecast=world.forecast[:, None, :],
        outcome=world.outcome[:, None],
        scale=np.ones((len(world.outcome), 1)),
        benchmark_a=world.benchmark_a[:, None],
        benchmark_b=world.benchmark_b[:, None],
    )
