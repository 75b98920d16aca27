"""Cadence, strategies, and hedging errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

import numpy as np
from evidence_case import Case, coverage, power, size
from evidence_series import lasting

from commonmode.converge.cadence import CadenceTrial, advise, step_noise
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.strategies import StrategyRiskCoupling
from commonmode.converge.strategies_result import StrategyRiskResult
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.random import stream
from commonmode.core.units import HOUR_MS
from commonmode.exposure.hedging import HedgeRecord, compare_hedges
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from strategy_worlds import selling_world

__all__ = ["MONEY_CASES", "fit_selling", "hedge_record"]

Answers = Mapping[str, bool | None]
_FLIPS = 499


def _cadence(
    seed: int,
    planted: float,
    *,
    gain: float = 0.0,
    worse: float = 0.0,
    heavy: bool = False,
    regimes: bool = False,
    memory: float = 0.0,
    missing: float = 0.0,
    foretold: float = 0.0,
) -> Answers:
    """Thirty blocks of a hundred hours; hourly recalibration gains, a weekly one costs."""
    rng = stream(seed, "cadence")
    times, blocks = 3000, 30
    block = np.repeat(np.arange(blocks), times // blocks)
    scale = np.where(rng.random(blocks) < 0.3, 3.0, 1.0)[block] if regimes else np.ones(times)
    base = scale * (rng.pareto(3.0, times) + 0.5 if heavy else rng.gamma(2.0, 0.5, times))
    state = lasting(rng, blocks, 1, 0.5, False)[:, 0]
    noise = step_noise(rng.standard_normal((30, 5)), steps_per_week=7.0)
    trials = []
    for label, hours, change in (("1 h", 1.0, -gain), ("1 d", 24.0, 0.0), ("1 w", 168.0, worse)):
        apart = 0.3 * base.mean() * scale * lasting(rng, times, 1, memory, heavy)[:, 0]
        loss = base * (1.0 + change)
        if label != "1 d":
            loss = loss + apart
        if label == "1 h":
            loss = loss * (1.0 + foretold * state[block])
        loss[rng.random(times) < missing] = np.nan
        trials.append(CadenceTrial(label, hours, loss, noise))
    advice = advise(
        ModelId("m"), trials, present="1 d", block=block, state=state, flips=_FLIPS, rng=seed
    )
    hourly, _, weekly = advice.rows
    told = hourly.conditional
    return {
        "one is called better": min(hourly.p_better, weekly.p_better) <= 0.05,
        "found": hourly.p_better <= 0.05,
        "the worse one is recommended": advice.recommended == "1 w",
        "its change covered": hourly.low <= -gain <= hourly.high,
        "it is said to be foretold": None if told is None else told.p_value <= 0.05,
    }


def _cadence_cases() -> list[Case]:
    equal = (
        size("one is called better"),
        coverage("its change covered"),
        size("it is said to be foretold"),
    )
    some = (power("found"), coverage("its change covered"))
    rows = (
        ("three cadences alike", {}, equal),
        ("the same, heavy tails", {"heavy": True}, equal),
        ("the same, losses switch regimes", {"regimes": True}, equal),
        ("the same, memory 0.9", {"memory": 0.9}, equal),
        ("the same, all that and 10 % missing",
         {"heavy": True, "regimes": True, "memory": 0.9, "missing": 0.1}, equal),
        ("weekly costs the margin, 1 %", {"worse": 0.01}, (size("the worse one is recommended"),)),
        ("weekly costs 1 %, heavy tails, regimes",
         {"worse": 0.01, "heavy": True, "regimes": True}, (size("the worse one is recommended"),)),
        ("hourly gains 1 %", {"gain": 0.01}, some),
        ("hourly gains 3 %", {"gain": 0.03}, some),
        ("hourly gains 3 %, heavy tails, regimes", {"gain": 0.03, "heavy": True, "regimes": True},
         some),
        ("hourly gains by state, none on average", {"foretold": 0.02},
         (power("it is said to be foretold"),)),
    )  # fmt: skip
    return [Case("Cadence", w, q, partial(_cadence, **k), worlds=400) for w, k, q in rows]  # type: ignore[arg-type]


def fit_selling(seed: int, feed: float, **world: float) -> StrategyRiskResult:
    signals, risk = selling_world(seed, **world)  # type: ignore[arg-type]
    if feed:
        # A third feed: both sides answer to it, and the price does not know.
        steps = feed * stream(seed, "feed").standard_normal(len(signals.times_ms))
        at = np.searchsorted(signals.times_ms, risk.times_ms)
        moved = np.cumsum(steps)
        level = np.arctanh(np.clip(signals.forecast / 0.3, -0.999, 0.999))
        signals = replace(signals, forecast=0.3 * np.tanh(level - 0.002 * moved[:, None, None]))
        risk = replace(risk, forecast=risk.forecast * np.exp(0.006 * moved[at])[:, None, None])
    return (
        StrategyRiskCoupling(lags=2, market_lags=2, flips=_FLIPS, rng=seed)
        .fit(signals, risk)
        .result_
    )


def _selling(seed: int, planted: float, *, feed: float = 0.0, **world: float) -> Answers:
    link = world.pop("link", 0.0 if np.isnan(planted) else planted)
    found = fit_selling(seed, feed, link=link, **world).found
    pairs = {(c.strategy, c.risk_model) for c in found}
    return {
        "a pair is said to go together": bool(pairs),
        "found": ("vault", "ewma") in pairs,
        "another pair": bool(pairs - {("vault", "ewma")}),
    }


@cache
def _printed_link() -> float:
    return float(
        np.mean([fit_selling(900_000 + s, 0.0).couplings[0].detectable for s in range(30)])
    )


def _strategy_cases() -> list[Case]:
    none = (size("a pair is said to go together"),)
    one = (power("found"), size("another pair"))
    counted = (power("a pair is said to go together"),)
    rows = (
        ("the market alone (fat tails, regimes)", {}, none),
        ("the same, 2 % missing", {"missing": 0.02}, none),
        ("the same, 1 500 bars", {"rows": 1500}, none),
        ("a feed that both read, not in the price", {"feed": 1.0}, counted),
        ("coupled, 0.05", {"link": 0.05}, one),
        ("coupled, 0.10", {"link": 0.1}, one),
        ("coupled, 0.20", {"link": 0.2}, one),
        ("coupled, 0.20, two bars later", {"link": 0.2, "lag": 2}, one),
    )  # fmt: skip
    index = "Strategies and risk models"
    cases = [
        Case(index, w, q, partial(_selling, **k), worlds=200 if q is none else 100)
        for w, k, q in rows
    ]  # type: ignore[arg-type]
    cases.append(
        Case(
            index,
            "coupled as printed",
            (power("found", 0.8), size("another pair")),
            _selling,
            planted=_printed_link,
        )
    )
    return cases


def _signals(
    seed: int, *, twins: float = 0.0, factor: float = 0.0, heavy: bool = False, missing: float = 0.0
) -> ErrorPanel:
    """Six strategies' signals in [-1, 1]; no benchmark says what they ought to be."""
    rng = stream(seed, "signals")
    times = 4000
    own = lasting(rng, times, 6, 0.95, heavy)
    own[:, 1] = np.sqrt(1.0 - twins) * own[:, 1] + np.sqrt(twins) * own[:, 0]
    loading = np.sqrt(factor) * rng.uniform(0.5, 1.5, 6)
    wanted = own + loading * lasting(rng, times, 1, 0.95, heavy)
    signal = np.tanh(0.5 * wanted)
    signal[rng.random(signal.shape) < missing] = np.nan
    return ErrorPanel(
        name="signals",
        kind=PanelKind.SIGNAL,
        level=0.0,
        horizon_ms=HOUR_MS,
        times_ms=HOUR_MS * np.arange(times, dtype=np.int64),
        models=tuple(ModelId(f"s{i}") for i in range(6)),
        targets=(TargetId("BTC"),),
        forecast=signal[:, None],
        outcome=0.01 * rng.standard_t(4, (times, 1)),
        scale=np.ones((times, 1)),
    )


def _converge(seed: int, planted: float, **world: float) -> Answers:
    found = EffectiveNumber(flips=_FLIPS, draws=10, rng=seed).fit(_signals(seed, **world)).result_  # type: ignore[arg-type]
    groups = [set(c.group.members) for c in found.found]
    return {
        "a group is named": found.rejects,
        "the twins come first": bool(groups) and groups[0] == {"s0", "s1"},
    }


def _signal_cases() -> list[Case]:
    none, twins = (size("a group is named"),), (power("the twins come first"),)
    rows = (
        ("signals of their own", {}, none),
        ("the same, heavy tails", {"heavy": True}, none),
        ("the same, 3 % missing", {"missing": 0.03}, none),
        ("unlisted factor of unequal weight", {"factor": 0.3}, none),
        ("two share 20 %", {"twins": 0.2}, twins),
        ("two share 40 %", {"twins": 0.4}, twins),
    )
    return [Case("Strategies among themselves", w, q, partial(_converge, **k)) for w, k, q in rows]  # type: ignore[arg-type]


def hedge_record(
    seed: int,
    *,
    worse: float = 1.0,
    heavy: bool = False,
    regimes: bool = False,
    missing: float = 0.0,
    shared: float = 0.0,
) -> HedgeRecord:
    """Four models' deltas are off by errors of one size; the last one's by ``worse`` times it."""
    rng = stream(seed, "hedges")
    times, options, models = 400, 10, 4
    vol = np.full(times, 0.006)
    if regimes:
        vol = vol * np.where(np.cumsum(rng.random(times) < 0.02) % 2 == 1, 3.0, 1.0)
    z = rng.standard_t(3, times) / np.sqrt(3.0) if heavy else rng.standard_normal(times)
    index = 30_000.0 * np.exp(np.cumsum(vol * z))
    move = np.append(np.diff(index) / index[:-1], 0.0)
    right = index[:, None] * np.linspace(0.1, 0.9, options)
    rest = index[:, None] * 0.0008 * rng.standard_normal((times, options))
    gain = right * move[:, None] + rest
    mark = 5e4 + np.cumsum(np.vstack([np.zeros(options), gain[:-1]]), axis=0)
    error = lasting(rng, times, options * models, 0.9, False).reshape(times, options, models)
    common = lasting(rng, times, options, 0.9, False)[:, :, None]
    off = np.sqrt(1.0 - shared) * error + np.sqrt(shared) * common
    off[:, :, -1] *= worse
    mark[rng.random(mark.shape) < missing] = np.nan
    return HedgeRecord(
        time_ms=HOUR_MS * np.arange(times, dtype=np.int64),
        instruments=np.array([f"o{i}" for i in range(options)]),
        models=tuple(ModelId(f"m{i}") for i in range(models)),
        mark_usd=mark,
        index=np.repeat(index[:, None], options, axis=1),
        delta_usd=right[:, :, None] + 0.1 * index[:, None, None] * off,
    )


def _hedges(seed: int, planted: float, **world: float) -> Answers:
    record = hedge_record(seed, **world)  # type: ignore[arg-type]
    found = compare_hedges(record, flips=_FLIPS, rng=seed)
    return {
        "models are told apart": bool((found.p_value <= 0.05).any()),
        "found": bool(found.p_value[-1] <= 0.05 and found.against_reference[-1] > 0),
        "another is told apart": bool((found.p_value[1:-1] <= 0.05).any()),
    }


def _hedge_cases() -> list[Case]:
    none = (size("models are told apart"),)
    one = (power("found"), size("another is told apart"))
    rough = {"heavy": True, "regimes": True}
    rows = (
        ("four deltas equally wrong", {}, none),
        ("the same, heavy tails, regimes", rough, none),
        ("the same, 20 % of marks missing", {**rough, "missing": 0.2}, none),
        ("the same, half of every error shared", {**rough, "shared": 0.5}, none),
        ("one is wrong by 1.25 times", {"worse": 1.25}, one),
        ("one is wrong by 1.5 times", {"worse": 1.5}, one),
        ("one is wrong by 1.5 times, heavy tails, regimes", {"worse": 1.5, **rough}, one),
    )
    return [Case("Hedging errors", w, q, partial(_hedges, **k), worlds=400) for w, k, q in rows]  # type: ignore[arg-type]


MONEY_CASES = (
    *_cadence_cases(),
    *_strategy_cases(),
    *_signal_cases(),
    *_hedge_cases(),
)
