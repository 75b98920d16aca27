"""Crowds of two to four models, and crowds without benchmarks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.analysis import analyse_panel
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.findings import panel_findings
from commonmode.converge.groups import Group
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.result import Failure, Success
from commonmode.panel.error_panel import ErrorPanel, PanelKind


def crowd(
    spread: tuple[float, ...],
    *,
    seed: int,
    shared: float = 0.0,
    sharing: int = 2,
    benchmarks: bool = True,
    kind: PanelKind = PanelKind.VALUE,
) -> ErrorPanel:
    """White deviations of the given sizes; the first ``sharing`` models share a part of them."""
    rng = np.random.default_rng(seed)
    t, n = 600, len(spread)
    truth = rng.standard_normal((t, 1))
    deviation = rng.standard_normal((t, n))
    common = np.sqrt(shared) * rng.standard_normal((t, 1))
    deviation[:, :sharing] = np.sqrt(1 - shared) * deviation[:, :sharing] + common
    noise = 0.05 * rng.standard_normal((2, t, 1))
    return ErrorPanel(
        name="crowd",
        kind=kind,
        level=0.0,
        horizon_ms=1,
        times_ms=np.arange(t),
        models=tuple(ModelId(f"m{i}") for i in range(n)),
        targets=(TargetId("x"),),
        forecast=(truth + deviation * np.array(spread))[:, None, :],
        outcome=truth + rng.standard_normal((t, 1)),
        scale=np.ones((t, 1)),
        benchmark_a=truth + noise[0] if benchmarks else None,
        benchmark_b=truth + noise[1] if benchmarks else None,
    )


@pytest.mark.parametrize(
    "spread", [(0.1, 0.1, 0.3), (0.1, 0.1, 0.1, 0.3), (0.05, 0.1, 0.15, 0.2, 0.3, 0.1)]
)
def test_without_benchmarks_unequal_models_that_share_nothing_stay_silent(
    spread: tuple[float, ...],
) -> None:
    # centring on the crowd's mean puts the loudest model into everybody else's deviation
    worlds = [crowd(spread, seed=seed, benchmarks=False) for seed in range(40)]
    rejected = [EffectiveNumber(flips=199).fit(world).result_.rejects for world in worlds]
    assert sum(rejected) <= 6


def test_without_benchmarks_a_shared_part_of_unequal_models_is_found() -> None:
    panel = crowd((0.1, 0.2, 0.1, 0.3, 0.1, 0.2), seed=1, shared=0.6, benchmarks=False)
    groups = (Group("feed", panel.models[:2]), Group("other", panel.models[2:5]))
    result = EffectiveNumber().fit(panel, groups).result_
    assert result.rejects
    assert result.components[0].group.name == "feed"
    assert result.components[0].p_adjusted <= 0.05
    assert result.components[0].estimate == pytest.approx(0.6, abs=0.25)


def test_three_models_without_benchmarks_say_nothing_of_each_other() -> None:
    panel = crowd((0.1, 0.1, 0.3), seed=2, shared=0.5, benchmarks=False)
    analysis = analyse_panel(panel)
    assert isinstance(analysis.c2, Success)
    assert analysis.c2.value.p_value == 1.0
    assert any("fewer than four models" in f.sentence for f in panel_findings(analysis))


def test_a_pair_in_a_crowd_of_three_is_compared_with_the_third() -> None:
    panel = crowd((0.2, 0.2, 0.2), seed=3, shared=0.6)
    result = EffectiveNumber().fit(panel, (Group("feed", panel.models[:2]),)).result_
    (feed,) = result.components
    assert feed.identified
    assert feed.estimate == pytest.approx(0.6, abs=0.15)


def test_two_models_that_move_together_have_nobody_to_be_compared_with() -> None:
    panel = crowd((0.2, 0.2), seed=4, shared=0.6)
    result = EffectiveNumber().fit(panel, (Group("feed", panel.models),)).result_
    (feed,) = result.components
    assert not feed.identified
    assert result.rejects
    assert feed.estimate == pytest.approx(0.6, abs=0.15)


def test_a_time_without_a_scale_is_left_out_of_a_panel_of_values() -> None:
    panel = crowd((0.2, 0.2, 0.2), seed=5)
    scale = panel.scale.copy()
    scale[::3] = np.nan
    result = EffectiveNumber(draws=9).fit(replace(panel, scale=scale)).result_
    assert result.rows == 400


@pytest.mark.parametrize("part", ["outcome", "scale", "benchmark_b"])
def test_what_is_missing_is_named(part: str) -> None:
    panel = crowd((0.2, 0.2, 0.2), seed=6)
    gone = np.full_like(panel.outcome, np.nan)
    changed = {
        "outcome": replace(panel, outcome=gone),
        "scale": replace(panel, scale=gone),
        "benchmark_b": replace(panel, benchmark_b=gone),
    }
    with pytest.raises(PanelError) as error:
        EffectiveNumber().fit(changed[part])
    assert f"{part} is missing at 100 %" in str(error.value)


def test_a_target_that_no_model_forecasts_is_named() -> None:
    panel = crowd((0.2, 0.2, 0.2), seed=7)
    with pytest.raises(PanelError, match="target x") as error:
        EffectiveNumber().fit(replace(panel, forecast=np.full_like(panel.forecast, np.nan)))
    assert "leave the target out" in error.value.remedy


@pytest.mark.parametrize(("part", "value"), [("forecast", 1e200), ("scale", 1e-320)])
def test_numbers_of_no_market_are_refused(part: str, value: float) -> None:
    panel = crowd((0.2, 0.2, 0.2), seed=8)
    changed = {
        "forecast": replace(panel, forecast=np.full_like(panel.forecast, value)),
        "scale": replace(panel, scale=np.full_like(panel.scale, value)),
    }
    for result in (analyse_panel(changed[part]).c2, analyse_panel(changed[part]).c6):
        assert isinstance(result, Failure)
        assert f"{part} holds" in result.message
        assert "units" in result.remedy
