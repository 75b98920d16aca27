"""C6: how far the models disagree, and how robust the crowd's loss is to being wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from commonmode.converge.rows import usable_rows
from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.errors import PanelError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.blocks import (
    block_edges,
    block_sums,
    choose_block_count,
    integrated_autocorrelation_time,
)
from commonmode.stats.losses import pinball_loss
from commonmode.stats.robust import (
    interquartile_dispersion,
    kl_worst_case_sample,
    risk_ratio,
    valuation_range,
)
from commonmode.stats.signflip import sign_flip_max_test

__all__ = ["Disagreement", "DispersionResult", "Estimate", "model_losses"]

_FEWEST = 12  # forecasts that can be scored, below which no mean is stated
_FEWEST_BLOCKS = 6  # below which no loss can be told from another at 5 %


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over time with its 95 % interval, Student's over blocks."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class DispersionResult:
    """C6 of one panel.

    Attributes
    ----------
    risk_ratio : Estimate
        Largest over smallest forecast, mean over times and targets (Danielsson et al. 2016). NaN
        where a value or signal is zero or changes sign.
    interquartile_dispersion : Estimate
        ``(Q3 - Q1) / (Q3 + Q1)``, the EBA's yearly benchmarking figure (2020-2024: .27 to .14). NaN
        as above.
    equally_good : tuple of ModelId
        Models whose loss is not significantly above any other model's, all pairs together.
    cont_range : Estimate
        ``max - min`` over the equally good models only, in units of the benchmark (or of the
        models' median; values and signals: of ``scale``): model uncertainty that calibration cannot
        remove (Cont 2006).
    crowd_loss : float
        Mean loss of the average model: pinball in units of ``scale`` for quantiles, squared log
        error for vols, squared scaled error otherwise.
    worst_case_loss : tuple of (eta, multiple)
        Worst mean loss in a Kullback-Leibler ball of radius eta, as a multiple of ``crowd_loss``.
    mean_loss : float64, shape (N,)
    """

    risk_ratio: Estimate
    interquartile_dispersion: Estimate
    equally_good: tuple[ModelId, ...]
    cont_range: Estimate
    crowd_loss: float
    worst_case_loss: tuple[tuple[float, float], ...]
    mean_loss: FloatArray


def model_losses(panel: ErrorPanel) -> FloatArray:
    """Loss of every forecast, consistent for its kind; shape (T, K, N).

    Pinball loss in units of ``scale`` (quantile), squared log error (vol), squared error in units
    of ``scale`` (value, signal). NaN where a forecast, an outcome or a positive scale is missing.
    """
    outcome = panel.outcome[:, :, None]
    scale = np.where(panel.scale > 0, panel.scale, np.nan)[:, :, None]
    if panel.kind is PanelKind.QUANTILE:
        return np.asarray(pinball_loss(outcome, panel.forecast, panel.level) / scale)
    if panel.kind is PanelKind.VOL:
        realised = np.where(outcome > 0, outcome, np.nan)
        return np.asarray(np.log(panel.forecast / realised) ** 2)
    return np.asarray(((panel.forecast - outcome) / scale) ** 2)


class Disagreement:
    """C6 estimator.

    Parameters
    ----------
    etas : tuple of float
        Radii of the Kullback-Leibler ball, in nats.
    alpha : float
        Level at which any of equally good models counts as worse than another.
    draws : int
        Sign flips of the test.
    rng : int

    Attributes
    ----------
    result_ : DispersionResult
    """

    def __init__(
        self,
        *,
        etas: tuple[float, ...] = (0.01, 0.05, 0.1),
        alpha: float = 0.05,
        draws: int = 999,
        rng: int = 0,
    ) -> None:
        self.etas = etas
        self.alpha = alpha
        self.draws = draws
        self.rng = rng

    def fit(self, panel: ErrorPanel) -> Disagreement:
        """Compute the index.

        Raises
        ------
        PanelError
            Fewer than two models, or too few times with every forecast, outcome and scale.
        """
        rows = usable_rows(panel)
        losses = model_losses(panel)
        rows &= np.isfinite(losses).all(axis=2)
        if rows.sum() < _FEWEST:
            raise PanelError(
                f"panel {panel.name}: only {rows.sum()} forecasts can be scored",
                remedy="give a scale above zero (and, for volatilities, outcomes above zero)",
            )
        size = np.abs(panel.forecast)
        if panel.kind in (PanelKind.VALUE, PanelKind.SIGNAL):
            unit = panel.scale
        elif panel.benchmark_a is not None and panel.benchmark_b is not None:
            unit = np.sqrt(np.abs(panel.benchmark_a * panel.benchmark_b))
        else:
            unit = np.median(size, axis=2)
        loss = np.where(rows[:, :, None], losses, 0.0).sum(axis=1) / np.maximum(
            rows.sum(axis=1), 1
        ).reshape(-1, 1)
        valid: BoolArray = np.asarray(rows.any(axis=1))
        mean_loss = loss[valid].mean(axis=0)
        good = self._equally_good(loss, valid)
        names = tuple(m for m, keep in zip(panel.models, good, strict=True) if keep)

        crowd = loss[valid].mean(axis=1)
        total = float(crowd.mean())
        ratio = quartile = np.full(rows.shape, np.nan)
        sign = np.sign(panel.forecast[rows])
        if (sign == 1.0).all() or (sign == -1.0).all():
            positive = np.where(rows[:, :, None], size, 1.0)
            ratio, quartile = risk_ratio(positive), interquartile_dispersion(positive)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = valuation_range(panel.forecast[:, :, good]) / unit
        self.result_ = DispersionResult(
            risk_ratio=_over_time(ratio, rows),
            interquartile_dispersion=_over_time(quartile, rows),
            equally_good=names,
            cont_range=_over_time(spread, rows),
            crowd_loss=total,
            worst_case_loss=tuple(
                (eta, kl_worst_case_sample(crowd, eta)[0] / total) for eta in self.etas
            )
            if total > 0
            else (),
            mean_loss=mean_loss,
        )
        return self

    def _equally_good(self, loss: FloatArray, valid: BoolArray) -> BoolArray:
        """Models that no other one beats, all pairs tested at once.

        Held against the best one alone, which is the luckiest of those equally good, most of them
        would be called worse.
        """
        tau = integrated_autocorrelation_time(loss[valid].mean(axis=1))
        edges = block_edges(len(loss), choose_block_count(len(loss), tau))
        sums = block_sums(np.where(valid[:, None], loss, 0.0), edges)
        n = sums.shape[1]
        keep = np.ones(n, dtype=np.bool_)
        if len(sums) < _FEWEST_BLOCKS:
            return keep
        worse, better = np.nonzero(~np.eye(n, dtype=np.bool_))
        test = sign_flip_max_test(
            sums[:, worse] - sums[:, better],
            flips=self.draws,
            alpha=self.alpha,
            rng=stream(self.rng, "C6", "equal"),
        )
        keep[worse[test.p_adjusted <= self.alpha]] = False
        return keep


def _over_time(values: FloatArray, rows: BoolArray) -> Estimate:
    """Mean over the rows that count; blocks as long as these values themselves last."""
    kept = np.where(rows, values, 0.0)
    if not np.isfinite(kept).all():
        return Estimate(float("nan"), float("nan"), float("nan"))
    total, weight = kept.sum(axis=1), rows.sum(axis=1).astype(np.float64)
    valid = weight > 0
    mean = float(total.sum() / weight.sum())
    tau = integrated_autocorrelation_time(total[valid] / weight[valid])
    edges = block_edges(len(total), choose_block_count(len(total), tau))
    left = block_sums(total - mean * weight, edges)
    blocks = len(left)
    error = float(np.sqrt(blocks / max(blocks - 1, 1) * np.sum(left**2))) / float(weight.sum())
    half = float(stdtrit(max(blocks - 1, 1), 0.975)) * error
    return Estimate(mean, mean - half, mean + half)
