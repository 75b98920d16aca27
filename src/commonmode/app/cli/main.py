"""``commonmode``: every command, imported only when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys

import typer

from commonmode import __version__
from commonmode.app.cli.calibrate import calibrate
from commonmode.app.cli.converge import converge
from commonmode.app.cli.demo import demo
from commonmode.app.cli.greeks import greeks
from commonmode.app.cli.laboratory import laboratory
from commonmode.app.cli.margin import margin
from commonmode.app.cli.margin_backtest import margin_backtest
from commonmode.app.cli.models import models
from commonmode.app.cli.run import run
from commonmode.app.cli.verify import verify

__all__ = ["app", "main"]

# rich_markup_mode=None: rich's help costs 0.15 s of start-up.
app = typer.Typer(
    name="commonmode",
    help="Model risk convergence: how many independent models are there really, what happens when "
    "they fail together, what does it cost, and which shared part is to blame?",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    run,
    converge,
    calibrate,
    greeks,
    margin,
    margin_backtest,
    models,
    verify,
    laboratory,
    demo,
):
    app.command()(command)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"commonmode {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Model risk convergence in crypto derivatives."""


def main() -> None:
    """Run the command line; an error of ours is a message with its remedy and exit code 2."""
    # Numbers and words must come out whatever the terminal's encoding.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    app()
