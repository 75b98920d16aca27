"""Screens of the data passport: bars of one venue, and of one against another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from evidence_case import Case, Question, power, size
from screen_worlds import frozen, venues

from commonmode.core.random import stream
from commonmode.core.units import HOUR_MS
from commonmode.market.history import History
from commonmode.market.integrity import (
    Screen,
    copied_bars,
    frozen_bars,
    label_phase,
    label_shift,
    lagging_prices,
    partial_bars,
    volume_without_moves,
)

__all__ = ["BAR_SCREEN_CASES"]

Answers = Mapping[str, bool | None]
_ROUGH = {"heavy": True, "regimes": True, "missing": 0.03}


def _own(bars: History) -> tuple[Screen, ...]:
    phase = label_phase(bars.times_ms, HOUR_MS, subject="bars", phase_ms=0)
    return frozen_bars(bars), copied_bars(bars), partial_bars(bars), phase


def _flagged(found: Sequence[Screen]) -> Answers:
    """Whether each flags; None where it does not apply."""
    told = {s.name: None if np.isnan(s.statistic) else s.flagged for s in found}
    return {**told, "any of them": any(s.flagged for s in found)}


def _whole(seed: int, planted: float, **world: float) -> Answers:
    return _flagged(_own(venues(seed, **world)[0]))  # type: ignore[arg-type]


def _torn(bars: History, share: float, rng: np.random.Generator) -> History:
    """A share of the bars opens a range away from the close before."""
    held = {name: column.copy() for name, column in bars.columns.items()}
    at = 1 + np.flatnonzero(rng.random(len(bars) - 1) < share)
    away = held["close"][at - 1] + held["high"][at] - held["low"][at]
    held["open"][at] = away
    held["high"][at] = np.maximum(held["high"][at], away)
    return replace(bars, columns=held)


def _broken(seed: int, planted: float, *, fault: str, amount: float, **world: float) -> Answers:
    bars = venues(seed, **world)[0]  # type: ignore[arg-type]
    rng = stream(seed, "fault")
    start = int(rng.integers(200, len(bars) - 200))
    if fault == "frozen":
        bars = frozen(bars, start, int(amount))
    elif fault == "copied":
        held = {name: column.copy() for name, column in bars.columns.items()}
        for column in held.values():
            column[start : start + int(amount)] = column[start - 150 : start - 150 + int(amount)]
        bars = replace(bars, columns=held)
    elif fault == "torn":
        bars = _torn(bars, amount, rng)
    else:  # local time, labelled UTC, between two changes of the clock
        late = (np.arange(len(bars)) >= start) * int(amount * HOUR_MS)
        bars = replace(bars, times_ms=bars.times_ms + late)
    return _flagged(_own(bars))


def _one_venue() -> list[Case]:
    index = "Screens of bars"
    clean = (
        size("frozen venue", 0.01),
        size("copied bars", 0.0),
        size("partial bars", 0.0),
        size("phase of time labels", 0.0),
        size("any of them", 0.01),
    )
    rows = (
        ("whole", {}),
        ("the same, heavy tails", {"heavy": True}),
        ("the same, volatility switches regimes", {"regimes": True}),
        ("the same, 3 % of bars missing, three days dark", {"missing": 0.03}),
        ("a tick of which one close in twenty repeats", {"tick": 20.0}),
        ("the same, regimes", {"tick": 20.0, "regimes": True}),
        ("a tick of which one close in seven repeats", {"tick": 60.0}),
        ("the same, heavy tails, regimes, 3 % missing", {"tick": 60.0, **_ROUGH}),
    )
    cases = [Case(index, w, clean, partial(_whole, **k)) for w, k in rows]  # type: ignore[arg-type]

    def fault(world: str, question: Question, kind: str, amount: float, **options: float) -> Case:
        measure = partial(_broken, fault=kind, amount=amount, **options)
        return Case(index, world, (question,), measure, worlds=100)

    stale = power("frozen venue")
    cases += [
        fault("frozen for three bars", stale, "frozen", 3),
        fault("frozen for six bars", stale, "frozen", 6),
        fault("for six bars, one close in twenty repeats", stale, "frozen", 6, tick=20.0),
        fault("for six bars, one in seven", stale, "frozen", 6, tick=60.0),
        fault("for a day, one in seven", stale, "frozen", 24, tick=60.0),
        fault("two bars copied", power("copied bars"), "copied", 2),
        fault("three bars copied, rough", power("copied bars"), "copied", 3, **_ROUGH),
        fault("1 of 200 bars torn", size("partial bars", 0.0), "torn", 0.005),
        fault("2 of 100 bars torn", power("partial bars"), "torn", 0.02),
        fault("2 of 100 bars torn, rough", power("partial bars"), "torn", 0.02, **_ROUGH),
        fault("half an hour off from some day on", power("phase of time labels"), "clock", 0.5),
    ]
    return cases


def _between(
    seed: int,
    planted: float,
    *,
    shift: int = 0,
    part: float = 1.0,
    washed: float = 0.0,
    **world: float,
) -> Answers:
    """The first venue's labels off by ``shift`` bars for a part of the time, its volume washed."""
    own, peer = venues(seed, **world)  # type: ignore[arg-type]
    if shift:
        moved = own.times_ms + shift * HOUR_MS * (np.arange(len(own)) >= (1.0 - part) * len(own))
        own = replace(own, times_ms=moved)
    if washed:
        real = own.column("volume")
        made = stream(seed, "washed").lognormal(0.0, 1.0, len(real)) / np.exp(0.5)
        added = real.mean() * washed / (1.0 - washed) * made
        own = replace(own, columns={**own.columns, "volume": real + added})
    return _flagged(
        (
            label_shift(own, peer, rng=seed),
            lagging_prices(own, peer, rng=seed),
            volume_without_moves(own, [peer], rng=seed),
        )
    )


def _two_venues() -> list[Case]:
    index = "Screens between venues"
    clean = (
        size("shifted time labels", 0.01),
        size("lagging prices", 0.01),
        size("volume without moves", 0.01),
        size("any of them", 0.03),
    )
    labels, late = power("shifted time labels"), power("lagging prices")
    fake = power("volume without moves")
    whole = (
        ("both whole", {}),
        ("the same, heavy tails", {"heavy": True}),
        ("the same, regimes", {"regimes": True}),
        ("the same, 3 % of either missing", {"missing": 0.03}),
        ("all that, a tick of which one close in seven repeats", {**_ROUGH, "tick": 60.0}),
    )
    rows = (
        ("an hour off throughout", {"shift": 1}, labels),
        ("an hour off for the last third, rough", {"shift": 1, "part": 0.33, **_ROUGH}, labels),
        ("an hour off for the last tenth", {"shift": 1, "part": 0.1}, labels),
        ("a twelfth of each bar late", {"late": 1 / 12}, late),
        ("a quarter late, rough", {"late": 0.25, **_ROUGH}, late),
        ("a tenth of the volume washed", {"washed": 0.1}, fake),
        ("a third washed", {"washed": 1 / 3}, fake),
        ("two thirds washed", {"washed": 2 / 3}, fake),
        ("two thirds washed, rough", {"washed": 2 / 3, **_ROUGH}, fake),
    )
    cases = [Case(index, w, clean, partial(_between, **k), worlds=100) for w, k in whole]  # type: ignore[arg-type]
    return cases + [Case(index, w, (q,), partial(_between, **k), worlds=40) for w, k, q in rows]  # type: ignore[arg-type]


BAR_SCREEN_CASES = (*_one_venue(), *_two_venues())
