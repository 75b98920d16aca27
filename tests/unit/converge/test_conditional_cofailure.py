"""C3 on panels of the laboratory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.groups import declared_groups
from commonmode.core.errors import PanelError
from commonmode.lab.truth import true_cofailure_ratio
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.panel.laboratory import panel_of_world

CROWDED = WorldConfig(planted_share=0.8, planted_models=8)


@pytest.fixture(scope="module")
def panel() -> ErrorPanel:
    return panel_of_world(simulate_world(CROWDED, seed=3))


def test_a_crowd_that_shares_is_found_and_the_interval_holds_the_truth(panel: ErrorPanel) -> None:
    result = ConditionalCoFailure(draws=199).fit(panel).result_
    assert result.rejects
    assert result.interval[0] <= true_cofailure_ratio(CROWDED) <= result.interval[1]
    assert result.raw_ratio > 10.0
    assert result.uncorrected_ratio > result.ratio
    assert result.pair_failures > 0


def test_split_adds_up_and_its_parts_are_those_of_the_ratios(panel: ErrorPanel) -> None:
    result = ConditionalCoFailure(draws=199).fit(panel).result_
    split = result.split
    assert split is not None
    assert split.market.value + split.shared_design.value + split.individual.value == pytest.approx(
        1
    )
    assert split.shared_design.value == pytest.approx(1 - 1 / result.ratio)
    assert split.individual.value == pytest.approx(1 / result.raw_ratio)
    for share in (split.market, split.shared_design, split.individual):
        assert share.low <= share.value <= share.high


def test_independent_models_are_silent_though_they_fail_together() -> None:
    result = (
        ConditionalCoFailure().fit(panel_of_world(simulate_world(WorldConfig(), seed=2))).result_
    )
    assert result.raw_ratio > 10.0
    assert not result.rejects
    assert result.interval[0] <= 1.0 <= result.interval[1]
    assert result.minimum_detectable_ratio > 1.0


def test_blocks_are_as_long_as_deviations_last() -> None:
    counts = [
        ConditionalCoFailure(draws=9)
        .fit(panel_of_world(simulate_world(WorldConfig(deviation_autocorrelation=phi), seed=1)))
        .result_.blocks
        for phi in (0.9, 0.99)
    ]
    assert counts == [40, 16]


def test_same_seed_same_result(panel: ErrorPanel) -> None:
    first, again = (ConditionalCoFailure(draws=49, rng=4).fit(panel).result_ for _ in range(2))
    assert first.p_value == again.p_value
    assert first.interval == again.interval
    assert first.split == again.split


def test_rows_with_a_missing_cell_are_dropped(panel: ErrorPanel) -> None:
    forecast = panel.forecast.copy()
    gone = np.arange(5000) % 5 == 0
    forecast[gone, 0, 0] = np.nan
    result = ConditionalCoFailure(draws=9).fit(replace(panel, forecast=forecast)).result_
    assert result.rows == 4000
    failed = (panel.outcome[:, :, None] < panel.forecast)[~gone, 0]
    np.testing.assert_array_equal(result.failures, failed.sum(axis=0))


def test_market_state_may_have_gaps(panel: ErrorPanel) -> None:
    state = np.random.default_rng(1).standard_normal((5000, 1))
    state[::9] = np.nan
    plain = ConditionalCoFailure(draws=9).fit(panel).result_
    known = ConditionalCoFailure(draws=9).fit(replace(panel, state={"funding": state})).result_
    assert np.isfinite(known.ratio)
    assert known.ratio == pytest.approx(plain.ratio, abs=0.03)


def test_without_benchmarks_only_the_raw_ratio(panel: ErrorPanel) -> None:
    bare = replace(panel, benchmark_a=None, benchmark_b=None)
    result = ConditionalCoFailure().fit(bare).result_
    assert np.isnan(result.ratio)
    assert not result.rejects
    assert result.split is None
    assert result.raw_ratio > 10.0


def test_components_are_ranked_by_their_excess() -> None:
    config = replace(CROWDED, planted_models=3, times=20_000)
    world = simulate_world(config, seed=1)
    groups = declared_groups(world.models, world.cards)
    result = ConditionalCoFailure(draws=9).fit(panel_of_world(world), groups).result_
    assert set(result.components[0].group.members) == set(world.planted_models)
    assert list(result.components) == sorted(result.components, key=lambda c: -c.t)


def test_wrong_kind_no_failure_and_few_rows_are_refused_with_a_remedy(panel: ErrorPanel) -> None:
    positive = replace(
        panel,
        kind=PanelKind.VOL,
        forecast=-panel.forecast,
        benchmark_a=None,
        benchmark_b=None,
    )
    with pytest.raises(PanelError, match="no tail failures") as kind:
        ConditionalCoFailure().fit(positive)
    assert kind.value.remedy
    with pytest.raises(PanelError, match="models failed at 0 times in all") as calm:
        ConditionalCoFailure().fit(replace(panel, outcome=np.abs(panel.outcome)))
    assert calm.value.remedy
    short = panel.forecast.copy()
    short[3:] = np.nan
    with pytest.raises(PanelError, match="only 3 times"):
        ConditionalCoFailure().fit(replace(panel, forecast=short))
