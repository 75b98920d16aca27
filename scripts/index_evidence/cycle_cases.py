"""Procyclicality and bias."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import numpy as np
from evidence_case import Case, coverage, power, size
from scipy.stats import t as student

from bias_worlds import BiasWorld, autoregression, market, quantile_panel, right_forecasts
from commonmode.converge.bias import Bias, BiasResult
from commonmode.converge.bias_kinds import BiasKind
from commonmode.converge.procyclicality import Procyclicality
from commonmode.core.arrays import FloatArray
from recalibration_worlds import cycle

__all__ = ["CYCLE_CASES"]

Answers = Mapping[str, bool | None]
_FLIPS = 499


def _cycle(seed: int, planted: float, **world: float) -> Answers:
    excess = world.pop("excess", 0.0 if np.isnan(planted) else planted)
    panel = cycle(seed, excess=excess, **world)  # type: ignore[arg-type]
    found = Procyclicality(flips=_FLIPS, rng=seed).fit(panel).result_
    first, crowd = found.models[0], world.get("crowd", 0.0)
    slope = found.benchmark_slope
    return {
        "an excess is said to be there": min(*(m.p_excess for m in found.models), found.p_crowd)
        <= 0.05,
        "an asymmetry is said to be there": min(m.p_asymmetry for m in found.models) <= 0.05,
        "model 0 found": first.p_excess <= 0.05 and first.excess.value > 0,
        "another model is blamed": any(m.p_excess <= 0.05 for m in found.models[1:]),
        "crowd found": found.p_crowd <= 0.05 and found.crowd_excess.value > 0,
        "asymmetry found": first.p_asymmetry <= 0.05 and first.up > first.down,
        "another asymmetry": any(m.p_asymmetry <= 0.05 for m in found.models[1:]),
        "its excess covered": first.excess.low <= excess + crowd <= first.excess.high,
        "benchmark's slope covered": slope.low <= 0.6 <= slope.high,
    }


@cache
def _printed_excess() -> float:
    fit = Procyclicality(flips=_FLIPS)
    printed = [fit.fit(cycle(900_000 + s)).result_.minimum_detectable for s in range(30)]
    return float(np.mean(printed))


def _procyclicality_cases() -> list[Case]:
    none = (
        size("an excess is said to be there"),
        size("an asymmetry is said to be there"),
        coverage("its excess covered"),
        coverage("benchmark's slope covered"),
    )
    one = (
        power("model 0 found"),
        size("another model is blamed"),
        coverage("its excess covered"),
    )
    rows = (
        ("nothing but what is due", {"heavy": False, "regimes": False, "missing": 0.0}, none),
        ("the same, heavy tails", {"regimes": False, "missing": 0.0}, none),
        ("the same, deviations switch regimes", {"heavy": False, "missing": 0.0}, none),
        ("the same, all that and 10 % missing", {"missing": 0.1}, none),
        ("the same, volatility lasts longer (0.995)", {"memory": 0.995}, none),
        ("an unlisted factor in all models", {"factor": 0.15}, none),
        ("excess of 0.05 in one", {"excess": 0.05}, one),
        ("excess of 0.10 in one", {"excess": 0.1}, one),
        ("excess of 0.20 in one", {"excess": 0.2}, one),
        ("excess of 0.05 in all", {"crowd": 0.05}, (power("crowd found"),)),
        ("excess of 0.10 in all", {"crowd": 0.1}, (power("crowd found"),)),
        (
            "one rises at once and falls slowly",
            {"lagging": True},
            (power("asymmetry found"), size("another asymmetry")),
        ),
    )
    cases = [
        Case("Procyclicality", w, q, partial(_cycle, **k), worlds=200 if q is none else 100)
        for w, k, q in rows
    ]  # type: ignore[arg-type]
    promised = (power("model 0 found", 0.8), *one[1:])
    cases.append(
        Case(
            "Procyclicality",
            "excess of the size printed",
            promised,
            _cycle,
            planted=_printed_excess,
        )
    )
    return cases


Plant = Callable[[BiasWorld, FloatArray], FloatArray]


def _shallow(world: BiasWorld, forecast: FloatArray, by: float = 0.75) -> FloatArray:
    return np.asarray(by * forecast)


def _steep(world: BiasWorld, forecast: FloatArray, slope: float) -> FloatArray:
    depth = np.log(-forecast)
    return np.asarray(-np.exp(depth.mean(axis=0) + slope * (depth - depth.mean(axis=0))))


def _sticky(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    depth = np.log(-forecast)
    for t in range(1, len(depth)):
        depth[t] = 0.5 * depth[t] + 0.5 * depth[t - 1]
    return np.asarray(-np.exp(depth))


def _excited(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    """Twice the last move is added: over-reaction to news."""
    depth = np.log(-forecast)
    move = np.diff(depth, axis=0, prepend=depth[:1])
    return np.asarray(-np.exp(depth + 2.0 * move))


def _calm_minded(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    stress = world.log_vol > np.quantile(world.log_vol, 0.9)
    return np.asarray(forecast * np.exp(-0.4 * stress)[:, None])


def _noisy(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    own = autoregression(world.rng, len(forecast), forecast.shape[1], 0.9, 0.4)
    return np.asarray(forecast * np.exp(own))


def _bias_world(
    seed: int,
    *,
    switching: bool = False,
    degrees: float = 4.0,
    missing: float = 0.0,
    factor: bool = False,
    times: int = 3000,
) -> tuple[BiasWorld, FloatArray]:
    world = market(seed, times=times, switching=switching, degrees=degrees)
    forecast = right_forecasts(world, 6)
    if missing:
        forecast[world.rng.random(forecast.shape) < missing] = np.nan
    if factor:
        # Nobody lists it; it moves the outcomes of all, and no forecast can be better for it.
        shock = autoregression(world.rng, times, 1, 0.5, 0.002)[:, 0]
        world = replace(world, outcome=world.outcome * np.exp(shock))
    return world, forecast


def _fit_bias(world: BiasWorld, forecast: FloatArray, seed: int) -> BiasResult:
    return Bias(flips=_FLIPS, rng=seed).fit(quantile_panel(world, forecast)).result_


def _right(seed: int, planted: float, **options: float) -> Answers:
    result = _fit_bias(*_bias_world(seed, **options), seed)  # type: ignore[arg-type]
    told: dict[str, bool | None] = {
        "a model is blamed": bool(result.found),
        "the crowd is blamed": bool(result.found_shared),
    }
    for kind in BiasKind:
        held = None
        if kind in result.kinds:
            low, high = result.of(kind)[0].interval
            held = low <= 0.0 <= high
        told[f"{kind.value} covered"] = held
    return told


def _optimism(by: float, degrees: float = 4.0, level: float = 0.025) -> float:
    """Mean of the identification function of ``by`` times the true quantile."""
    return float(student.cdf(by * student.ppf(level, degrees), degrees)) / level - 1.0


@cache
def _printed_shallow() -> float:
    """Factor on the quantile whose optimism is the level bias that is printed as detectable."""
    printed = float(
        np.mean(
            [
                _fit_bias(*_bias_world(900_000 + s), s).of(BiasKind.LEVEL)[0].detectable
                for s in range(30)
            ]
        )
    )
    quantile = student.ppf(0.025, 4.0)
    return float(student.ppf(0.025 * (1.0 + printed), 4.0) / quantile)


def _biased(
    seed: int,
    planted: float,
    *,
    plant: Plant,
    kind: BiasKind,
    sign: float,
    truth: float | None = None,
    all_of_them: bool = False,
    switching: bool = False,
    missing: float = 0.0,
) -> Answers:
    world, forecast = _bias_world(seed, switching=switching)
    change = plant if np.isnan(planted) else partial(_shallow, by=planted)
    if all_of_them:
        forecast = change(world, forecast)
    else:
        forecast[:, :1] = change(world, forecast[:, :1])
    if missing:
        forecast[world.rng.random(forecast.shape) < missing] = np.nan
    result = _fit_bias(world, forecast, seed)
    one = result.of(kind)[0]
    (crowd,) = (e for e in result.shared if e.kind is kind)
    said = crowd if all_of_them else one
    return {
        "found": said.p_adjusted <= 0.05 and np.sign(said.estimate) == sign,
        "another model is blamed": any(e.model != "m0" for e in result.found),
        "covered": None if truth is None else one.interval[0] <= truth <= one.interval[1],
    }


def _bias_cases() -> list[Case]:
    right = (
        size("a model is blamed"),
        size("the crowd is blamed"),
        *(coverage(f"{kind.value} covered") for kind in BiasKind),
    )
    worlds = {
        "right forecasts": {},
        "right, tails of two and a half degrees": {"degrees": 2.5},
        "right, volatility switches regimes": {"switching": True},
        "right, 10 % missing": {"missing": 0.1},
        "right, unlisted factor in outcomes": {"factor": True},
        "right, 1 000 rows": {"times": 1000},
    }
    cases = [Case("Bias", w, right, partial(_right, **k)) for w, k in worlds.items()]  # type: ignore[arg-type]
    found = (power("found"), size("another model is blamed"))
    covered = (*found, coverage("covered"))
    level, slope = BiasKind.LEVEL, BiasKind.EFFICIENCY
    rows: tuple[tuple[str, dict[str, object], tuple], ...] = (
        (
            "a quarter too shallow (level)",
            {"plant": _shallow, "kind": level, "sign": 1, "truth": _optimism(0.75)},
            covered,
        ),
        (
            "0.4 of the moves (Mincer-Zarnowitz)",
            {"plant": partial(_steep, slope=0.4), "kind": slope, "sign": 1},
            found,
        ),
        (
            "1.6 of the moves (Mincer-Zarnowitz)",
            {"plant": partial(_steep, slope=1.6), "kind": slope, "sign": -1},
            found,
        ),
        (
            "adds twice its last move (Coibion-Gorodnichenko)",
            {"plant": _excited, "kind": BiasKind.REACTION, "sign": -1},
            found,
        ),
        (
            "too shallow in stress, by outcomes (conditional)",
            {"plant": _calm_minded, "kind": BiasKind.REGIME, "sign": 1},
            found,
        ),
        (
            "too shallow in stress, by the benchmark (recency)",
            {"plant": _calm_minded, "kind": BiasKind.RECENCY, "sign": -1},
            found,
        ),
        (
            "half of the news left out (anchoring)",
            {"plant": _sticky, "kind": BiasKind.ANCHORING, "sign": 1, "truth": 0.5},
            covered,
        ),
        (
            "the same, regimes, 10 % missing",
            {
                "plant": _sticky,
                "kind": BiasKind.ANCHORING,
                "sign": 1,
                "truth": 0.5,
                "switching": True,
                "missing": 0.1,
            },
            (power("found"), size("another model is blamed")),
        ),
        (
            "noise of its own (stands apart)",
            {"plant": _noisy, "kind": BiasKind.HERDING, "sign": -1},
            found,
        ),
        (
            "all a tenth too shallow (shared level)",
            {
                "plant": partial(_shallow, by=0.9),
                "kind": level,
                "sign": 1,
                "all_of_them": True,
            },
            (power("found"),),
        ),
        (
            "all a quarter too shallow (shared level)",
            {"plant": _shallow, "kind": level, "sign": 1, "all_of_them": True},
            (power("found"),),
        ),
    )
    for w, k, q in rows:
        cases.append(Case("Bias", w, q, partial(_biased, **k), worlds=100))  # type: ignore[arg-type]
    printed = partial(_biased, plant=_shallow, kind=level, sign=1)
    cases.append(
        Case(
            "Bias",
            "level bias of the size printed",
            (power("found", 0.8), size("another model is blamed")),
            printed,
            planted=_printed_shallow,
        )
    )
    return cases


CYCLE_CASES = (*_procyclicality_cases(), *_bias_cases())
