"""The surface panel, a drawn population and its Greeks on the recorded chains of 13 April 2023."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.core.ids import ModelId
from commonmode.exposure import (
    Greek,
    calibrate_surfaces,
    disagreement,
    greek_table,
    resolve,
    totals,
)
from commonmode.lab.population import ModelChoice, draw_population
from commonmode.market.snapshot import Snapshot
from commonmode.panel.surface import SurfacePanel, build_surface_panel
from commonmode.pricing.builtin import SURFACE_MODELS
from commonmode.register.population import ParticipantKind

pytestmark = pytest.mark.recorded

MODELS = [build(id=ModelId(name)) for name, build in SURFACE_MODELS.items()]


@pytest.fixture(scope="module")
def market(recorded_data: Path) -> list[Snapshot]:
    feed = DeribitOptionsFeed(recorded_data)
    times = feed.snapshot_times("2023-04-13T05:00Z", "2023-04-13T12:00Z", 60)
    return list(feed.snapshots(times))


@pytest.fixture(scope="module")
def built(market: list[Snapshot]) -> SurfacePanel:
    return build_surface_panel(market, MODELS)


def test_the_gap_of_the_recording_is_not_filled(built: SurfacePanel) -> None:
    """No snapshot at 08:00: the rows of 07:00 and 08:00 are gone and named."""
    assert built.panel.shape == (5, 18, len(MODELS))
    (note,) = built.notes
    assert (note.code, note.count) == ("missing_snapshots", 2)
    assert "07:00" in note.message
    assert "08:00" in note.message


def test_every_cell_is_there_and_near_what_happened(built: SurfacePanel) -> None:
    panel = built.panel
    assert panel.complete.all()
    assert panel.failures == ()
    assert (built.quotes >= 1).all()
    assert ((panel.outcome > 0.3) & (panel.outcome < 1.2)).all()
    assert (panel.scale > 0).all()
    assert panel.benchmark_a is not None
    assert panel.benchmark_b is not None
    mean = np.sqrt(panel.benchmark_a * panel.benchmark_b)
    flat = panel.forecast[..., [model.id for model in MODELS].index(ModelId("flat-black"))]
    benchmark_error, flat_error = (
        float(np.sqrt(np.mean(np.log(forecast / panel.outcome) ** 2))) for forecast in (mean, flat)
    )
    assert benchmark_error < 0.5 * flat_error


def test_the_population_holds_the_recorded_open_interest(market: list[Snapshot]) -> None:
    drawn = draw_population(
        market[0],
        dict.fromkeys(ParticipantKind, 3),
        surface_models=ModelChoice(tuple(m.id for m in MODELS)),
        risk_models=ModelChoice((ModelId("ewma"),)),
        seed=7,
    )
    assert drawn.skipped == ()
    held = resolve(drawn.books, market[0])
    assert held.failures == ()
    assert held.gross_usd.sum() == pytest.approx(drawn.population.gross_usd, rel=1e-12)
    for chain in market[0].chains.values():
        for side in (1, -1):
            mine = held.is_option & (held.quantity * side > 0)
            for name, contracts in zip(chain.names, chain.open_interest, strict=True):
                rows = mine & (held.instrument == name)
                assert np.abs(held.quantity[rows]).sum() == pytest.approx(contracts, abs=1e-6)


def test_greeks_of_the_population_and_their_disagreement(market: list[Snapshot]) -> None:
    drawn = draw_population(
        market[0],
        dict.fromkeys(ParticipantKind, 3),
        surface_models=ModelChoice(tuple(m.id for m in MODELS)),
        risk_models=ModelChoice((ModelId("ewma"),)),
        seed=7,
    )
    table = greek_table(resolve(drawn.books, market[0]), calibrate_surfaces(MODELS, market[0]))
    assert table.failures == ()
    # Nobody is long or short on balance: what one holds another has sold.
    gross = np.abs(table.usd).sum(axis=0)
    assert (np.abs(table.usd.sum(axis=0)) <= 1e-9 * gross + 1e-6).all()
    found = disagreement(totals(table, by=("book", "underlying")).usd)
    assert (found.models == len(MODELS)).all()
    assert (found.range[:, Greek.DELTA] > 0).all()
