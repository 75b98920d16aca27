"""The accounts and the invented markets of `generate_pm2_portfolios.py`."""

from __future__ import annotations

import math
import random
from typing import Any

SECONDS_A_YEAR = 31_536_000
HOUR, DAY = 3_600, 86_400
BTC, ETH = 112_400.0, 4_180.0

Json = dict[str, Any]


# --- markets ------------------------------------------------------------------------------------


def feed(seconds: int, forward: float, at_the_money: float, **changes: Any) -> Json:
    """Forward, rate and smile of one expiry; the smile is told by its at-the-money volatility."""
    tau = max(seconds, HOUR) / SECONDS_A_YEAR
    root = math.sqrt(tau)
    b = round(0.22 * root, 9)
    sigma = round(0.03 + 0.28 * root, 9)
    rho, m = -0.31, round(0.02 * root, 9)
    bottom = rho * -m + math.sqrt(m * m + sigma * sigma)
    a = round(at_the_money**2 * tau - b * bottom, 12)
    return {
        "FeedExpiry": seconds,
        "Forward": forward,
        "ForwardConfidence": 1.0,
        "Rate": 0.042,
        "RateConfidence": 1.0,
        "SVIparam": [a, b, rho, m, sigma, forward, round(tau, 12)],
        "OptionVolConfidences": 0.96,
    } | changes


def call(seconds: int, strike: float, amount: float) -> Json:
    """So many calls."""
    return {"Expiry": seconds, "Strike": strike, "IsCall": 1, "Amount": amount}


def put(seconds: int, strike: float, amount: float) -> Json:
    """So many puts."""
    return {"Expiry": seconds, "Strike": strike, "IsCall": 0, "Amount": amount}


def coin(name: str, amount: float, price: float, **changes: Any) -> Json:
    """Collateral, by default the underlying itself."""
    return {
        "Name": name,
        "Amount": amount,
        "Price": price,
        "Confidence": 1.0,
        "IsRiskCancelling": True,
        "IMHaircut": 0.02,
        "MMHaircut": 0.03,
    } | changes


def account(spot: float, **changes: Any) -> Json:
    """Nothing but a spot price and a stablecoin at par; the rest is said by name."""
    nothing: Json = {
        "Cash": 0.0,
        "Collaterals": [],
        "SpotPrice": spot,
        "SpotConfidence": 1.0,
        "NumPerps": 0.0,
        "PerpPrice": 0.0,
        "PerpConfidence": 0.0,
        "UnrealisedPerpPNL": 0.0,
        "UnrealisedFunding": 0.0,
        "StablePrice": 1.0002,
        "StableConfidence": 1.0,
        "Options": [],
        "OptionFeeds": [],
    }
    assert set(changes) <= set(nothing)
    return nothing | changes


# --- the accounts -------------------------------------------------------------------------------


def short_strangle() -> Json:
    """Both sides sold a month out, cash only."""
    t = 29 * DAY
    legs = [put(t, 100_000.0, -6.0), call(t, 125_000.0, -6.0)]
    return account(BTC, Cash=150_000.0, Options=legs, OptionFeeds=[feed(t, 112_790.0, 0.43)])


def calendar() -> Json:
    """A month sold against two quarters bought at one strike, with a synthetic between them."""
    near, far = 26 * DAY, 152 * DAY
    legs = [
        call(near, 4_200.0, -40.0),
        call(far, 4_200.0, 40.0),
        call(near, 4_000.0, 150.0),
        put(near, 4_000.0, -150.0),
        call(far, 4_000.0, -150.0),
        put(far, 4_000.0, 150.0),
    ]
    feeds = [feed(near, 4_196.5, 0.63), feed(far, 4_281.0, 0.66)]
    return account(ETH, Cash=60_000.0, Options=legs, OptionFeeds=feeds)


def covered_call_in_coin() -> Json:
    """Calls sold against the coin itself, which moves with them; no cash, some of it borrowed."""
    t = 54 * DAY
    return account(
        BTC,
        Cash=-420_000.0,
        Collaterals=[coin("BTC", 12.0, BTC)],
        Options=[call(t, 130_000.0, -12.0)],
        OptionFeeds=[feed(t, 113_260.0, 0.45)],
    )


def staked_collateral_low_confidence() -> Json:
    """Staked ether as collateral, two of three hardly trusted, behind a put spread."""
    t = 40 * DAY
    staked = [
        coin("WSTETH", 30.0, 5_060.0, IMHaircut=0.04, MMHaircut=0.08),
        coin("WEETH", 25.0, 4_475.0, Confidence=0.41, IMHaircut=0.06, MMHaircut=0.12),
        coin(
            "RSWETH",
            18.0,
            4_390.0,
            Confidence=0.28,
            IMHaircut=0.1,
            MMHaircut=0.2,
            IsRiskCancelling=False,
        ),
        coin("USDT", 9_000.0, 0.9993, IsRiskCancelling=False),
    ]
    return account(
        ETH,
        Cash=-35_000.0,
        SpotConfidence=0.97,
        Collaterals=staked,
        Options=[put(t, 3_800.0, -45.0), put(t, 3_200.0, 45.0)],
        OptionFeeds=[feed(t, 4_207.0, 0.64)],
    )


def long_box() -> Json:
    """A box bought: no market risk, only the discount of its certain payoff."""
    t = 201 * DAY
    legs = [
        call(t, 105_000.0, 3.0),
        call(t, 120_000.0, -3.0),
        put(t, 105_000.0, -3.0),
        put(t, 120_000.0, 3.0),
    ]
    feeds = [feed(t, 115_900.0, 0.47)]
    return account(BTC, Cash=500.0, Options=legs, OptionFeeds=feeds)


def deep_wings() -> Json:
    """Far wings sold for nearly nothing: only the tail scenarios see them."""
    t = 38 * DAY
    legs = [call(t, 320_000.0, -60.0), put(t, 42_000.0, -60.0), call(t, 230_000.0, 8.0)]
    return account(BTC, Cash=90_000.0, Options=legs, OptionFeeds=[feed(t, 112_930.0, 0.44)])


def perp_hedged_straddle() -> Json:
    """A straddle sold and its delta hedged with perpetuals that the oracle hardly trusts."""
    t = 17 * DAY
    return account(
        ETH,
        Cash=95_000.0,
        NumPerps=-14.5,
        PerpPrice=4_183.6,
        PerpConfidence=0.52,
        UnrealisedPerpPNL=-1_240.75,
        UnrealisedFunding=38.2,
        Options=[call(t, 4_100.0, -35.0), put(t, 4_100.0, -35.0)],
        OptionFeeds=[feed(t, 4_189.0, 0.6)],
    )


def last_half_hour() -> Json:
    """Half the settlement average is known; the next day's option is whole."""
    soon, next_day = 870, 870 + DAY
    legs = [
        call(soon, 112_000.0, -20.0),
        put(soon, 112_500.0, 12.0),
        call(next_day, 114_000.0, -9.0),
    ]
    feeds = [feed(soon, 112_415.0, 0.52), feed(next_day, 112_428.0, 0.44)]
    return account(BTC, Cash=410_000.0, Options=legs, OptionFeeds=feeds)


def expired_and_negative_rate() -> Json:
    """One expiry waits for its settlement, another has a negative rate, which counts as zero."""
    past, later = 0, 75 * DAY
    legs = [call(past, 4_000.0, -5.0), put(past, 4_500.0, -2.0), call(past, 4_300.0, 6.0)]
    legs += [put(later, 4_000.0, -20.0), call(later, 5_000.0, 15.0)]
    feeds = [feed(past, 4_171.0, 0.7), feed(later, 4_166.0, 0.67, Rate=-0.019)]
    return account(ETH, Cash=22_000.0, Options=legs, OptionFeeds=feeds)


def many_expiries_stable_off_peg() -> Json:
    """Risk reversals bought in one expiry, sold in the next, the stablecoin at 0.934.

    Spot and volatility moves cancel between the expiries; a tilt of the smile counts against
    each of them.
    """
    days = (27, 34, 90, 97, 272, 279)
    forwards = (112_780.0, 112_910.0, 113_860.0, 113_980.0, 117_490.0, 117_650.0)
    levels = (0.435, 0.44, 0.455, 0.46, 0.485, 0.487)
    feeds = [feed(d * DAY + 5 * HOUR, f, v) for d, f, v in zip(days, forwards, levels, strict=True)]
    legs = []
    for each, size in zip(feeds, (9.0, -9.0, -7.0, 7.0, 4.0, -4.0), strict=True):
        t = each["FeedExpiry"]
        legs += [put(t, 92_000.0, size), call(t, 135_000.0, -size), call(t, 112_000.0, size * 0.9)]
    return account(
        BTC,
        Cash=310_000.0,
        StablePrice=0.934,
        StableConfidence=0.5,
        Collaterals=[coin("DAI", 80_000.0, 0.998, IsRiskCancelling=False)],
        Options=legs,
        OptionFeeds=feeds,
    )


def two_hundred_legs() -> Json:
    """Two hundred legs drawn at random over eight expiries, perpetuals and two collaterals."""
    draw = random.Random(20260924).random
    feeds = []
    for days in (0.4, 2.0, 9.0, 23.0, 51.0, 114.0, 233.0, 412.0):
        seconds = round(days * DAY)
        forward = round(BTC * (1 + 0.055 * seconds / SECONDS_A_YEAR), 1)
        feeds.append(feed(seconds, forward, round(0.4 + 0.1 * draw(), 4)))
    feeds[3]["OptionVolConfidences"] = 0.38
    held: dict[tuple[int, float, bool], float] = {}
    while len(held) < 200:
        each = feeds[int(draw() * len(feeds))]
        width = 3.0 * math.sqrt(each["SVIparam"][6]) * 0.45
        strike = round(each["Forward"] * math.exp(width * (2 * draw() - 1)) / 500) * 500.0
        key = (each["FeedExpiry"], strike, draw() < 0.5)
        held.setdefault(key, round(6 * (2 * draw() - 1), 2))
    legs = [(call if is_call else put)(t, k, n) for (t, k, is_call), n in sorted(held.items())]
    return account(
        BTC,
        Cash=7_500_000.0,
        NumPerps=7.25,
        PerpPrice=112_455.0,
        PerpConfidence=0.93,
        UnrealisedPerpPNL=18_400.0,
        UnrealisedFunding=-212.6,
        Collaterals=[
            coin("CBBTC", 4.0, 112_310.0),
            coin("ETH", 60.0, ETH, IsRiskCancelling=False, IMHaircut=0.05, MMHaircut=0.1),
        ],
        Options=legs,
        OptionFeeds=feeds,
    )


ACCOUNTS = (
    short_strangle,
    calendar,
    covered_call_in_coin,
    staked_collateral_low_confidence,
    long_box,
    deep_wings,
    perp_hedged_straddle,
    last_half_hour,
    expired_and_negative_rate,
    many_expiries_stable_off_peg,
    two_hundred_legs,
)
AGAIN_UNDER_THE_OLD_SET = (short_strangle, covered_call_in_coin, long_box, perp_hedged_straddle)
