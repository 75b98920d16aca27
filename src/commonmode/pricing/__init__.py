"""Option pricing formulae and implied-volatility surface models with calibration."""

from __future__ import annotations

from commonmode.pricing.black76 import Black76Greeks, black76_greeks, black76_price
from commonmode.pricing.black_scholes import BsmGreeks, bsm_greeks, bsm_price
from commonmode.pricing.implied_vol import black76_implied_vol, normalised_black_implied_vol
from commonmode.pricing.inverse import InverseGreeks, inverse_greeks, inverse_price
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.svi import (
    ButterflyReport,
    JumpWings,
    SsviCondition,
    SviRaw,
    butterfly_report,
    durrleman_g,
    ssvi_butterfly_free,
    svi_total_variance,
)

__all__ = [
    "Black76Greeks",
    "BsmGreeks",
    "ButterflyReport",
    "InverseGreeks",
    "JumpWings",
    "SsviCondition",
    "SviRaw",
    "black76_greeks",
    "black76_implied_vol",
    "black76_price",
    "bsm_greeks",
    "bsm_price",
    "butterfly_report",
    "durrleman_g",
    "hagan_lognormal_vol",
    "inverse_greeks",
    "inverse_price",
    "normalised_black_implied_vol",
    "ssvi_butterfly_free",
    "svi_total_variance",
]
