"""How a shared component moves those who use it: one series per target, a function of the market,
of the component's own accidents, or of both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.lab.causes_design import CauseDesign, Mechanism
from commonmode.lab.causes_market import WARM_UP, CauseMarket, lag_behind, look_back
from commonmode.lab.causes_series import held, process_series, standardised, two_states

__all__ = ["cause_series", "user_series"]

#: Correlation of a source's or vendor's errors on two targets: one firm, several series.
_ACROSS_TARGETS = 0.7
_DAY = 24

Series = Callable[[CauseDesign, CauseMarket, np.random.Generator], FloatArray]


def _noise(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """Errors of a source or a vendor."""
    times, targets = market.log_vol.shape
    return process_series(design.process, rng, times, targets, _ACROSS_TARGETS)


def _delay(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """The source tells what volatility was some times ago."""
    steps = round(design.span)
    old = np.concatenate((np.repeat(market.log_vol[:1], steps, axis=0), market.log_vol[:-steps]))
    return np.asarray(old - market.log_vol)


def _stale(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """The source freezes now and then, a fifth of the time."""
    frozen = two_states(rng, len(market.stress), 0.2, design.span)
    return held(market.log_vol, ~frozen) - market.log_vol


def _thin_tails(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """Tails as in calm times: wrong whenever the market's tails thicken."""
    calm = market.tail[~market.stress][0]
    wrong = np.log(calm / market.tail)
    return np.repeat(wrong[:, None], market.log_vol.shape[1], axis=1)


def _mean_reversion(
    design: CauseDesign, market: CauseMarket, rng: np.random.Generator
) -> FloatArray:
    """Volatility is believed to be on its way back to its mean."""
    return np.asarray(market.log_vol.mean(axis=0) - market.log_vol)


def _optimiser(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """At each run the solver may end in a wrong minimum, and stays there until the next run."""
    times, targets = market.log_vol.shape
    found = rng.standard_normal((times, targets)) * (rng.random((times, targets)) < 0.3)
    common = rng.standard_normal((times, 1)) * (rng.random((times, 1)) < 0.3)
    period = round(design.span)
    return held(found + common, np.arange(times) % period == 0)


def _smoother(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """The same exponential average lags behind volatility."""
    return lag_behind(market, design.span)


def _window(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """The same memory of the past: volatility over one look-back."""
    return look_back(market, round(design.span)) - market.log_vol


def _recalibration(
    design: CauseDesign, market: CauseMarket, rng: np.random.Generator
) -> FloatArray:
    """Calibrated at the same times and held in between."""
    renew = np.arange(len(market.stress)) % round(design.span) == 0
    return held(market.log_vol, renew) - market.log_vol


def _revisions(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """A vendor's level is revised at random times and half forgets the last one."""
    times, targets = market.log_vol.shape
    renew = rng.random(times) < 1.0 / design.span
    number = int(np.count_nonzero(renew)) + 1
    steps = rng.standard_normal((number, targets)) + rng.standard_normal((number, 1))
    levels = lfilter([1.0], [1.0, -0.5], steps, axis=0)
    return np.asarray(levels[np.cumsum(renew)])


def _clamp(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """A floor or a cap under the library's volatility: acts only beyond it."""
    floor = design.mechanism is Mechanism.FLOOR
    edge = np.quantile(
        market.log_vol[WARM_UP:], design.edge if floor else 1.0 - design.edge, axis=0
    )
    gap = edge - market.log_vol
    return np.maximum(gap, 0.0) if floor else np.minimum(gap, 0.0)


def _calendar(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """A clock defect: a third of each day is scaled wrongly, every day by another amount."""
    times, targets = market.log_vol.shape
    hour, day = np.arange(times) % _DAY, np.arange(times) // _DAY
    first = int(rng.integers(_DAY))
    amount = 1.0 + 0.5 * rng.standard_normal((int(day[-1]) + 1, targets))
    return np.asarray(amount[day] * ((hour - first) % _DAY < _DAY // 3)[:, None])


_SERIES: dict[Mechanism, Series] = {
    Mechanism.SOURCE_ERROR: _noise,
    Mechanism.SOURCE_DELAY: _delay,
    Mechanism.STALE_SOURCE: _stale,
    Mechanism.THIN_TAILS: _thin_tails,
    Mechanism.MEAN_REVERSION: _mean_reversion,
    Mechanism.OPTIMISER: _optimiser,
    Mechanism.SMOOTHER: _smoother,
    Mechanism.WINDOW: _window,
    Mechanism.RECALIBRATION: _recalibration,
    Mechanism.VENDOR_NOISE: _noise,
    Mechanism.VENDOR_REVISION: _revisions,
    Mechanism.FLOOR: _clamp,
    Mechanism.CAP: _clamp,
    Mechanism.CALENDAR: _calendar,
}


def cause_series(design: CauseDesign, market: CauseMarket, rng: np.random.Generator) -> FloatArray:
    """What the component does to its users before any lag, shape (W + T, K), in no unit."""
    return _SERIES[design.mechanism](design, market, rng)


def user_series(series: FloatArray, stress: BoolArray | None, lag: int) -> FloatArray:
    """The shown part of a cause as it reaches a user, standardised, shape (T, K).

    Parameters
    ----------
    series : float64, shape (W + T, K)
    stress : bool, shape (W + T,), or None
        Where given, the component acts only then.
    lag : int
        Times by which it comes late, at most ``WARM_UP``.
    """
    active = series if stress is None else series * stress[:, None]
    return standardised(active[WARM_UP - lag : len(active) - lag])
