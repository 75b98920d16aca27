"""Long daily histories: prices of six coins, BTC with covariates, stablecoins, DVOL, returns.

The CoinGecko prices change the meaning of their dates between 29 and 30 January 2018: up to then a
date is the *end* of that day, from then on its *start* (against independent closes the correlation
of returns moves from lag 0 to lag 1 exactly there). Both name the same midnight, so the second one
is dropped and the change is noted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.errors import DataError
from commonmode.core.ids import InstrumentId
from commonmode.core.units import HOUR_MS, vol_from_percent
from commonmode.market.bars import clean_bars
from commonmode.market.clock import utc_ms
from commonmode.market.history import History
from commonmode.market.snapshot import DataNote

__all__ = ["benchmark_returns", "btc_daily", "daily_prices", "dvol_daily", "stablecoin_peg"]

_DAY_MS: Final = 24 * HOUR_MS
_FLIP: Final = "2018-01-30"
"""First CoinGecko date that names the start of its day."""

_COVARIATES: Final = ("volume", "vix", "dxy", "fng", "hashrate", "difficulty", "funding_mean")


def daily_prices(root: Path, asset: str) -> History:
    """Daily CoinGecko price, market cap and volume; times are the moment of the price.

    Parameters
    ----------
    root : Path
    asset : str
        BTC, ETH, BNB, XRP, LTC or ADA.
    """
    path = root / "daily_prices_coingecko_2013_2025" / "daily.parquet"
    columns = ("date", "asset", "price", "market_cap", "total_volume")
    rows = _of(path, columns, "asset", asset, "date")
    labels = milliseconds(rows, "date")
    old = labels < utc_ms(_FLIP)
    notes: tuple[DataNote, ...] = ()
    if old.any() and not old.all():
        text = (
            f"dates before {_FLIP} name the end of their day ({int(old.sum())} rows, moved one day "
            "on), later ones its start"
        )
        notes = (DataNote("label_convention_flips", text, int(old.sum())),)
    return clean_bars(
        InstrumentId(f"{asset}-USD"),
        _DAY_MS,
        np.where(old, labels + _DAY_MS, labels),
        {
            "close": floats(rows, "price"),
            "market_cap": floats(rows, "market_cap"),
            "volume": floats(rows, "total_volume"),
        },
        notes=notes,
    )


def btc_daily(root: Path) -> History:
    """BTC daily close with VIX, dollar index, sentiment and chain covariates, 2015 to mid-2022."""
    folder = "btc_daily_covariates_2015_2026"
    path = root / folder / "btc_daily_20150101_20220630.parquet"
    frame = scan_table(path, ("date", "price", *_COVARIATES)).sort("date")
    rows = collect(frame, path)
    text = "covariates were carried forward by the source; when they were published is not known"
    return clean_bars(
        InstrumentId("BTC-USD"),
        _DAY_MS,
        milliseconds(rows, "date") + _DAY_MS,
        {"close": floats(rows, "price"), **{name: floats(rows, name) for name in _COVARIATES}},
        notes=(DataNote("publication_lag_unknown", text, len(rows)),),
    )


def stablecoin_peg(root: Path, symbol: str) -> History:
    """Daily USD price of a stablecoin, and the day's low where an intraday source was found.

    Daily marks hide intraday lows: the note counts the days on which ``low`` is only the mark.
    """
    path = root / "stablecoin_peg_2021_2026" / "peg_daily_2021_2024.parquet"
    rows = _of(
        path, ("date", "symbol", "price", "price_low", "low_source"), "symbol", symbol, "date"
    )
    marks = int((rows["low_source"] == "defillama_daily").sum())
    text = f"on {marks} of {len(rows)} days the low is the daily mark, not an intraday low"
    return clean_bars(
        InstrumentId(f"{symbol}-USD"),
        _DAY_MS,
        milliseconds(rows, "date"),
        {"close": floats(rows, "price"), "low": floats(rows, "price_low")},
        notes=(DataNote("daily_mark_as_low", text, marks),),
    )


def dvol_daily(root: Path) -> History:
    """BTC daily bars with the DVOL index (annualised decimal) as ``implied_vol``, from 2024."""
    path = root / "dvol_btc_daily_2024_2026" / "btc_dvol_daily_20240101_20260109.parquet"
    prices = ("open", "high", "low", "close", "volume")
    frame = scan_table(path, ("date", *prices, "dvol"))
    rows = collect(frame.with_columns(pl.col("date").str.to_datetime("%Y-%m-%d")), path)
    return clean_bars(
        InstrumentId("BTCUSDT"),
        _DAY_MS,
        milliseconds(rows, "date") + _DAY_MS,
        {
            **{name: floats(rows, name) for name in prices},
            "implied_vol": vol_from_percent(floats(rows, "dvol")),
        },
    )


def benchmark_returns(root: Path, asset: str) -> History:
    """Daily returns of a published VaR comparison, as an index that starts at 1.

    The set holds log-returns only; ``close`` is their running exponential, so that ``log_returns``
    gives them back (the first return is the first close).
    """
    path = root / "var_benchmark_returns_quantlet" / f"{asset}_returns.csv"
    frame = scan_table(path, ("date", "log_return"))
    rows = collect(frame.with_columns(pl.col("date").str.to_datetime("%Y-%m-%d")), path)
    return clean_bars(
        InstrumentId(f"{asset}-USD"),
        _DAY_MS,
        milliseconds(rows, "date") + _DAY_MS,
        {"close": np.exp(np.cumsum(floats(rows, "log_return")))},
    )


def _of(path: Path, columns: tuple[str, ...], key: str, value: str, time: str) -> pl.DataFrame:
    frame = scan_table(path, columns).select(columns)
    rows = collect(frame.filter(pl.col(key) == value).sort(time), path)
    if rows.is_empty():
        there = collect(frame.select(pl.col(key).unique().sort()), path).to_series().to_list()
        raise DataError(f"{path.name} holds no {value!r}", remedy=f"it holds: {', '.join(there)}")
    return rows
