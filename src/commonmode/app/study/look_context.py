"""What a look at a whole study is given, and what it gives back.

Looks at a panel (:mod:`commonmode.converge.further`) need its forecasts alone; these need the
study's models, its market or its books.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commonmode.app.study.models import StudyModels
from commonmode.app.study.panels import BuiltPanel
from commonmode.app.study.people import People
from commonmode.app.study.schema import StudyFile
from commonmode.converge.findings import Finding
from commonmode.core.protocols import Executor, Progress
from commonmode.core.result import Failure, FailureReason
from commonmode.market.feed import Feed

__all__ = ["Look", "LookAnswer", "LookContext", "LookTable", "inapplicable", "without_people"]


@dataclass(frozen=True, slots=True, eq=False)
class LookContext:
    """The study as a look finds it.

    Attributes
    ----------
    study : StudyFile
    folder : Path
        That the study file stands in.
    models : StudyModels
    feed : Feed
    panels : tuple of BuiltPanel
        Those that this run has built: of the families that the look needs, at least.
    people : People or None
        The population with its books valued, if the study has one and the look needs it.
    executor : Executor
    progress : Progress
    """

    study: StudyFile
    folder: Path
    models: StudyModels
    feed: Feed
    panels: tuple[BuiltPanel, ...]
    people: People | None
    executor: Executor
    progress: Progress


@dataclass(frozen=True, slots=True)
class LookTable:
    """Numbers behind the sentences.

    Attributes
    ----------
    name : str
        Short, one of a kind within the look: ``results.json`` and the pictures call it that.
    title : str
        One sentence for people.
    columns : tuple of str
        A name that ends in ``_ms`` is a time, one that begins with ``p_`` a p-value, one that ends
        in ``_usd`` an amount, one that ends in ``_share`` a share.
    rows : sequence of tuple
        Plain values, a text first.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class LookAnswer:
    """What a look found.

    Attributes
    ----------
    findings : tuple of Finding
        The one that stands for all of them first.
    tables : tuple of LookTable
    notes : tuple of str
        What was left out, and why.
    """

    findings: tuple[Finding, ...]
    tables: tuple[LookTable, ...] = ()
    notes: tuple[str, ...] = ()


Look = Callable[[LookContext], LookAnswer | Failure]
"""A failure says why there is nothing to look at; a CommonmodeError does as well."""


def inapplicable(message: str, remedy: str) -> Failure:
    """The study does not have what the look is about: said, and not counted as a failed part."""
    return Failure(FailureReason.NOT_APPLICABLE, message, remedy)


def without_people(context: LookContext, what: str) -> Failure:
    """Why there are no books to be valued or hedged (``what``)."""
    if context.study.population is None:
        return inapplicable(
            f"the study has no population whose books could be {what}",
            "add [population] with a snapshot and [[books]], and a surface model",
        )
    return inapplicable(
        f"the population could not be drawn, so no book could be {what}",
        "mend what the study's failures say of its population",
    )
