"""Derive's portfolio margin (PM2), worked out one account at a time at 50 digits.

A second implementation, written from the description of the method alone, to compare the
engine with. It shares no line with `commonmode.margin`: no arrays, no shortcuts, one function
per sentence of the method. An account and a parameter set are plain dictionaries with the
names the published cases use (`Scenario`, `Parameters`); so is the answer.

Money is in the stablecoin's unit, volatility and rates per year, `Expiry` in seconds. Losses and
contingencies are negative numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from mpmath import mp, mpf

__all__ = ["pm2", "volatility"]

DIGITS = 50
SECONDS_A_DAY = 86_400
SECONDS_A_YEAR = 365 * SECONDS_A_DAY
SETTLEMENT_WINDOW = 1_800
"""The settlement price is the average over the last 30 minutes."""
LARGEST_TOTAL_VARIANCE = 144
LARGEST_TOTAL_VOLATILITY = 24
WIDEST_STRIKE = 4
"""In units of sqrt(a + b sigma): an SVI smile is held constant beyond this log-moneyness."""
TAIL_MOVE = 0.25
"""The published answers list larger spot moves apart, as tails. No margin depends on it."""

Case = Mapping[str, Any]
Answer = dict[str, Any]


def pm2(account: Case, parameters: Case) -> Answer:
    """Initial margin, maintenance margin and every number they are made of.

    Parameters
    ----------
    account : mapping
        The `Scenario` of a published case: cash, collaterals, perpetuals, options, feeds.
    parameters : mapping
        The `Parameters` of a published case.

    Returns
    -------
    dict
        `IM`, `MM`, `OptionMTM`, `reg_losses`, `tail_losses`, `skew_losses`,
        `ForwardContingency` and the other contingencies under the published names; money as
        50-digit `mpf`.
    """
    with mp.workdps(DIGITS):
        return _answer(account, parameters)


def _answer(account: Case, parameters: Case) -> Answer:
    feeds = {feed["FeedExpiry"]: feed for feed in account["OptionFeeds"]}
    for option in account["Options"]:
        if option["Expiry"] not in feeds:
            raise ValueError(f"no feed for the expiry {option['Expiry']} s ahead")
    marks = {seconds: expiry_value(account, feed) for seconds, feed in feeds.items()}
    option_mtm = sum(marks.values(), mpf(0))
    collateral_mtm = sum((collateral_value(c, account) for c in account["Collaterals"]), mpf(0))
    perp_mtm, funding = mpf(account["UnrealisedPerpPNL"]), mpf(account["UnrealisedFunding"])
    value = option_mtm + collateral_mtm + perp_mtm + funding + mpf(account["Cash"])

    regular, tail, skew = [], [], []
    for scenario in parameters["Scenarios"]:
        pnl = scenario_pnl(account, feeds, marks, scenario, parameters)
        shock, direction = scenario["SpotShock"], scenario["VolShockDirection"]
        if direction in ("LINEAR", "ABS"):
            skew.append([direction, pnl])
        elif abs(mpf(shock) - 1) < TAIL_MOVE:
            regular.append([shock, direction, pnl])
        else:
            tail.append([shock, direction, pnl])
    basis = basis_contingency(account, feeds, marks, parameters)
    worst = min([basis] + [row[-1] for row in regular + tail + skew])

    other, margin = parameters["OtherContingency"], parameters["Margin"]
    perp_notional = abs(mpf(account["NumPerps"])) * mpf(account["SpotPrice"])
    naked_notional = naked_options(account) * mpf(account["SpotPrice"])
    mm_perp = -perp_notional * mpf(other["MM_PERP_PERCENT"])
    im_perp = -perp_notional * mpf(other["IM_PERP_PERCENT"])
    mm_option = -naked_notional * mpf(other["MM_OPTION_PERCENT"])
    im_option = -naked_notional * mpf(other["IM_OPTION_PERCENT"])
    mm_base = -haircuts(account, "MMHaircut")
    im_base = -haircuts(account, "IMHaircut")
    oracle = -oracle_contingency(account, feeds, parameters)

    off_peg = max(mpf(0), mpf(other["PEG_LOSS_THRESHOLD"]) - mpf(account["StablePrice"]))
    im_factor = mpf(margin["IM_LOSS_FACTOR"]) + off_peg * mpf(other["PEG_LOSS_FACTOR"])
    mm_factor = mpf(margin["MM_LOSS_FACTOR"])
    mm_contingencies = mm_perp + mm_option + mm_base
    im_contingencies = im_perp + im_option + im_base + oracle
    return {
        "IM": im_factor * worst + im_contingencies + mm_contingencies + value,
        "MM": mm_factor * worst + mm_contingencies + value,
        "OptionMTM": option_mtm,
        "OptionMTMPerExpiry": list(marks.values()),
        "CollateralMTM": collateral_mtm,
        "PerpMTM": perp_mtm,
        "PortfolioMTM": value,
        "reg_losses": regular,
        "tail_losses": tail,
        "skew_losses": skew,
        "ForwardContingency": basis,
        "worst_loss": worst,
        "IMLossFactor": im_factor,
        "MMLossFactor": mm_factor,
        "MMPerpCont": mm_perp,
        "IMPerpCont": im_perp,
        "MMOptionCont": mm_option,
        "IMOptionCont": im_option,
        "MMBaseCont": mm_base,
        "IMBaseCont": im_base,
        "OracleCont": oracle,
    }


# --- one option -------------------------------------------------------------------------------


def years(seconds: Any) -> mpf:
    """Years of 365 days."""
    return mpf(seconds) / SECONDS_A_YEAR


def rate(feed: Case) -> mpf:
    """The feed's rate; a negative one counts as zero."""
    return max(mpf(feed["Rate"]), mpf(0))


def volatility(feed: Case, strike: Any) -> mpf:
    """Volatility of a strike on the feed's SVI smile, before any shock."""
    a, b, rho, m, sigma, forward, reference_years = (mpf(p) for p in feed["SVIparam"])
    widest = WIDEST_STRIKE * mp.sqrt(a + b * sigma)
    k = mp.log(mpf(strike) / forward)
    k = max(-widest, min(widest, k))
    variance = a + b * (rho * (k - m) + mp.sqrt((k - m) ** 2 + sigma**2))
    if variance < 0:
        raise ValueError(f"the smile has the negative variance {mp.nstr(variance, 6)}")
    variance = min(mpf(LARGEST_TOTAL_VARIANCE), variance)
    return mp.sqrt(variance / reference_years)


def settlement_forward(feed: Case, spot_shock: mpf) -> mpf:
    """Forward under a spot shock; the part of the settlement average already known stays."""
    forward, seconds = mpf(feed["Forward"]), feed["FeedExpiry"]
    if seconds >= SETTLEMENT_WINDOW:
        return forward * spot_shock
    unknown = mpf(seconds) / SETTLEMENT_WINDOW
    return forward * unknown * spot_shock + forward * (1 - unknown)


@cache
def black_76(forward: mpf, strike: mpf, total_volatility: mpf, is_call: bool) -> mpf:
    """Black's undiscounted price; `total_volatility` is volatility times the root of time.

    Kept, because scenarios, parameter sets and accounts ask for the same price again.
    """
    if total_volatility <= 0:
        call = max(forward - strike, mpf(0))
    elif total_volatility >= LARGEST_TOTAL_VOLATILITY:
        call = forward
    else:
        d1 = mp.log(forward / strike) / total_volatility + total_volatility / 2
        d2 = d1 - total_volatility
        call = forward * mp.ncdf(d1) - strike * mp.ncdf(d2)
    return call if is_call else call - forward + strike


def option_value(option: Case, feed: Case, spot_shock: mpf, vol: mpf) -> mpf:
    """Value of one contract, discounted to today with the feed's rate."""
    tau = years(feed["FeedExpiry"])
    forward = settlement_forward(feed, spot_shock)
    price = black_76(forward, mpf(option["Strike"]), vol * mp.sqrt(tau), bool(option["IsCall"]))
    return mp.exp(-rate(feed) * tau) * price


# --- shocks -----------------------------------------------------------------------------------


def shocked_volatility(option: Case, feed: Case, direction: str, parameters: Case) -> mpf:
    """Volatility of one option under a scenario's volatility shock."""
    vol = volatility(feed, option["Strike"])
    if direction == "None":
        return vol
    if direction in ("LINEAR", "ABS"):
        return vol * skew_multiplier(option, feed, direction, parameters["SkewShock"])
    shock = parameters["VolShock"]
    seconds = feed["FeedExpiry"]
    short = seconds <= 30 * SECONDS_A_DAY
    power = mpf(shock["SHORTTERMPOWER"] if short else shock["LONGTERMPOWER"])
    floored_days = max(mpf(seconds) / SECONDS_A_DAY, mpf(shock["DTE_FLOOR"]))
    scale = (30 / floored_days) ** power
    if direction == "Up":
        up = vol * (1 + mpf(shock["VOLRANGEUP"]) * scale)
        return max(mpf(shock["MIN_VOL_EVAL_SHOCKED"]), up)
    if direction == "Down":
        return vol * max(mpf(0), 1 - mpf(shock["VOLRANGEDOWN"]) * scale)
    raise ValueError(f"unknown volatility shock {direction!r}")


def skew_multiplier(option: Case, feed: Case, kind: str, skew: Case) -> mpf:
    """Factor on an option's volatility when the smile tilts (LINEAR) or bends (ABS)."""
    root = mp.sqrt(years(feed["FeedExpiry"]))
    cap = mpf(skew[f"{kind}_CBASE"]) * root + mpf(skew[f"{kind}_SCALE_CAP"])
    static, scale = mpf(skew["VOL_PARAM_STATIC"]), mpf(skew["VOL_PARAM_SCALE"])
    width = root * mpf(skew["MIN_WIDTH_SCALE"]) * (static + root * scale)
    k_star = max(mpf(skew["MIN_K_STAR"]), width)
    k = mp.log(mpf(option["Strike"]) / mpf(feed["Forward"]))
    if kind == "ABS":
        k = abs(k)
    tilt = min(k * cap / k_star, cap) if k >= 0 else max(k * cap / k_star, -cap)
    return max(mpf(0), 1 + tilt)


def expiry_value(
    account: Case,
    feed: Case,
    spot_shock: mpf | int = 1,
    direction: str = "None",
    parameters: Case | None = None,
) -> mpf:
    """Value of all the account's options of one expiry, as marked or under a shock."""
    total = mpf(0)
    for option in account["Options"]:
        if option["Expiry"] != feed["FeedExpiry"]:
            continue
        if parameters is None:
            vol = volatility(feed, option["Strike"])
        else:
            vol = shocked_volatility(option, feed, direction, parameters)
        total += mpf(option["Amount"]) * option_value(option, feed, mpf(spot_shock), vol)
    return total


def static_discount(value: mpf, feed: Case, margin: Case) -> mpf:
    """Shocked value of an expiry, written down if it is an asset, up if it is a debt."""
    tau, r = years(feed["FeedExpiry"]), rate(feed)
    if value >= 0:
        carry = r * mpf(margin["LONG_RATE_MULTSCALE"]) + mpf(margin["LONG_RATE_ADDSCALE"])
        return value * mpf(margin["BASE_STATIC_DISCOUNT"]) * mp.exp(-tau * carry)
    carry = r * mpf(margin["SHORT_RATE_MULTSCALE"]) + mpf(margin["SHORT_RATE_ADDSCALE"])
    factor = mpf(margin["BASE_STATIC_DISCOUNT_NEG"]) * mp.exp(tau * carry)
    return value * min(mp.exp(r * tau), factor)


def scenario_pnl(
    account: Case,
    feeds: Mapping[Any, Case],
    marks: Mapping[Any, mpf],
    scenario: Case,
    parameters: Case,
) -> mpf:
    """Profit or loss of the account in one scenario, dampened."""
    shock, direction = mpf(scenario["SpotShock"]), scenario["VolShockDirection"]
    pnl = mpf(account["NumPerps"]) * mpf(account["PerpPrice"]) * (shock - 1)
    for collateral in account["Collaterals"]:
        if collateral["IsRiskCancelling"]:
            pnl += collateral_value(collateral, account) * (shock - 1)
    for seconds, feed in feeds.items():
        shocked = expiry_value(account, feed, shock, direction, parameters)
        change = static_discount(shocked, feed, parameters["Margin"]) - marks[seconds]
        # The smile may tilt or bend either way: any change counts as a loss.
        pnl += -abs(change) if direction in ("LINEAR", "ABS") else change
    return mpf(scenario["DampeningFactor"]) * pnl


def basis_contingency(
    account: Case, feeds: Mapping[Any, Case], marks: Mapping[Any, mpf], parameters: Case
) -> mpf:
    """Loss if each expiry's forward moves on its own, whichever way hurts it."""
    basis = parameters["BasisContingency"]
    add, mult = mpf(basis["BASIS_CONT_ADD_FACTOR"]), mpf(basis["BASIS_CONT_MULT_FACTOR"])
    total = mpf(0)
    for seconds, feed in feeds.items():
        up = expiry_value(account, feed, mpf(basis["SCENARIO_SPOT_UP"])) - marks[seconds]
        down = expiry_value(account, feed, mpf(basis["SCENARIO_SPOT_DOWN"])) - marks[seconds]
        total += min(up, down, mpf(0)) * (add + mult * years(seconds))
    return total


# --- contingencies ----------------------------------------------------------------------------


def collateral_value(collateral: Case, account: Case) -> mpf:
    """Value of one collateral in stablecoins."""
    return mpf(collateral["Amount"]) * mpf(collateral["Price"]) / mpf(account["StablePrice"])


def haircuts(account: Case, which: str) -> mpf:
    """Sum of the collaterals' values, each times its haircut."""
    total = mpf(0)
    for collateral in account["Collaterals"]:
        total += collateral_value(collateral, account) * mpf(collateral[which])
    return total


def naked_options(account: Case) -> mpf:
    """Contracts short after calls and puts of one expiry and strike are netted."""
    net: dict[tuple[Any, Any], mpf] = {}
    for option in account["Options"]:
        key = (option["Expiry"], option["Strike"])
        net[key] = net.get(key, mpf(0)) + mpf(option["Amount"])
    return sum((-amount for amount in net.values() if amount < 0), mpf(0))


def oracle_contingency(account: Case, feeds: Mapping[Any, Case], parameters: Case) -> mpf:
    """Charge on what is priced from feeds that their oracle hardly trusts."""
    other = parameters["OtherContingency"]
    threshold, charge = mpf(other["CONF_THRESHOLD"]), mpf(other["CONF_MARGIN"])
    spot, spot_confidence = mpf(account["SpotPrice"]), mpf(account["SpotConfidence"])
    perps = abs(mpf(account["NumPerps"]))
    total = mpf(0)

    perp_confidence = min(spot_confidence, mpf(account["PerpConfidence"]))
    if perps and perp_confidence < threshold:
        total += (1 - perp_confidence) * charge * perps * spot

    for seconds, feed in feeds.items():
        contracts = mpf(0)
        for option in account["Options"]:
            if option["Expiry"] == seconds:
                contracts += abs(mpf(option["Amount"]))
        confidence = min(
            spot_confidence,
            mpf(feed["ForwardConfidence"]),
            mpf(feed["RateConfidence"]),
            mpf(feed["OptionVolConfidences"]),
        )
        if perps:
            confidence = min(confidence, mpf(account["PerpConfidence"]))
        if confidence < threshold:
            total += (1 - confidence) * charge * contracts * spot

    for collateral in account["Collaterals"]:
        confidence = min(spot_confidence, mpf(collateral["Confidence"]))
        if confidence < threshold:
            total += (1 - confidence) * charge * collateral_value(collateral, account)
    return total
