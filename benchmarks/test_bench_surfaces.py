"""Calibration of one surface of 12 expiries x 40 strikes beside named peers, in one run.

Read the ratio, not the seconds. Cost grows as: SVI and SABR, quotes x iterations; eSSVI, quotes x
iterations + expiries^3 per iteration.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

from commonmode.core.arrays import FloatArray
from commonmode.pricing import (
    fit_sabr_batch,
    fit_surface,
    fit_svi_batch,
    hagan_lognormal_vol,
    ssvi_total_variance,
    svi_total_variance,
)
from commonmode.pricing._surface_maps import essvi_map

YEARS = np.array([1, 2, 3, 7, 14, 21, 30, 60, 90, 180, 270, 360]) / 365
N = len(YEARS)
RNG = np.random.default_rng(0)
K = np.linspace(-1.2, 1.2, 40)[None, :] * np.sqrt(YEARS)[:, None]
RAW = (0.12, 0.11, -0.25, 0.05, 0.6)
CLEAN = np.sqrt(svi_total_variance(K / np.sqrt(YEARS)[:, None], *RAW))
VOL = CLEAN * (1 + 0.01 * RNG.standard_normal(K.shape))
W = VOL**2 * YEARS[:, None]
WEIGHT = 1.0 / (2.0 * VOL * YEARS[:, None]) ** 2
FORWARD = np.full(K.shape, 30_000.0)
STRIKE = FORWARD * np.exp(K)


@pytest.mark.benchmark(group="SVI: 12 x 40")
class TestSvi:
    """Variable projection with an analytic Jacobian against scipy in five parameters."""

    def test_ours(self, benchmark: Any) -> None:
        pytest.importorskip("numba")
        fit = benchmark(fit_svi_batch, K, W, WEIGHT)
        assert fit.converged.all()

    def test_ours_warm(self, benchmark: Any) -> None:
        pytest.importorskip("numba")
        start = np.array(fit_svi_batch(K, W, WEIGHT).parameters)
        assert benchmark(fit_svi_batch, K, W, WEIGHT, start=start).converged.all()

    def test_ours_in_numpy(self, benchmark: Any) -> None:
        assert benchmark(fit_svi_batch, K, W, WEIGHT, engine="numpy").converged.all()

    def test_scipy_lm(self, benchmark: Any) -> None:
        def fit() -> list[Any]:
            found = []
            for k, w, weight in zip(K, W, WEIGHT, strict=True):
                root = np.sqrt(weight)
                low = float(w.min())
                start = [0.5 * low, low, -0.1, 0.0, 0.5 * float(k.max())]

                def residuals(x: FloatArray, k=k, w=w, root=root) -> FloatArray:  # type: ignore[no-untyped-def]
                    return np.asarray(root * (svi_total_variance(k, *x) - w))

                found.append(least_squares(residuals, start, method="lm"))
            return found

        peer = benchmark(fit)
        ours = fit_svi_batch(K, W, WEIGHT, engine="numpy").cost
        assert np.all(ours <= 2 * np.array([p.cost for p in peer]) * (1 + 1e-6))

    def test_quantlib(self, benchmark: Any) -> None:
        ql = pytest.importorskip("QuantLib")
        reference = ql.Date(1, 1, 2024)
        ql.Settings.instance().evaluationDate = reference

        def fit() -> list[Any]:
            found = []
            for k, t, vol in zip(STRIKE, YEARS, VOL, strict=True):
                low = float(np.min(vol**2 * t))
                smile = ql.SviInterpolatedSmileSection(
                    reference + round(t * 365), 30_000.0, k.tolist(), False,
                    float(np.interp(30_000.0, k, vol)), vol.tolist(),
                    0.5 * low, low, 0.5, -0.1, 0.0, False, False, False, False, False, False,
                )  # fmt: skip
                smile.volatility(30_000.0)
                found.append(smile)
            return found

        assert len(benchmark.pedantic(fit, rounds=1)) == N


@pytest.mark.benchmark(group="SABR: 12 x 40")
class TestSabr:
    """Analytic derivatives of Hagan's formula against scipy and QuantLib."""

    def test_ours(self, benchmark: Any) -> None:
        pytest.importorskip("numba")
        fit = benchmark(fit_sabr_batch, FORWARD, STRIKE, YEARS, VOL, np.ones_like(VOL))
        assert fit.converged.all()

    def test_ours_in_numpy(self, benchmark: Any) -> None:
        fit = benchmark(
            fit_sabr_batch, FORWARD, STRIKE, YEARS, VOL, np.ones_like(VOL), engine="numpy"
        )
        assert fit.converged.all()

    def test_scipy_trf(self, benchmark: Any) -> None:
        box = ([1e-3, -0.999, 1e-3], [30.0, 0.999, 200.0])

        def fit() -> list[Any]:
            found = []
            for f, k, t, vol in zip(FORWARD, STRIKE, YEARS, VOL, strict=True):

                def residuals(x: FloatArray, f=f, k=k, t=t, vol=vol) -> FloatArray:  # type: ignore[no-untyped-def]
                    return np.asarray(hagan_lognormal_vol(f, k, t, x[0], 1.0, x[1], x[2]) - vol)

                start = [0.5, 0.0, 0.3 / np.sqrt(t)]
                found.append(least_squares(residuals, start, bounds=box, x_scale="jac"))
            return found

        peer = benchmark(fit)
        ours = fit_sabr_batch(FORWARD, STRIKE, YEARS, VOL, np.ones_like(VOL), engine="numpy").cost
        assert np.all(ours <= 2 * np.array([p.cost for p in peer]) * (1 + 1e-6))

    @pytest.mark.parametrize("guesses", [1, 50])
    def test_quantlib(self, benchmark: Any, guesses: int) -> None:
        """One guess, and the default of fifty (it stops at the first below its tolerance)."""
        ql = pytest.importorskip("QuantLib")

        def fit() -> float:
            worst = 0.0
            for k, t, vol in zip(STRIKE, YEARS, VOL, strict=True):
                found = ql.SABRInterpolation(
                    ql.Array(k.tolist()), ql.Array(vol.tolist()), float(t), 30_000.0,
                    0.5, 1.0, 0.3 / float(np.sqrt(t)), 0.0, False, True, False, False, False,
                    ql.EndCriteria(1000, 100, 1e-10, 1e-10, 1e-10), ql.LevenbergMarquardt(),
                    0.002, False, guesses,
                )  # fmt: skip
                worst = max(worst, abs(found(float(k[20])) - float(vol[20])))
            return worst

        assert benchmark.pedantic(fit, rounds=3) < 0.05


@pytest.mark.benchmark(group="eSSVI: 12 x 40, 36 parameters")
class TestEssvi:
    """Normal matrices of 3 x 3 per slice against scipy on all residuals."""

    def test_ours(self, benchmark: Any) -> None:
        pytest.importorskip("numba")
        assert benchmark(fit_surface, YEARS, K, W, WEIGHT).value.converged

    def test_ours_warm(self, benchmark: Any) -> None:
        pytest.importorskip("numba")
        start = np.array(fit_surface(YEARS, K, W, WEIGHT).value.free)
        assert benchmark(fit_surface, YEARS, K, W, WEIGHT, start=start).value.converged

    def test_ours_in_numpy(self, benchmark: Any) -> None:
        assert benchmark(fit_surface, YEARS, K, W, WEIGHT, engine="numpy").value.converged

    def test_scipy_trf(self, benchmark: Any) -> None:
        """The same parametrisation, its analytic Jacobian included."""
        s, d = np.empty((3, N)), np.empty((N, 3, 3 * N))
        root = np.sqrt(WEIGHT)
        rise = np.diff(np.mean(W, axis=1), prepend=0.0)
        start = np.concatenate([np.full(N, -0.1), np.maximum(rise, 1e-6), np.full(N, 0.5)])
        lower = np.concatenate([np.full(N, -0.98), np.full(N, 1e-9), np.full(N, 1e-4)])
        upper = np.concatenate([np.full(N, 0.98), np.full(N, 10.0), np.ones(N)])

        def residuals(u: FloatArray) -> FloatArray:
            essvi_map(u, s[0], s[1], s[2], d)
            model = ssvi_total_variance(K, *(row[:, None] for row in s))
            return np.asarray((root * (model - W)).ravel())

        peer = benchmark.pedantic(
            lambda: least_squares(residuals, start, bounds=(lower, upper), x_scale="jac"),
            rounds=1,
        )
        fit = fit_surface(YEARS, K, W, WEIGHT, engine="numpy").value.slices
        model = ssvi_total_variance(K, fit.theta[:, None], fit.rho[:, None], fit.psi[:, None])
        assert np.sum(WEIGHT * (model - W) ** 2) <= 2 * peer.cost * (1 + 1e-3)
