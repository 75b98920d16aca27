"""``commonmode calibrate``: a study's surface models on one chain, with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import echo_json, errors_as_messages

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
    path: Annotated[
        bool, typer.Option("--path", help="Through the study's snapshots: what refits earn.")
    ] = False,
    book: Annotated[str | None, typer.Option(help="With --path: which book [the largest].")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON, write no page.")] = False,
) -> None:
    """Calibrate surface models on a chain: smiles, residuals, g(k), share inside bid-ask.

    With --path: value a book through the study's snapshots and split its model P&L into what the
    market did and what recalibration did.
    """
    if path:
        _along(study, book, json_)
        return
    with errors_as_messages():
        from commonmode.app.study.calibrate import calibrate_study

        results = calibrate_study(
            study, at=at, underlying=underlying, models=[m for m in models.split(",") if m]
        )
        if json_:
            echo_json(results)
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


def _along(study: Path, book: str | None, json_: bool) -> None:
    with errors_as_messages():
        from commonmode.app.cli.common import progress_bars
        from commonmode.app.study.stability import study_stability

        with progress_bars(json_) as progress:
            results = study_stability(study, book=book, progress=progress)
        if json_:
            echo_json(results)
            return
        from rich.console import Console

        from commonmode.app.report.calibration import render_stability

        render_stability(results, Console())
