"""An account of Derive's published PM2 cases as parameters, market and accounts of this package.

A case has a ``Scenario`` (account and feeds) and ``Parameters``. Money is in USD, volatility and
rates are per year, expiries in seconds from now; the volatility feed is one raw SVI slice per
expiry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook
from commonmode.margin.accounts import Accounts
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.pm2 import (
    Basis,
    CollateralTerms,
    Contingency,
    Discount,
    LossFactors,
    PM2Parameters,
    Scenario,
    Skew,
    VolShock,
    feed_vol,
)

__all__ = ["accounts_of", "market_of", "option_rows", "parameters_of"]

Given = Mapping[str, Any]

# The case has one underlying and does not name it.
_COIN: Final = "X"
# Everything in a case is relative to now, so now may be any time.
_NOW_MS: Final = 1_700_000_000_000

_MOVES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Up": "up",
        "Down": "down",
        "None": "none",
        "LINEAR": "linear_skew",
        "ABS": "absolute_skew",
    }
)


def _scenario(row: Given) -> Scenario:
    move = row["VolShockDirection"]
    if move not in _MOVES:
        raise DataError(
            f"scenario with the volatility shock {move!r}", remedy=f"one of {', '.join(_MOVES)}"
        )
    return Scenario(float(row["SpotShock"]), _MOVES[move], float(row["DampeningFactor"]))


def _figures(table: Given, names: str) -> list[float]:
    return [float(table[name]) for name in names.split()]


def parameters_of(scenario: Given, parameters: Given) -> PM2Parameters:
    """The case's parameter set; terms of collateral come with the account's own holdings."""
    margin, other = parameters["Margin"], parameters["OtherContingency"]
    return PM2Parameters(
        name="case",
        version="1",
        underlyings=(_COIN,),
        valid_from=date(2025, 1, 1),
        source="the case",
        scenarios=tuple(map(_scenario, parameters["Scenarios"])),
        vol_shock=VolShock(
            *_figures(
                parameters["VolShock"],
                "VOLRANGEUP VOLRANGEDOWN SHORTTERMPOWER LONGTERMPOWER DTE_FLOOR "
                "MIN_VOL_EVAL_SHOCKED",
            )
        ),
        skew=Skew(
            *_figures(
                parameters["SkewShock"],
                "LINEAR_SCALE_CAP LINEAR_CBASE ABS_SCALE_CAP ABS_CBASE MIN_K_STAR MIN_WIDTH_SCALE "
                "VOL_PARAM_STATIC VOL_PARAM_SCALE",
            )
        ),
        discount=Discount(
            *_figures(
                margin,
                "BASE_STATIC_DISCOUNT LONG_RATE_MULTSCALE LONG_RATE_ADDSCALE "
                "BASE_STATIC_DISCOUNT_NEG SHORT_RATE_MULTSCALE SHORT_RATE_ADDSCALE",
            )
        ),
        loss=LossFactors(
            *_figures(margin, "IM_LOSS_FACTOR MM_LOSS_FACTOR"),
            *_figures(other, "PEG_LOSS_THRESHOLD PEG_LOSS_FACTOR"),
        ),
        basis=Basis(
            *_figures(
                parameters["BasisContingency"],
                "SCENARIO_SPOT_UP SCENARIO_SPOT_DOWN BASIS_CONT_ADD_FACTOR BASIS_CONT_MULT_FACTOR",
            )
        ),
        contingency=Contingency(
            *_figures(
                other,
                "MM_PERP_PERCENT IM_PERP_PERCENT MM_OPTION_PERCENT IM_OPTION_PERCENT "
                "CONF_THRESHOLD CONF_MARGIN",
            )
        ),
        collateral={
            held["Name"]: CollateralTerms(
                risk_cancelling=bool(held["IsRiskCancelling"]),
                maintenance=float(held["MMHaircut"]),
                initial=float(held["IMHaircut"]),
                confidence_threshold=float(other["CONF_THRESHOLD"]),
            )
            for held in scenario["Collaterals"]
        },
    )


def _feeds(scenario: Given) -> dict[int, Given]:
    """Feeds by seconds to expiry, nearest first."""
    return {
        feed["FeedExpiry"]: feed
        for feed in sorted(scenario["OptionFeeds"], key=lambda feed: int(feed["FeedExpiry"]))
    }


def _contracts(scenario: Given) -> list[tuple[int, float, int]]:
    """(seconds, strike, sign) of every option held, once each, in the order of a market."""
    feeds = _feeds(scenario)
    held = sorted({_contract(option) for option in scenario["Options"]})
    orphans = sorted({seconds for seconds, _, _ in held} - set(feeds))
    if orphans:
        raise DataError(
            f"no feed for the expiry {orphans[0]} s ahead", remedy="give one OptionFeeds entry each"
        )
    return held


def _contract(option: Given) -> tuple[int, float, int]:
    return option["Expiry"], float(option["Strike"]), 1 if option["IsCall"] else -1


def _vol(feed: Given, strike: float) -> float:
    a, b, rho, m, sigma, forward, years = map(float, feed["SVIparam"])
    vol = feed_vol(strike, a=a, b=b, rho=rho, m=m, sigma=sigma, forward=forward, years=years)
    return float(vol)


def market_of(scenario: Given) -> MarginMarket:
    """The case's market: its options, its feeds, and a perpetual if one is held."""
    feeds, options = _feeds(scenario), _contracts(scenario)
    perp = int(scenario["NumPerps"] != 0)
    n, order, held = len(options) + perp, list(feeds), scenario["Collaterals"]
    expiries = _expiries(feeds)
    seconds = np.array([s for s, _, _ in options] + [0] * perp, dtype=np.int64)
    table = ResolvedBook(
        time_ms=_NOW_MS,
        book=np.full(n, "case"),
        instrument=np.array(
            [f"{_COIN}-{s}-{strike!r}-{sign}" for s, strike, sign in options]
            + [f"{_COIN}-PERPETUAL"] * perp,
            dtype=np.str_,
        ),
        underlying=np.full(n, _COIN),
        kind=np.array(["option"] * len(options) + ["perpetual"] * perp, dtype=np.str_),
        expiry_ms=np.where(np.arange(n) < len(options), _NOW_MS + 1000 * seconds, 0),
        strike=_column([strike for _, strike, _ in options], perp),
        sign=np.array([sign for _, _, sign in options] + [0] * perp, dtype=np.int64),
        inverse=np.zeros(n, dtype=np.bool_),
        coin_settled=np.zeros(n, dtype=np.bool_),
        contract_size=np.ones(n),
        quantity=np.ones(n),
        forward=_column(
            [feeds[s]["Forward"] for s, _, _ in options], perp, float(scenario["PerpPrice"])
        ),
        index=np.full(n, float(scenario["SpotPrice"])),
        years=1000.0 * seconds / YEAR_MS,
    )
    return MarginMarket(
        time_ms=_NOW_MS,
        underlyings=Underlyings(
            name=np.array([_COIN]),
            spot=_column([scenario["SpotPrice"]]),
            perp_price=_column([scenario["PerpPrice"]]),
            spot_confidence=_column([scenario["SpotConfidence"]]),
            perp_confidence=_column([scenario["PerpConfidence"]]),
            stamp_ms=np.array([_NOW_MS]),
        ),
        expiries=expiries,
        instruments=table,
        vol=_column([_vol(feeds[s], strike) for s, strike, _ in options], perp),
        underlying=np.zeros(n, dtype=np.int64),
        expiry=np.array([order.index(s) for s, _, _ in options] + [-1] * perp, dtype=np.int64),
        assets=Assets(
            name=np.array([asset["Name"] for asset in held], dtype=np.str_),
            price=_column([asset["Price"] for asset in held]),
            confidence=_column([asset["Confidence"] for asset in held]),
            underlying=np.array(
                [0 if asset["IsRiskCancelling"] else -1 for asset in held], dtype=np.int64
            ),
        ),
        stable_price=float(scenario["StablePrice"]),
    )


def _column(values: Sequence[Any], more: int = 0, fill: float = np.nan) -> FloatArray:
    return np.array([*values, *[fill] * more], dtype=np.float64)


def _expiries(feeds: Mapping[int, Given]) -> Expiries:
    n = len(feeds)

    def column(key: str) -> FloatArray:
        return _column([feed[key] for feed in feeds.values()])

    return Expiries(
        underlying=np.zeros(n, dtype=np.int64),
        expiry_ms=np.array([_NOW_MS + 1000 * seconds for seconds in feeds], dtype=np.int64),
        forward=column("Forward"),
        rate=column("Rate"),
        forward_confidence=column("ForwardConfidence"),
        rate_confidence=column("RateConfidence"),
        vol_confidence=column("OptionVolConfidences"),
        settled=np.full(n, np.nan),
        stamp_ms=np.full(n, _NOW_MS),
    )


def option_rows(scenario: Given) -> IntArray:
    """Row of the market's instrument table of every option, in the case's order."""
    row = {contract: at for at, contract in enumerate(_contracts(scenario))}
    return np.array([row[_contract(option)] for option in scenario["Options"]], dtype=np.int64)


def accounts_of(scenario: Given) -> Accounts:
    """The case's account, against the market of the same case."""
    amounts = [option["Amount"] for option in scenario["Options"]]
    held = sorted(zip(option_rows(scenario).tolist(), amounts, strict=True))
    if scenario["NumPerps"]:
        held.append((len(_contracts(scenario)), scenario["NumPerps"]))
    return Accounts(
        ids=np.array(["case"]),
        offsets=np.array([0, len(held)]),
        instrument=np.array([at for at, _ in held], dtype=np.int32),
        quantity=_column([amount for _, amount in held]),
        cash=_column([scenario["Cash"]]),
        unrealised=_column([scenario["UnrealisedPerpPNL"] + scenario["UnrealisedFunding"]]),
        collateral=_column([asset["Amount"] for asset in scenario["Collaterals"]])[None, :],
    )
