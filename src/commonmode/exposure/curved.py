"""Instruments without an expiry that a volatility values: one contract, whichever it is."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.exposure.book import ResolvedBook
from commonmode.market.instruments import POWER_UNIT_USD, InstrumentKind
from commonmode.pricing.kernels import Engine
from commonmode.pricing.perpetuals import ContractValue, everlasting_option, power_perpetual
from commonmode.register.model import FittedSurface

__all__ = ["curved_perpetual", "curved_vol"]

_FUNDING_YEARS: Final = 1.0 / 365.0
_PARTS: Final = ("price", "delta", "gamma", "vega", "theta", "funding")


def curved_vol(positions: ResolvedBook, surface: FittedSurface) -> FloatArray:
    """Volatility of power perpetuals and everlasting options, shape (n,).

    That of the nearest listed expiry at the contract's own strike, the forward for a power
    perpetual; it is held when spot moves.
    """
    strike = np.where(_everlasting(positions), positions.strike, positions.smile_forward)
    return surface.implied_vol(
        strike, positions.smile_years, positions.smile_forward, positions.smile_expiry_ms
    )


def curved_perpetual(
    positions: ResolvedBook, spot: FloatArray, vol: FloatArray, *, engine: Engine = "numpy"
) -> ContractValue:
    """USD value and derivatives of one contract on one coin, funded once a day.

    Parameters
    ----------
    positions : ResolvedBook
        Power perpetuals and everlasting options, n of them.
    spot, vol : float64, shape (n,) or (n, S)
        Index and volatility at which they are valued.
    engine : {"numpy", "numba", "auto"}
        What values everlasting options.

    Returns
    -------
    ContractValue
        Of the shape of ``spot`` and ``vol`` together; a power perpetual pays
        ``S (S / 10 000)^(p - 1)``.
    """
    everlasting = _everlasting(positions)
    shape = np.broadcast_shapes(np.shape(spot), np.shape(vol))
    # Spread to one shape: a selection of rows then means the same for both.
    prices, vols = (np.broadcast_to(values, shape) for values in (spot, vol))
    out = {name: np.empty(shape) for name in _PARTS}
    options = partial(_options, engine=engine)
    for rows, value in ((everlasting, options), (~everlasting, _powers)):
        if rows.any():
            contract = value(positions.select(rows), prices[rows], vols[rows])
            for name in _PARTS:
                out[name][rows] = getattr(contract, name)
    return ContractValue(**out)


def _options(
    positions: ResolvedBook, spot: FloatArray, vol: FloatArray, *, engine: Engine
) -> ContractValue:
    strike, sign = (_beside(column, spot) for column in (positions.strike, positions.sign))
    return everlasting_option(
        spot, strike, vol, funding_years=_FUNDING_YEARS, sign=sign, payments=1, engine=engine
    )


def _powers(positions: ResolvedBook, spot: FloatArray, vol: FloatArray) -> ContractValue:
    exponent = _beside(positions.power, spot)
    scale = POWER_UNIT_USD ** (1.0 - exponent)
    power = power_perpetual(spot, vol, power=exponent, funding_years=_FUNDING_YEARS)
    return ContractValue(**{name: scale * getattr(power, name) for name in _PARTS})


def _beside(column: FloatArray | IntArray, values: FloatArray) -> FloatArray | IntArray:
    """One number per contract, shaped to go with ``values``."""
    return column[:, None] if values.ndim == 2 else column


def _everlasting(positions: ResolvedBook) -> BoolArray:
    return np.asarray(positions.kind == InstrumentKind.EVERLASTING_OPTION.value)
