"""The surface models by the type names that a study file uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from commonmode.pricing.flat import FlatBlack
from commonmode.pricing.fourier.surface import (
    BatesModel,
    HestonModel,
    KouModel,
    MertonModel,
    VarianceGammaModel,
)
from commonmode.pricing.sabr_model import SabrPerExpiry
from commonmode.pricing.ssvi_model import EssviJoint, SsviJoint
from commonmode.pricing.sticky_delta import StickyDelta
from commonmode.pricing.sticky_strike import StickyStrike
from commonmode.pricing.svi_model import SviPerExpiry
from commonmode.register.model import SurfaceModel

__all__ = ["SURFACE_MODELS"]

SURFACE_MODELS: Mapping[str, Callable[..., SurfaceModel]] = MappingProxyType(
    {
        "bates": BatesModel,
        "essvi": EssviJoint,
        "flat-black": FlatBlack,
        "heston": HestonModel,
        "kou": KouModel,
        "merton": MertonModel,
        "sabr": SabrPerExpiry,
        "ssvi": SsviJoint,
        "sticky-delta": StickyDelta,
        "sticky-strike": StickyStrike,
        "svi": SviPerExpiry,
        "variance-gamma": VarianceGammaModel,
    }
)
"""Type name to constructor; every constructor takes ``id`` and keyword options."""
