"""C2, C3 and C6 where their assumptions fail; worlds of the laboratory, changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from evidence_case import Case, coverage, power, size
from scipy.signal import lfilter

from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.dispersion import Disagreement
from commonmode.converge.groups import GroupContrast, declared_groups
from commonmode.core.arrays import FloatArray
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.lab.truth import true_cofailure_ratio, true_effective_number
from commonmode.lab.worlds import PLANTED, ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world
from commonmode.register.cards import ComponentUse, Layer
from commonmode.stats.robust import interquartile_dispersion, risk_ratio

__all__ = ["CROWD_CASES"]

TIMES = 5000


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is wrong with a world.

    Attributes
    ----------
    share : float
        Planted in three of eight models.
    heavy : bool
        Shocks of deviations have four degrees of freedom.
    regimes : str
        Deviations are three times as large in spells of a hundred rows on average: "none", "own"
        (each model in spells of its own) or "all at once".
    missing : float
        Share of forecasts that are not there; one model starts 500 rows late besides.
    factor : float
        Share of deviation variance that a factor on no card carries, 0.5 to 1.5 of it.
    blind : bool
        The benchmarks miss that factor too: it moves them as much as the average model.
    cards : str
        "right", "one user missing" or "one user too many".
    memory : float
    """

    share: float = 0.0
    heavy: bool = False
    regimes: str = "none"
    missing: float = 0.0
    factor: float = 0.0
    blind: bool = False
    cards: str = "right"
    memory: float = 0.9

    @property
    def config(self) -> WorldConfig:
        return WorldConfig(
            times=TIMES, planted_share=self.share, deviation_autocorrelation=self.memory
        )


def crowd_world(crowd: Crowd, seed: int) -> tuple[ForecastWorld, ErrorPanel]:
    """One world and its panel."""
    config, world = crowd.config, simulate_world(crowd.config, seed=seed)
    rng = stream(seed, "crowd", "changes")
    truth, sd, phi = world.true_quantile, config.deviation_sd, crowd.memory
    deviation = np.log(world.forecast / truth[:, None])
    a, b = np.log(world.benchmark_a / truth), np.log(world.benchmark_b / truth)

    def lasting(columns: int) -> FloatArray:
        shape = (TIMES + 300, columns)
        shocks = (
            rng.standard_t(4, shape) / np.sqrt(2) if crowd.heavy else rng.standard_normal(shape)
        )
        series = lfilter([1.0], [1.0, -phi], shocks, axis=0)[300:]
        return np.asarray(sd * np.sqrt(1.0 - phi**2) * series)

    if crowd.heavy:
        users = np.array([m in world.planted_models for m in world.models])
        shared = np.where(users, np.sqrt(crowd.share), 0.0) * lasting(1)
        deviation = np.where(users, np.sqrt(1.0 - crowd.share), 1.0) * lasting(8) + shared
    if crowd.regimes != "none":
        turns = rng.random((TIMES, 8 if crowd.regimes == "own" else 1)) < 0.01
        deviation = deviation * np.where(np.cumsum(turns, axis=0) % 2 == 0, 1.0, 3.0)
    if crowd.factor:
        loading = np.sqrt(crowd.factor) * rng.uniform(0.5, 1.5, 8)
        hidden = lasting(1)
        deviation = np.sqrt(1.0 - crowd.factor) * deviation + loading * hidden
        if crowd.blind:
            a, b = (v + np.sqrt(crowd.factor) * hidden[:, 0] for v in (a, b))
    forecast = truth[:, None] * np.exp(deviation)
    if crowd.missing:
        forecast[rng.random(forecast.shape) < crowd.missing] = np.nan
        forecast[:500, 0] = np.nan
    world = replace(
        world,
        forecast=forecast,
        benchmark_a=truth * np.exp(a),
        benchmark_b=truth * np.exp(b),
        cards=_cards(world, crowd.cards),
    )
    return world, panel_of_world(world)


def _cards(world: ForecastWorld, state: str) -> tuple:
    if state == "right":
        return world.cards
    users = world.planted_models
    others = [m for m in world.models if m not in users]
    use = ComponentUse(PLANTED, Layer.TECHNIQUE)
    cards = []
    for card in world.cards:
        parts = card.components
        if state == "one user missing" and card.model == users[-1]:
            parts = tuple(p for p in parts if p.component != PLANTED)
        if state == "one user too many" and card.model == others[0]:
            parts = tuple(sorted((*parts, use), key=lambda p: p.component))
        cards.append(replace(card, components=parts))
    return tuple(cards)


@cache
def _truths(config: WorldConfig) -> tuple[float, float]:
    return true_effective_number(config), true_cofailure_ratio(config)


NOTHING = "C2 blames a part whose users share nothing"
OTHER = "C2 names another part that two or more of its users hold"
"""The rule of commonmode.lab.causes_score: false names, and proxies of a cause."""


def _shared(contrast: GroupContrast, users: set[ModelId]) -> int:
    return len(users & set(contrast.group.members))


def _planted(contrast: GroupContrast) -> bool:
    return any(component == PLANTED for _, component in contrast.group.components)


def _inside(interval: tuple[float, float] | None, truth: float) -> bool | None:
    return None if interval is None else interval[0] <= truth <= interval[1]


def _c2_and_c3(crowd: Crowd):  # type: ignore[no-untyped-def]
    def measure(seed: int, planted: float) -> Mapping[str, bool | None]:
        world, panel = crowd_world(crowd, seed)
        groups = declared_groups(world.models, world.cards)
        c2 = EffectiveNumber(flips=999, draws=399, rng=seed).fit(panel, groups).result_
        c3 = ConditionalCoFailure(flips=999, draws=399, rng=seed).fit(panel, groups).result_
        number, ratio = _truths(crowd.config)
        first = c2.components[0]
        users = set(world.planted_models)
        blamed = [
            c
            for c in c2.components
            if c.p_adjusted <= 0.05 and not _planted(c) and not c.explained_by
        ]
        return {
            "C2 rejects": c2.rejects,
            "C3 rejects": c3.rejects,
            NOTHING: any(_shared(c, users) < 2 for c in blamed),
            OTHER: any(_shared(c, users) >= 2 for c in blamed),
            "C2 ranks it first": _planted(first) and first.p_adjusted <= 0.05,
            "C3 ranks it first": _planted(c3.components[0]),
            "C2 covers": _inside(c2.interval, number),
            "C3 covers": _inside(c3.interval, ratio),
        }

    return measure


_NULL = (size("C2 rejects"), size("C3 rejects"), size(NOTHING), coverage("C3 covers"))
_AT_ONCE = (size("C2 rejects"), power("C3 rejects"), size(NOTHING))
_FACTOR = (power("C2 rejects"), power("C3 rejects"), size(NOTHING))
_FOUND = (
    power("C2 rejects"),
    power("C2 ranks it first"),
    power("C3 ranks it first"),
    power(OTHER),
    size(NOTHING),
    coverage("C2 covers"),
    coverage("C3 covers"),
)


def _crowd_cases() -> list[Case]:
    share = 0.3
    rows = (
        ("heavy-tailed deviations", Crowd(heavy=True), _NULL),
        ("each model switches regimes on its own", Crowd(regimes="own"), _NULL),
        ("all models switch regimes at once", Crowd(regimes="all at once"), _AT_ONCE),
        ("3 % missing, a late starter", Crowd(missing=0.03), _NULL),
        ("unlisted factor, 20 %", Crowd(factor=0.2), _FACTOR),
        ("unlisted factor that both benchmarks miss", Crowd(factor=0.2, blind=True), _FACTOR),
        ("30 % in 3 of 8, heavy-tailed", Crowd(share=share, heavy=True), _FOUND[:6]),
        ("30 % in 3 of 8, regimes of their own", Crowd(share=share, regimes="own"), _FOUND[:5]),
        ("30 % in 3 of 8, 3 % missing", Crowd(share=share, missing=0.03), _FOUND),
        ("30 % in 3 of 8, unlisted factor", Crowd(share=share, factor=0.2), _FOUND[:5]),
        (
            "30 % in 3 of 8, a user not on the card",
            Crowd(share=share, cards="one user missing"),
            _FOUND[:5],
        ),
        (
            "30 % in 3 of 8, a card too many",
            Crowd(share=share, cards="one user too many"),
            _FOUND[:5],
        ),
    )
    return [Case("C2 and C3", w, q, _c2_and_c3(c), worlds=100) for w, c, q in rows]


@cache
def _true_dispersion() -> tuple[float, float]:
    """Of eight independent normal log deviations, by two million draws."""
    draw = np.exp(0.15 * stream(0, "dispersion", "truth").standard_normal((2_000_000, 8)))
    return float(risk_ratio(draw).mean()), float(interquartile_dispersion(draw).mean())


def _c6(crowd: Crowd):  # type: ignore[no-untyped-def]
    def measure(seed: int, planted: float) -> Mapping[str, bool | None]:
        _, panel = crowd_world(crowd, seed)
        found = Disagreement(draws=399, rng=seed).fit(panel).result_
        ratio, quartile = _true_dispersion()
        one, two = found.risk_ratio, found.interquartile_dispersion
        return {
            "risk ratio covered": one.low <= ratio <= one.high,
            "dispersion covered": two.low <= quartile <= two.high,
            "a model as good as the others is called worse": len(found.equally_good) < 8,
        }

    return measure


_C6 = (
    coverage("risk ratio covered"),
    coverage("dispersion covered"),
    size("a model as good as the others is called worse"),
)

CROWD_CASES = (
    *_crowd_cases(),
    Case("C6", "plain", _C6, _c6(Crowd())),
    Case("C6", "memory 0.97", _C6, _c6(Crowd(memory=0.97))),
    Case("C6", "3 % missing, a late starter", _C6, _c6(Crowd(missing=0.03))),
)
