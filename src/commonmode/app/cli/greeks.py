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
    out: Annotated[Path | None, typer.Option(help="Folder for greeks.html [out/<study>].")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON, write no page.")] = False,
) -> None:
    """Price, delta, gamma, vega, theta and rho of every book under every surface model.

    With pictures: by expiry, P&L over a grid of spot and volatility, where the models disagree.
    """
    with errors_as_messages():
        from commonmode.app.study.greeks import study_greeks

        table = study_greeks(study, at=at, book=book, by=tuple(by.split(",")), pictures=not json_)
        if json_:
            echo_json(table)
            return
        from rich.console import Console

        from commonmode import __version__
        from commonmode.app.cli.run import write_page
        from commonmode.app.report.greek_page import render_greeks_html
        from commonmode.app.report.greeks import render_greeks

        render_greeks(table, Console())
        folder = out if out is not None else Path("out") / str(table["study"])
        page = render_greeks_html(table, version=__version__)
        typer.echo(f"pictures: {write_page(folder, 'greeks.html', page)}")
