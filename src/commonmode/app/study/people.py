"""Who holds what: the drawn population, its Greeks under every model, the USD behind each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from commonmode.app.study.market import snapshot_at
from commonmode.app.study.models import StudyModels
from commonmode.app.study.results import failure_to_json, plain
from commonmode.app.study.schema import PopulationSettings, StudyFile
from commonmode.core.errors import DataError
from commonmode.core.ids import BookId, ModelId, ParticipantId
from commonmode.exposure.book import ResolvedBook, resolve
from commonmode.exposure.disagreement import disagreement
from commonmode.exposure.greeks import Greek, GreekTable, greek_table
from commonmode.exposure.surfaces import FittedSurfaces, calibrate_surfaces
from commonmode.exposure.totals import GreekTotals, totals
from commonmode.lab.population import ModelChoice, draw_population
from commonmode.market.feed import Feed
from commonmode.market.snapshot import Snapshot
from commonmode.register.book import Book
from commonmode.register.population import Participant, ParticipantKind, Population

__all__ = ["People", "draw_people", "greeks_to_json", "people_at", "population_to_json", "unpriced"]

UNITS: Final = {
    Greek.PRICE: "USD",
    Greek.DELTA: "USD per 100 % move of the index",
    Greek.GAMMA: "USD of delta per 1 % move",
    Greek.VEGA: "USD per volatility point",
    Greek.THETA: "USD per day",
    Greek.RHO: "USD per 1 % of rate",
}


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The population with its books valued.

    Attributes
    ----------
    population : Population
        Those drawn, and those whose books the study states.
    books : tuple of Book
    snapshot : Snapshot
    table : GreekTable
        Every position under every surface model.
    surfaces : FittedSurfaces
        Of the snapshot.
    """

    population: Population
    books: tuple[Book, ...]
    snapshot: Snapshot
    table: GreekTable
    surfaces: FittedSurfaces


def people_at(study: StudyFile, feed: Feed, when: Any = None) -> Snapshot:
    """The snapshot at which the population is drawn (or at ``when``).

    Raises
    ------
    DataError
        If the feed has no snapshot at that time.
    """
    if study.population is None:
        raise DataError(
            f"study {study.study.name} has no population",
            remedy="add a [population] section: snapshot time and how many of each kind",
        )
    time = study.population.snapshot if when is None else when
    return snapshot_at(feed, time, study.market.underlyings)


def draw_people(study: StudyFile, models: StudyModels, snapshot: Snapshot) -> People:
    """Draw the population and value its books under every surface model."""
    settings = study.population
    assert settings is not None, "people_at has checked that there is a population"
    surface = [model.id for model in models.surface]
    risk = [model.id for model in models.risk]
    if not surface or not risk:
        raise DataError(
            "a population needs a surface model to price with and a risk model to margin with",
            remedy="add one of each to the study's models",
        )
    kinds = {kind: getattr(settings, kind.value) for kind in ParticipantKind}
    population = Population((), "Positions are those that the study file states.")
    books: tuple[Book, ...] = ()
    if any(kinds.values()):
        drawn = draw_population(
            snapshot,
            kinds,
            surface_models=_choices(settings, "surface_models", surface),
            risk_models=_choices(settings, "risk_models", risk),
            seed=study.study.seed,
            jurisdictions=settings.jurisdictions,
        )
        population, books = drawn.population, drawn.books
    stated = tuple(Book.of(one.id, one.positions.items()) for one in study.books)
    known = _stated_participants(study, resolve(stated, snapshot))
    population = Population((*population.participants, *known), population.ownership)
    books = (*books, *stated)
    surfaces = calibrate_surfaces(models.surface, snapshot)
    table = greek_table(resolve(books, snapshot), surfaces)
    return People(population, books, snapshot, table, surfaces)


def _stated_participants(study: StudyFile, resolved: ResolvedBook) -> list[Participant]:
    """Participants whose positions the study states, with their gross exposure."""
    gross = resolved.gross_usd
    return [
        Participant(
            id=ParticipantId(one.id),
            kind=ParticipantKind(one.kind),
            book=BookId(one.id),
            surface_model=ModelId(one.surface_model),
            risk_model=ModelId(one.risk_model),
            capital_usd=one.capital_usd,
            gross_usd=float(gross[resolved.book == one.id].sum()),
            jurisdiction=one.jurisdiction,
        )
        for one in study.books
    ]


def _choices(
    settings: PopulationSettings, what: str, known: list[ModelId]
) -> dict[ParticipantKind, ModelChoice]:
    stated: dict[str, dict[str, float]] = getattr(settings, what)
    unknown = sorted({m for weights in stated.values() for m in weights} - set(known))
    kinds = {kind.value for kind in ParticipantKind}
    strange = sorted(set(stated) - kinds)
    if unknown or strange:
        raise DataError(
            f"population.{what}: unknown {', '.join(unknown + strange)}",
            remedy=f"kinds: {', '.join(sorted(kinds))}; models: {', '.join(known)}",
        )
    choices = {}
    for kind in ParticipantKind:
        weights = stated.get(kind.value) or dict.fromkeys(known, 1.0)
        choices[kind] = ModelChoice(tuple(ModelId(m) for m in weights), tuple(weights.values()))
    return choices


def population_to_json(population: Population) -> dict[str, Any]:
    """Participants, and the USD behind each model."""
    value = {
        "ownership": population.ownership,
        "participants": [
            {
                "id": p.id,
                "kind": p.kind.value,
                "surface_model": p.surface_model,
                "risk_model": p.risk_model,
                "capital_usd": p.capital_usd,
                "gross_usd": p.gross_usd,
                "jurisdiction": p.jurisdiction,
            }
            for p in population.participants
        ],
        "exposure": [
            {
                "model": model,
                "exposure_usd": float(population.exposure_usd([model])[0]),
                "participants": [p.id for p in population.dependents(model)],
            }
            for model in population.models
        ],
        "outsiders": [
            {
                "id": one.id,
                "kind": one.kind.value,
                "model": one.model,
                "purpose": one.purpose,
                "observed": one.observed,
            }
            for one in population.outsiders
        ],
    }
    cleaned: dict[str, Any] = plain(value)
    return cleaned


def greeks_to_json(people: People) -> dict[str, Any]:
    """Totals per book and underlying under each model, and how far the models disagree."""
    by_book = totals(people.table, by=("book", "underlying"))
    value = {
        "snapshot_ms": people.snapshot.time_ms,
        "models": list(by_book.models),
        "totals": _totals(by_book),
        "disagreement": _disagreement(by_book),
        **unpriced(people.table),
    }
    cleaned: dict[str, Any] = plain(value)
    return cleaned


def unpriced(table: GreekTable) -> dict[str, list[dict[str, Any]]]:
    """What a model left unpriced, and the positions that no market resolves."""
    return {
        "failures": [
            {"model": f.model, "instrument": f.instrument, **failure_to_json(f.failure)}
            for f in table.failures
        ],
        "failed_positions": [
            {"instrument": f.position.instrument, **failure_to_json(f.failure)}
            for f in table.positions.failures
        ],
    }


def _key(table: GreekTotals, row: int) -> dict[str, Any]:
    return {name: str(table.keys[name][row]) for name in table.by}


def _totals(table: GreekTotals) -> list[dict[str, Any]]:
    return [
        {
            **_key(table, g),
            "greek": greek.name.lower(),
            "unit": UNITS[greek],
            "by_model": {
                model: float(table.usd[g, m, greek]) for m, model in enumerate(table.models)
            },
        }
        for g in range(len(table))
        for greek in Greek
    ]


def _disagreement(table: GreekTotals) -> list[dict[str, Any]]:
    apart = disagreement(table.usd)
    return [
        {
            **_key(table, g),
            "greek": greek.name.lower(),
            "unit": UNITS[greek],
            "models": int(apart.models[g, greek]),
            "median": float(apart.median[g, greek]),
            "range": float(apart.range[g, greek]),
            "dispersion": float(apart.dispersion[g, greek]),
            "ratio": float(apart.ratio[g, greek]),
        }
        for g in range(len(table))
        for greek in Greek
    ]
