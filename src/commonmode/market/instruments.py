"""Instruments: option, future, perpetual, spot; linear and inverse; coin- and USD-settled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, InstrumentId, VenueId

__all__ = [
    "POWER_UNIT_USD",
    "Instrument",
    "InstrumentKind",
    "Payoff",
    "Settlement",
    "parse_deribit_name",
    "parse_perpetual_name",
]

#: Price at which a power perpetual of any exponent pays one coin.
POWER_UNIT_USD: Final = 10_000.0


class InstrumentKind(Enum):
    """What is traded."""

    OPTION = "option"
    FUTURE = "future"
    PERPETUAL = "perpetual"
    SPOT = "spot"
    POWER_PERPETUAL = "power_perpetual"
    EVERLASTING_OPTION = "everlasting_option"


class Payoff(Enum):
    """Linear: the payoff is a number of quote units; inverse: that number divided by the price."""

    LINEAR = "linear"
    INVERSE = "inverse"


class Settlement(Enum):
    """What the profit is paid in; premiums and margins of the instrument are in the same unit."""

    COIN = "coin"
    USD = "usd"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listed instrument.

    Attributes
    ----------
    id : InstrumentId
        The venue's own name.
    venue : VenueId
    kind : InstrumentKind
    underlying : CurrencyCode
        Coin whose price the instrument follows, e.g. ``BTC``.
    payoff : Payoff
    settlement : Settlement
    contract_size : float
        Coins (linear, options) or USD (inverse futures and perpetuals) per contract; > 0.
    expiry_ms : int or None
        UTC milliseconds; None for perpetual and spot.
    strike : float or None
        USD per coin; options only; > 0.
    sign : int
        +1 call, -1 put, 0 otherwise.
    power : float or None
        Exponent p of a power perpetual, whose payoff is ``S (S / 10 000)^(p - 1)`` USD per coin of
        contract size (Opyn's scaling); None otherwise.

    Raises
    ------
    DataError
        If the fields contradict one another.
    """

    id: InstrumentId
    venue: VenueId
    kind: InstrumentKind
    underlying: CurrencyCode
    payoff: Payoff
    settlement: Settlement
    contract_size: float = 1.0
    expiry_ms: int | None = None
    strike: float | None = None
    sign: int = 0
    power: float | None = None

    def __post_init__(self) -> None:
        """Check that the fields fit one another."""
        is_option = self.kind in (InstrumentKind.OPTION, InstrumentKind.EVERLASTING_OPTION)
        is_power = self.kind is InstrumentKind.POWER_PERPETUAL
        dated = self.kind in (InstrumentKind.OPTION, InstrumentKind.FUTURE)
        problem = ""
        if is_option != (self.strike is not None) or is_option != (self.sign in (-1, 1)):
            problem = "an option has a strike and a sign of +1 or -1, nothing else has"
        elif is_power != (self.power is not None and self.power > 0):
            problem = "a power perpetual has a positive power, nothing else has"
        elif dated != (self.expiry_ms is not None):
            problem = "options and futures have an expiry, perpetuals and spot have none"
        elif self.strike is not None and not self.strike > 0:
            problem = f"strike {self.strike} is not positive"
        elif not self.contract_size > 0:
            problem = f"contract size {self.contract_size} is not positive"
        elif self.payoff is Payoff.INVERSE and self.settlement is not Settlement.COIN:
            problem = "an inverse instrument settles in coin"
        if problem:
            raise DataError(
                f"instrument {self.id}: {problem}", remedy="correct the instrument definition"
            )


_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), 1
    )
}
_DERIBIT: Final = re.compile(
    r"^(?P<coin>[A-Z]+)(?P<linear>_USDC|_USDT)?-"
    r"(?:(?P<perp>PERPETUAL)|(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
    r"(?:-(?P<strike>\d+(?:d\d+)?)-(?P<type>[CP]))?)$"
)
_EXPIRY_HOUR_UTC: Final = 8


def parse_deribit_name(name: str, *, venue: str = "deribit") -> Instrument:
    """Read a Deribit instrument name such as ``BTC-13APR23-27500-C`` or ``ETH-PERPETUAL``.

    Names without a suffix are inverse and coin-settled; ``_USDC``/``_USDT`` names are linear and
    USD-settled. Expiry is 08:00 UTC. A ``d`` in a strike is a decimal point (``0d85``).

    Raises
    ------
    DataError
        If the name does not follow the pattern.
    """
    match = _DERIBIT.match(name)
    if match is None or (match["month"] is not None and match["month"] not in _MONTHS):
        raise DataError(
            f"{name!r} is not a Deribit instrument name",
            remedy="expected COIN-DDMMMYY-STRIKE-C|P, COIN-DDMMMYY or COIN-PERPETUAL",
        )
    linear = match["linear"] is not None
    expiry_ms = None
    kind = InstrumentKind.PERPETUAL
    strike, sign = None, 0
    if match["perp"] is None:
        try:
            expiry = datetime(
                2000 + int(match["year"]),
                _MONTHS[str(match["month"])],
                int(match["day"]),
                _EXPIRY_HOUR_UTC,
                tzinfo=UTC,
            )
        except ValueError as error:
            raise DataError(
                f"{name!r} names a date that does not exist", remedy="check the instrument name"
            ) from error
        expiry_ms = int(expiry.timestamp()) * 1000
        kind = InstrumentKind.FUTURE
        if match["strike"] is not None:
            kind = InstrumentKind.OPTION
            strike = float(match["strike"].replace("d", "."))
            sign = 1 if match["type"] == "C" else -1
    is_inverse_usd_sized = not linear and kind is not InstrumentKind.OPTION
    return Instrument(
        id=InstrumentId(name),
        venue=VenueId(venue),
        kind=kind,
        underlying=CurrencyCode(match["coin"]),
        payoff=Payoff.LINEAR if linear else Payoff.INVERSE,
        settlement=Settlement.USD if linear else Settlement.COIN,
        contract_size=10.0 if is_inverse_usd_sized and match["coin"] == "BTC" else 1.0,
        expiry_ms=expiry_ms,
        strike=strike,
        sign=sign,
    )


_PERPETUAL: Final = re.compile(
    r"^(?P<coin>[A-Z]+)-(?:POWER-(?P<power>\d+(?:\.\d+)?)"
    r"|EVERLASTING-(?P<strike>\d+(?:\.\d+)?)-(?P<type>[CP]))$"
)


def parse_perpetual_name(name: str, *, venue: str = "over the counter") -> Instrument | None:
    """Read ``BTC-POWER-2`` (a power perpetual) or ``BTC-EVERLASTING-30000-P``; None for others.

    Both are linear, settle in USD, are of one coin per contract and are funded once a day.
    """
    match = _PERPETUAL.match(name)
    if match is None:
        return None
    is_power = match["power"] is not None
    kind = InstrumentKind.POWER_PERPETUAL if is_power else InstrumentKind.EVERLASTING_OPTION
    return Instrument(
        id=InstrumentId(name),
        venue=VenueId(venue),
        kind=kind,
        underlying=CurrencyCode(match["coin"]),
        payoff=Payoff.LINEAR,
        settlement=Settlement.USD,
        strike=None if is_power else float(match["strike"]),
        sign=0 if is_power else (1 if match["type"] == "C" else -1),
        power=float(match["power"]) if is_power else None,
    )
