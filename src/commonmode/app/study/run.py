"""A study from its file to its results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np

from commonmode import __version__
from commonmode.adapters.feeds.recorded import find_recordings
from commonmode.adapters.store.files import sha256_file
from commonmode.app.study.answers import answer_questions
from commonmode.app.study.data_line import data_line
from commonmode.app.study.evidence import Evidence, has_evidence, read_evidence, write_evidence
from commonmode.app.study.further import look_failures, look_to_json
from commonmode.app.study.index_options import index_options
from commonmode.app.study.look_names import chosen_study_looks, needed_families, needs_people
from commonmode.app.study.looks import LookContext, run_looks, study_look_failures, with_missing
from commonmode.app.study.margin import margin_answer
from commonmode.app.study.margin_cards import margin_cards, margin_outsiders
from commonmode.app.study.market import open_feed
from commonmode.app.study.models import build_models
from commonmode.app.study.panels import BuiltPanel, build_panels, with_exposure
from commonmode.app.study.people import (
    People,
    draw_people,
    greeks_to_json,
    people_at,
    population_to_json,
)
from commonmode.app.study.results import (
    analysis_to_json,
    card_to_json,
    failure_to_json,
    index_failures,
    plain,
)
from commonmode.app.study.schema import StudyFile, find_study, load_study
from commonmode.converge.analysis import PanelAnalysis, analyse_panel
from commonmode.converge.further import further_looks
from commonmode.core.errors import CommonmodeError
from commonmode.core.protocols import Executor, Progress, SerialExecutor, SilentProgress
from commonmode.core.result import Success
from commonmode.register.cards import Card

__all__ = ["Source", "StudyOutcome", "run_study"]

_LIBRARIES = ("numpy", "scipy", "polars", "arch")
_STEP = "indices"
_NOT_ASKED = "Not asked: looks alone were taken. `commonmode run` answers it."


class Source(Enum):
    """Which data a study is run on."""

    AUTO = "auto"
    RECORDED = "recorded"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, eq=False)
class StudyOutcome:
    """Everything a run makes.

    Attributes
    ----------
    results : mapping
        As published in ``results.json``.
    analyses : tuple of PanelAnalysis
        Of the panels that were built.
    """

    results: Mapping[str, Any]
    analyses: tuple[PanelAnalysis, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """What the indices are computed from, wherever it came from."""

    source: str
    data_line: str
    panels: tuple[BuiltPanel, ...]
    cards: tuple[Card, ...]
    population: Mapping[str, Any] | None
    greeks: Mapping[str, Any] | None
    margin: Mapping[str, Any] | None
    inputs: Mapping[str, str]
    failures: tuple[dict[str, str], ...]
    command: str
    looks: tuple[Mapping[str, Any], ...] = ()


def run_study(
    path: Path,
    *,
    source: Source = Source.AUTO,
    evidence_out: bool = False,
    looks: Sequence[str] = (),
    only_looks: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> StudyOutcome:
    """Run a study.

    Parameters
    ----------
    path : Path
        Study file, or a folder that holds ``study.toml``.
    source : Source
        ``AUTO``: the recordings where they are, else the study's evidence.
    evidence_out : bool
        Write the study's ``evidence`` folder anew.
    looks : sequence of str
        Further looks beside those that the study file names
        (:mod:`commonmode.app.study.look_names`).
    only_looks : bool
        Nothing but these looks, and what they need: no population, margin or panel that none of
        them reads.
    executor, progress : optional

    Raises
    ------
    CommonmodeError
        The study cannot be read, or no data for it is here. A panel that fails is not an error: it
        is a failure in the results, and the rest finishes.
    """
    file = find_study(path)
    study = load_study(file)
    names = looks if only_looks else (*study.looks.run, *looks)
    at_panels, at_study = chosen_study_looks(names)
    progress = progress or SilentProgress()
    folder = file.parent / "evidence"
    if _from_evidence(study, source, folder):
        gathered = _read(study, file, folder, at_study)
    else:
        gathered = _build(
            study,
            file,
            executor or SerialExecutor(),
            progress,
            at_study,
            needed_families(names) if only_looks else None,
        )
        if evidence_out:
            write_evidence(
                folder,
                study=study,
                study_file=file,
                panels=gathered.panels,
                cards=gathered.cards,
                population=gathered.population,
                greeks=gathered.greeks,
                margin=gathered.margin,
                looks=gathered.looks,
                inputs=gathered.inputs,
                data_line=gathered.data_line,
                version=__version__,
            )
    if only_looks and not at_panels:
        gathered = replace(gathered, panels=())  # built for the looks, not to be judged
    if looks:
        said = "".join(f" --look {shlex.quote(name)}" for name in looks)
        gathered = replace(gathered, command=f"{gathered.command}{said}")
    return _analyse(study, file, gathered, progress, at_panels)


def _from_evidence(study: StudyFile, source: Source, folder: Path) -> bool:
    if source is Source.AUTO:
        here = study.market.source != "recorded" or find_recordings() is not None
        return not here and has_evidence(folder)
    return source is Source.EVIDENCE


def _read(study: StudyFile, file: Path, folder: Path, looks: Sequence[str]) -> _Gathered:
    evidence: Evidence = read_evidence(folder, study)
    line = f"{evidence.data_line}; quotes not included; regenerate with: {evidence.command}"
    if evidence.study_sha256 != sha256_file(file):
        line += "; the study file has changed since, its panels and population have not"
    return _Gathered(
        source="evidence",
        data_line=line,
        panels=evidence.panels,
        cards=evidence.cards,
        population=evidence.population,
        greeks=evidence.greeks,
        margin=evidence.margin,
        inputs=evidence.inputs,
        failures=evidence.failures,
        command=evidence.command,
        looks=with_missing(evidence.looks, looks),
    )


def _build(
    study: StudyFile,
    file: Path,
    executor: Executor,
    progress: Progress,
    looks: Sequence[str],
    families: frozenset[str] | None,
) -> _Gathered:
    """Everything, or (with ``families``) the looks alone, with the panels that they need."""
    asked = study  # the looks read the whole of the study file all the same
    if families is not None:
        kept = tuple(panel for panel in study.panels if panel.family in families)
        asked = study.model_copy(update={"panels": kept, "margin": None})
    models = build_models(study.models, file.parent)
    feed = open_feed(study, file.parent)
    population: dict[str, Any] | None = None
    greeks: dict[str, Any] | None = None
    margin: dict[str, Any] | None = None
    people: People | None = None
    methods = () if asked.margin is None else asked.margin.methods
    exposure: dict[str, float] = {}
    failures: list[dict[str, str]] = []
    if study.population is not None and (families is None or needs_people(looks)):
        try:
            people = draw_people(study, models, people_at(study, feed))
        except CommonmodeError as error:
            failures.append({"where": "population", **_error(error)})
        else:
            everybody = replace(people.population, outsiders=margin_outsiders(methods))
            population = population_to_json(everybody)
            greeks = greeks_to_json(people)
            exposure = {e["model"]: e["exposure_usd"] for e in population["exposure"]}
            if asked.margin is not None:
                try:
                    margin = margin_answer(study, file.parent, models, feed, people)
                except CommonmodeError as error:
                    failures.append({"where": "margin", **_error(error)})
    built = build_panels(asked, models, feed, executor=executor, progress=progress)
    panels = tuple(_exposed(panel, exposure) for panel in built)
    inputs = {"study.toml": sha256_file(file), **_parameter_files(study, file.parent)}
    for table in study.market.activity:
        if (file.parent / table.path).is_file():
            inputs[table.path] = sha256_file(file.parent / table.path)
    for panel in panels:
        inputs |= panel.inputs
    context = LookContext(
        study=study,
        folder=file.parent,
        models=models,
        feed=feed,
        executor=executor,
        progress=progress,
        panels=panels,
        people=people,
    )
    return _Gathered(
        source=study.market.source,
        data_line=data_line(study, panels),
        panels=panels,
        cards=(*models.cards, *margin_cards(methods)),
        population=population,
        greeks=greeks,
        margin=margin,
        inputs=inputs,
        failures=tuple(failures),
        command=f"commonmode {'run' if families is None else 'converge --study'} "
        f"{shlex.quote(str(file))}",
        looks=run_looks(looks, context),
    )


def _parameter_files(study: StudyFile, folder: Path) -> dict[str, str]:
    """Hashes of the parameter files that lie beside the study."""
    named = () if study.margin is None else study.margin.parameters.values()
    files = (folder / name for name in named if name.endswith(".toml"))
    return {path.name: sha256_file(path) for path in files if path.is_file()}


def _exposed(built: BuiltPanel, exposure: Mapping[str, float]) -> BuiltPanel:
    if not isinstance(built.panel, Success) or not exposure:
        return built
    panel = built.panel.value
    behind = np.array([exposure.get(model, 0.0) for model in panel.models])
    return replace(built, panel=Success(with_exposure(panel, behind)))


def _error(error: CommonmodeError) -> dict[str, str]:
    return {"reason": "calculation_failed", "message": error.message, "remedy": error.remedy}


def _analyse(
    study: StudyFile,
    file: Path,
    gathered: _Gathered,
    progress: Progress,
    at_panels: Sequence[str],
) -> StudyOutcome:
    failures = [*gathered.failures, *_margin_failures(gathered.margin)]
    failures += study_look_failures(gathered.looks)
    analyses, panels = [], []
    progress.start(_STEP, len(gathered.panels))
    for built in gathered.panels:
        if not isinstance(built.panel, Success):
            failures.append({"where": built.settings.name, **failure_to_json(built.panel)})
            progress.advance(_STEP)
            continue
        panel = built.panel.value
        cards = built.cards or gathered.cards
        analysis = analyse_panel(panel, cards, index_options(study, built.settings))
        analyses.append(analysis)
        panels.append(
            analysis_to_json(
                analysis,
                family=built.settings.family,
                title=built.settings.title,
                cards=cards,
                notes=built.notes,
            )
        )
        failures += index_failures(analysis)
        looked = further_looks(
            analysis.panel,
            at_panels,
            alpha=study.indices.alpha,
            seed=study.study.seed,
            baseline_until_ms=study.looks.monitoring.baseline_until_ms,
            monitoring=study.looks.monitoring.settings(),
        )
        if looked:
            panels[-1]["further"] = [look_to_json(look) for look in looked]
            failures += look_failures(panel.name, looked)
        progress.advance(_STEP)
    progress.finish(_STEP)
    names = [panel["name"] for panel in panels]
    headline = study.study.headline
    if headline not in names:  # none stated, or it could not be built
        headline = names[0] if names else ""
    own = [
        card_to_json(card, panel=built.settings.name)
        for built in gathered.panels
        for card in built.cards
    ]
    answers = answer_questions(panels, headline, gathered.population, gathered.greeks)
    if not gathered.panels:
        answers = [{**one, "answer": _NOT_ASKED} for one in answers]
    results: dict[str, Any] = {
        "schema": "commonmode/results/1",
        "study": {
            "name": study.study.name,
            "title": study.study.title,
            "seed": study.study.seed,
            "source": gathered.source,
            "data_line": gathered.data_line,
            "version": __version__,
            "libraries": {name: installed(name) for name in _LIBRARIES},
            "command": gathered.command,
            "inputs": {**gathered.inputs, "study.toml": sha256_file(file)},
        },
        "headline": headline,
        "answers": answers,
        "panels": panels,
        "population": gathered.population,
        "greeks": gathered.greeks,
        "margin": gathered.margin,
        "cards": [*(card_to_json(card) for card in gathered.cards), *own],
        "failures": failures,
        "reproduce": gathered.command,
    }
    if gathered.looks:
        results["looks"] = list(gathered.looks)
    return StudyOutcome(results=plain(results), analyses=tuple(analyses))


def _margin_failures(margin: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Methods that could not be used; an account that fails is a failed cell, like a forecast."""
    found = () if margin is None else margin["failures"]
    return [
        {"where": f"margin {one['method']}", **{k: v for k, v in one.items() if k != "method"}}
        for one in found
    ]
