"""The constant portfolios of the coverage backtest: a declared list, fixed before any run.

Every leg is stated in dollars of notional of its coin, so a portfolio is re-struck to the same
dollars, moneyness and tenor at every time: what a margin method asks of it moves with the market
only. A portfolio of constant *coins* has the same losses in units of its notional; its margin in
USD is the margin rate times the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError

__all__ = ["COINS", "HOUSE_PORTFOLIOS", "PUBLISHED_COINS", "Leg", "Portfolio", "notional_weights"]

COINS: Final = ("BTC", "ETH", "SOL", "XRP", "BNB")
"""Coins of the recorded hourly history."""

PUBLISHED_COINS: Final = ("BTC", "ETH")
"""Coins for which the published methods have parameters."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg, per dollar of its coin at the time it is struck.

    Attributes
    ----------
    coin : str
    weight : float
        Dollars of notional, signed.
    kind : "perp", "collateral", "call" or "put"
        Collateral is the coin itself, posted.
    days : float
        Tenor of an option.
    delta : float
        Absolute Black delta at which an option is struck; 0 for at the money (strike = forward).
    """

    coin: str
    weight: float
    kind: Literal["perp", "collateral", "call", "put"] = "perp"
    days: float = 0.0
    delta: float = 0.0

    def __post_init__(self) -> None:
        """Check that an option has a tenor and a sensible delta."""
        if self.is_option != (self.days > 0.0) or not 0.0 <= self.delta < 1.0:
            raise ConfigurationError(
                f"leg {self}: tenor or delta does not fit the kind",
                remedy="options have a positive tenor and a delta in [0, 1)",
            )

    @property
    def is_option(self) -> bool:
        """Whether the leg is a call or a put."""
        return self.kind in ("call", "put")

    @property
    def sign(self) -> int:
        """+1 call, -1 put, 0 otherwise."""
        return {"call": 1, "put": -1}.get(self.kind, 0)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A constant portfolio.

    Attributes
    ----------
    name : str
    legs : tuple of Leg
    hedged : bool
        The net delta of the options is held against in the perpetual, struck anew each time.
    """

    name: str
    legs: tuple[Leg, ...]
    hedged: bool = False

    @property
    def coins(self) -> tuple[str, ...]:
        """Coins it depends on, in order of first use."""
        return tuple(dict.fromkeys(leg.coin for leg in self.legs))

    @property
    def has_options(self) -> bool:
        """Whether a leg is an option."""
        return any(leg.is_option for leg in self.legs)

    @property
    def published(self) -> bool:
        """Whether the published methods have parameters for all of its coins."""
        return set(self.coins) <= set(PUBLISHED_COINS)


def _straddle(coin: str, days: float, weight: float) -> tuple[Leg, Leg]:
    return Leg(coin, weight, "call", days), Leg(coin, weight, "put", days)


def _strangle(coin: str, days: float, weight: float) -> tuple[Leg, Leg]:
    return Leg(coin, weight, "call", days, 0.25), Leg(coin, weight, "put", days, 0.25)


def _house() -> tuple[Portfolio, ...]:
    single = [
        Portfolio(f"{word} {coin}", (Leg(coin, weight),))
        for coin in COINS
        for word, weight in (("long", 1.0), ("short", -1.0))
    ]
    linear = [
        Portfolio("long BTC, short ETH", (Leg("BTC", 1.0), Leg("ETH", -1.0))),
        Portfolio("long ETH, short SOL", (Leg("ETH", 1.0), Leg("SOL", -1.0))),
        Portfolio("long BNB, short XRP", (Leg("BNB", 1.0), Leg("XRP", -1.0))),
        Portfolio("long BTC and ETH", (Leg("BTC", 0.5), Leg("ETH", 0.5))),
        Portfolio("long five coins", tuple(Leg(coin, 0.2) for coin in COINS)),
        Portfolio(
            "market neutral",
            (
                Leg("BTC", 0.5),
                Leg("BNB", 0.5),
                Leg("ETH", -0.5),
                Leg("SOL", -0.25),
                Leg("XRP", -0.25),
            ),
        ),
        Portfolio("short half BTC on BTC", (Leg("BTC", -0.5), Leg("BTC", 1.0, "collateral"))),
        Portfolio("short ETH on BTC", (Leg("ETH", -1.0), Leg("BTC", 1.0, "collateral"))),
    ]
    options = [
        Portfolio("short BTC straddle 30 d", _straddle("BTC", 30.0, -1.0)),
        Portfolio("short ETH straddle 30 d", _straddle("ETH", 30.0, -1.0)),
        Portfolio("short BTC straddle 7 d", _straddle("BTC", 7.0, -1.0)),
        Portfolio("short ETH straddle 7 d", _straddle("ETH", 7.0, -1.0)),
        Portfolio("short BTC strangle 30 d", _strangle("BTC", 30.0, -1.0)),
        Portfolio("short ETH strangle 30 d", _strangle("ETH", 30.0, -1.0)),
        Portfolio("BTC covered call 30 d", (Leg("BTC", 1.0), Leg("BTC", -1.0, "call", 30.0, 0.25))),
        Portfolio("ETH protective put 30 d", (Leg("ETH", 1.0), Leg("ETH", 1.0, "put", 30.0, 0.25))),
        Portfolio(
            "BTC risk reversal 30 d",
            (Leg("BTC", 1.0, "call", 30.0, 0.25), Leg("BTC", -1.0, "put", 30.0, 0.25)),
        ),
        Portfolio(
            "short ETH call spread 30 d",
            (Leg("ETH", -1.0, "call", 30.0), Leg("ETH", 1.0, "call", 30.0, 0.25)),
        ),
        Portfolio("BTC calendar", (*_straddle("BTC", 7.0, -1.0), *_straddle("BTC", 30.0, 1.0))),
        Portfolio("hedged short BTC straddle 7 d", _straddle("BTC", 7.0, -1.0), hedged=True),
        Portfolio(
            "BTC against ETH straddles",
            (*_straddle("BTC", 30.0, -1.0), *_straddle("ETH", 30.0, 1.0)),
        ),
    ]
    return (*single, *linear, *options)


HOUSE_PORTFOLIOS: Final = _house()
"""18 linear portfolios, then 13 with options."""


def notional_weights(portfolios: Sequence[Portfolio], coins: Sequence[str] = COINS) -> FloatArray:
    """Gross dollars of every portfolio per coin, shape (A, U): what costs are divided by.

    Options count with their coin's notional; collateral does not count, it is what is posted.
    """
    out = np.zeros((len(portfolios), len(coins)))
    for a, portfolio in enumerate(portfolios):
        for leg in portfolio.legs:
            if leg.kind != "collateral":
                out[a, coins.index(leg.coin)] += abs(leg.weight)
    return out
