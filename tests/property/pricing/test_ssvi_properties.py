"""Every point of the parameter boxes is a surface without static arbitrage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from commonmode.pricing import (
    SsviSlices,
    check_ssvi,
    local_variance,
    ssvi_butterfly_free,
    ssvi_derivatives,
)
from commonmode.pricing._surface_maps import essvi_map, ssvi_heston_map, ssvi_power_map

N = 4
YEARS = np.array([0.01, 0.1, 0.4, 1.0])


def unit(n, low=0.0, high=1.0):
    return arrays(np.float64, n, elements=st.floats(low, high))


def log_rise(n):
    return arrays(np.float64, n, elements=st.floats(-9.0, 1.0)).map(np.exp)


RHO = unit(N, -0.98, 0.98)
FREE = {
    "essvi": st.tuples(RHO, log_rise(N), unit(N, 1e-4)),
    "ssvi-power": st.tuples(unit(1, -0.98, 0.98), unit(1, 1e-3), unit(1, 0.01, 0.5), log_rise(N)),
    "ssvi-heston": st.tuples(unit(1, -0.98, 0.98), unit(1, 1.0, 1e4), log_rise(N)),
}
MAPS = {"essvi": essvi_map, "ssvi-power": ssvi_power_map, "ssvi-heston": ssvi_heston_map}


def surface(family, parts):
    u = np.concatenate(parts)
    s, d = np.empty((3, N)), np.empty((N, 3, len(u)))
    MAPS[family](u, s[0], s[1], s[2], d)
    assert np.isfinite(d).all()
    return SsviSlices(YEARS, *s)


@pytest.mark.parametrize("family", sorted(FREE))
@settings(max_examples=60)
@given(data=st.data())
def test_the_box_is_admissible(family, data):
    s = surface(family, data.draw(FREE[family]))
    verdict = ssvi_butterfly_free(s.rho, s.theta, s.psi / s.theta)
    assert verdict.free.all()
    slack = 1e-12 * s.psi[1:]
    for side in (1.0, -1.0):
        wing = s.psi * (1 + side * s.rho)
        assert np.all(np.diff(wing) >= -slack)
    assert np.all(np.diff(s.theta) > 0)
    phi = s.psi / s.theta
    assert np.all(np.diff(phi) <= 1e-12 * phi[1:])


@pytest.mark.parametrize("family", sorted(FREE))
@settings(max_examples=25)
@given(data=st.data())
def test_the_checker_agrees_between_the_slices_too(family, data):
    s = surface(family, data.draw(FREE[family]))
    report = check_ssvi(s, between=1)
    assert report.free, report.violations[:3]


@settings(max_examples=60)
@given(parts=FREE["essvi"], k=st.floats(-2.0, 2.0), t=st.floats(0.002, 3.0))
def test_local_variance_is_not_negative(parts, k, t):
    s = surface("essvi", parts)
    value = local_variance(s, k, t)
    assert np.isfinite(value)
    assert value >= -1e-12 * s.theta[-1] / YEARS[0]


@settings(max_examples=60)
@given(
    theta=st.floats(1e-5, 5.0), rho=st.floats(-0.98, 0.98), c=st.floats(1e-3, 1.0),
    k=st.floats(-3.0, 3.0), scale=st.floats(0.1, 10.0),
)  # fmt: skip
def test_a_slice_is_homogeneous(theta, rho, c, k, scale):
    """``w(k; s theta, rho, s psi) = s w(k; theta, rho, psi)``."""
    psi = c * min(4 / (1 + abs(rho)), 2 * np.sqrt(theta / (1 + abs(rho))))
    one, many = (ssvi_derivatives(k, f * theta, rho, f * psi).w for f in (1.0, scale))
    assert many == pytest.approx(scale * one, rel=1e-9)
    assert one > 0
