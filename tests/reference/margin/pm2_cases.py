"""A PM2 case (portfolio, feeds, parameters) as the product's own parameters, market, accounts."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from commonmode.core.arrays import FloatArray
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

__all__ = ["accounts_of", "market_of", "parameters_of"]

NOW_MS = 1_700_000_000_000
MOVES = {
    "Up": "up",
    "Down": "down",
    "None": "none",
    "LINEAR": "linear_skew",
    "ABS": "absolute_skew",
}


def flat(values: list[float]) -> FloatArray:
    return np.array(values, dtype=np.float64)


def parameters_of(case: dict[str, Any]) -> PM2Parameters:
    given = case["parameters"]
    skew, vol, margin = given["SkewShock"], given["VolShock"], given["Margin"]
    basis, other = given["BasisContingency"], given["OtherContingency"]
    return PM2Parameters(
        name="case",
        version="1",
        underlyings=("X",),
        valid_from=date(2025, 1, 1),
        source="published case",
        scenarios=tuple(
            Scenario(s["SpotShock"], MOVES[s["VolShockDirection"]], s["DampeningFactor"])
            for s in given["Scenarios"]
        ),
        vol_shock=VolShock(
            vol["VOLRANGEUP"],
            vol["VOLRANGEDOWN"],
            vol["SHORTTERMPOWER"],
            vol["LONGTERMPOWER"],
            vol["DTE_FLOOR"],
            vol["MIN_VOL_EVAL_SHOCKED"],
        ),
        skew=Skew(
            skew["LINEAR_SCALE_CAP"],
            skew["LINEAR_CBASE"],
            skew["ABS_SCALE_CAP"],
            skew["ABS_CBASE"],
            skew["MIN_K_STAR"],
            skew["MIN_WIDTH_SCALE"],
            skew["VOL_PARAM_STATIC"],
            skew["VOL_PARAM_SCALE"],
        ),
        discount=Discount(
            margin["BASE_STATIC_DISCOUNT"],
            margin["LONG_RATE_MULTSCALE"],
            margin["LONG_RATE_ADDSCALE"],
            margin["BASE_STATIC_DISCOUNT_NEG"],
            margin["SHORT_RATE_MULTSCALE"],
            margin["SHORT_RATE_ADDSCALE"],
        ),
        loss=LossFactors(
            margin["IM_LOSS_FACTOR"],
            margin["MM_LOSS_FACTOR"],
            other["PEG_LOSS_THRESHOLD"],
            other["PEG_LOSS_FACTOR"],
        ),
        basis=Basis(
            basis["SCENARIO_SPOT_UP"],
            basis["SCENARIO_SPOT_DOWN"],
            basis["BASIS_CONT_ADD_FACTOR"],
            basis["BASIS_CONT_MULT_FACTOR"],
        ),
        contingency=Contingency(
            other["MM_PERP_PERCENT"],
            other["IM_PERP_PERCENT"],
            other["MM_OPTION_PERCENT"],
            other["IM_OPTION_PERCENT"],
            other["CONF_THRESHOLD"],
            other["CONF_MARGIN"],
        ),
        collateral={
            c["Name"]: CollateralTerms(
                c["IsRiskCancelling"], c["MMHaircut"], c["IMHaircut"], other["CONF_THRESHOLD"]
            )
            for c in case["scenario"]["Collaterals"]
        },
    )


def market_of(case: dict[str, Any]) -> MarginMarket:
    given = case["scenario"]
    feeds = {feed["FeedExpiry"]: feed for feed in given["OptionFeeds"]}
    order = sorted(feeds)

    def column(key: str) -> FloatArray:
        return np.array([float(feeds[e][key]) for e in order])

    options = sorted({(o["Expiry"], o["Strike"], o["IsCall"]) for o in given["Options"]})
    names = [f"X-{e}-{k:g}-{'C' if call else 'P'}" for e, k, call in options]
    perp = given["NumPerps"] != 0
    names += ["X-PERPETUAL"] if perp else []
    vols = []
    for expiry, strike, _ in options:
        a, b, rho, m, sigma, forward, years = map(float, feeds[expiry]["SVIparam"])
        vols.append(
            float(
                feed_vol(strike, a=a, b=b, rho=rho, m=m, sigma=sigma, forward=forward, years=years)
            )
        )
    n, n_o = len(names), len(options)
    rows = np.array([order.index(e) for e, _, _ in options] + [-1] * perp, dtype=np.int64)
    pad = [np.nan] * perp
    expiry_ms = np.array([NOW_MS + 1000 * e for e in order], dtype=np.int64)
    own = np.array([np.nan] * n)
    table = ResolvedBook(
        time_ms=NOW_MS,
        book=np.array(["all"] * n, dtype=np.str_),
        instrument=np.array(names, dtype=np.str_),
        underlying=np.array(["X"] * n, dtype=np.str_),
        kind=np.array(["option"] * n_o + ["perpetual"] * perp, dtype=np.str_),
        expiry_ms=np.array([NOW_MS + 1000 * e for e, _, _ in options] + [0] * perp, dtype=np.int64),
        strike=np.array([k for _, k, _ in options] + pad, dtype=np.float64),
        sign=np.array([1 if call else -1 for _, _, call in options] + [0] * perp, dtype=np.int64),
        inverse=np.zeros(n, dtype=np.bool_),
        coin_settled=np.zeros(n, dtype=np.bool_),
        contract_size=np.ones(n),
        quantity=np.ones(n),
        forward=own,
        index=own,
        years=own,
    )
    held = given["Collaterals"]
    return MarginMarket(
        time_ms=NOW_MS,
        underlyings=Underlyings(
            name=np.array(["X"]),
            spot=flat([given["SpotPrice"]]),
            perp_price=flat([given["PerpPrice"]]),
            spot_confidence=flat([given["SpotConfidence"]]),
            perp_confidence=flat([given["PerpConfidence"]]),
            stamp_ms=np.array([NOW_MS]),
        ),
        expiries=Expiries(
            underlying=np.zeros(len(order), dtype=np.int64),
            expiry_ms=expiry_ms,
            forward=column("Forward"),
            rate=column("Rate"),
            forward_confidence=column("ForwardConfidence"),
            rate_confidence=column("RateConfidence"),
            vol_confidence=column("OptionVolConfidences"),
            settled=np.full(len(order), np.nan),
            stamp_ms=np.full(len(order), NOW_MS),
        ),
        instruments=table,
        vol=flat(vols + pad),
        underlying=np.zeros(n, dtype=np.int64),
        expiry=rows,
        assets=Assets(
            name=np.array([c["Name"] for c in held], dtype=np.str_),
            price=flat([c["Price"] for c in held]),
            confidence=flat([c["Confidence"] for c in held]),
            underlying=np.array([0 if c["IsRiskCancelling"] else -1 for c in held], dtype=np.int64),
        ),
        stable_price=given["StablePrice"],
    )


def accounts_of(case: dict[str, Any], market: MarginMarket) -> Accounts:
    given = case["scenario"]
    names = {name: row for row, name in enumerate(market.instruments.instrument.tolist())}
    held = sorted(
        (names[f"X-{o['Expiry']}-{o['Strike']:g}-{'C' if o['IsCall'] else 'P'}"], o["Amount"])
        for o in given["Options"]
    )
    if given["NumPerps"]:
        held.append((names["X-PERPETUAL"], given["NumPerps"]))
    return Accounts(
        ids=np.array(["case"]),
        offsets=np.array([0, len(held)]),
        instrument=np.array([row for row, _ in held], dtype=np.int32),
        quantity=np.array([amount for _, amount in held], dtype=np.float64),
        cash=np.array([float(given["Cash"])]),
        unrealised=np.array([given["UnrealisedPerpPNL"] + given["UnrealisedFunding"]]),
        collateral=np.array([[c["Amount"] for c in given["Collaterals"]]], dtype=np.float64),
    )
