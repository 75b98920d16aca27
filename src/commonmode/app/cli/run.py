"""``commonmode run``: a study from its file to its report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from commonmode.app.cli.common import echo_json, errors_as_messages, progress_bars, workers_executor

__all__ = ["run", "write_outputs", "write_page"]


def run(
    study: Annotated[Path, typer.Argument(help="Study file, or a folder with a study.toml.")],
    out: Annotated[
        Path | None, typer.Option(help="Where results.json and report.html go [out/<study>].")
    ] = None,
    source: Annotated[
        Literal["auto", "recorded", "evidence"],
        typer.Option(help="auto: the recordings where they are, else the study's evidence."),
    ] = "auto",
    look: Annotated[
        list[str] | None,
        typer.Option(help="Look further (repeatable), as in `commonmode converge`."),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes all cores.")] = 0,
    write_evidence: Annotated[
        bool, typer.Option("--write-evidence", help="Make the study's evidence folder anew.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no screen.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Run a study: panels, indices, findings, report.

    Exit code 0: everything was computed. 1: something failed and is marked in the results (the rest
    is complete). 2: the study could not be run.
    """
    with errors_as_messages():
        from commonmode.app.study.run import Source, run_study

        with progress_bars(quiet or json_) as progress, workers_executor(workers) as executor:
            outcome = run_study(
                study,
                source=Source(source),
                evidence_out=write_evidence,
                looks=tuple(look or ()),
                executor=executor,
                progress=progress,
            )
        results = dict(outcome.results)
        folder = out if out is not None else Path("out") / str(results["study"]["name"])
        report = write_outputs(results, folder)
        if json_:
            echo_json(results, sort=True)
        elif not quiet:
            from rich.console import Console

            from commonmode.app.report import render_terminal

            render_terminal(results, Console())
            typer.echo(f"report: {report}   results: {folder / 'results.json'}")
    raise typer.Exit(1 if results["failures"] else 0)


def write_outputs(results: dict[str, object], folder: Path) -> Path:
    """Write results.json and report.html into ``folder``; returns the report's path."""
    from commonmode.adapters.store.files import write_json
    from commonmode.app.report import render_html

    page = render_html(results)
    with _writing(folder):
        write_json(folder / "results.json", results)
    return write_page(folder, "report.html", page)


def write_page(folder: Path, name: str, text: str) -> Path:
    """Write ``text`` to a file of that name in ``folder``, made if need be; returns its path."""
    from commonmode.adapters.store.files import atomic_path

    with _writing(folder), atomic_path(folder / name) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return folder / name


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make ``folder``; what the system refuses is said with the remedy."""
    from commonmode.core.errors import ConfigurationError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to {folder}: {error.strerror}", remedy="choose another folder with --out"
        ) from error
