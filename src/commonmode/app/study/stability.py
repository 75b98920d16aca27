"""How much of a book's model P&L is recalibration, snapshot by snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from commonmode.app.study.market import open_feed
from commonmode.app.study.models import build_models
from commonmode.app.study.people import draw_people, people_at
from commonmode.app.study.results import plain
from commonmode.app.study.schema import StudyFile, find_study, load_study
from commonmode.core.arrays import FloatArray
from commonmode.core.errors import ConfigurationError
from commonmode.core.protocols import Progress, SilentProgress
from commonmode.exposure.book import Book, resolve
from commonmode.exposure.greeks import Greek, greek_table
from commonmode.exposure.surfaces import FittedSurfaces, calibrate_surfaces
from commonmode.market.clock import utc_iso
from commonmode.market.feed import Feed
from commonmode.market.snapshot import Snapshot
from commonmode.pricing.stability import RecalibrationNoise, recalibration_noise

__all__ = ["study_stability"]

_STEP = "snapshots"


def study_stability(
    path: Path, *, book: str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Value a book through the study's snapshots under carried and under new parameters.

    The positions stay as they are; options that expire on the way are left out, and so is a
    position that some model does not price at every snapshot.

    Parameters
    ----------
    path : Path
        Study with a population and a surface panel (whose snapshots are used).
    book : str, optional
        The one with the largest gross exposure by default.
    progress : Progress, optional

    Returns
    -------
    dict
        ``book``, ``snapshots`` and one entry per model: P&L in USD over all steps, split into the
        market's part and recalibration, and how much of the latter comes back at the next step.

    Raises
    ------
    ConfigurationError
        No surface panel with a span, no population, or no such book.
    """
    file = find_study(path)
    study = load_study(file)
    models = build_models(study.models, file.parent)
    feed = open_feed(study, file.parent)
    people = draw_people(study, models, people_at(study, feed))
    chosen = _book(people.books, book, people.population.participants)
    snapshots = _snapshots(study, feed)
    names = [model.id for model in models.surface]
    progress = progress or SilentProgress()
    progress.start(_STEP, len(snapshots))
    before: FittedSurfaces | None = None
    own: list[dict[str, FloatArray]] = []
    carried: list[dict[str, FloatArray]] = []
    for snapshot in snapshots:
        surfaces = calibrate_surfaces(models.surface, snapshot)
        own.append(_values(chosen, snapshot, surfaces))
        carried.append(_values(chosen, snapshot, before) if before is not None else {})
        before = surfaces
        progress.advance(_STEP)
    progress.finish(_STEP)
    kept = _always(own, carried)
    value: dict[str, Any] = plain(
        {
            "study": study.study.name,
            "book": chosen.id,
            "snapshots": [utc_iso(snapshot.time_ms) for snapshot in snapshots],
            "positions": len(kept),
            "models": [
                {"id": name, **_as_dict(_split(own, carried, kept, m))}
                for m, name in enumerate(names)
            ],
        }
    )
    return value


def _book(books: Sequence[Book], wanted: str | None, participants: Sequence[Any]) -> Book:
    by_name = {str(one.id): one for one in books}
    if wanted is None:
        wanted = str(max(participants, key=lambda p: p.gross_usd).book)
    if wanted not in by_name:
        raise ConfigurationError(
            f"there is no book {wanted!r}", remedy=f"books: {', '.join(sorted(by_name))}"
        )
    return by_name[wanted]


def _snapshots(study: StudyFile, feed: Feed) -> list[Snapshot]:
    panel = next((p for p in study.panels if p.family == "surface" and p.start and p.end), None)
    if panel is None or panel.start is None or panel.end is None:
        raise ConfigurationError(
            f"study {study.study.name} has no surface panel with start and end",
            remedy="add one: its snapshots are the path",
        )
    times = feed.snapshot_times(panel.start, panel.end, panel.every_minutes)
    return list(feed.snapshots(times, study.market.underlyings))


def _values(book: Book, snapshot: Snapshot, surfaces: FittedSurfaces) -> dict[str, FloatArray]:
    """USD value of every option position under every model, by instrument; each shape (M,)."""
    resolved = resolve(book, snapshot)
    options = resolved.select(resolved.is_option)
    table = greek_table(options, surfaces, smile=False)
    prices = table.usd[:, :, Greek.PRICE]
    return {str(name): prices[row] for row, name in enumerate(options.instrument)}


def _always(
    own: Sequence[dict[str, FloatArray]], carried: Sequence[dict[str, FloatArray]]
) -> list[str]:
    """Instruments that every model prices at every snapshot, with both sets of parameters."""
    tables = [*own, *carried[1:]]
    return [
        name
        for name in own[0]
        if all(name in table and np.isfinite(table[name]).all() for table in tables)
    ]


def _split(
    own: Sequence[dict[str, FloatArray]],
    carried: Sequence[dict[str, FloatArray]],
    names: Sequence[str],
    model: int,
) -> RecalibrationNoise:
    value = np.array([sum(table[n][model] for n in names) for table in own])
    moved = np.array([np.nan, *(sum(table[n][model] for n in names) for table in carried[1:])])
    steps = len(value)
    # Not every model states standard errors: the reversal of steps tells noise without them.
    return recalibration_noise(value, moved, value, np.zeros((steps, 1)), np.zeros((steps, 1, 1)))


def _as_dict(noise: RecalibrationNoise) -> dict[str, float]:
    needs_errors = ("noise_std", "noise_share", "share_of_variance")
    return {f.name: getattr(noise, f.name) for f in fields(noise) if f.name not in needs_errors}
