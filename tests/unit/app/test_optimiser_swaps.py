"""The optimiser swapped under models whose fits are well posed: who moves, by how much."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from commonmode.app.study.intervention_report import Tried, summary, untried, uses
from commonmode.converge.interventions import interventional_graph
from commonmode.core.ids import ComponentId, CurrencyCode, ModelId
from commonmode.core.units import HOUR_MS
from commonmode.forecast import Ewma, FilteredHistoricalSimulation, Garch
from commonmode.lab.market import SvjParameters, simulate_path
from commonmode.lab.options import simulate_snapshots
from commonmode.market.clock import utc_ms
from commonmode.panel.intervention_probes import RiskProbe, SurfaceProbe
from commonmode.panel.interventions import run_interventions
from commonmode.panel.standard_interventions import setting_interventions
from commonmode.pricing import SURFACE_MODELS
from commonmode.pricing.svi_model import SviPerExpiry
from commonmode.register.cards import Card
from simulated_bars import make_history

RISK = (
    Garch(window=600),
    Garch(window=600, innovations="student", id=ModelId("garch-t")),
    FilteredHistoricalSimulation(window=600),
    Ewma(window=600),
)
SURFACES = tuple(
    SURFACE_MODELS[kind](id=ModelId(kind)) for kind in ("svi", "sabr", "ssvi", "essvi")
)


def _searches(models):
    return tuple(one for one in setting_interventions(models) if one.unit == "optimiser")


def _tried(family, models, data, probe) -> Tried:
    cards = tuple(model.card for model in models)
    responses = run_interventions(models, data, _searches(models), probe=probe)
    return Tried(family, "at 8 times", cards, responses, interventional_graph(responses, cards))


@pytest.fixture(scope="module")
def chains():
    start = utc_ms("2024-02-05T12:00Z")
    path = simulate_path("BTC", SvjParameters(), start - 2 * HOUR_MS, 80, seed=91)
    coin, times = CurrencyCode("BTC"), start + 9 * HOUR_MS * np.arange(8)
    return tuple(snapshot.chain(coin) for snapshot in simulate_snapshots({coin: path}, times))


def test_a_likelihood_maximised_by_another_optimiser() -> None:
    history = make_history(1500, 77)
    ends = np.linspace(700, 1499, 8).astype(int)
    tried = _tried("risk", RISK, [history.rows(e - 650, e + 1) for e in ends], RiskProbe())
    graph = tried.graph
    assert [str(one.component) for one in graph.interventions] == [
        "maximum likelihood, normal",
        "maximum likelihood, student",
    ]
    # Who maximises that likelihood moves, by less than a thousandth of the quantile; nobody else.
    moved = graph.response > 0.0
    np.testing.assert_array_equal(moved, [[True, False], [False, True], [True, False], [False] * 2])
    assert tried.responses.size.max() < 1e-3
    assert not graph.disagreements
    assert "maximum likelihood" not in untried(tried)
    assert "garch(1,1) filter" in untried(tried)
    said = summary(tried)
    declared = said.numbers["parts_declared"]
    assert said.numbers["share_changed"] == 2.0 / declared
    assert f"({2.0 / declared:.0%}) were changed" in said.sentence


def test_squares_minimised_by_another_search(chains) -> None:
    tried = _tried("surface", SURFACES, chains, SurfaceProbe())
    assert [str(one.component) for one in tried.graph.interventions] == ["levenberg-marquardt"]
    # Vol points: the minimum is one, wherever a search comes from.
    assert np.nanmax(tried.responses.size) < 0.05
    assert np.nanmax(tried.responses.size) > 0.0
    assert not tried.graph.disagreements
    assert "levenberg-marquardt" not in untried(tried)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fixed(SviPerExpiry):
    """Declares the search and offers no other."""

    solver: str = field(default="levenberg-marquardt", init=False)


def test_a_search_that_cannot_be_swapped_says_nothing_against_the_card(chains) -> None:
    models = (SURFACES[0], _Fixed(id=ModelId("fixed")))
    tried = _tried("surface", models, chains, SurfaceProbe())
    assert np.isnan(tried.responses.size[:, 1]).all()
    assert not tried.graph.disagreements


def test_keeping_still_is_held_against_a_card_only_where_a_part_must_move(chains) -> None:
    (search,) = _searches(SURFACES[:1])
    still = replace(search, swap=lambda model: model)
    models = SURFACES[:1]
    cards: tuple[Card, ...] = (models[0].card,)
    for must_move in (False, True):
        change = replace(still, must_move=must_move)
        responses = run_interventions(models, chains, (change,), probe=SurfaceProbe())
        graph = interventional_graph(responses, cards)
        assert bool(graph.disagreements) is must_move
        if not must_move:
            table = uses([Tried("surface", "at 8 times", cards, responses, graph)])
            assert table.rows[0][-1] == "changed and kept still, as it may"
            assert table.rows[0][3] == ComponentId("levenberg-marquardt")
