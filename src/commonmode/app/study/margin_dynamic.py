"""Our own margin method on a study's market: its parameter set, scenarios and multiplier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from commonmode.app.study.schema import MarginSettings
from commonmode.core.result import Failure
from commonmode.margin.backtest.ours import Recipe
from commonmode.margin.backtest.refit import calibration_portfolios, market_path, multiplier_at
from commonmode.margin.backtest.walk import Settings
from commonmode.margin.dynamic.build import build_scenarios, hedge_markets, return_panel
from commonmode.margin.dynamic.hypothetical import NamedMove
from commonmode.margin.dynamic.liquidity import measure_liquidity
from commonmode.margin.dynamic.method import Dynamic
from commonmode.margin.dynamic.sets import ScenarioSets
from commonmode.margin.dynamic.settings import CONVENTIONAL, DynamicSettings
from commonmode.margin.market import MarginMarket
from commonmode.market.clock import utc_iso
from commonmode.market.feed import Feed
from commonmode.market.history import History
from commonmode.market.snapshot import Snapshot

__all__ = ["build_dynamic"]


def build_dynamic(
    chosen: DynamicSettings,
    market: MarginMarket,
    snapshot: Snapshot,
    feed: Feed,
    settings: MarginSettings,
    *,
    stable: str = "",
) -> tuple[Dynamic, str, str]:
    """The method, a line that says what it rests on, and what it is meant to cover ("" if nothing
    was fitted to be covered).

    Parameters
    ----------
    chosen : DynamicSettings
    market : MarginMarket
    snapshot : Snapshot
        The one that the market was made of.
    feed : Feed
        Histories of the coins; nothing after the snapshot is used.
    settings : MarginSettings
    stable : str
        Name of the stablecoin that cash is counted in, which then moves with the rest; "" where it
        is not to move.

    Raises
    ------
    DataError
        The histories are too short, or their bars do not fit the parameter set.
    """
    coins = market.underlyings.name.tolist()
    histories: dict[str, History] = {
        coin: feed.history(coin, None, snapshot.time_ms) for coin in coins
    }
    panel = return_panel(histories, until_ms=snapshot.time_ms)
    named = [NamedMove(one.label, one.returns, one.vol_moves) for one in settings.moves]
    # What is posted besides the coins, and the stablecoin that cash is counted in, have no history
    # here: a peg, the basis of a staking token.
    posted = [name for name in market.assets.name.tolist() if name not in coins]
    still = list(dict.fromkeys([*posted, *([stable] if stable else [])]))
    sets, failed = build_scenarios(
        panel, recipe=chosen.recipe(panel.step_ms), coins=coins, moves=named or None, still=still
    )
    multiplier, said = _multiplier(chosen, histories, snapshot.time_ms)
    hedge = hedge_markets(
        histories, until_ms=snapshot.time_ms, half_spread=settings.hedge_half_spread
    )
    method = Dynamic(
        sets,
        measure_liquidity(market, snapshot, hedge),
        replace(chosen.parameters, multiplier=multiplier),
        stable=stable,
        # One engine, always: which one must not depend on what somebody else holds.
        engine="numba",
    )
    source = f"{_title(chosen)}{said}; {_words(sets)}"
    if failed:
        source += f"; without {', '.join(failed)}"
    return method, source, _covers(chosen, sets, coins)


def _title(chosen: DynamicSettings) -> str:
    if chosen.header is None:
        return f"{CONVENTIONAL} parameters, nothing fitted"
    return f"{chosen.header.name} {chosen.header.version}: {chosen.header.source}"


def _covers(chosen: DynamicSettings, sets: ScenarioSets, coins: Sequence[str]) -> str:
    """What a fitted set is meant to cover, of losses and of stated moves of the coins."""
    if chosen.multiplier is None or chosen.scenarios is None:
        return ""
    percent = 100.0 * (1.0 - chosen.multiplier.breach_rate)
    said = f"{percent:.4g} % of the losses over {chosen.scenarios.horizon_hours:g} h"
    moves, share = sets.hypothetical, chosen.parameters.mix.hypothetical_share
    own = [name in coins for name in sets.normal.factors]
    if moves is None or not share or not np.any(moves.log_returns[:, own]):
        return f"{said}, and no crash"
    return f"{said}, and {100.0 * share:.4g} % of the loss in the worst stated move"


def _multiplier(
    chosen: DynamicSettings, histories: Mapping[str, History], now_ms: int
) -> tuple[float, str]:
    """The multiplier in force, and where it comes from."""
    terms, p, scenarios = chosen.multiplier, chosen.parameters, chosen.scenarios
    if terms is None or scenarios is None:
        return p.multiplier, ""
    kept = f"; multiplier {terms.value:.3f} ({terms.low:.3f} to {terms.high:.3f}) as in the file"
    if not terms.window_days:
        return terms.value, kept
    fitted_on = Recipe()
    lengths = (
        (scenarios.horizon_hours, fitted_on.bars),
        (scenarios.window_hours, fitted_on.window),
        (scenarios.stressed_hours, fitted_on.stressed_window),
    )
    if any(own != other for own, other in lengths):
        # Another horizon or window has another multiplier: the monthly one would cover something
        # else than the file says.
        return terms.value, (
            f"{kept}: it is fitted monthly for a horizon of {fitted_on.bars} h, a window of "
            f"{fitted_on.window} h and a stressed one of {fitted_on.stressed_window} h only"
        )
    path = market_path(histories, until_ms=now_ms)
    if isinstance(path, Failure):
        return terms.value, f"{kept}: {path.message}"
    found = multiplier_at(
        path,
        calibration_portfolios(path.coins),
        Settings(
            half_lives=(scenarios.half_life_hours,),
            level=p.initial_level,
            stressed_weight=p.mix.stressed_weight,
            correlation_stress=p.mix.correlation_stress,
            floor=p.floor,
            buffer=p.buffer,
            window_days=round(terms.window_days),
            daily_limit=p.daily_limit,
        ),
        breach_rate=terms.breach_rate,
        highest_scaling=scenarios.highest_scaling,
    )
    if isinstance(found, Failure):
        return terms.value, f"{kept}: {found.message}"
    begun, fitted = found.value
    return fitted.value, (
        f"; multiplier {fitted.value:.3f}, fitted on the {terms.window_days:g} days before "
        f"{utc_iso(begun)} ({terms.value:.3f} in the file)"
    )


def _words(sets: ScenarioSets) -> str:
    first, last = sets.normal.labels[0], sets.normal.labels[-1]
    said = [
        f"{len(sets.normal)} filtered moves of {sets.normal.horizon_minutes:g} minutes from "
        f"{first} to {last}",
        f"{len(sets.stressed)} stressed ones around {sets.stressed.labels[0]}",
    ]
    if sets.long is not None:
        said.append(f"{len(sets.long)} from {sets.long.labels[0]} on for the floor")
    if sets.before:
        said.append(f"control replayed over {len(sets.before)} days")
    said.append(f"{0 if sets.hypothetical is None else len(sets.hypothetical)} hypothetical")
    return ", ".join(said)
