"""Models known by their characteristic function: prices, Greeks, calibration, surfaces."""

from __future__ import annotations

from commonmode.pricing.fourier.fit import CfFit, fit_cf
from commonmode.pricing.fourier.heston import Bates, Heston
from commonmode.pricing.fourier.levy import Cgmy, Kou, Merton, VarianceGamma
from commonmode.pricing.fourier.model import CharacteristicModel
from commonmode.pricing.fourier.price import CfGreeks, cf_greeks, cf_implied_vol, cf_price
from commonmode.pricing.fourier.surface import (
    BatesModel,
    CfSurface,
    HestonModel,
    KouModel,
    MertonModel,
    VarianceGammaModel,
)

__all__ = [
    "Bates",
    "BatesModel",
    "CfFit",
    "CfGreeks",
    "CfSurface",
    "Cgmy",
    "CharacteristicModel",
    "Heston",
    "HestonModel",
    "Kou",
    "KouModel",
    "Merton",
    "MertonModel",
    "VarianceGamma",
    "VarianceGammaModel",
    "cf_greeks",
    "cf_implied_vol",
    "cf_price",
    "fit_cf",
]
