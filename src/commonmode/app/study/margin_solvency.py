"""Who fails on days such as history had, what it costs, and whether the fund bears it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from commonmode.app.study.margin_desk import MarginDesk
from commonmode.app.study.results import failure_to_json, plain
from commonmode.app.study.schema import MarginSettings
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.result import Failure, capture
from commonmode.exposure.surfaces import CALCULATION_ERRORS
from commonmode.margin.accounts import Accounts
from commonmode.margin.collateral import CapitalEfficiency, capital_efficiency
from commonmode.margin.dynamic.build import hedge_markets, return_panel, round_moves
from commonmode.margin.dynamic.history import historical_scenarios
from commonmode.margin.dynamic.hypothetical import NamedMove, hypothetical_scenarios
from commonmode.margin.dynamic.liquidity import Liquidity, close_out, measure_liquidity
from commonmode.margin.dynamic.method import Dynamic
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.dynamic.scenarios import JointScenarios
from commonmode.margin.dynamic.vol_moves import realised_vol_moves
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginMethod
from commonmode.margin.moves import MarketMoves
from commonmode.margin.sensitivities import sensitivities
from commonmode.margin.solvency import FundAdequacy, Solvency, fund_adequacy, solvency
from commonmode.market.feed import Feed
from commonmode.market.history import History

__all__ = ["solvency_to_json"]

_DAY_MS: Final = 86_400_000
_DAYS: Final = 250  # the latest that are used
_LEAST_DAYS: Final = 30
_LOOKS: Final = 8  # a day
_DELAY: Final = 1
_LEVEL: Final = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class _MeasuredCost:
    """Closing out at measured spreads and depth; collateral is sold at the coins' half-spread."""

    liquidity: Liquidity
    half_spread: float

    def __call__(self, accounts: Accounts, market: MarginMarket) -> FloatArray:
        """Costs of shape (A,), USD."""
        p = DynamicParameters()
        closing = close_out(
            accounts,
            market,
            sensitivities(market),
            self.liquidity,
            participation=p.participation,
            open_interest_share=p.open_interest_share,
        ).total
        posted = np.abs(accounts.collateral)
        sold = np.where(posted > 0, posted * market.assets.price, 0.0).sum(axis=1)
        return np.asarray(closing + self.half_spread * sold)


def solvency_to_json(
    desk: MarginDesk,
    feed: Feed,
    settings: MarginSettings,
    *,
    stable: str = "",
    fund: float | None = None,
) -> dict[str, Any]:
    """Solvency of all accounts under every method, and the fund's adequacy; USD.

    Parameters
    ----------
    desk : MarginDesk
    feed : Feed
        Histories of the coins; nothing after the snapshot is used.
    settings : MarginSettings
    stable : str
        Stablecoin that cash is counted in; "" where it is not to move.
    fund : float, optional
        Insurance fund, USD; what it has to be is said without it too.

    Raises
    ------
    DataError
        The histories do not hold enough days, or say nothing of what closing out costs.
    """
    market, snapshot = desk.alone, desk.snapshot
    coins = market.underlyings.name.tolist()
    histories: dict[str, History] = {
        coin: feed.history(coin, None, snapshot.time_ms) for coin in coins
    }
    posted = [name for name in market.assets.name.tolist() if name not in coins]
    still = list(dict.fromkeys([*posted, *([stable] if stable else [])]))
    days = _days(histories, snapshot.time_ms, still)
    stated = [NamedMove(one.label, one.returns, one.vol_moves) for one in settings.moves]
    stress = hypothetical_scenarios(stated or round_moves(days.factors, coins), days.factors)
    hedge = hedge_markets(
        histories, until_ms=snapshot.time_ms, half_spread=settings.hedge_half_spread
    )
    cost = _MeasuredCost(measure_liquidity(market, snapshot, hedge), settings.hedge_half_spread)
    _priced(cost, desk.accounts, market)
    found: dict[str, Any] = {}
    failures = []
    for method in desk.built.methods:
        done = capture(
            partial(_method, desk, method, days, stress, cost, stable, fund),
            what=f"solvency under {method.id}",
            errors=CALCULATION_ERRORS,
        )
        if isinstance(done, Failure):
            failures.append({"method": method.id, **failure_to_json(done)})
        else:
            found[method.id] = done.value
    value: dict[str, Any] = plain(
        {
            "days": len(days),
            "first": str(days.labels[0]),
            "last": str(days.labels[-1]),
            "looks_per_day": _LOOKS,
            "delay_hours": 24.0 * _DELAY / _LOOKS,
            "level": _LEVEL,
            "fund_usd": fund,
            "methods": found,
            "failures": failures,
        }
    )
    return value


def _days(histories: Mapping[str, History], now_ms: int, still: list[str]) -> JointScenarios:
    """Joint moves over the latest whole days before now, which do not overlap."""
    panel = return_panel(histories, until_ms=now_ms)
    bars = _DAY_MS // panel.step_ms
    most = _DAYS * bars
    vols = realised_vol_moves(panel, bars=bars)
    rows = slice(max(len(panel) - most, 0), len(panel))
    recent = panel.rows(rows)
    # Counted from now backwards: the last day ends now.
    first = len(recent) % bars
    days = historical_scenarios(
        recent.rows(slice(first, None)),
        bars=bars,
        stride=bars,
        vol_moves=vols[rows.start + first :],
    )
    if len(days) < _LEAST_DAYS:
        raise DataError(
            f"the histories hold {len(days)} whole days before the snapshot, fewer than "
            f"{_LEAST_DAYS}",
            remedy="give a longer history of every coin",
        )
    return days.with_still(still)


def _priced(cost: _MeasuredCost, accounts: Accounts, market: MarginMarket) -> None:
    known = [row for row in range(len(accounts)) if row not in accounts.failures]
    rows: IntArray = np.array(known, dtype=np.int64)
    if not np.isfinite(cost(accounts.select(rows), market)).all():
        raise DataError(
            "what closing out costs is not known: a coin has no turnover in its history, or an "
            "expiry no two-sided quote",
            remedy="give histories with a volume column, and quotes",
        )


def _method(
    desk: MarginDesk,
    method: MarginMethod,
    days: JointScenarios,
    stress: JointScenarios,
    cost: _MeasuredCost,
    stable: str,
    fund: float | None,
) -> dict[str, Any]:
    """One method: days, stresses, fund and capital efficiency."""
    market, accounts = desk.alone, desk.accounts
    # What cash adds to a portfolio's requirement is in no leg: it is left out of both.
    alone = desk.lighter(method)
    alone = replace(alone, stable="") if isinstance(alone, Dynamic) else alone
    method = desk.searched(method)
    on_days = solvency(
        accounts,
        market,
        method,
        MarketMoves.from_joint(days, market, seconds=86_400.0, stable=stable),
        cost=cost,
        looks=_LOOKS,
        delay=_DELAY,
    )
    in_stress = solvency(
        accounts, market, method, MarketMoves.from_joint(stress, market, stable=stable), cost=cost
    )
    saved = capital_efficiency(accounts, market, alone)
    worst = int(np.argmax(on_days.total))
    probability, error = on_days.protocol
    return {
        "probability": probability,
        "standard_error": error,
        "expected_shortfall": float(on_days.weights @ on_days.total),
        "worst_day": {"day": str(days.labels[worst]), "shortfall": float(on_days.total[worst])},
        "fund": _fund(fund_adequacy(on_days, fund or 0.0, level=_LEVEL), fund),
        "stress": [
            {
                "move": str(stress.labels[s]),
                "liquidated": int(in_stress.liquidated[s]),
                "notional": float(in_stress.liquidated_notional[s]),
                "shortfall": float(in_stress.total[s]),
                "two_largest": float(in_stress.two_largest[s]),
            }
            for s in range(len(stress))
        ],
        "accounts": {
            str(name): _account(on_days, saved, row)
            for row, name in enumerate(accounts.ids.tolist())
        },
    }


def _fund(adequacy: FundAdequacy, fund: float | None) -> dict[str, Any]:
    """Without a fund, what it would have to be."""
    needed = ("cover_one", "cover_two", "level", "quantile", "quantile_low", "quantile_high")
    every = asdict(adequacy)
    return every if fund is not None else {name: every[name] for name in needed}


def _account(found: Solvency, saved: CapitalEfficiency, row: int) -> dict[str, Any] | None:
    """None for an account that cannot be margined."""
    if row in found.failures:
        return None
    return {
        "liquidation": found.liquidation[row],
        "shortfall": found.probability[row],
        "standard_error": found.standard_error[row],
        "upper": found.upper()[row],
        "expected_shortfall": found.expected_shortfall[row],
        "loss_given_liquidation": found.loss_given_liquidation[row],
        "cost_given_liquidation": found.cost_given_liquidation[row],
        "unpriced": found.unpriced[row],
        "isolated_initial": saved.isolated_initial[row],
        "initial": saved.initial[row],
        "isolated_over_portfolio": saved.ratio[row],
    }
