"""What doubt in the feeds costs: a share of the notional, linear in the confidence that is missing.

Nothing is charged from the floor of the confidence on, so the charge never jumps.
"""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import FloatArray
from commonmode.margin.accounts import Accounts
from commonmode.margin.dynamic.parameters import DynamicParameters
from commonmode.margin.market import MarginMarket
from commonmode.margin.sensitivities import Sensitivities

__all__ = ["collateral_doubts", "position_doubts"]


def position_doubts(
    accounts: Accounts,
    market: MarginMarket,
    greeks: Sensitivities,
    parameters: DynamicParameters,
) -> FloatArray:
    """Charge of every position, USD, shape (P,); the least sure feed of a position counts.

    The notional of an option is that of its underlying, of all else its delta.
    """
    table, u, e = market.instruments, market.underlying, market.expiry
    confidence = market.underlyings.spot_confidence[u]
    dated = e >= 0
    if dated.any():
        x = market.expiries
        feeds = (x.forward_confidence, x.rate_confidence, x.vol_confidence)
        least = np.minimum.reduce([feed[e] for feed in feeds])
        confidence = np.where(dated, np.minimum(confidence, least), confidence)
    size = np.where(table.is_option, table.contract_size * table.index, greeks.delta_usd)
    held = accounts.instrument
    notional = np.abs(accounts.quantity) * np.abs(size)[held]
    return np.asarray(notional * _share(confidence, parameters)[held])


def collateral_doubts(
    accounts: Accounts, market: MarginMarket, parameters: DynamicParameters
) -> FloatArray:
    """Charge of every account's collateral, USD, shape (A, C)."""
    per_unit = market.assets.price * _share(market.assets.confidence, parameters)
    # An asset without a price or a confidence harms only who holds it.
    held = accounts.collateral != 0.0
    return np.where(held, np.abs(accounts.collateral) * per_unit, 0.0)


def _share(confidence: FloatArray, p: DynamicParameters) -> FloatArray:
    """Part of the notional that is charged."""
    return np.asarray(
        p.confidence_rate * np.maximum(p.confidence_floor - confidence, 0.0) / p.confidence_floor
    )
