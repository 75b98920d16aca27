"""Look ``hedging``: how well does each surface model's delta hedge what the books hold?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from commonmode.app.study.look_context import (
    LookAnswer,
    LookContext,
    LookTable,
    inapplicable,
    without_people,
)
from commonmode.app.study.people import People
from commonmode.converge.finding import Finding
from commonmode.converge.severity import SMALL_SHARE, Severity, severity_of
from commonmode.core.errors import ConfigurationError, DataError
from commonmode.core.ids import BookId, ModelId
from commonmode.core.protocols import Progress
from commonmode.core.result import Failure
from commonmode.core.units import HOUR_MS
from commonmode.exposure.hedging import HedgeComparison, HedgeRecord, compare_hedges, record_hedges
from commonmode.market.snapshot import Snapshot

__all__ = ["look_at_hedging"]

_STEP = "hedging: snapshots"


def look_at_hedging(context: LookContext) -> LookAnswer | Failure:
    """Hedge the options of all books with every model's delta on the market's own path."""
    people, models = context.people, context.models.surface
    if people is None:
        return without_people(context, "hedged")
    if len(models) < 2:
        return inapplicable(
            f"{len(models)} surface model(s): there is nothing to compare", "add a second one"
        )
    reference = _reference(context)
    held = people.table.positions
    options = sorted({str(name) for name in held.instrument[held.is_option].tolist()})
    if not options:
        return inapplicable("no book holds an option", "add options to the positions of [[books]]")
    times = _times(context, people)
    progress = context.progress
    progress.start(_STEP, len(times))
    snapshots = context.feed.snapshots(times, context.study.market.underlyings)
    record = record_hedges(_told(snapshots, progress), models, options)
    progress.finish(_STEP)
    # A gap in one contract would be a gap in the whole book.
    throughout = np.isfinite(record.mark_usd).all(axis=0)
    throughout &= np.isfinite(record.delta_usd).all(axis=(0, 2))
    flips, seed = context.study.indices.flips, context.study.study.seed
    whole = compare_hedges(record, reference=reference, flips=flips, rng=seed)
    own = {one.book: one.surface_model for one in people.population.participants}
    notes: list[str] = []
    books: list[tuple[BookId, HedgeComparison]] = []
    for book, model in own.items():
        quantity = _quantity(people, book, record)
        whole_book = float(np.abs(quantity).sum())
        if not whole_book > 0.0:
            notes.append(f"{book}: holds no option")
            continue
        quantity = np.where(throughout, quantity, 0.0)
        kept = float(np.abs(quantity).sum()) / whole_book
        if kept < 1.0:
            notes.append(
                f"{book}: {100 * kept:.0f} % of its contracts, those quoted throughout and with a "
                "delta under every model; the others expire on the way or are not quoted"
            )
        try:
            one = compare_hedges(record, quantity, reference=model, flips=flips, rng=seed)
        except DataError as error:
            notes.append(f"{book}: {error.message}")
            continue
        books.append((book, one))
    return LookAnswer(_findings(whole, books), (_models(whole), _books(books)), tuple(notes))


def _reference(context: LookContext) -> ModelId:
    """The model named beforehand, or the study's first."""
    known = [model.id for model in context.models.surface]
    named = context.study.looks.hedging.reference
    if named and named not in known:
        raise ConfigurationError(
            f"looks.hedging.reference: {named!r} is no surface model of the study",
            remedy=f"one of {', '.join(known)}",
        )
    return ModelId(named) if named else known[0]


def _times(context: LookContext, people: People) -> Sequence[int]:
    """Snapshots from the population's on."""
    settings = context.study.looks.hedging
    first = people.snapshot.time_ms
    times: list[int] = context.feed.snapshot_times(
        first, first + settings.hours * HOUR_MS, settings.every_minutes
    ).tolist()
    return times


def _told(snapshots: Iterator[Snapshot], progress: Progress) -> Iterator[Snapshot]:
    for snapshot in snapshots:
        yield snapshot
        progress.advance(_STEP)


def _quantity(people: People, book: BookId, record: HedgeRecord) -> np.ndarray:
    """Contracts of each recorded option in one book, shape (I,)."""
    held = people.table.positions
    mine = np.flatnonzero((held.book == book) & held.is_option)
    out = np.zeros(len(record.instruments))
    np.add.at(out, np.searchsorted(record.instruments, held.instrument[mine]), held.quantity[mine])
    return out


def _findings(
    whole: HedgeComparison, books: Sequence[tuple[BookId, HedgeComparison]]
) -> tuple[Finding, ...]:
    found = [Finding("hedging", "", _severity(whole), whole.sentence, _numbers(whole))]
    found += [
        Finding("hedging", str(book), _severity(one), f"{book}: {one.sentence}", _numbers(one))
        for book, one in books
    ]
    return tuple(found)


def _severity(one: HedgeComparison) -> Severity:
    worse = (one.p_value <= 0.05) & (one.against_reference > 0.0)
    better = (one.p_value <= 0.05) & (one.against_reference < 0.0)
    # A model beside the reference is the better hedge: that is what ought to be looked at.
    if better.any():
        return severity_of(True, float(-one.against_reference[better].min()), SMALL_SHARE)
    return Severity.NOTE if worse.any() else Severity.FINE


def _numbers(one: HedgeComparison) -> dict[str, float]:
    best, worst = int(np.argmin(one.rmse)), int(np.argmax(one.rmse))
    return {
        "best": float(one.rmse[best]),
        "worst": float(one.rmse[worst]),
        "unhedged": one.unhedged,
        "p_smallest": float(one.p_value.min()),
        "steps": float(one.steps),
        "blocks": float(one.blocks),
    }


def _models(one: HedgeComparison) -> LookTable:
    columns = zip(
        one.models,
        one.rmse.tolist(),
        one.mean.tolist(),
        one.low.tolist(),
        one.high.tolist(),
        one.against_reference.tolist(),
        one.apart_low.tolist(),
        one.apart_high.tolist(),
        one.detectable.tolist(),
        one.p_value.tolist(),
        strict=True,
    )
    return LookTable(
        "models",
        f"Errors of every option's hedge over one step, in {one.unit}: root mean square, mean, 5 % "
        f"and 95 % quantile ({one.unhedged:.1f} unhedged); mean squared error against that of "
        f"{one.reference} with its 95 % interval and what would have been found.",
        (
            "model",
            "error",
            "mean",
            "low",
            "high",
            "apart_share",
            "apart_low_share",
            "apart_high_share",
            "detectable_share",
            "p_value",
        ),
        [(str(name), *rest) for name, *rest in columns],
    )


def _books(books: Sequence[tuple[BookId, HedgeComparison]]) -> LookTable:
    return LookTable(
        "books",
        "Errors of every book's hedge over one step under every model's delta, of the options that "
        "are quoted throughout; p: against the book's own model.",
        (
            "book",
            "own_model",
            "model",
            "error_usd",
            "mean_usd",
            "low_usd",
            "high_usd",
            "unhedged_usd",
            "steps",
            "p_value",
        ),
        [
            (
                str(book),
                str(one.reference),
                str(model),
                float(one.rmse[m]),
                float(one.mean[m]),
                float(one.low[m]),
                float(one.high[m]),
                one.unhedged,
                one.steps,
                float(one.p_value[m]),
            )
            for book, one in books
            for m, model in enumerate(one.models)
        ],
    )
