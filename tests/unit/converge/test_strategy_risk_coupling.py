"""Strategies against risk models: what is planted is found, what only the market does is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.comovement import EffectiveNumber
from commonmode.converge.strategies import StrategyRiskCoupling
from commonmode.converge.strategy_words import strategy_findings
from commonmode.core.errors import DataError, PanelError
from commonmode.core.ids import ModelId
from commonmode.core.result import Failure, FailureReason
from commonmode.core.units import HOUR_MS
from commonmode.forecast.strategies import MarketMaker, Trend, VolTarget, ordinary_strategies
from commonmode.panel.error_panel import PanelKind
from commonmode.panel.signals import build_signal_panel, walk_signals
from simulated_bars import make_history
from strategy_worlds import selling_world as world


def fit(seed: int, **kwargs):
    options = {"lags": 2, "market_lags": 2, "flips": 399}
    return StrategyRiskCoupling(**options, rng=seed).fit(*world(seed, **kwargs)).result_


@pytest.mark.parametrize("missing", [0.0, 0.02])
def test_market_alone_gives_false_alarms_at_the_stated_rate(missing: float) -> None:
    worlds = 80
    rejects = [bool(fit(seed, missing=missing).found) for seed in range(worlds)]
    assert np.mean(rejects) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "worlds"), [(1500, 400), (6000, 150)])
def test_size_over_many_worlds(rows: int, worlds: int) -> None:
    rejects = [bool(fit(seed, rows=rows, missing=0.01).found) for seed in range(worlds)]
    assert np.mean(rejects) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


@pytest.mark.parametrize("lag", [0, 2])
def test_a_planted_link_is_found_at_its_lag(lag: int) -> None:
    found = []
    for seed in range(20):
        best = fit(seed, link=0.2, lag=lag).couplings[0]
        found.append((best.strategy, best.risk_model, best.lag) == ("vault", "ewma", lag))
        assert best.p_adjusted <= 0.05 or not found[-1]
    assert np.mean(found) >= 0.9


def test_the_stated_detectable_correlation_is_found_four_times_in_five() -> None:
    size = np.median([fit(seed).couplings[0].detectable for seed in range(10)])
    hits = [
        any((c.strategy, c.risk_model) == ("vault", "ewma") for c in fit(seed, link=size).found)
        for seed in range(60)
    ]
    assert 0.6 <= np.mean(hits) <= 0.95


def test_the_sentence_tells_move_money_and_remedy() -> None:
    signals, risk = world(1, link=0.4)
    priced = (
        replace(signals, exposure_usd=np.full(3, 2e8)),
        replace(risk, exposure_usd=np.full(2, 1e9)),
    )
    result = StrategyRiskCoupling(lags=1, market_lags=1, flips=399).fit(*priced).result_
    first = strategy_findings(result)[0]
    assert "ewma cuts when vault sells" in first.sentence
    assert "$" in first.sentence
    assert "What to do" in first.sentence
    best = result.couplings[0]
    assert best.cut > best.cut_given_move > 0
    assert best.sold_usd > 0
    assert best.cut_usd > 0
    assert result.together.shape == (3, 2, 3)
    assert best.interval[0] < best.given_move < best.interval[1]
    assert f"of {len(result.couplings)} pairs" in result.sentence
    assert "vault and ewma" in result.sentence
    unpriced = StrategyRiskCoupling(lags=1, market_lags=1, flips=399).fit(signals, risk).result_
    assert not unpriced.priced
    assert "$" not in strategy_findings(unpriced)[0].sentence


def test_the_market_shows_as_the_market() -> None:
    result = fit(3)
    pair = {(c.strategy, c.risk_model): c for c in result.couplings}["vault", "hs"]
    # Both react to the size of a move.
    assert pair.p_together <= 0.05
    assert pair.together > 0.05
    assert pair in result.through_the_move
    assert any("because the price moved" in f.sentence for f in strategy_findings(result))


def test_panels_of_other_kinds_or_clocks_are_refused() -> None:
    signals, risk = world(0)
    with pytest.raises(PanelError, match="panel of signals"):
        StrategyRiskCoupling().fit(risk, risk)
    with pytest.raises(PanelError, match="horizon of one bar"):
        StrategyRiskCoupling().fit(signals, replace(risk, horizon_ms=24 * HOUR_MS))
    short = world(0, rows=200)
    with pytest.raises(DataError, match="too few"):
        StrategyRiskCoupling().fit(*short)


def bars(n: int = 1600):
    history = make_history(n, 4)
    funding = 1e-4 * (1.0 + np.sin(np.arange(n) / 100))
    return replace(history, columns={**history.columns, "funding": funding})


def test_signal_panel_walks_forward_without_looking_ahead() -> None:
    history = bars()
    panel = build_signal_panel({"BTC": history}, ordinary_strategies())
    assert panel.kind is PanelKind.SIGNAL
    assert panel.benchmark_a is None
    assert np.isfinite(panel.forecast).all()
    assert np.abs(panel.forecast).max() <= 1.0
    assert np.nanmax(np.abs(panel.outcome)) <= 1.0
    cut = 1400
    changed = {
        name: np.concatenate([c[:cut], 1.5 * c[cut:][::-1]]) for name, c in history.columns.items()
    }
    other = build_signal_panel({"BTC": replace(history, columns=changed)}, ordinary_strategies())
    known = panel.times_ms <= history.times_ms[cut - 1]
    np.testing.assert_array_equal(panel.forecast[known], other.forecast[known])


def test_a_signal_does_not_depend_on_which_others_are_walked() -> None:
    history, model = bars(), MarketMaker()
    whole, _ = walk_signals(model, history, np.arange(1000, 1500))
    some, _ = walk_signals(model, history, np.arange(1000, 1500)[::24])
    np.testing.assert_array_equal(whole[::24], some)
    with pytest.raises(DataError, match="begin later"):
        walk_signals(model, history, np.arange(999, 1500))


def test_hours_without_funding_are_failed_cells_of_the_carry_trade_alone() -> None:
    history = bars()
    funding = history.column("funding").copy()
    funding[1100:1300] = np.nan
    broken = replace(history, columns={**history.columns, "funding": funding})
    panel = build_signal_panel({"BTC": broken}, ordinary_strategies())
    missing = np.isnan(panel.forecast[:, 0])
    place = panel.models.index("basis-carry-72h")
    # 200 hours are lost, of which the first 71 still have some funding in their average.
    assert missing.sum(axis=0).tolist() == [129 if i == place else 0 for i in range(6)]
    assert sum(failure.count for failure in panel.failures) == 129


def test_a_strategy_without_its_feed_is_failed_cells_not_a_dead_panel() -> None:
    history = make_history(1200, 4)
    panel = build_signal_panel({"BTC": history}, ordinary_strategies(), name="mine")
    lost = [
        m for m, n in zip(panel.models, np.isnan(panel.forecast).all(axis=(0, 1)), strict=True) if n
    ]
    assert lost == ["basis-carry-72h"]
    (failure,) = panel.failures
    assert failure.count == len(panel.times_ms)
    assert isinstance(failure.failure, Failure)
    assert failure.failure.reason is FailureReason.CALCULATION_FAILED
    with pytest.raises(DataError, match="remedy:"):
        build_signal_panel({"BTC": history}, [Trend()], train=500)


def test_twins_among_strategies_are_told_by_contrasts_without_a_benchmark() -> None:
    models = (
        Trend(lookback=168),
        Trend(lookback=160, id=ModelId("another desk's trend")),
        MarketMaker(),
        VolTarget(),
        ordinary_strategies()[0],
    )
    panel = build_signal_panel({"BTC": bars(4000)}, models)
    result = EffectiveNumber(flips=399).fit(panel).result_
    assert not result.benchmarked
    assert any(set(c.group.members) == {"trend-168h", "another desk's trend"} for c in result.found)
