"""The parts of our own margin method that need only arrays: joint scenarios, measures, horizons."""

from __future__ import annotations

from commonmode.margin.dynamic.correlation import (
    comonotone_scenarios,
    independent_scenarios,
    sign_patterns,
)
from commonmode.margin.dynamic.filtered import (
    VolatilityFilter,
    VolatilityPath,
    filter_volatility,
    filtered_scenarios,
)
from commonmode.margin.dynamic.history import (
    CompletedPanel,
    Proxy,
    ReturnPanel,
    complete_factors,
    historical_scenarios,
    horizon_sums,
    stressed_rows,
    stressed_scenarios,
)
from commonmode.margin.dynamic.horizon import (
    at_horizon,
    exposed_minutes,
    horizon_scale,
    liquidation_minutes,
)
from commonmode.margin.dynamic.hypothetical import NamedMove, hypothetical_scenarios
from commonmode.margin.dynamic.measure import (
    TailMeasure,
    WorstLoss,
    shortfall_error,
    tail_measure,
    undiversified,
    worst_loss,
)
from commonmode.margin.dynamic.mixing import COMPONENTS, MarginMix
from commonmode.margin.dynamic.scenarios import JointScenarios, ScenarioKind, mixture
from commonmode.margin.dynamic.vol_moves import (
    VolResponse,
    fit_vol_response,
    realised_vol_moves,
)

__all__ = [
    "COMPONENTS",
    "CompletedPanel",
    "JointScenarios",
    "MarginMix",
    "NamedMove",
    "Proxy",
    "ReturnPanel",
    "ScenarioKind",
    "TailMeasure",
    "VolResponse",
    "VolatilityFilter",
    "VolatilityPath",
    "WorstLoss",
    "at_horizon",
    "comonotone_scenarios",
    "complete_factors",
    "exposed_minutes",
    "filter_volatility",
    "filtered_scenarios",
    "fit_vol_response",
    "historical_scenarios",
    "horizon_scale",
    "horizon_sums",
    "hypothetical_scenarios",
    "independent_scenarios",
    "liquidation_minutes",
    "mixture",
    "realised_vol_moves",
    "shortfall_error",
    "sign_patterns",
    "stressed_rows",
    "stressed_scenarios",
    "tail_measure",
    "undiversified",
    "worst_loss",
]
