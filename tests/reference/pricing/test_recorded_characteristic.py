"""Models by characteristic function on recorded chains: all expiries fitted, no vol missing."""

from __future__ import annotations

import numpy as np
import pytest

from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.core.ids import CurrencyCode
from commonmode.pricing import SURFACE_MODELS
from commonmode.pricing.fourier import CfSurface

pytestmark = pytest.mark.recorded

KINDS = ("heston", "bates", "merton", "kou", "variance-gamma")


@pytest.fixture(scope="module")
def fits(recorded_data):
    """Chains of three recorded times with the fits of all five models."""
    feed = DeribitOptionsFeed(recorded_data)
    times = feed.snapshot_times("2023-04-12T12:00Z", "2023-04-13T20:00Z", 60, ("BTC",))
    out = []
    for snapshot in feed.snapshots(times[:: len(times) // 3][:3], ("BTC",)):
        chain = snapshot.chains[CurrencyCode("BTC")]
        out.append((chain, {k: SURFACE_MODELS[k](id=k).calibrate(chain).value for k in KINDS}))
    return out


def test_every_expiry_is_fitted(fits):
    for _, surfaces in fits:
        for surface in surfaces.values():
            assert isinstance(surface, CfSurface)
            assert surface.fit.converged.all()
            assert np.all(np.isfinite(surface.rmse))
            assert not surface.slice_failures
            assert np.all(surface.parameters["condition"] > 1)


def test_every_quote_has_a_vol(fits):
    for chain, surfaces in fits:
        rows = chain.usable
        for surface in surfaces.values():
            vol = surface.implied_vol(
                chain.strike[rows], chain.years[rows], chain.forward[rows], chain.expiry_ms[rows]
            )
            assert np.all(vol > 0)


def test_more_freedom_fits_better(fits):
    """Jumps beside the stochastic variance, and a law for each expiry."""
    for _, surfaces in fits:
        rmse = {k: float(np.sqrt(np.mean(s.rmse**2))) for k, s in surfaces.items()}
        assert rmse["bates"] < rmse["heston"] < 0.05
        assert rmse["kou"] < rmse["merton"] < rmse["heston"]
        assert rmse["kou"] < 0.01


def test_fitted_vols_are_those_of_the_surface(fits):
    """The error table comes from the search's own prices; the surface computes anew."""
    for chain, surfaces in fits:
        near = chain.usable & (np.abs(chain.log_moneyness) < 0.5 * np.sqrt(chain.years))
        rows = near & ((chain.sign > 0) == (chain.strike > chain.forward))
        for kind, surface in surfaces.items():
            at, found = surface.slices.locate(chain.expiry_ms[rows])
            vol = surface.implied_vol(
                chain.strike[rows], chain.years[rows], chain.forward[rows], chain.expiry_ms[rows]
            )
            miss = np.abs(vol - chain.mark_iv[rows])
            worst = surface.rmse[at] * 8 + 1e-3
            assert found.all()
            assert np.mean(miss < worst) > 0.97, kind
