"""Books resolved against a snapshot: columns that a pricer can work on, failures beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray, StringArray
from commonmode.core.errors import DataError
from commonmode.core.ids import BookId, CurrencyCode, InstrumentId, VenueId
from commonmode.core.result import Failure, FailureReason
from commonmode.core.units import YEAR_MS
from commonmode.market.chain import OptionChain
from commonmode.market.instruments import (
    POWER_UNIT_USD,
    Instrument,
    InstrumentKind,
    Payoff,
    Settlement,
    parse_deribit_name,
    parse_perpetual_name,
)
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book, Position

__all__ = ["Book", "Position", "PositionFailure", "ResolvedBook", "instrument_of", "resolve"]


@dataclass(frozen=True, slots=True)
class PositionFailure:
    """A position that could not be resolved; the others are unharmed."""

    book: BookId
    position: Position
    failure: Failure


@dataclass(frozen=True, slots=True, eq=False)
class ResolvedBook:
    """Positions of one book or of several, columnar; all arrays have shape (P,).

    Attributes
    ----------
    time_ms : int
        Time of the snapshot, UTC milliseconds.
    book, instrument, underlying : array of str
    kind : array of str
        Value of :class:`InstrumentKind`.
    expiry_ms : int64
        0 for perpetuals and spot.
    strike : float64
        USD per coin; NaN for anything but options.
    sign : int64
        +1 call, -1 put, 0 otherwise.
    inverse : bool
        Payoff divided by the price.
    coin_settled : bool
    contract_size : float64
        Coins per contract; USD per contract for inverse futures and perpetuals.
    quantity : float64
        Contracts, signed.
    forward, index : float64
        USD; options carry those of their own quote, others the medians of their expiry and of the
        underlying.
    years : float64
        To expiry from the quote's own time; 0 for perpetuals and spot.
    power : float64, optional
        Exponent of power perpetuals, NaN otherwise.
    smile_expiry_ms : int64; smile_forward, smile_years : float64, optional
        The listed expiry whose smile values the position: its own for options, the nearest one of
        half a day or more for power perpetuals and everlasting options, which have none.
    failures : tuple of PositionFailure
    """

    time_ms: int
    book: StringArray
    instrument: StringArray
    underlying: StringArray
    kind: StringArray
    expiry_ms: IntArray
    strike: FloatArray
    sign: IntArray
    inverse: BoolArray
    coin_settled: BoolArray
    contract_size: FloatArray
    quantity: FloatArray
    forward: FloatArray
    index: FloatArray
    years: FloatArray
    failures: tuple[PositionFailure, ...] = ()
    power: FloatArray = field(default_factory=lambda: np.zeros(0))
    smile_expiry_ms: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    smile_forward: FloatArray = field(default_factory=lambda: np.zeros(0))
    smile_years: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Fill in what was left out and check shapes."""
        n = len(self.instrument)
        if n and not len(self.power):
            object.__setattr__(self, "power", np.full(n, np.nan))
        if n and not len(self.smile_expiry_ms):
            object.__setattr__(self, "smile_expiry_ms", self.expiry_ms)
            object.__setattr__(self, "smile_forward", self.forward)
            object.__setattr__(self, "smile_years", self.years)
        for column in fields(self):
            array = getattr(self, column.name)
            if isinstance(array, np.ndarray) and array.shape != (n,):
                raise DataError(
                    f"resolved book: column {column.name} has shape {array.shape}, expected ({n},)",
                    remedy="all columns have one entry per position",
                )

    def __len__(self) -> int:
        return len(self.instrument)

    def select(self, rows: BoolArray | IntArray) -> ResolvedBook:
        """The positions restricted to ``rows`` (mask or indices), failures left out."""
        changes = {
            column.name: getattr(self, column.name)[rows]
            for column in fields(self)
            if isinstance(getattr(self, column.name), np.ndarray)
        }
        return replace(self, failures=(), **changes)

    @property
    def is_option(self) -> BoolArray:
        """Options with an expiry, shape (P,)."""
        return np.asarray(self.kind == InstrumentKind.OPTION.value)

    @property
    def is_curved_perpetual(self) -> BoolArray:
        """Power perpetuals and everlasting options: no expiry, but a volatility, shape (P,)."""
        everlasting = self.kind == InstrumentKind.EVERLASTING_OPTION.value
        return np.asarray(everlasting | (self.kind == InstrumentKind.POWER_PERPETUAL.value))

    @property
    def coins(self) -> FloatArray:
        """Size in coins, signed, shape (P,): contracts times coins per contract.

        An inverse future or perpetual of N USD counts ``N / forward`` coins, a power perpetual
        ``(S / 10 000)^(p - 1)``.
        """
        usd_sized = self.inverse & ~self.is_option
        per_contract = np.where(usd_sized, self.contract_size / self.forward, self.contract_size)
        scale = (self.index / POWER_UNIT_USD) ** (np.nan_to_num(self.power, nan=1.0) - 1.0)
        per_contract = per_contract * scale
        return np.asarray(self.quantity * per_contract)

    @property
    def gross_usd(self) -> FloatArray:
        """Gross exposure of each position, USD: absolute size in coins times index, shape (P,)."""
        return np.asarray(np.abs(self.coins) * self.index)


def instrument_of(name: str) -> Instrument:
    """The instrument a name stands for: Deribit's names, ``BTC_USD`` for spot, novel perpetuals.

    ``BTC-POWER-2`` and ``BTC-EVERLASTING-30000-P`` are those of
    :func:`commonmode.market.instruments.parse_perpetual_name`.

    Raises
    ------
    DataError
        If the name follows neither pattern.
    """
    coin, separator, money = name.partition("_")
    if separator and coin.isalpha() and coin.isupper() and money in ("USD", "USDC", "USDT"):
        return Instrument(
            id=InstrumentId(name),
            venue=VenueId("spot"),
            kind=InstrumentKind.SPOT,
            underlying=CurrencyCode(coin),
            payoff=Payoff.LINEAR,
            settlement=Settlement.USD,
        )
    return parse_perpetual_name(name) or parse_deribit_name(name)


@dataclass(frozen=True, slots=True, eq=False)
class _Market:
    """One underlying of the snapshot, ready for look-ups."""

    time_ms: int
    index: float
    rows: dict[str, int]
    forwards: dict[int, float]
    chain: OptionChain

    @classmethod
    def of(cls, chain: OptionChain) -> _Market:
        good = np.isfinite(chain.index) & (chain.index > 0)
        index = float(np.median(chain.index[good])) if good.any() else math.nan
        priced = np.isfinite(chain.forward) & (chain.forward > 0)
        forwards = {
            int(expiry): float(np.median(chain.forward[priced & (chain.expiry_ms == expiry)]))
            for expiry in np.unique(chain.expiry_ms[priced])
        }
        rows = {str(name): row for row, name in enumerate(chain.names)}
        return cls(chain.time_ms, index, rows, forwards, chain)

    def listed(self, name: str) -> Instrument | None:
        """The option of that name as the chain lists it, if it does."""
        row = self.rows.get(name)
        if row is None:
            return None
        chain = self.chain
        coin = chain.settlement is Settlement.COIN
        return Instrument(
            id=InstrumentId(name),
            venue=chain.venue,
            kind=InstrumentKind.OPTION,
            underlying=chain.underlying,
            payoff=Payoff.INVERSE if coin else Payoff.LINEAR,
            settlement=chain.settlement,
            expiry_ms=int(chain.expiry_ms[row]),
            strike=float(chain.strike[row]),
            sign=int(chain.sign[row]),
        )

    def look_up(self, instrument: Instrument) -> tuple[float, float, float]:
        """(forward, index, years); the forward is NaN where the market shows none."""
        expiry = instrument.expiry_ms
        if expiry is None:
            return self.index, self.index, 0.0
        index, clock = self.index, self.time_ms
        forward = self.forwards.get(expiry, math.nan)
        row = self.rows.get(instrument.id)
        if row is not None:
            # Quotes of one snapshot are minutes apart: an option is priced on its own clock.
            own, own_index = float(self.chain.forward[row]), float(self.chain.index[row])
            if own > 0 and own_index > 0:
                forward, index, clock = own, own_index, int(self.chain.quote_ms[row])
        return forward, index, (expiry - clock) / YEAR_MS

    def smile(
        self, instrument: Instrument, own: tuple[float, float, float]
    ) -> tuple[int, float, float]:
        """(expiry, forward, years) of the smile that values the instrument."""
        if instrument.kind not in _CURVED:
            return instrument.expiry_ms or 0, own[0], own[2]
        later = [e for e in sorted(self.forwards) if e - self.time_ms >= YEAR_MS / 730]
        if not later:
            return 0, math.nan, math.nan
        return later[0], self.forwards[later[0]], (later[0] - self.time_ms) / YEAR_MS


_CURVED = (InstrumentKind.POWER_PERPETUAL, InstrumentKind.EVERLASTING_OPTION)


def _failed(reason: FailureReason, message: str, remedy: str) -> Failure:
    return Failure(reason, message, remedy)


def _resolve_one(
    position: Position,
    markets: dict[str, _Market],
    catalogue: Callable[[str], Instrument],
) -> tuple[Instrument, tuple[float, float, float]] | Failure:
    name = position.instrument
    if not math.isfinite(position.quantity):
        return _failed(
            FailureReason.INVALID_INPUT,
            f"{name}: quantity {position.quantity} is not a number of contracts",
            "correct the quantity in the book",
        )
    try:
        # A venue may name its options as it likes; what it lists itself needs no catalogue.
        listed = (market.listed(name) for market in markets.values())
        instrument = next((one for one in listed if one is not None), None) or catalogue(name)
    except (DataError, KeyError) as error:
        return _failed(
            FailureReason.INVALID_INPUT,
            f"{name}: unknown instrument",
            getattr(error, "remedy", "") or "add it to the instrument catalogue",
        )
    market = markets.get(instrument.underlying)
    if market is None:
        return _failed(
            FailureReason.MISSING_DATA,
            f"{name}: the snapshot has no {instrument.underlying}",
            f"it has: {', '.join(sorted(markets)) or 'none'}; add a feed that quotes it",
        )
    forward, index, years = market.look_up(instrument)
    if instrument.expiry_ms is not None and years <= 0:
        return _failed(
            FailureReason.NOT_APPLICABLE,
            f"{name}: expired before the snapshot",
            "settle it and take it out of the book",
        )
    if not (forward > 0 and index > 0):
        return _failed(
            FailureReason.MISSING_DATA,
            f"{name}: the snapshot shows no forward of its expiry",
            "use a snapshot that quotes the expiry, or map the position to a listed one",
        )
    return instrument, (forward, index, years)


def resolve(
    book: Book | Iterable[Book],
    snapshot: Snapshot,
    *,
    catalogue: Callable[[str], Instrument] = instrument_of,
) -> ResolvedBook:
    """Look every position up in the market.

    Parameters
    ----------
    book : Book or iterable of Book
    snapshot : Snapshot
    catalogue : callable, optional
        From a name that no chain lists to its :class:`Instrument`; a ``DataError`` or
        ``KeyError`` means unknown.

    Returns
    -------
    ResolvedBook
        Good positions in the order given; an unknown, expired or unquoted instrument, or a
        quantity that is no number, is one entry of ``failures``. An option at a strike that is not
        listed is resolved as long as its expiry is quoted.
    """
    books = (book,) if isinstance(book, Book) else tuple(book)
    markets = {str(coin): _Market.of(chain) for coin, chain in snapshot.chains.items()}
    known: dict[str, tuple[Instrument, tuple[float, float, float]] | Failure] = {}
    rows: list[tuple[str, Position, Instrument, tuple[float, float, float]]] = []
    failures: list[PositionFailure] = []
    for one in books:
        for position in one.positions:
            finite = math.isfinite(position.quantity)
            found = known.get(position.instrument) if finite else None
            if found is None:
                found = _resolve_one(position, markets, catalogue)
                if finite:
                    known[position.instrument] = found
            if isinstance(found, Failure):
                failures.append(PositionFailure(one.id, position, found))
            else:
                rows.append((str(one.id), position, *found))
    instruments = [row[2] for row in rows]
    smiles = [markets[row[2].underlying].smile(row[2], row[3]) for row in rows]
    levels = np.array([row[3] for row in rows], dtype=np.float64).reshape(len(rows), 3)
    return ResolvedBook(
        time_ms=snapshot.time_ms,
        book=np.array([row[0] for row in rows], dtype=np.str_),
        instrument=np.array([str(i.id) for i in instruments], dtype=np.str_),
        underlying=np.array([str(i.underlying) for i in instruments], dtype=np.str_),
        kind=np.array([i.kind.value for i in instruments], dtype=np.str_),
        expiry_ms=np.array([i.expiry_ms or 0 for i in instruments], dtype=np.int64),
        strike=np.array([i.strike or math.nan for i in instruments], dtype=np.float64),
        sign=np.array([i.sign for i in instruments], dtype=np.int64),
        inverse=np.array([i.payoff is Payoff.INVERSE for i in instruments], dtype=np.bool_),
        coin_settled=np.array(
            [i.settlement is Settlement.COIN for i in instruments], dtype=np.bool_
        ),
        contract_size=np.array([i.contract_size for i in instruments], dtype=np.float64),
        quantity=np.array([row[1].quantity for row in rows], dtype=np.float64),
        forward=levels[:, 0].copy(),
        index=levels[:, 1].copy(),
        years=levels[:, 2].copy(),
        failures=tuple(failures),
        power=np.array([i.power or math.nan for i in instruments], dtype=np.float64),
        smile_expiry_ms=np.array([smile[0] for smile in smiles], dtype=np.int64),
        smile_forward=np.array([smile[1] for smile in smiles], dtype=np.float64),
        smile_years=np.array([smile[2] for smile in smiles], dtype=np.float64),
    )
