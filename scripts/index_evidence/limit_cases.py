"""Limits of data: effective size, stresses outside the window, backtests, what a half promises."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
from evidence_case import Case, coverage, power, size
from evidence_series import lasting
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student

from commonmode.core.arrays import BoolArray, FloatArray
from commonmode.core.random import stream
from commonmode.margin.backtest.compare import pooled_rate
from commonmode.stats.blocks import autocorrelation_time_interval
from commonmode.stats.conformal_halves import held_coverage
from commonmode.stats.coverage import christoffersen, kupiec
from commonmode.stats.extrapolation import extrapolation_distance, regime_coverage
from commonmode.stats.samples import minimum_kupiec_length

__all__ = ["LIMIT_CASES"]

Answers = Mapping[str, bool | None]
_LEVEL = 0.025
_YEAR = 8760


def _spells(rng: np.random.Generator, rows: int, chance: float, times: float) -> FloatArray:
    return np.where(np.cumsum(rng.random(rows) < chance) % 2 == 1, times, 1.0)


def _effective(
    seed: int,
    planted: float,
    *,
    rows: int,
    memory: float,
    spread: float = 0.0,
    heavy: bool = False,
    missing: float = 0.0,
) -> Answers:
    """Autoregression, or (with a spread) absolute returns of such a log volatility."""
    rng = stream(seed, "effective size")
    series = lasting(rng, rows, 1, memory, heavy and not spread)[:, 0]
    reach = np.arange(1, 6000)
    if spread:
        draw = rng.standard_t(4, rows) if heavy else rng.standard_normal(rows)
        square = 2.0 if heavy else 1.0
        mean = 2.0 * student.pdf(0, 4) * 4.0 / 3.0 if heavy else np.sqrt(2.0 / np.pi)
        series = np.exp(spread * series) * np.abs(draw)
        whole = np.exp(spread**2) * square / mean**2 - 1.0
        rho = (np.exp(spread**2 * memory**reach) - 1.0) / whole
    else:
        rho = memory**reach
    series[rng.random(rows) < missing] = np.nan
    # A value missing at random takes its pairs with it.
    truth = 1.0 + 2.0 * (1.0 - missing) * float(rho.sum())
    _, low, high = autocorrelation_time_interval(series)
    return {"effective size covered": low <= truth <= high}


def _size_cases() -> list[Case]:
    asked = (coverage("effective size covered"),)
    rows: tuple[tuple[str, dict[str, float]], ...] = (
        ("independent, 2 000", {"rows": 2000, "memory": 0.0}),
        ("memory 0.9, 500", {"rows": 500, "memory": 0.9}),
        ("memory 0.9, 2 000", {"rows": 2000, "memory": 0.9}),
        ("memory 0.9, 2 000, heavy tails", {"rows": 2000, "memory": 0.9, "heavy": True}),
        ("memory 0.9, 2 000, 20 % missing", {"rows": 2000, "memory": 0.9, "missing": 0.2}),
        ("memory 0.97, 2 000", {"rows": 2000, "memory": 0.97}),
        ("absolute returns, volatility 0.97, 2 000",
         {"rows": 2000, "memory": 0.97, "spread": 0.6}),
        ("absolute returns, volatility 0.97, a year",
         {"rows": _YEAR, "memory": 0.97, "spread": 0.6}),
        ("the same, heavy tails, 5 % missing",
         {"rows": _YEAR, "memory": 0.97, "spread": 0.6, "heavy": True, "missing": 0.05}),
        ("absolute returns, volatility 0.99, a year",
         {"rows": _YEAR, "memory": 0.99, "spread": 0.6}),
    )  # fmt: skip
    return [Case("Effective size", w, asked, partial(_effective, **k)) for w, k in rows]  # type: ignore[arg-type]


def _bars(seed: int, rows: int, *, heavy: bool, regimes: bool, memory: float) -> FloatArray:
    """Return and log range of bars, in the window's own units."""
    rng = stream(seed, "window")
    volatility = np.exp(0.5 * lasting(rng, rows, 1, memory, False)[:, 0])
    if regimes:
        volatility = volatility * _spells(rng, rows, 0.005, 3.0)
    degrees = 3.0 if heavy else 8.0
    path = np.cumsum(rng.standard_t(degrees, (rows, 4)), axis=1) * volatility[:, None]
    path = np.concatenate([np.zeros((rows, 1)), path], axis=1)
    return np.column_stack([path[:, -1], path.max(axis=1) - path.min(axis=1)])


def _outside(
    seed: int,
    planted: float,
    *,
    far: float = 1.0,
    torn: bool = False,
    heavy: bool = False,
    regimes: bool = False,
    missing: float = 0.0,
    memory: float = 0.97,
) -> Answers:
    """A later bar of the same market, ``far`` times as large, against a window of 2 000."""
    window = 2000
    bars = _bars(seed, 2 * window, heavy=heavy, regimes=regimes, memory=memory)
    rng = stream(seed, "stress")
    seen = bars[:window][rng.random(window) >= missing]
    stress = far * bars[-1]
    if torn:  # no bar moves by more than its range
        stress = np.array([3.0, 0.3]) * np.abs(stress).max()
    found = extrapolation_distance(seen, stress[None], exclude=24)[0]
    return {"it is called outside": found.outside}


def _outside_cases() -> list[Case]:
    false, true = (size("it is called outside"),), (power("it is called outside"),)
    rough = {"heavy": True, "regimes": True, "missing": 0.05}
    rows = (
        ("a bar like those in the window", {}, false),
        ("the same, heavy tails", {"heavy": True}, false),
        ("the same, volatility switches regimes", {"regimes": True}, false),
        ("the same, all that, 5 % missing", rough, false),
        ("the same, volatility lasts longer (0.997)", {"memory": 0.997}, false),
        ("three times as large", {"far": 3.0}, true),
        ("ten times", {"far": 10.0}, true),
        ("ten times, heavy tails, regimes", {"far": 10.0, **rough}, true),
        ("a move of ten times its range", {"torn": True}, true),
    )
    return [
        Case(
            "Stresses outside the window",
            w,
            q,
            partial(_outside, **k),  # type: ignore[arg-type]
            worlds=200 if q is false else 60,
        )
        for w, k, q in rows
    ]


def _crash(seed: int, planted: float, *, fall: float, rows: int, inside: bool) -> Answers:
    """A record with one fall over some hours, in the window or before it."""
    rng = stream(seed, "crash")
    quiet = 0.004 * rng.standard_t(4, 3 * _YEAR) / np.sqrt(2.0)
    quiet[rng.random(3 * _YEAR) < 0.02] = np.nan
    start = 3 * _YEAR - 2000 if inside else 3000
    # What the market does by itself in these hours is left out.
    quiet[start - 24 : start + 24] = 0.0
    quiet[start : start + rows] = np.log1p(-fall) / rows
    found = regime_coverage(quiet, slice(2 * _YEAR, 3 * _YEAR), horizon=24)
    return {"a crash is said to be in the window": found.crash_in_window}


def _crash_cases() -> list[Case]:
    says = "a crash is said to be in the window"
    rows = (
        ("no crash on record", {"fall": 0.0, "rows": 1, "inside": True}, size(says, 0.0)),
        ("a crash, before the window", {"fall": 0.3, "rows": 6, "inside": False}, size(says, 0.0)),
        ("a fall of 15 % in it", {"fall": 0.15, "rows": 6, "inside": True}, size(says, 0.0)),
        ("of 22 % in an hour", {"fall": 0.22, "rows": 1, "inside": True}, power(says, 1.0)),
        ("of 22 % over a day, 2 % missing", {"fall": 0.22, "rows": 23, "inside": True},
         power(says, 1.0)),
    )  # fmt: skip
    return [
        Case("Regimes in the window", w, (q,), partial(_crash, **k), worlds=40) for w, k, q in rows
    ]  # type: ignore[arg-type]


def _exceptions(
    seed: int, rows: int, *, rate: float, clustered: str = "", missing: float = 0.0
) -> BoolArray:
    """Exceptions at a rate, one after another or in clusters."""
    rng = stream(seed, "exceptions")
    chance = np.full(rows, rate)
    if clustered == "regimes":  # a fifth of the time four times as often as else
        chance = rate * np.where((rng.random(rows // 20 + 1) < 0.2).repeat(20)[:rows], 2.5, 0.625)
    hits = rng.random(rows) < chance
    if clustered == "volatility":  # the forecast does not follow the volatility
        wild = np.exp(0.6 * lasting(rng, rows, 1, 0.97, False)[:, 0])
        hits = wild * rng.standard_normal(rows) > _unconditional(rate)
    return hits[rng.random(rows) >= missing]


@cache
def _unconditional(rate: float) -> float:
    """Limit that outcomes of that volatility exceed at this rate, by two million draws."""
    rng = stream(0, "unconditional")
    drawn = np.exp(0.6 * rng.standard_normal(2_000_000)) * rng.standard_normal(2_000_000)
    return float(np.quantile(drawn, 1.0 - rate))


@cache
def _needed() -> int:
    return minimum_kupiec_length(_LEVEL, 2.0 * _LEVEL)


def _backtest(
    seed: int, planted: float, *, rows: int = 0, level: float = _LEVEL, **world: float
) -> Answers:
    rate = world.pop("times", 1.0) * level
    hits = _exceptions(seed, rows or _needed(), rate=rate, **world)  # type: ignore[arg-type]
    test = christoffersen(hits, level)
    return {
        "Kupiec rejects": bool(kupiec(int(hits.sum()), len(hits), level).p_value <= 0.05),
        "independence rejects": bool(test.independence.p_value <= 0.05),
        "both together reject": bool(test.conditional.p_value <= 0.05),
    }


def _backtest_cases() -> list[Case]:
    index = "Backtests"
    rate, chain, both = "Kupiec rejects", "independence rejects", "both together reject"
    right = (size(rate), size(chain), size(both))
    wrong = (power(rate), power(chain), power(both))
    promised = (power(rate, 0.8), power(chain), power(both))
    rows = (
        ("right, 250 outcomes at 1 %", {"rows": 250, "level": 0.01}, right),
        ("right, 1 180 at 1 %", {"rows": 1180, "level": 0.01}, right),
        ("right, 449 at 2.5 %", {}, right),
        ("right, 5 000 at 2.5 %", {"rows": 5000}, right),
        ("right, 5 000, 20 % missing", {"rows": 5000, "missing": 0.2}, right),
        ("right on average, in clusters, 5 000", {"rows": 5000, "clustered": "regimes"},
         (size(rate), power(chain), power(both))),
        ("right on average, volatility not followed, 5 000",
         {"rows": 5000, "clustered": "volatility"}, (size(rate), power(chain), power(both))),
        ("twice as often, the shortest length (449)", {"times": 2.0}, promised),
        ("twice as often at 1 %, the shortest (1 180)",
         {"times": 2.0, "rows": 1180, "level": 0.01}, promised),
        ("twice as often, 449, in clusters", {"times": 2.0, "clustered": "regimes"}, promised),
        ("twice as often, 449, a fifth missing", {"times": 2.0, "missing": 0.2}, wrong),
        ("one and a half times, 449", {"times": 1.5}, wrong),
    )  # fmt: skip
    return [Case(index, w, q, partial(_backtest, **k), worlds=1000) for w, k, q in rows]  # type: ignore[arg-type]


def _pooled(
    seed: int,
    planted: float,
    *,
    times: float = 1.0,
    shared: float = 0.0,
    heavy: bool = False,
    missing: float = 0.0,
) -> Answers:
    """Losses of ten portfolios in a year of hours, some of them everybody's, against a margin."""
    rng = stream(seed, "pooled")
    shape = (_YEAR, 10)
    wild = _spells(rng, _YEAR, 0.05, 1.0 + 0.5 * shared)[:, None]  # the margin follows too little
    draw = rng.standard_t(3, (_YEAR, 1)) if heavy else rng.standard_normal((_YEAR, 1))
    own = rng.standard_t(3, shape) if heavy else rng.standard_normal(shape)
    losses = wild * np.where(rng.random(shape) < shared, draw, own)
    margin = np.full(shape, _pooled_limit(0.01 * times, 1.0 + 0.5 * shared, heavy))
    losses[rng.random(shape) < missing] = np.nan
    found = pooled_rate(margin, losses, 0.01, block=168, draws=99, rng=seed)
    return {"the pooled rate is rejected": found.p_value <= 0.05}


@cache
def _pooled_limit(rate: float, wilder: float, heavy: bool) -> float:
    """What losses exceed at this rate, half of the time so many times as wild."""

    def over(limit: float) -> float:
        law = (lambda x: student.sf(x, 3)) if heavy else norm.sf
        return float(0.5 * law(limit) + 0.5 * law(limit / wilder) - rate)

    return float(brentq(over, 0.0, 1000.0))


def _pooled_cases() -> list[Case]:
    index, says = "Backtests of many at once", "the pooled rate is rejected"
    rows = (
        ("right, portfolios apart", {}, size(says)),
        ("right, half of all losses shared, in clusters", {"shared": 0.5}, size(says)),
        ("the same, heavy tails, 10 % missing",
         {"shared": 0.5, "heavy": True, "missing": 0.1}, size(says)),
        ("1.2 times as often, shared, in clusters", {"times": 1.2, "shared": 0.5}, power(says)),
    )  # fmt: skip
    return [Case(index, w, (q,), partial(_pooled, **k)) for w, k, q in rows]  # type: ignore[arg-type]


def _halves(
    seed: int,
    planted: float,
    *,
    memory: float = 0.0,
    regimes: bool = False,
    heavy: bool = False,
    drift: float = 0.0,
) -> Answers:
    """Losses over a forecast; calibrated on the first 1 500, looked at in as many more."""
    rng = stream(seed, "halves")
    rows = 3000
    scores = rng.standard_t(3, rows) if heavy else rng.standard_normal(rows)
    if memory:
        scores = scores * np.exp(0.4 * lasting(rng, rows, 1, memory, False)[:, 0])
    if regimes:
        scores = scores * _spells(rng, rows, 0.01, 2.0)
    scores[rows // 2 :] *= 1.0 + drift
    return {"a drift is found": held_coverage(scores, _LEVEL).drifts}


def _half_cases() -> list[Case]:
    false, true = (size("a drift is found"),), (power("a drift is found"),)
    rows = (
        ("halves alike", {}, false),
        ("the same, heavy tails", {"heavy": True}, false),
        ("the same, volatility not followed, memory 0.9", {"memory": 0.9}, false),
        ("the same, volatility not followed, memory 0.97", {"memory": 0.97}, false),
        ("the same, volatility switches regimes", {"regimes": True}, false),
        ("second half a fifth larger", {"drift": 0.2}, true),
        ("a half larger", {"drift": 0.5}, true),
        ("a half larger, regimes, heavy tails",
         {"drift": 0.5, "regimes": True, "heavy": True}, true),
    )  # fmt: skip
    return [
        Case("Coverage of two halves", w, q, partial(_halves, **k), worlds=400) for w, k, q in rows
    ]  # type: ignore[arg-type]


LIMIT_CASES = (
    *_size_cases(),
    *_outside_cases(),
    *_crash_cases(),
    *_backtest_cases(),
    *_pooled_cases(),
    *_half_cases(),
)
