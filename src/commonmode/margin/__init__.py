"""Margin: published methods and our own, thresholds, parameter gates, coverage."""

from __future__ import annotations

from commonmode.margin.accounts import Account, Accounts, Holding
from commonmode.margin.market import Assets, Expiries, MarginMarket, Underlyings
from commonmode.margin.method import Legs, MarginMethod, MarginTable
from commonmode.margin.portfolio import Asset, Portfolio, assemble

__all__ = [
    "Account",
    "Accounts",
    "Asset",
    "Assets",
    "Expiries",
    "Holding",
    "Legs",
    "MarginMarket",
    "MarginMethod",
    "MarginTable",
    "Portfolio",
    "Underlyings",
    "assemble",
]
