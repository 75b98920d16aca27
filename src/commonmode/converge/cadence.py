"""How often should a model be recalibrated? Error, noise and synchrony against the interval.

Rule, stated before any look at the data. A cadence is *acceptable* if its out-of-sample loss is,
with 95 % confidence (one-sided, blocks of time), less than ``margin`` above that of the model's own
present cadence. If one is significantly better than the present one (Holm over cadences), only
those that are count. Of the acceptable cadences the longest interval is recommended: every
recalibration is a change of the model to be answered for, on a date on which others change theirs
too. The present cadence is always acceptable, so without evidence nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from commonmode.converge.finding import plain
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.ids import ModelId
from commonmode.core.random import stream
from commonmode.stats.detectable import detectable_effect
from commonmode.stats.multiplicity import holm
from commonmode.stats.predictive import PredictiveAbility, giacomini_white
from commonmode.stats.signflip import sign_flip_max_test

__all__ = ["CadenceAdvice", "CadenceRow", "CadenceTrial", "StepNoise", "advise", "step_noise"]

_FEWEST_BLOCKS = 6
_RUN = 24
_UNSEEN = 5e-5  # of a loss: it would be written as 0.00 %


@dataclass(frozen=True, slots=True)
class StepNoise:
    """What recalibration at one cadence does to the reported figure while the market stands still.

    Attributes
    ----------
    size : float
        Root mean square step, in the steps' unit.
    per_week : float
        Root of the sum of squared steps in a week.
    comes_back : float
        One less the squared sum of a run of steps over the sum of their squares, at least 0: the
        part of what was moved that was undone within the run, of 24 steps at most. 0 for a random
        walk.
    at_once : float
        Lag-one reversal: minus twice the steps' autocovariance over their variance, in [0, 1]:
        noise that goes at the next refit.
    steps : int
    """

    size: float
    per_week: float
    comes_back: float
    at_once: float
    steps: int


def step_noise(step: FloatArray, *, steps_per_week: float) -> StepNoise:
    """Size and reversal of recalibration steps.

    Parameters
    ----------
    step : float64, shape (S, m) or (S, m, K)
        Runs of consecutive steps, NaN where there is none.
    steps_per_week : float

    Raises
    ------
    DataError
        No step at all.
    """
    x = np.asarray(step, np.float64)
    x = x[:, :, None] if x.ndim == 2 else x
    there = np.isfinite(x)
    if not there.any():
        raise DataError("no recalibration step", remedy="give at least two refits")
    filled = np.where(there, x, 0.0)
    square = float(np.sum(filled**2))
    count = int(there.sum())
    runs = np.add.reduceat(filled, np.arange(0, x.shape[1], _RUN), axis=1)
    run = float(np.sum(runs**2))
    pair = there[:, 1:] & there[:, :-1]
    after = float(np.sum(np.where(pair, filled[:, 1:] * filled[:, :-1], 0.0)))
    before = float(np.sum(np.where(pair, 0.5 * (filled[:, 1:] ** 2 + filled[:, :-1] ** 2), 0.0)))
    size = float(np.sqrt(square / count))
    return StepNoise(
        size=size,
        per_week=size * float(np.sqrt(steps_per_week)),
        comes_back=max(1.0 - run / square, 0.0) if square > 0 else 0.0,
        at_once=float(np.clip(-2.0 * after / before, 0.0, 1.0)) if before > 0 else 0.0,
        steps=count,
    )


@dataclass(frozen=True, slots=True, eq=False)
class CadenceTrial:
    """One model at one cadence.

    Attributes
    ----------
    label : str
        E.g. "1 d".
    hours : float
    loss : float64, shape (n,)
        Out of sample, in one unit for all cadences; NaN where it was not tried.
    noise : StepNoise or None
        None for a model that has nothing to recalibrate.
    synchrony : float
        Mean correlation of the model's steps with the others' at this cadence; NaN if unknown.
    """

    label: str
    hours: float
    loss: FloatArray
    noise: StepNoise | None
    synchrony: float = float("nan")


@dataclass(frozen=True, slots=True)
class CadenceRow:
    """How one cadence compares with the present one.

    Attributes
    ----------
    label : str
    hours : float
    loss : float
        Mean over the times that both have.
    change : float
        Loss over that of the present cadence, less one.
    low, high : float
        95 % interval of ``change``.
    detectable : float
        Smallest gain, as a share of the loss, that would have been found with 80 % probability.
    p_better, p_worse : float
        One-sided; Holm over cadences for better.
    conditional : PredictiveAbility or None
        Giacomini-White on blocks with the state: can it be foretold when which is better?
    noise : StepNoise or None
    synchrony : float
    acceptable : bool
    """

    label: str
    hours: float
    loss: float
    change: float
    low: float
    high: float
    detectable: float
    p_better: float
    p_worse: float
    conditional: PredictiveAbility | None
    noise: StepNoise | None
    synchrony: float
    acceptable: bool


@dataclass(frozen=True, slots=True)
class CadenceAdvice:
    """The recommended cadence of one model.

    Attributes
    ----------
    model : ModelId
    rows : tuple of CadenceRow
        Shortest interval first.
    present, recommended : str
    blocks : int
    margin : float
    """

    model: ModelId
    rows: tuple[CadenceRow, ...]
    present: str
    recommended: str
    blocks: int
    margin: float

    def words_of(self, row: CadenceRow) -> str:
        """One interval against the present one: change, 95 % interval, detectable gain."""
        return (
            f"{self.model} every {row.label} {_change_words(row)}, "
            f"{_detectable_words(row.detectable)}"
        )

    @property
    def sentence(self) -> str:
        """What to do, and the numbers it rests on."""
        by = {row.label: row for row in self.rows}
        now, best = by[self.present], by[self.recommended]
        if now.noise is None:
            return (
                f"{self.model}: recalibration changes nothing it reports; its window is its "
                "calibration and moves with every bar (no loss to compare: no interval, no "
                "detectable effect). What to do: nothing."
            )
        others = "; ".join(
            f"{row.label} {_change_words(row)}, {_detectable_words(row.detectable)}"
            for row in self.rows
            if row is not now
        )
        tested = f"{others}; {self.blocks} blocks, gains found with 80 % probability"
        if best is now:
            return (
                f"{self.model}: no interval longer than {now.label} is known to lose less than "
                f"{100 * self.margin:g} %, no other to be better. Loss against it: {tested}. "
                f"What to do: keep {now.label}."
            )
        quieter = ""
        if best.noise is not None and now.noise.per_week > 0:
            share = best.noise.per_week / now.noise.per_week
            quieter = f" and it moves {100 * share:.0f} % of what it moves now in a week"
        return (
            f"{self.model}: recalibrated every {best.label} instead of {now.label} its loss "
            f"differs by {_change_words(best)}{quieter}. All: {tested}. What to do: recalibrate "
            f"every {best.label}."
        )


def advise(
    model: ModelId,
    trials: Sequence[CadenceTrial],
    *,
    present: str,
    block: IntArray,
    state: FloatArray | None = None,
    margin: float = 0.01,
    alpha: float = 0.05,
    flips: int = 1999,
    rng: int = 0,
) -> CadenceAdvice:
    """Compare cadences with the present one and recommend.

    Parameters
    ----------
    model : ModelId
    trials : sequence of CadenceTrial
    present : str
        Label of the cadence in use.
    block : int64, shape (n,)
        Number of the block of time each loss belongs to; blocks count as independent.
    state : float64, shape (B,), optional
        Of the market at the start of each block, for the conditional test.
    margin : float
        Loss that may be given up for quiet, as a share of the present one.
    alpha, flips, rng

    Raises
    ------
    DataError
        No trial of the present cadence, or fewer than six blocks.
    """
    known = {trial.label: trial for trial in trials}
    numbers = np.unique(block)
    if present not in known or len(numbers) < _FEWEST_BLOCKS:
        raise DataError(
            f"{model}: present cadence {present!r}, trials {', '.join(known)}, "
            f"{len(numbers)} blocks",
            remedy=f"try the present cadence too, over {_FEWEST_BLOCKS} blocks of time or more",
        )
    now = known[present]
    compared = {}
    for trial in trials:
        if trial is not now:
            compared[trial.label] = _compare(
                trial, now, block, numbers, state, stream(rng, "cadence", model, trial.label), flips
            )
    adjusted = holm(np.array([c.p_better for c in compared.values()]))
    better = dict(zip(compared, adjusted.tolist(), strict=True))
    first_step = alpha / max(len(compared), 1)  # Holm's strictest
    rows = []
    for trial in sorted(trials, key=lambda t: t.hours):
        c = compared.get(trial.label) or _itself(now)
        rows.append(
            CadenceRow(
                label=trial.label,
                hours=trial.hours,
                loss=c.loss,
                change=c.change,
                low=c.change - c.reach * c.error,
                high=c.change + c.reach * c.error,
                detectable=_detectable(c.error, c.blocks, first_step),
                p_better=better.get(trial.label, 1.0),
                p_worse=c.p_worse,
                conditional=c.conditional,
                noise=trial.noise,
                synchrony=trial.synchrony,
                acceptable=c.change + c.one_sided * c.error < margin,
            )
        )
    chosen = [r for r in rows if r.p_better <= alpha and r.acceptable] or [
        r for r in rows if r.acceptable
    ]
    # A model that recalibration does not change has nothing to gain from another date.
    recommended = present if now.noise is None else max(chosen, key=lambda r: r.hours).label
    return CadenceAdvice(model, tuple(rows), present, recommended, len(numbers), margin)


@dataclass(frozen=True, slots=True)
class _Compared:
    loss: float
    change: float
    error: float
    blocks: int
    reach: float
    one_sided: float
    p_better: float
    p_worse: float
    conditional: PredictiveAbility | None


def _itself(now: CadenceTrial) -> _Compared:
    return _Compared(float(np.nanmean(now.loss)), 0.0, 0.0, 0, 0.0, 0.0, 1.0, 1.0, None)


def _change_words(row: CadenceRow) -> str:
    """Change of the loss with its interval, to the digits that matter."""
    if max(abs(row.low), abs(row.high)) < _UNSEEN:
        return "less than 0.01 % either way"
    return f"{_digits(row.change)} % ({_digits(row.low)} to {_digits(row.high)})"


def _digits(share: float) -> str:
    return plain(100 * share, "+.2f" if abs(share) < 0.1 else "+.0f")


def _detectable_words(share: float) -> str:
    if share >= 1.0:
        return "no gain could be found"
    return f"detectable {100 * share:.2f} %" if share >= _UNSEEN else "detectable below 0.01 %"


def _detectable(error: float, blocks: int, alpha: float) -> float:
    if error == 0.0:
        return 0.0  # the cadences do the same, or it is the present one
    return error * detectable_effect(float(stdtrit(blocks - 1, 1.0 - alpha)), blocks)


def _compare(
    trial: CadenceTrial,
    now: CadenceTrial,
    block: IntArray,
    numbers: IntArray,
    state: FloatArray | None,
    rng: np.random.Generator,
    flips: int,
) -> _Compared:
    use = np.isfinite(trial.loss) & np.isfinite(now.loss)
    place = np.searchsorted(numbers, block[use])
    difference = np.bincount(place, trial.loss[use] - now.loss[use], len(numbers)).astype(
        np.float64
    )
    base = np.bincount(place, now.loss[use], minlength=len(numbers))
    seen = np.bincount(place, minlength=len(numbers)) > 0
    difference, base = difference[seen], base[seen]
    if len(difference) < _FEWEST_BLOCKS or not base.sum() > 0:
        raise DataError(
            f"cadences {trial.label} and {now.label}: {len(difference)} blocks in common",
            remedy=f"give {_FEWEST_BLOCKS} or more",
        )
    total = float(base.sum())
    change = float(difference.sum()) / total
    n = len(difference)
    left = difference - change * base
    error = float(np.sqrt(n / (n - 1) * np.sum(left**2))) / total
    p_worse, p_better = 1.0, 1.0
    if np.any(difference != 0.0):
        test = sign_flip_max_test(
            np.column_stack([difference, -difference]), flips=flips, rng=rng
        ).p_single
        p_worse, p_better = float(test[0]), float(test[1])
    conditional = None
    if state is not None and n > 4 and np.any(difference != 0.0):
        centred = state[seen] - state[seen].mean()
        if np.any(centred != 0.0):
            conditional = giacomini_white(difference, np.column_stack([np.ones(n), centred]))
    return _Compared(
        loss=float(np.mean(trial.loss[use])),
        change=change,
        error=error,
        blocks=n,
        reach=float(stdtrit(n - 1, 0.975)),
        one_sided=float(stdtrit(n - 1, 0.95)),
        p_better=p_better,
        p_worse=p_worse,
        conditional=conditional,
    )
