"""Margin of single accounts: Derive's PM2, standard manager and auction, Deribit's answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from commonmode.app.verify import margin_pm2, margin_standard
from commonmode.app.verify.cases import Case
from commonmode.app.verify.registry import Adaptor, Unsupported
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.result import FailureReason
from commonmode.core.units import YEAR_MS
from commonmode.margin.accounts import Accounts
from commonmode.margin.auction import AuctionParameters, auction_quote, sell, start_fee
from commonmode.margin.deribit import (
    CurrencyTerms,
    GeneralTerms,
    Grid,
    PairTerms,
    aggregated_pnl,
    dampening,
    delta_shock,
    future_pnl,
    requirement,
    roll_rate,
    scenario_grid,
    worst_case,
)
from commonmode.margin.market import MarginMarket
from commonmode.margin.method import MarginTable
from commonmode.margin.pm2 import PM2, PM2Parameters, profile
from commonmode.margin.pm2.reduce import group_sums
from commonmode.margin.pm2.shocks import shocked_vol
from commonmode.margin.standard import (
    StandardParameters,
    settlement_forward,
    short_option_requirement,
)
from commonmode.margin.standard_method import StandardMargin
from commonmode.margin.standard_parameters import shipped_standard
from commonmode.pricing.black76 import black76_price

__all__ = ["ADAPTORS"]

# The answers list scenarios that move spot by more than this apart, as tails.
_TAIL_MOVE: Final = 0.25
_VOL_DIRECTIONS: Final[Mapping[str, int]] = MappingProxyType({"up": 1, "none": 0, "down": -1})
_SKEW_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {"linear_skew": "LINEAR", "absolute_skew": "ABS"}
)


def _sound(table: MarginTable) -> MarginTable:
    """A table without failures; what the method does not take is not supported."""
    for failure in table.failures.values():
        if failure.reason is FailureReason.UNSUPPORTED:
            raise Unsupported(failure.message)
        raise DataError(failure.message, remedy=failure.remedy)
    return table


def _pm2(case: Case) -> Any:
    scenario = case.inputs["Scenario"]
    parameters = margin_pm2.parameters_of(scenario, case.inputs["Parameters"])
    market, accounts = margin_pm2.market_of(scenario), margin_pm2.accounts_of(scenario)
    method = PM2(parameters)
    table = _sound(method.margin(accounts, market))
    grid = method.revalue(market)
    profits = profile(grid, accounts)
    groups = group_sums(grid, accounts)
    order = {int(ms): row for row, ms in enumerate(market.expiries.expiry_ms)}
    feeds = [order[market.time_ms + 1000 * feed["FeedExpiry"]] for feed in scenario["OptionFeeds"]]
    marks = np.zeros(len(grid.groups))
    np.add.at(marks, groups.group, groups.values[:, grid.count + 2])
    marks = marks[feeds]
    factors = grid.groups[feeds, :2]
    return {
        "IM": table.initial_balance[0],
        "MM": table.maintenance_balance[0],
        "PortfolioMTM": table.equity[0],
        "OptionMTM": marks.sum(),
        "OptionMTMPerExpiry": marks,
        "OptionMTMPerExpiryDiscounted": marks * np.where(marks >= 0.0, *factors.T),
        "CollateralMTM": accounts.collateral[0] @ grid.assets[:, 0],
        "ForwardContingency": profits.basis[0],
        "discount_factors": factors,
        "IMLossFactor": grid.terms[0] + grid.terms[2],
        "MMLossFactor": grid.terms[1],
        **_pm2_scenarios(parameters, profits.pnl[0]),
        **_pm2_contingencies(table),
        **_shocked_vols(scenario, market, parameters),
    }


def _pm2_scenarios(parameters: PM2Parameters, pnl: FloatArray) -> dict[str, Any]:
    """Profit in each scenario in the answers' three lists, and the worst of each."""
    rows: dict[str, list[list[Any]]] = {"reg": [], "tail": [], "skew": []}
    for scenario, profit in zip(parameters.scenarios, pnl.tolist(), strict=True):
        move = scenario.spot - 1.0
        if scenario.is_skew:
            rows["skew"].append([_SKEW_NAMES[scenario.vol], profit])
        else:
            kind = "reg" if abs(move) < _TAIL_MOVE else "tail"
            rows[kind].append([move, _VOL_DIRECTIONS[scenario.vol], profit])
    worst = {f"worst_{k}_loss": min(row[-1] for row in found) for k, found in rows.items() if found}
    return {f"{k}_losses": found for k, found in rows.items()} | worst


def _pm2_contingencies(table: MarginTable) -> dict[str, float]:
    """Charges as the answers state them: negative, initial ones on top of maintenance."""
    found = {"OracleCont": -table.components["oracle"][0]}
    names = {"Perp": "perpetuals", "Base": "collateral", "Option": "naked_shorts"}
    for name, part in names.items():
        initial, kept = table.components[part][0], table.maintenance_components[part][0]
        found[f"MM{name}Cont"] = -kept
        found[f"IM{name}Cont"] = kept - initial
        found[f"IM{name}ContNormal"] = -initial
    return found


def _shocked_vols(
    scenario: Mapping[str, Any], market: MarginMarket, parameters: PM2Parameters
) -> dict[str, Any]:
    """Volatility of every option held, up and down, and the factor on it before its floor."""
    rows = margin_pm2.option_rows(scenario)
    seconds, vol = market.seconds[market.expiry[rows]], market.vol[rows]
    shock, bare = parameters.vol_shock, replace(parameters.vol_shock, least_up=0.0)
    found = {}
    for name, move in (("VolShockUp", "up"), ("VolShockDown", "down")):
        found[f"{name}Multiplier"] = shocked_vol(np.ones_like(vol), seconds, bare, move)
        found[f"{name}Evaluated"] = shocked_vol(vol, seconds, shock, move)
    return found


def _standard(case: Case) -> Any:
    terms = shipped_standard("defaults")
    market = margin_standard.market_of(case.inputs)
    accounts = margin_standard.accounts_of(case.inputs, market)
    table = _sound(StandardMargin(terms).margin(accounts, market))
    counts = accounts.collateral[0] @ market.assets.price / market.stable_price
    found = {
        "realIM": table.initial_balance[0],
        "realMM": table.maintenance_balance[0],
        "PortfolioMtM": table.equity[0] - accounts.cash[0],
        "PerpMargin": -table.maintenance_components["perpetuals"][0],
        "OracleConts": -table.components["oracle"][0],
        "DepegIMs": -table.components["depeg"][0],
        "BaseMargin": counts - table.maintenance_components["collateral"][0],
    }
    for row, coin in enumerate(margin_standard.COINS, start=1):
        options = accounts.select(np.array([row], dtype=np.int64))
        found[f"{coin}OptionIM"] = table.equity[row] - table.components["options"][row]
        found[f"{coin}OptionMM"] = table.maintenance_balance[row]
        isolated = _isolated(options, market, terms)
        found |= {f"{coin}OptionIsolated{kind}": value for kind, value in isolated.items()}
    return found


def _isolated(
    accounts: Accounts, market: MarginMarket, terms: StandardParameters
) -> dict[str, float]:
    """Balance of options of one coin with every short margined by itself."""
    at, short = accounts.instrument, np.maximum(-accounts.quantity, 0.0)
    if not len(at):
        return {"IM": 0.0, "MM": 0.0}
    table, dates, expiry = market.instruments, market.expiries, market.expiry[at]
    forward = settlement_forward(
        dates.forward[expiry], market.seconds[expiry], dates.settled[expiry]
    )
    strike, sign = table.strike[at], table.sign[at].astype(np.float64)
    mark = black76_price(forward, strike, table.years[at], market.vol[at], sign=sign)
    own = terms.markets[str(table.underlying[at[0]])]
    need = short_option_requirement(table.index[at], strike, mark, sign, own)
    return {
        "IM": -float(short @ (mark + need.initial)),
        "MM": -float(short @ (mark + need.maintenance)),
    }


def _auction(case: Case) -> Any:
    terms = AuctionParameters(**case.inputs["parameters"])
    rows: list[dict[str, Any]] = []
    paid_in = 0.0
    for action in case.inputs["actions"]:
        mtm, maintenance, seconds = (action[key] for key in ("PreMtM", "PreMM", "seconds"))
        quote = auction_quote(mtm, maintenance, seconds, terms, paid_in=paid_in)
        if quote.insolvent:
            raise Unsupported(
                "insolvent auction: the answer pays out in steps, as an earlier schedule did; what "
                "is computed here is the linear one in force"
            )
        share = min(action["share"], float(quote.largest_share))
        sale = sell(mtm, maintenance, quote.fraction, share, paid_in)
        after = auction_quote(sale.mtm, sale.maintenance, seconds, terms, paid_in=sale.paid_in)
        rows.append(
            {
                "PreBM": quote.buffer_margin,
                "PreFMax": quote.largest_share,
                "fLiquidatedOfOriginal": share,
                "ExpectedBidPrice": sale.bid,
                "PostMtM": sale.mtm,
                "PostMM": sale.maintenance,
                "PostBM": after.buffer_margin,
                "PostFMax": after.largest_share,
            }
        )
        paid_in = float(sale.paid_in)
    found: dict[str, Any] = {"actions": rows}
    if "before_fee" in case.inputs:
        mtm, maintenance = case.inputs["before_fee"]
        found["LiquidationFee"] = start_fee(mtm, maintenance, terms)
    return found


def _deribit(case: Case) -> Any:
    given = case.inputs
    pair, money = PairTerms(**given["pair"]), CurrencyTerms(**given["currency"])
    names, held = list(given["positions"]), given["positions"].values()
    if any(name.count("-") != 1 for name in names):
        raise Unsupported("options: the case states no volatility of them")
    grid = scenario_grid(pair)
    coins = np.array([size for size, _ in held], dtype=np.float64)
    index = float(given["index"])
    pnl = coins[:, None] * future_pnl(np.full(len(coins), index), grid, coin_settled=True)
    forgiven = dampening(grid, pair, money, index, coin_settled=True)
    total = aggregated_pnl(pnl.sum(axis=0)[None, :], grid, forgiven, money, index)
    worst = worst_case(total).loss[0]
    years = np.array(
        [(1000 * seconds - given["time_ms"]) / YEAR_MS if seconds else 0.0 for _, seconds in held]
    )
    roll = float(np.abs(coins) @ roll_rate(years, money))
    delta = float(delta_shock(coins.sum(), index, pair))
    margin = requirement(worst, roll, delta, GeneralTerms(given["maintenance"]), **given["orders"])
    return {
        "initial": {name: _tables(row, grid) for name, row in zip(names, pnl, strict=True)},
        **{f"aggregated_{kind}": row for kind, row in _tables(total[0], grid).items()},
        "worst_case": worst,
        "roll_shock": roll,
        "delta_shock": delta,
        "risk_matrix_margin": margin.risk_matrix,
        "initial_margin": margin.initial,
        "maintenance_margin": margin.maintenance,
    }


def _tables(pnl: FloatArray, grid: Grid) -> dict[str, FloatArray]:
    """Profits by price; without options those of one price are equal at every volatility."""
    return {"standard": pnl[~grid.extended & (grid.vol == 0)], "extended": pnl[grid.extended]}


ADAPTORS: Final[Mapping[str, Adaptor]] = MappingProxyType(
    {
        "Derive PM2 margin": _pm2,
        "Derive standard margin": _standard,
        "Derive liquidation auction": _auction,
        "Deribit portfolio margin": _deribit,
    }
)
