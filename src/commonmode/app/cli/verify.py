"""``commonmode verify``: known-answer cases against what this installation computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import errors_as_messages

__all__ = ["verify"]


def verify(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Files or folders of cases; the shipped figures if none is given."),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON and nothing else.")
    ] = False,
) -> None:
    """Check this installation against known answers; exit code 1 if any case fails.

    A case is {id, method, inputs, expected, tolerance, source}; expected values that are null are
    computed and printed. A file holds a list of cases or {"cases": [...]}; published margin cases
    (Derive's PM2, standard manager and auctions, Deribit's simulation) are read as they are.
    """
    with errors_as_messages():
        from rich.console import Console

        from commonmode.app.verify import render, run_cases

        report = run_cases(paths or ())
        if json_:
            typer.echo(report.to_json())
        else:
            Console().print(render(report))
    raise typer.Exit(report.exit_code)
