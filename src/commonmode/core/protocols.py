"""What the rooms below ``adapters`` ask of the outside world: a clock, an executor, progress."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

__all__ = ["Clock", "Executor", "Progress", "SerialExecutor", "SilentProgress"]

A = TypeVar("A")
B = TypeVar("B")


class Clock(Protocol):
    """The time; only ``app`` and ``adapters`` hold a real one."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01 UTC."""
        ...


class Executor(Protocol):
    """Runs independent pieces of work; the order of results is that of the pieces."""

    def map(self, function: Callable[[A], B], pieces: Iterable[A]) -> Iterator[B]:
        """Apply a picklable ``function`` to each piece."""
        ...


class Progress(Protocol):
    """Somebody who is told how far the work is."""

    def start(self, label: str, total: int) -> None:
        """A piece of work named ``label`` of ``total`` steps begins."""
        ...

    def advance(self, label: str, steps: int = 1) -> None:
        """``steps`` more are done."""
        ...

    def finish(self, label: str) -> None:
        """It is done."""
        ...


class SerialExecutor:
    """Runs the pieces one after another in this process."""

    def map(self, function: Callable[[A], B], pieces: Iterable[A]) -> Iterator[B]:
        """Apply ``function`` to each piece in turn."""
        return map(function, pieces)


class SilentProgress:
    """Tells nobody."""

    def start(self, label: str, total: int) -> None:
        """Ignore."""

    def advance(self, label: str, steps: int = 1) -> None:
        """Ignore."""

    def finish(self, label: str) -> None:
        """Ignore."""
