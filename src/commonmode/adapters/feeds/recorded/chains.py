"""Whole Deribit chains of three single dates, each with a defect of its own.

``eth_20240108``  684 rows of ``get_book_summary_by_currency``: no bid and ask volatilities.
``btc_20251205``  676 rows without a time: it is inferred from ``T_years``, which is rounded to
five decimals (5 minutes each, 26 s for the chain together).
``btc_20211021``  49 out-of-the-money volatilities without prices or dates. ``ttm`` only fits
Deribit's Friday expiries at 08:00 UTC if its year has 360 days: then all four give one and the
same moment, 2021-10-20 21:24:34 UTC, the day before the date on the label.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from commonmode.adapters.feeds.files import collect, floats, milliseconds, scan_table
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.units import HOUR_MS, YEAR_MS, vol_from_percent
from commonmode.market.chain import OptionChain
from commonmode.market.cleaning import chain_notes, clean_chain
from commonmode.market.clock import utc_iso, utc_ms
from commonmode.market.instruments import Settlement, parse_deribit_name
from commonmode.market.snapshot import DataNote, Snapshot

__all__ = ["SINGLE_DATES", "single_date_chain"]

_FOLDER: Final = "deribit_chains_single_dates"
_ROUNDING_YEARS: Final = 0.5e-5
_EXPIRIES_2021: Final = {
    "2w": "2021-11-05T08:00Z",
    "1m": "2021-11-26T08:00Z",
    "2m": "2021-12-31T08:00Z",
    "3m": "2022-03-25T08:00Z",
}


def single_date_chain(root: Path, name: str) -> Snapshot:
    """One of :data:`SINGLE_DATES` as a snapshot of one chain.

    Raises
    ------
    DataError
        Unknown name.
    """
    try:
        read = _READERS[name]
    except KeyError:
        raise DataError(
            f"no recorded single-date chain {name!r}", remedy=f"there are: {', '.join(_READERS)}"
        ) from None
    chain, notes = read(root / _FOLDER)
    return Snapshot(chain.time_ms, {chain.underlying: chain}, (*notes, *chain_notes(chain)))


def _eth_20240108(folder: Path) -> tuple[OptionChain, list[DataNote]]:
    path = folder / "eth_book_summary_20240108.parquet"
    names = ("instrument_name", "creation_timestamp", "expiry", "strike", "option_type")
    values = ("underlying_price", "estimated_delivery_price", "open_interest")
    prices = ("bid_price", "ask_price", "mark_price")
    rows = collect(scan_table(path, (*names, *values, *prices)), path)
    nothing = np.full(len(rows), np.nan)
    stamps = rows["creation_timestamp"].to_numpy().copy()
    chain = _clean(
        "ETH",
        int(stamps.min()),
        rows["instrument_name"],
        stamps,
        milliseconds(rows, "expiry"),
        floats(rows, "strike"),
        np.where(rows["option_type"].to_numpy() == "C", 1, -1).astype(np.int64),
        (floats(rows, "bid_price"), floats(rows, "ask_price"), floats(rows, "mark_price")),
        (nothing, nothing, nothing),
        floats(rows, "underlying_price"),
        floats(rows, "estimated_delivery_price"),
        floats(rows, "open_interest"),
    )
    text = "a book summary carries no volatilities: imply them from mark and forward"
    return chain, [DataNote("no_volatilities", text, len(chain))]


def _btc_20251205(folder: Path) -> tuple[OptionChain, list[DataNote]]:
    path = folder / "btc_chain_20251205.parquet"
    names = ("instrument_name", "T_years", "S0", "market_price_btc", "mark_iv")
    rows = collect(scan_table(path, (*names, "bid_btc", "ask_btc", "open_interest")), path)
    listed = [parse_deribit_name(name) for name in rows["instrument_name"].to_list()]
    expiry = np.array([option.expiry_ms for option in listed], dtype=np.int64)
    years = floats(rows, "T_years")
    # Every row confines the unknown time to an interval as wide as the rounding: intersect them.
    earliest = float((expiry - (years + _ROUNDING_YEARS) * YEAR_MS).max())
    latest = float((expiry - (years - _ROUNDING_YEARS) * YEAR_MS).min())
    if earliest > latest:
        raise DataError(
            f"{path.name}: times to expiry contradict one another",
            remedy="the file is not the recorded one; fetch it again",
        )
    time = round((earliest + latest) / 2)
    nothing = np.full(len(rows), np.nan)
    mark_iv = vol_from_percent(floats(rows, "mark_iv"))
    chain = _clean(
        "BTC",
        time,
        rows["instrument_name"],
        np.full(len(rows), time, dtype=np.int64),
        expiry,
        np.array([option.strike for option in listed], dtype=np.float64),
        np.array([option.sign for option in listed], dtype=np.int64),
        (floats(rows, "bid_btc"), floats(rows, "ask_btc"), floats(rows, "market_price_btc")),
        (nothing, nothing, mark_iv),
        floats(rows, "S0"),
        nothing,
        floats(rows, "open_interest"),
    )
    half = (latest - earliest) / 2000
    text = f"no time in the file; {utc_iso(time)} +- {half:.0f} s from rounded times to expiry"
    return chain, [DataNote("time_inferred", text, len(chain))]


def _btc_20211021(folder: Path) -> tuple[OptionChain, list[DataNote]]:
    path = folder / "btc_iv_quotes_20211021_stochvolmodels.parquet"
    names = ("slice", "ttm", "forward", "strike", "option_type", "bid_iv", "ask_iv")
    rows = collect(scan_table(path, names), path)
    expiry = np.array([utc_ms(_EXPIRIES_2021[s]) for s in rows["slice"].to_list()], dtype=np.int64)
    moments = expiry - floats(rows, "ttm") * 360 * 24 * HOUR_MS
    time = round(float(moments.mean()))
    nothing = np.full(len(rows), np.nan)
    bid_iv, ask_iv = floats(rows, "bid_iv"), floats(rows, "ask_iv")
    labels = [
        f"BTC-{s}-{k:.0f}-{t}"
        for s, k, t in zip(rows["slice"], rows["strike"], rows["option_type"], strict=True)
    ]
    chain = _clean(
        "BTC",
        time,
        pl.Series(labels),
        np.full(len(rows), time, dtype=np.int64),
        expiry,
        floats(rows, "strike"),
        np.where(rows["option_type"].to_numpy() == "C", 1, -1).astype(np.int64),
        (nothing, nothing, nothing),
        (bid_iv, ask_iv, (bid_iv + ask_iv) / 2),
        floats(rows, "forward"),
        nothing,
        nothing,
    )
    spread = float(np.ptp(moments)) / 1000
    return chain, [
        DataNote(
            "day_count_360",
            f"ttm counts years of 360 days; all rows then agree on {utc_iso(time)} to "
            f"{spread:.1f} s (the label says 21 October)",
            len(chain),
        ),
        DataNote("mid_as_mark_iv", "no marks: the mid of bid and ask volatility", len(chain)),
    ]


def _clean(
    underlying: str,
    time_ms: int,
    names: pl.Series,
    quote_ms: IntArray,
    expiry_ms: IntArray,
    strike: FloatArray,
    sign: IntArray,
    prices: tuple[FloatArray, FloatArray, FloatArray],
    vols: tuple[FloatArray, FloatArray, FloatArray],
    forward: FloatArray,
    index: FloatArray,
    open_interest: FloatArray,
) -> OptionChain:
    return clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode(underlying),
        settlement=Settlement.COIN,
        time_ms=time_ms,
        names=np.array(names.to_list(), dtype=np.str_),
        quote_ms=quote_ms,
        expiry_ms=expiry_ms,
        strike=strike,
        sign=sign,
        bid=prices[0],
        ask=prices[1],
        mark=prices[2],
        bid_iv=vols[0],
        ask_iv=vols[1],
        mark_iv=vols[2],
        forward=forward,
        index=index,
        open_interest=open_interest,
    )


_READERS: Final[dict[str, Callable[[Path], tuple[OptionChain, list[DataNote]]]]] = {
    "eth_20240108": _eth_20240108,
    "btc_20251205": _btc_20251205,
    "btc_20211021": _btc_20211021,
}

SINGLE_DATES: Final = tuple(_READERS)
"""Names of the recorded single-date chains."""
