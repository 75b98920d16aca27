"""Figures beside the tests: C3's split, C6's range, hedging, and model risk of a book in money."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
from crowd_cases import Crowd, crowd_world
from evidence_case import Case, Kind, Question, coverage
from evidence_series import lasting
from money_cases import fit_selling, hedge_record
from scipy.optimize import brentq

from commonmode.converge.cofailure import ConditionalCoFailure
from commonmode.converge.dispersion import Disagreement
from commonmode.core.random import stream
from commonmode.exposure.hedging import compare_hedges
from commonmode.lab.truth import true_cofailure_ratio
from commonmode.lab.worlds import WorldConfig, simulate_world
from commonmode.stats.model_uncertainty import penalised_range
from commonmode.stats.robust import kl_worst_case_sample, valuation_range

__all__ = ["FIGURE_CASES"]

Answers = Mapping[str, bool | None]


def _stated(name: str) -> Question:
    """How often it holds the truth, where nothing is promised."""
    return Question(name, Kind.COVERAGE, None)


@cache
def _split_truth(config: WorldConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Shares of market, shared design and chance, and the alpha factors, of two million rows."""
    joint = alone = 0.0
    at_once = np.zeros(config.models + 1)
    rates = np.zeros(config.models)
    parts, rows = 20, 100_000
    long = WorldConfig(**{**_fields(config), "times": rows})
    for part in range(parts):
        world = simulate_world(long, seed=700_000 + part)
        failed = world.outcome[:, None] < world.forecast
        count = failed.sum(axis=1)
        joint += float((count * (count - 1) / 2).sum())
        at_once += np.bincount(count, minlength=config.models + 1)
        rates += failed.sum(axis=0)
    rates /= parts * rows
    alone = parts * rows * float((rates.sum() ** 2 - (rates**2).sum()) / 2.0)
    # Models that share have the same place in every world of a seed, not the same place in all.
    design = 1.0 - 1.0 / true_cofailure_ratio(config)
    shares = (1.0 - design - alone / joint, design, alone / joint)
    return shares, tuple((at_once[1:] / at_once[1:].sum()).tolist())


def _fields(config: WorldConfig) -> dict[str, float]:
    return {name: getattr(config, name) for name in type(config).__dataclass_fields__}


def _split(seed: int, planted: float, *, crowd: Crowd) -> Answers:
    _, panel = crowd_world(crowd, seed)
    found = ConditionalCoFailure(flips=19, draws=399, rng=seed).fit(panel).result_
    shares, factors = _split_truth(crowd.config)
    names = ("market's share covered", "shared design's covered", "chance's covered")
    told: dict[str, bool | None] = dict.fromkeys(names)
    if found.split is not None:
        parts = (found.split.market, found.split.shared_design, found.split.individual)
        for name, part, truth in zip(names, parts, shares, strict=True):
            told[name] = part.low <= truth <= part.high
    one, all_ = (bool(found.alpha.low[k] <= factors[k] <= found.alpha.high[k]) for k in (0, -1))
    return {**told, "one alone covered": one, "all at once covered": all_}


def _split_cases() -> list[Case]:
    asked = (
        coverage("market's share covered"),
        coverage("shared design's covered"),
        coverage("chance's covered"),
        coverage("one alone covered"),
        coverage("all at once covered"),
    )
    rows = (
        ("nothing shared", Crowd()),
        ("30 % in 3 of 8", Crowd(share=0.3)),
        ("memory 0.97", Crowd(memory=0.97)),
        ("3 % missing, a late starter", Crowd(missing=0.03)),
    )
    return [Case("C3, split", w, asked, partial(_split, crowd=c), worlds=100) for w, c in rows]


@cache
def _true_range() -> float:
    """Of eight independent normal log forecasts, over the mean of two benchmarks as noisy."""
    draw = np.exp(0.15 * stream(0, "range", "truth").standard_normal((1_000_000, 8)))
    return float(np.ptp(draw, axis=1).mean() * np.exp(0.15**2 / 4.0))


def _cont(seed: int, planted: float, *, crowd: Crowd) -> Answers:
    _, panel = crowd_world(crowd, seed)
    found = Disagreement(draws=199, rng=seed).fit(panel).result_
    whole = len(found.equally_good) == 8
    own = found.cont_range
    return {"Cont's range covered": own.low <= _true_range() <= own.high if whole else None}


def _cont_cases() -> list[Case]:
    asked = (coverage("Cont's range covered"),)
    rows = (
        ("plain", Crowd()),
        ("memory 0.97", Crowd(memory=0.97)),
        ("3 % missing, a late starter", Crowd(missing=0.03)),
    )
    return [Case("C6, range", w, asked, partial(_cont, crowd=c)) for w, c in rows]


def _money(
    seed: int,
    planted: float,
    *,
    count: int = 8,
    shared: float = 0.0,
    heavy: bool = False,
    misfits: int = 0,
) -> Answers:
    """Values under models that are off, each by an error of its own and all by one.

    The truth is as far from the middle as any model is. ``misfits`` more models miss the quotes,
    by as much as they are off besides.
    """
    rng = stream(seed, "money")

    def draw(many: int) -> np.ndarray:
        return rng.standard_t(3, many) if heavy else rng.standard_normal(many)

    truth = float(draw(1)[0])
    values = np.sqrt(1.0 - shared) * draw(count) + np.sqrt(shared) * draw(1)
    off = 3.0 * np.abs(draw(misfits))
    far = draw(misfits) + off * np.where(rng.random(misfits) < 0.5, -1.0, 1.0)
    every = np.concatenate([values, far])
    penalty = np.concatenate([np.zeros(count), off])
    fits = penalty == 0.0
    low, high = float(every[fits].min()), float(every[fits].max())
    width = float(valuation_range(every, fits))
    convex = float(penalised_range(every, penalty))
    lowest, highest = float((every + penalty).min()), float((every - penalty).max())
    assert abs(width - (high - low)) < 1e-9
    assert abs(convex - (highest - lowest)) < 1e-9
    return {
        "the range holds the truth": low <= truth <= high,
        "the penalised range holds it": lowest <= truth <= highest,
    }


def _money_cases() -> list[Case]:
    asked = (_stated("the range holds the truth"), _stated("the penalised range holds it"))
    rows = (
        ("three models, errors of their own", {"count": 3}),
        ("eight models", {}),
        ("eight, heavy tails", {"heavy": True}),
        ("eight, half of every error shared", {"shared": 0.5}),
        ("three that fit, five that do not", {"count": 3, "misfits": 5}),
    )
    return [
        Case("Model risk in money", w, asked, partial(_money, **k), worlds=2000)  # type: ignore[arg-type]
        for w, k in rows
    ]


_NATS = 0.1


@cache
def _wilder(radius: float) -> float:
    """How much wilder a normal law is that many nats away: ``(k^2 - 1) / 2 - log k``."""
    return float(brentq(lambda k: (k**2 - 1.0) / 2.0 - np.log(k) - radius, 1.0, 50.0))


def _ball(
    seed: int,
    planted: float,
    *,
    away: float = _NATS,
    curved: float = 1.0,
    memory: float = 0.0,
    heavy: bool = False,
) -> Answers:
    """Losses of a book on 2 000 moves, and the mean loss when moves become wilder.

    The loss is ``curved x^2`` and a move's own size for the rest: with curvature alone no law so
    many nats away is worse than the wilder one.
    """
    rng = stream(seed, "ball")
    rows = 2000
    wild = np.exp(0.5 * lasting(rng, rows, 1, memory, False)[:, 0] - 0.25) if memory else 1.0
    moves = wild * (rng.standard_t(5, rows) * np.sqrt(0.6) if heavy else rng.standard_normal(rows))
    losses = curved * moves**2 + (1.0 - curved) * moves
    stated, _ = kl_worst_case_sample(losses, _NATS)
    return {"the later mean loss is within the worst": curved * _wilder(away) ** 2 <= stated}


def _ball_cases() -> list[Case]:
    asked = (_stated("the later mean loss is within the worst"),)
    rows = (
        ("a later law at the edge, worst of all", {}),
        ("at half of the radius", {"away": 0.5 * _NATS}),
        ("at one and a half times", {"away": 1.5 * _NATS}),
        ("at the edge, not the worst for the book", {"curved": 0.5}),
        ("moves as much wilder, heavy tails", {"heavy": True}),
        ("moves as much wilder, volatility lasts", {"memory": 0.97}),
    )
    return [Case("Worst case nearby", w, asked, partial(_ball, **k)) for w, k in rows]  # type: ignore[arg-type]


def _hedging(seed: int, planted: float, **world: float) -> Answers:
    found = compare_hedges(hedge_record(seed, **world), flips=99, rng=seed)  # type: ignore[arg-type]
    return {"no difference covered": bool(found.apart_low[-1] <= 0.0 <= found.apart_high[-1])}


def _coupled(seed: int, planted: float, **world: float) -> Answers:
    found = fit_selling(seed, 0.0, link=0.0, **world)
    (one,) = (c for c in found.couplings if (c.strategy, c.risk_model) == ("trend", "hs"))
    low, high = one.interval
    return {"no coupling covered": low <= 0.0 <= high}


def _interval_cases() -> list[Case]:
    rough = {"heavy": True, "regimes": True, "missing": 0.2}
    hedges = (
        ("four deltas equally wrong", {}),
        ("the same, heavy tails, regimes, 20 % of marks missing", rough),
        ("the same, half of every error shared", {**rough, "shared": 0.5}),
    )
    pairs = (
        ("the market alone (fat tails, regimes)", {}),
        ("the same, 2 % missing", {"missing": 0.02}),
    )
    none = (coverage("no difference covered"),)
    apart = (coverage("no coupling covered"),)
    return [
        *(Case("Hedging errors, interval", w, none, partial(_hedging, **k)) for w, k in hedges),  # type: ignore[arg-type]
        *(
            Case("Strategies, interval", w, apart, partial(_coupled, **k), worlds=40)  # type: ignore[arg-type]
            for w, k in pairs
        ),
    ]


FIGURE_CASES = (
    *_split_cases(),
    *_cont_cases(),
    *_money_cases(),
    *_ball_cases(),
    *_interval_cases(),
)
