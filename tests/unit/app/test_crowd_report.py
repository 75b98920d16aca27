"""A crowd of models: what is published and drawn grows with uses, not with pairs."""

from __future__ import annotations

import json

import numpy as np

from commonmode.app.report.dependency_figures import MANY_MODELS, dependency_graph, shared_parts
from commonmode.app.report.figures import correlation_map
from commonmode.app.study.results import analysis_to_json
from commonmode.converge.analysis import IndexOptions, analyse_panel
from commonmode.converge.findings import some_of
from commonmode.core.ids import ComponentId, ModelId, TargetId
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.register.cards import Card, ComponentUse, Layer, ModelFamily


def crowd(models: int) -> dict[str, object]:
    """Two times only: nothing but the cards says anything."""
    cards = [
        Card(
            ModelId(f"m{i}"),
            ModelFamily.RISK,
            components=(
                ComponentUse(ComponentId("feed"), Layer.DATA),
                ComponentUse(ComponentId(f"library {i % 7}"), Layer.CODE),
            ),
        )
        for i in range(models)
    ]
    rng = np.random.default_rng(0)
    panel = ErrorPanel(
        name="crowd",
        kind=PanelKind.QUANTILE,
        level=0.025,
        horizon_ms=3_600_000,
        times_ms=np.arange(2, dtype=np.int64) * 3_600_000,
        models=tuple(card.model for card in cards),
        targets=(TargetId("BTC"),),
        forecast=-np.exp(0.1 * rng.standard_normal((2, 1, models))),
        outcome=0.5 * rng.standard_normal((2, 1)),
        scale=np.ones((2, 1)),
    )
    analysis = analyse_panel(panel, cards, IndexOptions(flips=199, draws=199))
    return analysis_to_json(analysis, family="risk", cards=cards)


def test_matrices_of_pairs_are_left_out_above_two_hundred_models() -> None:
    few, many = crowd(10), crowd(220)
    assert len(few["c1"]["overall"]) == 10
    assert many["c1"]["overall"] == []
    assert many["c1"]["layers"] == {"data": [], "code": []}
    assert len(many["c1"]["components"][0]["models"]) == 220
    assert len(json.dumps(many)) < 40 * len(json.dumps(few))


def test_a_crowd_is_drawn_by_its_parts() -> None:
    few, many = crowd(10), crowd(MANY_MODELS + 10)
    assert shared_parts(few) is None
    assert dependency_graph(few, []) is not None
    assert dependency_graph(many, []) is None
    drawn = shared_parts(many)
    assert drawn is not None
    assert max(max(bar["x"]) for bar in drawn["data"]) == MANY_MODELS + 10
    assert {bar["name"] for bar in drawn["data"]} == {"data", "code"}
    assert drawn["layout"]["height"] < 1200


def test_a_map_without_its_matrix_is_not_drawn() -> None:
    panel = {
        "models": [{"id": "a"}, {"id": "b"}],
        "c2": {"status": "ok", "clusters": [], "correlation": []},
    }
    assert correlation_map(panel) is None


def test_sentences_name_a_dozen() -> None:
    assert some_of(["a", "b"]) == "a, b"
    assert some_of([str(i) for i in range(15)], 3) == "0, 1, 2 and 12 more"
