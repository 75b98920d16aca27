"""Hot paths of the indices beside a named peer, in one run; read the ratio, not the seconds.

Cost grows as: sign-flip test, flips x blocks x contrasts; cross-fitted probability, rows near a
failure x models x basis^2 per Newton step; effective number, times x models^2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import permutation_test

from commonmode.converge.comovement import EffectiveNumber
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.panel.laboratory import panel_of_world
from commonmode.stats.logistic import fit_logistic, natural_cubic_basis
from commonmode.stats.signflip import sign_flip_max_test

RNG = np.random.default_rng(0)


@pytest.mark.benchmark(group="logistic: 8 models, one design")
class TestLogistic:
    """Batched Newton against one statsmodels fit per model."""

    x = RNG.standard_normal(3000)
    design = natural_cubic_basis(x, np.array([-1.0, 0.0, 1.0]))
    outcome = (RNG.random((3000, 8)) < 1 / (1 + np.exp(2 - x[:, None]))).astype(float)

    def test_ours(self, benchmark: Any) -> None:
        beta = benchmark(fit_logistic, self.design, self.outcome, ridge=1e-8)
        peer = sm.Logit(self.outcome[:, 0], self.design).fit(disp=False).params
        np.testing.assert_allclose(beta[:, 0], peer, rtol=1e-3, atol=1e-3)

    def test_statsmodels(self, benchmark: Any) -> None:
        def fit() -> list[Any]:
            return [sm.Logit(y, self.design).fit(disp=False) for y in self.outcome.T]

        assert len(benchmark(fit)) == 8


@pytest.mark.benchmark(group="sign flips: 40 blocks, 85 contrasts, 1999 flips")
class TestSignFlips:
    """One matrix product against scipy's permutation test."""

    blocks = RNG.standard_normal((40, 85))

    def test_ours(self, benchmark: Any) -> None:
        test = benchmark(sign_flip_max_test, self.blocks, flips=1999)
        assert test.p_single.shape == (85,)

    def test_scipy(self, benchmark: Any) -> None:
        def run() -> Any:
            return permutation_test(
                (self.blocks,),
                lambda x, axis: x.sum(axis=axis),
                permutation_type="samples",
                n_resamples=1999,
                alternative="greater",
                axis=0,
                vectorized=True,
                rng=np.random.default_rng(0),
            )

        assert benchmark.pedantic(run, rounds=3).pvalue.shape == (85,)


@pytest.mark.benchmark(group="effective number: 5 000 times, 8 models, test and interval")
class TestEffectiveNumber:
    """The whole of C2 with its test against a circular-shift test in plain numpy."""

    panel = panel_of_world(simulate_world(WorldConfig(), seed=0))

    def test_ours(self, benchmark: Any) -> None:
        result = benchmark(lambda: EffectiveNumber().fit(self.panel).result_)
        assert result.models == 8

    def test_circular_shift_in_numpy(self, benchmark: Any) -> None:
        deviation = np.log(self.panel.forecast / self.panel.benchmark_a[:, :, None])[:, 0]

        def run() -> float:
            rng = np.random.default_rng(0)
            null = np.empty(199)  # a tenth of the flips above
            for i in range(len(null)):
                shifted = np.stack(
                    [np.roll(column, rng.integers(len(column))) for column in deviation.T]
                )
                null[i] = (np.corrcoef(shifted) ** 2).sum()
            return float((null >= (np.corrcoef(deviation.T) ** 2).sum()).mean())

        assert 0 <= benchmark.pedantic(run, rounds=3) <= 1
