"""Spreads and levels that are stated: of fitted parameters, reserves, and conformal intervals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from evidence_case import Case, coverage, power
from evidence_series import lasting

from commonmode.core.random import stream
from commonmode.core.result import Failure
from commonmode.pricing.ssvi import ssvi_derivatives, ssvi_total_variance
from commonmode.pricing.surface_fit import fit_surface
from commonmode.stats.conformal import (
    adaptive_conformal,
    conformal_quantile,
    split_conformal_coverage,
)
from commonmode.stats.model_uncertainty import common_error_sd, delta_method_sd, prudent_reserve

__all__ = ["SPREAD_CASES"]

Answers = Mapping[str, bool | None]
_HALF = "variance covered, half of the error taken as common"


def _parameters(seed: int, planted: float, *, noise: str, bump: float = 0.0) -> Answers:
    """An eSSVI surface of four expiries seen through noise; what is asked is one total variance."""
    rng = stream(seed, "parameters")
    years = np.array([0.05, 0.15, 0.4, 0.9])
    k = np.linspace(-0.35, 0.3, 14)[None] * np.sqrt(years / 0.4)[:, None]
    theta = 0.36 * years
    rho, psi = np.full(4, -0.25), 0.9 * np.sqrt(theta / (1.0 + theta))
    truth = ssvi_total_variance(k, theta[:, None], rho[:, None], psi[:, None])
    wave = bump * np.sqrt(truth / years[:, None]) * np.sin(3.0 * np.pi * np.linspace(-1, 1, 14))
    vol = np.sqrt(truth / years[:, None]) + wave
    shape = k.shape
    if noise == "normal":
        error = rng.standard_normal(shape)
    elif noise == "heavy":
        error = rng.standard_t(3, shape) / np.sqrt(3.0)
    else:  # strikes of one expiry are off together
        error = np.sqrt(0.5) * (rng.standard_normal(shape) + rng.standard_normal((4, 1)))
    quoted = vol + 0.004 * error
    if noise == "missing":
        quoted = vol + 0.004 * rng.standard_normal(shape)
    weight = 1.0 / (2.0 * quoted * years[:, None]) ** 2
    if noise == "missing":
        weight = np.where(rng.random(shape) < 0.3, 0.0, 1.0) * weight
    fit = fit_surface(years, k, quoted**2 * years[:, None], weight, engine="numpy")
    if isinstance(fit, Failure):
        return {"skew covered": None, "variance covered": None, _HALF: None}
    found = fit.value
    row = 2
    slices = found.slices
    one = ssvi_derivatives(
        np.array([-0.2]), slices.theta[[row]], slices.rho[[row]], slices.psi[[row]]
    )
    gradient = np.concatenate([one.by_theta, one.by_rho, one.by_psi])
    sd = float(delta_method_sd(gradient, found.covariance[row]))
    exact = float(ssvi_total_variance(np.array([-0.2]), theta[[row]], rho[[row]], psi[[row]])[0])
    spread = float(np.sqrt(found.covariance[row, 1, 1]))
    if not np.isfinite(sd) or not np.isfinite(spread):
        return {"skew covered": None, "variance covered": None, _HALF: None}
    # A common error of one vol moves the total variance by 2 vol T; half of all errors assumed so.
    w = ssvi_total_variance(k, slices.theta[:, None], slices.rho[:, None], slices.psi[:, None])
    used = weight > 0
    missed = np.sum(np.where(used, quoted - np.sqrt(w / years[:, None]), 0.0) ** 2)
    seen = np.sqrt(missed / (used.sum() - 12))
    slope = 2.0 * np.sqrt(float(one.w[0]) * years[row])
    both = float(np.hypot(sd, common_error_sd(np.array([slope]), np.array([seen]))))
    off = abs(float(one.w[0]) - exact)
    return {
        "skew covered": abs(slices.rho[row] - rho[row]) <= 1.96 * spread,
        "variance covered": off <= 1.96 * sd,
        _HALF: off <= 2.0 * both,  # "two deviations", as is printed
    }


def _reserve(
    seed: int, planted: float, *, shared: float, heavy: bool = False, count: int = 8
) -> Answers:
    """Values of a book under models that are off, each by its own error and all by one."""
    rng = stream(seed, "reserve")
    own = rng.standard_t(3, count) if heavy else rng.standard_normal(count)
    common = rng.standard_t(3) if heavy else rng.standard_normal()
    # The truth is as far from the models' middle as any model is.
    truth = rng.standard_t(3) if heavy else rng.standard_normal()
    values = np.sqrt(1.0 - shared) * own + np.sqrt(shared) * common
    held = prudent_reserve(100.0 + values, 100.0 + float(values[0]), confidence=0.9)
    return {"the truth is at least the prudent value": truth >= values[0] - held}


def _split(
    seed: int,
    planted: float,
    *,
    memory: float = 0.0,
    heavy: bool = False,
    effective: bool = False,
    drift: float = 0.0,
) -> Answers:
    """Two hundred scores to calibrate, 5 000 that follow."""
    rng = stream(seed, "split conformal")
    n, alpha, after = 200, 0.1, 5000
    score = np.abs(lasting(rng, n + after, 1, memory, heavy)[:, 0])
    score[n:] *= 1.0 + drift
    covered = float((score[n:] <= conformal_quantile(score[:n], alpha)).mean())
    # Of an autoregression's squares, memory^2 is what each keeps of the last one.
    share = (1.0 - memory**2) / (1.0 + memory**2) if effective else 1.0
    promise = split_conformal_coverage(max(round(n * share), 1), alpha)
    return {
        "coverage within its stated 90 % range": promise.quantile(0.05)
        <= covered
        <= promise.quantile(0.95)
    }


def _adaptive(seed: int, planted: float, *, world: str) -> Answers:
    rng = stream(seed, "adaptive conformal")
    times = 2500
    score = np.abs(
        lasting(rng, times, 1, 0.9 if world == "memory" else 0.0, world == "heavy")[:, 0]
    )
    if world == "regimes":
        score *= np.where(np.cumsum(rng.random(times) < 0.005) % 2 == 1, 3.0, 1.0)
    if world == "drift":
        score *= np.exp(np.linspace(0.0, 2.0, times))
    run = adaptive_conformal(score, 0.1, gamma=0.01)
    return {
        "misses within the stated bound": abs(run.miscoverage - 0.1) <= run.bound,
        "misses 9 to 11 %": 0.09 <= run.miscoverage <= 0.11,
    }


def _spread_cases() -> list[Case]:
    covered = (coverage("skew covered"), coverage("variance covered"), coverage(_HALF))
    surfaces = (
        ("independent normal errors", {"noise": "normal"}),
        ("three degrees of freedom", {"noise": "heavy"}),
        ("30 % of quotes missing", {"noise": "missing"}),
        ("strikes of an expiry off together", {"noise": "together"}),
        ("the true smile waves by half a vol point", {"noise": "normal", "bump": 0.01}),
    )
    cases = [
        Case("Parameter uncertainty", w, covered, partial(_parameters, **k))  # type: ignore[arg-type]
        for w, k in surfaces
    ]
    prudent = (coverage("the truth is at least the prudent value", 0.9),)
    reserves = (
        ("eight models, errors of their own", {"shared": 0.0}),
        ("the same, heavy tails", {"shared": 0.0, "heavy": True}),
        ("three models, errors of their own", {"shared": 0.0, "count": 3}),
        ("half of every error shared", {"shared": 0.5}),
    )
    cases += [
        Case("Reserve", w, prudent, partial(_reserve, **k), worlds=2000)  # type: ignore[arg-type]
        for w, k in reserves
    ]
    within = (coverage("coverage within its stated 90 % range", 0.9),)
    splits = (
        ("split, independent scores", {}),
        ("split, heavy tails", {"heavy": True}),
        ("split, memory 0.9, counted as independent", {"memory": 0.9}),
        ("split, memory 0.9, effective number", {"memory": 0.9, "effective": True}),
        ("split, later scores a fifth larger", {"drift": 0.2}),
    )
    cases += [Case("Conformal", w, within, partial(_split, **k), worlds=1000) for w, k in splits]  # type: ignore[arg-type]
    long_run = (coverage("misses within the stated bound", 1.0), power("misses 9 to 11 %"))
    cases += [
        Case("Conformal", f"adaptive, {w}", long_run, partial(_adaptive, world=w), worlds=200)
        for w in ("independent", "heavy", "memory", "regimes", "drift")
    ]
    return cases


SPREAD_CASES = tuple(_spread_cases())
