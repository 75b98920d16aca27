"""Deviations of models that follow one another, or only look as if: truth known."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import brentq
from scipy.signal import lfilter

from commonmode.core.ids import ModelId, TargetId
from commonmode.core.units import HOUR_MS
from commonmode.panel.error_panel import ErrorPanel, PanelKind
from commonmode.stats.crosslags import following_contributions, solve_moments, spillover_tables

Kind = Literal["alone", "shared shocks", "hidden part", "filtered part", "chain"]
_BURN = 300


def autoregression(shocks: np.ndarray, memory: float) -> np.ndarray:
    return np.asarray(lfilter([1.0], [1.0, -memory], shocks, axis=0))


def following_views(
    kind: Kind,
    seed: int,
    *,
    times: int = 5000,
    models: int = 6,
    strength: float = 0.15,
    lag: int = 1,
    noise: float = 1.0,
    noise_memory: float = 0.9,
    heavy: bool = False,
    regimes: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Deviations of standard deviation 0.15 less the noise of either benchmark, (T, N) each.

    ``alone``: memories of their own. ``shared shocks``: half of each shock is everybody's, memories
    differ. ``hidden part``: half of the variance is one long-lived series. ``filtered part``: such
    a series in the shocks of models with different memories. ``chain``: 1 follows 0 and 2 follows
    1, with 30 % of every shock shared. ``noise`` is a benchmark's over a deviation.
    """
    rng = np.random.default_rng(seed)
    t = times + _BURN

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_t(4, shape) / np.sqrt(2) if heavy else rng.standard_normal(shape)

    own, common = draw((t, models)), draw((t, 1))
    if regimes:
        scale = np.where(np.cumsum(rng.random(t) < 0.01) % 2 == 1, 3.0, 1.0)[:, None]
        own, common = own * scale, common * scale
    memories = np.linspace(0.6, 0.97, models)
    if kind == "alone":
        d = autoregression(own, 0.9)
    elif kind == "shared shocks":
        shocks = np.sqrt(0.5) * (own + common)
        d = np.column_stack([autoregression(shocks[:, i], m) for i, m in enumerate(memories)])
    elif kind == "hidden part":
        part, rest = autoregression(common, 0.97), autoregression(own, 0.8)
        d = part / part.std() + rest / rest.std()
    elif kind == "filtered part":
        shocks = own + 0.5 * autoregression(common, 0.9)
        d = np.column_stack([autoregression(shocks[:, i], m) for i, m in enumerate(memories)])
    else:
        shocks, d = np.sqrt(0.7) * own + np.sqrt(0.3) * common, np.zeros((t, models))
        for row in range(lag, t):
            d[row] = 0.8 * d[row - 1] + shocks[row]
            d[row, 1:3] += strength * d[row - lag, 0:2]
    d = d[_BURN:]
    d = 0.15 * d / d.std(axis=0)
    blur = 0.15 * noise * np.sqrt(1.0 - noise_memory**2)
    a, b = (autoregression(rng.standard_normal(t), noise_memory)[_BURN:] * blur for _ in range(2))
    return d - a[:, None], d - b[:, None]


def following_panel(
    x: np.ndarray, y: np.ndarray, *, missing: float = 0.0, seed: int = 0
) -> ErrorPanel:
    """A volatility panel with these deviations from its two benchmarks, rows missing at random."""
    t, n = x.shape
    forecast = np.exp(x)
    forecast[np.random.default_rng(seed).random(t) < missing] = np.nan
    one = np.ones((t, 1))
    return ErrorPanel(
        name="following",
        kind=PanelKind.VOL,
        level=0.0,
        horizon_ms=HOUR_MS,
        times_ms=np.arange(t, dtype=np.int64) * HOUR_MS,
        models=tuple(ModelId(f"model-{i}") for i in range(n)),
        targets=(TargetId("ONE"),),
        forecast=forecast[:, None, :],
        outcome=one,
        scale=one,
        benchmark_a=one,
        benchmark_b=np.exp(x[:, :1] - y[:, :1]),
    )


def chain_moments(strength: float) -> np.ndarray:
    """Moments of the chain of six and its past, if its history had no end."""
    n = 6
    phi = 0.8 * np.eye(n)
    phi[1, 0] = phi[2, 1] = strength
    now = solve_discrete_lyapunov(phi, 0.7 * np.eye(n) + 0.3)
    return np.block([[now, phi @ now], [(phi @ now).T, now]])


def chain_strength(partial: float, *, sender: int = 0) -> float:
    """Strength of the chain whose link from this model has this partial correlation."""

    def off(strength: float) -> float:
        scores, scale = following_contributions(chain_moments(strength)[None], 6)
        link = 0, sender + 1, sender
        return float(scores.sum(axis=0)[link] * scale[link]) - partial

    return float(brentq(off, 0.01, 0.5))


def true_chain(strength: float) -> tuple[float, float]:
    """Total and lagged share 24 rows ahead of the chain of six."""
    moments = chain_moments(strength)
    system = solve_moments(moments[None], 6)
    whole = spillover_tables(system.coefficients, system.covariance, (24,))[0, 0]
    apart = spillover_tables(system.own, system.own_covariance, (24,))[0, 0]
    total = 1.0 - float(np.diag(whole).mean())
    return total, total - (1.0 - float(np.diag(apart).mean()))


def pushed_tail(
    x: np.ndarray, y: np.ndarray, *, chance: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Model 1 falls by two deviations, with this chance, one row after model 0 fell hard."""
    rng = np.random.default_rng(seed)
    fall = x[1:, 0] - 0.6 * x[:-1, 0]
    hit = np.concatenate([[False], fall < np.quantile(fall, 0.05)])
    push = np.where(np.roll(hit, 1) & (rng.random(len(x)) < chance), -0.3, 0.0)[:, None]
    push = push * (np.arange(x.shape[1]) == 1)
    return x + push, y + push
