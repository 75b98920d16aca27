"""Independent pieces of work on all cores of this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import TypeVar

from commonmode.core.errors import ConfigurationError

__all__ = ["ProcessExecutor"]

A = TypeVar("A")
B = TypeVar("B")

# Read by the numerical libraries when a worker starts: one thread per worker, or the workers
# fight over the cores.
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
}


class ProcessExecutor:
    """Runs the pieces in worker processes; results come in the order of the pieces.

    Workers are started afresh ("spawn"): nothing is inherited from this process, so the result
    cannot depend on what happened here before. A script that uses it needs the usual
    ``if __name__ == "__main__":`` guard.

    Parameters
    ----------
    workers : int, optional
        One per usable core by default.

    Examples
    --------
    >>> with ProcessExecutor(workers=2) as executor:  # doctest: +SKIP
    ...     results = list(executor.map(function, pieces))
    """

    def __init__(self, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ConfigurationError(
                f"{workers} worker processes", remedy="use 1 or more, or leave it out"
            )
        self.workers = workers or _usable_cores()
        self._pool: ProcessPoolExecutor | None = None

    def map(self, function: Callable[[A], B], pieces: Iterable[A]) -> Iterator[B]:
        """Apply a picklable ``function`` to each piece; starts at once, yields in order."""
        futures: list[Future[B]] = [self._started().submit(function, piece) for piece in pieces]
        return _in_order(futures)

    def close(self) -> None:
        """End the workers; they are started again if need be."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            before = {name: os.environ.get(name) for name in _ONE_THREAD}
            os.environ.update(_ONE_THREAD)
            try:
                self._pool = ProcessPoolExecutor(self.workers, mp_context=context)
                # A spawned worker starts inside ``submit``: start all under these settings.
                for _ in range(self.workers):
                    self._pool.submit(os.getpid)
            finally:
                for name, value in before.items():
                    if value is None:
                        os.environ.pop(name, None)
                    else:
                        os.environ[name] = value
        return self._pool


def _in_order(futures: list[Future[B]]) -> Iterator[B]:
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1
