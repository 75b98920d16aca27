"""C2 on panels of the laboratory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.comovement import EffectiveNumber, benchmark_noise_ratio
from commonmode.converge.groups import Group, blind_groups, declared_groups
from commonmode.converge.rows import usable_rows
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId
from commonmode.lab.worlds import PLANTED, ForecastWorld, WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.panel.laboratory import panel_of_world


@pytest.fixture(scope="module")
def world() -> ForecastWorld:
    return simulate_world(WorldConfig(planted_share=0.4), seed=3)


@pytest.fixture(scope="module")
def panel(world: ForecastWorld) -> ErrorPanel:
    return panel_of_world(world)


def test_planted_component_is_found_through_cards_and_blind(
    world: ForecastWorld, panel: ErrorPanel
) -> None:
    result = (
        EffectiveNumber(draws=99).fit(panel, declared_groups(world.models, world.cards)).result_
    )
    first = result.components[0]
    assert result.rejects
    assert PLANTED in {component for _, component in first.group.components}
    assert first.p_adjusted <= 0.05
    assert first.estimate == pytest.approx(0.4, abs=0.12)
    assert set(result.found[0].group.members) == set(world.planted_models)
    assert result.interval is not None
    assert result.interval[0] <= 64 / (8 + 6 * 0.4**2) <= result.interval[1]
    assert result.single_benchmark_number < 4.0
    assert result.benchmark_noise_ratio == pytest.approx(1.0, abs=0.2)


def test_independent_models_get_no_interval() -> None:
    panel = panel_of_world(simulate_world(WorldConfig(), seed=2))
    result = EffectiveNumber().fit(panel).result_
    assert not result.rejects
    assert result.interval is None
    assert result.effective_number > 7.0
    assert 0.1 < result.minimum_detectable_share < result.minimum_detectable_common < 0.5


def test_identical_models_are_one(panel: ErrorPanel) -> None:
    same = replace(panel, forecast=np.repeat(panel.forecast[:, :, :1], 8, axis=2))
    result = EffectiveNumber(draws=99).fit(same).result_
    assert result.effective_number == pytest.approx(1.0, abs=0.05)
    assert result.interval == pytest.approx((1.0, 1.0), abs=0.05)
    assert result.found[0].group.members == panel.models


def test_same_seed_same_result_and_another_seed_hardly_differs(panel: ErrorPanel) -> None:
    first, again, other = (
        EffectiveNumber(draws=49, rng=rng).fit(panel).result_ for rng in (1, 1, 2)
    )
    assert first.p_value == again.p_value
    assert first.interval == again.interval
    assert first.effective_number == other.effective_number
    assert first.interval != other.interval


def test_rows_with_a_missing_cell_are_dropped(panel: ErrorPanel) -> None:
    gone = np.arange(5000) % 10 == 4
    forecast = panel.forecast.copy()
    forecast[gone, 0, 5] = np.nan
    holed = EffectiveNumber(draws=9).fit(replace(panel, forecast=forecast)).result_
    assert holed.rows == 4500
    assert usable_rows(replace(panel, forecast=forecast)).sum() == 4500
    # what the dropped rows say of the other models must not matter either
    forecast[gone, 0, :5] *= 3.0
    again = EffectiveNumber(draws=9).fit(replace(panel, forecast=forecast)).result_
    np.testing.assert_allclose(holed.correlation, again.correlation, atol=1e-12)


def test_without_benchmarks_only_contrasts_between_groups(
    world: ForecastWorld, panel: ErrorPanel
) -> None:
    bare = replace(panel, benchmark_a=None, benchmark_b=None)
    result = EffectiveNumber().fit(bare, declared_groups(world.models, world.cards)).result_
    assert not result.benchmarked
    assert np.isnan(result.effective_number)
    assert np.isnan(result.minimum_detectable_common)
    assert result.interval is None
    assert result.rejects
    assert set(result.components[0].group.members) == set(world.planted_models)
    assert all(len(c.group.members) < 8 for c in result.found)


def test_one_model_or_too_few_rows_are_refused_with_a_remedy(panel: ErrorPanel) -> None:
    with pytest.raises(PanelError, match="1 model") as alone:
        EffectiveNumber().fit(panel.select_models(panel.models[:1]))
    assert alone.value.remedy
    forecast = panel.forecast.copy()
    forecast[5:, 0, 2] = np.nan
    with pytest.raises(PanelError, match="only 5 times") as short:
        EffectiveNumber().fit(replace(panel, forecast=forecast))
    assert "model-3" in str(short.value)


def test_disagreement_over_error_of_a_value_panel() -> None:
    # two models around the truth: ambiguity = spread^2, error = spread^2 + (mean error)^2
    outcome = np.zeros((40, 1))
    forecast = np.stack([np.full((40, 1), 1.0), np.full((40, 1), -1.0)], axis=2)
    forecast = forecast + 0.01 * np.random.default_rng(0).standard_normal(forecast.shape)
    panel = ErrorPanel(
        name="values",
        kind=PanelKind.VALUE,
        level=0.0,
        horizon_ms=1,
        times_ms=np.arange(40),
        models=(ModelId("a"), ModelId("b")),
        targets=("x",),  # type: ignore[arg-type]
        forecast=forecast,
        outcome=outcome,
        scale=np.ones((40, 1)),
    )
    share = EffectiveNumber().fit(panel).result_.ambiguity_share
    assert share == pytest.approx(1.0, abs=1e-3)


def test_benchmark_noise_ratio_reads_both_noises() -> None:
    rng = np.random.default_rng(1)
    own = 0.2 * rng.standard_normal((20_000, 1, 4))
    a, b = 0.1 * rng.standard_normal((2, 20_000, 1, 1))
    ratio = benchmark_noise_ratio(own - a, own - b, np.ones((20_000, 1), dtype=bool))
    assert ratio == pytest.approx(0.5, rel=0.05)


def test_blind_groups_are_all_pairs_triples_and_the_crowd() -> None:
    models = tuple(ModelId(f"m{i}") for i in range(6))
    sizes = [len(g.members) for g in blind_groups(models)]
    assert sizes == [2] * 15 + [3] * 20 + [6]
    assert len(blind_groups(models, triples_up_to=5)) == 16


def test_components_of_the_same_users_stand_together(world: ForecastWorld) -> None:
    groups = declared_groups(world.models, world.cards)
    members = [g.members for g in groups]
    assert len(set(members)) == len(members)
    assert declared_groups((ModelId("nobody"),), world.cards) == ()


def test_of_a_group_and_its_mirror_the_one_whose_pairs_move_comes_first() -> None:
    # in a crowd of six a trio and the other trio have the same contrast
    config = WorldConfig(models=6, planted_share=0.5)
    for seed in range(4):
        world = simulate_world(config, seed=seed)
        rest = tuple(m for m in world.models if m not in world.planted_models)
        groups = (Group("mirror", rest), Group("trio", world.planted_models))
        first, second = (
            EffectiveNumber(draws=9).fit(panel_of_world(world), groups).result_.components
        )
        assert first.group.name == "trio"
        assert first.confounded_with == ("mirror",)
        assert first.t == pytest.approx(second.t)
