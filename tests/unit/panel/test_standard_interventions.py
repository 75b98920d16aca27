"""The batteries, on ordinary models, into the graph and on into attribution."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.attribution import Attribution
from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.interventions import interventional_graph
from commonmode.core.errors import ConfigurationError
from commonmode.core.ids import ComponentId, ModelId
from commonmode.core.result import Success
from commonmode.forecast import Ewma, HistoricalSimulation
from commonmode.forecast.parts import SPOT_CLOSE
from commonmode.panel.intervention_probes import RiskProbe
from commonmode.panel.interventions import run_interventions
from commonmode.panel.risk import build_risk_panel
from commonmode.panel.standard_interventions import (
    chain_interventions,
    feed_interventions,
    memory_interventions,
    setting_interventions,
)
from commonmode.pricing import SURFACE_MODELS
from commonmode.register.cards import Layer
from simulated_bars import make_history

MODELS = (
    HistoricalSimulation(window=300),
    HistoricalSimulation(window=500),
    Ewma(decay=0.94, window=300),
    Ewma(decay=0.97, window=500),
    Ewma(decay=0.97, window=500, innovations="empirical"),
)
PRICES = ("open", "high", "low", "close")


def test_from_models_to_the_graph_to_attribution() -> None:
    history = make_history(2200, 6)
    ends = np.linspace(700, 2199, 8).astype(int)
    data = [history.rows(end - 600, end + 1) for end in ends]
    battery = (
        *feed_interventions({ComponentId(SPOT_CLOSE): PRICES}),
        *memory_interventions(PRICES, edges=(0, 24, 300, 480)),
        *setting_interventions(MODELS),
    )
    cards = [model.card for model in MODELS]
    graph = interventional_graph(run_interventions(MODELS, data, battery, probe=RiskProbe()), cards)
    assert {one.layer for one in battery} == {Layer.DATA, Layer.CALIBRATION, Layer.ASSUMPTION}
    # Everybody lives on the one feed, and its card says so.
    assert graph.use[:, 0].min() == 1.0
    assert not [one for one in graph.disagreements if one.layer is Layer.DATA]
    # A longer window remembers what a shorter one has forgotten.
    names = [one.name for one in graph.interventions]
    old = names.index("moves 300 to 480 bars ago times 2")
    assert not graph.moves[0, old]
    assert graph.moves[1, old]
    panel = build_risk_panel({"BTC": history}, MODELS, train=1000)
    comovement = EffectiveNumber(flips=199).fit(panel)
    result = (
        Attribution(flips=199, draws=99, permutations=199)
        .fit(panel.models, cards, comovement, interventional=graph.similarity)
        .result_
    )
    layers = [one for one in result.layers if isinstance(one, Success)]
    assert "interventional" in {one.value.graph for one in layers}


def test_settings_are_found_on_the_models_themselves() -> None:
    names = [one.name for one in setting_interventions(MODELS)]
    assert names == [
        "300 h window becomes 240 h",
        "500 h window becomes 400 h",
        "decay 0.94 becomes 0.97",
        "decay 0.97 becomes 0.985",
        "normal innovations become fat-tailed",
    ]
    fatter = setting_interventions(MODELS)[-1].swap
    assert fatter is not None
    assert fatter(MODELS[3]).innovations == "empirical"
    assert fatter(MODELS[0]) is MODELS[0]
    svi = SURFACE_MODELS["svi"](id=ModelId("svi"))
    weights, search, engine = setting_interventions((svi,))
    assert weights.component in {use.component for use in svi.card.components}
    assert weights.swap is not None
    assert weights.swap(svi).weighting == "spread"
    assert search.swap is not None
    assert search.swap(svi).solver == "trust-region"
    assert search.component in {use.component for use in svi.card.components}
    assert engine.layer is Layer.CODE
    assert engine.swap is not None
    assert engine.swap(svi).engine == "numba"
    assert setting_interventions((object(),)) == ()


def test_batteries_name_their_parts_as_cards_do() -> None:
    svi = SURFACE_MODELS["svi"](id=ModelId("svi"))
    declared = {use.component for use in svi.card.components}
    battery = chain_interventions("deribit")
    assert {one.component for one in battery if one.on_cards} & declared
    assert len({one.name for one in battery}) == len(battery)
    with pytest.raises(ConfigurationError, match="remedy:"):
        memory_interventions(edges=(5,))
