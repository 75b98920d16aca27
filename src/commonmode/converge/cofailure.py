"""C3: conditional co-failure, and the split of joint failures into market, design and chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from commonmode.converge.cofailure_result import CoFailureResult, JointFailureSplit, Share
from commonmode.converge.comovement import POWER, benchmark_noise_ratio, block_plan
from commonmode.converge.groups import Group, contrast_groups
from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.errors import PanelError
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel
from commonmode.stats.blocks import (
    block_edges,
    block_sums,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.cofailure import alpha_factors
from commonmode.stats.comovement import pair_block_sums
from commonmode.stats.detectable import detectable_cofailure, detectable_effect
from commonmode.stats.logistic import COMPILED_FROM, Engine, cross_fitted_probability
from commonmode.stats.signflip import sign_flip_test

__all__ = ["CoFailureResult", "ConditionalCoFailure", "JointFailureSplit", "Share"]

# Noise levels at which co-failure is computed, in units of one benchmark's noise variance, with
# the weights of a quadratic and of a linear extrapolation to none. "wide" is m^a + k (m^a - m^b)
# with (1 + k)^2 + k^2 = 2.
_WIDE = (np.sqrt(3.0) - 1.0) / 2.0
_QUADRATIC = {"mean": 8 / 3, "a": -1.0, "b": -1.0, "wide_a": 1 / 6, "wide_b": 1 / 6}
_LINEAR = {"mean": 2.0, "a": -0.5, "b": -0.5, "wide_a": 0.0, "wide_b": 0.0}


# Times of failure from which a probability of failure can be learnt at all.
_LEAST_TIMES = 10
# Fewer joint failures than this cannot be split three ways; a ratio below this is as good as none.
_LEAST_JOINT = 20
_LEAST_RATIO = 0.05


def _pair_sum(values: FloatArray) -> FloatArray:
    """``sum_{i<j} v_i v_j`` of each row; values (T, N) to (T,)."""
    total = values.sum(axis=1)
    return np.asarray((total**2 - (values**2).sum(axis=1)) / 2.0)


def _memory_and_noise(panel: ErrorPanel, rows: BoolArray) -> tuple[float, float]:
    """Autocorrelation time of deviation products, in rows, and benchmark noise over deviation.

    Failures are rare and look independent in time, but what makes two models fail together lasts as
    long as their deviations do: blocks cut by the failures alone are too short. Without benchmarks
    1 and 0.
    """
    if panel.benchmark_a is None or panel.benchmark_b is None:
        return 1.0, 0.0
    x, y = panel.deviation(panel.benchmark_a), panel.deviation(panel.benchmark_b)
    tau, _ = block_plan(x, y, rows, 1)
    noise = benchmark_noise_ratio(x, y, rows)
    return tau, noise if np.isfinite(noise) else 0.0


def _market_state(panel: ErrorPanel, target: int, use: BoolArray) -> FloatArray:
    """Log of the market's scale and the panel's state columns, shape (rows used, S).

    What is not finite is put at the column's mean, where it says nothing.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = [np.log(panel.scale), *panel.state.values()]
    known = np.stack([column[use, target] for column in columns], axis=1)
    there = np.isfinite(known)
    mean = np.where(there, known, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return np.where(there, known, mean)


class ConditionalCoFailure:
    """C3 estimator.

    Parameters
    ----------
    alpha : float
        Level of the test.
    flips, draws : int
        Sign flips of the test, bootstrap draws of the split's intervals.
    folds, knots : int
        Of the cross-fitted failure probability.
    minimum_block_rows : int
    threads : int
        For panels large enough for compiled fits; the bits do not depend on it.
    rng : int
        Seed; streams are derived from it by name.

    Attributes
    ----------
    result_ : CoFailureResult
    contributions_ : float64, shape (B, P), or None
        What each block of time puts into each pair's part of the excess; None without benchmarks.

    Notes
    -----
    A lower quantile fails when ``log|y| > log|f|``: when the surprise ``u = log|y| - log|m|``
    exceeds the model's deviation. Given u, models that share nothing fail independently, with
    probabilities ``p_i(u)`` that are cross-fitted. The index is

        ``C3 = 1 + sum_t sum_{i<j} (F_i - p_i)(F_j - p_j) / sum_t sum_{i<j} p_i p_j``

    which equals ``sum F_i F_j / sum p_i p_j`` in expectation but is orthogonal to first-order
    errors in p (Neyman 1959; Chernozhukov et al. 2018, double machine learning): at T = 5 000 its
    standard deviation is about a quarter of the plain ratio's. Noise in the benchmark makes u noisy
    and failures spuriously joint, by an amount smooth in the noise variance: it is computed at
    three noise levels and extrapolated to none (Cook & Stefanski 1994, SIMEX). The difference
    between quadratic and linear extrapolation is taken off before testing.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        flips: int = 1999,
        draws: int = 999,
        folds: int = 5,
        knots: int = 3,
        minimum_block_rows: int = 1,
        threads: int = 1,
        rng: int = 0,
    ) -> None:
        self.alpha = alpha
        self.flips = flips
        self.draws = draws
        self.folds = folds
        self.knots = knots
        self.minimum_block_rows = minimum_block_rows
        self.threads = threads
        self.rng = rng

    def fit(self, panel: ErrorPanel, groups: Sequence[Group] = ()) -> ConditionalCoFailure:
        """Compute the index.

        Parameters
        ----------
        panel : ErrorPanel
            Of kind quantile.
        groups : sequence of Group
            Declared components to rank.

        Raises
        ------
        PanelError
            Wrong kind, too few rows, failures at fewer than 10 times of some target, of one model
            only, or all in one stretch of time.
        """
        self.contributions_: FloatArray | None
        rows = usable_rows(panel)
        failed = panel.failed & rows[:, :, None]
        bad_times = failed.any(axis=2).sum(axis=0)
        if bad_times.min() < _LEAST_TIMES:
            worst = panel.targets[int(np.argmin(bad_times))]
            raise PanelError(
                f"panel {panel.name}, target {worst}: models failed at {bad_times.min()} times in "
                f"all; co-failure needs {_LEAST_TIMES} to be told from chance",
                remedy="give a longer panel or a less extreme level",
            )
        if failed.any(axis=0).sum(axis=1).max() < 2:
            raise PanelError(
                f"panel {panel.name}: no two models ever failed, so there is nothing that could "
                "have failed together",
                remedy="give a longer panel or a less extreme level",
            )
        t = len(panel.times_ms)
        joint = np.stack([_pair_sum(failed[:, k].astype(float)) for k in range(failed.shape[1])], 1)
        constant = self._constant_rate(failed, rows)
        memory, noise = _memory_and_noise(panel, rows)
        tau = max(integrated_autocorrelation_time(joint.sum(axis=1)), memory)
        count = min(choose_block_count(t, tau), max(t // max(self.minimum_block_rows, 1), 1))
        edges = block_edges(t, count)
        pair_failures = float(joint.sum())
        at_once = np.bincount(failed.sum(axis=2)[rows], minlength=len(panel.models) + 1)
        common: dict[str, Any] = {
            "raw_ratio": pair_failures / float(constant.sum()),
            "pair_failures": round(pair_failures),
            "failures": failed.sum(axis=(0, 1)).astype(np.int64),
            "rows": int(rows.any(axis=1).sum()),
            "blocks": count,
            "alpha": alpha_factors(at_once.astype(np.float64)),
        }
        if panel.benchmark_a is None or panel.benchmark_b is None:
            nan = float("nan")
            self.contributions_ = None
            self.result_ = CoFailureResult(
                ratio=nan,
                interval=(nan, nan),
                p_value=nan,
                rejects=False,
                extrapolation_allowance=nan,
                uncorrected_ratio=nan,
                minimum_detectable_ratio=nan,
                split=None,
                components=(),
                **common,
            )
            return self
        a, b = np.log(np.abs(panel.benchmark_a)), np.log(np.abs(panel.benchmark_b))
        levels = {
            "mean": (a + b) / 2,
            "a": a,
            "b": b,
            "wide_a": a + _WIDE * (a - b),
            "wide_b": b + _WIDE * (b - a),
        }
        pairs, expected, likelihood = self._by_noise_level(panel, levels, failed, rows, edges)
        if min(expected[name].sum() for name in expected) <= 0:
            raise PanelError(
                f"panel {panel.name}: all failures stand in one stretch of time, so their "
                "probability cannot be learnt from the rest",
                remedy="give a longer panel or a less extreme level",
            )
        # Pair residual products per block, each level scaled by its own expected co-failures.
        scaled = {name: pairs[name] / expected[name].sum() for name in pairs}
        quadratic = sum(weight * scaled[name] for name, weight in _QUADRATIC.items())
        linear = sum(weight * scaled[name] for name, weight in _LINEAR.items())
        excess = float(np.sum(quadratic))
        allowance = abs(excess - float(np.sum(linear)))
        self.contributions_ = np.asarray(quadratic)
        contributions = self.contributions_.sum(axis=1)
        test = sign_flip_test(
            contributions - allowance / count, flips=self.flips, rng=stream(self.rng, "C3", "test")
        )
        spread = contributions - contributions.mean()
        error = float(np.sqrt((spread**2).sum() * count / (count - 1)))
        half = float(stdtrit(count - 1, 0.975)) * error + allowance
        need = detectable_effect(float(ndtri(1.0 - self.alpha)), count, power=POWER)
        components, _ = contrast_groups(
            self.contributions_,
            groups,
            panel.models,
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C3", "components"),
        )
        self.result_ = CoFailureResult(
            ratio=1.0 + excess,
            interval=(1.0 + excess - half, 1.0 + excess + half),
            p_value=test.p_value,
            rejects=test.p_value <= self.alpha,
            extrapolation_allowance=allowance,
            uncorrected_ratio=1.0 + float(scaled["mean"].sum()),
            minimum_detectable_ratio=detectable_cofailure(
                likelihood, len(panel.models), error, need, noise=noise**2, allowance=allowance
            ),
            split=self._split(
                contributions,
                block_sums(joint.sum(axis=1), edges),
                block_sums(constant.sum(axis=1), edges),
                allowance,
            )
            if pair_failures >= _LEAST_JOINT
            else None,
            components=components,
            **common,
        )
        return self

    def _constant_rate(self, failed: BoolArray, rows: BoolArray) -> FloatArray:
        """Co-failures expected per row from each model's own average rate; shape (T, K)."""
        expected = np.zeros(rows.shape)
        for k in range(rows.shape[1]):
            rate = failed[rows[:, k], k].mean(axis=0)
            expected[rows[:, k], k] = float(_pair_sum(rate[None])[0])
        return expected

    def _by_noise_level(
        self,
        panel: ErrorPanel,
        levels: Mapping[str, FloatArray],
        failed: BoolArray,
        rows: BoolArray,
        edges: IntArray,
    ) -> tuple[dict[str, FloatArray], dict[str, FloatArray], FloatArray]:
        """Residual products (B, P) and expected co-failures (K,) at each benchmark noise level.

        Last, the models' mean failure probability of every row and target at the mean benchmark.
        """
        loss = panel.outcome < 0
        with np.errstate(divide="ignore"):
            size = np.where(loss, np.log(np.where(loss, -panel.outcome, 1.0)), -np.inf)
        state = [_market_state(panel, k, rows[:, k]) for k in range(rows.shape[1])]
        pairs: dict[str, FloatArray] = {}
        expected: dict[str, FloatArray] = {}
        likelihood: list[FloatArray] = []
        # One choice for all of the fits: each alone may be small.
        fits = failed.size * len(levels) * self.folds
        engine: Engine = "numba" if fits >= COMPILED_FROM * self.folds else "numpy"
        for name, benchmark in levels.items():
            products, totals = [], []
            for k in range(rows.shape[1]):
                use = rows[:, k]
                probability = np.zeros(failed[:, k].shape)
                probability[use] = cross_fitted_probability(
                    (size - benchmark)[use, k],
                    failed[use, k],
                    state[k],
                    folds=self.folds,
                    knots=self.knots,
                    engine=engine,
                    threads=self.threads,
                )
                residual = failed[:, k] - probability
                products.append(pair_block_sums(residual, residual, edges))
                totals.append(float(_pair_sum(probability).sum()))
                if name == "mean":
                    likelihood.append(probability.mean(axis=1))
            pairs[name] = np.sum(products, axis=0)
            expected[name] = np.array(totals)
        return pairs, expected, np.concatenate(likelihood)

    def _split(
        self,
        contributions: FloatArray,
        joint: FloatArray,
        constant: FloatArray,
        allowance: float,
    ) -> JointFailureSplit:
        """Shares of all joint failures, with bootstrap intervals over whole blocks.

        With J joint failures, D expected given the market and I expected at constant rates,
        ``J = I + (D - I) + (J - D)`` and ``J = C3 * D``.
        """

        def shares(excess: FloatArray, j: FloatArray, i: FloatArray) -> FloatArray:
            design = 1.0 - 1.0 / np.clip(1.0 + excess, _LEAST_RATIO, None)
            individual = np.divide(i, j, out=np.ones_like(j), where=j > 0)
            return np.stack([1.0 - design - individual, design, individual], axis=-1)

        blocks = len(joint)
        draw = stream(self.rng, "C3", "split").integers(0, blocks, (self.draws, blocks))
        resampled = shares(
            contributions[draw].sum(axis=1), joint[draw].sum(axis=1), constant[draw].sum(axis=1)
        )
        point = shares(
            np.array([contributions.sum()]), np.array([joint.sum()]), np.array([constant.sum()])
        )[0]
        low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
        # The extrapolation may be off by the allowance; it moves market and design oppositely.
        slack = np.array([allowance, allowance, 0.0])
        market, design, individual = (
            Share(float(v), float(a - s), float(b + s))
            for v, a, b, s in zip(point, low, high, slack, strict=True)
        )
        return JointFailureSplit(market=market, shared_design=design, individual=individual)
