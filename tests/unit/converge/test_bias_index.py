"""The bias index: size and power by simulation, what it says, what it does with gaps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bias_worlds import (
    BiasWorld,
    autoregression,
    market,
    quantile_panel,
    right_forecasts,
)
from commonmode.converge.bias import Bias, BiasEstimate, BiasResult
from commonmode.converge.bias_kinds import BiasKind, market_regime
from commonmode.converge.bias_words import bias_findings, bias_sentence
from commonmode.converge.findings import Severity
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import PanelError
from commonmode.panel.error_panel import ErrorPanel, PanelKind

Plant = Callable[[BiasWorld, FloatArray], FloatArray]


def fitted(world: BiasWorld, forecast: FloatArray, seed: int = 0) -> BiasResult:
    return Bias(flips=499, rng=seed).fit(quantile_panel(world, forecast)).result_


def first(result: BiasResult, kind: BiasKind) -> BiasEstimate:
    return result.of(kind)[0]


def shallow(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    return np.asarray(0.75 * forecast)


def sluggish(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    depth = np.log(-forecast)
    return np.asarray(-np.exp(depth.mean(axis=0) + 0.4 * (depth - depth.mean(axis=0))))


def jumpy(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    depth = np.log(-forecast)
    return np.asarray(-np.exp(depth.mean(axis=0) + 1.6 * (depth - depth.mean(axis=0))))


def sticky(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    depth = np.log(-forecast)
    for t in range(1, len(depth)):
        depth[t] = 0.5 * depth[t] + 0.5 * depth[t - 1]
    return np.asarray(-np.exp(depth))


def calm_minded(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    stress = world.log_vol > np.quantile(world.log_vol, 0.9)
    return np.asarray(forecast * np.exp(-0.4 * stress)[:, None])


def noisy(world: BiasWorld, forecast: FloatArray) -> FloatArray:
    own = autoregression(world.rng, len(forecast), forecast.shape[1], 0.9, 0.4)
    return np.asarray(forecast * np.exp(own))


PLANTED: tuple[tuple[Plant, BiasKind, float], ...] = (
    (shallow, BiasKind.LEVEL, 1.0),
    (sluggish, BiasKind.EFFICIENCY, 1.0),
    (jumpy, BiasKind.EFFICIENCY, -1.0),
    (sticky, BiasKind.ANCHORING, 1.0),
    (calm_minded, BiasKind.RECENCY, -1.0),
    (noisy, BiasKind.HERDING, -1.0),
)


@pytest.mark.parametrize(("plant", "kind", "sign"), PLANTED)
def test_a_planted_bias_is_found_and_nobody_else_is_blamed(
    plant: Plant, kind: BiasKind, sign: float
) -> None:
    hits, wrong = 0, 0
    for seed in range(8):
        world = market(seed)
        forecast = right_forecasts(world, 6)
        forecast[:, :1] = plant(world, forecast[:, :1])
        result = fitted(world, forecast, seed)
        found = first(result, kind)
        hits += found.p_adjusted <= 0.05 and np.sign(found.estimate) == sign
        wrong += any(one.model != "m0" for one in result.found)
    assert hits >= 6
    assert wrong <= 2


def test_anchoring_is_told_from_persistent_deviation_and_from_benchmark_noise() -> None:
    world = market(1)
    forecast = right_forecasts(world, 6)
    forecast[:, 0] = noisy(world, forecast[:, :1])[:, 0]  # persistent, but not anchored
    forecast[:, 1] = sticky(world, forecast[:, 1:2])[:, 0]
    result = fitted(world, forecast)
    estimates = [one.estimate for one in result.of(BiasKind.ANCHORING)]
    assert abs(estimates[0]) < 0.15
    assert estimates[1] == pytest.approx(0.5, abs=0.03)
    assert abs(estimates[2]) < 0.05
    assert set(result.anchoring_by_regime) == {"calm", "stress"}
    for weights in result.anchoring_by_regime.values():
        assert weights[1] == pytest.approx(0.5, abs=0.1)


def test_size_over_all_models_and_kinds() -> None:
    """40 worlds: a level of 5 % gives more than six false alarms with probability .003."""
    single = shared = 0
    for seed in range(40):
        world = market(seed, times=1500, switching=bool(seed % 2))
        forecast = right_forecasts(world, 6)
        if seed % 2:
            forecast[world.rng.random(forecast.shape) < 0.1] = np.nan
        result = fitted(world, forecast, seed)
        single += bool(result.found)
        shared += bool(result.found_shared)
    assert single <= 6
    assert shared <= 6


@pytest.mark.slow
@pytest.mark.parametrize("kind_of_world", ["plain", "switching and gaps", "common factor"])
def test_size_and_coverage_long(kind_of_world: str) -> None:
    single, shared = [], []
    covered: dict[BiasKind, list[bool]] = {}
    for seed in range(300):
        world = market(seed, switching=kind_of_world.startswith("switching"))
        forecast = right_forecasts(world, 8)
        if kind_of_world.startswith("switching"):
            forecast[world.rng.random(forecast.shape) < 0.1] = np.nan
        if kind_of_world == "common factor":
            # Nobody lists it, it moves outcomes of all and none of the forecasts is worse for it.
            shock = autoregression(world.rng, len(forecast), 1, 0.5, 0.002)[:, 0]
            world = replace(world, outcome=world.outcome * np.exp(shock))
        result = fitted(world, forecast, seed)
        single.append(bool(result.found))
        shared.append(bool(result.found_shared))
        for one in result.estimates[: len(result.kinds)]:
            covered.setdefault(one.kind, []).append(one.interval[0] <= 0 <= one.interval[1])
    assert 0.02 <= np.mean(single) <= 0.09
    assert 0.02 <= np.mean(shared) <= 0.09
    for kind, inside in covered.items():
        assert np.mean(inside) >= 0.90, kind


def test_a_shared_bias_is_found_where_each_alone_is_too_weak_to_be() -> None:
    found_shared = found_single = 0
    for seed in range(10):
        world = market(seed, times=2000)
        depth = np.log(-right_forecasts(world, 8))
        own = autoregression(world.rng, 2000, 8, 0.9, 0.3)
        result = fitted(world, -np.exp(depth + own - 0.18), seed)
        level = next(one for one in result.shared if one.kind is BiasKind.LEVEL)
        found_shared += level.p_adjusted <= 0.05
        found_single += all(one.p_adjusted <= 0.05 for one in result.of(BiasKind.LEVEL))
    assert found_shared >= 7
    assert found_single <= found_shared


def test_similar_biases_make_a_block_in_the_layer() -> None:
    world = market(3)
    forecast = right_forecasts(world, 8)
    forecast[:, :3] = sluggish(world, forecast[:, :3])
    layer = fitted(world, forecast).similarity
    assert np.array_equal(layer, layer.T)
    assert np.all(np.diag(layer) == 1.0)
    assert layer[:3, :3].min() > 0.9
    assert layer[:3, 3:].max() < 0.0  # opposite sides of the crowd's mean


def test_no_bias_makes_no_layer() -> None:
    means = []
    for seed in range(6):
        world = market(seed, times=1500)
        forecast = noisy(world, right_forecasts(world, 8))
        layer = fitted(world, forecast).similarity
        means.append(layer[np.triu_indices(8, 1)].mean())
    assert abs(np.mean(means)) < 0.15


def test_regimes_are_known_at_the_time() -> None:
    world = market(4)
    panel = quantile_panel(world, right_forecasts(world, 2))
    whole = market_regime(panel, calm=0.5, stress=0.9, warmup=100)
    cut = replace(panel, benchmark_a=None, benchmark_b=None).select_rows(slice(0, 900))
    part = market_regime(cut, calm=0.5, stress=0.9, warmup=100)
    assert np.array_equal(whole[:900], part, equal_nan=True)
    flat = replace(panel, scale=np.ones_like(panel.scale))
    assert {0.0, 1.0} <= set(market_regime(flat, calm=0.5, stress=0.9, warmup=100).ravel())


def test_without_benchmarks_what_needs_them_is_left_out() -> None:
    world = market(5)
    panel = replace(
        quantile_panel(world, right_forecasts(world, 3)), benchmark_a=None, benchmark_b=None
    )
    result = Bias(flips=199).fit(panel).result_
    assert BiasKind.LEVEL in result.kinds
    assert not {BiasKind.ANCHORING, BiasKind.RECENCY} & set(result.kinds)
    assert result.anchoring_by_regime == {}


@pytest.mark.parametrize("kind", [PanelKind.VOL, PanelKind.VALUE])
def test_other_panels(kind: PanelKind) -> None:
    rng = np.random.default_rng(6)
    times, vol = 2000, kind is PanelKind.VOL
    state = autoregression(rng, times, 1, 0.95, 0.4)[:, 0]
    truth = np.exp(state) if vol else state
    shock = rng.standard_normal(times)
    outcome = np.abs(truth * shock) if vol else truth + shock
    forecast = np.repeat(truth[:, None], 4, axis=1) + (0.0 if vol else 0.5 * np.eye(4)[0])
    if vol:
        forecast[:, 0] *= 0.8
    noise = 0.05 * rng.standard_normal((times, 2))
    benchmark = truth[:, None] * np.exp(noise) if vol else truth[:, None] + noise
    base = quantile_panel(market(0, times=times), -np.ones((times, 4)))
    panel: ErrorPanel = replace(
        base,
        kind=kind,
        level=0.0,
        forecast=forecast[:, None, :],
        outcome=outcome[:, None],
        scale=np.exp(0.1 * state)[:, None],
        benchmark_a=benchmark[:, :1],
        benchmark_b=benchmark[:, 1:],
    )
    result = Bias(flips=299).fit(panel).result_
    level = result.of(BiasKind.LEVEL)
    assert (level[0].estimate > 0) == vol
    assert [one.p_adjusted <= 0.05 for one in level] == [True, False, False, False]
    assert all(bias_sentence(result, one) for one in result.estimates)


def test_sentences_say_number_interval_chance_and_remedy() -> None:
    world = market(7)
    result = fitted(world, shallow(world, right_forecasts(world, 4)))
    findings = bias_findings("risk-1h", result)
    assert findings[0].severity is Severity.ALERT
    assert "The models' mean is breached more often than stated" in findings[0].sentence
    assert "common cause" in findings[0].sentence
    assert "80 % probability" in findings[0].sentence
    assert "What to do: deepen its quantile" in findings[0].sentence
    assert findings[0].numbers["low"] < findings[0].numbers["estimate"]
    clean = bias_findings("risk-1h", fitted(world, right_forecasts(world, 4)))
    assert all(f.severity is Severity.FINE for f in clean)


def test_too_little_to_say_anything() -> None:
    world = market(8, times=40)
    with pytest.raises(PanelError, match="a bias needs 60"):
        fitted(world, right_forecasts(world, 3))
    world = market(8, times=150)
    forecast = right_forecasts(world, 3)
    forecast[:120, 1] = np.nan
    with pytest.raises(PanelError, match="m1 has 30 forecasts"):
        fitted(world, forecast)


def test_too_few_breaches_to_expect_say_nothing() -> None:
    """Without a breach among a hundred forecasts at 1 % every sign is the same."""
    world = market(3, times=300, level=0.01)
    panel = quantile_panel(world, right_forecasts(world, 3))
    with pytest.raises(PanelError, match="a bias needs 500"):
        Bias().fit(panel)
    long = market(3, times=600, level=0.01)
    never = right_forecasts(long, 3)
    never[:, 0] *= 100.0
    result = Bias(flips=199).fit(quantile_panel(long, never)).result_
    level = result.of(BiasKind.LEVEL)[0]
    assert level.estimate == pytest.approx(-1.0)
    assert level.detectable == np.inf
    assert level in result.found
