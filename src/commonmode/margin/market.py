"""What a margin method reads of the market: one table per kind of thing, shared by all accounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, StringArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure
from commonmode.core.units import YEAR_MS
from commonmode.exposure.book import ResolvedBook

__all__ = ["Assets", "Expiries", "MarginMarket", "Underlyings"]


def _check(table: object, what: str, n: int) -> None:
    for column in fields(table):  # type: ignore[arg-type]  # every table is a dataclass
        array = getattr(table, column.name)
        if isinstance(array, np.ndarray) and array.shape != (n,):
            raise DataError(
                f"{what}: column {column.name} has shape {array.shape}, expected ({n},)",
                remedy="all columns have one entry per row of the table",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Underlyings:
    """The U underlyings; all arrays have shape (U,).

    Attributes
    ----------
    name : array of str
        ``BTC``; unique.
    spot, perp_price : float64
        USD; NaN where the feed is missing.
    spot_confidence, perp_confidence : float64
        Oracle confidences in [0, 1].
    stamp_ms : int64
        When the spot feed was last stamped, UTC milliseconds.
    """

    name: StringArray
    spot: FloatArray
    perp_price: FloatArray
    spot_confidence: FloatArray
    perp_confidence: FloatArray
    stamp_ms: IntArray

    def __post_init__(self) -> None:
        """Check shapes."""
        _check(self, "underlyings", len(self.name))

    def __len__(self) -> int:
        return len(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Expiries:
    """The E listed expiries, by underlying and date; all arrays have shape (E,).

    Attributes
    ----------
    underlying : int64
        Row of :class:`Underlyings`.
    expiry_ms : int64
        UTC milliseconds.
    forward : float64
        USD; NaN where the feed is missing.
    rate : float64
        Continuously compounded, per year.
    forward_confidence, rate_confidence, vol_confidence : float64
        Oracle confidences in [0, 1].
    settled : float64
        The part of the settlement average that is fixed already, USD; NaN: as if every fixing
        so far had been at the forward.
    stamp_ms : int64
        When the forward was last stamped, UTC milliseconds.
    """

    underlying: IntArray
    expiry_ms: IntArray
    forward: FloatArray
    rate: FloatArray
    forward_confidence: FloatArray
    rate_confidence: FloatArray
    vol_confidence: FloatArray
    settled: FloatArray
    stamp_ms: IntArray

    def __post_init__(self) -> None:
        """Check shapes."""
        _check(self, "expiries", len(self.expiry_ms))

    def __len__(self) -> int:
        return len(self.expiry_ms)


@dataclass(frozen=True, slots=True, eq=False)
class Assets:
    """The C assets that may be posted as collateral; all arrays have shape (C,).

    Attributes
    ----------
    name : array of str
        ``BTC``, ``USDC``, ``WSTETH``; unique.
    price : float64
        USD.
    confidence : float64
        Oracle confidence in [0, 1].
    underlying : int64
        Row of :class:`Underlyings` whose spot the asset follows (wstETH follows ETH); -1 for none.
    """

    name: StringArray
    price: FloatArray
    confidence: FloatArray
    underlying: IntArray

    def __post_init__(self) -> None:
        """Check shapes."""
        _check(self, "assets", len(self.name))

    def __len__(self) -> int:
        return len(self.name)

    @classmethod
    def none(cls) -> Assets:
        """No asset is accepted as collateral."""
        empty = np.zeros(0)
        return cls(np.zeros(0, dtype=np.str_), empty, empty, np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class MarginMarket:
    """One moment of the market as every margin method sees it.

    Attributes
    ----------
    time_ms : int
        UTC milliseconds.
    underlyings, expiries, assets : tables of U, E and C rows
    instruments : ResolvedBook
        I rows, one contract of each instrument, ordered by underlying, then options by (expiry,
        strike, put before call), then everything else; forward, index and years are those of the
        tables above, so that all instruments share one clock.
    vol : float64, shape (I,)
        Annualised implied volatility of options and curved perpetuals, NaN otherwise. It is held
        per strike when spot moves.
    underlying, expiry : int64, shape (I,)
        Rows of ``underlyings`` and ``expiries``; expiry is -1 for what has none.
    stable_price : float
        USD price of the coin in which cash is counted.
    alternatives : mapping of ModelId to float64, shape (I,)
        ``vol`` under other surface models, for what depends on their disagreement.
    failures : mapping of instrument row to Failure
        Rows that cannot be valued; accounts that hold one fail, no others.
    """

    time_ms: int
    underlyings: Underlyings
    expiries: Expiries
    instruments: ResolvedBook
    vol: FloatArray
    underlying: IntArray
    expiry: IntArray
    assets: Assets = field(default_factory=Assets.none)
    stable_price: float = 1.0
    alternatives: Mapping[ModelId, FloatArray] = field(default_factory=lambda: MappingProxyType({}))
    failures: Mapping[int, Failure] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Check shapes."""
        n = len(self.instruments)
        columns = {"vol": self.vol, "underlying": self.underlying, "expiry": self.expiry}
        columns |= {f"vol of {model}": vol for model, vol in self.alternatives.items()}
        for name, column in columns.items():
            if column.shape != (n,):
                raise DataError(
                    f"margin market: {name} has shape {column.shape}, expected ({n},)",
                    remedy="give one entry per instrument",
                )

    @property
    def seconds(self) -> FloatArray:
        """Seconds to each expiry, not below 0, shape (E,)."""
        left = (self.expiries.expiry_ms - self.time_ms) / 1000.0
        return np.asarray(np.maximum(left, 0.0))

    def with_vol(self, vol: FloatArray) -> MarginMarket:
        """The same market seen through another surface model; vol of shape (I,)."""
        return replace(self, vol=vol)

    def shifted(
        self, *, spot: float = 1.0, vol: float = 1.0, seconds: float = 0.0, only: int | None = None
    ) -> MarginMarket:
        """The market after a move: what thresholds and liquidation surfaces are searched over.

        Parameters
        ----------
        spot : float
            Factor on spot, perpetual prices, forwards and the assets that follow them.
        vol : float
            Factor on every implied volatility (also of the alternatives), held per strike.
        seconds : float
            Time that passes; what expires meanwhile has its payoff.
        only : int, optional
            Row of the one underlying whose spot moves; all of them if left out.
        """
        n_u = len(self.underlyings)
        factor = np.full(n_u, spot) if only is None else np.where(np.arange(n_u) == only, spot, 1.0)
        time_ms = self.time_ms + round(1000 * seconds)
        table, own = self.instruments, factor[self.underlying]
        dated = self.expiry >= 0
        years = np.where(dated, np.maximum(table.expiry_ms - time_ms, 0) / YEAR_MS, table.years)
        curved = table.is_curved_perpetual
        left = np.maximum(table.smile_expiry_ms - time_ms, 0) / YEAR_MS
        moved = replace(
            table,
            time_ms=time_ms,
            forward=table.forward * own,
            index=table.index * own,
            years=years,
            smile_forward=table.smile_forward * own,
            smile_years=np.where(curved, left, years),
        )
        follows = self.assets.underlying
        asset_factor = np.where(follows >= 0, factor[np.maximum(follows, 0)], 1.0)
        return replace(
            self,
            time_ms=time_ms,
            underlyings=replace(
                self.underlyings,
                spot=self.underlyings.spot * factor,
                perp_price=self.underlyings.perp_price * factor,
            ),
            expiries=replace(
                self.expiries, forward=self.expiries.forward * factor[self.expiries.underlying]
            ),
            instruments=moved,
            vol=self.vol * vol,
            alternatives={model: other * vol for model, other in self.alternatives.items()},
            assets=replace(self.assets, price=self.assets.price * asset_factor),
        )
