"""Synchrony of recalibrations given the market, herding, procyclicality: planted and not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.herding import Herding
from commonmode.converge.procyclicality import Procyclicality
from commonmode.converge.recalibration import (
    RecalibrationSynchrony,
    RevisionSteps,
    SynchronyResult,
    panel_revisions,
)
from commonmode.core.errors import DataError, PanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.result import Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from following_worlds import Kind, autoregression, following_panel, following_views


def revisions(
    seed: int, *, times: int = 900, share: float = 0.0, noise: float = 1.0, follow: float = 0.0
) -> RevisionSteps:
    """Steps that answer one market move, 0.5 to 1.5 times; heavy tails, two regimes."""
    rng = np.random.default_rng(seed)
    heavy = [rng.standard_t(4, s) / np.sqrt(2) for s in ((times, 1), (times, 6), (times, 1))]
    market, own, common = heavy
    beyond = np.sqrt(1 - share) * own + np.sqrt(share) * common
    beyond[1:, 1] += follow * beyond[:-1, 0]
    regime = np.where(np.cumsum(rng.random(times) < 0.02) % 2 == 1, 3.0, 1.0)[:, None]
    step = regime * (market * np.linspace(0.5, 1.5, 6) + beyond)
    a, b = (regime * market + noise * rng.standard_normal((times, 1)) for _ in range(2))
    models = tuple(ModelId(f"model-{i}") for i in range(6))
    return RevisionSteps(
        "steps", "log quantile", np.arange(times, dtype=np.int64), models,
        (TargetId("ONE"),), step[:, None], a, b,
    )  # fmt: skip


def synchrony(steps: RevisionSteps) -> SynchronyResult:
    return RecalibrationSynchrony(flips=499, draws=10).fit(steps).result_


def test_what_the_market_asks_of_everybody_is_no_synchrony() -> None:
    found = [synchrony(revisions(seed)) for seed in range(12)]
    assert min(r.raw for r in found) > 0.3
    assert abs(np.mean([r.correlation for r in found])) < 0.02
    assert sum(r.rejects for r in found) <= 3
    np.testing.assert_allclose(
        np.mean([r.answer for r in found], axis=0), np.linspace(0.5, 1.5, 6), atol=0.1
    )


def test_planted_synchrony_is_found_and_covered() -> None:
    found = [synchrony(revisions(40 + seed, share=0.2)) for seed in range(10)]
    assert all(r.rejects for r in found)
    assert sum(r.interval[0] <= 0.2 <= r.interval[1] for r in found) >= 8
    assert found[0].minimum_detectable < 0.2
    assert "recalibrate as one" in found[0].sentence


def test_who_goes_first_is_found() -> None:
    found = synchrony(revisions(3, follow=0.4))
    assert not found.rejects
    assert isinstance(found.order, Success)
    (first,) = found.order.value.links
    assert (first.sender, first.receiver, first.lag) == ("model-0", "model-1", 1)
    assert "model-1 recalibrates 1 rows after model-0" in found.sentence


def test_one_view_of_the_market_for_both_is_taken_for_synchrony() -> None:
    steps = revisions(5, noise=1.5)
    one = replace(steps, market_b=steps.market_a)
    assert synchrony(one).correlation > synchrony(steps).correlation + 0.1


def test_revisions_of_a_panel_are_log_moves() -> None:
    panel = following_panel(*following_views("alone", 1, times=300))
    steps = panel_revisions(panel, every=10)
    assert steps.step.shape == (29, 1, 6)
    expected = np.log(panel.forecast[10, 0] / panel.forecast[0, 0])
    np.testing.assert_allclose(steps.step[0, 0], expected)
    with pytest.raises(PanelError, match="no benchmarks"):
        panel_revisions(replace(panel, benchmark_a=None, benchmark_b=None))
    with pytest.raises(PanelError):
        panel_revisions(panel, every=400)


def test_models_that_never_step_are_left_out() -> None:
    steps = revisions(1)
    still = steps.step.copy()
    still[:, :, 0] = 0.0
    assert synchrony(replace(steps, step=still)).models == steps.models[1:]
    still[:, :, 1:5] = 0.0
    with pytest.raises(DataError, match="1 models change"):
        synchrony(replace(steps, step=still))
    with pytest.raises(DataError):
        replace(steps, step=still[:, :, :3])


def follower_of_the_crowd(seed: int, pull: float) -> ErrorPanel:
    rng = np.random.default_rng(seed)
    d, v = np.zeros((5000, 6)), rng.standard_normal((5000, 6))
    for t in range(1, 5000):
        d[t] = 0.8 * d[t - 1] + v[t]
        d[t, 0] += pull * (d[t - 1, 1:].mean() - d[t - 1, 0])
    d *= 0.15 / d.std(axis=0)
    a, b = (autoregression(rng.standard_normal((5000, 1)), 0.9) * 0.06 for _ in range(2))
    return following_panel(d - a, d - b)


def test_who_revises_towards_the_others_is_found() -> None:
    found = [Herding(flips=499).fit(follower_of_the_crowd(s, 0.4)).result_ for s in range(5)]
    herds = [{m.model for m in r.models if m.herds} for r in found]
    assert sum(h == {"model-0"} for h in herds) >= 4
    assert "the consensus is among their inputs" in found[0].sentence


@pytest.mark.parametrize("kind", ["alone", "hidden part", "filtered part"])
def test_a_shared_part_is_no_herding(kind: Kind) -> None:
    found = [
        Herding(flips=499).fit(following_panel(*following_views(kind, s))).result_ for s in range(5)
    ]
    assert sum(any(m.herds for m in r.models) for r in found) == 0
    if kind != "alone":  # it draws models together all the same, and the sentence says why
        assert all(min(m.p_pull for m in r.models) <= 0.05 for r in found)
        assert "this is no herding" in found[0].sentence


def breaches(seed: int, lean: float) -> ErrorPanel:
    """Model 0 knows the quantile and says ``lean`` of the way from it to the others' median."""
    x, y = following_views("alone", seed, noise=0.0)
    rng = np.random.default_rng(seed + 1)
    truth = np.exp(x[:, :1])
    others = np.exp(x[:, 1:])
    centre = np.median(others, axis=1, keepdims=True)
    says = truth ** (1 - lean) * centre**lean
    panel = following_panel(x, y)
    outcome = -truth * np.abs(rng.standard_t(4, (len(x), 1))) / 2.0
    return replace(
        panel, kind=PanelKind.QUANTILE, level=0.2, outcome=outcome,
        forecast=-np.concatenate([says, others], axis=1)[:, None],
        benchmark_a=-np.ones((len(x), 1)), benchmark_b=-np.ones((len(x), 1)),
    )  # fmt: skip


def test_outcomes_tell_who_stays_too_close_to_the_consensus() -> None:
    def of_the_first(lean: float) -> list[tuple[float, float, float]]:
        out = []
        for seed in range(5):
            models = Herding(flips=499).fit(breaches(seed, lean)).result_.models
            (one,) = (m for m in models if m.model == "model-0")
            out.append((one.outcomes, one.p_herding, one.p_apart))
        return out

    honest, herding, apart = (of_the_first(lean) for lean in (0.0, 0.8, -0.8))
    assert abs(np.mean([o for o, *_ in honest])) < 0.02
    assert sum(min(h, a) <= 0.05 for _, h, a in honest) <= 1
    assert all(h <= 0.05 for _, h, _ in herding)
    assert all(a <= 0.05 for *_, a in apart)


def cycle(seed: int, *, excess: float = 0.0, lagging: bool = False) -> ErrorPanel:
    """Forecasts that pass 0.6 of the market's log volatility on, as the benchmarks do."""
    x, y = following_views("alone", seed, regimes=True)
    rng = np.random.default_rng(seed + 1)
    market = 0.1 * autoregression(rng.standard_t(4, (len(x), 1)), 0.98)
    panel = following_panel(x, y, missing=0.02, seed=seed)
    due = np.exp(0.6 * market)
    forecast = -panel.forecast * due[:, :, None]
    forecast[:, 0, 0] *= np.exp(excess * market[:, 0])
    if lagging:  # up at once, down slowly
        held = market[:, 0].copy()
        for t in range(1, len(held)):
            held[t] = max(market[t, 0], held[t - 1] + 0.02 * (market[t, 0] - held[t - 1]))
        forecast[:, 0, 0] *= np.exp(0.6 * (held - market[:, 0]))
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    return replace(
        panel, kind=PanelKind.QUANTILE, level=0.025, forecast=forecast, outcome=-panel.outcome,
        scale=np.exp(market), benchmark_a=-panel.benchmark_a * due,
        benchmark_b=-panel.benchmark_b * due,
    )  # fmt: skip


def test_an_excess_slope_is_found_and_what_is_due_is_not() -> None:
    none = [Procyclicality(flips=499).fit(cycle(s)).result_ for s in range(10)]
    assert sum(min(m.p_excess for m in r.models) <= 0.05 for r in none) <= 2
    assert sum(min(m.p_asymmetry for m in r.models) <= 0.05 for r in none) <= 2
    assert np.mean([r.benchmark_slope.value for r in none]) == pytest.approx(0.6, abs=0.03)
    some = [Procyclicality(flips=499).fit(cycle(s, excess=0.2)).result_ for s in range(10)]
    first = [r.models[0] for r in some]
    assert all(m.p_excess <= 0.05 for m in first)
    assert sum(m.excess.low <= 0.2 <= m.excess.high for m in first) >= 8
    assert some[0].minimum_detectable < 0.2
    assert none[0].calm_benchmark > none[0].calm_together > 0.3
    assert "No excess of the crowd" in none[1].sentence


def test_up_at_once_and_down_slowly_is_found() -> None:
    found = Procyclicality(flips=499).fit(cycle(4, lagging=True)).result_
    first = found.models[0]
    assert first.p_asymmetry <= 0.05
    assert first.up > first.down
    assert "answer rises more than falls" in found.sentence


def test_what_has_no_cycle_is_refused() -> None:
    panel = following_panel(*following_views("alone", 1, times=200))
    with pytest.raises(PanelError, match="quantile"):
        Procyclicality().fit(panel)
    with pytest.raises(PanelError, match="herding needs"):
        Herding().fit(panel.select_models(panel.models[:2]))
    flat = replace(cycle(1), scale=np.ones((5000, 1)))
    with pytest.raises(PanelError, match="does not move"):
        Procyclicality().fit(flat)
