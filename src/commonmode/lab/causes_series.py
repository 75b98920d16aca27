"""Stationary series with memory, heavy tails, clustering and jumps, and their standard form."""

from __future__ import annotations

import math

import numpy as np
from scipy.signal import fftconvolve, lfilter

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.lab.causes_design import Memory, ProcessDesign

__all__ = ["held", "process_series", "standardised", "two_states"]

#: Steps thrown away before a process is looked at, and reach of the long memory.
_BURN_IN = 1000


def two_states(rng: np.random.Generator, times: int, share: float, duration: float) -> BoolArray:
    """A stationary two-state Markov chain, shape (times,).

    Parameters
    ----------
    rng : numpy.random.Generator
    times : int
    share : float
        Part of the time in the state, in (0, 1).
    duration : float
        Mean stay in the state, in times, at least 1.
    """
    # Stays are geometric; twice the expected number of cycles is drawn, and more when short.
    duration = max(duration, 1.0)
    other = max(duration * (1.0 - share) / share, 1.0)
    state = bool(rng.random() < share)
    spans: list[int] = []
    total = 0
    while total < times:
        stays = rng.geometric(1.0 / np.tile([duration, other] if state else [other, duration], 64))
        spans += stays.tolist()
        total += int(stays.sum())
    values = np.arange(len(spans)) % 2 == (0 if state else 1)
    return np.repeat(values, spans)[:times]


def held(values: FloatArray, renew: BoolArray) -> FloatArray:
    """``values`` held since the last time marked in ``renew``, shape of values (T, ...).

    Before the first mark the first value holds.
    """
    last = np.maximum.accumulate(np.where(renew, np.arange(len(renew)), 0))
    return np.asarray(values[last])


def standardised(series: FloatArray) -> FloatArray:
    """Mean 0 and standard deviation 1 over the times (axis 0); a constant becomes 0."""
    centred = series - series.mean(axis=0)
    sd = np.sqrt(np.mean(centred**2, axis=0))
    return np.asarray(centred / np.where(sd > 0, sd, 1.0))


def _clustered(noise: FloatArray, alpha: float, beta: float) -> FloatArray:
    """GARCH(1,1) with unit mean variance driven by ``noise`` (Bollerslev 1986, eq. 1-2)."""
    gain = alpha * noise**2 + beta
    base = 1.0 - alpha - beta
    variance = np.empty_like(noise)
    now = np.ones(noise.shape[1])
    for t, factor in enumerate(gain):
        variance[t] = now
        now = base + factor * now
    return np.asarray(noise * np.sqrt(variance))


def _innovations(
    design: ProcessDesign, rng: np.random.Generator, times: int, count: int
) -> FloatArray:
    """Innovations of about unit variance before jumps, shape (times, count)."""
    dof = design.degrees_of_freedom
    if math.isinf(dof):
        noise = rng.standard_normal((times, count))
    else:
        noise = rng.standard_t(dof, (times, count)) / math.sqrt(dof / (dof - 2.0))
    alpha, beta = design.garch
    if alpha > 0:
        noise = _clustered(noise, alpha, beta)
    if design.jump_rate > 0:
        number = rng.poisson(design.jump_rate * times * count)
        where = rng.integers(0, times * count, number)
        size = design.jump_size * rng.choice([-1.0, 1.0], number) * rng.uniform(0.5, 1.5, number)
        np.add.at(noise.reshape(-1), where, size)
    return np.asarray(noise)


def process_series(
    design: ProcessDesign,
    rng: np.random.Generator,
    times: int,
    count: int,
    correlation: float = 0.0,
) -> FloatArray:
    """Draw ``count`` series of one law, standardised, shape (times, count).

    Parameters
    ----------
    design : ProcessDesign
    rng : numpy.random.Generator
    times, count : int
    correlation : float
        Between the series, by a further series common to all (none is drawn for one series).
    """
    extra = 1 if count > 1 and correlation > 0 else 0
    burn = 1 if design.memory is Memory.REGIME else _BURN_IN
    noise = _innovations(design, rng, times + burn, count + extra)
    if design.memory is Memory.LONG:
        # ARFIMA(0, d, 0): psi_k = psi_{k-1} (k - 1 + d) / k (Hosking 1981, theorem 1).
        k = np.arange(1, _BURN_IN)
        psi = np.concatenate(([1.0], np.cumprod((k - 1 + design.d) / k)))
        series = fftconvolve(noise, psi[:, None], axes=0)[: len(noise)]
    else:
        series = lfilter([1.0], [1.0, -design.phi], noise, axis=0)
        series *= math.sqrt(1.0 - design.phi**2)
    series = standardised(series[burn:])
    if design.memory is Memory.REGIME:
        states = [two_states(rng, times, 0.5, design.duration) for _ in range(count + extra)]
        series = series + 2.0 * np.stack(states, axis=1) - 1.0
        series = standardised(series)
    if extra:
        own, common = series[:, :count], series[:, count:]
        series = math.sqrt(1.0 - correlation) * own + math.sqrt(correlation) * common
    return standardised(series)
