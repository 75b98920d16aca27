"""A shared bias as a cause in C4: earlier biases against later co-movement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.converge.attribution_layers import BLIND_SPOT, regress_on_biases
from commonmode.converge.attribution_result import BIAS
from commonmode.converge.bias_layer import EarlyBias, early_bias
from commonmode.core.errors import PanelError
from commonmode.core.result import Success
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world
from commonmode.stats.comovement import pair_index

MODELS = 12
ROWS, COLUMNS = pair_index(MODELS)


def symmetric(pairs: np.ndarray) -> np.ndarray:
    out = np.eye(MODELS)
    out[ROWS, COLUMNS] = out[COLUMNS, ROWS] = pairs
    return out


def p_of(bias: EarlyBias, seed: int) -> float:
    found = regress_on_biases("deviation", bias, {}, permutations=199, rng=seed)
    assert isinstance(found, Success)
    assert found.value.graph == BIAS
    assert found.value.regression.names == (BIAS, BLIND_SPOT)
    return float(found.value.regression.p_greater[0])


def rejected(rng: np.random.Generator, *, together: float, blind: float, worlds: int) -> float:
    """Share of worlds in which like biases are said to move together."""
    hits = 0
    for seed in range(worlds):
        spread = rng.uniform(0.2, 1.0, MODELS)
        everybody = blind * spread[ROWS] * spread[COLUMNS]
        alike = ROWS // 4 == COLUMNS // 4
        similarity = everybody + 0.5 * alike + rng.normal(0.0, 0.2, len(ROWS))
        later = everybody + together * alike + rng.normal(0.0, 0.1, len(ROWS))
        bias = EarlyBias(symmetric(similarity), later, 1.0 / spread)
        hits += p_of(bias, seed) <= 0.05
    return hits / worlds


@pytest.mark.parametrize("blind", [0.0, 0.8])
def test_size_with_and_without_a_blind_spot_in_both(blind: float) -> None:
    rate = rejected(np.random.default_rng(1), together=0.0, blind=blind, worlds=200)
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_models_biased_alike_that_move_together_are_found() -> None:
    assert rejected(np.random.default_rng(2), together=0.3, blind=0.0, worlds=30) >= 0.9


@pytest.fixture(scope="module")
def panel() -> ErrorPanel:
    return panel_of_world(simulate_world(WorldConfig(models=6, times=2_000), seed=4))


def test_halves_do_not_see_each_other(panel: ErrorPanel) -> None:
    found = early_bias(panel)
    other = panel.forecast.copy()
    other[1_000:] *= np.linspace(0.5, 1.5, 1_000)[:, None, None]
    late = early_bias(replace(panel, forecast=other))
    np.testing.assert_array_equal(late.similarity, found.similarity)
    assert not np.allclose(late.later, found.later)
    other = panel.forecast.copy()
    other[:1_000, :, 0] *= 1.5
    early = early_bias(replace(panel, forecast=other))
    np.testing.assert_array_equal(early.later, found.later)
    assert not np.allclose(early.similarity, found.similarity)


def test_it_stands_in_the_analysis_unless_not_asked_for(panel: ErrorPanel) -> None:
    cards = simulate_world(WorldConfig(models=6, times=2_000), seed=4).cards
    quick = IndexOptions(flips=99, draws=49, tail=False)
    with_it, without = (
        analyse_panel(panel, cards, replace(quick, biases=biases)).c4 for biases in (True, False)
    )
    assert isinstance(with_it, Success)
    assert isinstance(without, Success)
    assert with_it.value.bias_layer is not None
    assert without.value.bias_layer is None
    assert [one.p_value for one in with_it.value.components] == [
        one.p_value for one in without.value.components
    ]


def test_a_short_panel_has_none(panel: ErrorPanel) -> None:
    short = replace(panel, benchmark_a=None, benchmark_b=None).select_rows(slice(0, 100))
    with pytest.raises(PanelError, match="bias needs"):
        early_bias(short)


def test_what_drifts_slowly_across_both_halves_is_no_shared_bias() -> None:
    """Independent deviations that hardly forget: too high early means coming back late."""
    worlds, config = 300, WorldConfig(models=10, times=2_000, deviation_autocorrelation=0.9999)
    p_values = np.array(
        [
            p_of(early_bias(panel_of_world(simulate_world(config, seed=70_000 + seed))), seed)
            for seed in range(worlds)
        ]
    )
    # Taken about the mean of the whole half, 16 % are below .10.
    assert np.mean(p_values <= 0.1) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / worlds)


def test_spans_add_up_to_the_whole_where_nothing_drifts(panel: ErrorPanel) -> None:
    """Co-movement faster than a span is kept, gaps or none."""
    whole = early_bias(panel)
    gone = panel.forecast.copy()
    gone[1_300:1_340, :, 0] = np.nan
    holes = early_bias(replace(panel, forecast=gone))
    assert np.corrcoef(whole.later, holes.later)[0, 1] > 0.9
    assert np.abs(whole.later - holes.later).max() < 0.1


def test_a_layer_that_is_the_same_for_all_pairs_has_no_coefficient() -> None:
    """Beyond the models' effects only rounding is left of it, which is no data."""
    rng = np.random.default_rng(3)
    bias = EarlyBias(
        symmetric(rng.uniform(-1.0, 1.0, len(ROWS))),
        rng.normal(0.0, 0.1, len(ROWS)),
        rng.uniform(0.5, 1.5, MODELS),
    )
    same = np.full((MODELS, MODELS), 1.0 / 3.0)
    found = regress_on_biases("deviation", bias, {"data": same}, permutations=99, rng=1)
    without = regress_on_biases("deviation", bias, {}, permutations=99, rng=1)
    assert isinstance(found, Success)
    assert isinstance(without, Success)
    at = found.value.regression.names.index("data")
    assert np.isnan(found.value.regression.coefficient[at])
    assert np.isnan(found.value.regression.p_greater[at])
    assert found.value.regression.coefficient[0] == pytest.approx(
        without.value.regression.coefficient[0], rel=1e-9
    )
