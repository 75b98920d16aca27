"""``commonmode margin``: what accounts have to hold, by every method, and where they fall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import echo_json, errors_as_messages

__all__ = ["margin"]


def margin(
    study: Annotated[Path, typer.Argument(help="Study file, or a folder with a study.toml.")],
    accounts: Annotated[
        Path | None,
        typer.Option(help="Accounts: .toml, .csv or .parquet [the study's population]."),
    ] = None,
    account: Annotated[str | None, typer.Option(help="Only this account, with its legs.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Time of the snapshot (UTC) [that of the population].")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="pm2, standard, deribit or dynamic, repeatable [the study's, or all]."),
    ] = None,
    marks: Annotated[
        str | None, typer.Option(help="Surface model that sets the marks [the study's choice].")
    ] = None,
    trade: Annotated[
        list[str] | None,
        typer.Option(help="INSTRUMENT=CONTRACTS, repeatable: the margin after these trades."),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(help="METHOD=VERSION or METHOD=FILE.toml, repeatable: parameter set to use."),
    ] = None,
    ungated: Annotated[
        bool, typer.Option("--ungated", help="Use parameters that the parameter gate refuses.")
    ] = False,
    thresholds: Annotated[
        bool, typer.Option("--thresholds/--no-thresholds", help="Search where accounts fall.")
    ] = True,
    solvency: Annotated[
        bool,
        typer.Option(
            "--solvency",
            help="Who fails on days such as history had, and what portfolio margin saves.",
        ),
    ] = False,
    fund: Annotated[
        float | None,
        typer.Option(min=0, help="Insurance fund in USD: does it bear the shortfalls?"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures to FILE.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Initial and maintenance margin of accounts by every method, side by side.

    With thresholds, the parts that margin is made of, what trades would change, solvency and the
    insurance fund, and --html for the liquidation surface. Exit code 1: a method could not be
    used, or no method could margin some account; the rest stands.
    """
    with errors_as_messages():
        from commonmode.app.study.margin import MarginQuestion, study_margin

        value = study_margin(
            study,
            MarginQuestion(
                accounts=accounts,
                account=account,
                at=at,
                methods=tuple(method or ()),
                marks=marks,
                trades=tuple(trade or ()),
                parameters=tuple(parameters or ()),
                thresholds=thresholds,
                pictures=html is not None,
                ungated=ungated,
                solvency=solvency,
                fund=fund,
            ),
        )
        if html is not None:
            from commonmode import __version__
            from commonmode.app.cli.run import write_page
            from commonmode.app.report.margin_page import render_margin_html

            page = render_margin_html(value, version=__version__)
            written = write_page(html.parent, html.name, page)
        if json_:
            echo_json(value)
        else:
            from rich.console import Console

            from commonmode.app.report.margin import render_margin

            render_margin(value, Console())
            if html is not None:
                typer.echo(f"pictures: {written}")
    raise typer.Exit(1 if _failed(value) else 0)


def _failed(value: dict[str, object]) -> bool:
    """Whether a method, or an account under every method, has no margin."""
    stated, traded = value["accounts"], value.get("what_if")
    assert isinstance(stated, list)
    accounts = [*stated, traded["after"]] if isinstance(traded, dict) else stated
    cells = [
        [cell["failure"] is not None for cell in account["methods"].values()]
        for account in accounts
    ]
    return bool(value["failures"]) or any(bool(each) and all(each) for each in cells)
