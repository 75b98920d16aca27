"""What C3 says about one panel."""

from __future__ import annotations

from dataclasses import dataclass

from commonmode.converge.groups import GroupContrast
from commonmode.core.arrays import IntArray
from commonmode.stats.cofailure import AlphaFactors

__all__ = ["CoFailureResult", "JointFailureSplit", "Share"]


@dataclass(frozen=True, slots=True)
class Share:
    """A share of all joint failures, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class JointFailureSplit:
    """Where joint failures come from; the three values add up to one.

    Attributes
    ----------
    market : Share
        Hours so violent that models fail together without sharing anything.
    shared_design : Share
        What is left when the market's surprise is accounted for. Negative when fewer models fail
        together than independent ones would.
    individual : Share
        Chance coincidence of failures at each model's own average rate.
    """

    market: Share
    shared_design: Share
    individual: Share


@dataclass(frozen=True, slots=True, eq=False)
class CoFailureResult:
    """C3 of one panel.

    Attributes
    ----------
    ratio : float
        Joint failures over those expected given the market, at no benchmark noise; 1 = independent.
        NaN without benchmarks.
    interval : (float, float)
        95 %, Student t over blocks, widened by the extrapolation allowance.
    p_value : float
        Of ``ratio <= 1``, one-sided, after taking off the allowance.
    rejects : bool
    extrapolation_allowance : float
        Difference between the quadratic and the linear extrapolation: how far the correction for
        benchmark noise may be off.
    uncorrected_ratio : float
        At the mean benchmark, no extrapolation.
    raw_ratio : float
        Over independence at constant rates: "market + shared design".
    pair_failures : int
        Number of (pair, time) at which both failed.
    failures : int64, shape (N,)
    rows, blocks : int
    minimum_detectable_ratio : float
        Ratio found with 80 % probability at this length.
    split : JointFailureSplit or None
        None without benchmarks, or with fewer than 20 joint failures.
    alpha : AlphaFactors
        Common-cause alpha factors over how many models failed at once.
    components : tuple of GroupContrast
        Declared components by their excess of co-failure, largest t first.
    """

    ratio: float
    interval: tuple[float, float]
    p_value: float
    rejects: bool
    extrapolation_allowance: float
    uncorrected_ratio: float
    raw_ratio: float
    pair_failures: int
    failures: IntArray
    rows: int
    blocks: int
    minimum_detectable_ratio: float
    split: JointFailureSplit | None
    alpha: AlphaFactors
    components: tuple[GroupContrast, ...]
