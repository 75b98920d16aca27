"""Coverage backtest of margin methods: constant portfolios, walk-forward fits, equal coverage."""

from __future__ import annotations

from commonmode.margin.backtest.assess import Assessment, Comparison, Sample, assess
from commonmode.margin.backtest.bootstrap import Interval, pooled_scale, scale_interval
from commonmode.margin.backtest.calibration import Ladder, LadderFit, fit_ladder, walk_ladder
from commonmode.margin.backtest.compare import breach_rate, cost_ratio, pooled_rate
from commonmode.margin.backtest.crash import MethodCrash, method_crash
from commonmode.margin.backtest.implied import ImpliedVolModel, fit_implied_vol, realised_vols
from commonmode.margin.backtest.market_path import MarketPath, portfolio_losses
from commonmode.margin.backtest.ours import Components, Recipe, components, long_history_margin
from commonmode.margin.backtest.portfolios import COINS, HOUSE_PORTFOLIOS, Leg, Portfolio
from commonmode.margin.backtest.published import published_methods, with_scan_range
from commonmode.margin.backtest.select import Candidate, TrainingData, candidates, choose
from commonmode.margin.backtest.simple import historical_var, static_haircut, static_haircut_rates
from commonmode.margin.backtest.stacked import margin_path, stack
from commonmode.margin.backtest.walk import Settings, WalkForward, controlled, walk_forward

__all__ = [
    "COINS",
    "HOUSE_PORTFOLIOS",
    "Assessment",
    "Candidate",
    "Comparison",
    "Components",
    "ImpliedVolModel",
    "Interval",
    "Ladder",
    "LadderFit",
    "Leg",
    "MarketPath",
    "MethodCrash",
    "Portfolio",
    "Recipe",
    "Sample",
    "Settings",
    "TrainingData",
    "WalkForward",
    "assess",
    "breach_rate",
    "candidates",
    "choose",
    "components",
    "controlled",
    "cost_ratio",
    "fit_implied_vol",
    "fit_ladder",
    "historical_var",
    "long_history_margin",
    "margin_path",
    "method_crash",
    "pooled_rate",
    "pooled_scale",
    "portfolio_losses",
    "published_methods",
    "realised_vols",
    "scale_interval",
    "stack",
    "static_haircut",
    "static_haircut_rates",
    "walk_forward",
    "walk_ladder",
    "with_scan_range",
]
