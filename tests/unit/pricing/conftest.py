"""A synthetic chain with a known smile, for the tests of the surface models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import HOUR_MS, YEAR_MS, CoinArray
from commonmode.market.chain import OptionChain
from commonmode.market.instruments import Settlement
from commonmode.pricing import SviRaw, inverse_price

TIME_MS = 1_681_300_800_000
DAYS = (1, 7, 30, 90, 180)
FORWARD = 30_000.0

SmileMaker = Callable[[np.ndarray, np.ndarray], np.ndarray]


def svi_smile(k: np.ndarray, years: np.ndarray) -> np.ndarray:
    """A skewed SVI smile whose total variance grows with time; a function of k / sqrt(T)."""
    unit = SviRaw(a=0.12, b=0.11, rho=-0.25, m=0.05, sigma=0.6)
    return np.sqrt(unit.total_variance(k / np.sqrt(years)))


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., OptionChain]:
    """Builder of a BTC chain, calls and puts at every strike, quotes stamped one after another."""

    def build(
        smile: SmileMaker = svi_smile,
        *,
        days: tuple[float, ...] = DAYS,
        strikes: int = 25,
        half_spread: float = 0.01,
    ) -> OptionChain:
        rows = []
        for day in days:
            width = 0.6 * np.sqrt(day / 365) * 2.0
            for strike in FORWARD * np.exp(np.linspace(-width, width, strikes)):
                rows.extend((day, strike, sign) for sign in (1, -1))
        n = len(rows)
        day, strike, sign = (np.array(column) for column in zip(*rows, strict=True))
        quote_ms = TIME_MS + np.linspace(0, 100_000, n).astype(np.int64)
        expiry_ms = TIME_MS + (day * 24 * HOUR_MS).astype(np.int64)
        forward = FORWARD * np.exp(0.02 * day / 365) * (1 + 1e-5 * np.sin(np.arange(n)))
        years = (expiry_ms - quote_ms) / YEAR_MS
        vol = smile(np.log(strike / forward), years)

        def price(v: np.ndarray) -> CoinArray:
            return CoinArray(inverse_price(forward, strike, years, v, sign=sign))

        return OptionChain(
            venue=VenueId("deribit"),
            underlying=CurrencyCode("BTC"),
            settlement=Settlement.COIN,
            time_ms=TIME_MS,
            names=np.array([f"o{i}" for i in range(n)]),
            quote_ms=quote_ms,
            expiry_ms=expiry_ms,
            strike=strike,
            sign=sign.astype(np.int64),
            bid=price(vol - half_spread),
            ask=price(vol + half_spread),
            mark=price(vol),
            bid_iv=vol - half_spread,
            ask_iv=vol + half_spread,
            mark_iv=vol,
            forward=forward,
            index=np.full(n, FORWARD),
            open_interest=np.ones(n),
            flags=np.zeros(n, dtype=np.int64),
        )

    return build
