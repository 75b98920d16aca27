"""``commonmode calibrate``: a study's surface models on one chain, with pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import errors_as_messages

__all__ = ["calibrate"]


def calibrate(
    study: Annotated[Path, typer.Argument(help="Study file, or a folder with a study.toml.")],
    at: Annotated[
        str | None, typer.Option(help="Time of the snapshot (UTC) [that of the population].")
    ] = None,
    underlying: Annotated[
        str | None, typer.Option(help="Coin [the study's first underlying].")
    ] = None,
    models: Annotated[
        str, typer.Option(help="Comma-separated ids of surface models [all of the study].")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for calibration.html [out/<study>].")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON, write no page.")] = False,
) -> None:
    """Calibrate surface models on a chain: smiles, residuals, g(k), share inside bid-ask."""
    with errors_as_messages():
        from commonmode.app.study.calibrate import calibrate_study

        results = calibrate_study(
            study, at=at, underlying=underlying, models=[m for m in models.split(",") if m]
        )
        if json_:
            typer.echo(json.dumps(results, indent=2, allow_nan=False))
        else:
            from rich.console import Console

            from commonmode import __version__
            from commonmode.app.cli.run import write_page
            from commonmode.app.report.calibration import (
                render_calibration,
                render_calibration_html,
            )

            render_calibration(results, Console())
            folder = out if out is not None else Path("out") / str(results["study"])
            page = render_calibration_html(results, version=__version__)
            typer.echo(f"pictures: {write_page(folder, 'calibration.html', page)}")
    failed = any(model["status"] != "ok" for model in results["models"])
    raise typer.Exit(1 if failed else 0)
