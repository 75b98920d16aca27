"""The market of a world of known causes, and what can be said of it from its past."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import stdtrit

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.lab.causes_design import MarketDesign
from commonmode.lab.causes_series import two_states

__all__ = ["WARM_UP", "CauseMarket", "lag_behind", "look_back", "simulate_market"]

#: Times simulated before the first that is shown, so that every look-back is full.
WARM_UP = 1000


@dataclass(frozen=True, slots=True, eq=False)
class CauseMarket:
    """Market on ``WARM_UP + T`` times and K targets.

    Attributes
    ----------
    log_vol : float64, shape (W + T, K)
        Log standard deviation of the return, known to nobody.
    returns : float64, shape (W + T, K)
        Realised after the forecast of the same row.
    stress : bool, shape (W + T,)
    tail : float64, shape (W + T,)
        Lower quantile of the surprise in standard deviations, negative.
    level : float
    """

    log_vol: FloatArray
    returns: FloatArray
    stress: BoolArray
    tail: FloatArray
    level: float


def _correlated(noise: FloatArray, correlation: float) -> FloatArray:
    """Columns with the correlation, from (times, K + 1) independent ones of unit variance."""
    own, common = noise[:, :-1], noise[:, -1:]
    return np.asarray(math.sqrt(1.0 - correlation) * own + math.sqrt(correlation) * common)


def simulate_market(
    design: MarketDesign, rng: np.random.Generator, times: int, targets: int, level: float
) -> CauseMarket:
    """Simulate ``times`` shown times after the warm-up.

    Surprises are Student-t with the regime's degrees of freedom: a correlated normal over the root
    of a chi-square common to the targets, so that the margins are exactly t.
    """
    length = WARM_UP + times
    while True:
        stress = two_states(rng, length, design.stress_share, design.stress_duration)
        shown = stress[WARM_UP:]
        # A history that never saw stress says nothing about what happens in stress.
        if np.count_nonzero(shown[1:] & ~shown[:-1]) >= 2:
            break
    phi = design.log_vol_phi
    noise = rng.standard_normal((length, targets + 1))
    noise[0] /= math.sqrt(1.0 - phi**2)
    wander = math.sqrt(1.0 - phi**2) * lfilter([1.0], [1.0, -phi], noise, axis=0)
    log_vol = math.log(0.01) + design.log_vol_sd * _correlated(wander, design.target_correlation)
    log_vol = log_vol + design.stress_rise * stress[:, None]

    dof = np.where(stress, design.stress_dof, design.calm_dof)
    normal = _correlated(rng.standard_normal((length, targets + 1)), design.target_correlation)
    chi = 2.0 * rng.standard_gamma(0.5 * dof)
    surprise = normal * np.sqrt((dof - 2.0) / chi)[:, None]
    tails = {
        d: float(stdtrit(d, level)) * math.sqrt((d - 2.0) / d)
        for d in (design.calm_dof, design.stress_dof)
    }
    return CauseMarket(
        log_vol=np.asarray(log_vol),
        returns=np.asarray(np.exp(log_vol) * surprise),
        stress=stress,
        tail=np.where(stress, tails[design.stress_dof], tails[design.calm_dof]),
        level=level,
    )


def look_back(market: CauseMarket, window: int) -> FloatArray:
    """Log root mean square of the last ``window`` returns, without the row's own, shape (W + T, K).

    The first ``window`` rows hold the first full value; they lie in the warm-up.
    """
    total = np.cumsum(market.returns**2, axis=0)
    padded = np.concatenate((np.zeros((1, total.shape[1])), total))
    mean = (padded[window:-1] - padded[: -window - 1]) / window
    # Differences of sums can round to zero at the smallest windows.
    value = 0.5 * np.log(np.maximum(mean, 1e-12))
    return np.concatenate((np.repeat(value[:1], window, axis=0), value))


def lag_behind(market: CauseMarket, span: float) -> FloatArray:
    """Log vol seen through an exponential average of mean age ``span``, minus the true one."""
    keep = 1.0 - 1.0 / span
    seen = lfilter([1.0 - keep], [1.0, -keep], np.log(np.abs(market.returns) + 1e-8), axis=0)
    before = np.concatenate((seen[:1], seen[:-1]))
    return np.asarray(before - market.log_vol)
