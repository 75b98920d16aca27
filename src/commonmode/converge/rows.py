"""Which rows of a panel an index can use, and what to say when there are too few."""

from __future__ import annotations

import numpy as np

from commonmode.core.arrays import BoolArray
from commonmode.core.errors import PanelError, ShortPanelError
from commonmode.panel.error_panel import ErrorPanel, PanelKind

__all__ = ["usable_rows"]

_LARGEST = 1e60  # beyond it a number's square, over a small scale, may overflow
_FEWEST_ROWS = 12  # complete times of each target


def usable_rows(panel: ErrorPanel) -> BoolArray:
    """Rows with every forecast, outcome, benchmark and (values, signals) scale; shape (T, K).

    Raises
    ------
    PanelError
        Fewer than two models, fewer than 12 complete rows of some target, or numbers whose squares
        and ratios would leave the range of a float.
    """
    _check_sizes(panel)
    if len(panel.models) < 2:
        raise PanelError(
            f"panel {panel.name} has {len(panel.models)} model(s); convergence needs two or more",
            remedy="add the forecasts of another model",
        )
    rows = panel.complete
    counts = rows.sum(axis=0)
    for target, count in zip(panel.targets, counts, strict=True):
        if count < _FEWEST_ROWS:
            short = len(panel.times_ms) < _FEWEST_ROWS
            raise (ShortPanelError if short else PanelError)(
                f"panel {panel.name}, target {target}: only {count} times with every forecast, "
                "outcome, benchmark and scale",
                remedy=_what_is_missing(panel, panel.targets.index(target)),
            )
    return rows


def _check_sizes(panel: ErrorPanel) -> None:
    arrays = {"forecast": panel.forecast, "outcome": panel.outcome, "scale": panel.scale}
    if panel.benchmark_a is not None and panel.benchmark_b is not None:
        arrays |= {"benchmark_a": panel.benchmark_a, "benchmark_b": panel.benchmark_b}
    for name, array in arrays.items():
        size = np.abs(array)
        bad = np.isfinite(size) & (size > _LARGEST)
        if name == "scale" and panel.kind in (PanelKind.VALUE, PanelKind.SIGNAL):
            bad |= size < 1.0 / _LARGEST
        if bad.any():
            raise PanelError(
                f"panel {panel.name}: {name} holds {array[bad][0]:g}",
                remedy="check its units: no price, return or scale of a market is of that size",
            )


def _what_is_missing(panel: ErrorPanel, target: int) -> str:
    """Which part of ``target`` has most gaps and what to do about it."""
    parts = {"outcome": panel.outcome}
    if panel.benchmark_a is not None and panel.benchmark_b is not None:
        parts |= {"benchmark_a": panel.benchmark_a, "benchmark_b": panel.benchmark_b}
    if panel.kind in (PanelKind.VALUE, PanelKind.SIGNAL):
        parts["scale"] = panel.scale
    market = {name: float(np.isnan(part[:, target]).mean()) for name, part in parts.items()}
    gaps = np.isnan(panel.forecast[:, target]).mean(axis=0)
    worst = max(market, key=lambda name: market[name])
    if market[worst] > 0 and market[worst] >= gaps.max():
        return f"{worst} is missing at {100 * market[worst]:.0f} % of the times: give it"
    if gaps.min() == 1.0:
        return "no model forecasts it: leave the target out"
    if gaps.max() > 0:
        worst = panel.models[int(np.argmax(gaps))]
        return f"leave out the model with most gaps ({worst}) or give a longer panel"
    return "give a longer panel"
