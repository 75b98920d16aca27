"""All recorded BTC snapshots: eSSVI without arbitrage, shares inside bid-ask, time, stability.

``pytest -m "slow and recorded" -s`` prints the measurements.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest

from commonmode.adapters.feeds.recorded import DeribitOptionsFeed
from commonmode.core.result import Failure
from commonmode.pricing import (
    ArbitrageKind,
    SviRaw,
    black76_price,
    calibrate_series,
    check_slices,
    check_ssvi,
    fit_chain_slices,
    fit_sabr_batch,
    fit_svi_batch,
    hagan_lognormal_vol,
    local_variance,
    parameter_path,
    project_slices,
    recalibration_noise,
    ssvi_total_variance,
    svi_slice,
    svi_total_variance,
)
from commonmode.pricing.slices import ChainSlices, chain_slices

pytestmark = [pytest.mark.recorded, pytest.mark.slow]


@dataclass(frozen=True)
class Day:
    """Selected mid quotes of every snapshot with their bid and ask vols, and the fits."""

    slices: list[ChainSlices]
    band: list[tuple[np.ndarray, np.ndarray]]
    seconds: dict[str, float]
    vols: dict[str, list[np.ndarray]]
    surfaces: list
    svi: list
    sabr: list


def band_of(chain, s):
    """Bid and ask vol of each selected quote, by expiry, strike and out-of-the-money side."""
    key = {
        (e, k, v): (b, a)
        for e, k, v, b, a in zip(
            chain.expiry_ms.tolist(),
            chain.strike.tolist(),
            (0.5 * (chain.bid_iv + chain.ask_iv)).tolist(),
            chain.bid_iv.tolist(),
            chain.ask_iv.tolist(),
            strict=True,
        )
    }
    both = [
        [key[e, k, v] for k, v in zip(strikes, vols, strict=True)]
        for e, strikes, vols in zip(
            s.expiry_ms.tolist(), s.strike.tolist(), s.vol.tolist(), strict=True
        )
    ]
    return tuple(np.moveaxis(np.array(both), -1, 0))


@pytest.fixture(scope="module", params=["BTC", "ETH"])
def day(request, recorded_data):
    pytest.importorskip("numba")
    feed = DeribitOptionsFeed(recorded_data)
    times = feed.snapshot_times("2023-04-12T10:40Z", "2023-04-13T23:55Z", 5)
    slices, band = [], []
    for snapshot in feed.snapshots(times):
        chain = snapshot.chains.get(request.param)
        if chain is None:
            continue
        found = chain_slices(chain, quotes="mid")
        assert not isinstance(found, Failure)
        slices.append(found.value)
        band.append(band_of(chain, found.value))
    seconds, vols = {}, {"svi": [], "sabr": [], "essvi": []}
    fit_chain_slices(slices[0], family="essvi")  # compiles, or loads what was compiled
    start = time.perf_counter()
    surfaces = [fit_chain_slices(s, family="essvi").value for s in slices]
    seconds["essvi"] = time.perf_counter() - start
    for s, fit in zip(slices, surfaces, strict=True):
        x = fit.slices
        w = ssvi_total_variance(s.log_moneyness, x.theta[:, None], x.rho[:, None], x.psi[:, None])
        vols["essvi"].append(np.sqrt(w / s.years[:, None]))

    def svi(s):
        t = s.years[:, None]
        return fit_svi_batch(s.log_moneyness, s.vol**2 * t, s.weight / (2 * s.vol * t) ** 2)

    def hagan(s):
        return fit_sabr_batch(s.forward, s.strike, s.years, s.vol, s.weight)

    svi(slices[0])
    hagan(slices[0])
    start = time.perf_counter()
    raw = [svi(s) for s in slices]
    seconds["svi"] = time.perf_counter() - start
    start = time.perf_counter()
    sabr = [hagan(s) for s in slices]
    seconds["sabr"] = time.perf_counter() - start
    for s, one, two in zip(slices, raw, sabr, strict=True):
        t = s.years[:, None]
        w = svi_total_variance(s.log_moneyness, *one.parameters.T[..., None])
        vols["svi"].append(np.sqrt(w / t))
        alpha, rho, nu = two.parameters.T[..., None]
        vols["sabr"].append(hagan_lognormal_vol(s.forward, s.strike, t, alpha, 1.0, rho, nu))
    return Day(slices, band, seconds, vols, surfaces, raw, sabr)


def test_no_essvi_surface_has_static_arbitrage(day):
    checked = 0
    for s, fit in zip(day.slices, day.surfaces, strict=True):
        k = s.log_moneyness
        quoted = list(zip(k.min(axis=1).tolist(), k.max(axis=1).tolist(), strict=True))
        report = check_ssvi(fit.slices, quoted, between=1)
        assert report.free, report.violations[:3]
        assert fit.converged
        checked += report.points
    assert len(day.surfaces) > 400
    print(f"\n{len(day.surfaces)} eSSVI surfaces, {checked} conditions, no violation")


def test_free_svi_slices_do_admit_arbitrage_and_projection_removes_it(day):
    """Why eSSVI: the better fit of SVI by slice is not a surface. Every twelfth snapshot."""
    kinds = dict.fromkeys(ArbitrageKind, 0)
    some = list(zip(day.slices, day.svi, strict=True))[::12]
    for s, fit in some:
        k = s.log_moneyness
        quoted = list(zip(k.min(axis=1).tolist(), k.max(axis=1).tolist(), strict=True))
        smiles = [svi_slice(SviRaw(*row)) for row in fit.parameters.tolist()]
        for kind in {v.kind for v in check_slices(smiles, quoted).violations}:
            kinds[kind] += 1
        projected = project_slices(s.years, smiles, quoted).value
        assert check_ssvi(projected.slices, quoted).free
    print(f"\nof {len(some)} SVI surfaces with violations:", {k.value: n for k, n in kinds.items()})
    assert sum(kinds.values()) > 0


def test_local_variance_is_positive_on_every_surface(day):
    k, t = np.linspace(-1.0, 1.0, 41)[None, :], np.linspace(0.005, 1.0, 25)[:, None]
    for fit in day.surfaces:
        assert np.all(local_variance(fit.slices, k, t) > 0)


def test_share_of_quotes_fitted_inside_bid_and_ask(day):
    print()
    shares = {}
    for name, fitted in day.vols.items():
        inside, quotes, miss = 0, 0, []
        for s, (bid, ask), vol in zip(day.slices, day.band, fitted, strict=True):
            quoted = s.weight > 0
            inside += int(np.sum(quoted & (vol >= bid) & (vol <= ask)))
            quotes += int(quoted.sum())
            miss.append(s.rmse(vol))
        shares[name] = inside / quotes
        rmse = 100 * np.median(np.concatenate(miss))
        print(f"{name}: {inside} of {quotes} inside ({shares[name]:.1%}), "
              f"median rmse {rmse:.2f} vol points")  # fmt: skip
    # Five parameters a slice against three; the constraints cost little on top.
    assert shares["svi"] > shares["essvi"] > 0.5
    assert shares["sabr"] > 0.5


def test_all_snapshots_are_fitted_in_time(day):
    print()
    for name, seconds in day.seconds.items():
        each = 1e3 * seconds / len(day.slices)
        print(f"{name}: {seconds:.2f} s for {len(day.slices)} snapshots, {each:.3f} ms each")
    assert sum(day.seconds.values()) < 60


@pytest.fixture(scope="module")
def chains(recorded_data):
    """Every recorded BTC chain."""
    feed = DeribitOptionsFeed(recorded_data)
    times = feed.snapshot_times("2023-04-12T10:40Z", "2023-04-13T23:55Z", 5)
    return [s.chains["BTC"] for s in feed.snapshots(times) if "BTC" in s.chains]


@pytest.mark.parametrize("kind", ["svi", "sabr", "ssvi", "essvi"])
def test_parameter_steps_against_their_standard_errors(kind, chains):
    """Every model over every BTC snapshot; statistics of the longest expiry."""
    pytest.importorskip("numba")
    begin = time.perf_counter()
    series = calibrate_series(chains, kind=kind)
    seconds = time.perf_counter() - begin
    assert len(series.time_ms) == 434
    found = parameter_path(
        series.parameters[:, -1], series.standard_error[:, -1], names=series.names
    )
    condition = np.nanmedian(series.condition, axis=0)
    print(
        f"\n{kind}: {seconds:.2f} s with selection, inside {series.share_inside:.1%}, median rmse "
        f"{100 * np.nanmedian(series.rmse):.2f} vol points, failures {len(series.failures)}\n"
        f"  {series.names}: median |z| {np.round(found.median_z, 2)}, noise share "
        f"{np.round(found.noise_share, 2)}, reversal {np.round(found.reversal, 2)}\n"
        f"  median condition by expiry {np.round(condition)}"
    )
    assert np.all(found.steps > 400)
    assert np.all(found.median_z < 2.0)
    assert seconds < 15
    quoted = series.quotes > 0
    assert np.mean(series.converged[quoted]) > 0.99


def test_recalibration_noise_of_a_straddle(chains):
    """A short straddle held over the recording, revalued under eSSVI with old and new fits."""
    pytest.importorskip("numba")
    series = calibrate_series(chains, kind="essvi")
    e = int(np.argmin(np.abs(np.nanmedian(series.years, axis=0) - 44 / 365)))
    expiry = series.expiry_ms[e]
    forward = np.array([np.median(c.forward[c.expiry_ms == expiry]) for c in chains])
    strike = float(np.round(forward[0], -3))

    def value(row, parameters):
        theta, rho, psi = parameters
        w = ssvi_total_variance(np.log(strike / forward[row]), theta, rho, psi)
        vol = np.sqrt(w / series.years[row, e])
        return -sum(
            float(black76_price(forward[row], strike, series.years[row, e], vol, sign=sign))
            for sign in (1, -1)
        )

    x = series.parameters[:, e]
    n = len(x)
    own = np.array([value(row, x[row]) for row in range(n)])
    # The old smile in the new market: theta decays with time, volatility at a moneyness stays.
    shrink = series.years[1:, e] / series.years[:-1, e]
    old = x[:-1] * np.stack([shrink, np.ones(n - 1), shrink], axis=1)
    carried = np.concatenate([[np.nan], [value(row + 1, old[row]) for row in range(n - 1)]])
    slope = np.empty((n, 3))
    for j in range(3):
        h = 1e-4 * np.maximum(np.abs(x[:, j]), 1e-3)
        for row in range(n):
            up, down = x[row].copy(), x[row].copy()
            up[j] += h[row]
            down[j] -= h[row]
            slope[row, j] = (value(row, up) - value(row, down)) / (2 * h[row])
    found = recalibration_noise(own, carried, own, slope, series.covariance[:, e])
    print(f"\n{found}")
    assert found.steps > 400
    assert found.total == pytest.approx(own[-1] - own[0], abs=1e-6 * np.abs(own[0]))
    assert found.absolute_recalibration > 0
    assert 0 < found.share_by_reversal < found.share_of_variance < 1
