"""Greeks of a study's books on their own, in USD and in coin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from commonmode.app.study.greek_pictures import greek_pictures
from commonmode.app.study.market import open_feed
from commonmode.app.study.models import build_models
from commonmode.app.study.people import UNITS, draw_people, people_at, unpriced
from commonmode.app.study.results import plain
from commonmode.app.study.schema import find_study, load_study
from commonmode.core.errors import ConfigurationError
from commonmode.exposure.book import resolve
from commonmode.exposure.disagreement import disagreement
from commonmode.exposure.greeks import Greek, greek_table
from commonmode.exposure.surfaces import calibrate_surfaces
from commonmode.exposure.totals import totals
from commonmode.market.clock import utc_iso

__all__ = ["study_greeks"]


def study_greeks(
    path: Path,
    *,
    at: str | None = None,
    book: str | None = None,
    by: Sequence[str] = ("book", "underlying"),
    pictures: bool = False,
) -> dict[str, Any]:
    """Totals of every Greek under every surface model, and how far the models disagree.

    Parameters
    ----------
    path : Path
        Study.
    at : str, optional
        Revalue the books on the snapshot of this time (UTC) instead of the population's.
    book : str, optional
    by : sequence of str
        What to total by.
    pictures : bool
        Add what the page draws (:func:`~commonmode.app.study.greek_pictures.greek_pictures`).

    Returns
    -------
    dict
        ``snapshot``, ``models``, ``rows`` (keys, greek, unit, values in USD and coin by model,
        range and dispersion over the models) and ``failures``; with pictures also ``study``,
        ``title`` and ``pictures``.
    """
    file = find_study(path)
    study = load_study(file)
    models = build_models(study.models, file.parent)
    feed = open_feed(study, file.parent)
    people = draw_people(study, models, people_at(study, feed))
    table, surfaces = people.table, people.surfaces
    if at is not None:
        # The books stay as drawn; only the market moves on.
        market = people_at(study, feed, at)
        surfaces = calibrate_surfaces(models.surface, market)
        table = greek_table(resolve(people.books, market), surfaces)
    if book is not None:
        rows = table.positions.book == book
        if not rows.any():
            raise ConfigurationError(
                f"there is no book {book!r}",
                remedy=f"books: {', '.join(sorted(set(table.positions.book.tolist())))}",
            )
        table = table.select(rows)
    summed = totals(table, by=by)
    apart = disagreement(summed.usd)
    lines = [
        {
            **{name: _key(name, summed.keys[name][g]) for name in summed.by},
            "greek": greek.name.lower(),
            "unit": UNITS[greek],
            "usd": {m: float(summed.usd[g, i, greek]) for i, m in enumerate(summed.models)},
            "coin": {m: float(summed.coin[g, i, greek]) for i, m in enumerate(summed.models)},
            "range": float(apart.range[g, greek]),
            "dispersion": float(apart.dispersion[g, greek]),
        }
        for g in range(len(summed))
        for greek in Greek
    ]
    value: dict[str, Any] = plain(
        {
            "snapshot": utc_iso(table.positions.time_ms),
            "models": list(summed.models),
            "rows": lines,
            **unpriced(table),
        }
    )
    if pictures:
        value["study"], value["title"] = study.study.name, study.study.title
        value["pictures"] = greek_pictures(table, surfaces)
    return value


def _key(name: str, key: Any) -> Any:
    if name == "expiry":
        return utc_iso(int(key)) if int(key) else "none"
    return str(key) if isinstance(key, np.str_) else key
