"""Derive's portfolio margin PM2: parameters, revaluation, margin, attribution, what-if."""

from __future__ import annotations

from commonmode.margin.pm2.grid import PM2Grid, revalue
from commonmode.margin.pm2.method import PM2
from commonmode.margin.pm2.parameters import (
    VOL_MOVES,
    Basis,
    CollateralTerms,
    Contingency,
    Discount,
    LossFactors,
    PM2Parameters,
    Scenario,
    Skew,
    VolShock,
    parameters_from_toml,
    shipped_parameters,
    shipped_versions,
)
from commonmode.margin.pm2.reduce import Profile, profile
from commonmode.margin.pm2.requote import requote
from commonmode.margin.pm2.state import PM2State
from commonmode.margin.pm2.svi import feed_vol

__all__ = [
    "PM2",
    "VOL_MOVES",
    "Basis",
    "CollateralTerms",
    "Contingency",
    "Discount",
    "LossFactors",
    "PM2Grid",
    "PM2Parameters",
    "PM2State",
    "Profile",
    "Scenario",
    "Skew",
    "VolShock",
    "feed_vol",
    "parameters_from_toml",
    "profile",
    "requote",
    "revalue",
    "shipped_parameters",
    "shipped_versions",
]
