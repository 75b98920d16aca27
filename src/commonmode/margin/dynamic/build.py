"""Scenario sets and hedge markets from hourly histories: what makes the method ready to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import CurrencyCode
from commonmode.core.result import Failure
from commonmode.margin.dynamic.filtered import VolatilityFilter, filtered_scenarios
from commonmode.margin.dynamic.history import (
    Proxy,
    ReturnPanel,
    complete_factors,
    historical_scenarios,
    stressed_scenarios,
)
from commonmode.margin.dynamic.hypothetical import NamedMove, hypothetical_scenarios
from commonmode.margin.dynamic.liquidity import HedgeMarket
from commonmode.margin.dynamic.scenarios import JointScenarios
from commonmode.margin.dynamic.sets import ScenarioSets
from commonmode.margin.dynamic.vol_moves import realised_vol_moves
from commonmode.market.history import History

__all__ = ["ScenarioRecipe", "build_scenarios", "hedge_markets", "return_panel", "round_moves"]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRecipe:
    """How scenarios are made of a history.

    Attributes
    ----------
    bars : int
        Liquidation horizon in bars of the history.
    window : int
        Most recent bars that become normal scenarios.
    stressed_window : int
        Length in bars of the most volatile stretch of the whole history.
    filter : VolatilityFilter
        Rescales past moves to today's volatility. The bound keeps a stretch in which a price stood
        still from blowing up the move that ended it.
    vol_filter : VolatilityFilter
        Slow filter whose moves stand in for those of implied volatility, of which no long history
        is recorded.
    minimum : int
        Returns that a factor needs; below, its proxy is used if one is stated.
    monthly : bool
        The stressed stretch, and the long history, are those known when the month began.
    long : bool
        Also all history known, unfiltered: for a floor.
    replay_days : int
        Also the sets as they stood at this time on as many days before: for a speed limit.
    coin_move, posted_move : float
        Sizes of the hypothetical moves of :func:`round_moves`, in [0, 1); 0 for none.
    """

    bars: int = 1
    window: int = 8_760
    stressed_window: int = 2_160
    filter: VolatilityFilter = field(
        default_factory=lambda: VolatilityFilter(decay=0.99, highest_scaling=4.0)
    )
    vol_filter: VolatilityFilter = field(default_factory=lambda: VolatilityFilter(decay=0.995))
    minimum: int = 2_000
    monthly: bool = False
    long: bool = False
    replay_days: int = 0
    coin_move: float = 0.3
    posted_move: float = 0.1

    def __post_init__(self) -> None:
        """Check the lengths."""
        lengths = (self.bars, self.window, self.stressed_window, self.minimum)
        if min(lengths) < 1 or self.window < 100 * self.bars:
            raise ConfigurationError(
                f"scenarios over {self.bars} bars of {self.window}",
                remedy="a tail needs at least a hundred horizons of history",
            )
        if not (0.0 <= self.coin_move < 1.0 and 0.0 <= self.posted_move < 1.0):
            raise ConfigurationError(
                f"hypothetical moves of {self.coin_move} and {self.posted_move}",
                remedy="give falls between 0 and 1: 0.3 for 30 percent",
            )
        if self.replay_days < 0:
            raise ConfigurationError(
                f"a replay of {self.replay_days} days", remedy="give 0 or more days"
            )


def round_moves(
    factors: Sequence[str],
    coins: Sequence[str],
    *,
    coin_move: float = 0.3,
    posted_move: float = 0.1,
) -> tuple[NamedMove, ...]:
    """Hypothetical moves in round figures for what a history may not hold.

    All coins fall by 30 % with volatility up by half, all rise by 30 % with volatility up by a
    third. Each other factor (a stablecoin, the basis of a staking token) loses 10 % on its own, and
    together with the coins' fall: what is posted gives way when it is needed. With a size of 0 the
    move is left out.
    """
    moves: list[NamedMove] = []
    fall = f"coins -{100 * coin_move:g} %, vol +50 %"
    crash, wild = dict.fromkeys(coins, -coin_move), dict.fromkeys(coins, 0.5)
    if coin_move:
        rise, calmer = dict.fromkeys(coins, coin_move), dict.fromkeys(coins, 1 / 3)
        moves += [
            NamedMove(fall, crash, wild),
            NamedMove(f"coins +{100 * coin_move:g} %, vol +33 %", rise, calmer),
        ]
    others = [name for name in factors if name not in coins] if posted_move else []
    alone = {name: f"{name} -{100 * posted_move:g} %" for name in others}
    moves += [NamedMove(label, {name: -posted_move}) for name, label in alone.items()]
    if coin_move:
        moves += [
            NamedMove(f"{fall}, {label}", crash | {name: -posted_move}, wild)
            for name, label in alone.items()
        ]
    return tuple(moves)


def return_panel(histories: Mapping[str, History], *, until_ms: int) -> ReturnPanel:
    """Log returns of several histories on their common grid, up to a time.

    A bar that any history misses is a row in which that factor has no return; returns that would
    span a gap are missing.

    Raises
    ------
    DataError
        No history, or histories of different steps.
    """
    if not histories:
        raise DataError("no history to make scenarios of", remedy="give one per underlying")
    steps = {history.step_ms for history in histories.values()}
    if len(steps) > 1:
        raise DataError(
            f"histories with steps of {sorted(steps)} ms", remedy="resample them to one step"
        )
    step = steps.pop()
    times = np.unique(np.concatenate([h.times_ms for h in histories.values()]))
    times = times[times <= until_ms]
    if len(times) < 2:
        raise DataError(
            "the histories have no bars before the snapshot", remedy="give an earlier history"
        )
    returns = np.full((len(times), len(histories)), np.nan)
    for u, history in enumerate(histories.values()):
        close = np.full(len(times), np.nan)
        known = np.isin(history.times_ms, times)
        close[np.searchsorted(times, history.times_ms[known])] = history.columns["close"][known]
        with np.errstate(invalid="ignore", divide="ignore"):
            moved = np.diff(np.log(close))
        joined = np.diff(times) == step
        returns[1:, u] = np.where(joined, moved, np.nan)
    return ReturnPanel(tuple(histories), times, returns, step)


def build_scenarios(
    panel: ReturnPanel,
    *,
    recipe: ScenarioRecipe | None = None,
    coins: Sequence[str] | None = None,
    moves: Sequence[NamedMove] | None = None,
    proxies: Sequence[Proxy] = (),
    still: Sequence[str] = (),
) -> tuple[ScenarioSets, Mapping[str, Failure]]:
    """Normal, stressed and hypothetical scenarios of one history.

    Parameters
    ----------
    panel : ReturnPanel
        Up to today; nothing after its last row is used.
    recipe : ScenarioRecipe, optional
    coins : sequence of str, optional
        Factors with options; all of them if left out.
    moves : sequence of NamedMove, optional
        :func:`round_moves` of the recipe's sizes if left out.
    proxies : sequence of Proxy
    still : sequence of str
        Factors without a history (a stablecoin, the basis of a staking token): only hypothetical
        moves move them.

    Returns
    -------
    (ScenarioSets, mapping of factor to Failure)
        The failures are factors that are in no scenario.

    Raises
    ------
    DataError
        No factor has enough history.
    """
    made = recipe or ScenarioRecipe()
    complete = complete_factors(panel, minimum=made.minimum, proxies=proxies)
    full = complete.panel
    if not full.factors:
        why = next(iter(complete.failures.values()))
        raise DataError(f"no scenarios: {why.message}", remedy=why.remedy)
    with_options = [name for name in full.factors if coins is None or name in coins]
    vols = realised_vol_moves(full, bars=made.bars, settings=made.vol_filter)
    vols[:, [name not in with_options for name in full.factors]] = 0.0
    now = _sets(full, vols, made, still)
    named: Sequence[NamedMove] = moves if moves is not None else ()
    if moves is None:
        named = round_moves(
            now.normal.factors,
            with_options,
            coin_move=made.coin_move,
            posted_move=made.posted_move,
        )
    hypothetical = None
    if named:
        hypothetical = hypothetical_scenarios(
            named, now.normal.factors, horizon_minutes=now.normal.horizon_minutes
        )
    per_day = _DAY_MS // full.step_ms
    ends = [len(full) - day * per_day for day in range(made.replay_days, 0, -1)]
    before = tuple(
        _sets(full.rows(slice(0, end)), vols[: end - made.bars + 1], made, still)
        for end in ends
        if end >= made.minimum
    )
    return replace(now, hypothetical=hypothetical, before=before), complete.failures


def _sets(
    full: ReturnPanel, vols: FloatArray, made: ScenarioRecipe, still: Sequence[str]
) -> ScenarioSets:
    """Normal, stressed and long scenarios as they stood at the end of a panel."""
    normal = filtered_scenarios(full, made.filter, bars=made.bars, vol_moves=vols)
    if isinstance(normal, Failure):
        raise DataError(normal.message, remedy=normal.remedy)
    known, moved = full, vols
    if made.monthly:
        # All history counts: where its volatility filter has not begun, volatility stands still.
        moved = np.where(np.isnan(vols), 0.0, vols)
        begun = full.times_ms[-1].astype("datetime64[ms]").astype("datetime64[M]")
        rows = int(np.searchsorted(full.times_ms, _ms(begun), side="right"))
        if rows >= made.stressed_window:
            known, moved = full.rows(slice(0, rows)), moved[: rows - made.bars + 1]
    stressed = stressed_scenarios(
        known, min(made.stressed_window, len(known)), bars=made.bars, vol_moves=moved
    )
    ever: JointScenarios | None = None
    if made.long:
        ever = historical_scenarios(known, bars=made.bars, vol_moves=moved).with_still(still)
    return ScenarioSets(
        normal.value.select(slice(-made.window, None)).with_still(still),
        stressed.with_still(still),
        long=ever,
    )


def _ms(month: np.datetime64) -> int:
    return int(month.astype("datetime64[ms]").astype(np.int64))


def hedge_markets(
    histories: Mapping[str, History], *, until_ms: int, half_spread: float, days: int = 30
) -> dict[CurrencyCode, HedgeMarket]:
    """Turnover and volatility of each coin's own market over the last days.

    Coins whose history has no volume, or no bar in those days, are left out: nothing is assumed
    about how they can be closed.
    """
    markets = {}
    for name, history in histories.items():
        rows = (history.times_ms <= until_ms) & (history.times_ms > until_ms - days * _DAY_MS)
        volume = history.columns.get("volume")
        if volume is None or int(rows.sum()) < 2:
            continue
        close = history.columns["close"][rows]
        usd: FloatArray = volume[rows] * close
        bars = _DAY_MS / history.step_ms
        turnover = float(np.nanmean(usd) * bars)
        vol = float(np.nanstd(np.diff(np.log(close))) * np.sqrt(bars))
        if np.isfinite(turnover) and turnover > 0 and np.isfinite(vol):
            markets[CurrencyCode(name)] = HedgeMarket(half_spread, turnover, vol)
    return markets
