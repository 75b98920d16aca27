"""``commonmode models``: which model types there are, or what a study's models are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonmode.app.cli.common import echo_json, errors_as_messages

__all__ = ["models"]


def models(
    study: Annotated[
        Path | None, typer.Argument(help="A study: show its models and their cards.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the model types that a study can use (built in and plug-ins), or a study's models."""
    with errors_as_messages():
        if study is None:
            _types(json_)
        else:
            _of_study(study, json_)


def _types(json_: bool) -> None:
    from commonmode.app.discovery import discover_models
    from commonmode.app.study.results import failure_to_json

    found = discover_models()
    if json_:
        value = {
            "types": [{"type": t, "from": found.sources[t]} for t in sorted(found.constructors)],
            "broken": {name: failure_to_json(f) for name, f in found.failures.items()},
        }
        echo_json(value)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("type", "from", "what it is")
    for name in sorted(found.constructors):
        constructor = found.constructors[name]
        what = (getattr(constructor, "func", constructor).__doc__ or "").strip().splitlines()
        table.add_row(name, found.sources[name], what[0] if what else "")
    Console().print(table)
    for name, failure in found.failures.items():
        typer.echo(f"broken plug-in {name}: {failure}", err=True)


def _of_study(study: Path, json_: bool) -> None:
    from commonmode.app.study.models import build_models
    from commonmode.app.study.results import card_to_json
    from commonmode.app.study.schema import find_study, load_study

    file = find_study(study)
    built = build_models(load_study(file).models, file.parent)
    if json_:
        echo_json([card_to_json(card) for card in built.cards])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "family", "owner", "made of")
    for card in built.cards:
        parts = "; ".join(f"{part.layer.value}: {part.component}" for part in card.components)
        table.add_row(card.model, card.family.value, card.owner, parts)
    Console().print(table)
