"""The prior over worlds of known causes. FROZEN: a change needs a new version.

The worlds are written by somebody who has not read the estimators they judge, and the estimators
are not tuned to them. Every part has its own random stream, so that forcing the kind of a world
changes nothing else in it. ``logU`` is log-uniform.

=================  =============================================================================
part               law
=================  =============================================================================
kind               one cause .60, none .25, two .15
size               models U{5..30}; times logU(1500, 20000); targets 1-5 at .4 .2 .2 .1 .1;
                   level U(.01, .05)
market             log-vol AR(1): sd U(.2, .6), 1 - phi logU(.003, .02); targets correlate
                   U(.3, .9); stress U(.1, .3) of the time in episodes of logU(20, 100) times, at
                   most 1/6 of all stress; it adds U(.4, 1.0); dof U(5, 10) calm, U(3, 4) stress
cause              layer uniform of 6, mechanism uniform in the layer; users U{2..N/2}; share
                   U(.15, .80), times U(.6, 1.4) per user, kept in [.05, .90]; only in stress .25
                   (tails, floors and caps have their own time); users' lags U{0..2} in .20
second cause       other layer; at most half of the smaller user set in common; shares of a
                   common user scaled to add up to at most .90
own deviation      memory AR .5 (1 - phi logU(.02, .5)), long .25 (d U(.15, .40), over 1000 times),
                   regime .25 (stays logU(50, 500)); innovations Gaussian .3, else t with
                   U(3, 6) dof; GARCH .3 (alpha U(.03, .12), beta U(.80, .87)); jumps .3 (rate
                   logU(.0005, .01), size U(4, 10)); one law for all models in .5, a law each
                   in .5; across targets U(0, .6)
own windows        in .30 each model also looks back over logU(12, 700) of its own, .1-.4 of own
spread, bias       median sd logU(.05, .30), times exp(Normal(0, .4)); bias Normal(0, .5 sd)
unlisted factor    in .85: share U(0, .6) of what causes leave over, times U(.3, 1.7) per model, at
                   most .8; .5 of them is a lag behind volatility; .2 only in stress; in .5
                   of the worlds a tenth of the models load with the opposite sign
benchmarks         noise logU(.3, 1.5) of the median sd, U(.2, .8) of it AR(1) with 1 - phi
                   logU(.005, .1); in .20 a common blind spot of U(.2, .5) of the noise
missing            gaps in .60 (share U(.002, .03), length logU(1, 48), half of them also outages
                   of all); late starters in .30 (up to N/4, at U(.05, .35)); a death in .25 (at
                   U(.6, .95))
cards              components logU(5, 40); everybody U{0..4}; single 0 to a quarter; near decoys
                   U{0..4} of subset, superset, half; twin in .08 of worlds with at most one
                   cause; else a mistake in .30 (missing user .4, false user .4, undeclared .2);
                   houses in .40; weights follow the loadings in .5
=================  =============================================================================

Of the first 2 000 worlds 1 421 have a cause that the cards show to be shared; in 1 100 of these
(77 %) data could tell every cause (:class:`commonmode.lab.causes_cards.Identifiability`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from commonmode.core.random import stream
from commonmode.lab.causes_design import (
    LAYER_MECHANISMS,
    BenchmarkDesign,
    CardDesign,
    CardMistake,
    CauseDesign,
    CauseWorldDesign,
    CommonFactorDesign,
    CrowdDesign,
    FactorKind,
    MarketDesign,
    Mechanism,
    Memory,
    MissingDesign,
    NearDecoy,
    ProcessDesign,
    WorldKind,
)
from commonmode.register.cards import Layer

__all__ = ["CAUSE_PRIOR_VERSION", "LONGEST_SPAN", "draw_design"]

#: Version of the prior; results measured on these worlds carry it.
CAUSE_PRIOR_VERSION: Final = "1"
#: Nothing looks further back than this, in times.
LONGEST_SPAN: Final = 700

_OWN_TIME = frozenset({Mechanism.THIN_TAILS, Mechanism.FLOOR, Mechanism.CAP})
_MOST_SHARED: Final = 0.9

Generator = np.random.Generator


def _log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _process(rng: Generator) -> ProcessDesign:
    memory = (Memory.AR, Memory.AR, Memory.LONG, Memory.REGIME)[int(rng.integers(4))]
    phi = 1.0 - _log_uniform(rng, 0.02, 0.5)
    d = float(rng.uniform(0.15, 0.40))
    duration = _log_uniform(rng, 50.0, 500.0)
    gaussian, dof = rng.random() < 0.3, float(rng.uniform(3.0, 6.0))
    varying, alpha, beta = rng.random() < 0.3, rng.uniform(0.03, 0.12), rng.uniform(0.80, 0.87)
    jumping, rate = rng.random() < 0.3, _log_uniform(rng, 0.0005, 0.01)
    return ProcessDesign(
        memory=memory,
        phi=phi,
        d=d,
        duration=duration,
        degrees_of_freedom=math.inf if gaussian else dof,
        garch=(float(alpha), float(beta)) if varying else (0.0, 0.0),
        jump_rate=rate if jumping else 0.0,
        jump_size=float(rng.uniform(4.0, 10.0)),
    )


def _market(rng: Generator, times: int) -> MarketDesign:
    share = float(rng.uniform(0.1, 0.3))
    return MarketDesign(
        log_vol_sd=float(rng.uniform(0.2, 0.6)),
        log_vol_phi=1.0 - _log_uniform(rng, 0.003, 0.02),
        target_correlation=float(rng.uniform(0.3, 0.9)),
        stress_share=share,
        stress_duration=min(_log_uniform(rng, 20.0, 100.0), share * times / 6.0),
        stress_rise=float(rng.uniform(0.4, 1.0)),
        calm_dof=float(rng.uniform(5.0, 10.0)),
        stress_dof=float(rng.uniform(3.0, 4.0)),
    )


def _span(rng: Generator, mechanism: Mechanism) -> float:
    """Time scale of a mechanism: windows long, delays and solver runs short."""
    ranges = {
        Mechanism.SOURCE_DELAY: (2.0, 24.0),
        Mechanism.STALE_SOURCE: (6.0, 72.0),
        Mechanism.OPTIMISER: (6.0, 48.0),
        Mechanism.SMOOTHER: (10.0, 200.0),
        Mechanism.WINDOW: (24.0, float(LONGEST_SPAN)),
        Mechanism.RECALIBRATION: (24.0, 168.0),
        Mechanism.VENDOR_REVISION: (12.0, 168.0),
    }
    return _log_uniform(rng, *ranges.get(mechanism, (6.0, 72.0)))


def _cause(
    rng: Generator, models: int, houses: tuple[int, ...], barred: Layer | None
) -> CauseDesign:
    layers = [layer for layer in Layer if layer is not barred]
    layer = layers[int(rng.integers(len(layers)))]
    mechanisms = LAYER_MECHANISMS[layer]
    mechanism = mechanisms[int(rng.integers(len(mechanisms)))]
    size = int(rng.integers(2, models // 2 + 1))
    weight = np.ones(models)
    if houses:
        weight[np.array(houses) == houses[int(rng.integers(models))]] = 5.0
    users = np.sort(rng.choice(models, size=size, replace=False, p=weight / weight.sum()))
    share = rng.uniform(0.15, 0.80)
    shares = np.clip(share * rng.uniform(0.6, 1.4, size), 0.05, _MOST_SHARED)
    stress_only = bool(rng.random() < 0.25) and mechanism not in _OWN_TIME
    lagged, lags = rng.random() < 0.20, rng.integers(0, 3, size)
    return CauseDesign(
        layer=layer,
        mechanism=mechanism,
        users=tuple(int(u) for u in users),
        shares=tuple(float(s) for s in shares),
        lags=tuple(int(v) for v in lags) if lagged else (0,) * size,
        stress_only=stress_only,
        span=_span(rng, mechanism),
        edge=float(rng.uniform(0.1, 0.4)),
        process=_process(rng),
    )


def _causes(
    seed: int, kind: WorldKind, models: int, houses: tuple[int, ...]
) -> tuple[CauseDesign, ...]:
    first = _cause(stream(seed, "causes", "design", "first"), models, houses, None)
    if kind is not WorldKind.TWO:
        return (first,)
    rng = stream(seed, "causes", "design", "second")
    while True:
        second = _cause(rng, models, houses, first.layer)
        common = set(first.users) & set(second.users)
        if len(common) <= min(len(first.users), len(second.users)) // 2:
            break
    total = dict(zip(first.users, first.shares, strict=True))
    for user, share in zip(second.users, second.shares, strict=True):
        total[user] = total.get(user, 0.0) + share
    return tuple(_scaled(cause, total) for cause in (first, second))


def _scaled(cause: CauseDesign, total: dict[int, float]) -> CauseDesign:
    """The cause with its shares scaled so that no user's shares add up to more than the most."""
    shares = tuple(
        share * min(1.0, _MOST_SHARED / total[user])
        for user, share in zip(cause.users, cause.shares, strict=True)
    )
    return replace(cause, shares=shares)


def _crowd(rng: Generator, models: int) -> CrowdDesign:
    median = _log_uniform(rng, 0.05, 0.30)
    sd = median * np.exp(0.4 * rng.standard_normal(models))
    bias = 0.5 * sd * rng.standard_normal(models)
    alike, windowed = rng.random() < 0.5, rng.random() < 0.3
    laws = tuple(_process(rng) for _ in range(models))
    draws = np.round(np.exp(rng.uniform(math.log(12), math.log(LONGEST_SPAN), 4 * models)))
    windows = tuple(dict.fromkeys(int(w) for w in draws))[:models]
    return CrowdDesign(
        sd=tuple(float(s) for s in sd),
        bias=tuple(float(b) for b in bias),
        own=laws[:1] * models if alike else laws,
        target_correlation=float(rng.uniform(0.0, 0.6)),
        windows=windows if windowed else (),
        window_share=float(rng.uniform(0.1, 0.4)),
    )


def _factor(rng: Generator, models: int) -> CommonFactorDesign | None:
    present, lag, stress = rng.random() < 0.85, rng.random() < 0.5, rng.random() < 0.2
    shares = np.clip(rng.uniform(0.0, 0.6) * rng.uniform(0.3, 1.7, models), 0.0, 0.8)
    contrary = bool(rng.random() < 0.5) & (rng.random(models) < 0.1)
    design = CommonFactorDesign(
        kind=FactorKind.LAG if lag else FactorKind.PROCESS,
        shares=tuple(float(s) for s in np.where(contrary, -shares, shares)),
        stress_only=bool(stress),
        span=_log_uniform(rng, 10.0, 200.0),
        process=_process(rng),
    )
    return design if present else None


def _missing(rng: Generator, models: int) -> MissingDesign:
    gaps, outages = rng.random() < 0.6, rng.random() < 0.5
    share, length = float(rng.uniform(0.002, 0.03)), _log_uniform(rng, 1.0, 48.0)
    start, end = np.zeros(models), np.ones(models)
    late, dead = rng.random() < 0.3, rng.random() < 0.25
    order = rng.permutation(models)
    count = int(rng.integers(1, max(1, models // 4) + 1))
    starts = rng.uniform(0.05, 0.35, count)
    if late:
        start[order[:count]] = starts
    if dead:
        end[order[count]] = rng.uniform(0.6, 0.95)
    return MissingDesign(
        gap_share=share if gaps else 0.0,
        gap_length=length,
        outages=bool(gaps and outages),
        start=tuple(float(s) for s in start),
        end=tuple(float(e) for e in end),
    )


def _cards(rng: Generator, kind: WorldKind, houses: tuple[int, ...]) -> CardDesign:
    count = round(_log_uniform(rng, 5.0, 40.0))
    near = tuple(list(NearDecoy)[int(k)] for k in rng.integers(0, 3, int(rng.integers(0, 5))))
    twin, wrong = rng.random() < 0.08, rng.random() < 0.30
    mistake = list(CardMistake)[int(rng.choice(3, p=[0.4, 0.4, 0.2]))]
    twin = twin and kind is not WorldKind.TWO
    return CardDesign(
        components=count,
        everybody=int(rng.integers(0, 5)),
        single=int(rng.integers(0, count // 4 + 1)),
        near=near,
        twin=bool(twin),
        mistake=mistake if wrong and not twin else None,
        houses=houses,
        informative_weights=bool(rng.random() < 0.5),
    )


def draw_design(seed: int, *, kind: WorldKind | None = None) -> CauseWorldDesign:
    """Draw the design of world ``seed`` from the prior.

    Parameters
    ----------
    seed : int
        Names the world; designs of different seeds are independent.
    kind : WorldKind, optional
        Force the kind; every other part is what the seed draws for that kind.
    """

    def part(name: str) -> Generator:
        return stream(seed, "causes", "design", name)

    uniform = float(part("kind").random())
    drawn = WorldKind.ONE if uniform < 0.60 else WorldKind.NONE if uniform < 0.85 else WorldKind.TWO
    kind = drawn if kind is None else kind
    size = part("size")
    models, times = int(size.integers(5, 31)), round(_log_uniform(size, 1_500.0, 20_000.0))
    targets = int(size.choice(np.arange(1, 6), p=[0.4, 0.2, 0.2, 0.1, 0.1]))
    rooms = part("houses")
    housed, number = rooms.random() < 0.4, int(rooms.integers(2, 6))
    houses = tuple(int(h) for h in rooms.integers(0, number, models)) if housed else ()
    noise = part("benchmarks")
    blind = noise.random() < 0.2
    benchmarks = BenchmarkDesign(
        noise=_log_uniform(noise, 0.3, 1.5),
        persistent_share=float(noise.uniform(0.2, 0.8)),
        phi=1.0 - _log_uniform(noise, 0.005, 0.1),
        blind_spot=float(noise.uniform(0.2, 0.5)) if blind else 0.0,
    )
    return CauseWorldDesign(
        version=CAUSE_PRIOR_VERSION,
        seed=seed,
        kind=kind,
        models=models,
        times=times,
        targets=targets,
        level=float(size.uniform(0.01, 0.05)),
        market=_market(part("market"), times),
        crowd=_crowd(part("crowd"), models),
        factor=_factor(part("factor"), models),
        benchmarks=benchmarks,
        missing=_missing(part("missing"), models),
        cards=_cards(part("cards"), kind, houses),
        causes=_causes(seed, kind, models, houses),
    )
