"""``commonmode greeks``: what a study's books are worth and how they move, under every model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import echo_json, errors_as_messages

__all__ = ["greeks"]


def greeks(
    study: Annotated[Path, typer.Argument(help="Study file, or a folder with a study.toml.")],
    at: Annotated[
        str | None, typer.Option(help="Time of the snapshot (UTC) [that of the population].")
    ] = None,
    book: Annotated[str | None, typer.Option(help="Only this book.")] = None,
    by: Annotated[
        str, typer.Option(help="Comma-separated: book, underlying, expiry, kind, instrument.")
    ] = "book,underlying",
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Price, delta, gamma, vega, theta and rho of every book under every surface model."""
    with errors_as_messages():
        from commonmode.app.study.greeks import study_greeks

        table = study_greeks(study, at=at, book=book, by=tuple(by.split(",")))
        if json_:
            echo_json(table)
            return
        from rich.console import Console

        from commonmode.app.report.greeks import render_greeks

        render_greeks(table, Console())
