"""Instruments without an expiry that a volatility values: one contract, whichever it is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.exposure.book import ResolvedBook
from commonmode.market.instruments import POWER_UNIT_USD, InstrumentKind
from commonmode.pricing.perpetuals import ContractValue, everlasting_option, power_perpetual
from commonmode.register.model import FittedSurface

__all__ = ["curved_perpetual", "curved_vol"]

_FUNDING_YEARS: Final = 1.0 / 365.0


def curved_vol(positions: ResolvedBook, surface: FittedSurface) -> FloatArray:
    """Volatility of power perpetuals and everlasting options, shape (n,).

    That of the nearest listed expiry at the contract's own strike, the forward for a power
    perpetual; it is held when spot moves.
    """
    strike = np.where(_everlasting(positions), positions.strike, positions.smile_forward)
    return surface.implied_vol(
        strike, positions.smile_years, positions.smile_forward, positions.smile_expiry_ms
    )


def curved_perpetual(positions: ResolvedBook, spot: FloatArray, vol: FloatArray) -> ContractValue:
    """USD value and derivatives of one contract on one coin, funded once a day.

    Parameters
    ----------
    positions : ResolvedBook
        Power perpetuals and everlasting options, n of them.
    spot, vol : float64, shape (n,) or (n, S)
        Index and volatility at which they are valued.

    Returns
    -------
    ContractValue
        Of the shape of ``spot`` and ``vol`` together; a power perpetual pays
        ``S (S / 10 000)^(p - 1)``.
    """
    many = np.ndim(spot) == 2 or np.ndim(vol) == 2

    def column(values: Any) -> Any:
        return values[:, None] if many else values

    everlasting = column(_everlasting(positions))
    strike = column(np.where(_everlasting(positions), positions.strike, positions.smile_forward))
    option = everlasting_option(
        spot, strike, vol, funding_years=_FUNDING_YEARS, sign=column(positions.sign), payments=1
    )
    exponent = np.where(everlasting, 1.0, column(positions.power))
    scale = POWER_UNIT_USD ** (1.0 - exponent)
    power = power_perpetual(spot, vol, power=exponent, funding_years=_FUNDING_YEARS)

    def either(name: str) -> FloatArray:
        return np.asarray(
            np.where(everlasting, getattr(option, name), scale * getattr(power, name))
        )

    return ContractValue(
        *(either(name) for name in ("price", "delta", "gamma", "vega", "theta", "funding"))
    )


def _everlasting(positions: ResolvedBook) -> BoolArray:
    return np.asarray(positions.kind == InstrumentKind.EVERLASTING_OPTION.value)
