"""Error panels of the laboratory's worlds of known causes."""

from __future__ import annotations

import numpy as np

from commonmode.core.units import HOUR_MS
from commonmode.lab.causes import CauseWorld
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["panel_of_causes"]


def panel_of_causes(world: CauseWorld, *, name: str = "") -> ErrorPanel:
    """The world as an error panel of hourly quantile forecasts.

    Parameters
    ----------
    world : CauseWorld
    name : str, optional
        ``causes <seed>`` by default.
    """
    return ErrorPanel(
        name=name or f"causes {world.design.seed}",
        kind=PanelKind.QUANTILE,
        level=world.design.level,
        horizon_ms=HOUR_MS,
        times_ms=np.arange(len(world.outcome), dtype=np.int64) * HOUR_MS,
        models=world.models,
        targets=world.targets,
        forecast=world.forecast,
        outcome=world.outcome,
        scale=world.scale,
        benchmark_a=world.benchmark_a,
        benchmark_b=world.benchmark_b,
        exposure_usd=world.exposure_usd,
        state=world.state,
    )
