"""The venue's own implied volatilities, recomputed from its prices (April 2023 recording)."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from commonmode.core.units import YEAR_MS
from commonmode.pricing import black76_implied_vol, inverse_greeks

pytestmark = pytest.mark.recorded


@pytest.fixture(scope="module", params=["btc", "eth"])
def quotes(request, recorded_data):
    path = recorded_data / "deribit_options_5min_202304" / f"{request.param}_options_top.parquet"
    frame = pl.scan_parquet(path)
    times = frame.select(pl.col("snapshot_ts").unique().sort()).collect()["snapshot_ts"]
    some = times.gather_every(len(times) // 6)
    return frame.filter(pl.col("snapshot_ts").is_in(some.implode())).collect()


def columns(quotes):
    """Forward, strike, years and sign of each quote."""
    years = (quotes["expiry"] - quotes["exchange_ts"]).dt.total_milliseconds().to_numpy() / YEAR_MS
    sign = np.where(quotes["option_type"].to_numpy() == "C", 1, -1)
    return quotes["underlying_price"].to_numpy(), quotes["strike"].to_numpy(), years, sign


def error_in_vol_points(quotes, price, published, *, least):
    """|recomputed - published| in vol points, of prices of at least ``least`` coin."""
    forward, strike, years, sign = columns(quotes)
    coin, quoted = quotes[price].to_numpy(), quotes[published].to_numpy()
    # 0, and 300 and more, are the venue's signs for "none".
    rows = (coin >= least) & (coin > 0) & (years > 0) & (quoted > 0) & (quoted < 300)
    if least > 0:
        rows &= sign * (strike - forward) > 0
    f = forward[rows]
    vol = black76_implied_vol(coin[rows] * f, f, strike[rows], years[rows], sign=sign[rows])
    return np.abs(100 * vol - quoted[rows])


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_bid_and_ask_vols_are_recomputed(quotes, side):
    miss = error_in_vol_points(quotes, f"best_{side}_price", f"{side}_iv", least=0.0)
    assert len(miss) > 1500
    assert np.isfinite(miss).all()
    assert np.median(miss) <= 0.005


def test_mark_vols_are_recomputed(quotes):
    # The mark price is rounded to 1e-4 coin: out of the money and 50 ticks or more.
    miss = error_in_vol_points(quotes, "mark_price", "mark_iv", least=0.005)
    assert len(miss) > 500
    assert np.isfinite(miss).all()
    assert np.median(miss) <= 0.03


def test_published_greeks_are_the_usd_ones(quotes):
    """Delta, gamma as they are; vega and rho per point, theta per day, all in USD."""
    forward, strike, years, sign = columns(quotes)
    vol = quotes["mark_iv"].to_numpy() / 100
    rows = (years > 1 / 365) & (vol > 0)
    ours = inverse_greeks(forward[rows], strike[rows], years[rows], vol[rows], sign=sign[rows])
    pairs = {
        "delta": ours.delta_usd,
        "gamma": ours.gamma_usd,
        "vega": ours.vega_usd / 100,
        "theta": ours.theta_usd_per_day,
        "rho": ours.rho_usd / 100,
    }
    for name, value in pairs.items():
        published = quotes[name].to_numpy()[rows]
        # Five decimals are published; the vol behind them has two.
        rounding = 1e-5 + 1e-4 * np.median(np.abs(published))
        assert np.median(np.abs(value - published)) < rounding, name
