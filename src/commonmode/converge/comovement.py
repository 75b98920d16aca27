"""C2: the effective number of independent models, from the co-movement of their deviations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.converge.groups import (
    Group,
    GroupContrast,
    account_for_overlap,
    blind_groups,
    contrast_groups,
)
from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray, FloatArray, IntArray
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.blocks import (
    block_edges,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.comovement import (
    block_correlation,
    contrast_weights,
    cross_moment_blocks,
    debiased_excess,
    effective_number,
    excess_interval,
    pair_covariance_blocks,
)
from commonmode.stats.detectable import detectable_correlation, detectable_effect
from commonmode.stats.signflip import MaxTest

__all__ = [
    "EffectiveNumber",
    "EffectiveNumberResult",
    "benchmark_noise_ratio",
    "block_plan",
    "deviations",
]

POWER = 0.8  # at which minimum detectable effects are stated


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveNumberResult:
    """C2 of one panel.

    Attributes
    ----------
    models : int
        N, the number of names.
    rows, blocks : int
        Times used, and the contiguous blocks they were cut into.
    autocorrelation_time : float
        Of the products of deviations, in rows.
    benchmarked : bool
        False when the panel has no benchmarks: then only contrasts between groups of four models or
        more are valid and ``effective_number`` is NaN.
    effective_number : float
        ``N^2 / tr(C^2)``, debiased; equals N when the models are independent.
    interval : (float, float) or None
        95 % block-bootstrap interval; None unless the test rejects (at independence the parameter
        is on its boundary and no percentile interval covers).
    p_value : float
        Of independence, by the largest studentised contrast over all pairs, triples and the whole
        crowd; no card is looked at.
    rejects : bool
    mean_correlation : float
    correlation : float64, shape (N, N)
        Of deviations, by cross-moments of the two benchmarks; without any, of deviations from the
        crowd's mean, which are correlated also when models are independent.
    single_benchmark_number : float
        What the effective number would have been with one benchmark, its noise in every pair.
    benchmark_noise_ratio : float
        Benchmark noise sd over the median model's deviation sd; above about 1.5 C3's correction
        is no longer reliable.
    ambiguity_share : float or None
        Krogh-Vedelsby disagreement over mean squared error; None where the outcome is not in the
        forecast's own units (quantiles).
    minimum_detectable_share : float
        Part of the deviation variance that a component of three models must carry to be found with
        80 % probability; 1 where not even models that are one and the same would be.
    minimum_detectable_common : float
        The same for a component shared by everybody.
    found : tuple of GroupContrast
        Groups found blind, largest t first, with adjusted p at most alpha.
    components : tuple of GroupContrast
        Declared components, largest t first (all of them).
    """

    models: int
    rows: int
    blocks: int
    autocorrelation_time: float
    benchmarked: bool
    effective_number: float
    interval: tuple[float, float] | None
    p_value: float
    rejects: bool
    mean_correlation: float
    correlation: FloatArray
    single_benchmark_number: float
    benchmark_noise_ratio: float
    ambiguity_share: float | None
    minimum_detectable_share: float
    minimum_detectable_common: float
    found: tuple[GroupContrast, ...]
    components: tuple[GroupContrast, ...]


def block_plan(
    x: FloatArray, y: FloatArray, rows: BoolArray, minimum_rows: int
) -> tuple[float, IntArray]:
    """Autocorrelation time of deviation products and the edges of the blocks that it asks for.

    Parameters
    ----------
    x, y : float64, shape (T, K, N)
        Deviations from the two benchmarks.
    rows : bool, shape (T, K)
    minimum_rows : int
        Shortest block allowed.
    """
    t = x.shape[0]
    times = []
    for k in range(x.shape[1]):
        mask = rows[:, k]
        xc = np.where(mask[:, None], x[:, k] - np.nanmean(x[mask, k], axis=0), np.nan)
        yc = np.where(mask[:, None], y[:, k] - np.nanmean(y[mask, k], axis=0), np.nan)
        # Each model with the mean of all others, so that the order of models does not matter.
        others_x, others_y = (
            (v.sum(axis=1, keepdims=True) - v) / (v.shape[1] - 1) for v in (xc, yc)
        )
        times.append(integrated_autocorrelation_time(0.5 * (xc * others_y + yc * others_x)))
    tau = float(np.max(times))
    count = min(choose_block_count(t, tau), max(t // max(minimum_rows, 1), 1))
    return tau, block_edges(t, count)


class EffectiveNumber:
    """C2 estimator.

    Parameters
    ----------
    alpha : float
        Level of the test.
    flips, draws : int
        Sign flips of the test, bootstrap draws of the interval.
    minimum_block_rows : int
        Shortest block, e.g. two hours for an hourly surface panel.
    rng : int
        Seed; streams are derived from it by name.

    Attributes
    ----------
    result_ : EffectiveNumberResult
    contributions_ : float64, shape (B, P)
        What each block of time puts into each pair: of correlations, or, without benchmarks, of
        covariances of deviations from the crowd's mean. They add up to the estimate.
    crowd_sd_ : float64, shape (N,), or None
        Without benchmarks; as :func:`commonmode.converge.groups.contrast_groups` takes it.

    Notes
    -----
    Covariances of deviations are cross-moments ``cov(f_i - m^a, f_j - m^b)``, symmetrised, so that
    benchmark noise drops out in expectation. Its sampling variation does not: it is common to all
    pairs, so a test that shifts models in time one by one (circular shift) is wrong in size. Blocks
    of time are sign-flipped whole instead.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.05,
        flips: int = 1999,
        draws: int = 999,
        minimum_block_rows: int = 1,
        rng: int = 0,
    ) -> None:
        self.alpha = alpha
        self.flips = flips
        self.draws = draws
        self.minimum_block_rows = minimum_block_rows
        self.rng = rng

    def fit(self, panel: ErrorPanel, groups: Sequence[Group] = ()) -> EffectiveNumber:
        """Compute the index.

        Parameters
        ----------
        panel : ErrorPanel
        groups : sequence of Group
            Declared components to rank.
        """
        rows = usable_rows(panel)
        n = len(panel.models)
        x, y, benchmarked = deviations(panel)
        tau, edges = block_plan(x, y, rows, self.minimum_block_rows)
        moments = np.stack(
            [
                cross_moment_blocks(x[:, k], y[:, k], edges, mask=rows[:, k])
                for k in range(len(panel.targets))
            ]
        )
        block = block_correlation(moments)
        contributions, crowd_sd = block.contributions, None
        blind = blind_groups(panel.models)
        if not benchmarked:
            contributions, crowd_sd = pair_covariance_blocks(moments)
            blind = tuple(g for g in blind if len(g.members) < n)
        contrasts, test = contrast_groups(
            contributions,
            blind,
            panel.models,
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C2", "test"),
            crowd_sd=crowd_sd,
        )
        components, _ = contrast_groups(
            contributions,
            groups,
            panel.models,
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C2", "components"),
            crowd_sd=crowd_sd,
        )
        components = account_for_overlap(
            components,
            contributions,
            panel.models,
            flips=self.flips,
            alpha=self.alpha,
            rng=stream(self.rng, "C2", "overlap"),
            strict=not benchmarked,
        )
        p_value = min((c.p_adjusted for c in contrasts), default=1.0)
        rejects = p_value <= self.alpha
        interval = None
        if rejects and benchmarked:
            low, high = excess_interval(
                moments, draws=self.draws, rng=stream(self.rng, "C2", "interval")
            )
            interval = float(effective_number(high, n)), float(effective_number(low, n))
        number = float(effective_number(debiased_excess(block), n))
        single, noise = _single_benchmark(x, rows, edges), benchmark_noise_ratio(x, y, rows)
        share, common = (
            _minimum_detectable(contrasts, test, size, n, len(edges) - 1, noise)
            for size in (min(3, n), n)
        )
        self.contributions_, self.crowd_sd_ = contributions, crowd_sd
        self.result_ = EffectiveNumberResult(
            models=n,
            rows=int(rows.any(axis=1).sum()),
            blocks=len(edges) - 1,
            autocorrelation_time=tau,
            benchmarked=benchmarked,
            effective_number=number if benchmarked else float("nan"),
            interval=interval,
            p_value=p_value,
            rejects=rejects,
            mean_correlation=float(block.pairs.mean()),
            correlation=block.correlation,
            single_benchmark_number=single if benchmarked else float("nan"),
            benchmark_noise_ratio=noise,
            ambiguity_share=_ambiguity_share(panel, rows),
            minimum_detectable_share=share,
            minimum_detectable_common=common if benchmarked else float("nan"),
            found=tuple(c for c in contrasts if c.p_adjusted <= self.alpha),
            components=components,
        )
        return self


def deviations(panel: ErrorPanel) -> tuple[FloatArray, FloatArray, bool]:
    """Deviations from both benchmarks, (T, K, N) each, and whether there are any.

    Without benchmarks, twice the deviations from the crowd's mean.
    """
    if panel.benchmark_a is not None and panel.benchmark_b is not None:
        return panel.deviation(panel.benchmark_a), panel.deviation(panel.benchmark_b), True
    if panel.kind in (PanelKind.QUANTILE, PanelKind.VOL):
        level = np.log(np.abs(panel.forecast))
    else:
        level = panel.forecast / panel.scale[:, :, None]
    centred = level - level.mean(axis=2, keepdims=True)
    return centred, centred, False


def _single_benchmark(x: FloatArray, rows: BoolArray, edges: IntArray) -> float:
    """Effective number with one noisy benchmark."""
    moments = np.stack(
        [cross_moment_blocks(x[:, k], x[:, k], edges, mask=rows[:, k]) for k in range(x.shape[1])]
    )
    return float(effective_number(debiased_excess(block_correlation(moments)), x.shape[2]))


def benchmark_noise_ratio(x: FloatArray, y: FloatArray, rows: BoolArray) -> float:
    """Benchmark noise sd over the median model's deviation sd; the median over targets.

    Parameters
    ----------
    x, y : float64, shape (T, K, N)
        Deviations from the two benchmarks.
    rows : bool, shape (T, K)
    """
    ratios = []
    for k in range(x.shape[1]):
        use = rows[:, k]
        noise = float((x - y)[use, k, 0].std()) / np.sqrt(2.0)
        cross = ((x[use, k] - x[use, k].mean(axis=0)) * (y[use, k] - y[use, k].mean(axis=0))).mean(
            axis=0
        )
        own = np.sqrt(np.clip(np.median(cross), 0.0, None))
        ratios.append(noise / own if own > 0 else np.inf if noise > 0 else 0.0)
    return float(np.median(ratios))


def _ambiguity_share(panel: ErrorPanel, rows: BoolArray) -> float | None:
    if panel.kind is PanelKind.QUANTILE:
        return None
    forecast = panel.forecast[rows]
    outcome = panel.outcome[rows][:, None]
    spread = float(((forecast - forecast.mean(axis=1, keepdims=True)) ** 2).sum())
    error = float(((forecast - outcome) ** 2).sum())
    return spread / error if error > 0 else None


def _minimum_detectable(
    contrasts: Sequence[GroupContrast],
    test: MaxTest | None,
    size: int,
    models: int,
    blocks: int,
    noise_ratio: float,
) -> float:
    """Correlation within a group of ``size`` models that the test finds with 80 % power."""
    errors = [c.standard_error for c in contrasts if len(c.group.members) == size]
    if test is None or not errors:
        return float("nan")
    if not np.median(errors) > 0:
        return 1.0  # nothing deviates measurably, so nothing would be found
    members = np.arange(models) < size
    return detectable_correlation(
        contrast_weights(members[None])[0],
        members,
        float(np.median(errors)),
        detectable_effect(test.critical, blocks, power=POWER),
        noise=noise_ratio**2 if np.isfinite(noise_ratio) else 0.0,
    )
