"""Calibration over a series of snapshots: shapes, warm starts, bounds, failures kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.result import FailureReason
from commonmode.market.chain import QuoteFlag
from commonmode.pricing import calibrate_series, parameter_path, svi_total_variance

KINDS = ("essvi", "sabr", "ssvi", "svi")
STEP_MS = 300_000


@pytest.fixture(scope="module")
def chains(make_chain):
    """Four snapshots five minutes apart, with a little noise; the last lacks an expiry."""
    rng = np.random.default_rng(5)
    base = make_chain(half_spread=0.01)
    found = []
    for i in range(4):
        noise = 0.002 * rng.standard_normal(len(base))
        found.append(
            replace(
                base,
                time_ms=base.time_ms + i * STEP_MS,
                quote_ms=base.quote_ms + i * STEP_MS,
                bid_iv=base.bid_iv + noise,
                ask_iv=base.ask_iv + noise,
            )
        )
    found[-1] = found[-1].select(found[-1].expiry_ms != base.expiry_ms[60])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_paths(kind, chains):
    series = calibrate_series(chains, kind=kind)
    s, e, p = series.parameters.shape
    assert (s, e) == (4, 5)
    assert p == len(series.names)
    assert np.isnan(series.parameters[3, 1]).all()
    rest = np.ones((4, 5), bool)
    rest[3, 1] = False
    assert series.converged[rest].all()
    assert np.isfinite(series.standard_error[rest]).all()
    assert np.isfinite(series.condition[rest]).all()
    assert (series.quotes[rest] >= 20).all()
    assert series.failures == {}
    assert series.share_inside > (0.99 if kind == "svi" else 0.3)
    path = parameter_path(series.parameters[:, 2], series.standard_error[:, 2], names=series.names)
    assert (path.steps == 3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_start_changes_the_time_and_not_the_answer(kind, chains):
    warm, cold = (calibrate_series(chains, kind=kind, warm=w) for w in (True, False))
    np.testing.assert_allclose(warm.rmse, cold.rmse, rtol=1e-4)
    np.testing.assert_allclose(warm.parameters, cold.parameters, rtol=2e-2, atol=2e-3)


def test_lone_sides_bound_the_wings(chains):
    """The far calls lose their ask and bid far above what the smile inside suggests."""
    chain = chains[0]
    far = chain.log_moneyness > 0.8 * np.max(chain.log_moneyness)
    high = np.where(far, chain.bid_iv + 0.3, chain.bid_iv)
    flags = np.where(far, chain.flags | int(QuoteFlag.NO_ASK), chain.flags)
    lone = replace(chain, bid_iv=high, ask_iv=np.where(far, np.nan, chain.ask_iv), flags=flags)
    last = [calibrate_series([lone], kind="svi", one_sided=one).parameters[0, -1]
            for one in (False, True)]  # fmt: skip
    k = float(np.max(chain.log_moneyness))
    without, bound = (svi_total_variance(k, *x) for x in last)
    assert bound > 1.2 * without
    calm = replace(lone, bid_iv=np.where(far, chain.bid_iv - 0.1, chain.bid_iv))
    same = calibrate_series([calm], kind="svi", one_sided=True).parameters[0, -1]
    assert svi_total_variance(k, *same) == pytest.approx(without, rel=1e-3)


def test_what_fails_is_named(chains):
    empty = chains[1].select(np.zeros(len(chains[1]), bool))
    thin = chains[2].select((chains[2].expiry_ms != chains[2].expiry_ms[0])
                            | (np.arange(len(chains[2])) < 6))  # fmt: skip
    series = calibrate_series([chains[0], empty, thin], kind="sabr")
    assert series.failures[empty.time_ms, -1].reason is FailureReason.MISSING_DATA
    assert (thin.time_ms, int(chains[2].expiry_ms[0])) in series.failures
    assert np.isnan(series.parameters[1]).all()
    assert np.isfinite(series.parameters[2, 1:]).all()
    nothing = calibrate_series([empty], kind="svi")
    assert nothing.parameters.shape == (1, 0, 5)
    with pytest.raises(DataError):
        calibrate_series([], kind="svi")
    with pytest.raises(ConfigurationError, match="vasicek"):
        calibrate_series(chains, kind="vasicek")
    with pytest.raises(ConfigurationError, match="one-sided"):
        calibrate_series(chains, kind="essvi", one_sided=True)
