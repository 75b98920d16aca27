"""Interventions on models whose truth is planted: who really reads what, and is it on the card."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.intervention_words import disagreement_sentence, intervention_findings
from commonmode.converge.interventions import (
    CardFault,
    InterventionalGraph,
    interventional_graph,
)
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.forecast import Ewma, Garch, HistoricalSimulation
from commonmode.panel.intervention_probes import RiskProbe
from commonmode.panel.interventions import Intervention, run_interventions
from commonmode.panel.perturbations import (
    scale_past_moves,
    swap_field,
)
from commonmode.register.cards import Layer
from planted_models import DATA, FEEDS, Planted, feed, market

MODELS = (
    Planted(ModelId("honest"), ("close",), ("close",)),
    Planted(ModelId("secret"), ("close", "funding"), ("close",)),
    Planted(ModelId("boaster"), ("close",), ("close", "tweets")),
    Planted(ModelId("twin"), ("close", "funding"), ("close", "funding")),
)


def test_planted_truth_is_found_and_cards_are_held_against_it() -> None:
    responses = run_interventions(MODELS, market(), FEEDS, probe=RiskProbe())
    cards = [model.card for model in MODELS]
    graph = interventional_graph(responses, cards)
    # A card need not declare what moves its model by less than anybody looks at.
    vague = interventional_graph(responses, cards, material=10.0)
    kept = {d.model for d in vague.disagreements if d.fault is CardFault.UNDECLARED}
    assert kept == {d.model for d in graph.disagreements if d.broke}
    assert graph.repeatable.all()
    assert graph.floor.max() < 1e-8
    reads = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [1, 1, 0]], dtype=bool)
    np.testing.assert_array_equal(graph.use > 0, reads)
    told = {(d.model, d.component, d.fault) for d in graph.disagreements}
    assert told == {
        ("secret", "feed of funding", CardFault.UNDECLARED),
        ("boaster", "feed of tweets", CardFault.UNUSED),
    }
    assert graph.disagreements[0].model == "secret"
    assert graph.disagreements[0].broke  # without the feed it gives no answer
    assert "does not declare feed of funding" in disagreement_sentence(graph.disagreements[0])
    assert "declares feed of tweets" in disagreement_sentence(graph.disagreements[1])
    said = intervention_findings("risk", graph)
    assert any("4 of 4 models move" in finding.sentence for finding in said)


def test_a_model_without_data_at_one_time_still_repeats_itself() -> None:
    first, *rest = market()
    gap = np.full_like(first.column("funding"), np.nan)
    late = (replace(first, columns={**first.columns, "funding": gap}), *rest)
    model = Planted(ModelId("reader"), ("funding",), ("funding",))
    other = Planted(ModelId("other"), ("close",), ("close",))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        responses = run_interventions((model, other), late, FEEDS, probe=RiskProbe())
    assert not np.isfinite(responses.rerun[0, 0])
    graph = interventional_graph(responses, [model.card, other.card])
    assert graph.repeatable.all()
    assert graph.disagreements == ()


def test_responses_are_in_market_units_and_failed_cells_say_why() -> None:
    quadruple = feed("close", scale_past_moves(4.0, youngest=0, oldest=1000), "moves x 4")
    models = (Ewma(decay=0.97, window=500), HistoricalSimulation(window=500))
    responses = run_interventions(models, market(8), (quadruple, FEEDS[0]), probe=RiskProbe())
    # Four times the moves are four times the quantile, whatever the model.
    np.testing.assert_allclose(responses.signed[:, :, 0], np.log(4.0), rtol=1e-6)
    assert responses.broke[:, :, 1].all()
    assert len(responses.failures) == 16
    assert {f.intervention for f in responses.failures} == {"close drop"}


def test_a_memory_probe_tells_windows_apart_without_a_card() -> None:
    bands = tuple(
        Intervention(
            name=f"{low} to {high} bars ago",
            layer=Layer.CALIBRATION,
            component=ComponentId(f"memory of {low} to {high} bars"),
            size=2.0,
            unit="times the moves",
            perturb=scale_past_moves(2.0, youngest=low, oldest=high),
            on_cards=False,
        )
        for low, high in ((0, 24), (24, 240), (240, 480))
    )
    models = (
        HistoricalSimulation(window=200),
        HistoricalSimulation(window=500),
        Ewma(decay=0.8, window=500),
    )
    graph = interventional_graph(
        run_interventions(models, market(), bands, probe=RiskProbe()),
        [model.card for model in models],
    )
    assert not graph.moves[0, 2]
    assert graph.moves[1, 2]
    assert graph.response[2, 0] > 10 * graph.response[2, 1]
    assert graph.disagreements == ()
    assert graph.similarity["calibration"].shape == (3, 3)


def test_a_swap_moves_who_has_the_part_and_leaves_the_rest_alone() -> None:
    swap = Intervention(
        name="normal innovations become Student's",
        layer=Layer.ASSUMPTION,
        component=ComponentId("normal innovations"),
        size=1.0,
        unit="tail",
        swap=swap_field("innovations", "normal", "student"),
    )
    shorter = Intervention(
        name="500 h window becomes 10 h",
        layer=Layer.CALIBRATION,
        component=ComponentId("500 h window"),
        size=490.0,
        unit="bars",
        swap=swap_field("window", 500, 10),
    )
    models = (Garch(window=500), HistoricalSimulation(window=500), HistoricalSimulation(window=400))
    responses = run_interventions(models, market(8), (swap, shorter), probe=RiskProbe())
    graph = interventional_graph(responses, [model.card for model in models])
    np.testing.assert_array_equal(graph.moves[:, 0], [True, False, False])
    # GARCH refuses ten bars: nothing is learned of it, and nothing is held against it.
    assert np.isnan(graph.response[0, 1])
    assert not graph.broke.any()
    np.testing.assert_array_equal(graph.moves[:, 1], [False, True, False])
    assert graph.disagreements == ()


@pytest.mark.parametrize("spread", [0.001, 0.05])
def test_random_models_give_false_alarms_at_the_stated_rate(spread: float) -> None:
    data, worlds, false = market(8), 60, 0
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        models = tuple(
            Planted(ModelId(f"m{i}"), ("close",), ("close",), noise=rng, spread=spread)
            for i in range(3)
        )
        nothing = tuple(one for one in FEEDS if "close" not in one.name)
        responses = run_interventions(models, data, nothing, probe=RiskProbe(), seed=seed)
        graph = interventional_graph(responses, [m.card for m in models], flips=399, rng=seed)
        assert not graph.repeatable.any()
        false += bool(graph.moves.any())
    assert false / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


def test_a_random_model_that_reads_in_secret_is_found() -> None:
    rng = np.random.default_rng(1)
    models = (
        Planted(ModelId("loud"), ("close", "funding"), ("close",), noise=rng, spread=0.01),
        Planted(ModelId("quiet"), ("close",), ("close",), noise=rng, spread=0.01),
    )
    responses = run_interventions(models, market(), FEEDS, probe=RiskProbe())
    graph = interventional_graph(responses, [model.card for model in models])
    assert {d.model for d in graph.disagreements} == {"loud"}
    assert not graph.repeatable.any()
    assert graph.floor.min() > 1e-3


def test_similarity_has_the_shape_that_attribution_takes() -> None:
    graph = interventional_graph(run_interventions(MODELS, market(8), FEEDS, probe=RiskProbe()))
    similarity = graph.similarity["data"]
    assert set(graph.similarity) == {"data"}
    np.testing.assert_allclose(similarity, similarity.T)
    assert similarity[1, 3] > similarity[1, 0]


def test_bad_input_names_the_remedy() -> None:
    with pytest.raises(DataError, match="remedy:"):
        run_interventions((), market(8), FEEDS, probe=RiskProbe())
    with pytest.raises(ConfigurationError, match="remedy:"):
        Intervention(name="x", layer=DATA, component=ComponentId("y"), size=1.0, unit="bp")
    few = run_interventions(MODELS, market(3), FEEDS[:1], probe=RiskProbe())
    with pytest.raises(DataError, match="too few"):
        interventional_graph(few)
    dead = Planted(ModelId("dead"), ("nothing",), ())
    silent = run_interventions((dead,), market(8), FEEDS[:1], probe=RiskProbe())
    with pytest.raises(DataError, match="never answered"):
        interventional_graph(silent)


def test_the_stated_detectable_move_is_found_about_four_times_in_five() -> None:
    data, seeds = market(12), range(60)
    nothing = tuple(one for one in FEEDS if "close" not in one.name)

    def run(move: float, seed: int) -> InterventionalGraph:
        noise = np.random.default_rng(seed)
        model = Planted(ModelId("m"), ("close",), (), noise=noise, spread=0.02)
        lever = Intervention(
            name="lever",
            layer=Layer.CODE,
            component=ComponentId("lever"),
            size=move,
            unit="log",
            swap=lambda one: replace(one, lift=float(np.exp(move))),
        )
        responses = run_interventions((model,), data, (lever, *nothing), probe=RiskProbe())
        return interventional_graph(responses, flips=399, rng=seed)

    move = float(np.median([run(0.0, seed).detectable[0, 0] for seed in seeds]))
    hits = [run(move, seed).moves[0, 0] for seed in seeds]
    assert 0.68 <= np.mean(hits) <= 0.95
