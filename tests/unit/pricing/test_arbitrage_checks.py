"""Static arbitrage is found where it is, sized, and repaired; clean surfaces pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from commonmode.core.errors import DataError
from commonmode.core.result import Failure, FailureReason
from commonmode.pricing import (
    ArbitrageKind,
    SsviSlices,
    SviRaw,
    black76_price,
    butterfly_report,
    check_price_grid,
    check_slices,
    check_ssvi,
    project_slices,
    repair_butterfly,
    repair_call_prices,
    ssvi_slice,
    svi_slice,
)

# Gatheral and Jacquier (2014), example 3.1 (Axel Vogt) and section 5.1.
VOGT = SviRaw(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153)
STRIKES = np.linspace(60.0, 160.0, 41)
YEARS = np.array([0.1, 0.5, 1.0])


def call_grid(vol=0.5):
    forward = np.full((3, 1), 100.0)
    return black76_price(forward, STRIKES[None, :], YEARS[:, None], vol)


def test_vogts_smile_is_located_and_sized():
    report = check_slices([svi_slice(VOGT)], [(-1.5, 1.5)])
    (found,) = report.of(ArbitrageKind.BUTTERFLY)
    reference = butterfly_report(VOGT)
    assert found.worst == pytest.approx(reference.argmin_g, abs=1e-5)
    assert found.size == pytest.approx(-reference.min_g, rel=1e-6)
    assert (found.low, found.high) == pytest.approx(reference.roots_of_g, abs=1e-9)
    assert report.min_g[0] == pytest.approx(reference.min_g, rel=1e-6)
    assert not report.free


def test_a_dip_between_the_nodes_is_found():
    """A sliver of negative g, narrower than the grid is coarse."""

    def smile(sigma):
        return SviRaw(VOGT.a, VOGT.b, VOGT.rho, VOGT.m, sigma)

    edge = brentq(lambda sigma: butterfly_report(smile(sigma)).min_g + 1e-5, 0.42, 0.6)
    reference = butterfly_report(smile(edge))
    width = np.ptp(reference.roots_of_g)
    report = check_slices([svi_slice(smile(edge))], [(-20.0, 20.0)])
    assert width < 0.15  # a node of the grid
    (found,) = report.of(ArbitrageKind.BUTTERFLY)
    assert found.size == pytest.approx(-reference.min_g, rel=1e-3)
    assert check_slices([svi_slice(smile(edge + 0.002))], [(-20.0, 20.0)]).free


def test_crossing_slices_are_calendar_arbitrage():
    early, late = ssvi_slice(0.04, -0.3, 0.3), ssvi_slice(0.05, 0.3, 0.3)
    report = check_slices([early, late], [(-1.0, 1.0)] * 2)
    assert not report.of(ArbitrageKind.BUTTERFLY)
    (found,) = report.of(ArbitrageKind.CALENDAR)
    assert found.row == 1
    assert found.high < 0
    k = np.array([found.worst])
    assert found.size == pytest.approx(float((early(k)[0] - late(k)[0])[0]))
    assert check_slices([early, ssvi_slice(0.09, -0.3, 0.4)], [(-1.0, 1.0)] * 2).free


def test_a_steep_wing_is_vertical_arbitrage():
    steep = SviRaw(0.01, 2.5, 0.0, 0.0, 0.05)
    report = check_slices([svi_slice(steep)], [(-1.0, 1.0)])
    assert report.of(ArbitrageKind.VERTICAL)
    assert report.of(ArbitrageKind.BUTTERFLY)


def test_ssvi_is_checked_between_its_slices_too():
    good = SsviSlices(YEARS, 0.25 * YEARS, np.array([-0.1, -0.2, -0.3]), 0.3 * np.sqrt(YEARS))
    few, many = (check_ssvi(good, between=n) for n in (0, 4))
    assert few.free
    assert many.free
    assert many.points > 3 * few.points
    bad = SsviSlices(YEARS, 0.25 * YEARS, np.array([-0.1, -0.2, 0.9]), np.array([0.1, 0.6, 0.6]))
    assert check_ssvi(bad).of(ArbitrageKind.CALENDAR)
    with pytest.raises(DataError):
        check_slices([ssvi_slice(0.04, 0.0, 0.2)], [])


def test_black_prices_are_free_and_each_break_is_named():
    calls, forward = call_grid(), np.full(3, 100.0)
    assert check_price_grid(STRIKES, calls, forward).free
    breaks = {
        ArbitrageKind.BUTTERFLY: (1, 20, 0.3),
        ArbitrageKind.VERTICAL: (1, 20, 3.0),
        ArbitrageKind.BOUND: (0, 0, -2.0),
        ArbitrageKind.CALENDAR: (0, 20, 20.0),
    }
    for kind, (row, column, move) in breaks.items():
        broken = calls.copy()
        broken[row, column] += move
        found = check_price_grid(STRIKES, broken, forward).of(kind)
        assert found, kind
        if kind in (ArbitrageKind.BUTTERFLY, ArbitrageKind.BOUND):
            assert found[0].worst == STRIKES[column]
    holes = calls.copy()
    holes[1, ::2] = np.nan
    assert check_price_grid(STRIKES, holes, forward).free


def test_discounting_is_taken_out():
    discount = np.exp(-0.3 * YEARS)
    calls = call_grid() * discount[:, None]
    forward = np.full(3, 100.0)
    assert not check_price_grid(STRIKES, calls, forward).free
    assert check_price_grid(STRIKES, calls, forward, discount=discount).free
    with pytest.raises(DataError):
        check_price_grid(STRIKES[::-1], calls, forward)


def test_repair_of_vogts_smile_moves_towards_the_published_ssvi_slice():
    wings = VOGT.jump_wings(1.0)
    assert wings.c == pytest.approx(1.316798, rel=1e-5)
    fixed = repair_butterfly(VOGT, 1.0).value
    assert 0 < fixed.kept < 1
    assert not butterfly_report(fixed.params).arbitrage
    # Published: c' = 0.3493158 and v' = 0.01548182, the end of the way; level and skew stay.
    assert 0.3493158 < fixed.wings.c < wings.c
    assert wings.v_tilde < fixed.wings.v_tilde < 0.01548182
    share = (fixed.wings.c - 0.3493158) / (wings.c - 0.3493158)
    assert share == pytest.approx(fixed.kept, abs=1e-5)
    assert fixed.params.total_variance(0.0) == pytest.approx(VOGT.total_variance(0.0), rel=1e-9)
    assert fixed.largest_move > 0


def test_a_clean_slice_is_left_alone_and_a_hopeless_one_is_a_failure():
    clean = SviRaw(0.01, 0.1, -0.2, 0.0, 0.2)
    same = repair_butterfly(clean, 0.5).value
    assert same.params == clean
    assert (same.kept, same.largest_move) == (1.0, 0.0)
    hopeless = repair_butterfly(SviRaw(0.01, 3.0, -0.5, 0.05, 0.05), 0.5)
    assert isinstance(hopeless, Failure)
    assert hopeless.reason is FailureReason.ARBITRAGE
    assert hopeless.remedy
    below = repair_butterfly(SviRaw(-1.0, 0.1, 0.0, 0.0, 0.1), 0.5)
    assert below.reason is FailureReason.INVALID_INPUT


def test_projection_of_crossing_slices_is_free_and_near():
    slices = [ssvi_slice(0.04, -0.3, 0.3), ssvi_slice(0.05, 0.3, 0.3), svi_slice(VOGT)]
    quoted = [(-0.4, 0.4), (-0.4, 0.4), (-0.2, 0.2)]
    assert not check_slices(slices, quoted).free
    fit = project_slices(YEARS, slices, quoted).value
    assert check_ssvi(fit.slices, quoted).free
    clean = [ssvi_slice(0.04, -0.3, 0.2), ssvi_slice(0.09, -0.3, 0.3)]
    near = project_slices(YEARS[:2], clean, quoted[:2]).value
    np.testing.assert_allclose(near.slices.theta, [0.04, 0.09], rtol=1e-3)


def test_prices_are_moved_no_more_than_needed():
    clean = call_grid()[1]
    np.testing.assert_allclose(repair_call_prices(STRIKES, clean, 100.0).value, clean, atol=1e-5)
    broken = clean + 0.3 * np.random.default_rng(4).standard_normal(len(clean))
    fixed = repair_call_prices(STRIKES, broken, 100.0).value
    forward = np.array([100.0])
    assert not check_price_grid(STRIKES, broken[None], forward).free
    assert check_price_grid(STRIKES, fixed[None], forward).free
    assert np.sum((fixed - broken) ** 2) <= np.sum((clean - broken) ** 2) * (1 + 1e-6)
    heavy = np.where(np.arange(len(clean)) == 20, 1e6, 1.0)
    lifted = np.where(np.arange(len(clean)) == 20, clean - 0.05, clean)
    held = repair_call_prices(STRIKES, lifted, 100.0, weight=heavy).value
    assert held[20] == pytest.approx(lifted[20], abs=1e-3)
    assert check_price_grid(STRIKES, held[None], forward).free


def test_nonsense_is_not_repaired():
    for strike, call, forward in (
        (STRIKES[::-1], call_grid()[0], 100.0),
        (STRIKES, call_grid()[0][:5], 100.0),
        (STRIKES, np.full(41, np.nan), 100.0),
        (STRIKES, call_grid()[0], -1.0),
    ):
        result = repair_call_prices(strike, call, forward)
        assert isinstance(result, Failure)
        assert result.reason is FailureReason.INVALID_INPUT
