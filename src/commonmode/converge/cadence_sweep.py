"""Cadence sweeps: every model at every cadence, compared with its present one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from commonmode.converge.cadence import CadenceAdvice, CadenceTrial, StepNoise, advise, step_noise
from commonmode.converge.recalibration import RevisionSteps
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import DataError
from commonmode.core.ids import TargetId
from commonmode.core.protocols import Executor, SerialExecutor
from commonmode.core.units import HOUR_MS
from commonmode.forecast.returns import horizon_returns
from commonmode.market.history import History
from commonmode.panel.refits import CadenceWalk, Span, walk_at_cadence
from commonmode.panel.surface_market import BUCKETS
from commonmode.panel.surface_refits import SurfaceWalks
from commonmode.register.model import RiskModel
from commonmode.stats.blocks import block_edges, choose_block_count, integrated_autocorrelation_time
from commonmode.stats.losses import pinball_loss

__all__ = ["CadenceSweep", "surface_revisions", "sweep_risk_cadences", "sweep_surface_cadences"]

_WEEK_HOURS = 168.0


@dataclass(frozen=True, slots=True, eq=False)
class CadenceSweep:
    """Advice for every model, and the steps it rests on.

    Attributes
    ----------
    advice : tuple of CadenceAdvice
    synchrony : mapping of label to float64, shape (N, N)
        Correlation of the models' steps at a cadence; NaN for models that do not step.
    unit : str
        Of steps.
    """

    advice: tuple[CadenceAdvice, ...]
    synchrony: Mapping[str, FloatArray]
    unit: str

    @property
    def sentence(self) -> str:
        """How many models should change, and how synchronous steps are."""
        change = [a for a in self.advice if a.recommended != a.present]
        together = "; ".join(
            f"{label}: {_mean_off(matrix):.2f}" for label, matrix in self.synchrony.items()
        )
        return (
            f"{len(change)} of {len(self.advice)} models could be recalibrated at another interval "
            f"without losing {100 * self.advice[0].margin:g} % ("
            + (", ".join(f"{a.model}: {a.recommended}" for a in change) or "none")
            + f"). Mean correlation of steps by interval: {together}."
        )


def _label(hours: float) -> str:
    hours = round(60.0 * hours) / 60.0  # snapshots are some milliseconds off their grid
    if hours < 1:
        return f"{60 * hours:g} min"
    for size, unit in ((168.0, "w"), (24.0, "d")):
        if hours % size == 0:
            return f"{hours / size:g} {unit}"
    return f"{hours:g} h"


def _mean_off(matrix: FloatArray) -> float:
    off = matrix[~np.eye(len(matrix), dtype=np.bool_)]
    return float(np.mean(off[np.isfinite(off)])) if np.isfinite(off).any() else float("nan")


def _correlations(steps: FloatArray) -> FloatArray:
    """Of steps (..., N) about zero, over rows where both stepped."""
    flat = steps.reshape(-1, steps.shape[-1])
    there = np.isfinite(flat)
    filled = np.where(there, flat, 0.0)
    products = filled.T @ filled
    squares = (filled**2).T @ there.astype(np.float64)
    size = np.sqrt(squares * squares.T)
    # Both squares are over the rows that the pair has in common.
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(size > 0, products / size, np.nan))


def sweep_risk_cadences(
    history: History,
    models: Sequence[RiskModel],
    spans: Sequence[Span],
    *,
    cadences: Sequence[int] = (1, 24, 168),
    level: float = 0.025,
    most_refits: int = 24,
    margin: float = 0.01,
    alpha: float = 0.05,
    flips: int = 1999,
    rng: int = 0,
    executor: Executor | None = None,
) -> CadenceSweep:
    """Refit risk models every so many bars and compare with what each declares today.

    Spans are the blocks of the tests: they should be far enough apart to be independent. The loss
    is the tick loss of the next bar's quantile in units of the volatility of the day before.

    Parameters
    ----------
    history : History
    models : sequence of RiskModel
        The present cadence is ``requires.refit_every``; it is tried as well.
    spans : sequence of Span
    cadences : sequence of int
        Bars.
    level : float
    most_refits : int
        Of a span; shorter cadences are tried on its first bars only, and compared there.
    margin, alpha, flips, rng
        As for :func:`~commonmode.converge.cadence.advise`.
    executor : Executor, optional
        Walks are independent; nothing else is run by it.
    """
    returns = horizon_returns(history, 1)
    scale = _trailing_scale(returns)
    hours = history.step_ms / HOUR_MS
    state = np.log(scale[[span.start for span in spans]])
    grids = {m.id: tuple(sorted({*cadences, m.requires.refit_every})) for m in models}
    tasks = [
        _Walk(model, history, tuple(spans), cadence, level, most_refits)
        for model in models
        for cadence in grids[model.id]
    ]
    walks = {
        (walk.model, walk.cadence): walk
        for walk in (executor or SerialExecutor()).map(_walked, tasks)
    }
    every = sorted({c for grid in grids.values() for c in grid})
    together = {}
    for cadence in every:
        columns = [_laid_out(walks.get((model.id, cadence))) for model in models]
        keys = sorted({key for column in columns for key in column})
        table = np.array([[column.get(key, np.nan) for column in columns] for key in keys])
        together[cadence] = _correlations(np.where(table == 0.0, np.nan, table))
    rows = np.concatenate([np.arange(span.start, span.stop) for span in spans])
    block = np.repeat(np.arange(len(spans)), [span.stop - span.start for span in spans])
    advice = []
    for m, model in enumerate(models):
        trials = []
        for cadence in grids[model.id]:
            walk = walks[model.id, cadence]
            loss = np.full(len(rows), np.nan)
            ahead = walk.rows + 1
            inside = ahead < len(returns)
            made = np.full(len(ahead), np.nan)
            made[inside] = (
                pinball_loss(returns[ahead[inside]], walk.quantile[inside], level)
                / scale[walk.rows[inside]]
            )
            loss[np.searchsorted(rows, walk.rows)] = made
            with_others = np.delete(together[cadence][m], m)
            trials.append(
                CadenceTrial(
                    label=_label(cadence * hours),
                    hours=cadence * hours,
                    loss=loss,
                    noise=_noise(walk.step, _WEEK_HOURS / (cadence * hours)),
                    synchrony=float(np.nanmean(with_others))
                    if np.isfinite(with_others).any()
                    else float("nan"),
                )
            )
        advice.append(
            advise(
                model.id,
                trials,
                present=_label(model.requires.refit_every * hours),
                block=block,
                state=state,
                margin=margin,
                alpha=alpha,
                flips=flips,
                rng=rng,
            )
        )
    return CadenceSweep(
        advice=tuple(advice),
        synchrony={_label(c * hours): together[c] for c in every},
        unit="log quantile",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    model: RiskModel
    history: History
    spans: tuple[Span, ...]
    cadence: int
    level: float
    most_refits: int


def _walked(task: _Walk) -> CadenceWalk:
    return walk_at_cadence(
        task.model,
        task.history,
        task.spans,
        cadence=task.cadence,
        level=task.level,
        most_refits=task.most_refits,
    )


def _trailing_scale(returns: FloatArray) -> FloatArray:
    """Root mean square return of the last 24 bars that are there, per bar, shape (T,)."""
    there = np.isfinite(returns)
    total = np.concatenate([[0.0], np.cumsum(np.where(there, returns, 0.0) ** 2)])
    count = np.concatenate([[0], np.cumsum(there)])
    end = np.arange(1, len(returns) + 1)
    low = np.maximum(end - 24, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt((total[end] - total[low]) / (count[end] - count[low]))
    return np.where(scale > 0, scale, np.nan)


def _laid_out(walk: CadenceWalk | None) -> dict[int, float]:
    """Steps of a walk by the row of the refit."""
    if walk is None:
        return {}
    pairs = zip(walk.step_row.ravel().tolist(), walk.step.ravel().tolist(), strict=True)
    return {row: step for row, step in pairs if row >= 0}


def _noise(step: FloatArray, steps_per_week: float) -> StepNoise | None:
    moved = np.isfinite(step)
    if not moved.any() or not np.any(step[moved] != 0.0):
        return None
    return step_noise(step, steps_per_week=steps_per_week)


def surface_revisions(walks: SurfaceWalks, *, every: int, name: str = "surface") -> RevisionSteps:
    """Steps of surfaces at one cadence, with the market's own, for their synchrony."""
    walk = walks.walks[every]
    return RevisionSteps(
        name=name,
        unit="vol",
        times_ms=walk.times_ms,
        models=walks.models,
        targets=tuple(TargetId(bucket) for bucket in BUCKETS),
        step=walk.step,
        market_a=walk.market_a,
        market_b=walk.market_b,
    )


def sweep_surface_cadences(
    walks: SurfaceWalks,
    *,
    present: int,
    margin: float = 0.01,
    alpha: float = 0.05,
    flips: int = 1999,
    rng: int = 0,
) -> CadenceSweep:
    """Compare cadences of surface models with the present one.

    Parameters
    ----------
    walks : SurfaceWalks
    present : int
        Snapshots between refits today.
    margin, alpha, flips, rng
        As for :func:`~commonmode.converge.cadence.advise`.

    Raises
    ------
    DataError
        The present cadence was not tried.
    """
    if present not in walks.walks:
        raise DataError(
            f"surfaces were not walked every {present} snapshots", remedy="try the present cadence"
        )
    gap = float(np.median(np.diff(walks.times_ms))) / HOUR_MS
    longest = walks.walks[max(walks.walks)].error - walks.walks[min(walks.walks)].error
    tau = integrated_autocorrelation_time(longest)
    edges = block_edges(len(walks.times_ms), choose_block_count(len(walks.times_ms), tau))
    block = np.searchsorted(edges, np.arange(len(walks.times_ms)), side="right") - 1
    together = {
        every: _correlations(walk.step) for every, walk in walks.walks.items() if len(walk.step)
    }
    advice = []
    for m, model in enumerate(walks.models):
        trials = []
        for every, walk in sorted(walks.walks.items()):
            hours = every * gap
            with_others = np.delete(together[every][m], m) if every in together else np.zeros(0)
            trials.append(
                CadenceTrial(
                    label=_label(hours),
                    hours=hours,
                    loss=walk.error[:, m],
                    noise=_noise(walk.step[None, :, :, m], _WEEK_HOURS / hours),
                    synchrony=float(np.nanmean(with_others))
                    if np.isfinite(with_others).any()
                    else float("nan"),
                )
            )
        advice.append(
            advise(
                model,
                trials,
                present=_label(present * gap),
                block=block,
                margin=margin,
                alpha=alpha,
                flips=flips,
                rng=rng,
            )
        )
    labels = {every: _label(every * gap) for every in walks.walks}
    return CadenceSweep(
        advice=tuple(advice),
        synchrony={labels[every]: matrix for every, matrix in sorted(together.items())},
        unit="vol",
    )
