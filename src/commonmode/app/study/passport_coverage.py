"""How panels cover: split-conformal halves, a level that adapts, the rate a backtest can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from commonmode.core.errors import CommonmodeError
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.conformal import adaptive_conformal
from commonmode.stats.conformal_halves import HeldCoverage, held_coverage
from commonmode.stats.samples import kupiec_power

__all__ = ["Backtest", "Covered", "coverage_of", "detectable_rate"]

_LEVEL = 0.05  # over all forecasts looked at


@dataclass(frozen=True, slots=True)
class Backtest:
    """Whether a panel is long enough to judge a quantile.

    Attributes
    ----------
    panel : str
    level : float
        Stated breach rate.
    outcomes, needed : int
        That do not overlap; to tell twice the stated rate with 80 % power.
    power, rate : float
        With which the outcomes tell it, and the rate that they tell with 80 %.
    """

    panel: str
    level: float
    outcomes: int
    needed: int
    power: float
    rate: float


@dataclass(frozen=True, slots=True)
class Covered:
    """Coverage of one model's forecasts of one target.

    Attributes
    ----------
    panel, model, target : str
    level : float
        Share that may be missed.
    missed : float
        Share missed as forecast.
    held : HeldCoverage
    adaptive, bound : float
        Share missed with a level that adapts, and its largest distance from ``level``; NaN where
        the panel is too short.
    """

    panel: str
    model: str
    target: str
    level: float
    missed: float
    held: HeldCoverage
    adaptive: float
    bound: float


def coverage_of(
    panel: ErrorPanel, *, step: int = 1, comparisons: int = 1
) -> tuple[list[Covered], list[str]]:
    """Coverage of every model and target of a quantile panel.

    The score of a forecast is the loss over it: above 1 the outcome broke it.

    Parameters
    ----------
    panel : ErrorPanel
    step : int
        Rows from one outcome to the next that does not overlap it.
    comparisons : int
        How many are looked at in all; intervals hold over all of them with 95 %.

    Returns
    -------
    list of Covered, list of str
        And why there is none of some.
    """
    found, notes = [], []
    for k, target in enumerate(panel.targets):
        for i, model in enumerate(panel.models):
            scores = (panel.outcome[:, k] / panel.forecast[:, k, i])[::step]
            scores = scores[np.isfinite(scores)]
            try:
                held = held_coverage(scores, panel.level, level=1.0 - _LEVEL / comparisons)
            except CommonmodeError as error:
                notes.append(f"{panel.name}: {model} on {target}: {error.message}.")
                continue
            try:
                adapted = adaptive_conformal(scores, panel.level)
                adaptive, bound = adapted.miscoverage, adapted.bound
            except CommonmodeError:  # shorter than its first window: said by the empty cell
                adaptive = bound = float("nan")
            found.append(
                Covered(
                    panel=panel.name,
                    model=model,
                    target=target,
                    level=panel.level,
                    missed=float((scores > 1.0).mean()),
                    held=held,
                    adaptive=adaptive,
                    bound=bound,
                )
            )
    return found, notes


def detectable_rate(outcomes: int, level: float, *, power: float = 0.8) -> float:
    """Smallest breach rate above ``level`` that Kupiec's test (5 %) tells with ``power``.

    NaN where even a rate of one would not be told.
    """
    if outcomes < 1:
        return float("nan")
    low, high = level, 1.0 - 1e-9
    if float(kupiec_power(outcomes, level, high)) < power:
        return float("nan")
    for _ in range(50):
        middle = 0.5 * (low + high)
        if float(kupiec_power(outcomes, level, middle)) < power:
            low = middle
        else:
            high = middle
    return high
