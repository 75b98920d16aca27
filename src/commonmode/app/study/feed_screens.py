"""Integrity screens of the feeds beside a study's own bars: venues, trades, options, funding.

They say which venue a study should not be moved to without asking first. The recorded market has
them, and so has any study that names tables of trades, open interest or liquidations
(``[[market.activity]]``); others have the screens of their own bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from commonmode.adapters.feeds.recorded import (
    cross_venue_hourly,
    funding_2025,
    option_activity,
    top_of_book,
    trade_tape,
)
from commonmode.adapters.feeds.tables import read_events
from commonmode.app.study.schema import ActivitySettings
from commonmode.core.errors import CommonmodeError, DataError
from commonmode.core.units import HOUR_MS
from commonmode.market.funding import FundingSeries
from commonmode.market.history import History
from commonmode.market.integrity import (
    Screen,
    clock_skew,
    copied_bars,
    frozen_bars,
    funding_cadence,
    funding_scale,
    label_phase,
    label_shift,
    lagging_prices,
    liquidation_cap,
    matched_pairs,
    open_interest_reconciles,
    partial_bars,
    prints_inside_spread,
    round_sizes,
    size_digits,
    size_tail,
    volume_beyond_depth,
    volume_without_moves,
)

__all__ = ["recorded_screens", "stated_screens"]

_VENUES: Final = ("binance", "bybit", "hyperliquid", "lighter")
_FUNDING_VENUES: Final = ("binance", "bybit", "hyperliquid", "lighter", "kraken")
_ACTIVITY: Final[dict[str, tuple[str, ...]]] = {
    "trades": ("quantity",),
    "open-interest": ("open_interest", "volume"),
    "liquidations": (),
}
"""What a table of each kind has to hold besides the time."""
_MARKETS: Final = {"spot": "spot", "usdm": "USD-margined", "cm": "coin-margined"}
"""Engines of one venue, as its files and as people call them."""


def recorded_screens(
    root: Path, underlyings: Sequence[str], *, seed: int = 0, liquidations: bool = True
) -> tuple[tuple[Screen, ...], tuple[str, ...]]:
    """Every screen that the recordings of these coins allow.

    Parameters
    ----------
    root : Path
        Of the recordings.
    underlyings : sequence of str
    seed : int
    liquidations : bool
        Say that none are on record; False where the study names a table of them.

    Returns
    -------
    tuple of Screen, tuple of str
        The screens, and what is not on record.
    """
    screens: list[Screen] = []
    missing: list[str] = []
    parts: tuple[Callable[[Path, str, int], Iterator[Screen]], ...] = (
        _venues,
        _payments,
        _tapes,
        _options,
    )
    for coin in underlyings:
        for part in parts:
            try:
                screens += part(root, coin, seed)
            except DataError as error:
                missing.append(f"{error.message} ({error.remedy}).")
    # The captures subscribe to liquidations and hold none: the screen itself says so.
    if liquidations:
        screens.append(liquidation_cap(np.zeros(0, np.int64), subject="recorded liquidations"))
    return tuple(screens), tuple(missing)


def stated_screens(
    tables: Sequence[ActivitySettings], folder: Path, *, seed: int = 0
) -> tuple[tuple[Screen, ...], tuple[str, ...]]:
    """Every screen that the tables of a study's own allow.

    Parameters
    ----------
    tables : sequence of ActivitySettings
    folder : Path
        That their paths are relative to.
    seed : int

    Returns
    -------
    tuple of Screen, tuple of str
        The screens, and which tables could not be read.
    """
    screens: list[Screen] = []
    missing: list[str] = []
    for table in tables:
        try:
            screens += _stated(table, folder, seed)
        except CommonmodeError as error:
            missing.append(f"{table.subject}: {error.message} ({error.remedy}).")
    return tuple(screens), tuple(missing)


def _stated(table: ActivitySettings, folder: Path, seed: int) -> Iterator[Screen]:
    times, columns = read_events(
        folder / table.path,
        table.columns,
        _ACTIVITY[table.what],
        time_unit=table.time_unit,
        timezone=table.timezone,
    )
    subject = table.subject
    if table.what == "liquidations":
        yield liquidation_cap(times, subject=subject)
    elif table.what == "open-interest":
        yield open_interest_reconciles(columns["open_interest"], columns["volume"], subject=subject)
    else:
        quantity = columns["quantity"]
        yield size_digits(quantity, subject=subject)
        yield round_sizes(quantity, subject=subject)
        yield size_tail(quantity, subject=subject)
        if "sign" in columns:
            sign = np.sign(columns["sign"]).astype(np.int64)
            yield matched_pairs(quantity, sign, subject=subject, rng=seed)


def _venues(root: Path, coin: str, seed: int) -> Iterator[Screen]:
    """Hourly perpetual bars of 2025, venue against venue."""
    bars: dict[str, History] = {}
    for venue in _VENUES:
        try:
            bars[venue] = cross_venue_hourly(root, venue, coin)
        except DataError:
            continue
    if not bars:
        raise DataError(f"no venue's bars of {coin}", remedy="see docs/data.md")
    for venue, own in bars.items():
        yield frozen_bars(own)
        yield copied_bars(own)
        yield partial_bars(own)
        yield label_phase(own.times_ms, HOUR_MS, subject=own.instrument, phase_ms=0)
        others = [one for name, one in bars.items() if name != venue]
        if others:
            # The largest venue is everybody's peer, the next is its own.
            yield label_shift(own, others[0], rng=seed)
            yield lagging_prices(own, others[0], rng=seed)
            yield volume_without_moves(own, others[:1], rng=seed)


def _payments(root: Path, coin: str, seed: int) -> Iterator[Screen]:
    """Funding of 2025, venue against venue."""
    paid: list[FundingSeries] = []
    for venue in _FUNDING_VENUES:
        try:
            paid.append(funding_2025(root, venue, coin))
        except DataError:
            continue
    days = {id(one): len(np.unique(one.times_ms // (24 * HOUR_MS))) for one in paid}
    for one in paid:
        # Days that all have are compared: a venue on record for weeks would leave weeks of years.
        long = [other for other in paid if 2 * days[id(other)] >= days[id(one)]]
        yield funding_cadence(one)
        yield funding_scale(one, [other for other in long if other is not one])


def _tapes(root: Path, coin: str, seed: int) -> Iterator[Screen]:
    """Trades of one venue's three engines: signs of wash trading, and the recorder's clock."""
    for market, called in _MARKETS.items():
        tape = trade_tape(root, market, coin)
        subject = f"Binance {called} {coin}"
        yield size_digits(tape.quantity, subject=subject)
        yield round_sizes(tape.quantity, subject=subject)
        yield size_tail(tape.quantity, subject=subject)
        yield matched_pairs(tape.quantity, tape.sign, subject=subject, rng=seed)
        yield clock_skew(tape.event_ms, tape.local_ns, subject=subject)
        book = top_of_book(root, market, coin)
        if book is None:
            continue
        yield prints_inside_spread(
            tape.event_ms, tape.price, book.times_ms, book.bid, book.ask, subject=subject
        )
        yield volume_beyond_depth(
            tape.event_ms,
            tape.quantity,
            tape.sign,
            book.times_ms,
            book.bid_quantity,
            book.ask_quantity,
            subject=subject,
        )


def _options(root: Path, coin: str, seed: int) -> Iterator[Screen]:
    """Open interest of options against their trades, a day apart."""
    interest, volume, options = option_activity(root, coin)
    subject = f"{options} {coin} options on Deribit, day by day"
    # Both numbers come in one message, so no neighbouring interval is allowed for clocks.
    yield open_interest_reconciles(interest, volume, subject=subject, slack=0)
