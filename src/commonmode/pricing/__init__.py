"""Option pricing formulae and implied-volatility surface models with calibration."""

from __future__ import annotations

from commonmode.pricing.arbitrage import (
    ArbitrageKind,
    ArbitrageReport,
    Violation,
    check_price_grid,
    check_slices,
    check_ssvi,
    ssvi_slice,
    svi_slice,
)
from commonmode.pricing.batch import SliceFits, fit_sabr_batch, fit_svi_batch
from commonmode.pricing.black76 import Black76Greeks, black76_greeks, black76_price
from commonmode.pricing.black_scholes import BsmGreeks, bsm_greeks, bsm_price
from commonmode.pricing.builtin import SURFACE_MODELS
from commonmode.pricing.flat import FlatBlack, FlatSurface
from commonmode.pricing.implied_vol import black76_implied_vol, normalised_black_implied_vol
from commonmode.pricing.inverse import InverseGreeks, inverse_greeks, inverse_price
from commonmode.pricing.local_vol import (
    LocalVolGrid,
    dupire_variance,
    local_variance,
    local_vol_grid,
)
from commonmode.pricing.repair import (
    ButterflyRepair,
    project_slices,
    repair_butterfly,
    repair_call_prices,
)
from commonmode.pricing.sabr import hagan_lognormal_vol
from commonmode.pricing.sabr_fit import SabrFit, fit_sabr
from commonmode.pricing.sabr_model import SabrPerExpiry, SabrSurface
from commonmode.pricing.series import CalibrationSeries, calibrate_series
from commonmode.pricing.slices import ChainSlices, chain_slices
from commonmode.pricing.ssvi import (
    SsviDerivatives,
    SsviSlices,
    heston_like_phi,
    power_law_phi,
    ssvi_derivatives,
    ssvi_total_variance,
)
from commonmode.pricing.ssvi_model import EssviJoint, SsviJoint, SsviSurface, fit_chain_slices
from commonmode.pricing.stability import (
    Identifiability,
    ParameterPath,
    RecalibrationNoise,
    identifiability,
    parameter_path,
    recalibration_noise,
)
from commonmode.pricing.sticky_delta import StickyDelta, StickyDeltaSurface
from commonmode.pricing.sticky_strike import StickyStrike, StickyStrikeSurface
from commonmode.pricing.surface_fit import SurfaceFit, fit_surface
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
    "ArbitrageKind",
    "ArbitrageReport",
    "Black76Greeks",
    "BsmGreeks",
    "ButterflyRepair",
    "ButterflyReport",
    "CalibrationSeries",
    "ChainSlices",
    "EssviJoint",
    "FlatBlack",
    "FlatSurface",
    "Identifiability",
    "InverseGreeks",
    "JumpWings",
    "LocalVolGrid",
    "ParameterPath",
    "RecalibrationNoise",
    "SabrFit",
    "SabrPerExpiry",
    "SabrSurface",
    "SliceFits",
    "SsviCondition",
    "SsviDerivatives",
    "SsviJoint",
    "SsviSlices",
    "SsviSurface",
    "StickyDelta",
    "StickyDeltaSurface",
    "StickyStrike",
    "StickyStrikeSurface",
    "SurfaceFit",
    "SviFit",
    "SviPerExpiry",
    "SviRaw",
    "SviSurface",
    "Violation",
    "black76_greeks",
    "black76_implied_vol",
    "black76_price",
    "bsm_greeks",
    "bsm_price",
    "butterfly_report",
    "calibrate_series",
    "chain_slices",
    "check_price_grid",
    "check_slices",
    "check_ssvi",
    "dupire_variance",
    "durrleman_g",
    "fit_chain_slices",
    "fit_sabr",
    "fit_sabr_batch",
    "fit_surface",
    "fit_svi",
    "fit_svi_batch",
    "hagan_lognormal_vol",
    "heston_like_phi",
    "identifiability",
    "inverse_greeks",
    "inverse_price",
    "local_variance",
    "local_vol_grid",
    "normalised_black_implied_vol",
    "parameter_path",
    "power_law_phi",
    "project_slices",
    "recalibration_noise",
    "repair_butterfly",
    "repair_call_prices",
    "ssvi_butterfly_free",
    "ssvi_derivatives",
    "ssvi_slice",
    "ssvi_total_variance",
    "svi_durrleman_g",
    "svi_slice",
    "svi_total_variance",
]
