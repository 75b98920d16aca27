"""The harness of the margin backtest on markets whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.margin.backtest.bootstrap import pooled_scale, scale_interval
from commonmode.margin.backtest.compare import breach_rate, cost_ratio, pooled_rate
from commonmode.margin.backtest.implied import fit_implied_vol, realised_vols
from commonmode.margin.backtest.market_path import MarketPath, moneyness, option_value
from commonmode.margin.backtest.ours import Recipe, components, shortfalls, volatility_before
from commonmode.margin.backtest.portfolios import HOUSE_PORTFOLIOS, Leg, Portfolio
from commonmode.margin.backtest.stacked import ACCOUNT_USD, margin_path, stack
from commonmode.margin.backtest.walk import Settings, controlled, month_starts, walk_forward
from commonmode.margin.dynamic.measure import tail_measure
from commonmode.margin.pm2.method import PM2
from commonmode.margin.pm2.parameters import shipped_parameters
from commonmode.stats.coverage import kupiec

HOUR = 3_600_000
START = int(np.datetime64("2021-01-01", "ms").astype(np.int64))


def a_path(
    hours: int, *, seed: int = 1, vol: float = 0.01, coins: tuple[str, ...] = ("BTC", "ETH")
) -> MarketPath:
    """Normal hourly returns of constant volatility, implied volatility near one half."""
    rng = np.random.default_rng(seed)
    steps = vol * rng.standard_normal((hours, len(coins)))
    price = 100.0 * np.exp(np.cumsum(steps, axis=0))
    implied = 0.5 * np.exp(0.01 * np.cumsum(rng.standard_normal((hours, len(coins))), axis=0) / 10)
    times = START + HOUR * np.arange(hours)
    return MarketPath(coins, times, price, implied, HOUR)


LINEAR = (
    Portfolio("long BTC", (Leg("BTC", 1.0),)),
    Portfolio("short ETH", (Leg("ETH", -1.0),)),
    Portfolio("pair", (Leg("BTC", 1.0), Leg("ETH", -1.0))),
)
OPTIONS = (
    Portfolio("straddle", (Leg("BTC", -1.0, "call", 30.0), Leg("BTC", -1.0, "put", 30.0))),
    Portfolio(
        "hedged",
        (Leg("BTC", -1.0, "call", 7.0, 0.25), Leg("ETH", 1.0, "put", 7.0)),
        hedged=True,
    ),
)


def test_walked_margin_breaches_as_often_as_promised() -> None:
    path = a_path(9_000)
    rows = np.arange(2_000, 9_000)
    losses = -np.expm1(np.roll(path.returns, -1, axis=0))[rows] * np.array([1.0, -1.0])
    losses[-1] = np.nan
    months = month_starts(path.times_ms)
    parts = components(path, LINEAR[:2], Recipe(), rows, months[months >= 2_000])
    walked = walk_forward(
        controlled(parts, Settings(half_lives=(72.0,), stressed_weight=0.0), np.zeros((1, 1))),
        losses,
        path.times_ms[rows],
        level=0.01,
        window_ms=180 * 24 * HOUR,
        least_ms=60 * 24 * HOUR,
        horizon_ms=HOUR,
    )
    judged = np.isfinite(walked.margin)
    hits = int((judged & (losses > walked.margin)).sum())
    assert judged.sum() > 9_000
    assert kupiec(hits, int(judged.sum()), 0.01).p_value > 0.01
    # The truth for normal returns: 2.326 standard deviations; the filter's noise adds a little.
    assert np.nanmean(walked.margin) == pytest.approx(0.02326, rel=0.05)


def test_pooled_rate_has_its_size() -> None:
    """Two portfolios with the same losses, breaches independent over time: 5 % are rejected."""
    rng = np.random.default_rng(3)
    rejected = 0
    for draw in range(200):
        loss = np.repeat(rng.standard_normal((1_500, 1)), 2, axis=1)
        margin = np.full_like(loss, norm.ppf(0.98))
        found = pooled_rate(margin, loss, 0.02, block=24, draws=100, rng=draw)
        rejected += found.p_value < 0.05
    assert 3 <= rejected <= 20


def test_equal_coverage_scale_gives_our_breach_rate() -> None:
    rng = np.random.default_rng(5)
    loss = rng.standard_t(4, size=(4_000, 3))
    ours, theirs = np.full_like(loss, 3.0), np.exp(0.1 * rng.standard_normal(loss.shape))
    ratio, factor = cost_ratio(ours, theirs, loss)
    assert breach_rate(factor * theirs, loss) == pytest.approx(breach_rate(ours, loss), abs=1e-4)
    assert ratio == pytest.approx(ours.mean() / (factor * theirs.mean()))
    # Ours times a number costs the same, but for the gap to the next loss, in the other's favour.
    assert 1.0 <= cost_ratio(ours, 7.5 * ours, loss)[0] < 1.01


def test_scale_interval_covers_the_true_factor() -> None:
    rng = np.random.default_rng(8)
    inside = 0
    for draw in range(60):
        loss = rng.standard_normal((3_000, 1))
        found = scale_interval(np.ones_like(loss), loss, 0.01, block=24, draws=120, rng=draw)
        assert found.low <= found.value * (1 + 1e-12)
        assert found.value <= found.high * (1 + 1e-12)
        inside += found.low <= norm.ppf(0.99) <= found.high
    assert inside >= 50


@pytest.mark.parametrize("portfolios", [LINEAR, OPTIONS], ids=["linear", "options"])
def test_the_future_does_not_change_a_margin(portfolios: tuple[Portfolio, ...]) -> None:
    path = a_path(2_600)
    rows = np.arange(2_000, 2_400, 20)
    months = np.array([1_990])
    changed = replace(path, price=path.price.copy(), vol=path.vol.copy())
    changed.price[2_401:] *= 3.0
    changed.vol[2_401:] *= 2.0
    for margin in (
        lambda p: components(p, portfolios, Recipe(), rows, months).normal,
        lambda p: components(p, portfolios, Recipe(), rows, months).stressed_broken,
        lambda p: margin_path(PM2(shipped_parameters("2025-12-08")), p, portfolios, rows),
    ):
        before = margin(path)
        assert np.isfinite(before).all()
        assert np.array_equal(before, margin(changed))


def test_multiplier_ignores_losses_that_are_not_over_yet() -> None:
    path = a_path(6_000)
    rows = np.arange(len(path))
    base = np.ones((len(path), 1))
    loss = np.abs(path.returns[:, :1])
    starts = month_starts(path.times_ms)
    spiked = loss.copy()
    at = int(starts[3])
    spiked[at - 23 :] = 9.0  # a horizon of a day: known only after the month has begun

    def multiplier(losses: np.ndarray) -> float:
        walked = walk_forward(
            base,
            losses,
            path.times_ms[rows],
            level=0.01,
            window_ms=60 * 24 * HOUR,
            least_ms=60 * 24 * HOUR,
            horizon_ms=24 * HOUR,
        )
        return float(walked.multiplier[walked.starts_ms == path.times_ms[at]][0])

    assert multiplier(loss) == multiplier(spiked)


def test_shortfalls_are_those_of_the_method() -> None:
    losses = np.random.default_rng(2).standard_normal((4, 777))
    own = shortfalls(losses, (0.975, 0.99))
    weights = np.full(777, 1.0 / 777)
    for j, level in enumerate((0.975, 0.99)):
        theirs = tail_measure(-losses, weights, level).shortfall
        np.testing.assert_allclose(own[:, j], theirs, rtol=1e-12)


def test_filter_with_several_memories_averages_variances() -> None:
    returns = 0.01 * np.random.default_rng(4).standard_normal((500, 1))
    each = [volatility_before(returns, (h,), 50) for h in (12.0, 96.0)]
    both = volatility_before(returns, (12.0, 96.0), 50)
    np.testing.assert_allclose(both[50:] ** 2, np.mean([e[50:] ** 2 for e in each], axis=0))
    assert np.isnan(both[:50]).all()


def test_options_are_struck_at_their_delta() -> None:
    vol = np.array([0.6])
    for kind, sign in (("call", 1), ("put", -1)):
        leg = Leg("BTC", 1.0, kind, 30.0, 0.25)  # type: ignore[arg-type]
        strike = np.exp(moneyness(leg, vol))
        up, down = (
            option_value(sign, strike, np.array([x]), vol, 30 / 365) for x in (1 + 1e-5, 1 - 1e-5)
        )
        assert (up - down)[0] / 2e-5 == pytest.approx(sign * 0.25, abs=1e-6)


def test_stacked_times_are_margined_as_single_ones() -> None:
    path = a_path(300)
    method = PM2(shipped_parameters("2025-12-08"))
    method = PM2(replace(method.parameters, underlyings=("BTC", "ETH")))
    rows = np.array([10, 150, 299])
    together = margin_path(method, path, OPTIONS, rows)
    for i, row in enumerate(rows):
        alone, accounts = stack(path, OPTIONS, np.array([row]))
        np.testing.assert_allclose(
            method.margin(accounts, alone).initial / ACCOUNT_USD, together[i], rtol=1e-12
        )
    assert (together > 0).all()


def test_implied_vol_regression_recovers_its_coefficients() -> None:
    rng = np.random.default_rng(6)
    realised = np.exp(rng.normal(-0.5, 0.3, (400, 3)))
    implied = np.exp(0.1 + np.log(realised) @ np.array([0.2, 0.3, 0.1]))
    implied[:5] = np.nan
    model = fit_implied_vol(implied, realised)
    assert model.observations == 395
    np.testing.assert_allclose(model.slopes, (0.2, 0.3, 0.1))
    np.testing.assert_allclose(model.implied_vol(realised)[5:], implied[5:])
    with pytest.raises(DataError, match="rows with implied"):
        fit_implied_vol(implied[:40], realised[:40])


def test_realised_vol_only_looks_back() -> None:
    returns = 0.01 * np.random.default_rng(9).standard_normal(2_000)
    later = returns.copy()
    later[1_500:] *= 5.0
    np.testing.assert_array_equal(
        realised_vols(returns, 24.0)[:1_500], realised_vols(later, 24.0)[:1_500]
    )
    assert np.isnan(realised_vols(returns, 24.0)[:479]).all()
    assert np.isfinite(realised_vols(returns, 24.0)[479:]).all()


def test_pooled_scale_of_nothing_is_nan() -> None:
    empty = np.full((3, 1), np.nan)
    assert np.isnan(pooled_scale(empty, empty, 0.01))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Leg("BTC", 1.0, "call")
    with pytest.raises(ConfigurationError):
        Recipe(least_window=50)
    with pytest.raises(DataError, match="not regular"):
        MarketPath(("BTC",), np.array([0, 5, 7]), np.ones((3, 1)), np.ones((3, 1)), 5)


def test_house_portfolios_are_the_declared_ones() -> None:
    assert sum(not p.has_options for p in HOUSE_PORTFOLIOS) == 18
    assert sum(p.has_options for p in HOUSE_PORTFOLIOS) == 13
    assert len({p.name for p in HOUSE_PORTFOLIOS}) == len(HOUSE_PORTFOLIOS)
