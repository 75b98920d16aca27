"""Each risk model against an independent computation of the same number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.univariate import GARCH, Normal, StudentsT, ZeroMean
from scipy import integrate
from scipy.stats import norm, t

from commonmode.core.result import Success
from commonmode.forecast import (
    Ewma,
    FilteredHistoricalSimulation,
    Garch,
    GarchParameters,
    HistoricalSimulation,
)
from commonmode.forecast.filtered_historical import simulate_sums
from commonmode.forecast.garch import FittedGarch
from commonmode.forecast.garch_filter import garch_variance, total_variance
from commonmode.forecast.tails import student_tail
from commonmode.market.history import History
from simulated_bars import STEP, make_history


def fitted(model, history):
    result = model.calibrate(history)
    assert isinstance(result, Success), result
    return result.value


@pytest.mark.parametrize("horizon", [1, 24])
def test_historical_simulation_is_numpys_quantile(horizon: int) -> None:
    history = make_history(400, 1)
    logs = np.log(history.column("close"))
    origins = np.array([250, 311, 399])
    made = fitted(HistoricalSimulation(window=200), history).forecast(
        history, origins, horizon=horizon, level=0.025
    )
    for i, row in enumerate(origins):
        window = logs[row - 200 : row + 1]
        sums = window[horizon:] - window[:-horizon]
        quantile = np.quantile(sums, 0.025)
        assert made.quantile[i] == pytest.approx(quantile, rel=1e-13)
        assert made.shortfall[i] == pytest.approx(sums[sums <= quantile].mean(), rel=1e-12)
        assert made.vol[i] == pytest.approx(np.std(sums, ddof=1), rel=1e-12)


def test_historical_simulation_leaves_out_returns_over_a_gap() -> None:
    whole = make_history(401, 2)
    keep = np.ones(401, dtype=bool)
    keep[350] = False
    history = History(
        whole.instrument,
        STEP,
        whole.times_ms[keep],
        {k: v[keep] for k, v in whole.columns.items()},
    )
    made = fitted(HistoricalSimulation(window=200), history).forecast(
        history, np.array([399]), horizon=1, level=0.025
    )
    window = history.log_returns[200:400]
    assert np.isnan(window).sum() == 1
    assert made.quantile[0] == pytest.approx(np.nanquantile(window, 0.025), rel=1e-13)


def test_ewma_is_the_weighted_sum() -> None:
    history = make_history(700, 3)
    model = Ewma(decay=0.97, window=500)
    made = fitted(model, history.until(600)).forecast(
        history, np.array([650]), horizon=24, level=0.025
    )
    returns = history.log_returns[101:651]
    start = np.mean(history.log_returns[101:601] ** 2)
    weights = 0.03 * 0.97 ** np.arange(len(returns))[::-1]
    variance = np.sum(weights * returns**2) + 0.97 ** len(returns) * start
    assert made.vol[0] == pytest.approx(math.sqrt(24 * variance), rel=1e-12)
    assert made.quantile[0] == pytest.approx(norm.ppf(0.025) * made.vol[0], rel=1e-12)


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("innovations", ["normal", "student"])
def test_garch_filter_and_horizon_are_archs(asymmetric: bool, innovations: str) -> None:
    history = make_history(1001, 4)
    model = Garch(asymmetric=asymmetric, innovations=innovations, window=1000)
    fit = fitted(model, history)
    assert isinstance(fit, FittedGarch)
    p = fit.estimate.parameters
    returns = history.log_returns[1:]
    unit = np.std(returns)
    volatility = GARCH(p=1, o=int(asymmetric), q=1)
    distribution = Normal() if innovations == "normal" else StudentsT()
    theirs = ZeroMean(returns / unit, rescale=False)
    theirs.volatility, theirs.distribution = volatility, distribution
    values = [p.omega / unit**2, p.alpha, *([p.gamma] if asymmetric else []), p.beta]
    values += [p.dof] if innovations == "student" else []
    fixed = theirs.fix(values)
    ours = garch_variance(returns, p, fit.estimate.backcast)
    # arch.fix backcasts by itself; the start is forgotten at the rate beta.
    assert np.sqrt(ours[:-1])[300:] == pytest.approx(
        fixed.conditional_volatility[300:] * unit, rel=1e-9
    )
    free = ZeroMean(returns / unit, rescale=False)
    free.volatility, free.distribution = GARCH(p=1, o=int(asymmetric), q=1), distribution
    best = free.fit(disp="off", show_warning=False)
    assert fit.estimate.log_likelihood == pytest.approx(
        best.loglikelihood - len(returns) * math.log(unit), abs=1e-3
    )
    ahead = fixed.forecast(horizon=24, reindex=False).variance.to_numpy()[-1] * unit**2
    assert total_variance(ours[-1:], p, 24)[0] == pytest.approx(ahead.sum(), rel=1e-9)
    made = fit.forecast(history, np.array([1000]), horizon=24, level=0.025)
    assert made.vol[0] == pytest.approx(math.sqrt(ahead.sum()), rel=1e-9)


def test_student_tail_is_the_integral() -> None:
    dof, level = 4.5, 0.025
    unit = math.sqrt((dof - 2) / dof)
    tail = student_tail(level, dof)
    assert t.cdf(tail.quantile / unit, dof) == pytest.approx(level, rel=1e-12)
    mean, _ = integrate.quad(lambda x: x * t.pdf(x, dof), -np.inf, tail.quantile / unit)
    assert tail.shortfall == pytest.approx(unit * mean / level, rel=1e-8)


def test_filtered_simulation_has_the_analytic_variance() -> None:
    rng = np.random.default_rng(5)
    residuals = rng.standard_normal(4000)
    residuals = (residuals - residuals.mean()) / residuals.std()
    residuals = np.concatenate([residuals, -residuals])
    p = GarchParameters(omega=1e-6, alpha=0.05, gamma=0.04, beta=0.9)
    sums = simulate_sums(5e-5, p, residuals, horizon=24, paths=200_000, rng=rng)
    expected = float(total_variance(np.array([5e-5]), p, 24)[0])
    # The standard error of a variance from 200 000 draws of kurtosis below 4 is under 0.4 percent.
    assert np.var(sums) == pytest.approx(expected, rel=0.016)


def test_filtered_simulation_shares_the_garch_fit() -> None:
    history = make_history(700, 6)
    garch = fitted(Garch(window=600), history)
    filtered = fitted(FilteredHistoricalSimulation(window=600), history)
    assert filtered.garch == garch
    made = filtered.forecast(history, np.array([699]), horizon=1, level=0.025)
    vol = garch.forecast(history, np.array([699]), horizon=1, level=0.025).vol
    returns = history.log_returns[100:]
    sigma = np.sqrt(garch_variance(returns, garch.estimate.parameters, garch.estimate.backcast))
    assert made.quantile[0] == pytest.approx(
        vol[0] * np.quantile(returns / sigma[:-1], 0.025), rel=1e-12
    )
