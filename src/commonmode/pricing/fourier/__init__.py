"""Models known by their characteristic function: prices, Greeks and calibration."""

from __future__ import annotations

from commonmode.pricing.fourier.heston import Bates, Heston
from commonmode.pricing.fourier.levy import Cgmy, Kou, Merton, VarianceGamma
from commonmode.pricing.fourier.model import CharacteristicModel
from commonmode.pricing.fourier.price import CfGreeks, cf_greeks, cf_implied_vol, cf_price

__all__ = [
    "Bates",
    "CfGreeks",
    "Cgmy",
    "CharacteristicModel",
    "Heston",
    "Kou",
    "Merton",
    "VarianceGamma",
    "cf_greeks",
    "cf_implied_vol",
    "cf_price",
]
