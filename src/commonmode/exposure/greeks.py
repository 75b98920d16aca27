"""Greek exposure: what every model says every position is worth and how it moves.

Conventions, the same for every instrument. ``u`` is the numeraire (USD or the underlying's coin),
``V_u`` the value of the position in it, ``S`` the index; forwards move in proportion to the index.

=======  ==========================================================================================
price    ``V_u``. Options and spot: market value. Futures and perpetuals: 0, they are settled to
         the mark; what they earn shows in delta.
delta    ``S dV_u/dS``: change in ``V_u`` per 100 % move of the index, to first order. In USD this
         is the cash delta (USD delta of N coins times S); in coin it is the delta of a holder who
         counts in coin. For a coin-settled option of price c the two are ``N(d1)`` and
         ``N(d1) - c`` coins per contract; an inverse future of N USD has N USD and N/F coins.
gamma    ``0.01 S^2 d2V_u/dS2``: cash gamma per 1 %.
vega     ``dV_u`` per volatility point (0.01) at every strike.
theta    ``dV_u`` per calendar day, forward and volatility held.
rho      ``dV_u`` per 1 % (0.01) of rate, index and volatility held, so that the forward moves.
=======  ==========================================================================================

Delta and gamma of an option are total: they include the movement of the model's own smile when the
forward moves (what tells sticky strike from sticky delta); with ``smile=False`` they are Black's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, Literal

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.ids import CurrencyCode, InstrumentId, ModelId
from commonmode.core.result import Failure, FailureReason, capture
from commonmode.exposure.book import ResolvedBook
from commonmode.exposure.curved import curved_perpetual, curved_vol
from commonmode.exposure.surfaces import CALCULATION_ERRORS, FittedSurfaces
from commonmode.market.instruments import InstrumentKind
from commonmode.pricing.kernels import Engine, black76, compiled
from commonmode.register.model import FittedSurface

__all__ = ["Greek", "GreekFailure", "GreekTable", "greek_table"]

_PERCENT: Final = 0.01
_DAYS_PER_YEAR: Final = 365.0
_BUMP: Final = 0.01
"""Relative move of the forward over which the smile's own movement is measured: gamma is per 1 %,
and a smile interpolated between quotes has no second derivative on any finer scale."""


class Greek(IntEnum):
    """Columns of a :class:`GreekTable`."""

    PRICE = 0
    DELTA = 1
    GAMMA = 2
    VEGA = 3
    THETA = 4
    RHO = 5


@dataclass(frozen=True, slots=True)
class GreekFailure:
    """A model that did not price an instrument; its cells are NaN.

    ``instrument`` is None where the model priced no option of the underlying at all.
    """

    model: ModelId
    underlying: CurrencyCode
    instrument: InstrumentId | None
    failure: Failure


@dataclass(frozen=True, slots=True, eq=False)
class GreekTable:
    """Greeks of every position under every model.

    Attributes
    ----------
    positions : ResolvedBook
        P positions.
    models : tuple of ModelId, length M
    usd, coin : float64, shape (P, M, 6)
        Of the whole position (quantity included), axis 2 by :class:`Greek`; conventions at the top
        of this module. NaN where the model did not price the position.
    failures : tuple of GreekFailure
    """

    positions: ResolvedBook
    models: tuple[ModelId, ...]
    usd: FloatArray
    coin: FloatArray
    failures: tuple[GreekFailure, ...]

    @property
    def priced(self) -> BoolArray:
        """Cells with a value, shape (P, M)."""
        return np.asarray(np.isfinite(self.usd).all(axis=2))

    def select(self, rows: BoolArray | IntArray) -> GreekTable:
        """The table restricted to ``rows`` of its positions (mask or indices)."""
        return replace(
            self, positions=self.positions.select(rows), usd=self.usd[rows], coin=self.coin[rows]
        )


def _outputs(smile: bool) -> Literal["five", "nine"]:
    """What the kernel computes; the model's own smile needs vanna and volga too."""
    return "nine" if smile else "five"


def _option_greeks(
    options: ResolvedBook, surface: FittedSurface, *, rate: float, smile: bool, engine: Engine
) -> FloatArray:
    """USD Greeks of one contract of each option, shape (n, 6)."""
    strike, years, forward = options.strike, options.years, options.forward

    def vol_at(move: float) -> FloatArray:
        return surface.implied_vol(strike, years, forward * (1.0 + move), options.expiry_ms)

    vol = vol_at(0.0)
    known = np.isfinite(vol) & (vol > 0)
    black = black76(
        forward,
        strike,
        years,
        np.where(known, vol, 1.0),
        sign=options.sign,
        greeks=_outputs(smile),
        engine=engine,
    )
    price, vega = black["price"], black["vega"]
    delta, gamma = forward * black["delta"], forward**2 * black["gamma"]
    total_delta, total_gamma = delta, gamma
    if smile:
        up, down = vol_at(_BUMP), vol_at(-_BUMP)
        slope, curve = (up - down) / (2 * _BUMP), (up - 2 * vol + down) / _BUMP**2
        total_delta = delta + vega * slope
        total_gamma = gamma + 2 * forward * black["vanna"] * slope
        total_gamma = total_gamma + black["volga"] * slope**2 + vega * curve
    # Inverse: the coin premium B/F is worth B S/F. Linear: B is paid at expiry.
    level = np.where(options.inverse, options.index / forward, np.exp(-rate * years))
    # Discounted at a carried rate, the linear premium gains interest as expiry comes nearer.
    carry = np.where(options.inverse, 0.0, rate * price)
    greeks = np.empty((len(options), len(Greek)))
    greeks[:, Greek.PRICE] = price
    greeks[:, Greek.DELTA] = total_delta
    greeks[:, Greek.GAMMA] = total_gamma * _PERCENT
    greeks[:, Greek.VEGA] = vega * _PERCENT
    greeks[:, Greek.THETA] = (black["theta"] + carry) / _DAYS_PER_YEAR
    greeks[:, Greek.RHO] = years * (delta - price) * _PERCENT
    greeks *= (level * options.contract_size)[:, None]
    greeks[~(known & np.isfinite(greeks).all(axis=1))] = np.nan
    return greeks


def _perpetual_greeks(positions: ResolvedBook, surface: FittedSurface) -> FloatArray:
    """USD Greeks of one contract of power perpetuals and everlasting options, shape (n, 6).

    Theta is the funding paid.
    """
    spot = positions.index
    contract = curved_perpetual(positions, spot, curved_vol(positions, surface))
    greeks = np.zeros((len(positions), len(Greek)))
    greeks[:, Greek.PRICE] = contract.price
    greeks[:, Greek.DELTA] = spot * contract.delta
    greeks[:, Greek.GAMMA] = _PERCENT * spot**2 * contract.gamma
    greeks[:, Greek.VEGA] = _PERCENT * contract.vega
    greeks[:, Greek.THETA] = -contract.funding / _DAYS_PER_YEAR
    greeks *= positions.contract_size[:, None]
    greeks[~np.isfinite(greeks).all(axis=1)] = np.nan
    return greeks


def _delta_one_greeks(positions: ResolvedBook) -> FloatArray:
    """USD Greeks of one contract of futures, perpetuals and spot, shape (n, 6)."""
    usd_sized = positions.inverse
    # Linear: contract_size coins at the forward. Inverse of N USD: V = N (S/F0 - S/F), hence N S/F.
    notional = positions.contract_size * np.where(
        usd_sized, positions.index / positions.forward, positions.forward
    )
    is_spot = positions.kind == InstrumentKind.SPOT.value
    greeks = np.zeros((len(positions), len(Greek)))
    greeks[:, Greek.PRICE] = np.where(is_spot, notional, 0.0)
    greeks[:, Greek.DELTA] = notional
    greeks[:, Greek.RHO] = positions.years * notional * _PERCENT
    return greeks


def _in_coin(usd: FloatArray, index: FloatArray) -> FloatArray:
    """Greeks of ``V / S`` from those of ``V``; usd of shape (P, M, 6), index (P,)."""
    coin = usd.copy()
    price, delta = usd[..., Greek.PRICE], usd[..., Greek.DELTA]
    coin[..., Greek.DELTA] = delta - price
    coin[..., Greek.GAMMA] += _PERCENT * 2 * (price - delta)
    return np.asarray(coin / index[:, None, None])


def greek_table(
    positions: ResolvedBook,
    surfaces: FittedSurfaces,
    *,
    rate: float = 0.0,
    smile: bool = True,
    engine: Engine = "auto",
) -> GreekTable:
    """Price every position under every model.

    Each instrument is priced once per model, whoever holds it, and gathered to the positions.

    Parameters
    ----------
    positions : ResolvedBook
    surfaces : mapping of underlying to mapping of ModelId to Success or Failure
        As :func:`~commonmode.exposure.surfaces.calibrate_surfaces` gives them; a failure marks that
        model's options on that underlying and nothing else. Futures, perpetuals and spot need no
        surface and are the same under every model.
    rate : float
        Continuously compounded discount rate of USD-settled options; inverse options need none.
    smile : bool
        Let the model's smile move with the forward in delta and gamma.
    engine : {"auto", "numba", "numpy"}
        Of the kernel (:mod:`commonmode.pricing.kernels.dispatch`), chosen for all models together.

    Returns
    -------
    GreekTable
    """
    models = tuple(dict.fromkeys(model for fits in surfaces.values() for model in fits))
    _, first, inverse = np.unique(positions.instrument, return_index=True, return_inverse=True)
    listed = positions.select(first)
    option = listed.is_option | listed.is_curved_perpetual
    unit = np.full((len(listed), len(models), len(Greek)), np.nan)
    unit[~option] = _delta_one_greeks(listed.select(~option))[:, None, :]
    rows_to_price = int(listed.is_option.sum()) * len(models)
    fast = compiled("linear", rows_to_price, engine=engine, greeks=_outputs(smile))
    chosen: Engine = "numba" if fast else "numpy"
    failures: list[GreekFailure] = []
    for coin in (CurrencyCode(name) for name in np.unique(listed.underlying[option]).tolist()):
        rows = np.flatnonzero(option & (listed.underlying == coin))
        options = listed.select(rows)
        for m, model in enumerate(models):
            fitted = surfaces.get(coin, {}).get(model, _not_fitted(model, coin))
            if isinstance(fitted, Failure):
                failures.append(GreekFailure(model, coin, None, fitted))
                continue
            greeks = _guarded(options, model, fitted.value, rate=rate, smile=smile, engine=chosen)
            if isinstance(greeks, Failure):
                failures.append(GreekFailure(model, coin, None, greeks))
                continue
            unit[rows, m] = greeks
            for row in np.flatnonzero(np.isnan(greeks).any(axis=1)):
                name = InstrumentId(str(options.instrument[row]))
                failures.append(GreekFailure(model, coin, name, _no_vol(model, name)))
    usd = unit[inverse] * positions.quantity[:, None, None]
    return GreekTable(positions, models, usd, _in_coin(usd, positions.index), tuple(failures))


def _curved_greeks(
    positions: ResolvedBook, surface: FittedSurface, *, rate: float, smile: bool, engine: Engine
) -> FloatArray:
    """Greeks of everything that a surface values, with or without an expiry, shape (n, 6)."""
    greeks = np.full((len(positions), len(Greek)), np.nan)
    dated = positions.is_option
    if dated.any():
        greeks[dated] = _option_greeks(
            positions.select(dated), surface, rate=rate, smile=smile, engine=engine
        )
    if not dated.all():
        greeks[~dated] = _perpetual_greeks(positions.select(~dated), surface)
    return greeks


def _guarded(
    options: ResolvedBook,
    model: ModelId,
    surface: FittedSurface,
    *,
    rate: float,
    smile: bool,
    engine: Engine,
) -> FloatArray | Failure:
    result = capture(
        lambda: _curved_greeks(options, surface, rate=rate, smile=smile, engine=engine),
        what=f"Greeks of {model}",
        errors=CALCULATION_ERRORS,
    )
    return result if isinstance(result, Failure) else result.value


def _not_fitted(model: ModelId, coin: CurrencyCode) -> Failure:
    return Failure(
        FailureReason.MISSING_DATA,
        f"{model} was not calibrated on {coin}",
        "calibrate it on a snapshot that has the underlying",
    )


def _no_vol(model: ModelId, instrument: InstrumentId) -> Failure:
    return Failure(
        FailureReason.CALCULATION_FAILED,
        f"{model}: no volatility for {instrument}",
        "the surface was not fitted on that expiry; use a model that reaches it",
    )
