"""Recalibration on the recordings: what they say about cadence, synchrony and the cycle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commonmode.adapters.feeds.recorded.feed import RecordedFeed
from commonmode.converge.cadence_sweep import (
    surface_revisions,
    sweep_risk_cadences,
    sweep_surface_cadences,
)
from commonmode.converge.herding import Herding
from commonmode.converge.procyclicality import Procyclicality
from commonmode.converge.propagation import Propagation
from commonmode.converge.recalibration import RecalibrationSynchrony, panel_revisions
from commonmode.converge.tail_propagation import TailPropagation
from commonmode.core.ids import CurrencyCode, ModelId
from commonmode.forecast.builtin import ordinary_risk_models
from commonmode.market.clock import utc_ms
from commonmode.market.history import History
from commonmode.panel.refits import spread_spans
from commonmode.panel.risk import build_risk_panel
from commonmode.panel.surface_refits import walk_surfaces
from commonmode.pricing.sabr_model import SabrPerExpiry
from commonmode.pricing.sticky_delta import StickyDelta
from commonmode.pricing.svi_model import SviPerExpiry

pytestmark = [pytest.mark.recorded, pytest.mark.slow]


def bitcoin(folder: Path) -> History:
    history = RecordedFeed(folder).history("BTC", None, None)
    return history.rows(0, int(np.searchsorted(history.times_ms, utc_ms("2023-04-13T00:00Z"))))


def test_surfaces_age_within_the_hour_by_less_than_the_spread(recorded_data: Path) -> None:
    """BTC, 37 hours: a fresh surface is better, by a twentieth of the half spread."""
    feed, btc = RecordedFeed(recorded_data), CurrencyCode("BTC")
    times = feed.snapshot_times("2023-04-12T10:40:00Z", "2023-04-13T23:55:00Z", 5)
    chains = [s.chain(btc) for s in feed.snapshots(times, (btc,)) if btc in s.chains]
    models = (
        SviPerExpiry(id=ModelId("svi")),
        SabrPerExpiry(id=ModelId("sabr")),
        StickyDelta(id=ModelId("sticky-delta")),
    )
    walks = walk_surfaces(chains, models, cadences=(1, 12, 288), evaluate_every=3)
    fresh, hour, day = (np.nanmean(w.error, axis=0) for w in walks.walks.values())
    assert np.all(fresh < hour)
    assert np.all(2.0 * hour < day)
    assert np.all(hour - fresh < 0.1 * np.nanmean(walks.half_spread))
    sweep = sweep_surface_cadences(walks, present=12)
    assert {a.recommended for a in sweep.advice} == {"5 min"}
    steps = RecalibrationSynchrony(draws=20).fit(surface_revisions(walks, every=1)).result_
    assert steps.rejects
    assert steps.correlation > 0.5


def test_weekly_refits_of_risk_models_lose_nothing(recorded_data: Path) -> None:
    """BTC 2021 to 2023, 24 weeks spread over it: a week is as good as a day within 1 %."""
    history = bitcoin(recorded_data)
    spans = spread_spans(len(history) - 1, first=2600, length=168, count=24)
    sweep = sweep_risk_cadences(history, ordinary_risk_models(), spans, cadences=(24, 168))
    by = {a.model: a for a in sweep.advice}
    assert by[ModelId("hs-500h")].rows[0].noise is None
    assert by[ModelId("ewma-0.99-empirical")].recommended == "1 w"
    garch = {row.label: row for row in by[ModelId("garch-n")].rows}
    assert garch["1 w"].p_better > 0.05
    assert garch["1 w"].p_worse > 0.05
    assert garch["1 d"].noise is not None
    assert garch["1 d"].noise.at_once > 0.2  # half of a day's step goes at the next


def test_the_ordinary_population_on_recorded_bitcoin(recorded_data: Path) -> None:
    panel = build_risk_panel({"BTC": bitcoin(recorded_data)}, ordinary_risk_models())
    daily = Propagation(every=24, lag_grid=(1, 2, 3)).fit(panel).result_
    blind = Propagation(every=24, lag_grid=(1, 2, 3), market=False).fit(panel).result_
    # Slow answers to the same news look like following until the news is taken out.
    assert not daily.rejects
    assert blind.rejects
    assert {link.sender for link in blind.links} == {"ewma-0.97"}
    assert not TailPropagation(every=24).fit(panel).result_.rejects
    steps = RecalibrationSynchrony().fit(panel_revisions(panel, every=24)).result_
    assert steps.raw > steps.correlation > 0.1
    assert steps.rejects
    herding = Herding(every=24).fit(panel).result_
    assert not any(m.herds for m in herding.models)
    assert herding.outcomes < 0 < 0.05 - herding.p_outcomes
    cycle = Procyclicality().fit(panel).result_
    assert cycle.crowd_excess.high < 0  # sluggish, not exaggerating
    assert all(m.up > m.down for m in cycle.models)
