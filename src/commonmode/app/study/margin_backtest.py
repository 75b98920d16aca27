"""Coverage backtest of margin methods on the recorded hourly history, and our walk-forward fit.

The protocol is declared here, before any result, and printed with every result.

Data. Hourly closes of BTC, ETH, SOL, XRP and BNB, 2020-09-20 to 2024-05-31. Every setting of ours
is chosen on the training period (to the end of 2021); the test (2022-01 to 2023-04) and a second
holdout (2023-05 to 2024-05) are run once with what was chosen. Horizon one hour, the finest that is
recorded; 24 hours as a second line. Target coverage 99 %.

Portfolios. :data:`~commonmode.margin.backtest.portfolios.HOUSE_PORTFOLIOS`, constant notional. The
linear ones rest on recorded prices alone. Option portfolios rest on *modelled* implied volatility
(nobody recorded surfaces of the time): flat in strike and tenor, a regression of BTC's recorded
30-day index of 2024-2026 on realised volatilities, applied backwards and to ETH. All methods see
the same volatilities. Settings are chosen on the linear portfolios; the multiplier of option
portfolios is fitted walk-forward on themselves.

Comparison. Initial requirement of each method. Ours is its scenario loss (mid-to-mid losses are
what is covered; its close-out and oracle charges answer other losses), the others are whole. Each
other method is multiplied, in hindsight on the evaluated period itself, by the one factor over all
portfolios that gives it our breach rate (pooled), and by one factor per portfolio (strict).
Headline: portfolios of BTC and ETH, for which all methods have parameters. Cost is mean margin per
dollar of notional, equal weight per portfolio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from commonmode.adapters.feeds.recorded import require_recordings
from commonmode.app.study.margin_family import (
    HOUR_MS,
    LEAST_MS,
    LEVEL,
    PERIODS,
    Family,
    recorded_market,
)
from commonmode.app.study.margin_fits import FitLine, fits
from commonmode.app.study.margin_frontier import FrontierPoint, frontier_points
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.margin.backtest.assess import Assessment, Sample, assess
from commonmode.margin.backtest.bootstrap import scale_interval
from commonmode.margin.backtest.implied import ImpliedVolModel
from commonmode.margin.backtest.market_path import MarketPath
from commonmode.margin.backtest.ours import (
    Components,
    Recipe,
    volatility_before,
)
from commonmode.margin.backtest.published import published_methods
from commonmode.margin.backtest.select import FILTERS, Candidate, TrainingData, candidates, choose
from commonmode.margin.backtest.simple import (
    static_haircut_rates,
)
from commonmode.margin.backtest.stacked import margin_path
from commonmode.margin.backtest.walk import (
    Settings,
    WalkForward,
)
from commonmode.margin.procyclicality_measures import peak_to_trough

__all__ = ["PERIODS", "BacktestResult", "FamilyRun", "choose_settings", "run_backtest"]

_OPTION_STRIDE: Final = 3
_DAY_STRIDE: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class FamilyRun:
    """Everything on one family of portfolios over one horizon.

    Attributes
    ----------
    family : str
        "linear" or "options".
    bars : int
        Horizon in hours.
    settings : mapping of name to Settings
    walked : mapping of name to WalkForward
    times_ms : int64, shape (R,)
    results : mapping of (configuration, period, group) to Assessment
        Groups: "published" (BTC and ETH) and "all".
    """

    family: str
    bars: int
    settings: Mapping[str, Settings]
    walked: Mapping[str, WalkForward]
    times_ms: IntArray
    results: Mapping[tuple[str, str, str], Assessment]


@dataclass(frozen=True, slots=True, eq=False)
class BacktestResult:
    """The whole backtest.

    Attributes
    ----------
    data : mapping of coin to content hash
    implied : ImpliedVolModel
    first, second : tuple of Candidate
        What the choice was made from, on the training period.
    chosen : mapping of name to Candidate
        "bounded" (the headline) and "cheapest".
    runs : tuple of FamilyRun
    frontier : tuple of FrontierPoint
        Settings around the chosen ones on training and test; shown, not chosen from.
    fits : tuple of FitLine
        Scan ranges and haircuts fitted to the target, walk-forward.
    """

    data: Mapping[str, str]
    implied: ImpliedVolModel
    first: tuple[Candidate, ...]
    second: tuple[Candidate, ...]
    chosen: Mapping[str, Candidate]
    runs: tuple[FamilyRun, ...]
    frontier: tuple[FrontierPoint, ...]
    fits: tuple[FitLine, ...]


def _training(family: Family, told: Progress) -> TrainingData:
    judged = family.inside("training")
    index = family.index(judged)
    reference = margin_path(published_methods()["pm2"], family.path, family.portfolios, family.rows)
    known = judged & np.isfinite(index).all(axis=1) & np.isfinite(reference).all(axis=1)
    return TrainingData(
        times_ms=family.times,
        losses=family.losses,
        parts={each: family.parts(each, told) for each in FILTERS},
        long_margin={level: family.long_margin(level) for level in Recipe().levels},
        price=index,
        reference_travel=peak_to_trough((reference * index)[known]).ratio,
        judged=judged,
        level=LEVEL,
        horizon_ms=family.bars * HOUR_MS,
        least_ms=LEAST_MS,
        rows_per_day=family.per_day,
    )


def _sample(family: Family, period: str, columns: IntArray, every: int) -> tuple[IntArray, Sample]:
    inside = family.inside(period)
    at = np.flatnonzero(inside)[::every]
    vol = volatility_before(family.path.returns, (168.0,), 240)[family.rows[at] + 1, 0]
    return at, Sample(
        losses=family.losses[np.ix_(at, columns)],
        price=family.index(inside)[np.ix_(at, columns)],
        volatility=vol,
        names=tuple(family.portfolios[a].name for a in columns.tolist()),
        level=LEVEL,
        rows_per_day=max(family.per_day // every, 1),
    )


def _frozen(family: Family, parts: Components, level: float) -> WalkForward:
    """The stressed component and its multiplier as they stood at the end of the training period.

    A line for the explanation, added after the first run: with nothing that moves, margin travels
    exactly as far as that of a static method, and what is left of the saving is across portfolios.
    """
    inside = np.flatnonzero(family.inside("training"))
    held = parts.stressed[inside[-1], :, parts.levels.index(level)]
    base = np.broadcast_to(held, family.losses.shape)
    fitted = scale_interval(
        base[inside], family.losses[inside], LEVEL, block=7 * family.per_day, draws=100
    )
    when = family.times[inside[-1:]]
    ends = (np.array([each]) for each in (fitted.value, fitted.low, fitted.high))
    margin = np.where(family.times[:, None] > when, base * fitted.value, np.nan)
    return WalkForward(margin, when, *ends)


def _run(
    family: Family,
    settings: Mapping[str, Settings],
    rates: FloatArray,
    told: Progress,
    *,
    draws: int,
) -> tuple[FamilyRun, dict[tuple[float, ...], Components], dict[str, FloatArray]]:
    filters = dict.fromkeys(each.half_lives for each in settings.values())
    computed = {half_lives: family.parts(half_lives, told) for half_lives in filters}
    walked = {
        name: family.walk(computed[each.half_lives], each, draws=draws // 3)
        for name, each in settings.items()
    }
    if family.name == "linear" and family.bars == 1:
        headline = settings["bounded"]
        walked["frozen"] = _frozen(family, computed[headline.half_lives], headline.level)
    others = family.others(rates, told)
    groups = {"all": np.arange(len(family.portfolios), dtype=np.int64)}
    published = np.flatnonzero([p.published for p in family.portfolios])
    groups["published"] = published
    results: dict[tuple[str, str, str], Assessment] = {}
    # Losses over a day are tested on days that do not overlap.
    every = max(family.bars * family.per_day // 24, 1)
    wanted = [("test", g) for g in groups] + [("holdout", g) for g in groups]
    wanted = [w for w in wanted if w[1] == "published" or len(groups["all"]) > len(published)]
    label = f"assessment of {family.name} portfolios over {family.bars} h"
    told.start(label, len(wanted) * len(walked))
    for period, group in wanted:
        columns = groups[group]
        at, sample = _sample(family, period, columns, every)
        here = {name: path[np.ix_(at, columns)] for name, path in others.items()}
        for name, each in walked.items():
            results[(name, period, group)] = assess(
                each.margin[np.ix_(at, columns)], here, sample, draws=draws
            )
            told.advance(label)
    told.finish(label)
    run = FamilyRun(family.name, family.bars, settings, walked, family.times, results)
    return run, computed, others


def choose_settings(
    path: MarketPath, told: Progress
) -> tuple[Family, tuple[Candidate, ...], tuple[Candidate, ...], dict[str, Candidate]]:
    """The training period's portfolios, every candidate of both steps, and those chosen.

    Parameters
    ----------
    path : MarketPath
        Recorded; nothing after the training period is used.
    told : Progress
    """
    train = Family.of("linear", path, stride=1, bars=1, end=PERIODS["training"][1])
    first, second = candidates(_training(train, told), progress=told)
    chosen = {
        "bounded": choose(second, travel=lambda each: each.travel_usd, bound=1.0),
        "cheapest": choose(second, travel=lambda each: each.travel_usd, bound=float("inf")),
    }
    return train, first, second, chosen


def run_backtest(
    root: Path | None = None, *, progress: Progress | None = None, draws: int = 300
) -> BacktestResult:
    """Choose our settings on the training period, then run test and holdout once.

    Parameters
    ----------
    root : Path, optional
        Folder of the recordings; found by itself if left out.
    progress : Progress, optional
    draws : int
        Of the block bootstraps.

    Raises
    ------
    DataError
        If the recordings are not here.
    """
    told = progress or SilentProgress()
    path, model, hashes = recorded_market(root or require_recordings())
    train, first, second, chosen = choose_settings(path, told)
    settings = {name: each.settings for name, each in chosen.items()}
    end = PERIODS["holdout"][1]
    runs: list[FamilyRun] = []
    lines: list[FitLine] = []
    frontier: tuple[FrontierPoint, ...] = ()
    for name, stride, bars in (
        ("linear", 1, 1),
        ("options", _OPTION_STRIDE, 1),
        ("linear", _DAY_STRIDE, 24),
    ):
        known = train.path.price
        moves = known[bars:] / known[:-bars] - 1.0
        rates = static_haircut_rates(moves, LEVEL)
        family = Family.of(name, path, stride=stride, bars=bars, end=end)
        used = settings
        if bars > 1:
            # A quarter of days has too few tails for a fit: a year is used for the long horizon.
            used = {key: replace(each, window_days=365) for key, each in settings.items()}
        run, parts, others = _run(family, used, rates, told, draws=draws)
        runs.append(run)
        if name == "linear":
            lines += fits(family, told)
        if bars == 1 and name == "linear":
            frontier = frontier_points(family, parts, settings, others, told)
    return BacktestResult(
        data=hashes,
        implied=model,
        first=first,
        second=second,
        chosen=chosen,
        runs=tuple(runs),
        frontier=frontier,
        fits=tuple(lines),
    )
