"""Named bias statistics: closed forms, size and power."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonmode.core.errors import DataError
from commonmode.stats.bias import (
    coibion_gorodnichenko,
    herding_statistic,
    implied_level,
    mincer_zarnowitz,
    quantile_identification,
    quantile_mincer_zarnowitz,
    value_identification,
    volatility_identification,
    volatility_mincer_zarnowitz,
)
from commonmode.stats.hac import hac_regression
from commonmode.stats.moments import (
    block_instrumented,
    block_means,
    block_slopes,
    unbiased_products,
)
from commonmode.stats.regimes import expanding_rank, trailing_volatility


def ar1(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    x = np.empty(n)
    x[0] = rng.standard_normal() / np.sqrt(1 - phi**2)
    for t in range(1, n):
        x[t] = phi * x[t - 1] + rng.standard_normal()
    return x


def test_hac_coefficients_are_least_squares_and_errors_grow_with_memory() -> None:
    rng = np.random.default_rng(0)
    x = ar1(rng, 800, 0.8)
    slow, fast = ar1(rng, 800, 0.8), rng.standard_normal(800)
    expected = np.polynomial.polynomial.polyfit(x, 1 + 2 * x + slow, 1)
    fitted = hac_regression(1 + 2 * x + slow, x)
    assert fitted.coefficient == pytest.approx(expected, rel=1e-10)
    classical = np.sqrt(slow.var() / (800 * x.var()))
    assert fitted.standard_error[1] > 1.4 * classical
    white = hac_regression(1 + 2 * x + fast, x)
    assert white.standard_error[1] == pytest.approx(np.sqrt(1 / (800 * x.var())), rel=0.3)


def test_hac_size_with_memory() -> None:
    rejected = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        fit = hac_regression(ar1(rng, 400, 0.5), ar1(rng, 400, 0.5))
        rejected.append(fit.p_value()[1] < 0.05)
    assert 0.025 < np.mean(rejected) < 0.09  # 300 draws: 5 % within three standard errors


def test_mincer_zarnowitz_of_a_mean() -> None:
    rejected = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        f = ar1(rng, 500, 0.6)
        rejected.append(mincer_zarnowitz(f + rng.standard_normal(500), f).joint_p_value < 0.05)
    assert 0.01 <= np.mean(rejected) <= 0.10
    f = ar1(rng, 1500, 0.6)
    loud = mincer_zarnowitz(0.5 * f + rng.standard_normal(1500), f)
    assert loud.joint_p_value < 1e-6
    assert loud.regression.coefficient[1] == pytest.approx(0.5, abs=0.1)


def test_noise_of_realised_volatility_moves_the_log_intercept_only() -> None:
    """A right forecast of volatility passes the slope and the squared test, not the intercept's."""
    rng = np.random.default_rng(2)
    f = np.exp(0.5 * ar1(rng, 6000, 0.8))
    realised = np.abs(f * rng.standard_normal(6000))
    test = volatility_mincer_zarnowitz(realised, f)
    assert not test.intercept_identified
    assert test.regression.coefficient[0] == pytest.approx(-0.635, abs=0.06)  # E log|z|
    assert test.slope_p_value > 0.01
    assert abs(volatility_identification(realised, f).mean()) < 0.08
    assert volatility_mincer_zarnowitz(realised, f**2).joint_p_value < 1e-9


def test_quantile_version_finds_level_and_slope() -> None:
    rng = np.random.default_rng(3)
    sd = np.exp(0.5 * ar1(rng, 4000, 0.9))
    y = sd * rng.standard_normal(4000)
    right = quantile_mincer_zarnowitz(y, -1.645 * sd, 0.05)
    assert right.joint_p_value > 0.01
    shallow = quantile_mincer_zarnowitz(y, -1.2 * sd, 0.05)
    assert shallow.regression.coefficient[0] == pytest.approx(0.1151 / 0.05 - 1, abs=0.35)
    flat = quantile_mincer_zarnowitz(y, -1.645 * np.sqrt(sd), 0.05)
    assert flat.slope_p_value < 0.001
    assert flat.regression.coefficient[1] > 0


def test_coibion_gorodnichenko_sees_sticky_forecasts() -> None:
    """A forecast that keeps weight w on its past has slope w / (1 - w) (equation 5)."""
    rng = np.random.default_rng(4)
    full = np.zeros(20_000)  # the full-information forecast: a martingale in revisions
    sticky = np.zeros(20_000)
    shocks = rng.standard_normal(20_000)
    for t in range(1, 20_000):
        full[t] = full[t - 1] + shocks[t]
        sticky[t] = 0.4 * sticky[t - 1] + 0.6 * full[t]
    outcome = full + rng.standard_normal(20_000)
    fit = coibion_gorodnichenko(outcome - sticky, np.diff(sticky, prepend=np.nan))
    assert fit.coefficient[1] == pytest.approx(0.4 / 0.6, abs=0.06)


def test_identification_functions_are_zero_in_the_mean_and_keep_gaps() -> None:
    y = np.array([-3.0, 0.0, 1.0, np.nan])
    v = quantile_identification(y, np.full(4, -2.0), 0.25)
    assert v[:3].tolist() == [3.0, -1.0, -1.0]
    assert np.isnan(v[3])
    assert value_identification(np.array([2.0]), np.array([1.0]), np.array([4.0]))[0] == 0.25
    assert implied_level(y, np.zeros(4)) == pytest.approx(1 / 3)


def test_herding_statistic_of_three_forecasters() -> None:
    rng = np.random.default_rng(5)
    n = 20_000
    private = rng.standard_normal(n)
    outcome = private + rng.standard_normal(n)
    consensus = np.zeros(n)
    honest = herding_statistic(outcome, private, consensus)
    assert honest.statistic == pytest.approx(0.5, abs=3 * honest.standard_error)
    assert herding_statistic(outcome, 0.5 * private, consensus).statistic < 0.45
    assert herding_statistic(outcome, 1.5 * private, consensus).p_value < 1e-6
    tail = herding_statistic(outcome, private - 1.645, consensus - 1.645, level=0.05)
    assert tail.statistic == pytest.approx(0.5, abs=4 * tail.standard_error)
    with pytest.raises(DataError, match="below the consensus"):
        herding_statistic(outcome, np.ones(n), consensus)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(0, 5))
def test_a_rank_looks_at_nothing_later(values: list[float], warmup: int) -> None:
    x = np.array(values)
    rank = expanding_rank(x, warmup=warmup)
    half = len(x) // 2 + 1
    assert np.array_equal(rank[:half], expanding_rank(x[:half], warmup=warmup), equal_nan=True)
    known = rank[np.isfinite(rank)]
    assert np.all((known > 0) & (known < 1))


def test_trailing_volatility_knows_outcomes_only_after_their_horizon() -> None:
    y = np.zeros(50)
    y[10] = 1.0
    volatility = trailing_volatility(y, 3)
    assert volatility[12] == 0.0
    assert volatility[13] > 0.0


def test_block_sums_are_the_least_squares_estimates() -> None:
    rng = np.random.default_rng(6)
    v, z = rng.standard_normal((200, 1, 3)), rng.standard_normal((200, 1, 3))
    v[:20, 0, 1] = np.nan
    edges = np.linspace(0, 200, 9).astype(np.int64)
    means, slopes = block_means(v, edges), block_slopes(v, z, edges, per_sd=False)
    for i in range(3):
        use = np.isfinite(v[:, 0, i])
        assert means.estimate[i] == pytest.approx(v[use, 0, i].mean())
        line = np.polynomial.polynomial.polyfit(z[use, 0, i], v[use, 0, i], 1)
        assert slopes.estimate[i] == pytest.approx(line[1])
    assert means.contributions.sum(axis=0) == pytest.approx(means.estimate)
    assert slopes.leverage.sum(axis=0) == pytest.approx(np.ones(3))
    assert slopes.influence.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    rowwise = block_slopes(v, z, np.arange(201), per_sd=False).over(edges)
    assert rowwise.contributions == pytest.approx(slopes.contributions)
    assert rowwise.standard_error == pytest.approx(slopes.standard_error)
    assert rowwise.degrees == pytest.approx(slopes.degrees)
    constant = block_slopes(v, np.full_like(v, 1.7), edges)
    assert np.isnan(constant.estimate).all()


def test_instruments_undo_noise_in_the_regressors() -> None:
    rng = np.random.default_rng(7)
    n = 20_000
    x, w = rng.standard_normal((2, n))
    w = 0.6 * x + w
    y = 0.5 * x - 0.8 * w + rng.standard_normal(n)
    noisy = [q + rng.standard_normal(n) for q in (x, w, x, w)]
    edges = np.linspace(0, n, 21).astype(np.int64)
    shaped = [q[:, None, None] for q in (y, *noisy)]
    found = block_instrumented(*shaped, edges)
    assert found.estimate[0] == pytest.approx(0.5, abs=4 * found.standard_error[0])
    assert found.contributions.sum() == pytest.approx(found.estimate[0])
    naive = block_slopes(shaped[0], shaped[1], edges, per_sd=False)
    assert abs(naive.estimate[0] - 0.5) > 0.2


def test_products_of_different_blocks_hold_no_shared_error() -> None:
    """Two models without any bias whose errors are the same: their patterns are not alike."""
    values = []
    for seed in range(400):
        error = np.random.default_rng(seed).standard_normal((1, 20, 1))
        values.append(unbiased_products(np.concatenate([error, error], axis=2))[0, 1])
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    with_bias = unbiased_products(np.full((1, 20, 2), 0.5))
    assert with_bias[0, 1] == pytest.approx(100.0)  # ten times ten
