"""Screens of the data passport: trades, order books, liquidations, open interest, funding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from evidence_case import Case, Question, coverage, power, size
from screen_worlds import START, book, liquidations, tape, venues

from commonmode.core.ids import CurrencyCode, VenueId
from commonmode.core.random import stream
from commonmode.core.units import HOUR_MS
from commonmode.market.funding import FundingSeries
from commonmode.market.integrity import (
    Screen,
    clock_skew,
    copied_bars,
    frozen_bars,
    funding_cadence,
    funding_scale,
    label_phase,
    label_shift,
    lagging_prices,
    liquidation_cap,
    matched_pairs,
    open_interest_reconciles,
    partial_bars,
    prints_inside_spread,
    round_sizes,
    size_digits,
    size_tail,
    volume_beyond_depth,
    volume_without_moves,
)
from commonmode.stats.digits import hill_tail

__all__ = ["TAPE_SCREEN_CASES"]

Answers = Mapping[str, bool | None]
_SHUFFLES = 199
_SHORT = 1500  # trades whose pairs are looked at


def _answers(found: Sequence[Screen]) -> dict[str, bool | None]:
    told = {s.name: None if np.isnan(s.statistic) else s.flagged for s in found}
    return {**told, "any of them": any(s.flagged for s in found)}


def _of_trades(seed: int, **world: float) -> tuple[Screen, ...]:
    made = tape(seed, **world)  # type: ignore[arg-type]
    first = slice(0, _SHORT)
    return (
        size_digits(made.size, subject="tape"),
        round_sizes(made.size, subject="tape"),
        size_tail(made.size, subject="tape"),
        matched_pairs(
            made.size[first], made.sign[first], subject="tape", shuffles=_SHUFFLES, rng=seed
        ),
    )


def _trades(seed: int, planted: float, **world: float) -> Answers:
    return _answers(_of_trades(seed, **world))


def _exponent(seed: int, planted: float, **world: float) -> Answers:
    low, high = hill_tail(tape(seed, **world).size).interval  # type: ignore[arg-type]
    return {"exponent covered": low <= world.get("exponent", 1.5) <= high}


def _lots(seed: int, planted: float, *, clustering: float, trades: int = 6000) -> Answers:
    """Sizes of 1 to 5 000 units, multiples of a hundred so many times as often as the others."""
    units = np.arange(1, 5001)
    weight = np.where(units % 100 == 0, clustering, 1.0)
    drawn = stream(seed, "lots").choice(units, trades, p=weight / weight.sum())
    return _answers((round_sizes(drawn / 1000.0, subject="tape"),))


def _trade_cases() -> list[Case]:
    index = "Screens of trades"
    digits, pairs = "first digits of trade sizes", "matched opposite trades"
    rounds, tail = "clustering at round sizes", "tail of trade sizes"
    clean = (
        size(digits, 0.01),
        size(rounds, 0.05),
        size(tail, 0.05),
        size(pairs, 0.01),
        size("any of them", 0.12),
    )
    whole = (
        ("authentic", {}),
        ("orders of three fills", {"runs": 3}),
        ("order sizes switch regimes", {"regimes": True}),
        ("30 % of trades missing", {"missing": 0.3}),
        ("tail of exponent 1.1", {"exponent": 1.1}),
        ("tail of exponent 1.9, orders of three fills", {"exponent": 1.9, "runs": 3}),
    )
    faults: tuple[tuple[str, dict[str, float], Question], ...] = (
        ("a tenth of trades by bots", {"bots": 0.1}, power(digits)),
        ("a fifth by bots", {"bots": 0.2}, power(digits)),
        ("half by bots", {"bots": 0.5}, power(digits)),
        ("tail of exponent 0.7", {"exponent": 0.7}, power(tail)),
        ("tail of exponent 3", {"exponent": 3.0}, power(tail)),
        ("1 % in pairs with oneself", {"pairs": 0.01}, power(pairs)),
        ("2 % in pairs", {"pairs": 0.02}, power(pairs)),
        ("2 % in pairs, orders of three fills", {"pairs": 0.02, "runs": 3}, power(pairs)),
    )
    cases = [Case(index, w, clean, partial(_trades, **k)) for w, k in whole]
    cases += [
        Case("Tail of trade sizes", w, (coverage("exponent covered"),), partial(_exponent, **k))
        for w, k in whole
    ]
    cases += [Case(index, w, (q,), partial(_trades, **k), worlds=60) for w, k, q in faults]
    no = partial(_lots, clustering=1.0)
    twice = partial(_lots, clustering=2.0)
    return [
        *cases,
        Case(index, "round lots twice as frequent", (size(rounds),), twice, worlds=300),
        Case(index, "no lot more frequent than another", (power(rounds, 0.95),), no, worlds=300),
    ]


def _of_book(seed: int, **world: float) -> tuple[Screen, ...]:
    made = book(seed, **world)  # type: ignore[arg-type]
    quotes = (made.quote_ms, made.bid, made.ask)
    shown = (made.quote_ms, made.bid_size, made.ask_size)
    return (
        prints_inside_spread(made.trade_ms, made.price, *quotes, subject="book"),
        volume_beyond_depth(made.trade_ms, made.size, made.sign, *shown, subject="book"),
    )


def _book(seed: int, planted: float, **world: float) -> Answers:
    return _answers(_of_book(seed, **world))


def _book_cases() -> list[Case]:
    index = "Screens of order books"
    inside, beyond = "prints inside the spread", "volume beyond depth"
    clean = (size(inside, 0.0), size(beyond, 0.0))
    whole = (
        ("trades take what is shown", {}),
        ("the same, sizes with a power tail", {"heavy": True}),
        ("the same, quotes move in spells", {"regimes": True}),
        ("clocks 50 ms apart", {"behind_ms": 50}),
        ("1 of 200 trades hidden", {"inside": 0.005, "beyond": 0.005}),
    )
    faults = (
        ("3 % of trades inside, 3 % beyond", {"inside": 0.03, "beyond": 0.03}),
        ("clocks 300 ms apart", {"behind_ms": 300}),
        ("a tenth of the quotes missing", {"missing": 0.1}),
    )
    found = (power(inside), power(beyond))
    return [
        *(Case(index, w, clean, partial(_book, **k), worlds=100) for w, k in whole),  # type: ignore[arg-type]
        *(Case(index, w, found, partial(_book, **k), worlds=60) for w, k in faults),  # type: ignore[arg-type]
    ]


def _of_liquidations(seed: int, **world: float) -> Screen:
    return liquidation_cap(liquidations(seed, **world), subject="feed")  # type: ignore[arg-type]


def _capped(seed: int, planted: float, **world: float) -> Answers:
    return _answers((_of_liquidations(seed, **world),))


def _of_interest(
    seed: int,
    *,
    heavy: bool = False,
    late: bool = False,
    missing: float = 0.0,
    reported: float = 1.0,
    jump: float = 0.0,
) -> Screen:
    """Five hundred intervals; each trade changes open interest by at most its size."""
    rng = stream(seed, "open interest")
    rows = 500
    volume = 20.0 * rng.pareto(1.5, rows) if heavy else rng.lognormal(3.0, 1.0, rows)
    interest = 20_000.0 + np.cumsum(volume * rng.uniform(-1.0, 1.0, rows))
    interest[rows // 2 :] += jump * np.median(volume)
    volume = reported * (np.roll(volume, 1) if late else volume)
    for column in (interest, volume):
        column[rng.random(rows) < missing] = np.nan
    return open_interest_reconciles(interest, volume, subject="feed")


def _interest(seed: int, planted: float, **world: float) -> Answers:
    return _answers((_of_interest(seed, **world),))  # type: ignore[arg-type]


def _funding(
    seed: int, name: str, hours: int, *, heavy: bool = False, missing: float = 0.0
) -> FundingSeries:
    """Two hundred days; venues of one coin share a level and differ by half of it."""
    rng = stream(seed, "funding", name)
    rows = 200 * 24 // hours
    times = START + hours * HOUR_MS * np.arange(rows, dtype=np.int64)
    day = (times - START) // (24 * HOUR_MS)
    common = stream(seed, "funding").standard_normal(201)[day]
    draw = rng.standard_t(3, rows) if heavy else rng.standard_normal(rows)
    rate = 1e-4 * float(rng.uniform(0.7, 1.4)) * (1.0 + common + 0.5 * draw)
    there = rng.random(rows) >= missing
    times = times + rng.integers(0, 900, rows)
    return FundingSeries(
        VenueId(name),
        CurrencyCode("BTC"),
        hours * HOUR_MS,
        times[there],
        (rate * hours / 8.0)[there],
        rate[there],
    )


def _of_funding(
    seed: int, *, unscaled: bool = False, stated: int = 1, **world: float
) -> tuple[Screen, ...]:
    own = _funding(seed, "own", 1, **world)  # type: ignore[arg-type]
    if unscaled:
        own = replace(own, rate_8h=own.rate)
    peers = [_funding(seed, name, 8, heavy=bool(world.get("heavy"))) for name in ("a", "b")]
    return funding_cadence(own, stated_ms=stated * HOUR_MS), funding_scale(own, peers)


def _paid(seed: int, planted: float, **world: float) -> Answers:
    return _answers(_of_funding(seed, **world))  # type: ignore[arg-type]


def _of_clock(seed: int, *, behind_ms: float = 0.0, heavy: bool = False) -> Screen:
    """Messages under way for 5 ms at least; the recorder's clock is behind by so much."""
    rng = stream(seed, "clock")
    event = START + np.cumsum(rng.integers(1, 50, 2000))
    spread = rng.pareto(1.5, 2000) if heavy else rng.exponential(1.0, 2000)
    local = event * 1_000_000 + ((5.0 + 10.0 * spread - behind_ms) * 1e6).astype(np.int64)
    return clock_skew(event.astype(np.int64), local, subject="feed")


def _clock(seed: int, planted: float, **world: float) -> Answers:
    return _answers((_of_clock(seed, **world),))  # type: ignore[arg-type]


def _feed_cases() -> list[Case]:
    index = "Screens of derivatives data"
    cap, interest = "capped liquidations", "open interest against trades"
    cadence, unit, clock = "funding cadence", "funding unit", "recorder's clock"
    none = tuple(size(name, 0.0) for name in (cap, interest, cadence, unit, clock))
    rows = (
        ("all liquidations, in bursts", _capped, {}, size(cap, 0.001)),
        ("all, bursts of any height", _capped, {"world": "heavy"}, size(cap, 0.001)),
        ("all, a busy quarter of an hour", _capped, {"world": "regimes"}, size(cap, 0.001)),
        ("all, few", _capped, {"world": "quiet"}, size(cap, 0.001)),
        ("30 % not reported, at random", _capped, {"missing": 0.3}, power(cap)),
        ("one a second reported, in bursts", _capped, {"capped": True}, power(cap)),
        ("one a second, a busy quarter", _capped, {"capped": True, "world": "regimes"}, power(cap)),
        ("one a second, few", _capped, {"capped": True, "world": "quiet"}, power(cap)),
        ("open interest and trades agree", _interest, {}, none[1]),
        ("the same, heavy tails", _interest, {"heavy": True}, none[1]),
        ("trades an interval late, 5 % missing", _interest, {"late": True, "missing": 0.05},
         none[1]),
        ("half of the trades reported", _interest, {"reported": 0.5}, power(interest)),
        ("nine of ten reported", _interest, {"reported": 0.9}, power(interest)),
        ("open interest jumps by 5 median volumes", _interest, {"jump": 5.0}, power(interest)),
        ("jumps by 20", _interest, {"jump": 20.0}, power(interest)),
        ("funding as stated", _paid, {}, none[2:4]),
        ("the same, heavy tails, 1 of 200 missing", _paid, {"heavy": True, "missing": 0.005},
         none[2:4]),
        ("a tenth of payments missing", _paid, {"missing": 0.1}, power(cadence)),
        ("paid hourly, stated as every 8 h", _paid, {"stated": 8}, power(cadence)),
        ("a rate per hour read as per 8 h", _paid, {"unscaled": True, "heavy": True}, power(unit)),
        ("the recorder's clock is right", _clock, {}, none[4]),
        ("the same, heavy-tailed delays", _clock, {"heavy": True}, none[4]),
        ("its clock is 4 ms behind", _clock, {"behind_ms": 4.0}, power(clock)),
        ("20 ms behind", _clock, {"behind_ms": 20.0}, power(clock)),
    )  # fmt: skip
    cases = []
    for world, measure, options, asked in rows:
        questions = asked if isinstance(asked, tuple) else (asked,)
        many = 300 if measure is _capped else 100
        cases.append(Case(index, world, questions, partial(measure, **options), worlds=many))  # type: ignore[arg-type]
    return cases


def _everything(seed: int, planted: float, *, rough: bool) -> Answers:
    """One passport with all eighteen screens of one venue that has nothing to hide."""
    market = {"heavy": True, "regimes": True, "missing": 0.03} if rough else {}
    own, peer = venues(seed, **market)  # type: ignore[arg-type]
    found = (
        frozen_bars(own),
        copied_bars(own),
        partial_bars(own),
        label_phase(own.times_ms, HOUR_MS, subject="bars", phase_ms=0),
        label_shift(own, peer, rng=seed),
        lagging_prices(own, peer, rng=seed),
        volume_without_moves(own, [peer], rng=seed),
        *_of_trades(seed, **({"runs": 2, "regimes": True, "missing": 0.1} if rough else {})),
        *_of_book(seed, **({"heavy": True, "regimes": True} if rough else {})),
        _of_liquidations(seed, **({"world": "heavy", "missing": 0.1} if rough else {})),  # type: ignore[arg-type]
        _of_interest(seed, heavy=rough, missing=0.05 if rough else 0.0),
        *_of_funding(seed, **({"heavy": True, "missing": 0.005} if rough else {})),  # type: ignore[arg-type]
        _of_clock(seed, heavy=rough),
    )
    return {"any of eighteen flags": any(one.flagged for one in found)}


def _passport_cases() -> list[Case]:
    # Six tests at 1 %, two at 5 %, one at 0.1 %; the others are identities and bounds.
    asked = (size("any of eighteen flags", 1.0 - 0.99**6 * 0.95**2 * 0.999),)
    rows = (("nothing is wrong", False), ("the same, heavy tails, regimes, missing data", True))
    return [
        Case("Data passport", w, asked, partial(_everything, rough=r), worlds=100) for w, r in rows
    ]


TAPE_SCREEN_CASES = (*_trade_cases(), *_book_cases(), *_feed_cases(), *_passport_cases())
