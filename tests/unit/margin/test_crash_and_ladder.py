"""Thresholds in a crash worked out by hand, and a scan range read off a ladder."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from commonmode.core.errors import DataError
from commonmode.margin.backtest.calibration import Ladder, fit_ladder, walk_ladder
from commonmode.margin.backtest.crash import linear_weights, method_crash, threshold_run
from commonmode.margin.backtest.portfolios import Leg, Portfolio
from commonmode.margin.backtest.published import published_methods, with_scan_range
from commonmode.margin.backtest.simple import historical_var, static_haircut, static_haircut_rates

HOUR = 3_600_000
CLOSE = np.array([[100.0], [95.0], [85.0], [80.0]])
LOW = np.array([[99.0], [88.0], [70.0], [79.0]])
HIGH = np.array([[101.0], [101.0], [96.0], [86.0]])
LONG = np.array([[1.0]])


def test_breaches_close_to_close_and_inside_the_hour() -> None:
    # Losses to the close: 5 %, 10.5 %, 5.9 %; to the low: 12 %, 26.3 %, 7.1 %.
    found = method_crash("flat", np.full((4, 1), 0.08), LONG, CLOSE, LOW, HIGH, (2.0,))
    assert (found.breaches, found.breaches_adverse, found.hours) == (1, 2, 3)
    assert found.worst == pytest.approx((10 / 95) / 0.08)
    assert found.shortfall == pytest.approx(10 / 95 - 0.08)
    assert found.shortfall_adverse == pytest.approx(25 / 95 - 0.08)


def test_thresholds_by_hand() -> None:
    # Leverage 5: equity .20, .15, .05, 0 at the closes; asked .08 of .95, .85, .80 notional.
    out = threshold_run(np.full((4, 1), 0.08), LONG, CLOSE, LOW, HIGH, 5.0)
    assert (out.opened, out.hit, out.bankrupt) == (1, 1, 0)
    # Inside hours: .08 at the low of 88 just holds what was asked, -.10 at 70 does not; the
    # account is closed at the worst price of the hour after, 79.
    assert (out.hit_adverse, out.bankrupt_adverse) == (1, 1)
    assert out.shortfall_adverse == pytest.approx(0.01)
    # Leverage 20 has less equity than is asked and is never opened.
    assert threshold_run(np.full((4, 1), 0.08), LONG, CLOSE, LOW, HIGH, 20.0).opened == 0


def test_a_pair_is_asked_once_for_its_two_legs() -> None:
    weights = np.array([[1.0, -1.0]])
    flat = np.ones((3, 2))
    out = threshold_run(np.full((3, 1), 0.3), weights, flat, flat, flat, 5.0)
    assert (out.opened, out.hit) == (1, 0)  # equity 2 / 5, asked 0.3 for the portfolio


def test_options_have_no_surface_in_a_crash() -> None:
    straddle = Portfolio("s", (Leg("BTC", -1.0, "call", 7.0),))
    with pytest.raises(DataError, match="no surface"):
        linear_weights((straddle,), ("BTC",))


def ladder_of(loss: np.ndarray) -> Ladder:
    factors = np.geomspace(0.2, 3.0, 40)
    return Ladder(factors, np.stack([0.5 * f + np.full_like(loss, 0.7) for f in factors]))


def test_ladder_finds_the_normal_quantile() -> None:
    loss = np.random.default_rng(2).standard_normal((20_000, 2))
    found = fit_ladder(ladder_of(loss), loss, 0.02, block=24)
    truth = (norm.ppf(0.98) - 0.7) / 0.5
    assert found.low < truth < found.high
    assert found.value == pytest.approx(truth, rel=0.05)


def test_refitted_ladder_keeps_its_promise_and_does_not_look_ahead() -> None:
    rng = np.random.default_rng(4)
    hours = 24 * 200
    loss = rng.standard_normal((hours, 1))
    times = int(np.datetime64("2022-01-01", "ms").astype(np.int64)) + HOUR * np.arange(hours)
    terms = {
        "level": 0.02,
        "window_ms": 90 * 24 * HOUR,
        "least_ms": 30 * 24 * HOUR,
        "horizon_ms": HOUR,
    }
    walked = walk_ladder(ladder_of(loss), loss, times, **terms)  # type: ignore[arg-type]
    known = np.isfinite(walked.margin)
    assert (loss > walked.margin)[known].mean() == pytest.approx(0.02, abs=0.006)
    later = loss.copy()
    last = int(np.flatnonzero(np.diff(times.astype("datetime64[ms]").astype("datetime64[M]")))[-1])
    later[last + 1 :] = 5.0
    again = walk_ladder(ladder_of(loss), later, times, **terms)  # type: ignore[arg-type]
    np.testing.assert_array_equal(walked.factor, again.factor)


def test_scan_range_of_one_is_the_method_itself() -> None:
    pm2, deribit = published_methods()["pm2"], published_methods()["deribit"]
    assert with_scan_range("deribit", 1.0) == deribit
    for own, same in zip(
        pm2.parameters.scenarios,  # type: ignore[attr-defined]
        with_scan_range("pm2", 1.0).parameters.scenarios,  # type: ignore[attr-defined]
        strict=True,
    ):
        assert own.spot == pytest.approx(same.spot, rel=1e-15)
    with pytest.raises(DataError, match="ascending"):
        Ladder(np.array([1.0, 0.5]), np.ones((2, 3, 1)))


def test_plain_methods() -> None:
    rng = np.random.default_rng(7)
    moves = 0.01 * rng.standard_normal((50_000, 2)) * np.array([1.0, 2.0])
    rates = static_haircut_rates(moves, 0.01)
    np.testing.assert_allclose(rates, np.array([0.01, 0.02]) * norm.ppf(0.99), rtol=0.03)
    pair = Portfolio("pair", (Leg("BTC", 1.0), Leg("ETH", -1.0)))
    held = static_haircut((pair,), rates, 3, ("BTC", "ETH"))
    np.testing.assert_allclose(held, np.full((3, 1), rates.sum()))
    losses = moves[:2_000]
    var = historical_var(losses, np.arange(1_000, 1_100), level=0.01, window=900, every=1)
    np.testing.assert_allclose(var[0], np.quantile(losses[100:1_000], 0.99, axis=0))
    spoiled = losses.copy()
    spoiled[1_099:] = 9.0  # the loss that starts at a row is not known at it
    np.testing.assert_array_equal(
        var, historical_var(spoiled, np.arange(1_000, 1_100), level=0.01, window=900, every=1)
    )
