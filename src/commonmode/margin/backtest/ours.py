"""The components of our own margin over time, for portfolios of constant notional.

They are those of :class:`~commonmode.margin.dynamic.method.Dynamic` at every time of a history:
expected shortfall of filtered historical scenarios (normal), of the most volatile stretch known so
far (stressed), and of either with every hedge between coins broken; computed in one pass, tested
equal to the class. Only what was known at a time enters its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.forecast.ewma import ewma_variance
from commonmode.margin.backtest.market_path import (
    MarketPath,
    legs_of,
    moneyness,
    option_value,
    weights_at,
)
from commonmode.margin.backtest.portfolios import Leg, Portfolio
from commonmode.margin.dynamic.history import ReturnPanel, stressed_rows

__all__ = ["Components", "Recipe", "components", "long_history_margin", "volatility_before"]

_YEAR_DAYS = 365.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How scenarios are made.

    Attributes
    ----------
    half_lives : tuple of float
        Of the EWMA filters whose variances are averaged, bars.
    window, least_window : int
        Latest complete rows that become scenarios, and how many there must be.
    stressed_window : int
        Bars of the stressed stretch.
    burn_in : int
        Rows whose mean square starts the filter; they are no scenarios.
    levels : tuple of float
        Levels of the expected shortfall.
    bars : int
        Liquidation horizon.
    highest_scaling : float
        Bound on volatility now over volatility then, as in
        :class:`~commonmode.margin.dynamic.filtered.VolatilityFilter`; infinity for none.
    """

    half_lives: tuple[float, ...] = (72.0,)
    window: int = 2160
    least_window: int = 1440
    stressed_window: int = 720
    burn_in: int = 240
    levels: tuple[float, ...] = (0.975, 0.99)
    bars: int = 1
    highest_scaling: float = float("inf")

    def __post_init__(self) -> None:
        """Check that the tail has scenarios."""
        least = (1.0 - max(self.levels)) * min(self.least_window, self.stressed_window)
        usable = min(self.half_lives, default=0.0) > 0.0 and self.burn_in >= 2 and self.bars >= 1
        usable = usable and self.highest_scaling > 0.0
        if not usable or least < 1.0 or self.least_window > self.window:
            raise ConfigurationError(
                f"{self}: not usable",
                remedy="half-life and bars are positive, and the windows hold a scenario or more "
                "beyond the highest level",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Shortfalls per dollar of notional, float64, shape (R, A, L) with L levels.

    Attributes
    ----------
    rows : int64, shape (R,)
        Rows of the market path.
    levels : tuple of float
    normal, normal_broken, stressed, stressed_broken : float64, shape (R, A, L)
        NaN where the history is too short.
    """

    rows: IntArray
    levels: tuple[float, ...]
    normal: FloatArray
    normal_broken: FloatArray
    stressed: FloatArray
    stressed_broken: FloatArray

    def mixed(self, level: int, stressed_weight: float, correlation_stress: float) -> FloatArray:
        """``base + c max(broken - base, 0)``, as ``MarginMix`` under the rule "weight", (R, A)."""
        w = stressed_weight
        base = (1.0 - w) * self.normal[:, :, level] + w * self.stressed[:, :, level]
        broken = (1.0 - w) * self.normal_broken[:, :, level]
        broken = broken + w * self.stressed_broken[:, :, level]
        joint = base + correlation_stress * np.maximum(broken - base, 0.0)
        return np.asarray(np.maximum(joint, 0.0))


def volatility_before(returns: FloatArray, half_lives: Sequence[float], burn_in: int) -> FloatArray:
    """Volatility forecast made before each bar and after the last, shape (T + 1, U).

    The root of the mean of the EWMA variances with the given half-lives: several memories at once.

    Starts from the mean square of the first ``burn_in`` returns of each column (whose own rows are
    NaN); a missing return leaves the state as it is.
    """
    t, u = returns.shape
    out = np.full((t + 1, u), np.nan)
    for k in range(u):
        seen = np.isfinite(returns[:, k])
        known = returns[seen, k]
        if len(known) <= burn_in:
            continue
        first = float(np.mean(known[:burn_in] ** 2))
        variance = np.full(len(known) + 1, np.nan)
        filters = [
            ewma_variance(known[burn_in:], 0.5 ** (1.0 / half_life), first)
            for half_life in half_lives
        ]
        variance[burn_in:] = np.mean(filters, axis=0)
        count = np.concatenate(([0], np.cumsum(seen)))
        out[:, k] = np.sqrt(variance[count])
    return out


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Portfolios as linear maps of leg gains, and those of each coin alone."""

    legs: tuple[Leg, ...]
    coin: IntArray
    split: tuple[tuple[int, BoolArray], ...]

    @classmethod
    def of(cls, portfolios: Sequence[Portfolio], coins: Sequence[str]) -> _Layout:
        legs = legs_of(portfolios)
        coin = np.array([coins.index(leg.coin) for leg in legs], dtype=np.int64)
        split = tuple(
            (a, np.asarray(coin == coins.index(name)))
            for a, portfolio in enumerate(portfolios)
            if len(portfolio.coins) > 1
            for name in portfolio.coins
        )
        return cls(legs, coin, split)

    def stacked(self, weights: FloatArray) -> FloatArray:
        """Rows of portfolios, then of each coin's part of those with several, (A + M, K)."""
        parts = [np.where(mask, weights[a], 0.0) for a, mask in self.split]
        return np.vstack([weights, *parts]) if parts else weights

    def broken(self, shortfall: FloatArray, n: int) -> FloatArray:
        """Sum over coins where there are several, the shortfall itself elsewhere, (A, L)."""
        out = shortfall[:n].copy()
        several = np.array([a for a, _ in self.split], dtype=np.int64)
        out[several] = 0.0
        np.add.at(out, several, shortfall[n:])
        return out


def _gains(
    layout: _Layout, moves: FloatArray, vol_moves: FloatArray, vol: FloatArray
) -> FloatArray:
    """Gain of one dollar of each leg in every scenario, shape (K, S), re-struck at ``vol``."""
    growth = np.exp(moves)
    out = np.empty((len(layout.legs), len(moves)))
    for k, leg in enumerate(layout.legs):
        u = layout.coin[k]
        if not leg.is_option:
            out[k] = growth[:, u] - 1.0
            continue
        strike, years = np.exp(moneyness(leg, vol[u])), leg.days / _YEAR_DAYS
        before = option_value(leg.sign, strike, np.ones(1), vol[u], years)
        after = vol[u] * (1.0 + vol_moves[:, u])
        out[k] = option_value(leg.sign, strike, growth[:, u], after, years) - before
    return out


def shortfalls(losses: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Expected shortfall of equally weighted losses (C, S) at each level, shape (C, L).

    As :func:`~commonmode.margin.dynamic.measure.tail_measure`: the last loss counts with the part
    of its weight that fits.
    """
    n = losses.shape[1]
    most = int(np.ceil(n * (1.0 - min(levels)) * (1.0 - 1e-9)))
    top = -np.sort(-np.partition(losses, n - most, axis=1)[:, n - most :], axis=1)
    running = np.cumsum(top, axis=1)
    out = np.empty((len(losses), len(levels)))
    for j, level in enumerate(levels):
        tail = n * (1.0 - level)
        k = int(np.ceil(tail * (1.0 - 1e-9)))
        out[:, j] = (running[:, k - 1] - (k - tail) * top[:, k - 1]) / tail
    return out


def _sums(values: FloatArray, bars: int) -> FloatArray:
    """Sum over the ``bars`` rows that end at each row; NaN where one is missing."""
    if bars == 1:
        return values
    out = np.full_like(values, np.nan)
    window = np.lib.stride_tricks.sliding_window_view(values, bars, axis=0)
    out[bars - 1 :] = window.sum(axis=-1)
    return out


def components(
    path: MarketPath,
    portfolios: Sequence[Portfolio],
    recipe: Recipe,
    rows: IntArray,
    recalibrate: IntArray,
    *,
    progress: Progress | None = None,
) -> Components:
    """Shortfalls of every portfolio at the given rows.

    Parameters
    ----------
    path : MarketPath
    portfolios : sequence of Portfolio
    recipe : Recipe
    rows : int64, shape (R,)
        Ascending rows of the path; row t uses the path up to and including t.
    recalibrate : int64
        Ascending rows from which on a newly chosen stressed stretch holds (the first of each
        month); before the first one there is none.
    progress : Progress, optional
    """
    told = progress or SilentProgress()
    bars, n = recipe.bars, len(portfolios)
    returns = path.returns
    ahead = volatility_before(returns, recipe.half_lives, recipe.burn_in) * np.sqrt(bars)
    moves = _sums(returns, bars)
    # The forecast for a window was made before its first bar.
    made = np.full_like(moves, np.nan)
    made[bars - 1 :] = ahead[: len(moves) - bars + 1]
    grown = np.expm1(_sums(np.log1p(path.vol_moves), bars))
    with_options = any(p.has_options for p in portfolios)
    vol_moves = grown if with_options else np.zeros_like(moves)
    standard = moves / made
    usable = np.flatnonzero(np.isfinite(standard).all(axis=1) & np.isfinite(vol_moves).all(axis=1))
    layout = _Layout.of(portfolios, path.coins)
    shape = (len(rows), n, len(recipe.levels))
    normal, normal_broken = np.full(shape, np.nan), np.full(shape, np.nan)
    stressed, stressed_broken = np.full(shape, np.nan), np.full(shape, np.nan)
    panel = ReturnPanel(path.coins, path.times_ms, returns, path.step_ms)
    chosen: tuple[int, FloatArray, FloatArray] | None = None
    label = f"dynamic over {bars} bars, half-lives {'/'.join(f'{h:g}' for h in recipe.half_lives)}"
    told.start(label, len(rows))
    for i, t in enumerate(rows.tolist()):
        told.advance(label)
        vol = path.vol[t]
        if not np.isfinite(ahead[t + 1]).all() or (with_options and not np.isfinite(vol).all()):
            continue
        weights = layout.stacked(
            weights_at(portfolios, layout.legs, path.coins, path.vol[t : t + 1])[0]
        )
        last = int(np.searchsorted(usable, t, side="right"))
        if last >= recipe.least_window:
            use = usable[max(last - recipe.window, 0) : last]
            then = standard[use] * ahead[t + 1]
            if np.isfinite(recipe.highest_scaling):
                scaling = np.minimum(ahead[t + 1] / made[use], recipe.highest_scaling)
                then = moves[use] * scaling
            gains = _gains(layout, then, vol_moves[use], vol)
            es = shortfalls(-(weights @ gains), recipe.levels)
            normal[i], normal_broken[i] = es[:n], layout.broken(es, n)
        at = int(np.searchsorted(recalibrate, t, side="right")) - 1
        if at < 0 or recalibrate[at] < recipe.stressed_window + recipe.burn_in:
            continue
        start = int(recalibrate[at])
        if chosen is None or chosen[0] != start:
            stretch = stressed_rows(panel.rows(slice(0, start + 1)), recipe.stressed_window)
            inside = np.arange(stretch.start + bars - 1, stretch.stop)
            good = np.isfinite(moves[inside]).all(axis=1)
            good &= np.isfinite(vol_moves[inside]).all(axis=1)
            chosen = (start, moves[inside[good]], vol_moves[inside[good]])
        if len(chosen[1]) * (1.0 - max(recipe.levels)) >= 1.0:
            es = shortfalls(-(weights @ _gains(layout, chosen[1], chosen[2], vol)), recipe.levels)
            stressed[i], stressed_broken[i] = es[:n], layout.broken(es, n)
    told.finish(label)
    return Components(rows, recipe.levels, normal, normal_broken, stressed, stressed_broken)


def long_history_margin(
    losses: FloatArray, rows: IntArray, recalibrate: IntArray, level: float, *, bars: int = 1
) -> FloatArray:
    """Unfiltered shortfall of each portfolio's own losses on all history known, shape (R, A).

    The long (in regulation ten-year) margin of which a floor may be a part. It changes only at the
    recalibrations; losses count once their horizon has ended.
    """
    if losses.ndim != 2:
        raise DataError(f"losses of shape {losses.shape}", remedy="losses are (times, portfolios)")
    out = np.full((len(rows), losses.shape[1]), np.nan)
    edges = np.append(recalibrate, len(losses) + 1)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        inside = (rows >= start) & (rows < stop)
        past = losses[: max(start - bars + 1, 0)]
        past = past[np.isfinite(past).all(axis=1)]
        if inside.any() and len(past) * (1.0 - level) >= 1.0:
            out[inside] = shortfalls(np.ascontiguousarray(past.T), (level,))[:, 0]
    return out
