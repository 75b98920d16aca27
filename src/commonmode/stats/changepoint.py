"""Change points: in hindsight by CUSUM, as they come by a window-limited likelihood ratio.

Both measure a shift in units of the long-run standard deviation of a dependent series. The
monitoring rule works on normal scores of ranks in the baseline, so that its threshold depends on no
law of the data, and the threshold is simulated for its whole use -- windows, length of the
baseline, error of the baseline's own law and long-run variance, horizon: its false-alarm rate is
stated, not hoped for.

References
----------
Lai (1995), Sequential changepoint detection in quality control, J. R. Statist. Soc. B 57(4), for
window-limited rules; Chu, Stinchcombe & White (1996), Monitoring structural change, Econometrica
64(5), for monitoring against an estimated baseline; Ploberger & Kraemer (1992), The CUSUM test with
OLS residuals, Econometrica 60(2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import kolmogorov, ndtri

from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import DataError
from commonmode.core.random import as_generator
from commonmode.stats.hac import cosine_count, long_run_covariance

__all__ = [
    "Baseline",
    "CusumTest",
    "WindowRule",
    "baseline_of",
    "cusum_test",
    "normal_scores",
    "window_rule",
    "window_statistic",
]

_FEWEST = 20
_CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Baseline:
    """Mean of a dependent series over a period that is taken as normal.

    Attributes
    ----------
    mean : float
    long_run_sd : float
        Root of the long-run variance: the standard error of the mean is this over the root of rows.
    rows : int
    degrees : int
        Cosines behind ``long_run_sd``.
    """

    mean: float
    long_run_sd: float
    rows: int
    degrees: int

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return float(self.long_run_sd / np.sqrt(self.rows))


def baseline_of(values: FloatArray) -> Baseline:
    """Mean and long-run standard deviation; NaN rows are left out.

    Parameters
    ----------
    values : float64, shape (T,)

    Raises
    ------
    DataError
        Fewer than 20 values, or a series that does not move.
    """
    x = np.asarray(values, np.float64)
    x = x[np.isfinite(x)]
    if len(x) < _FEWEST:
        raise DataError(
            f"a baseline of {len(x)} values", remedy=f"give at least {_FEWEST}: a longer baseline"
        )
    count = cosine_count(len(x))
    centred = x - x.mean()
    sd = float(np.sqrt(long_run_covariance(centred[:, None], count)[0, 0]))
    # What is left of a constant after its mean is taken off is rounding.
    if not sd > 1e-12 * float(np.abs(x).max()):
        raise DataError(
            "the series does not move over the baseline", remedy="choose a longer baseline"
        )
    return Baseline(float(x.mean()), sd, len(x), count)


@dataclass(frozen=True, slots=True)
class CusumTest:
    """Test that a mean never changed, with the likeliest time of change.

    Attributes
    ----------
    statistic : float
        Largest ``|S_k - k/T S_T| / (sd sqrt(T))``.
    p_value : float
        Of the Kolmogorov law.
    change : int
        First row after the change, if there was one.
    before, after : float
        Means.
    """

    statistic: float
    p_value: float
    change: int
    before: float
    after: float


def cusum_test(values: FloatArray) -> CusumTest:
    """CUSUM test with a long-run variance, in hindsight over the whole series.

    Parameters
    ----------
    values : float64, shape (T,)
        Without gaps.

    Raises
    ------
    DataError
        As in :func:`baseline_of`, or gaps.
    """
    x = np.asarray(values, np.float64)
    if not np.isfinite(x).all():
        raise DataError("a CUSUM needs a series without gaps", remedy="leave missing rows out")
    whole = baseline_of(x)
    path = np.cumsum(x - whole.mean)[:-1]
    at = int(np.argmax(np.abs(path)))
    statistic = float(np.abs(path[at]) / (whole.long_run_sd * np.sqrt(len(x))))
    return CusumTest(
        statistic=statistic,
        p_value=float(kolmogorov(statistic)),
        change=at + 1,
        before=float(x[: at + 1].mean()),
        after=float(x[at + 1 :].mean()),
    )


@dataclass(frozen=True, slots=True)
class WindowRule:
    """When a window-limited likelihood ratio raises an alarm.

    Attributes
    ----------
    windows : tuple of int
        Numbers of latest observations that are compared with the baseline.
    threshold : float
        In standard errors.
    false_alarm : float
        Probability of an alarm within ``horizon`` observations under the null.
    horizon : int
    simulation_error : float
        Standard error of that probability from the finite number of simulated paths.
    """

    windows: tuple[int, ...]
    threshold: float
    false_alarm: float
    horizon: int
    simulation_error: float


def window_rule(
    windows: tuple[int, ...],
    *,
    baseline_rows: int,
    horizon: int,
    false_alarm: float,
    paths: int = 4000,
    rng: int | np.random.Generator = 0,
) -> WindowRule:
    """Simulate the threshold that gives a stated probability of a false alarm.

    Each path has a baseline of its own, from which everything is estimated as in use, then
    ``horizon`` observations without any change.

    Parameters
    ----------
    windows : tuple of int
    baseline_rows : int
    horizon : int
        Observations over which ``false_alarm`` is counted, e.g. those of a year.
    false_alarm : float
        In (0, 1).
    paths : int
    rng : int or Generator
    """
    if not windows or min(windows) < 1 or max(windows) > horizon or not 0 < false_alarm < 1:
        raise DataError(
            f"windows {windows}, horizon {horizon}, false-alarm probability {false_alarm}",
            remedy="windows from 1 to the horizon, a probability between 0 and 1",
        )
    generator = as_generator(rng, "window-rule", baseline_rows, horizon, paths)
    tops = np.empty(paths)
    step = max(1, _CELLS // horizon)
    for low in range(0, paths, step):
        count = min(step, paths - low)
        noise = generator.random((horizon, count))  # ranks are the same under any law
        reference = generator.random((baseline_rows, count))
        gap = np.empty_like(noise)
        for path in range(count):
            gap[:, path] = _standard_scores(noise[:, path], reference[:, path])
        tops[low : low + count] = _windows(gap, windows, baseline_rows)[0].max(axis=0)
    return WindowRule(
        windows=windows,
        threshold=float(np.quantile(tops, 1.0 - false_alarm)),
        false_alarm=false_alarm,
        horizon=horizon,
        simulation_error=float(np.sqrt(false_alarm * (1 - false_alarm) / paths)),
    )


def normal_scores(values: FloatArray, reference: FloatArray) -> FloatArray:
    """``Phi^-1`` of the rank of each value among n reference values, ties in the middle.

    ``((number below + half the ties) + 1/2) / (n + 1)``; never beyond ``Phi^-1(1 - 1/(2n + 2))``.
    NaN becomes 0, the middle.

    Parameters
    ----------
    values : float64, shape (T,)
    reference : float64, shape (n,)
        Without NaN.
    """
    known = np.sort(np.asarray(reference, np.float64))
    x = np.asarray(values, np.float64)
    below = np.searchsorted(known, x, side="left") + np.searchsorted(known, x, side="right")
    return np.where(np.isnan(x), 0.0, ndtri((0.5 * below + 0.5) / (len(known) + 1.0)))


def window_statistic(
    values: FloatArray, reference: FloatArray, windows: tuple[int, ...]
) -> tuple[FloatArray, IntArray]:
    """Largest standardised rise of the latest normal scores above the baseline's, and its window.

    ``max_w (mean of the last w scores) / (sd sqrt(1/w + 1/n))`` with n values of baseline, whose
    scores have mean zero and long-run standard deviation ``sd``.

    Parameters
    ----------
    values : float64, shape (T,)
        After the baseline; NaN counts as the middle, which speaks for no change.
    reference : float64, shape (n,)
        The baseline's values, in order of time.
    windows : tuple of int

    Returns
    -------
    statistic : float64, shape (T,)
        ``-inf`` before the shortest window is full.
    window : int64, shape (T,)

    Raises
    ------
    DataError
        As in :func:`baseline_of`.
    """
    known = np.asarray(reference, np.float64)
    known = known[np.isfinite(known)]
    gap = _standard_scores(np.asarray(values, np.float64), known)[:, None]
    top, which = _windows(gap, windows, len(known))
    return top[:, 0], np.asarray(windows, np.int64)[which[:, 0]]


def _standard_scores(values: FloatArray, reference: FloatArray) -> FloatArray:
    base = baseline_of(normal_scores(reference, reference))
    return np.asarray((normal_scores(values, reference) - base.mean) / base.long_run_sd)


def _windows(
    gap: FloatArray, windows: tuple[int, ...], baseline_rows: int
) -> tuple[FloatArray, IntArray]:
    """Largest over windows and its number, shapes (T, P)."""
    total = np.concatenate([np.zeros((1, gap.shape[1])), np.cumsum(gap, axis=0)])
    top = np.full(gap.shape, -np.inf)
    which = np.zeros(gap.shape, np.int64)
    for number, w in enumerate(windows):
        if w > len(gap):
            continue
        scale = w * np.sqrt(1.0 / w + 1.0 / baseline_rows)
        value = (total[w:] - total[:-w]) / scale
        better = value > top[w - 1 :]
        top[w - 1 :] = np.where(better, value, top[w - 1 :])
        which[w - 1 :] = np.where(better, number, which[w - 1 :])
    return top, which
