"""Screens that run before a number is trusted; each says what it found, how sure and by whom."""

from __future__ import annotations

from commonmode.market.integrity.bars import (
    copied_bars,
    frozen_bars,
    label_shift,
    lagging_prices,
    partial_bars,
    volume_without_moves,
)
from commonmode.market.integrity.derivatives import (
    clock_skew,
    funding_cadence,
    funding_scale,
    label_phase,
    liquidation_cap,
    open_interest_reconciles,
)
from commonmode.market.integrity.prints import prints_inside_spread, volume_beyond_depth
from commonmode.market.integrity.screen import Screen, Verdict
from commonmode.market.integrity.trades import (
    matched_pairs,
    round_sizes,
    size_digits,
    size_tail,
)

__all__ = [
    "Screen",
    "Verdict",
    "clock_skew",
    "copied_bars",
    "frozen_bars",
    "funding_cadence",
    "funding_scale",
    "label_phase",
    "label_shift",
    "lagging_prices",
    "liquidation_cap",
    "matched_pairs",
    "open_interest_reconciles",
    "partial_bars",
    "prints_inside_spread",
    "round_sizes",
    "size_digits",
    "size_tail",
    "volume_beyond_depth",
    "volume_without_moves",
]
