"""C5: a planted chain is found with its direction; what only looks like one is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.converge.lagged_views import market_controls
from commonmode.converge.propagation import Propagation
from commonmode.converge.propagation_result import PropagationResult
from commonmode.converge.tail_propagation import TailPropagation
from commonmode.core.errors import ConfigurationError, PanelError, ShortPanelError
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from following_worlds import Kind, following_panel, following_views, pushed_tail


def run(panel: ErrorPanel, **options: object) -> PropagationResult:
    settings = {"flips": 499, "draws": 199, **options}
    return Propagation(**settings).fit(panel).result_  # type: ignore[arg-type]


def links(result: PropagationResult) -> set[tuple[str, str]]:
    return {(link.sender, link.receiver) for link in result.links}


CHAIN = {("model-0", "model-1"), ("model-1", "model-2")}


@pytest.mark.parametrize("lag", [1, 3])
def test_a_chain_is_found_with_its_direction_and_lag(lag: int) -> None:
    panel = following_panel(*following_views("chain", 1, strength=0.25, lag=lag), missing=0.02)
    found = run(panel)
    assert links(found) >= CHAIN
    assert all((b, a) not in links(found) for a, b in links(found))
    assert found.links[0].lag == lag
    assert found.net[0].model == "model-0"
    assert found.net[0].low > 0
    last = found.splits[-1]
    assert last.lagged_interval is not None
    assert 0.05 < last.lagged_interval[0] < last.lagged < last.lagged_interval[1]
    assert "follows" in found.sentence
    assert found.grid.shape == (4, 3)


@pytest.mark.parametrize("kind", ["alone", "shared shocks", "hidden part", "filtered part"])
def test_what_is_shared_is_no_propagation(kind: Kind) -> None:
    rejected = 0
    for seed in range(10):
        views = following_views(kind, 40 + seed, times=3000, noise_memory=0.5, regimes=True)
        rejected += run(following_panel(*views), draws=20).rejects
    assert rejected <= 2  # more have a probability of 1 % at the nominal level


def test_shared_shocks_are_contemporaneous() -> None:
    found = run(following_panel(*following_views("shared shocks", 7)))
    last = found.splits[-1]
    assert last.total > 0.4
    assert last.contemporaneous == pytest.approx(last.total, abs=0.05)
    assert last.lagged_interval is None
    assert "No model is seen to follow" in found.sentence
    assert np.isnan(found.net[0].low)


def test_one_benchmark_for_both_makes_connectedness_of_its_noise() -> None:
    x, y = following_views("alone", 9)
    two, one = run(following_panel(x, y)), run(following_panel(x, x))
    assert two.splits[0].total < 0.05
    assert one.splits[0].total > 0.3


def test_the_minimum_detectable_effect_shrinks_with_the_rows() -> None:
    short, long = (
        run(following_panel(*following_views("alone", 2, times=t))) for t in (1000, 8000)
    )
    assert long.minimum_detectable < 0.6 * short.minimum_detectable


def test_it_does_not_depend_on_the_order_of_models() -> None:
    panel = following_panel(*following_views("chain", 5, times=2000, strength=0.3))
    turned = panel.select_models(tuple(reversed(panel.models)))
    a, b = run(panel), run(turned)
    assert a.splits[-1].total == pytest.approx(b.splits[-1].total, rel=1e-9)
    assert links(a) == links(b)
    np.testing.assert_allclose(a.table, b.table[::-1, ::-1], rtol=1e-8)


def test_without_benchmarks_levels_are_used_and_said_so() -> None:
    panel = following_panel(*following_views("chain", 6, strength=0.3, noise=0.0))
    found = run(replace(panel, benchmark_a=None, benchmark_b=None))
    assert not found.benchmarked
    assert links(found) >= CHAIN


def test_the_market_s_own_volatility_is_taken_out_of_quantiles() -> None:
    rng = np.random.default_rng(3)
    panel = following_panel(*following_views("alone", 3, times=3000))
    level = np.exp(np.cumsum(0.02 * rng.standard_normal((3000, 1)), axis=0))
    # A fast and a slow answer to the same volatility.
    slow = np.exp(np.convolve(np.log(level[:, 0]), np.ones(24) / 24)[:3000])[:, None]
    forecast = -panel.forecast.copy()
    forecast[:, :, 0] *= level
    forecast[:, :, 1] *= slow
    benchmarks = [-b for b in (panel.benchmark_a, panel.benchmark_b) if b is not None]
    quantiles = replace(
        panel, kind=PanelKind.QUANTILE, level=0.025, forecast=forecast, scale=level,
        benchmark_a=benchmarks[0], benchmark_b=benchmarks[1], outcome=-panel.outcome,
    )  # fmt: skip
    assert market_controls(quantiles).shape[2] == 3 + 6
    assert market_controls(panel).shape[2] == 0
    assert run(quantiles).controls == 9
    assert not run(quantiles).rejects


def test_tail_surprises_that_follow_are_found() -> None:
    x, y = following_views("shared shocks", 11, heavy=True, regimes=True)
    quiet = TailPropagation(flips=499).fit(following_panel(x, y)).result_
    assert not quiet.rejects
    assert quiet.same_time_lift > 2
    pushed = following_panel(*pushed_tail(x, y, chance=0.5, seed=11))
    found = TailPropagation(flips=499).fit(pushed).result_
    first = found.links[0]
    assert (first.sender, first.receiver, first.lag) == ("model-0", "model-1", 1)
    assert {link.receiver for link in found.links} == {"model-1"}
    assert found.links[0].lift > 2
    assert "model-1" in found.sentence


def test_twins_count_as_one() -> None:
    x, y = following_views("chain", 1, strength=0.25)
    blur = 0.005 * np.random.default_rng(0).standard_normal(len(x))[:, None]
    twins = [np.column_stack([v, v[:, :1] + blur]) for v in (x, y)]
    found = run(following_panel(*twins))
    assert found.left_out == ("model-6",)
    assert links(found) >= CHAIN
    with pytest.raises(PanelError, match="as one"):
        run(following_panel(*(np.repeat(v[:, :1], 3, axis=1) for v in (x, y))))


def test_noise_that_swamps_the_deviations_is_said_so() -> None:
    found = run(
        following_panel(*following_views("alone", 2, noise=10.0, noise_memory=0.0, times=1500))
    )
    assert found.swamped
    assert np.isnan(found.splits[0].total)
    assert found.minimum_detectable == 1.0
    assert found.blind
    assert "cannot be seen" in found.sentence
    assert "noise swamps" in found.sentence
    assert "so few rows" not in found.sentence
    assert all(np.isnan(one.net) for one in found.net)


def test_coarser_rows_are_advised_only_where_they_help() -> None:
    """Lasting deviations under noise of single rows: every so many rows are no clearer."""
    noisy = following_panel(*following_views("alone", 2, noise=10.0, noise_memory=0.0, times=1500))
    found = run(noisy)
    assert found.swamped
    coarse = run(noisy, every=max(found.clear_every, 2))
    if found.clear_every > 1:
        assert f"--look-every {found.clear_every}" in found.sentence
        assert not coarse.swamped
    else:
        assert found.clear_every == 0
        assert coarse.swamped
        assert "coarser rows would not help" in found.sentence
        assert "coarser rows would not help" in coarse.sentence


def test_every_lag_and_horizon_has_its_parts_and_the_top_net_sender_is_named() -> None:
    found = run(following_panel(*following_views("chain", 1, strength=0.25)))
    assert [[one.horizon for one in row] for row in found.by_lag] == [[1, 6, 24]] * 4
    assert np.allclose([[one.total for one in row] for row in found.by_lag], found.grid)
    for row in found.by_lag:
        for one in row:
            assert one.total == pytest.approx(one.contemporaneous + one.lagged)
            assert one.total_interval[0] < one.total < one.total_interval[1]
            assert one.lagged_interval is not None
    assert found.by_lag[found.lag_grid.index(found.lags)] == found.splits
    assert f"{found.net[0].model} passes on most: " in found.sentence
    assert sum(one.net for one in found.net) == pytest.approx(0.0, abs=1e-9)


def test_a_slow_follower_is_found_on_coarser_rows() -> None:
    x, y = following_views("chain", 4, strength=0.3, lag=3, times=9000)
    found = run(following_panel(x, y), every=3, lag_grid=(1, 2))
    assert links(found) >= CHAIN
    assert found.links[0].lag == 1


def test_bad_questions_are_refused() -> None:
    panel = following_panel(*following_views("alone", 1, times=60))
    with pytest.raises(PanelError):
        Propagation(lag_grid=())
    with pytest.raises(ShortPanelError, match="too few rows"):
        Propagation(lag_grid=(6,)).fit(panel)
    with pytest.raises(ConfigurationError):
        TailPropagation(level=0.7)
    with pytest.raises(ShortPanelError, match="rows in the tail"):
        TailPropagation().fit(panel)
