"""Delta and vega of one contract of every instrument, from the volatilities of a margin market."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.exposure.curved import curved_perpetual
from commonmode.margin.market import MarginMarket
from commonmode.pricing.black76 import black76_greeks

__all__ = ["WING_DELTA", "Sensitivities", "sensitivities"]

#: Options with a smaller absolute delta are wings: nobody makes a two-sided market in size there.
WING_DELTA: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Sensitivities:
    """Of one contract each; all arrays have shape (I,).

    Attributes
    ----------
    delta_usd : float64
        ``S dV/dS`` at volatilities held per strike: the USD position in the underlying that hedges
        the contract.
    vega_usd : float64
        ``dV / d vol``, per 1.00 of volatility; 0 for what has none.
    wing : bool
        Options whose own delta is below :data:`WING_DELTA`.
    """

    delta_usd: FloatArray
    vega_usd: FloatArray
    wing: BoolArray


def sensitivities(market: MarginMarket) -> Sensitivities:
    """Delta and vega of every instrument; NaN where a volatility is needed and missing."""
    table, vol = market.instruments, market.vol
    option, curved = table.is_option, table.is_curved_perpetual
    inverse_notional = table.contract_size * table.index / table.forward
    delta = np.where(table.inverse, inverse_notional, table.contract_size * table.forward)
    vega = np.zeros(len(table))
    wing = np.zeros(len(table), dtype=np.bool_)
    if option.any():
        rows = table.select(option)
        known = vol[option] > 0
        black = black76_greeks(
            rows.forward,
            rows.strike,
            rows.years,
            np.where(known, vol[option], 1.0),
            sign=rows.sign,
            rate=0.0,
        )
        # The coin premium B/F is worth B S/F; a linear premium is B, discounting left out.
        level = rows.contract_size * np.where(rows.inverse, rows.index / rows.forward, 1.0)
        delta[option] = np.where(known, level * rows.forward * black.delta, np.nan)
        vega[option] = np.where(known, level * black.vega, np.nan)
        wing[option] = np.abs(black.delta) < WING_DELTA
    if curved.any():
        rows = table.select(curved)
        contract = curved_perpetual(rows, rows.index, vol[curved])
        delta[curved] = rows.contract_size * rows.index * contract.delta
        vega[curved] = rows.contract_size * contract.vega
    return Sensitivities(delta, vega, wing)
