"""Deribit's portfolio margin: standard and extended tables, roll shock, delta shock, offsets."""

from __future__ import annotations

from commonmode.margin.deribit.aggregate import (
    Requirement,
    WorstCase,
    aggregated_pnl,
    dampening,
    delta_shock,
    requirement,
    roll_rate,
    worst_case,
)
from commonmode.margin.deribit.grid import DeribitGrid
from commonmode.margin.deribit.method import DeribitMargin
from commonmode.margin.deribit.parameters import (
    CurrencyTerms,
    DeribitParameters,
    GeneralTerms,
    PairTerms,
    deribit_from_toml,
    merged,
    shipped_deribit,
    shipped_deribit_versions,
)
from commonmode.margin.deribit.scenarios import (
    EXTENDED_MOVES,
    Grid,
    future_pnl,
    option_pnl,
    scenario_grid,
    shocked_vol,
)

__all__ = [
    "EXTENDED_MOVES",
    "CurrencyTerms",
    "DeribitGrid",
    "DeribitMargin",
    "DeribitParameters",
    "GeneralTerms",
    "Grid",
    "PairTerms",
    "Requirement",
    "WorstCase",
    "aggregated_pnl",
    "dampening",
    "delta_shock",
    "deribit_from_toml",
    "future_pnl",
    "merged",
    "option_pnl",
    "requirement",
    "roll_rate",
    "scenario_grid",
    "shipped_deribit",
    "shipped_deribit_versions",
    "shocked_vol",
    "worst_case",
]
