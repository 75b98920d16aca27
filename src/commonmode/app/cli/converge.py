"""``commonmode converge``: the indices of any panel of forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from commonmode.app.cli.common import (
    echo_json,
    errors_as_messages,
    progress_bars,
    workers_executor,
)

__all__ = ["converge"]


def converge(
    panel: Annotated[
        Path | None,
        typer.Option(help="Long table of forecasts (.parquet, .csv) or a packed .panel."),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(help="Instead of a panel a study, for looks (--look) alone."),
    ] = None,
    cards: Annotated[Path | None, typer.Option(help="Cards of the models (.toml).")] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(help="column=value, for a file that holds several panels (kind, level)."),
    ] = None,
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="Level of the tests.")] = 0.05,
    block_rows: Annotated[int, typer.Option(min=1, help="Shortest block, in rows.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of flips and bootstraps.")] = 0,
    look: Annotated[
        list[str] | None,
        typer.Option(
            help="Look further (repeatable): bias, propagation, tail, recalibration, herding, "
            "procyclicality, monitoring, or all; of a study also those that docs/study.md lists. "
            "docs/indices.md says what each finds."
        ),
    ] = None,
    look_every: Annotated[
        int, typer.Option(min=1, help="Rows between those that further looks compare.")
    ] = 1,
    tail_level: Annotated[
        float, typer.Option(min=0.001, max=0.499, help="Share of surprises that tail looks at.")
    ] = 0.05,
    baseline_until: Annotated[
        str | None,
        typer.Option(
            help="End of monitoring's baseline, e.g. 2024-07-01; else the panel's middle."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Also write results.json and report.html here.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compute C1, C2, C3, C4 and C6 of a panel; docs/panel.md describes the file.

    With --study instead of --panel: the looks alone that need models, data or books.
    """
    with errors_as_messages():
        if study is not None:
            of_panels = (
                ("--panel", panel is not None),
                ("--cards", cards is not None),
                ("--select", bool(select)),
                ("--alpha", alpha != 0.05),
                ("--block-rows", block_rows != 1),
                ("--seed", seed != 0),
                ("--look-every", look_every != 1),
                ("--tail-level", tail_level != 0.05),
                ("--baseline-until", baseline_until is not None),
            )
            strange = [name for name, given in of_panels if given]
            results = _looks_at(study, look or (), strange, quiet=json_)
        else:
            from commonmode.app.study.single import LookOptions, converge_file
            from commonmode.converge.analysis import IndexOptions
            from commonmode.market.clock import utc_ms

            results = converge_file(
                _given(panel),
                cards,
                select=dict(_pair(item) for item in select or ()),
                options=IndexOptions(alpha=alpha, minimum_block_rows=block_rows, seed=seed),
                looks=LookOptions(
                    names=tuple(look or ()),
                    every=look_every,
                    tail_level=tail_level,
                    baseline_until_ms=None if baseline_until is None else utc_ms(baseline_until),
                ),
            )
        if out is not None:
            from commonmode.app.cli.run import write_outputs

            write_outputs(results, out)
        if json_:
            echo_json(results, sort=True)
        else:
            from rich.console import Console

            from commonmode.app.report import render_terminal

            render_terminal(results, Console())
    raise typer.Exit(1 if results["failures"] else 0)


def _given(panel: Path | None) -> Path:
    from commonmode.core.errors import ConfigurationError

    if panel is None:
        raise ConfigurationError(
            "nothing to look at", remedy="give --panel FILE, or --study FILE with --look"
        )
    return panel


def _looks_at(
    study: Path, looks: Sequence[str], strange: Sequence[str], *, quiet: bool
) -> dict[str, Any]:
    """Looks alone, of a study; its options stand in its file."""
    from commonmode.app.study.run import run_study
    from commonmode.core.errors import ConfigurationError

    if strange or not looks:
        said = f"{', '.join(strange)} with --study" if strange else "--study without --look"
        raise ConfigurationError(
            said,
            remedy="with --study give --look NAME alone: what else there is stands in the study "
            "file; `commonmode run` computes the indices of a study",
        )
    with progress_bars(quiet) as progress, workers_executor(0) as executor:
        outcome = run_study(
            study, looks=looks, only_looks=True, executor=executor, progress=progress
        )
    return dict(outcome.results)


def _pair(item: str) -> tuple[str, str]:
    from commonmode.core.errors import ConfigurationError

    name, sign, value = item.partition("=")
    if not sign:
        raise ConfigurationError(
            f"--select {item!r} is not column=value", remedy="e.g. --select level=0.025"
        )
    return name, value
