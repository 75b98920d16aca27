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

from commonmode.adapters.feeds.recorded import dvol_daily, hourly_history, require_recordings
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.margin.backtest.assess import Assessment, Sample, assess, price_index
from commonmode.margin.backtest.bootstrap import pooled_scale
from commonmode.margin.backtest.compare import breach_rate
from commonmode.margin.backtest.implied import ImpliedVolModel, fit_implied_vol, realised_vols
from commonmode.margin.backtest.market_path import MarketPath, portfolio_losses
from commonmode.margin.backtest.ours import (
    Components,
    Recipe,
    components,
    long_history_margin,
    volatility_before,
)
from commonmode.margin.backtest.portfolios import (
    COINS,
    HOUSE_PORTFOLIOS,
    Portfolio,
    notional_weights,
)
from commonmode.margin.backtest.published import SHOCKS_COLLATERAL, published_methods
from commonmode.margin.backtest.select import FILTERS, Candidate, TrainingData, candidates, choose
from commonmode.margin.backtest.simple import (
    historical_var,
    static_haircut,
    static_haircut_rates,
)
from commonmode.margin.backtest.stacked import margin_path
from commonmode.margin.backtest.walk import (
    Settings,
    WalkForward,
    controlled,
    month_starts,
    walk_forward,
)
from commonmode.margin.procyclicality_measures import peak_to_trough
from commonmode.market.clock import utc_ms

__all__ = ["PERIODS", "BacktestResult", "FamilyRun", "recorded_market", "run_backtest"]

LEVEL: Final = 0.01
PERIODS: Final[Mapping[str, tuple[str, str]]] = {
    "training": ("2021-03-01", "2022-01-01"),
    "test": ("2022-01-01", "2023-05-01"),
    "holdout": ("2023-05-01", "2024-06-01"),
}
"""Judged rows; the training period's months before are spent on starting filters and fits."""

_FIRST: Final = "2020-11-01"
_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_LEAST: Final = 60 * _DAY
_OPTION_STRIDE: Final = 3
_DAY_STRIDE: Final = 4
_VAR_WINDOW: Final = 365 * 24


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
class FrontierPoint:
    """One setting walked through a period: cost, coverage and travel."""

    period: str
    settings: Settings
    promised: float
    rate: float
    mean_margin: float
    cost_at_promise: float
    travel_usd: float
    travel_rate: float


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
    haircuts : mapping of coin to float
        Static haircut per coin, fitted on the training period.
    """

    data: Mapping[str, str]
    implied: ImpliedVolModel
    first: tuple[Candidate, ...]
    second: tuple[Candidate, ...]
    chosen: Mapping[str, Candidate]
    runs: tuple[FamilyRun, ...]
    frontier: tuple[FrontierPoint, ...]
    haircuts: Mapping[str, float]


def recorded_market(root: Path) -> tuple[MarketPath, ImpliedVolModel, dict[str, str]]:
    """The recorded hourly closes with modelled volatilities, and content hashes by coin."""
    histories = {coin: hourly_history(root, coin) for coin in COINS}
    first = min(int(h.times_ms[0]) for h in histories.values())
    last = max(int(h.times_ms[-1]) for h in histories.values())
    times = np.arange(first, last + 1, _HOUR)
    price = np.full((len(times), len(COINS)), np.nan)
    for u, history in enumerate(histories.values()):
        price[(history.times_ms - first) // _HOUR, u] = history.column("close")
    index = dvol_daily(root)
    model = fit_implied_vol(index.column("implied_vol"), realised_vols(index.log_returns, 1.0))
    vol = np.full_like(price, np.nan)
    bare = MarketPath(COINS, times, price, vol, _HOUR)
    returns = bare.returns
    for u in range(len(COINS)):
        vol[:, u] = model.implied_vol(realised_vols(returns[:, u], 24.0))
    hashes = {coin: history.content_hash for coin, history in histories.items()}
    return replace(bare, vol=vol), model, hashes | {"DVOL": index.content_hash}


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """One family of portfolios on the rows it is margined at."""

    name: str
    portfolios: tuple[Portfolio, ...]
    path: MarketPath
    rows: IntArray
    bars: int
    all_losses: FloatArray

    @classmethod
    def of(cls, name: str, path: MarketPath, *, stride: int, bars: int, end: str) -> _Family:
        some = tuple(p for p in HOUSE_PORTFOLIOS if p.has_options == (name == "options"))
        start = int(np.searchsorted(path.times_ms, utc_ms(_FIRST)))
        stop = int(np.searchsorted(path.times_ms, utc_ms(end)))
        rows = np.arange(start, stop, stride, dtype=np.int64)
        # A loss that ends after the last row does not exist: the end is a wall.
        losses = portfolio_losses(path.until(stop), some, bars=bars)
        return cls(name, some, path.until(stop), rows, bars, losses)

    @property
    def times(self) -> IntArray:
        return np.asarray(self.path.times_ms[self.rows])

    @property
    def losses(self) -> FloatArray:
        return np.asarray(self.all_losses[self.rows])

    @property
    def per_day(self) -> int:
        return int(24 // (self.rows[1] - self.rows[0]))

    @property
    def months(self) -> IntArray:
        months = month_starts(self.path.times_ms)
        return np.asarray(months[months >= self.rows[0]])

    def parts(self, half_lives: tuple[float, ...], told: Progress) -> Components:
        recipe = Recipe(half_lives=half_lives, bars=self.bars)
        return components(self.path, self.portfolios, recipe, self.rows, self.months, progress=told)

    def long_margin(self, level: float) -> FloatArray:
        return long_history_margin(self.all_losses, self.rows, self.months, level, bars=self.bars)

    def inside(self, period: str) -> BoolArray:
        low, high = (utc_ms(edge) for edge in PERIODS[period])
        # The last loss of a period ends inside it.
        return np.asarray((self.times >= low) & (self.times < high - (self.bars - 1) * _HOUR))

    def index(self, inside: BoolArray) -> FloatArray:
        """Price index of the portfolios over the rows that are inside."""
        out = np.full(self.losses.shape, np.nan)
        out[inside] = price_index(
            self.path.price[self.rows[inside]], notional_weights(self.portfolios)
        )
        return out

    def walk(
        self, parts: Components, settings: Settings, *, level: float = LEVEL, draws: int = 0
    ) -> WalkForward:
        long = self.long_margin(settings.level) if settings.floor else np.zeros((1, 1))
        return walk_forward(
            controlled(parts, settings, long, lag=self.per_day),
            self.losses,
            self.times,
            level=level,
            window_ms=settings.window_days * _DAY,
            least_ms=_LEAST,
            horizon_ms=self.bars * _HOUR,
            draws=draws,
            block=7 * self.per_day,
        )

    def others(self, rates: FloatArray, told: Progress) -> dict[str, FloatArray]:
        """Margin of every other method, per dollar of notional."""
        found: dict[str, FloatArray] = {}
        for name, method in published_methods().items():
            posts = [any(leg.kind == "collateral" for leg in p.legs) for p in self.portfolios]
            path = margin_path(method, self.path, self.portfolios, self.rows, progress=told)
            if not SHOCKS_COLLATERAL[name]:
                path[:, posts] = np.nan
            found[name] = path
        found["static haircut"] = static_haircut(self.portfolios, rates, len(self.rows))
        found["historical VaR"] = historical_var(
            self.all_losses, self.rows, level=LEVEL, window=_VAR_WINDOW, every=24, bars=self.bars
        )
        return found


def _training(family: _Family, told: Progress) -> TrainingData:
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
        horizon_ms=family.bars * _HOUR,
        least_ms=_LEAST,
        rows_per_day=family.per_day,
    )


def _sample(family: _Family, period: str, columns: IntArray, every: int) -> tuple[IntArray, Sample]:
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


def _run(
    family: _Family,
    settings: Mapping[str, Settings],
    rates: FloatArray,
    told: Progress,
    *,
    draws: int,
) -> tuple[FamilyRun, dict[tuple[float, ...], Components]]:
    filters = dict.fromkeys(each.half_lives for each in settings.values())
    computed = {half_lives: family.parts(half_lives, told) for half_lives in filters}
    walked = {
        name: family.walk(computed[each.half_lives], each, draws=draws // 3)
        for name, each in settings.items()
    }
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
    return run, computed


def _frontier(
    family: _Family, parts: Components, start: Settings, told: Progress
) -> tuple[FrontierPoint, ...]:
    """Controls one by one from the bare filter, and the promised level, on the chosen filter."""
    bare = replace(start, stressed_weight=0.0, floor=0.0, buffer=0.0)
    wanted = [(start, LEVEL), (bare, LEVEL)]
    wanted += [(replace(bare, stressed_weight=w), LEVEL) for w in (0.25, 0.5, 0.75, 1.0)]
    wanted += [(replace(bare, floor=f), LEVEL) for f in (0.5, 0.75, 1.0, 1.25)]
    wanted += [(replace(bare, buffer=b), LEVEL) for b in (0.25, 0.5)]
    wanted += [(replace(bare, daily_limit=x), LEVEL) for x in (1.5, 1.2, 1.05)]
    wanted += [(start, level) for level in (0.005, 0.025)]
    points = []
    label = "frontier"
    told.start(label, len(wanted))
    for settings, level in wanted:
        walked = family.walk(parts, settings, level=level)
        for period in ("training", "test"):
            inside = family.inside(period)
            margin = walked.margin[inside]
            losses, index = family.losses[inside], family.index(inside)[inside]
            known = np.isfinite(margin).all(axis=1) & np.isfinite(index).all(axis=1)
            usd = peak_to_trough((margin * index)[known]).ratio
            static = peak_to_trough(index[known]).ratio
            rate = peak_to_trough(margin[known]).ratio
            from_walk = breach_rate(margin, losses)
            mean = float(np.nanmean(margin))
            points.append(
                FrontierPoint(
                    period=period,
                    settings=settings,
                    promised=level,
                    rate=from_walk,
                    mean_margin=mean,
                    cost_at_promise=mean * pooled_scale(margin, losses, level),
                    travel_usd=float(np.exp(np.mean(np.log(usd / static)))),
                    travel_rate=float(np.exp(np.mean(np.log(rate)))),
                )
            )
        told.advance(label)
    told.finish(label)
    return tuple(points)


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
    train = _Family.of("linear", path, stride=1, bars=1, end=PERIODS["training"][1])
    first, second = candidates(_training(train, told), progress=told)
    chosen = {
        "bounded": choose(second, travel=lambda each: each.travel_usd, bound=1.0),
        "cheapest": choose(second, travel=lambda each: each.travel_usd, bound=float("inf")),
    }
    settings = {name: each.settings for name, each in chosen.items()}
    end = PERIODS["holdout"][1]
    runs: list[FamilyRun] = []
    frontier: tuple[FrontierPoint, ...] = ()
    for name, stride, bars in (
        ("linear", 1, 1),
        ("options", _OPTION_STRIDE, 1),
        ("linear", _DAY_STRIDE, 24),
    ):
        known = train.path.price
        moves = known[bars:] / known[:-bars] - 1.0
        rates = static_haircut_rates(moves, LEVEL)
        family = _Family.of(name, path, stride=stride, bars=bars, end=end)
        used = settings
        if bars > 1:
            # A quarter of days has too few tails for a fit: a year is used for the long horizon.
            used = {key: replace(each, window_days=365) for key, each in settings.items()}
        run, parts = _run(family, used, rates, told, draws=draws)
        runs.append(run)
        if bars == 1 and name == "linear":
            frontier = _frontier(
                family, parts[settings["bounded"].half_lives], settings["bounded"], told
            )
    haircuts = static_haircut_rates(train.path.price[1:] / train.path.price[:-1] - 1.0, LEVEL)
    return BacktestResult(
        data=hashes,
        implied=model,
        first=first,
        second=second,
        chosen=chosen,
        runs=tuple(runs),
        frontier=frontier,
        haircuts=dict(zip(COINS, haircuts.tolist(), strict=True)),
    )
