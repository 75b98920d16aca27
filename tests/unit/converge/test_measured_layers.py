"""C4 on the graph that interventions measured."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.attribution_result import INTERVENTIONAL
from commonmode.converge.measured_layers import measured_layers
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, Success
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.error_panel import ErrorPanel
from commonmode.panel.laboratory import panel_of_world

MODELS = 10


@pytest.fixture(scope="module")
def panel() -> ErrorPanel:
    config = WorldConfig(models=MODELS, times=2_000, planted_share=0.6, planted_models=4)
    return panel_of_world(simulate_world(config, seed=8), name="p")


def shared_by(*members: int) -> np.ndarray:
    """Similarity of models that moved under the same change of one part."""
    use = np.isin(np.arange(MODELS), members)
    return np.where(np.eye(MODELS, dtype=bool), 1.0, np.outer(use, use).astype(float))


def test_what_moved_the_same_models_is_found_and_what_moved_others_is_not(
    panel: ErrorPanel,
) -> None:
    planted = simulate_world(
        WorldConfig(models=MODELS, times=2_000, planted_share=0.6, planted_models=4), seed=8
    ).planted_models
    users = [list(panel.models).index(model) for model in planted]
    others = [i for i in range(MODELS) if i not in users][:4]
    similarity = {"data": shared_by(*users), "technique": shared_by(*others)}
    together, failing = measured_layers(panel, panel.models, similarity, permutations=499)
    assert isinstance(together, Success)
    assert isinstance(failing, Success)
    assert (together.value.graph, together.value.response) == (INTERVENTIONAL, "deviation")
    assert failing.value.response == "co-failure"
    p = dict(zip(together.value.regression.names, together.value.regression.p_greater, strict=True))
    assert p["data"] <= 0.02
    assert p["technique"] > 0.05


def test_models_are_matched_by_name(panel: ErrorPanel) -> None:
    """Another order, and a model that the panel does not have, change nothing."""
    rng = np.random.default_rng(1)
    use = rng.uniform(size=(MODELS, 3))
    similarity = {"data": use @ use.T}
    (first, *_) = measured_layers(panel, panel.models, similarity, permutations=99, tail=False)
    order = rng.permutation(MODELS)
    wider = np.zeros((MODELS + 1, MODELS + 1))
    wider[1:, 1:] = similarity["data"][np.ix_(order, order)]
    names = (ModelId("stranger"), *(panel.models[i] for i in order))
    (second, *rest) = measured_layers(panel, names, {"data": wider}, permutations=99, tail=False)
    assert not rest
    assert isinstance(first, Success)
    assert isinstance(second, Success)
    np.testing.assert_array_equal(
        first.value.regression.p_greater, second.value.regression.p_greater
    )


def test_what_cannot_be_asked_is_said(panel: ErrorPanel) -> None:
    few = panel.models[:3]
    (found, *_) = measured_layers(panel, few, {"data": np.ones((3, 3))}, permutations=99)
    assert isinstance(found, Failure)
    assert "too few" in found.message
    (nothing,) = measured_layers(panel, panel.models, {}, permutations=99, tail=False)
    assert isinstance(nothing, Failure)
    (nobody,) = measured_layers(panel, (ModelId("stranger"),), {"data": np.ones((1, 1))})
    assert isinstance(nobody, Failure)
