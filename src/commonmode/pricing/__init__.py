"""Option pricing formulae and implied-volatility surface models with calibration."""

from __future__ import annotations

from commonmode.pricing.black76 import Black76Greeks, black76_greeks, black76_price
from commonmode.pricing.black_scholes import BsmGreeks, bsm_greeks, bsm_price
from commonmode.pricing.builtin import SURFACE_MODELS
from commonmode.pricing.flat import FlatBlack, FlatSurface
from commonmode.pricing.implied_vol import black76_implied_vol, normalised_black_implied_vol
from commonmode.pricing.inverse import InverseGreeks, inverse_greeks, inverse_price
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.sabr_fit import SabrFit, fit_sabr
from commonmode.pricing.sabr_model import SabrPerExpiry, SabrSurface
from commonmode.pricing.slices import ChainSlices, chain_slices
from commonmode.pricing.sticky_delta import StickyDelta, StickyDeltaSurface
from commonmode.pricing.sticky_strike import StickyStrike, StickyStrikeSurface
from commonmode.pricing.svi import (
    ButterflyReport,
    JumpWings,
    SsviCondition,
    SviRaw,
    butterfly_report,
    durrleman_g,
    ssvi_butterfly_free,
    svi_durrleman_g,
    svi_total_variance,
)
from commonmode.pricing.svi_fit import SviFit, fit_svi
from commonmode.pricing.svi_model import SviPerExpiry, SviSurface

__all__ = [
    "SURFACE_MODELS",
    "Black76Greeks",
    "BsmGreeks",
    "ButterflyReport",
    "ChainSlices",
    "FlatBlack",
    "FlatSurface",
    "InverseGreeks",
    "JumpWings",
    "SabrFit",
    "SabrPerExpiry",
    "SabrSurface",
    "SsviCondition",
    "StickyDelta",
    "StickyDeltaSurface",
    "StickyStrike",
    "StickyStrikeSurface",
    "SviFit",
    "SviPerExpiry",
    "SviRaw",
    "SviSurface",
    "black76_greeks",
    "black76_implied_vol",
    "black76_price",
    "bsm_greeks",
    "bsm_price",
    "butterfly_report",
    "chain_slices",
    "durrleman_g",
    "fit_sabr",
    "fit_svi",
    "hagan_lognormal_vol",
    "inverse_greeks",
    "inverse_price",
    "normalised_black_implied_vol",
    "ssvi_butterfly_free",
    "svi_durrleman_g",
    "svi_total_variance",
]
