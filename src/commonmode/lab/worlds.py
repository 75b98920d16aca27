"""Forecast worlds: a crowd of risk models with, or without, a planted common cause; truth known.

The market has stochastic volatility and heavy tails; every model forecasts the same lower quantile.
A model's log deviation from the true quantile is an AR(1); in a planted world some models share a
component that carries a stated part of its variance. Two benchmarks see the truth through noise of
their own. This is the laboratory on which the indices' size, power and coverage are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
from scipy.signal import lfilter
from scipy.stats import t as student

from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.random import stream
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily

__all__ = ["ForecastWorld", "WorldConfig", "simulate_world"]

PLANTED = ComponentId("planted component")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """Parameters of a forecast world.

    Attributes
    ----------
    models, times : int
    planted_share : float
        Part of the deviation variance that the planted component carries, in [0, 1); 0 plants
        nothing.
    planted_models : int
        How many models use it.
    deviation_sd, deviation_autocorrelation : float
        Of each model's log deviation.
    benchmark_noise_sd : float
        Of each benchmark's log error; same autocorrelation as the deviations.
    level : float
        Tail probability of the forecast quantile.
    degrees_of_freedom : float
        Of the Student-t surprises common to everybody.
    log_vol_sd, log_vol_autocorrelation : float
        Of the market's log volatility.
    decoys : int
        Further components on the cards that cause nothing.
    """

    models: int = 8
    times: int = 5000
    planted_share: float = 0.0
    planted_models: int = 3
    deviation_sd: float = 0.15
    deviation_autocorrelation: float = 0.9
    benchmark_noise_sd: float = 0.15
    level: float = 0.025
    degrees_of_freedom: float = 4.0
    log_vol_sd: float = 0.6
    log_vol_autocorrelation: float = 0.99
    decoys: int = 10

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.models < 5:
            raise ConfigurationError(
                f"a world of {self.models} models is too small for its decoys",
                remedy="use at least 5 models",
            )
        if not 0.0 <= self.planted_share < 1.0 or not 2 <= self.planted_models <= self.models:
            raise ConfigurationError(
                "planted_share must lie in [0, 1) and planted_models between 2 and models",
                remedy="planted_share = 0 plants nothing",
            )
        groups = sum(comb(self.models, size) for size in range(2, min(4, self.models - 1) + 1))
        if self.decoys >= groups:
            raise ConfigurationError(
                f"{self.models} models form {groups} groups, too few for {self.decoys} decoys",
                remedy="use fewer decoys or more models",
            )
        spreads = (self.deviation_sd, self.benchmark_noise_sd, self.log_vol_sd)
        memories = (self.deviation_autocorrelation, self.log_vol_autocorrelation)
        in_range = (
            self.times >= 1,
            self.decoys >= 0,
            0.0 < self.level < 0.5,
            self.degrees_of_freedom > 0.0,
            *(sd >= 0.0 for sd in spreads),
            *(abs(memory) < 1.0 for memory in memories),
        )
        if not all(in_range):
            raise ConfigurationError(
                f"a parameter of the world is out of range: {self}",
                remedy="times and degrees_of_freedom above 0, level in (0, 0.5), sd 0 or more, "
                "autocorrelation in (-1, 1), decoys 0 or more",
            )


@dataclass(frozen=True, slots=True, eq=False)
class ForecastWorld:
    """Simulated forecasts with their truth; :mod:`commonmode.panel.laboratory` makes a panel of it.

    Attributes
    ----------
    level : float
    models : tuple of ModelId, length N
    forecast : float64, shape (T, N)
        Lower quantiles of the return, negative.
    outcome : float64, shape (T,)
        Returns.
    benchmark_a, benchmark_b : float64, shape (T,)
    cards : tuple of Card
    planted : ComponentId or None
        The cause, None when nothing is planted.
    planted_models : tuple of ModelId
    true_quantile : float64, shape (T,)
    """

    level: float
    models: tuple[ModelId, ...]
    forecast: FloatArray
    outcome: FloatArray
    benchmark_a: FloatArray
    benchmark_b: FloatArray
    cards: tuple[Card, ...]
    planted: ComponentId | None
    planted_models: tuple[ModelId, ...]
    true_quantile: FloatArray


def _autoregression(
    rng: np.random.Generator, times: int, series: int, phi: float, sd: float
) -> FloatArray:
    """Stationary AR(1) series with standard deviation ``sd``, shape (times, series)."""
    noise = rng.standard_normal((times, series))
    noise[0] /= np.sqrt(1 - phi**2)
    return np.asarray(sd * np.sqrt(1 - phi**2) * lfilter([1.0], [1.0, -phi], noise, axis=0))


def simulate_world(config: WorldConfig, *, seed: int) -> ForecastWorld:
    """Simulate one world.

    Parameters
    ----------
    config : WorldConfig
    seed : int
        Worlds of different seeds are independent; the market of a seed is the same whatever is
        planted in it.
    """
    c, t, n = config, config.times, config.models
    phi = c.deviation_autocorrelation
    market = stream(seed, "world", "market")
    log_vol = _autoregression(market, t, 1, c.log_vol_autocorrelation, c.log_vol_sd)[:, 0]
    outcome = 0.01 * np.exp(log_vol) * market.standard_t(c.degrees_of_freedom, t)
    quantile = 0.01 * np.exp(log_vol) * student.ppf(c.level, c.degrees_of_freedom)

    own = _autoregression(stream(seed, "world", "own"), t, n, phi, c.deviation_sd)
    shared = _autoregression(stream(seed, "world", "shared"), t, 1, phi, c.deviation_sd)
    picker = stream(seed, "world", "cards")
    members = np.sort(picker.permutation(n)[: c.planted_models])
    deviation = own.copy()
    if c.planted_share > 0:
        deviation[:, members] = (
            np.sqrt(1 - c.planted_share) * own[:, members] + np.sqrt(c.planted_share) * shared
        )
    noise = _autoregression(stream(seed, "world", "benchmarks"), t, 2, phi, c.benchmark_noise_sd)

    models = tuple(ModelId(f"model-{i + 1}") for i in range(n))
    planted_set = frozenset(int(i) for i in members) if c.planted_share > 0 else frozenset()
    return ForecastWorld(
        level=c.level,
        models=models,
        forecast=np.asarray(quantile[:, None] * np.exp(deviation)),
        outcome=np.asarray(outcome),
        benchmark_a=np.asarray(quantile * np.exp(noise[:, 0])),
        benchmark_b=np.asarray(quantile * np.exp(noise[:, 1])),
        cards=_cards(models, planted_set, c.decoys, picker),
        planted=PLANTED if planted_set else None,
        planted_models=tuple(models[i] for i in sorted(planted_set)),
        true_quantile=np.asarray(quantile),
    )


def _cards(
    models: tuple[ModelId, ...],
    planted: frozenset[int],
    decoys: int,
    rng: np.random.Generator,
) -> tuple[Card, ...]:
    """Cards with the planted component, if any, among decoys used by two to four models each."""
    layers = list(Layer)
    uses: list[list[ComponentUse]] = [[] for _ in models]
    taken = {planted}
    for i in planted:
        uses[i].append(ComponentUse(PLANTED, Layer.TECHNIQUE))
    while len(taken) <= decoys:
        size = int(rng.integers(2, min(4, len(models) - 1) + 1))
        group = frozenset(int(i) for i in rng.permutation(len(models))[:size])
        if group in taken:
            continue
        number = len(taken)
        taken.add(group)
        for i in group:
            uses[i].append(
                ComponentUse(ComponentId(f"decoy {number:02d}"), layers[number % len(layers)])
            )
    return tuple(
        Card(
            model=model,
            family=ModelFamily.RISK,
            owner="laboratory",
            purpose="simulated quantile forecast",
            components=tuple(sorted(use, key=lambda part: part.component)),
        )
        for model, use in zip(models, uses, strict=True)
    )
