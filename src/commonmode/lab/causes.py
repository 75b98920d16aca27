"""Worlds of known causes: crowds of forecasting models in which something shared really acts.

Richer than :mod:`commonmode.lab.worlds` and independent of the estimators measured on it: drawn
from a frozen prior (:mod:`commonmode.lab.causes_prior`), a cause acts by a mechanism, among heavy
tails, long memory, an unlisted common factor, noisy benchmarks, missing forecasts, decoys and wrong
cards. :mod:`commonmode.lab.causes_oracle` says what could be found at best,
:mod:`commonmode.lab.causes_score` what counts as right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from commonmode.core.arrays import BoolArray, FloatArray, frozen
from commonmode.core.ids import ModelId, TargetId
from commonmode.core.random import stream
from commonmode.lab.causes_cards import Declaration, declare
from commonmode.lab.causes_design import (
    CauseWorldDesign,
    FactorKind,
    MissingDesign,
    WorldKind,
)
from commonmode.lab.causes_market import (
    WARM_UP,
    CauseMarket,
    lag_behind,
    look_back,
    simulate_market,
)
from commonmode.lab.causes_mechanisms import cause_series, user_series
from commonmode.lab.causes_prior import draw_design
from commonmode.lab.causes_series import process_series, standardised, two_states
from commonmode.lab.causes_truth import CauseTruth, truth_of
from commonmode.register.cards import Card

__all__ = ["CauseWorld", "cause_world", "play_out"]

#: Correlation of the unlisted factor on two targets.
_FACTOR_ACROSS_TARGETS = 0.5
_SHORT, _LONG = 24, 168


@dataclass(frozen=True, slots=True, eq=False)
class CauseWorld:
    """A crowd's forecasts with their truth; :mod:`commonmode.panel.cause_worlds` makes a panel.

    Attributes
    ----------
    design : CauseWorldDesign
    models : tuple of ModelId, length N
    targets : tuple of TargetId, length K
    forecast : float64, shape (T, K, N)
        Lower quantiles of the return, negative; NaN where there is none.
    outcome : float64, shape (T, K)
    benchmark_a, benchmark_b : float64, shape (T, K)
    scale : float64, shape (T, K)
        Root mean square of the last week's returns.
    state : mapping of name to float64, shape (T, K)
        Seen before the forecast: ``realised_vol`` of the last day, ``stress_index`` its ratio to
        that of the week.
    exposure_usd : float64, shape (N,)
    cards : tuple of Card
    truth : CauseTruth
    true_quantile : float64, shape (T, K)
    deviation : float64, shape (T, K, N)
        True log deviations, complete; nobody sees them.
    nuisance : float64, shape (T, K, N)
        The part of them due to the unlisted factor and the models' own look-backs.
    factor : float64, shape (T, K)
        The unlisted factor, standardised; zero where there is none.
    """

    design: CauseWorldDesign
    models: tuple[ModelId, ...]
    targets: tuple[TargetId, ...]
    forecast: FloatArray
    outcome: FloatArray
    benchmark_a: FloatArray
    benchmark_b: FloatArray
    scale: FloatArray
    state: Mapping[str, FloatArray]
    exposure_usd: FloatArray
    cards: tuple[Card, ...]
    truth: CauseTruth
    true_quantile: FloatArray
    deviation: FloatArray
    nuisance: FloatArray
    factor: FloatArray


def cause_world(seed: int, *, kind: WorldKind | None = None) -> CauseWorld:
    """World ``seed`` of the frozen prior, of ``kind`` where one is asked for.

    Parameters
    ----------
    seed : int
        Non-negative; worlds of different seeds are independent.
    kind : WorldKind, optional
    """
    return play_out(draw_design(seed, kind=kind))


def play_out(design: CauseWorldDesign) -> CauseWorld:
    """Simulate a designed world; everything random is a stream of the design's seed."""
    t, k, n = design.times, design.targets, design.models

    def part(*name: str | int) -> np.random.Generator:
        return stream(design.seed, "causes", *name)

    market = simulate_market(design.market, part("market"), t, k, design.level)
    declaration = declare(design, tuple(_model(i) for i in range(n)), part("cards"))
    sd = np.array(design.crowd.sd)
    effects, series = _effects(design, market)
    cause_share = np.zeros(n)
    for cause in design.acting:
        cause_share[list(cause.users)] += cause.shares
    factor = _factor(design, market)
    nuisance, own_share = _nuisance(design, market, factor, 1.0 - cause_share)
    own = np.empty((t, k, n))
    for i, law in enumerate(design.crowd.own):
        own[:, :, i] = process_series(law, part("own", i), t, k, design.crowd.target_correlation)
    own *= sd * np.sqrt(own_share)
    nuisance *= sd
    deviation = own + nuisance + np.array(design.crowd.bias)
    for effect, cause in zip(effects, design.acting, strict=True):
        users = list(cause.users)
        effect *= sd[users]
        deviation[:, :, users] += effect

    quantile = np.exp(market.log_vol[WARM_UP:]) * market.tail[WARM_UP:, None]
    forecast = quantile[:, :, None] * np.exp(deviation)
    missing = _missing(design.missing, part("missing"), t, n)
    forecast[np.broadcast_to(missing[:, None, :], forecast.shape)] = np.nan
    noise = _benchmark_errors(design, part("benchmarks"))
    day, week = (np.exp(look_back(market, w))[WARM_UP:] for w in (_SHORT, _LONG))
    return CauseWorld(
        design=design,
        models=tuple(_model(i) for i in range(n)),
        targets=tuple(TargetId(f"LAB-{j + 1}") for j in range(k)),
        forecast=frozen(forecast),
        outcome=frozen(market.returns[WARM_UP:]),
        benchmark_a=frozen(quantile * np.exp(noise[:, :k])),
        benchmark_b=frozen(quantile * np.exp(noise[:, k:])),
        scale=frozen(week),
        state={"realised_vol": frozen(day), "stress_index": frozen(day / week)},
        exposure_usd=frozen(1e6 * np.exp(part("exposure").standard_normal(n))),
        cards=declaration.cards,
        truth=_truth(design, declaration, effects, series, nuisance, factor, sd**2 * own_share),
        true_quantile=frozen(quantile),
        deviation=frozen(deviation),
        nuisance=frozen(nuisance),
        factor=frozen(factor),
    )


def _model(i: int) -> ModelId:
    return ModelId(f"model-{i + 1:02d}")


def _truth(
    design: CauseWorldDesign,
    declaration: Declaration,
    effects: list[FloatArray],
    series: list[FloatArray],
    nuisance: FloatArray,
    factor: FloatArray,
    own_variance: FloatArray,
) -> CauseTruth:
    """Put every effect on all models and hand over to the truth."""
    wide = []
    for effect, cause in zip(effects, design.acting, strict=True):
        full = np.zeros(nuisance.shape)
        full[:, :, list(cause.users)] = effect
        wide.append(full)
    return truth_of(design, declaration, wide, series, nuisance, factor, own_variance)


def _effects(
    design: CauseWorldDesign, market: CauseMarket
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Per cause: what it does to its users in units of their sd, (T, K, users), and its series."""
    effects: list[FloatArray] = []
    series: list[FloatArray] = []
    for number, cause in enumerate(design.acting):
        raw = cause_series(cause, market, stream(design.seed, "causes", "cause", number))
        gate = market.stress if cause.stress_only else None
        by_lag = {lag: user_series(raw, gate, lag) for lag in {0, *cause.lags}}
        columns = [
            math.sqrt(share) * by_lag[lag]
            for share, lag in zip(cause.shares, cause.lags, strict=True)
        ]
        effects.append(np.stack(columns, axis=2))
        series.append(frozen(by_lag[0]))
    return effects, series


def _factor(design: CauseWorldDesign, market: CauseMarket) -> FloatArray:
    """The unlisted factor, standardised, shape (T, K); zero where there is none."""
    of = design.factor
    if of is None:
        return np.zeros((design.times, design.targets))
    if of.kind is FactorKind.LAG:
        raw = lag_behind(market, of.span)
    else:
        rng = stream(design.seed, "causes", "factor")
        times, targets = market.log_vol.shape
        raw = process_series(of.process, rng, times, targets, _FACTOR_ACROSS_TARGETS)
    return user_series(raw, market.stress if of.stress_only else None, 0)


def _nuisance(
    design: CauseWorldDesign, market: CauseMarket, factor: FloatArray, rest: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Nuisance in units of sd, (T, K, N), and the variance left to the models' own parts, (N,)."""
    crowd = design.crowd
    part = np.zeros((design.times, design.targets, design.models))
    if design.factor is not None:
        shares = np.array(design.factor.shares)
        loading = np.sign(shares) * np.sqrt(np.abs(shares) * rest)
        part += factor[:, :, None] * loading
        rest = rest * (1.0 - np.abs(shares))
    for i, window in enumerate(crowd.windows):
        seen = standardised((look_back(market, window) - market.log_vol)[WARM_UP:])
        part[:, :, i] += math.sqrt(rest[i] * crowd.window_share) * seen
    if crowd.windows:
        rest = rest * (1.0 - crowd.window_share)
    return part, rest


def _benchmark_errors(design: CauseWorldDesign, rng: np.random.Generator) -> FloatArray:
    """Log errors of both benchmarks, shape (T, 2 K), A's targets first."""
    b, t, k = design.benchmarks, design.times, design.targets
    noise = rng.standard_normal((2, t, 3 * k))
    phi = b.phi
    noise[0, 0] /= math.sqrt(1.0 - phi**2)
    slow = math.sqrt(1.0 - phi**2) * lfilter([1.0], [1.0, -phi], noise[0], axis=0)
    errors = math.sqrt(b.persistent_share) * slow + math.sqrt(1.0 - b.persistent_share) * noise[1]
    own, blind = errors[:, : 2 * k], errors[:, 2 * k :]
    size = b.noise * float(np.median(design.crowd.sd))
    return np.asarray(size * (own + b.blind_spot * np.tile(blind, (1, 2))))


def _missing(design: MissingDesign, rng: np.random.Generator, times: int, models: int) -> BoolArray:
    """Cells without a forecast, shape (T, N): gaps, outages of all, late starts, a death."""
    clock = (np.arange(times) + 0.5)[:, None] / times
    gone = (clock < np.array(design.start)) | (clock > np.array(design.end))
    if design.gap_share > 0:
        gaps = [two_states(rng, times, design.gap_share, design.gap_length) for _ in range(models)]
        gone |= np.stack(gaps, axis=1)
        if design.outages:
            gone |= two_states(rng, times, design.gap_share, design.gap_length)[:, None]
    return np.asarray(gone)
