"""``commonmode demo``: the real market's study and a zero-check on the laboratory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import errors_as_messages, progress_bars, workers_executor

__all__ = ["demo"]


def demo(
    study: Annotated[Path, typer.Option(help="The study to show.")] = Path(
        "examples/btc-shapella-2023"
    ),
    out: Annotated[Path, typer.Option(help="Where the report goes.")] = Path("out/demo"),
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 takes all cores.")] = 0,
) -> None:
    """Show what commonmode says of a real market, then check it where the truth is known.

    With the recordings the whole study is run; without them every index is recomputed from the
    evidence that comes with the study.
    """
    from rich.console import Console

    from commonmode.app.cli.run import write_outputs
    from commonmode.app.report import render_terminal

    with errors_as_messages():
        from commonmode.app.study.run import run_study
        from commonmode.converge.laboratory import zero_check

        with progress_bars(False) as progress, workers_executor(workers) as executor:
            outcome = run_study(study, executor=executor, progress=progress)
        results = dict(outcome.results)
        report = write_outputs(results, out)
        render_terminal(results, Console())
        typer.echo(f"report: {report}   results: {out / 'results.json'}")
        typer.echo("")
        check = zero_check()
        for sentence in check.sentences:
            typer.echo(sentence)
    raise typer.Exit(0 if check.passed and not results["failures"] else 1)
