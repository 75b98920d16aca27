"""``commonmode margin-backtest``: margin methods at equal coverage on recorded history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import echo_json, errors_as_messages, progress_bars

__all__ = ["margin_backtest"]


def margin_backtest(
    results: Annotated[
        Path | None,
        typer.Option(help="Show the results in this file instead of computing them."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the frontier and the coverage as a page.")
    ] = None,
    write_parameters: Annotated[
        Path | None,
        typer.Option(
            help="Only choose the settings on the training period, and write them to this file as "
            "a parameter set of --method dynamic."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(min=50, help="Draws of the block bootstraps.")] = 300,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Backtest every margin method on recorded hourly history: coverage, cost, procyclicality.

    Needs the recordings and some minutes. Results computed earlier, such as those in
    examples/margin-backtest, are shown with --results.
    """
    with errors_as_messages():
        if write_parameters is not None:
            from commonmode.app.cli.run import write_page
            from commonmode.app.study.margin_parameters import fitted_parameters

            with progress_bars(json_) as bars:
                text = fitted_parameters(progress=bars)
            file = write_page(write_parameters.parent, write_parameters.name, text)
            typer.echo(f"parameters: {file}")
            return
        if results is not None:
            from commonmode.adapters.store.files import read_json

            value = read_json(results)
        else:
            from commonmode.app.study.margin_evidence import margin_backtest as backtest

            with progress_bars(json_) as bars:
                value = backtest(progress=bars, draws=draws)
        if html is not None:
            from commonmode import __version__
            from commonmode.app.cli.run import write_page
            from commonmode.app.report.margin_backtest import backtest_page

            page = backtest_page(value, version=__version__)
            written = write_page(html.parent, html.name, page)
        if json_:
            echo_json(value)
            return
        from rich.console import Console

        from commonmode.app.report.margin_backtest import render_backtest

        render_backtest(value, Console())
        if html is not None:
            typer.echo(f"pictures: {written}")
