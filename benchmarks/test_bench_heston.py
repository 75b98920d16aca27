"""Heston beside named peers, in one run; read the ratio, not the seconds.

One surface of 12 expiries x 40 strikes that a Heston law made, calibrated from the same start, and
the same 480 options priced. Cost of a calibration grows as evaluations x expiries x terms x
(parameters + strikes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

from commonmode.pricing._normalised import normal_density
from commonmode.pricing.fourier import Heston, cf_implied_vol, cf_price, fit_cf

DAYS = np.array([7, 14, 21, 30, 45, 60, 90, 120, 150, 180, 270, 365])
YEARS = DAYS / 365.0
TRUTH = np.array([0.3, 3.0, 0.5, 1.5, -0.3])
START = np.array([0.36, 2.0, 0.4, 1.0, -0.1])
K = np.linspace(-1.6, 1.6, 40) * 0.6 * np.sqrt(YEARS)[:, None]
VOL = cf_implied_vol(Heston(*TRUTH), 1.0, np.exp(K), YEARS[:, None])
TOTAL = VOL * np.sqrt(YEARS)[:, None]
WEIGHT = normal_density(-K / TOTAL + 0.5 * TOTAL) ** 2
WEIGHT *= 40 / WEIGHT.sum(axis=1, keepdims=True)
PUTS = cf_price(Heston(*TRUTH), 1.0, np.exp(K), YEARS[:, None], sign=-1)


def quantlib_model(ql: Any, parameters: np.ndarray) -> tuple[Any, Any, Any]:
    """Model, process and today; v0, kappa, theta, sigma, rho as ours."""
    today = ql.Date(1, 1, 2024)
    ql.Settings.instance().evaluationDate = today
    curve = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(1.0))
    process = ql.HestonProcess(curve, curve, spot, *(float(x) for x in parameters))
    return ql.HestonModel(process), curve, today


@pytest.fixture(scope="module")
def ql() -> Any:
    return pytest.importorskip("QuantLib", reason="QuantLib is not installed: pip install QuantLib")


@pytest.mark.benchmark(group="Heston calibration: 12 expiries x 40 strikes")
class TestCalibration:
    """The same surface, the same start."""

    def test_ours_cold(self, benchmark: Any) -> None:
        fit = benchmark(fit_cf, "heston", K, YEARS, VOL, WEIGHT, start=START).value
        np.testing.assert_allclose(fit.parameters[0], TRUTH, rtol=1e-4)

    def test_ours_warm(self, benchmark: Any) -> None:
        """From the fit of a slightly different surface, as from one snapshot to the next."""
        last = TRUTH * np.array([1.02, 1.03, 0.98, 1.02, 0.97])
        fit = benchmark(fit_cf, "heston", K, YEARS, VOL, WEIGHT, start=last).value
        np.testing.assert_allclose(fit.parameters[0], TRUTH, rtol=1e-4)

    def test_scipy_on_our_prices(self, benchmark: Any) -> None:
        """scipy's trust region with differences for derivatives."""
        scale = np.sqrt(WEIGHT)

        def miss(x: np.ndarray) -> np.ndarray:
            puts = cf_price(Heston(*x), 1.0, np.exp(K), YEARS[:, None], sign=-1, tolerance=1e-9)
            return np.asarray((scale * (puts - PUTS)).ravel())

        box = ([1e-4, 0.01, 1e-4, 0.01, -0.999], [16.0, 100.0, 16.0, 30.0, 0.999])
        fit = benchmark.pedantic(
            lambda: least_squares(miss, START, bounds=box, x_scale=np.abs(START)), rounds=2
        )
        np.testing.assert_allclose(fit.x, TRUTH, rtol=1e-2)

    def test_quantlib(self, benchmark: Any, ql: Any) -> None:
        """AnalyticHestonEngine and QuantLib's own Levenberg-Marquardt."""

        def calibrate() -> Any:
            model, curve, _ = quantlib_model(ql, START)
            engine = ql.AnalyticHestonEngine(model)
            helpers = []
            for e, days in enumerate(DAYS.tolist()):
                for k, vol in zip(K[e].tolist(), VOL[e].tolist(), strict=True):
                    quote = ql.QuoteHandle(ql.SimpleQuote(vol))
                    helper = ql.HestonModelHelper(
                        ql.Period(days, ql.Days),
                        ql.NullCalendar(),
                        1.0,
                        float(np.exp(k)),
                        quote,
                        curve,
                        curve,
                        ql.BlackCalibrationHelper.PriceError,
                    )
                    helper.setPricingEngine(engine)
                    helpers.append(helper)
            stop = ql.EndCriteria(400, 40, 1e-10, 1e-10, 1e-10)
            model.calibrate(helpers, ql.LevenbergMarquardt(1e-10, 1e-10, 1e-10), stop)
            return model

        model = benchmark.pedantic(calibrate, rounds=2)
        theta, kappa, sigma, rho, v0 = model.params()
        np.testing.assert_allclose([v0, kappa, theta, sigma, rho], TRUTH, rtol=1e-3)


@pytest.mark.benchmark(group="Heston prices: 480 options")
class TestPricing:
    """All options of the surface at one set of parameters."""

    def test_ours(self, benchmark: Any) -> None:
        law = Heston(*TRUTH)
        puts = benchmark(cf_price, law, 1.0, np.exp(K), YEARS[:, None], sign=-1, tolerance=1e-12)
        np.testing.assert_allclose(puts, PUTS, atol=1e-12)

    def test_quantlib(self, benchmark: Any, ql: Any) -> None:
        """One engine for all; strikes and maturities one after another, as its interface has it."""
        model, _, today = quantlib_model(ql, TRUTH)
        engine = ql.AnalyticHestonEngine(model)
        options = []
        for e, days in enumerate(DAYS.tolist()):
            exercise = ql.EuropeanExercise(today + days)
            for k in K[e].tolist():
                option = ql.VanillaOption(
                    ql.PlainVanillaPayoff(ql.Option.Put, float(np.exp(k))), exercise
                )
                option.setPricingEngine(engine)
                options.append(option)

        def price() -> np.ndarray:
            for option in options:
                option.recalculate()
            return np.array([option.NPV() for option in options])

        puts = benchmark.pedantic(price, rounds=3)
        np.testing.assert_allclose(puts, PUTS.ravel(), atol=1e-7)
