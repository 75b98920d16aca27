"""The numbers behind the look *passports*, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from commonmode.app.study.look_context import LookTable
from commonmode.app.study.passport_coverage import Backtest, Covered
from commonmode.market.integrity import Screen
from commonmode.register.passport import DataPassport

__all__ = [
    "backtest_table",
    "coverage_table",
    "limit_table",
    "passport_table",
    "screen_table",
    "stress_table",
]


def passport_table(passports: Sequence[DataPassport]) -> LookTable:
    """A row for each model and instrument."""
    rows = [
        (
            one.model,
            one.instrument,
            one.source,
            one.window,
            one.effective_size,
            one.effective_interval[0],
            one.effective_interval[1],
            one.tail.clusters,
            one.regimes.calm,
            one.regimes.middle,
            one.regimes.stress,
            one.regimes.stress_episodes,
            float(-np.expm1(-one.regimes.worst_fall)),
            float(-np.expm1(-one.regimes.record_worst_fall)),
            one.missing_bars + sum(one.missing.values()),
            one.stale_bars,
            len(one.limits),
        )
        for one in passports
    ]
    return LookTable(
        "passports",
        "Calibration windows: independent observations for a volatility (95 % interval) and "
        "independent tail events in them, shares of calm, middle and stressed hours as the whole "
        "record has them, the worst fall in a day there and on record, and what is missing",
        (
            "model",
            "instrument",
            "declared_source",
            "window",
            "worth",
            "low",
            "high",
            "tail_events",
            "calm_share",
            "middle_share",
            "stress_share",
            "episodes",
            "worst_fall_share",
            "record_fall_share",
            "missing",
            "stale",
            "limits",
        ),
        rows,
    )


def stress_table(passports: Sequence[DataPassport]) -> LookTable:
    """A row for each passport and stress."""
    rows = [
        (
            one.model,
            one.instrument,
            stress.name,
            stress.distance,
            stress.rank,
            stress.neighbour,
            stress.neighbour_p,
            "outside" if stress.outside else "inside",
        )
        for one in passports
        for stress in one.stresses
    ]
    return LookTable(
        "stresses",
        "How far each stress lies from the window: robust Mahalanobis distance, share of the "
        "window's own hours as far out, distance to the nearest of them and its p-value. Outside: "
        "what the model says there is extrapolation",
        ("model", "instrument", "stress", "distance", "rank_share", "nearest", "p_nearest", "is"),
        rows,
    )


def backtest_table(backtests: Sequence[Backtest]) -> LookTable:
    """A row for each risk panel."""
    return LookTable(
        "backtests",
        "Outcomes that do not overlap, how many a backtest needs to tell twice the stated breach "
        "rate (80 % power), the power of those there are, and the rate that they tell with 80 %",
        ("panel", "level_share", "outcomes", "needed", "power_share", "detectable_share"),
        [
            (one.panel, one.level, one.outcomes, one.needed, one.power, one.rate)
            for one in backtests
        ],
    )


def coverage_table(covered: Sequence[Covered]) -> LookTable:
    """A row for each forecast of a risk panel."""
    return LookTable(
        "coverage",
        "Conformal coverage: share missed as forecast; factor that covers on the first half, what "
        "it promises for the second (95 % over all) and what is found there; share missed with a "
        "level that adapts, and how far from the level it can be whatever happens",
        (
            "panel",
            "model",
            "target",
            "missed_share",
            "factor",
            "promised_low_share",
            "promised_high_share",
            "found_share",
            "verdict",
            "adaptive_share",
            "bound_share",
        ),
        [
            (
                one.panel,
                one.model,
                one.target,
                one.missed,
                one.held.factor,
                one.held.promised[0],
                one.held.promised[1],
                one.held.found,
                "drifts" if one.held.drifts else "holds",
                one.adaptive,
                one.bound,
            )
            for one in covered
        ],
    )


def limit_table(passports: Sequence[DataPassport]) -> LookTable:
    """Limits of use, those of several models in one row."""
    who: dict[tuple[str, str], list[str]] = {}
    for one in passports:
        for limit in one.limits:
            who.setdefault((limit, one.instrument), []).append(one.model)
    return LookTable(
        "limits",
        "Limits of use that follow by rule",
        ("limit", "instrument", "models"),
        [(limit, coin, ", ".join(models)) for (limit, coin), models in who.items()],
    )


def screen_table(screens: Sequence[Screen]) -> LookTable:
    """A row for each screen, flagged ones first."""
    order: Mapping[str, int] = {"flagged": 0, "passed": 1, "not applicable": 2}
    rows: list[tuple[Any, ...]] = [
        (
            _subject(one.subject),
            one.name,
            one.verdict.value,
            _number(one.statistic),
            _number(one.threshold),
            _number(one.p_value),
            one.sentence.removeprefix(f"{one.subject}: "),
        )
        for one in sorted(screens, key=lambda screen: order[screen.verdict.value])
    ]
    return LookTable(
        "screens",
        "Screens of the data: what was found, the bound it is held against, and p where chance "
        "could make it",
        ("subject", "screen", "verdict", "statistic", "bound", "p_value", "found"),
        rows,
    )


def _subject(name: str) -> str:
    """``venue:COIN-PERP`` as people say it; other names as they are."""
    said = []
    for part in name.split(" against "):
        venue, colon, what = part.partition(":")
        if not colon:
            said.append(part)
            continue
        kind = "perpetual" if what.endswith("-PERP") else "funding"
        said.append(f"{what.removesuffix('-PERP')} {kind} on {venue.capitalize()}")
    return " against ".join(said)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
