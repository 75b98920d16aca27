"""One of our margin paths against the others, on one period and one family of portfolios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.margin.backtest.bootstrap import Interval
from commonmode.margin.backtest.compare import (
    PooledRate,
    cost_ratio,
    cost_ratio_interval,
    pooled_rate,
    travel,
)
from commonmode.margin.coverage import (
    CoverageCell,
    coverage_cells,
    equal_coverage_scale,
    regimes_by_volatility,
)

__all__ = ["Assessment", "Comparison", "RegimeRate", "Sample", "assess", "price_index"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The rows of one period.

    Attributes
    ----------
    losses : float64, shape (R, A)
        Per dollar of notional.
    price : float64, shape (R, A)
        Price index of each portfolio.
    volatility : float64, shape (R,)
        What sorts the rows into regimes.
    names : tuple of str, length A
    level : float
    rows_per_day : int
    """

    losses: FloatArray
    price: FloatArray
    volatility: FloatArray
    names: tuple[str, ...]
    level: float
    rows_per_day: int


@dataclass(frozen=True, slots=True)
class RegimeRate:
    """Breach rates in one regime of volatility: ours, and each other method's at our coverage."""

    regime: str
    ours: float
    others: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours against one method scaled, in hindsight on this very period, to our breach rate.

    Attributes
    ----------
    method : str
    portfolios : int
        How many both margin.
    raw_rate : float
        Breach rate of the method as it is.
    factor : float
        The one factor on the method over all portfolios.
    ratio : Interval
        Our mean margin over the scaled one, with a block-bootstrap interval.
    strict_ratio : float
        The same with one factor per portfolio: what remains is how margin moves over time.
    excess_ours, excess : float
        Mean loss beyond margin over breaches, per dollar of notional, at equal coverage.
    travel_usd, travel_rate : float
        Our peak to trough over the method's, geometric mean over portfolios: in USD for constant
        coins, and per dollar of notional.
    further_usd : int
        Portfolios whose margin in USD travels further under ours.
    rises_ours, rises : mapping of days to float
        Largest n-day rise of margin in USD, geometric mean over portfolios.
    """

    method: str
    portfolios: int
    raw_rate: float
    factor: float
    ratio: Interval
    strict_ratio: float
    excess_ours: float
    excess: float
    travel_usd: float
    travel_rate: float
    further_usd: int
    rises_ours: Mapping[int, float]
    rises: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Assessment:
    """Coverage of our path on one period, and its comparison with every method.

    Attributes
    ----------
    pooled : PooledRate
    cells : tuple of CoverageCell
        Per portfolio, all rows and every regime.
    rejected_kupiec, rejected_conditional : int
        Portfolios rejected at 5 %; ``expected`` would be by chance.
    expected : float
    mean_margin : float
        Per dollar of notional.
    travel_usd, travel_rate : float
        Geometric means over portfolios.
    comparisons : tuple of Comparison
    regimes : tuple of RegimeRate
    """

    pooled: PooledRate
    cells: tuple[CoverageCell, ...]
    rejected_kupiec: int
    rejected_conditional: int
    expected: float
    mean_margin: float
    travel_usd: float
    travel_rate: float
    comparisons: tuple[Comparison, ...]
    regimes: tuple[RegimeRate, ...]


def price_index(price: FloatArray, gross: FloatArray) -> FloatArray:
    """Gross-weighted mean of prices over those of the first row, shape (R, A).

    For a portfolio of one coin it is the price: margin per dollar times it is the USD margin of
    constant coins. For several coins, whose weights would drift, it is the basket's price.

    Parameters
    ----------
    price : float64, shape (R, U)
    gross : float64, shape (A, U)
    """
    known = np.flatnonzero(np.isfinite(price).all(axis=1))
    relative = price / price[known[0]]
    return np.asarray(relative @ (gross / gross.sum(axis=1, keepdims=True)).T)


def _geometric(values: FloatArray) -> float:
    good = values[np.isfinite(values)]
    return float(np.exp(np.mean(np.log(good)))) if len(good) else float("nan")


def _excess(margin: FloatArray, losses: FloatArray) -> float:
    hit = losses > margin
    return float(np.mean((losses - margin)[hit])) if hit.any() else 0.0


def _compare(
    name: str, ours: FloatArray, theirs: FloatArray, sample: Sample, *, draws: int
) -> Comparison:
    columns = np.flatnonzero(np.isfinite(theirs).any(axis=0))
    mine, other = ours[:, columns], theirs[:, columns]
    losses, price = sample.losses[:, columns], sample.price[:, columns]
    both = np.isfinite(mine) & np.isfinite(other) & np.isfinite(losses)
    mine, other = np.where(both, mine, np.nan), np.where(both, other, np.nan)
    ratio, factor = cost_ratio(mine, other, losses)
    interval = cost_ratio_interval(mine, other, losses, block=7 * sample.rows_per_day, draws=draws)
    own = (both & (losses > mine)).sum(axis=0) / np.maximum(both.sum(axis=0), 1)
    each = np.array(
        [
            equal_coverage_scale(other[:, [a]], losses[:, [a]], float(own[a]))[0]
            for a in range(len(columns))
        ]
    )
    inside = np.asarray(both.all(axis=1) & np.isfinite(price).all(axis=1))
    t_ours = travel(mine * price, inside, rows_per_day=sample.rows_per_day)
    t_theirs = travel(other * price, inside, rows_per_day=sample.rows_per_day)
    r_ours = travel(mine, inside, rows_per_day=sample.rows_per_day)
    r_theirs = travel(other, inside, rows_per_day=sample.rows_per_day)
    further = t_ours.peak_to_trough > t_theirs.peak_to_trough * (1.0 + 1e-9)
    return Comparison(
        method=name,
        portfolios=len(columns),
        raw_rate=float((both & (losses > other)).sum() / both.sum()),
        factor=factor,
        ratio=Interval(ratio, interval.low, interval.high),
        strict_ratio=float(np.nanmean(mine) / np.nanmean(other * each)),
        excess_ours=_excess(mine, losses),
        excess=_excess(factor * other, losses),
        travel_usd=_geometric(t_ours.peak_to_trough / t_theirs.peak_to_trough),
        travel_rate=_geometric(r_ours.peak_to_trough / r_theirs.peak_to_trough),
        further_usd=int(np.sum(further)),
        rises_ours={days: _geometric(rise) for days, rise in t_ours.rises},
        rises={days: _geometric(rise) for days, rise in t_theirs.rises},
    )


def _regimes(
    ours: FloatArray,
    others: Mapping[str, FloatArray],
    factors: Mapping[str, float],
    sample: Sample,
    labels: Sequence[str],
) -> tuple[RegimeRate, ...]:
    def rate(margin: FloatArray, rows: BoolArray) -> float:
        known = np.isfinite(margin) & np.isfinite(sample.losses) & rows[:, None]
        return float((known & (sample.losses > margin)).sum() / max(int(known.sum()), 1))

    named = np.asarray(labels)
    return tuple(
        RegimeRate(
            regime,
            rate(ours, named == regime),
            {name: rate(factors[name] * path, named == regime) for name, path in others.items()},
        )
        for regime in ("calm", "normal", "stressed")
    )


def assess(
    ours: FloatArray, others: Mapping[str, FloatArray], sample: Sample, *, draws: int = 300
) -> Assessment:
    """Test the coverage of a path and compare what it costs.

    Parameters
    ----------
    ours : float64, shape (R, A)
        Per dollar of notional.
    others : mapping of method to float64, shape (R, A)
        NaN columns are portfolios that a method does not margin.
    sample : Sample
    draws : int
        Of the block bootstraps.
    """
    labels = regimes_by_volatility(sample.volatility)
    cells = coverage_cells(
        ours, sample.losses, level=sample.level, portfolios=sample.names, regimes=labels
    )
    whole = [cell for cell in cells if cell.regime == "all"]
    comparisons = tuple(
        _compare(name, ours, path, sample, draws=draws) for name, path in others.items()
    )
    inside = np.asarray(np.isfinite(ours).all(axis=1) & np.isfinite(sample.price).all(axis=1))
    per_day = sample.rows_per_day
    factors = {each.method: each.factor for each in comparisons}
    return Assessment(
        pooled=pooled_rate(ours, sample.losses, sample.level, block=7 * per_day, draws=draws),
        cells=cells,
        rejected_kupiec=sum(cell.kupiec_p < 0.05 for cell in whole),
        rejected_conditional=sum(cell.conditional_p < 0.05 for cell in whole),
        expected=0.05 * len(whole),
        mean_margin=float(np.nanmean(ours)),
        travel_usd=_geometric(
            travel(ours * sample.price, inside, rows_per_day=per_day).peak_to_trough
        ),
        travel_rate=_geometric(travel(ours, inside, rows_per_day=per_day).peak_to_trough),
        comparisons=comparisons,
        regimes=_regimes(ours, others, factors, sample, labels.tolist()),
    )
