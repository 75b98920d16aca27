"""Interventions on option chains: which surface moves when a quote, a forward or an engine does."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.converge.interventions import InterventionalGraph, interventional_graph
from commonmode.core.ids import ComponentId, CurrencyCode, ModelId
from commonmode.core.units import HOUR_MS
from commonmode.lab.market import SvjParameters, simulate_path
from commonmode.lab.options import simulate_snapshots
from commonmode.market.chain import OptionChain
from commonmode.market.clock import utc_ms
from commonmode.panel.intervention_probes import SurfaceProbe
from commonmode.panel.interventions import Intervention, run_interventions
from commonmode.panel.perturbations import (
    drop_expiry,
    shift_forward,
    shift_vols,
    swap_field,
    widen_spreads,
)
from commonmode.pricing import SURFACE_MODELS
from commonmode.register.cards import Layer

MARK, MID = ComponentId("deribit mark iv"), ComponentId("deribit bid-ask mid")
FORWARDS = ComponentId("deribit forwards")


def data(name: str, component: ComponentId, change, size: float, unit: str):
    return Intervention[OptionChain](
        name=name, layer=Layer.DATA, component=component, size=size, unit=unit, perturb=change
    )


INTERVENTIONS = (
    data("marks up by 1 vol point", MARK, shift_vols(1.0, ("mark_iv",)), 1.0, "vol points"),
    data("mids up by 1 vol point", MID, shift_vols(1.0, ("bid_iv", "ask_iv")), 1.0, "vol points"),
    data("spreads doubled", MID, widen_spreads(2.0), 2.0, "times"),
    data("forwards 100 bp late", FORWARDS, shift_forward(100.0), 100.0, "bp"),
    data("nearest expiry gone", MARK, drop_expiry(0), 1.0, "expiry"),
    Intervention[OptionChain](
        name="compiled solver instead of numpy",
        layer=Layer.CODE,
        component=ComponentId("numpy solver"),
        size=1.0,
        unit="engine",
        swap=swap_field("engine", "numpy", "numba"),
        on_cards=False,
    ),
)
MODELS = (
    SURFACE_MODELS["flat-black"](id=ModelId("flat")),
    SURFACE_MODELS["svi"](id=ModelId("svi marks"), quotes="mark"),
    SURFACE_MODELS["svi"](id=ModelId("svi mids"), quotes="mid"),
    SURFACE_MODELS["sticky-strike"](id=ModelId("sticky")),
)


@pytest.fixture(scope="module")
def chains() -> tuple[OptionChain, ...]:
    start = utc_ms("2024-02-05T12:00Z")
    path = simulate_path("BTC", SvjParameters(), start - 2 * HOUR_MS, 80, seed=4)
    coin, times = CurrencyCode("BTC"), start + 9 * HOUR_MS * np.arange(8)
    return tuple(snapshot.chain(coin) for snapshot in simulate_snapshots({coin: path}, times))


@pytest.fixture(scope="module")
def graph(chains: tuple[OptionChain, ...]) -> InterventionalGraph:
    responses = run_interventions(MODELS, chains, INTERVENTIONS, probe=SurfaceProbe())
    return interventional_graph(responses, [model.card for model in MODELS])


def test_a_vol_point_on_the_marks_is_a_vol_point_on_what_reads_them(
    graph: InterventionalGraph,
) -> None:
    marks = graph.response[:, 0]
    np.testing.assert_allclose(marks[[0, 1, 3]], 1.0, atol=0.05)
    assert marks[2] == 0.0
    assert graph.response[2, 1] == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(graph.response[[0, 1, 3], 1], 0.0)


def test_who_reads_what_agrees_with_the_cards(graph: InterventionalGraph) -> None:
    use = dict(zip(graph.components, graph.use.T, strict=True))
    np.testing.assert_array_equal(use[Layer.DATA, MARK] > 0, [True, True, False, True])
    np.testing.assert_array_equal(use[Layer.DATA, MID] > 0, [False, False, True, False])
    faults = {(one.model, one.component) for one in graph.disagreements}
    assert not faults & {(m.id, part) for m in MODELS for part in (MARK, MID)}


def test_the_engine_is_swapped_only_where_there_is_one(graph: InterventionalGraph) -> None:
    place = [one.name for one in graph.interventions].index("compiled solver instead of numpy")
    np.testing.assert_array_equal(graph.response[[0, 3], place], 0.0)
    # Two solvers of one problem differ by far less than a quote's rounding.
    assert graph.response[1, place] < 0.05
    assert graph.similarity["data"].shape == (4, 4)
    assert graph.similarity["data"][1, 3] > graph.similarity["data"][1, 2]
