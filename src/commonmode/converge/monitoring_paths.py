"""C2 and C3 along time: exponentially weighted windows, each with the index's own test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from commonmode.converge.groups import blind_groups, contrast_groups
from commonmode.converge.monitoring_failures import CoFailureSeries
from commonmode.converge.monitoring_result import IndexPath
from commonmode.converge.monitoring_series import BlockSeries
from commonmode.converge.monitoring_settings import MonitoringSettings
from commonmode.core.arrays import IntArray
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.comovement import (
    block_correlation,
    debiased_excess,
    effective_number,
    excess_interval,
)
from commonmode.stats.signflip import sign_flip_test

__all__ = ["cofailure_path", "comovement_path"]

_FEWEST_GROUPS = 6
_ALPHA = 0.05


def comovement_path(
    panel: ErrorPanel, series: BlockSeries, ends: IntArray, use: MonitoringSettings, rng: int
) -> IndexPath:
    """C2 of every window by C2's own estimator, test and interval."""
    groups, n = blind_groups(panel.models), len(panel.models)

    def one(end: int) -> tuple[float, float, float, float]:
        moments = series.weighted(end, use.half_life)
        nan = float("nan")
        if moments.shape[1] < _FEWEST_GROUPS:
            return nan, nan, nan, nan
        block = block_correlation(moments)
        contrasts, _ = contrast_groups(
            block.contributions,
            groups,
            panel.models,
            flips=use.flips,
            alpha=_ALPHA,
            rng=stream(rng, "monitoring", "C2", end),
        )
        p = min(c.p_adjusted for c in contrasts)
        value = float(effective_number(debiased_excess(block), n))
        low, high = excess_interval(
            moments, draws=use.draws, rng=stream(rng, "monitoring", "interval", end)
        )
        # At independence the interval of a number that cannot exceed N covers nothing: test first.
        if p > _ALPHA:
            return value, nan, nan, p
        return value, float(effective_number(high, n)), float(effective_number(low, n)), p

    return _path("effective number", series.known_ms[ends], ends, one)


def cofailure_path(
    series: BlockSeries,
    joint: CoFailureSeries,
    ends: IntArray,
    use: MonitoringSettings,
    rng: int,
) -> IndexPath:
    """``1 + sum w R / sum w D`` without benchmark noise, same weights and groups as C2."""

    def one(end: int) -> tuple[float, float, float, float]:
        depth = min(end + 1, int(np.ceil(6.0 * use.half_life)))
        at = end - np.arange(depth)
        weight = 0.5 ** (np.arange(depth) / use.half_life)
        cuts = np.arange(0, depth, series.blocks_apart)
        nan = float("nan")
        full = np.zeros(len(series))
        full[at] = weight
        part = np.add.reduceat(joint.excess(full)[at], cuts)
        expected = np.add.reduceat(weight * joint.expected[0, at], cuts)
        if len(cuts) < _FEWEST_GROUPS or not expected.sum() > 0:
            return nan, nan, nan, nan
        excess = float(part.sum())
        spread = part - excess * expected / expected.sum()
        groups = len(cuts)
        error = float(np.sqrt((spread**2).sum() * groups / (groups - 1)))
        half = float(stdtrit(groups - 1, 0.975)) * error
        p = sign_flip_test(part, flips=use.flips, rng=stream(rng, "monitoring", "C3", end)).p_value
        return 1.0 + excess, 1.0 + excess - half, 1.0 + excess + half, p

    return _path("co-failure ratio", series.known_ms[ends], ends, one)


def _path(
    name: str,
    time: IntArray,
    ends: IntArray,
    one: Callable[[int], tuple[float, float, float, float]],
) -> IndexPath:
    table = np.array([one(int(end)) for end in ends]).reshape(-1, 4)
    return IndexPath(name, time, *(np.ascontiguousarray(column) for column in table.T))
