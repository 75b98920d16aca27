"""What is printed as detectable is found about four times in five, market by market."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import t as student

from bias_worlds import BiasWorld, autoregression, market, quantile_panel, right_forecasts
from commonmode.converge.bias import Bias, BiasEstimate, BiasResult
from commonmode.converge.bias_kinds import BiasKind, market_regime
from commonmode.converge.strategies import StrategyRiskCoupling
from commonmode.core.arrays import BoolArray, FloatArray
from strategy_worlds import selling_world

pytestmark = pytest.mark.slow

WORLDS = 120
LEAST, MOST = 0.7, 0.93


def fit(world: BiasWorld, forecast: FloatArray, seed: int) -> BiasResult:
    return Bias(flips=499, rng=seed).fit(quantile_panel(world, forecast)).result_


def again(world: BiasWorld, seed: int) -> BiasWorld:
    """The same volatility, other outcomes and benchmarks."""
    rng = np.random.default_rng(seed)
    t = len(world.truth)
    outcome = 0.01 * np.exp(world.log_vol) * rng.standard_t(4.0, t)
    noise = autoregression(rng, t, 2, 0.9, 0.1)
    return replace(world, outcome=outcome, benchmarks=world.truth[:, None] * np.exp(noise))


def said_to_breach(world: BiasWorld, excess: FloatArray | float) -> FloatArray:
    """Forecasts that are breached so much more often than stated."""
    level = np.broadcast_to(world.level * (1.0 + excess), world.truth.shape)
    return np.asarray(0.01 * np.exp(world.log_vol) * student.ppf(level, 4.0))


def stress(world: BiasWorld) -> tuple[BoolArray, BoolArray]:
    panel = quantile_panel(world, right_forecasts(world, 2))
    regime = market_regime(panel, calm=0.5, stress=0.9, warmup=100)[:, 0]
    return regime == 1, regime == 0


def shallow(world: BiasWorld, size: float) -> FloatArray:
    return said_to_breach(world, size)


def shallow_in_stress(world: BiasWorld, size: float) -> FloatArray | None:
    """Breached more often in stress, less often in calm: right on average."""
    up, down = stress(world)
    share = up.sum() / (up.sum() + down.sum())
    if size > 10.0:
        return None
    excess = np.where(up, size * (1 - share), np.where(down, -size * share, 0.0))
    return said_to_breach(world, np.maximum(excess, -0.95))


def stricter_in_stress(world: BiasWorld, size: float) -> FloatArray:
    return np.asarray(world.truth * np.exp(size * stress(world)[0]))


def too_flat(world: BiasWorld, size: float) -> FloatArray | None:
    """So much of the moves left out that breaches rise by ``size`` with each deviation of depth."""
    depth = np.log(-world.truth)

    def off(share: float) -> float:
        says = depth.mean() + (1 - share) * (depth - depth.mean())
        true = student.cdf(-np.exp(says) / (0.01 * np.exp(world.log_vol)), 4.0) / world.level
        return float(np.mean((says - says.mean()) / says.std() * true)) - size

    if off(0.97) < 0:
        return None
    share = brentq(off, 0.0, 0.97)
    return np.asarray(-np.exp(depth.mean() + (1 - share) * (depth - depth.mean())))


@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        (BiasKind.LEVEL, shallow),
        (BiasKind.REGIME, shallow_in_stress),
        (BiasKind.RECENCY, stricter_in_stress),
        (BiasKind.EFFICIENCY, too_flat),
    ],
)
def test_a_bias_of_the_size_printed_for_its_market(kind: BiasKind, plant) -> None:
    found = []
    for seed in range(70_000, 70_000 + WORLDS):
        world = market(seed)
        # What is printed has an error of its own where few blocks of stress carry the estimate.
        told = [
            fit(one, right_forecasts(one, 6), seed).of(kind)[0].detectable
            for one in (world, again(world, seed + 20_000), again(world, seed + 30_000))
        ]
        other = again(world, seed + 10_000)
        forecast = right_forecasts(other, 6)
        biased = plant(other, float(np.mean(told))) if np.isfinite(told).all() else None
        if biased is None:
            continue  # so few blocks that nothing could be found, or no forecast is so wrong
        forecast[:, 0] = biased
        one = fit(other, forecast, seed).of(kind)[0]
        found.append(one.p_adjusted <= 0.05 and one.estimate > 0)
    assert len(found) >= 0.6 * WORLDS
    assert LEAST <= np.mean(found) <= MOST


def test_a_bias_of_the_level_that_all_share() -> None:
    def level(result: BiasResult) -> BiasEstimate:
        (one,) = (e for e in result.shared if e.kind is BiasKind.LEVEL)
        return one

    found = []
    for seed in range(72_000, 72_000 + WORLDS):
        world = market(seed)
        size = level(fit(world, right_forecasts(world, 6), seed)).detectable
        other = again(world, seed + 10_000)
        factor = shallow(other, size) / other.truth
        one = level(fit(other, right_forecasts(other, 6) * factor[:, None], seed))
        found.append(one.p_adjusted <= 0.05 and one.estimate > 0)
    assert LEAST <= np.mean(found) <= MOST


def test_a_coupling_of_the_size_printed() -> None:
    look = StrategyRiskCoupling(lags=2, market_lags=2, flips=499)
    told = [look.fit(*selling_world(76_000 + s)).result_.couplings for s in range(30)]
    size = float(np.mean([[one.detectable for one in each] for each in told]))
    found = [
        any(
            (one.strategy, one.risk_model) == ("vault", "ewma")
            for one in look.fit(*selling_world(77_000 + s, link=size)).result_.found
        )
        for s in range(2 * WORLDS)
    ]
    assert LEAST <= np.mean(found) <= MOST
