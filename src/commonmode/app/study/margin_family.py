"""The recorded hourly market and the families of portfolios that are margined on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from commonmode.adapters.feeds.recorded import dvol_daily, hourly_history
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.protocols import Progress
from commonmode.margin.backtest.assess import price_index
from commonmode.margin.backtest.implied import ImpliedVolModel, fit_implied_vol, realised_vols
from commonmode.margin.backtest.market_path import MarketPath, portfolio_losses
from commonmode.margin.backtest.ours import Components, Recipe, components, long_history_margin
from commonmode.margin.backtest.portfolios import (
    COINS,
    HOUSE_PORTFOLIOS,
    Portfolio,
    notional_weights,
)
from commonmode.margin.backtest.published import SHOCKS_COLLATERAL, published_methods
from commonmode.margin.backtest.simple import historical_var, static_haircut
from commonmode.margin.backtest.stacked import margin_path
from commonmode.margin.backtest.walk import (
    Settings,
    WalkForward,
    controlled,
    month_starts,
    walk_forward,
)
from commonmode.market.clock import utc_ms

__all__ = ["DAY_MS", "HOUR_MS", "LEAST_MS", "LEVEL", "PERIODS", "Family", "recorded_market"]

LEVEL: Final = 0.01
PERIODS: Final[Mapping[str, tuple[str, str]]] = {
    "training": ("2021-03-01", "2022-01-01"),
    "test": ("2022-01-01", "2023-05-01"),
    "holdout": ("2023-05-01", "2024-06-01"),
}
"""Judged rows; the training period's months before are spent on starting filters and fits."""

_FIRST: Final = "2020-11-01"
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LEAST_MS: Final = 60 * DAY_MS
_VAR_WINDOW: Final = 365 * 24


def recorded_market(root: Path) -> tuple[MarketPath, ImpliedVolModel, dict[str, str]]:
    """The recorded hourly closes with modelled volatilities, and content hashes by coin."""
    histories = {coin: hourly_history(root, coin) for coin in COINS}
    first = min(int(h.times_ms[0]) for h in histories.values())
    last = max(int(h.times_ms[-1]) for h in histories.values())
    times = np.arange(first, last + 1, HOUR_MS)
    price = np.full((len(times), len(COINS)), np.nan)
    for u, history in enumerate(histories.values()):
        price[(history.times_ms - first) // HOUR_MS, u] = history.column("close")
    index = dvol_daily(root)
    model = fit_implied_vol(index.column("implied_vol"), realised_vols(index.log_returns, 1.0))
    vol = np.full_like(price, np.nan)
    bare = MarketPath(COINS, times, price, vol, HOUR_MS)
    returns = bare.returns
    for u in range(len(COINS)):
        vol[:, u] = model.implied_vol(realised_vols(returns[:, u], 24.0))
    hashes = {coin: history.content_hash for coin, history in histories.items()}
    return replace(bare, vol=vol), model, hashes | {"DVOL": index.content_hash}


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One family of portfolios on the rows it is margined at."""

    name: str
    portfolios: tuple[Portfolio, ...]
    path: MarketPath
    rows: IntArray
    bars: int
    all_losses: FloatArray

    @classmethod
    def of(cls, name: str, path: MarketPath, *, stride: int, bars: int, end: str) -> Family:
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
        return np.asarray((self.times >= low) & (self.times < high - (self.bars - 1) * HOUR_MS))

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
            window_ms=settings.window_days * DAY_MS,
            least_ms=LEAST_MS,
            horizon_ms=self.bars * HOUR_MS,
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
