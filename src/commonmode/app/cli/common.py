"""What the commands share: errors as messages, progress bars, worker processes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

__all__ = ["echo_json", "errors_as_messages", "progress_bars", "workers_executor"]


def echo_json(value: Any, *, sort: bool = False) -> None:
    """Print ``value`` as indented JSON; NaN is a bug, not a number."""
    typer.echo(json.dumps(value, sort_keys=sort, indent=2, allow_nan=False))


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Turn our own errors into a message with its remedy and exit code 2."""
    from commonmode.core.errors import CommonmodeError

    try:
        yield
    except CommonmodeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error


class _Bars:
    """Progress on standard error, one bar per piece of work."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def start(self, label: str, total: int) -> None:
        self._tasks[label] = self._bars.add_task(label, total=total)

    def advance(self, label: str, steps: int = 1) -> None:
        self._bars.advance(self._tasks[label], steps)

    def finish(self, label: str) -> None:
        task = self._tasks[label]
        self._bars.update(task, completed=self._bars.tasks[task].total)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Any]:
    """A Progress that draws bars on a terminal and is silent otherwise."""
    from commonmode.core.protocols import SilentProgress

    if quiet or not sys.stderr.isatty():
        yield SilentProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        yield _Bars(bars)


@contextmanager
def workers_executor(workers: int) -> Iterator[Any]:
    """Worker processes; 0 takes all cores, 1 runs in this process."""
    from commonmode.core.protocols import SerialExecutor

    if workers == 1:
        yield SerialExecutor()
        return
    from commonmode.adapters.compute import ProcessExecutor

    with ProcessExecutor(workers or None) as executor:
        yield executor
