"""The experiments behind docs/evidence.md: which worlds, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from commonmode.converge.laboratory import WorldTable, run_worlds
from commonmode.core.errors import ConfigurationError
from commonmode.core.protocols import Executor, Progress
from commonmode.lab.truth import share_at_cofailure_ratio
from commonmode.lab.worlds import WorldConfig

__all__ = ["SECTIONS", "Experiment", "Outcome", "run_section", "section_names"]

_BASE = WorldConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Worlds of one kind.

    Attributes
    ----------
    label : str
    config : WorldConfig
    c2, c3, controls : bool
        As in :func:`commonmode.converge.laboratory.run_worlds`.
    """

    label: str
    config: WorldConfig
    c2: bool = True
    c3: bool = True
    controls: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """One experiment with its worlds.

    Attributes
    ----------
    experiment : Experiment
    table : WorldTable
    printed : float or None
        In the section ``detectable``: the mean minimum detectable effect printed in worlds with
        nothing planted, which is what these worlds were planted with.
    """

    experiment: Experiment
    table: WorldTable
    printed: float | None = field(default=None)


def _worlds(label: str, *, controls: bool = False, **changes: float) -> Experiment:
    return Experiment(label=label, config=replace(_BASE, **changes), controls=controls)  # type: ignore[arg-type]


def _power() -> list[Experiment]:
    kinds = [
        Experiment(
            label=f"T = {times}, nothing shared",
            config=replace(_BASE, times=times),
            c2=False,
        )
        for times in (5000, 20000)
    ]
    for times in (5000, 20000):
        for users in (8, 3):
            kinds += [
                Experiment(
                    label=f"T = {times}, share {share} among {users} models",
                    config=replace(_BASE, times=times, planted_share=share, planted_models=users),
                    c2=False,
                )
                for share in (0.1, 0.2, 0.3, 0.5, 0.8)
            ]
    return kinds


SECTIONS: dict[str, tuple[Experiment, ...]] = {
    "acceptance": (
        _worlds("nothing planted"),
        _worlds("share 0.3 in 3 of 8", planted_share=0.3),
    ),
    "controls": (
        _worlds("nothing planted, benchmark noise 0.15", controls=True),
        _worlds("nothing planted, exact benchmarks", controls=True, benchmark_noise_sd=0.0),
    ),
    "persistence": tuple(
        _worlds(
            f"AR {phi}, share {share}" if share else f"AR {phi}, nothing planted",
            deviation_autocorrelation=phi,
            planted_share=share,
        )
        for phi in (0.97, 0.99)
        for share in (0.0, 0.3)
    ),
    "noise": tuple(
        _worlds(
            f"noise {sd}, share {share}" if share else f"noise {sd}, nothing planted",
            benchmark_noise_sd=sd,
            planted_share=share,
        )
        for sd in (0.05, 0.25)
        for share in (0.0, 0.3)
    ),
    "power": tuple(_power()),
    "detectable": (
        _worlds("AR 0.9"),
        _worlds("AR 0.97", deviation_autocorrelation=0.97),
    ),
}


def section_names() -> tuple[str, ...]:
    """Names of the sections, in the order of the document."""
    return tuple(SECTIONS)


def run_section(
    name: str,
    seeds: Iterable[int],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Outcome, ...]:
    """Run the experiments of one section.

    Parameters
    ----------
    name : str
        One of :func:`section_names`.
    seeds : iterable of int
    executor, progress

    Raises
    ------
    ConfigurationError
        No such section.
    """
    if name not in SECTIONS:
        raise ConfigurationError(
            f"no section {name!r} of evidence", remedy=f"there are: {', '.join(SECTIONS)}"
        )
    numbers = tuple(seeds)

    def run(experiment: Experiment) -> WorldTable:
        return run_worlds(
            experiment.config,
            numbers,
            c2=experiment.c2,
            c3=experiment.c3,
            controls=experiment.controls,
            executor=executor,
            progress=progress,
            label=f"{name}: {experiment.label}",
        )

    if name != "detectable":
        return tuple(Outcome(e, run(e)) for e in SECTIONS[name])
    outcomes: list[Outcome] = []
    for experiment in SECTIONS[name]:
        silent = run(experiment)
        outcomes += [
            Outcome(planted, run(planted), printed)
            for planted, printed in _at_printed_effects(experiment, silent)
        ]
    return tuple(outcomes)


def _at_printed_effects(
    experiment: Experiment, silent: WorldTable
) -> Sequence[tuple[Experiment, float]]:
    """Worlds planted with the mean minimum detectable effects of unplanted ones."""
    everybody = replace(experiment.config, planted_models=experiment.config.models)
    three = min(silent.spread("detectable_share").mean, 0.99)
    common = min(silent.spread("detectable_common").mean, 0.99)
    ratio = silent.spread("detectable_ratio").mean
    cases = (
        ("C2, share of three models", replace(experiment.config, planted_share=three), three),
        ("C2, share of everybody", replace(everybody, planted_share=common), common),
        (
            "C3, ratio",
            replace(everybody, planted_share=share_at_cofailure_ratio(everybody, ratio)),
            ratio,
        ),
    )
    return [
        (
            Experiment(
                label=f"{experiment.label}, {what}",
                config=config,
                c2=what.startswith("C2"),
                c3=what.startswith("C3"),
            ),
            printed,
        )
        for what, config, printed in cases
    ]
