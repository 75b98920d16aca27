"""Books resolved against a market, their Greeks and scenario values, and models' disagreement."""

from __future__ import annotations

from commonmode.exposure.book import (
    Book,
    Position,
    PositionFailure,
    ResolvedBook,
    instrument_of,
    resolve,
)
from commonmode.exposure.book_pnl import BookPnl, book_pnl
from commonmode.exposure.disagreement import Disagreement, disagreement
from commonmode.exposure.greeks import Greek, GreekFailure, GreekTable, greek_table
from commonmode.exposure.revaluation import (
    ModelSurfaces,
    Revaluation,
    held_values,
    model_surfaces,
    revalue,
)
from commonmode.exposure.scenarios import ScenarioGrid, SmileDynamics
from commonmode.exposure.surfaces import FittedSurfaces, calibrate_surface, calibrate_surfaces
from commonmode.exposure.totals import GreekTotals, totals

__all__ = [
    "Book",
    "BookPnl",
    "Disagreement",
    "FittedSurfaces",
    "Greek",
    "GreekFailure",
    "GreekTable",
    "GreekTotals",
    "ModelSurfaces",
    "Position",
    "PositionFailure",
    "ResolvedBook",
    "Revaluation",
    "ScenarioGrid",
    "SmileDynamics",
    "book_pnl",
    "calibrate_surface",
    "calibrate_surfaces",
    "disagreement",
    "greek_table",
    "held_values",
    "instrument_of",
    "model_surfaces",
    "resolve",
    "revalue",
    "totals",
]
