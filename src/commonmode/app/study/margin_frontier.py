"""Cost against coverage against travel: our controls one by one, and the other methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from commonmode.app.study.margin_family import LEVEL, Family
from commonmode.core.arrays import FloatArray
from commonmode.core.protocols import Progress
from commonmode.margin.backtest.bootstrap import pooled_scale
from commonmode.margin.backtest.compare import breach_rate
from commonmode.margin.backtest.ours import Components
from commonmode.margin.backtest.walk import Settings
from commonmode.margin.procyclicality_measures import peak_to_trough

__all__ = ["FrontierPoint", "frontier_points"]


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """One margin path on one period, on the portfolios that every method margins.

    Attributes
    ----------
    period : str
    label : str
        Our settings, or the other method.
    group : str
        "bounded" or "cheapest" for what was chosen, "controls" for its neighbours, "levels" for
        other promises, "other" for other methods.
    promised : float
        Breach probability.
    rate : float
        Breach rate: walked forward for ours, as published for the others.
    cost : float
        Mean margin per portfolio after the path is scaled, in hindsight, to the promise.
    travel_usd : float
        Peak to trough of margin in USD over that of the price, geometric mean over portfolios.
    travel_rate : float
        Peak to trough of margin per dollar of notional, geometric mean.
    """

    period: str
    label: str
    group: str
    promised: float
    rate: float
    cost: float
    travel_usd: float
    travel_rate: float


def _point(
    family: Family, margin: FloatArray, period: str, label: str, group: str, promised: float
) -> FrontierPoint:
    inside = family.inside(period)
    columns = [
        a
        for a, p in enumerate(family.portfolios)
        if not any(leg.kind == "collateral" for leg in p.legs)
    ]
    path, losses = margin[inside][:, columns], family.losses[inside][:, columns]
    index = family.index(inside)[inside][:, columns]
    # Methods whose history is too short for the training period are judged on what they have.
    known = np.isfinite(path).all(axis=1) & np.isfinite(index).all(axis=1)
    usd = peak_to_trough((path * index)[known]).ratio / peak_to_trough(index[known]).ratio
    return FrontierPoint(
        period=period,
        label=label,
        group=group,
        promised=promised,
        rate=breach_rate(path, losses),
        cost=float(np.nanmean(path)) * pooled_scale(path, losses, promised),
        travel_usd=float(np.exp(np.mean(np.log(usd)))),
        travel_rate=float(np.exp(np.mean(np.log(peak_to_trough(path[known]).ratio)))),
    )


def frontier_points(
    family: Family,
    parts: Mapping[tuple[float, ...], Components],
    chosen: Mapping[str, Settings],
    others: Mapping[str, FloatArray],
    told: Progress,
) -> tuple[FrontierPoint, ...]:
    """Points on training and test; they are shown, and nothing is chosen from them."""
    start = chosen["bounded"]
    bare = replace(start, stressed_weight=0.0, floor=0.0, buffer=0.0)
    wanted = [(name, settings, LEVEL) for name, settings in chosen.items()]
    controls = [bare]
    controls += [replace(bare, stressed_weight=w) for w in (0.25, 0.5, 0.75, 1.0)]
    controls += [replace(bare, floor=f) for f in (0.5, 0.75, 1.0, 1.25)]
    controls += [replace(bare, buffer=b) for b in (0.25, 0.5)]
    controls += [replace(bare, daily_limit=x) for x in (1.5, 1.2, 1.05)]
    wanted += [("controls", settings, LEVEL) for settings in controls]
    wanted += [("levels", start, level) for level in (0.005, 0.025)]
    label = "frontier"
    told.start(label, len(wanted) + len(others))
    points = []
    for group, settings, promised in wanted:
        walked = family.walk(parts[settings.half_lives], settings, level=promised)
        points += [
            _point(family, walked.margin, period, settings.label, group, promised)
            for period in ("training", "test")
        ]
        told.advance(label)
    for name, path in others.items():
        points.append(_point(family, path, "test", name, "other", LEVEL))
        points += [
            _point(family, path, "test", name, "other levels", level) for level in (0.005, 0.025)
        ]
        told.advance(label)
    told.finish(label)
    return tuple(points)
