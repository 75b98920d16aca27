"""``commonmode verify``: known-answer cases against what this installation computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    computed and printed. A file holds a list of cases or {"cases": [...]}.
    """
    from rich.console import Console

    from commonmode.app.verify import render, run_cases
    from commonmode.core.errors import CommonmodeError

    try:
        report = run_cases(paths or ())
    except CommonmodeError as error:
        Console(stderr=True).print(f"error: {error}", markup=False, highlight=False)
        raise typer.Exit(2) from error
    if json_:
        typer.echo(report.to_json())
    else:
        Console().print(render(report))
    raise typer.Exit(report.exit_code)
