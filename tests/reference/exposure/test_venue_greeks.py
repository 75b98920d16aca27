"""The venue publishes Greeks of its own with every quote: an independent implementation.

Deribit, public/get_order_book, field ``greeks``: delta dV/dF in coin, gamma per USD, vega in USD
per volatility point, theta in USD per day, rounded to five decimals, at the mark volatility.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.core.result import Success
from commonmode.exposure import Book, Greek, greek_table, resolve
from commonmode.market.clock import utc_ms

pytestmark = pytest.mark.recorded


@dataclass(frozen=True)
class Marks:
    """The venue's mark volatilities, option by option."""

    vol: dict[tuple[float, int], float]

    def implied_vol(
        self, strike: FloatArray, years: FloatArray, forward: FloatArray, expiry_ms: IntArray
    ) -> FloatArray:
        return np.array(
            [self.vol[k, e] for k, e in zip(strike.tolist(), expiry_ms.tolist(), strict=True)]
        )


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
def test_our_greeks_are_the_venue_s(recorded_data: Path, coin: str) -> None:
    time = utc_ms("2023-04-12T18:00Z")
    (market,) = DeribitOptionsFeed(recorded_data).snapshots([time], [coin])
    chain = market.chain(coin)
    file = recorded_data / "deribit_options_5min_202304" / f"{coin.lower()}_options_top.parquet"
    stamp = pl.col("snapshot_ts").dt.timestamp("ms") == time
    venue = pl.scan_parquet(file).filter(stamp).collect()
    greeks = {row["instrument_name"]: row for row in venue.iter_rows(named=True)}

    usable = chain.select(chain.usable & (chain.mark_iv > 0))
    marks = Marks(
        {
            (float(k), int(e)): float(v)
            for k, e, v in zip(usable.strike, usable.expiry_ms, usable.mark_iv, strict=True)
        }
    )
    held = resolve(Book.of("all", [(str(name), 1.0) for name in usable.names]), market)
    fits = {CurrencyCode(coin): {ModelId("mark"): Success(marks)}}
    ours = greek_table(held, fits, smile=False).usd[:, 0]
    assert len(held) == len(usable) > 400

    published = {
        name: np.array([greeks[n][name] for n in held.instrument.tolist()])
        for name in ("delta", "gamma", "vega", "theta")
    }
    # Ours is the USD value of a coin premium: index over forward of the undiscounted Black value.
    per_forward = held.forward / held.index
    delta = ours[:, Greek.DELTA] * per_forward / held.forward
    gamma = ours[:, Greek.GAMMA] * per_forward * 100 / held.forward**2
    vega = ours[:, Greek.VEGA] * per_forward
    theta = ours[:, Greek.THETA] * per_forward
    # The mark volatility is rounded to 0.01 points, the Greeks to five decimals.
    rounding = 0.5e-5
    for name, mine, tolerance in (
        ("delta", delta, 5e-5),
        ("gamma", gamma, 2 * rounding),
        ("vega", vega, rounding + 2e-4 * vega.max()),
    ):
        np.testing.assert_allclose(mine, published[name], rtol=0, atol=tolerance, err_msg=name)
    # Near expiry the venue shows what is left to lose, not the derivative: a week and more agrees.
    week = held.years > 7 / 365
    np.testing.assert_allclose(
        theta[week], published["theta"][week], rtol=0, atol=2e-4 * np.abs(theta[week]).max()
    )
