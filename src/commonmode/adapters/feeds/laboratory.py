"""The simulated market behind the same methods as the recorded one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from commonmode.core.arrays import IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode
from commonmode.lab.market import (
    MarketPath,
    SvjParameters,
    VenueNoise,
    simulate_history,
    simulate_path,
)
from commonmode.lab.options import QuoteNoise, SurfaceParameters, simulate_snapshots
from commonmode.market.clock import TimeLike, utc_ms
from commonmode.market.history import History
from commonmode.market.snapshot import Snapshot

__all__ = ["LaboratoryFeed"]


class LaboratoryFeed:
    """Implements :class:`commonmode.market.feed.Feed` over simulated paths.

    Parameters
    ----------
    paths : mapping of underlying to MarketPath
        The truth; ``simulate`` makes them.
    surface, noise, venue
        What the options market and the spot venue make of it.
    """

    def __init__(
        self,
        paths: Mapping[CurrencyCode, MarketPath],
        *,
        surface: SurfaceParameters | None = None,
        noise: QuoteNoise | None = None,
        venue: VenueNoise | None = None,
    ) -> None:
        self.paths = dict(paths)
        self.surface = surface or SurfaceParameters()
        self.noise = noise or QuoteNoise()
        self.venue = venue or VenueNoise()

    @classmethod
    def simulate(
        cls,
        start: TimeLike,
        hours: int,
        *,
        seed: int,
        parameters: Mapping[str, SvjParameters] | None = None,
        steps_per_hour: int = 60,
        surface: SurfaceParameters | None = None,
        noise: QuoteNoise | None = None,
        venue: VenueNoise | None = None,
    ) -> LaboratoryFeed:
        """Simulate the coins of ``parameters`` (BTC and ETH by default) under one seed."""
        coins = parameters or {"BTC": SvjParameters(), "ETH": SvjParameters(price=2_000.0)}
        paths = {
            CurrencyCode(name): simulate_path(
                name, coin, start, hours, seed=seed, steps_per_hour=steps_per_hour
            )
            for name, coin in coins.items()
        }
        return cls(paths, surface=surface, noise=noise, venue=venue)

    def snapshot_times(self, start: TimeLike, end: TimeLike, every_minutes: int = 60) -> IntArray:
        """Times of the grid, anchored at the full hour, that lie on every path."""
        if every_minutes < 1:
            raise DataError(f"every_minutes is {every_minutes}", remedy="give a whole number >= 1")
        step = every_minutes * 60_000
        first = -(-utc_ms(start) // step) * step
        grid = np.arange(first, utc_ms(end) + 1, step, dtype=np.int64)
        low = max(int(path.times_ms[0]) for path in self.paths.values())
        high = min(int(path.times_ms[-1]) for path in self.paths.values())
        return np.asarray(grid[(grid >= low) & (grid <= high)])

    def snapshots(
        self, times: IntArray | Sequence[int], underlyings: Sequence[str] = ("BTC", "ETH")
    ) -> Iterator[Snapshot]:
        """Simulated chains at ``times``."""
        paths = {CurrencyCode(name): self._path(name) for name in underlyings}
        return simulate_snapshots(paths, times, self.surface, self.noise)

    def history(
        self, underlying: str, start: TimeLike | None = None, end: TimeLike | None = None
    ) -> History:
        """Simulated hourly bars whose end lies in [start, end]."""
        history = simulate_history(self._path(underlying), self.venue)
        low = 0 if start is None else int(np.searchsorted(history.times_ms, utc_ms(start)))
        high = len(history)
        if end is not None:
            high = int(np.searchsorted(history.times_ms, utc_ms(end), side="right"))
        if high <= low:
            raise DataError(
                f"the simulated history of {underlying} has no bar in that period",
                remedy="simulate more hours, or ask for a period on the path",
            )
        return history.rows(low, high)

    def _path(self, underlying: str) -> MarketPath:
        try:
            return self.paths[CurrencyCode(underlying)]
        except KeyError:
            raise DataError(
                f"the laboratory holds no {underlying!r}",
                remedy=f"it holds: {', '.join(self.paths)}",
            ) from None
