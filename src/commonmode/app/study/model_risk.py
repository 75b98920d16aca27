"""Look ``model-risk``: what each book's value and losses owe to the choice of model, in USD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.interpolate import PchipInterpolator

from commonmode.app.study.look_context import (
    LookAnswer,
    LookContext,
    LookTable,
    inapplicable,
    without_people,
)
from commonmode.app.study.people import People
from commonmode.converge.findings import Finding, Severity
from commonmode.core.arrays import FloatArray, IntArray
from commonmode.core.errors import CommonmodeError
from commonmode.core.ids import BookId, CurrencyCode, ModelId
from commonmode.core.result import Failure
from commonmode.core.units import HOUR_MS
from commonmode.core.words import usd
from commonmode.exposure.book_pnl import book_pnl
from commonmode.exposure.model_risk import (
    BookModelRisk,
    ModelRiskSettings,
    model_risk,
    total_reserve,
)
from commonmode.exposure.parameter_risk import parameter_sd, shared_error_sd
from commonmode.exposure.quote_fit import QuoteFit, quote_fit
from commonmode.exposure.revaluation import model_surfaces, revalue
from commonmode.exposure.scenarios import ScenarioGrid

__all__ = ["look_at_model_risk"]

_KNOTS = 33  # quantiles, and as many even steps, at which books are revalued; P&L between them
_FEWEST = 30  # moves of the market that make a distribution of scenarios

Fits = Mapping[CurrencyCode, Mapping[ModelId, QuoteFit]]


def look_at_model_risk(context: LookContext) -> LookAnswer | Failure:
    """Range, penalised range, parameter noise, worst nearby loss and reserve of every book."""
    settings = context.study.looks.model_risk
    people = context.people
    if people is None:
        return without_people(context, "valued")
    use = ModelRiskSettings(
        inside=settings.inside, confidence=settings.confidence, radii=settings.radii
    )
    own = {one.book: one.surface_model for one in people.population.participants}
    fits = quote_fit(people.surfaces, people.snapshot)
    _, spread = parameter_sd(people.table.positions, people.surfaces, people.table.models)
    notes: list[str] = []
    _, shared = shared_error_sd(people.table, people.surfaces)
    pnl = _scenario_pnl(context, people, own, notes)
    books = model_risk(
        people.table,
        fits,
        own=own,
        parameter_sd=spread,
        shared_error_sd=shared,
        scenario_pnl=pnl,
        settings=use,
    )
    if not books:
        return inapplicable(
            "no surface model values any of the books", "look at the failed positions"
        )
    valued = {one.book for one in books}
    notes += [f"{book}: no model values it" for book in own if book not in valued]
    notes += [f"a position is left out: {one.failure}" for one in people.table.positions.failures]
    return LookAnswer(
        _findings(books, use), (_books(books, use), _values(books), _quotes(fits)), tuple(notes)
    )


def _scenario_pnl(
    context: LookContext, people: People, own: Mapping[BookId, ModelId], notes: list[str]
) -> dict[BookId, FloatArray]:
    """P&L of every book, under its own model, in the moves that the market made before."""
    settings = context.study.looks.model_risk
    held = people.table.positions
    coins = [str(name) for name in np.unique(held.underlying).tolist()]
    try:
        moves = _moves(context, coins, people.snapshot.time_ms)
    except CommonmodeError as error:
        notes.append(f"no scenarios: {error.message}")
        return {}
    count = len(next(iter(moves.values()))) if moves else 0
    if count < _FEWEST:
        notes.append(
            f"no worst case nearby: {count} moves of {settings.scenario_hours} h before the "
            f"snapshot, {_FEWEST} are needed"
        )
        return {}
    total: dict[BookId, FloatArray] = {}
    for model in dict.fromkeys(own.values()):
        mine = [book for book, name in own.items() if name == model]
        part = held.select(np.isin(held.book, mine))
        for coin in np.unique(part.underlying).tolist():
            one = part.select(part.underlying == coin)
            knots = _knots(moves[coin])
            values = revalue(
                one, model_surfaces(people.surfaces, model), ScenarioGrid(spot=1.0 + knots)
            )
            gained = book_pnl(one, values)
            for name, at_knots in zip(gained.books.tolist(), gained.pnl, strict=True):
                book, path = BookId(name), np.full(count, np.nan)
                if np.isfinite(at_knots).all():
                    path = PchipInterpolator(knots, at_knots)(moves[coin])
                total[book] = total.get(book, np.zeros(count)) + path
    return total


def _knots(moves: FloatArray) -> FloatArray:
    """Close together where moves are common, and not far apart where they are rare."""
    common = np.quantile(moves, np.linspace(0.0, 1.0, _KNOTS))
    even = np.linspace(moves.min(), moves.max(), _KNOTS)
    return np.unique(np.concatenate([common, even]))


def _moves(context: LookContext, coins: Sequence[str], until_ms: int) -> dict[str, FloatArray]:
    """Moves of all coins over common, non-overlapping periods that end before the snapshot."""
    settings = context.study.looks.model_risk
    step = settings.scenario_hours * HOUR_MS
    ends: IntArray = (
        until_ms
        - until_ms % HOUR_MS
        - step * np.arange(settings.scenario_days * 24 * HOUR_MS // step, -1, -1, dtype=np.int64)
    )
    levels = []
    for coin in coins:
        history = context.feed.history(coin, None, None)
        row = np.minimum(np.searchsorted(history.times_ms, ends), len(history) - 1)
        there = history.times_ms[row] == ends
        levels.append(np.where(there, history.column("close")[row], np.nan))
    prices = np.array(levels)
    moves = prices[:, 1:] / prices[:, :-1] - 1.0
    known = np.isfinite(moves).all(axis=0)
    return {coin: moves[i, known] for i, coin in enumerate(coins)}


def _findings(books: Sequence[BookModelRisk], use: ModelRiskSettings) -> tuple[Finding, ...]:
    total, half = total_reserve(tuple(books))
    largest = max(books, key=lambda one: one.reserve)
    widest = max(books, key=lambda one: float(np.nan_to_num(one.range)))
    doubtful = [one for one in books if int(one.admitted.sum()) < 2]
    said = (
        f"Model reserve of {len(books)} books at {100 * use.confidence:.0f} %: {usd(total)} in "
        f"sum, {usd(half)} if half of it diversified away; most for {largest.book} "
        f"({usd(largest.reserve)})."
    )
    if np.isfinite(widest.range):
        said += (
            f" Equally well calibrated models differ most on {widest.book}: {usd(widest.range)}."
        )
    law = ""
    if any(one.prudent.normal for one in books):
        least = min(one.prudent.ranked for one in books)
        law = f" and errors are normal, for by their ranks they reach {100 * least:.0f} % only"
    said += (
        f" The reserve is a bound that holds if the truth is one more model of their kind{law}; it "
        "is too little where models share a cause. A range is exact at its snapshot: no interval, "
        "and as nothing is tested no detectable effect. The calibration's noise counts quotes as "
        "independent: an error that all strikes of an expiry share does not show in one snapshot. "
        "What to do: "
    )
    said += f"hold the reserve, {largest.book} first" if total > 0 else "nothing to hold"
    if doubtful:
        said += (
            f"; fit models better for {', '.join(one.book for one in doubtful)}, where fewer than "
            "two reproduce the quotes"
        )
    numbers = {"reserve": total, "half": half, "books": float(len(books))}
    found = [
        Finding(
            "model-risk", "", Severity.NOTE if total > 0 else Severity.FINE, f"{said}.", numbers
        )
    ]
    found += [
        Finding(
            "model-risk",
            str(one.book),
            Severity.NOTE if one.reserve > 0 else Severity.FINE,
            one.sentence,
            _numbers(one),
        )
        for one in sorted(books, key=lambda one: -one.reserve)
    ]
    return tuple(found)


def _numbers(one: BookModelRisk) -> dict[str, float]:
    return {
        "carried": one.carried,
        "reserve": one.reserve,
        "range": one.range,
        "penalised": one.penalised,
        "prudent_value": one.prudent.value,
        "confidence": one.prudent.confidence,
        "confidence_by_rank": one.prudent.ranked,
        "parameter_sd": _largest(one.parameter_sd),
        "parameter_sd_half_shared": 0.5 * one.noise[1],
        "expected_loss": one.expected_loss,
        "models_admitted": float(one.admitted.sum()),
    } | {f"worst_loss_{radius:g}": loss for radius, loss in one.worst_loss.items()}


def _largest(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size else float("nan")


def _books(books: Sequence[BookModelRisk], use: ModelRiskSettings) -> LookTable:
    return LookTable(
        "books",
        "Every book: its value under its own model, the range over models that reproduce at least "
        f"{100 * use.inside:.0f} % of the quotes inside bid and ask, the range over all models "
        "less their calibration errors (penalised; 0: they differ by no more than they miss the "
        "quotes by), one standard deviation of the value from the "
        "calibration's noise (largest of the models), the same if half of every quote's error were "
        "common to its expiry, the mean loss over the market's past moves "
        "and the worst mean loss over reweightings within so many nats of them.",
        (
            "book",
            "own_model",
            "carried_usd",
            "reserve_usd",
            "models_admitted",
            "range_usd",
            "penalised_usd",
            "parameters_usd",
            "half_shared_usd",
            "mean_loss_usd",
            *(f"worst_{radius:g}_nats_usd" for radius in use.radii),
        ),
        [
            (
                str(one.book),
                one.own or "median of models",
                one.carried,
                one.reserve,
                int(one.admitted.sum()),
                one.range,
                one.penalised,
                _largest(one.parameter_sd),
                0.5 * one.noise[1],
                one.expected_loss,
                *(one.worst_loss.get(radius) for radius in use.radii),
            )
            for one in books
        ],
    )


def _values(books: Sequence[BookModelRisk]) -> LookTable:
    return LookTable(
        "values",
        "Value of every book under every model that values all of it.",
        ("book", "model", "value_usd", "above_carried_usd", "admitted", "inside_share", "sd_usd"),
        [
            (
                str(one.book),
                str(model),
                value,
                value - one.carried,
                bool(admitted),
                inside,
                sd,
            )
            for one in books
            for model, value, admitted, inside, sd in zip(
                one.models,
                one.values.tolist(),
                one.admitted.tolist(),
                one.inside.tolist(),
                one.parameter_sd.tolist(),
                strict=True,
            )
        ],
    )


def _quotes(fits: Fits) -> LookTable:
    return LookTable(
        "quotes",
        "How well each model reproduces the two-sided quotes of the snapshot: share inside bid "
        "and ask, largest and mean distance of a price from that interval.",
        ("model", "target", "quotes", "inside_share", "worst_usd", "mean_usd"),
        [
            (str(model), str(coin), fit.quotes, fit.inside, fit.worst_usd, fit.mean_usd)
            for coin, models in fits.items()
            for model, fit in models.items()
        ],
    )
