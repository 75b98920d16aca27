"""Walk-forward fits of the published methods' scan ranges and of static haircuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.app.study.margin_family import DAY_MS, HOUR_MS, LEAST_MS, LEVEL, PERIODS, Family
from commonmode.core.arrays import FloatArray
from commonmode.core.protocols import Progress
from commonmode.margin.backtest.bootstrap import Interval, scale_interval
from commonmode.margin.backtest.calibration import Ladder, fit_ladder, walk_ladder
from commonmode.margin.backtest.compare import PooledRate, pooled_rate
from commonmode.margin.backtest.portfolios import COINS
from commonmode.margin.backtest.published import SHOCKS_COLLATERAL, with_scan_range
from commonmode.margin.backtest.stacked import margin_path
from commonmode.margin.backtest.walk import walk_forward

__all__ = ["FitLine", "fits"]

_FACTORS: Final = np.geomspace(0.02, 1.5, 24)
_WINDOW_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class FitLine:
    """One parameter fitted to the target coverage.

    Attributes
    ----------
    parameter : str
    bars : int
        Horizon in hours.
    portfolios : int
    fitted : Interval
        On the training period, with its block-bootstrap interval.
    last : float
        As refitted at the start of the last month.
    at_the_end : bool
        The fit lies at the end of the range tried: charges alone cover the promise.
    rates : tuple of (period, PooledRate, mean margin)
        Refitted monthly.
    """

    parameter: str
    bars: int
    portfolios: int
    fitted: Interval
    last: float
    at_the_end: bool
    rates: tuple[tuple[str, PooledRate, float], ...]


def _rates(
    family: Family, margin: FloatArray, losses: FloatArray
) -> tuple[tuple[str, PooledRate, float], ...]:
    every = max(family.bars * family.per_day // 24, 1)
    found = []
    for period in [name for name in PERIODS if name != "training"]:
        at = np.flatnonzero(family.inside(period))[::every]
        block = max(7 * family.per_day // every, 1)
        rate = pooled_rate(margin[at], losses[at], LEVEL, block=block)
        found.append((period, rate, float(np.nanmean(margin[at]))))
    return tuple(found)


def fits(family: Family, told: Progress) -> tuple[FitLine, ...]:
    """Scan ranges of PM2 and Deribit on BTC and ETH, and each coin's static haircut.

    Parameters
    ----------
    family : Family
        Of linear portfolios.
    told : Progress
    """
    lines = []
    label = f"scan ranges and haircuts over {family.bars} h"
    told.start(label, 2 + len(COINS))
    inside = family.inside("training")
    block = 7 * family.per_day
    for name, what in (("pm2", "PM2 scan range, factor"), ("deribit", "Deribit range, factor")):
        posts = [any(leg.kind == "collateral" for leg in p.legs) for p in family.portfolios]
        columns = np.array(
            [
                a
                for a, p in enumerate(family.portfolios)
                if p.published and (SHOCKS_COLLATERAL[name] or not posts[a])
            ]
        )
        some = tuple(family.portfolios[a] for a in columns.tolist())
        margin = np.stack(
            [
                margin_path(with_scan_range(name, factor), family.path, some, family.rows)
                for factor in _FACTORS.tolist()
            ]
        )
        ladder, losses = Ladder(_FACTORS, margin), family.losses[:, columns]
        fitted = fit_ladder(Ladder(_FACTORS, margin[:, inside]), losses[inside], LEVEL, block=block)
        walked = walk_ladder(
            ladder,
            losses,
            family.times,
            level=LEVEL,
            window_ms=_WINDOW_DAYS * DAY_MS,
            least_ms=LEAST_MS,
            horizon_ms=family.bars * HOUR_MS,
        )
        lines.append(
            FitLine(
                parameter=what,
                bars=family.bars,
                portfolios=len(columns),
                fitted=fitted,
                last=float(walked.factor[-1]),
                at_the_end=fitted.value in (_FACTORS[0], _FACTORS[-1]),
                rates=_rates(family, walked.margin, losses),
            )
        )
        told.advance(label)
    names = [p.name for p in family.portfolios]
    for coin in COINS:
        columns = np.array([names.index(f"long {coin}"), names.index(f"short {coin}")])
        losses = family.losses[:, columns]
        flat = np.ones_like(losses)
        walk = walk_forward(
            flat,
            losses,
            family.times,
            level=LEVEL,
            window_ms=_WINDOW_DAYS * DAY_MS,
            least_ms=LEAST_MS,
            horizon_ms=family.bars * HOUR_MS,
        )
        lines.append(
            FitLine(
                parameter=f"{coin} haircut",
                bars=family.bars,
                portfolios=2,
                fitted=scale_interval(flat[inside], losses[inside], LEVEL, block=block),
                last=float(walk.multiplier[-1]),
                at_the_end=False,
                rates=_rates(family, walk.margin, losses),
            )
        )
        told.advance(label)
    told.finish(label)
    return tuple(lines)
