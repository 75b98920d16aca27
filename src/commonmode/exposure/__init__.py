"""Books resolved against a market, their Greeks under every model, and the models' disagreement."""

from __future__ import annotations

from commonmode.exposure.book import (
    Book,
    Position,
    PositionFailure,
    ResolvedBook,
    instrument_of,
    resolve,
)
from commonmode.exposure.disagreement import Disagreement, disagreement
from commonmode.exposure.greeks import Greek, GreekFailure, GreekTable, greek_table
from commonmode.exposure.surfaces import FittedSurfaces, calibrate_surface, calibrate_surfaces
from commonmode.exposure.totals import GreekTotals, totals

__all__ = [
    "Book",
    "Disagreement",
    "FittedSurfaces",
    "Greek",
    "GreekFailure",
    "GreekTable",
    "GreekTotals",
    "Position",
    "PositionFailure",
    "ResolvedBook",
    "calibrate_surface",
    "calibrate_surfaces",
    "disagreement",
    "greek_table",
    "instrument_of",
    "resolve",
    "totals",
]
