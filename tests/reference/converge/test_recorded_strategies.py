"""Recorded hourly BTC 2020-2022 with Binance funding: strategies, and risk models beside them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from commonmode.adapters.feeds.recorded import funding_2020_2022, hourly_history
from commonmode.converge.interventions import CardFault, interventional_graph
from commonmode.converge.strategies import StrategyRiskCoupling
from commonmode.core.ids import ComponentId
from commonmode.core.units import HOUR_MS
from commonmode.forecast import Ewma, HistoricalSimulation
from commonmode.forecast.parts import SPOT_CLOSE
from commonmode.forecast.strategies import ordinary_strategies
from commonmode.market.history import History
from commonmode.panel.intervention_probes import SignalProbe
from commonmode.panel.interventions import Intervention, run_interventions
from commonmode.panel.perturbations import delay, drop, shift
from commonmode.panel.risk import build_risk_panel
from commonmode.panel.signals import build_signal_panel
from commonmode.register.cards import Layer
from commonmode.register.signal_conformance import check_signal_model

pytestmark = pytest.mark.recorded


@cache
def history(root: Path) -> History:
    bars = hourly_history(root, "BTC", "2020-09-20", "2023-01-01")
    paid = funding_2020_2022(root, "binance", "BTC")
    # Stamped up to seconds after the hour: known at the end of that hour's bar.
    row = np.searchsorted(paid.times_ms // HOUR_MS * HOUR_MS, bars.times_ms, side="right") - 1
    funding = np.where(row >= 0, paid.rate_8h[np.maximum(row, 0)], np.nan)
    return replace(bars, columns={**bars.columns, "funding": funding})


def test_strategies_conform_on_recorded_data(recorded_data: Path) -> None:
    for model in ordinary_strategies():
        check_signal_model(model, history(recorded_data).rows(0, 1200))


def test_who_cuts_when_who_sells(recorded_data: Path) -> None:
    bars = history(recorded_data)
    signals = build_signal_panel({"BTC": bars}, ordinary_strategies(), train=2000)
    risk = build_risk_panel(
        {"BTC": bars}, (HistoricalSimulation(window=500), Ewma(decay=0.97)), train=2000
    )
    assert np.isfinite(signals.forecast).all()
    # The hedge of short options follows the trend, and a dealer takes the other side.
    positions = np.corrcoef(signals.forecast[:, 0].T)
    place = {model: i for i, model in enumerate(signals.models)}
    assert positions[place["vol-vault"], place["trend-168h"]] > 0.5
    assert positions[place["vol-vault"], place["market-maker-12h"]] < -0.4
    result = StrategyRiskCoupling(flips=399).fit(signals, risk).result_
    pairs = {(c.strategy, c.risk_model): c for c in result.couplings}
    # One volatility estimator in two places: they sell in the same hour.
    shared = pairs["vol-target-0.97", "ewma-0.97"]
    assert shared.together > 0.6
    assert shared.p_together <= 0.05
    assert shared.cut > 0.05
    # A rolling window and a trend share nothing but the price.
    apart = pairs["trend-168h", "hs-500h"]
    assert apart.p_adjusted > 0.05
    assert apart.together < 0.2


def test_interventions_agree_with_the_cards(recorded_data: Path) -> None:
    bars = history(recorded_data)
    ends = np.linspace(1100, len(bars) - 1, 10).astype(int)
    data = [bars.rows(end - 1050, end + 1) for end in ends]
    prices, funding = ("open", "high", "low", "close"), ("funding",)
    spot, paid = ComponentId(SPOT_CLOSE), ComponentId("binance perpetual funding")
    changes = (
        ("price 100 bp off", spot, shift(prices, 100.0), 100.0, "bp"),
        ("price 1 h late", spot, delay(prices, 1), 1.0, "bars"),
        ("funding gone", paid, drop(funding), 1.0, "feed"),
        ("funding 8 h late", paid, delay(funding, 8), 8.0, "bars"),
    )
    interventions = [
        Intervention(name=n, layer=Layer.DATA, component=c, perturb=p, size=s, unit=u)
        for n, c, p, s, u in changes
    ]
    models = ordinary_strategies()
    responses = run_interventions(models, data, interventions, probe=SignalProbe())
    graph = interventional_graph(responses, [model.card for model in models])
    assert graph.repeatable.all()
    assert graph.disagreements == ()
    carry = graph.models.index("basis-carry-72h")
    np.testing.assert_array_equal(graph.moves[carry], [False, False, True, True])
    lying = [replace(model.card, components=()) for model in models]
    found = interventional_graph(responses, lying).disagreements
    assert {one.fault for one in found} == {CardFault.UNDECLARED}
    assert len(found) == len(models)
