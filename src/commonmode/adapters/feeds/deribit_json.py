"""Deribit's own JSON of a whole chain (``public/get_book_summary_by_currency``, API v2).

A user records it with one request and reads it here. Payloads of the retired API v1 (camelCase
fields such as ``uPx``; switched off in 2019) are recognised and refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.market.chain import OptionChain
from commonmode.market.cleaning import clean_chain
from commonmode.market.columns import describe_missing
from commonmode.market.instruments import InstrumentKind, Settlement, parse_deribit_name

__all__ = ["chain_from_book_summary", "read_deribit_json"]

_NEEDED: Final = ("instrument_name", "underlying_price", "mark_price", "creation_timestamp")
_V1_MARKS: Final = ("/api/v1/", '"usOut"', '"uPx"', '"instrumentName"')
_REMEDY: Final = "record it again with public/get_book_summary_by_currency?kind=option (API v2)"


def read_deribit_json(path: Path) -> OptionChain:
    """Read a recorded response of ``get_book_summary_by_currency`` (options of one coin).

    Raises
    ------
    DataError
        A payload of the retired API v1, not JSON, an error response, or fields missing.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}", remedy=_REMEDY) from error
    if any(mark in text for mark in _V1_MARKS):
        raise DataError(
            f"{path.name} holds the retired Deribit API v1 schema (usOut, uPx, instrumentName), "
            "switched off in 2019",
            remedy=_REMEDY,
        )
    try:
        payload = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path.name} is not JSON: {error}", remedy=_REMEDY) from error
    result = payload.get("result") if isinstance(payload, dict) else payload
    if not isinstance(result, list):
        detail = payload.get("error", "no result") if isinstance(payload, dict) else "no result"
        raise DataError(f"{path.name} is not a chain: {detail}", remedy=_REMEDY)
    return chain_from_book_summary(result)


def chain_from_book_summary(rows: Sequence[Mapping[str, Any]]) -> OptionChain:
    """Chain from the entries of ``result``; entries that are not options are left out.

    Raises
    ------
    DataError
        No options, options of several coins, or fields missing.
    """
    options = []
    for row in rows:
        missing = [name for name in _NEEDED if name not in row]
        if missing:
            raise DataError(
                f"book summary: {describe_missing(missing, sorted(row))}", remedy=_REMEDY
            )
        listed = parse_deribit_name(str(row["instrument_name"]))
        if listed.kind is InstrumentKind.OPTION:
            options.append((row, listed))
    coins = sorted({(o.underlying, o.settlement.value) for _, o in options})
    if len(coins) != 1:
        raise DataError(
            f"a chain is one coin and one settlement, this payload holds {coins or 'no options'}",
            remedy="request one currency with kind=option",
        )
    stamps = np.array([int(row["creation_timestamp"]) for row, _ in options], dtype=np.int64)
    first = options[0][1]
    nothing = np.full(len(options), np.nan)

    def numbers(name: str) -> FloatArray:
        values = [row.get(name) for row, _ in options]
        return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)

    return clean_chain(
        venue=VenueId("deribit"),
        underlying=CurrencyCode(first.underlying),
        settlement=Settlement(first.settlement),
        time_ms=int(stamps.min()),
        names=np.array([o.id for _, o in options], dtype=np.str_),
        quote_ms=stamps,
        expiry_ms=np.array([o.expiry_ms for _, o in options], dtype=np.int64),
        strike=np.array([o.strike for _, o in options], dtype=np.float64),
        sign=np.array([o.sign for _, o in options], dtype=np.int64),
        bid=numbers("bid_price"),
        ask=numbers("ask_price"),
        mark=numbers("mark_price"),
        bid_iv=nothing,
        ask_iv=nothing,
        mark_iv=numbers("mark_iv") / 100.0,
        forward=numbers("underlying_price"),
        index=numbers("estimated_delivery_price"),
        open_interest=numbers("open_interest"),
    )
