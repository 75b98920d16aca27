"""Scenario revaluation: what every instrument is worth in every scenario, once per model.

A book's P&L is then a gather and a sum, whoever the books belong to: a million accounts on a
thousand instruments price a thousand instruments.

What is counted is the wealth of a holder of one contract who counts in USD, and the same over the
scenario's own index for one who counts in coin. ``S`` is the index, ``F`` the forward, ``s`` the
scenario's multiple of both (the basis is held), ``B`` the undiscounted Black-76 price, ``T`` the
time that is left:

==================  =============================================================================
inverse option      ``B S/F``; in coin ``B/F``. Expired in the meantime: its payoff at ``s F``.
linear option       ``B exp(-r T)``
linear future       ``s F - F``, settled to the mark; perpetuals likewise
inverse future      ``N (s S) (1/F - 1/(s F))`` of N USD; in coin ``N (1/F - 1/(s F))``
spot                ``s S``
power perpetual,    mark at the shocked index and volatility less the funding that has been paid
everlasting option  at that mark since; the volatility is shocked but does not slide along the smile
==================  =============================================================================

These are the conventions of :mod:`commonmode.exposure.greeks`, which are the derivatives of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from commonmode.core.arrays import FloatArray, IntArray, frozen
from commonmode.core.errors import DataError
from commonmode.core.ids import CurrencyCode, InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, Success, capture
from commonmode.exposure.book import ResolvedBook
from commonmode.exposure.curved import curved_perpetual, curved_vol
from commonmode.exposure.scenarios import ScenarioGrid
from commonmode.exposure.surfaces import CALCULATION_ERRORS, FittedSurfaces
from commonmode.market.instruments import InstrumentKind
from commonmode.pricing.kernels import Engine, black76, compiled
from commonmode.register.model import FittedSurface

__all__ = ["ModelSurfaces", "Revaluation", "held_values", "model_surfaces", "revalue"]

ModelSurfaces = Mapping[CurrencyCode, FittedSurface | Success[FittedSurface] | Failure]
"""One model's surface for each underlying; a failure marks the instruments that need it."""

_CHUNK: Final = 1 << 17
# Options that an everlasting one is worth, beyond which nothing is left.
_SERIES: Final = 50
"""Option values per call of the kernel: its columns stay in the last-level cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Revaluation:
    """I instruments in S scenarios under one model.

    Attributes
    ----------
    instruments : ResolvedBook
        One row per instrument, by name, one contract each, in no book.
    scenarios : ScenarioGrid
    today : float64, shape (I,)
        USD value of one contract without any shock.
    usd : float64, shape (I, S)
        USD value of one contract in each scenario. A row is a value throughout or NaN throughout.
    failures : mapping of InstrumentId to Failure
        Why a row is NaN.
    """

    instruments: ResolvedBook
    scenarios: ScenarioGrid
    today: FloatArray
    usd: FloatArray
    failures: Mapping[InstrumentId, Failure]

    @property
    def coin(self) -> FloatArray:
        """Value of one contract in coins of its underlying, shape (I, S)."""
        return np.asarray(self.usd / np.outer(self.instruments.index, self.scenarios.spot))

    @property
    def pnl_usd(self) -> FloatArray:
        """Change of a contract's value, USD, shape (I, S)."""
        return np.asarray(self.usd - self.today[:, None])

    @property
    def pnl_coin(self) -> FloatArray:
        """Change of a contract's value for one who counts in coin, shape (I, S)."""
        return np.asarray(self.coin - (self.today / self.instruments.index)[:, None])

    def rows(self, positions: ResolvedBook) -> IntArray:
        """Row of each position's instrument, shape (P,).

        Raises
        ------
        DataError
            A position in an instrument that was not revalued.
        """
        known, wanted = self.instruments.instrument, positions.instrument
        row = np.searchsorted(known, wanted)
        at = np.minimum(row, max(len(known) - 1, 0))
        missing = np.ones(len(wanted), np.bool_) if not len(known) else known[at] != wanted
        if missing.any():
            raise DataError(
                f"{wanted[missing][0]} was not revalued",
                remedy="revalue the positions of all books together",
            )
        return np.asarray(at, dtype=np.int64)


def model_surfaces(surfaces: FittedSurfaces, model: ModelId) -> ModelSurfaces:
    """One model's surfaces out of those of all, a failure where it was not calibrated."""
    missing = Failure(
        FailureReason.MISSING_DATA,
        f"{model} was not calibrated",
        "calibrate it on a snapshot that has the underlying",
    )
    return {coin: fits.get(model, missing) for coin, fits in surfaces.items()}


def revalue(
    positions: ResolvedBook,
    surfaces: ModelSurfaces,
    scenarios: ScenarioGrid,
    *,
    rate: float = 0.0,
    engine: Engine = "auto",
    threads: int = 1,
) -> Revaluation:
    """Value every instrument that is held, in every scenario, under one model.

    Parameters
    ----------
    positions : ResolvedBook
        Of any number of books; each instrument is valued once.
    surfaces : mapping of CurrencyCode to a fitted surface, or a Success or Failure of one
        See :func:`model_surfaces`. Futures, perpetuals and spot need none.
    scenarios : ScenarioGrid
        The same for every underlying. For joint scenarios in which underlyings move apart, revalue
        ``positions.select(positions.underlying == coin)`` for each coin on its own grid.
    rate : float
        Continuously compounded discount rate of USD-settled options; inverse options need none.
    engine, threads
        As in :func:`commonmode.pricing.kernels.black76`.

    Returns
    -------
    Revaluation
    """
    _, first = np.unique(positions.instrument, return_index=True)
    listed = positions.select(first)
    n = len(listed)
    listed = replace(listed, book=np.full(n, ""), quantity=np.ones(n))
    both = scenarios.and_today()  # today by the same arithmetic
    usd = np.full((n, len(both)), np.nan)
    curved = listed.is_option | listed.is_curved_perpetual
    usd[~curved] = _delta_one(listed.select(~curved), both)
    work = int(listed.is_option.sum()) * len(both)
    fast = compiled("linear", work, engine=engine, greeks="price")
    failures: dict[InstrumentId, Failure] = {}
    for coin in (CurrencyCode(name) for name in np.unique(listed.underlying[curved]).tolist()):
        rows = np.flatnonzero(curved & (listed.underlying == coin))
        part = listed.select(rows)
        found = _curved(
            part,
            surfaces.get(coin, _not_fitted(coin)),
            both,
            rate=rate,
            engine="numba" if fast else "numpy",
            threads=threads,
        )
        if isinstance(found, Failure):
            failures |= {InstrumentId(str(name)): found for name in part.instrument}
        else:
            usd[rows] = found
    for row in np.flatnonzero(~np.isfinite(usd).all(axis=1)):
        usd[row] = np.nan
        name = InstrumentId(str(listed.instrument[row]))
        failures.setdefault(name, _no_value(name))
    return Revaluation(
        instruments=listed,
        scenarios=scenarios,
        today=frozen(usd[:, -1].copy()),
        usd=frozen(usd[:, :-1]),
        failures=MappingProxyType(failures),
    )


def held_values(
    instruments: ResolvedBook,
    vol: FloatArray,
    scenarios: ScenarioGrid,
    *,
    rate: float = 0.0,
    engine: Engine = "auto",
    threads: int = 1,
) -> FloatArray:
    """Value of one contract of each instrument in each scenario, each under its own volatility.

    For who has volatilities and no surface: they are held per instrument when spot moves, then
    shocked by the scenario's scale and shift.

    Parameters
    ----------
    instruments : ResolvedBook
        n rows, valued in that order; quantities are not used.
    vol : float64, shape (n,)
        NaN gives a row of NaN for what needs one, and is right for everything else.
    scenarios : ScenarioGrid
        Its ``dynamics`` are not used.
    rate, engine, threads
        As in :func:`revalue`.

    Returns
    -------
    float64, shape (n, S)
        USD.
    """
    usd = np.full((len(instruments), len(scenarios)), np.nan)
    dated, curved = instruments.is_option, instruments.is_curved_perpetual
    usd[~(dated | curved)] = _delta_one(instruments.select(~(dated | curved)), scenarios)
    if dated.any():
        options = instruments.select(dated)
        flat = np.broadcast_to(vol[dated, None], (len(options), len(scenarios)))
        fast = compiled("linear", flat.size, engine=engine, greeks="price")
        chosen: Engine = "numba" if fast else "numpy"
        usd[dated] = _options(options, flat, scenarios, rate=rate, engine=chosen, threads=threads)
    if curved.any():
        rows = _SERIES * int(curved.sum()) * len(scenarios)
        fast = compiled("linear", rows, engine=engine, greeks="five")
        chosen = "numba" if fast else "numpy"
        usd[curved] = _perpetuals(instruments.select(curved), vol[curved], scenarios, engine=chosen)
    return usd


def _curved(
    positions: ResolvedBook,
    fitted: FittedSurface | Success[FittedSurface] | Failure,
    scenarios: ScenarioGrid,
    *,
    rate: float,
    engine: Engine,
    threads: int,
) -> FloatArray | Failure:
    """USD values of what needs a volatility, shape (n, S); a model that raises has failed."""
    if isinstance(fitted, Failure):
        return fitted
    surface = fitted.value if isinstance(fitted, Success) else fitted

    def values() -> FloatArray:
        usd = np.empty((len(positions), len(scenarios)))
        dated = positions.is_option
        options, others = positions.select(dated), positions.select(~dated)
        vol = _option_vol(options, surface, scenarios)
        usd[dated] = _options(options, vol, scenarios, rate=rate, engine=engine, threads=threads)
        if len(others):
            usd[~dated] = _perpetuals(others, curved_vol(others, surface), scenarios)
        return usd

    done = capture(
        values, what=f"revaluation of {positions.underlying[0]}", errors=CALCULATION_ERRORS
    )
    return done if isinstance(done, Failure) else done.value


def _shocked(vol: FloatArray, scenarios: ScenarioGrid) -> FloatArray:
    """Volatilities after the shock, shape (n, S); NaN where there was none to shock."""
    with np.errstate(invalid="ignore"):
        known = np.where(vol > 0, vol, np.nan)
    return np.asarray(np.maximum(known * scenarios.vol_scale + scenarios.vol_shift, 0.0))


def _option_vol(
    options: ResolvedBook, surface: FittedSurface, scenarios: ScenarioGrid
) -> FloatArray:
    """The smile where each scenario's spot leaves it, before the shock, shape (n, S)."""

    def at(strike: FloatArray, forward: FloatArray) -> FloatArray:
        return surface.implied_vol(strike, options.years, forward, options.expiry_ms)

    strike, forward = options.strike, options.forward
    if not len(options):
        return np.empty((0, len(scenarios)))
    if scenarios.dynamics == "sticky_strike":
        return np.broadcast_to(at(strike, forward)[:, None], (len(options), len(scenarios)))
    spots, which = scenarios.distinct_spots()
    if scenarios.dynamics == "model":
        columns = [at(strike, forward * spot) for spot in spots]
    else:
        columns = [at(strike / spot, forward) for spot in spots]
    return np.stack(columns, axis=1)[:, which]


def _options(
    options: ResolvedBook,
    vol: FloatArray,
    scenarios: ScenarioGrid,
    *,
    rate: float,
    engine: Engine,
    threads: int,
) -> FloatArray:
    """USD values of options with an expiry, shape (n, S)."""
    out = np.empty((len(options), len(scenarios)))
    step = max(1, _CHUNK // len(scenarios))
    for start in range(0, len(options), step):
        part = options.select(np.arange(start, min(start + step, len(options))))
        shape = (len(part), len(scenarios))
        years = np.maximum(part.years[:, None] - scenarios.elapsed_years, 0.0)
        sigma = _shocked(vol[start : start + step], scenarios)
        known = np.isfinite(sigma)
        table = (
            part.forward[:, None] * scenarios.spot,
            part.strike[:, None],
            years,
            np.where(known, sigma, 1.0),
            part.sign[:, None],
        )
        *flat, sign = (np.broadcast_to(column, shape).ravel() for column in table)
        price = black76(*flat, sign=sign, greeks="price", engine=engine, threads=threads)
        level = np.where(
            part.inverse[:, None], (part.index / part.forward)[:, None], np.exp(-rate * years)
        )
        value = part.contract_size[:, None] * level * price["price"].reshape(shape)
        out[start : start + step] = np.where(known, value, np.nan)
    return out


def _perpetuals(
    positions: ResolvedBook,
    vol: FloatArray,
    scenarios: ScenarioGrid,
    *,
    engine: Engine = "numpy",
) -> FloatArray:
    """USD values of power perpetuals and everlasting options, shape (n, S)."""
    spot = positions.index[:, None] * scenarios.spot
    contract = curved_perpetual(positions, spot, _shocked(vol[:, None], scenarios), engine=engine)
    wealth = contract.price - contract.funding * scenarios.elapsed_years
    return np.asarray(positions.contract_size[:, None] * wealth)


def _delta_one(positions: ResolvedBook, scenarios: ScenarioGrid) -> FloatArray:
    """USD values of futures, perpetuals and spot, shape (n, S)."""
    notional = positions.contract_size * np.where(
        positions.inverse, positions.index / positions.forward, positions.forward
    )
    # Inverse: N (s S)(1/F - 1/(s F)) = N (S/F)(s - 1), which is exact at s = 1.
    settled = np.where(positions.kind == InstrumentKind.SPOT.value, 0.0, 1.0)
    return np.asarray(notional[:, None] * (scenarios.spot - settled[:, None]))


def _not_fitted(coin: CurrencyCode) -> Failure:
    return Failure(
        FailureReason.MISSING_DATA,
        f"no surface was fitted on {coin}",
        "calibrate the model on a snapshot that has the underlying",
    )


def _no_value(instrument: InstrumentId) -> Failure:
    return Failure(
        FailureReason.CALCULATION_FAILED,
        f"{instrument} has no value in some scenario",
        "the surface does not reach its expiry or a shocked forward; use a model that does",
    )
