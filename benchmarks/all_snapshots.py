"""Every surface model on every recorded BTC snapshot: seconds by model, failures, all together.

``OMP_NUM_THREADS=1 python benchmarks/all_snapshots.py [PROCESSES]`` (2 unless told), with the
recordings at ``COMMONMODE_DATA`` or beside the project. Start-up and the reading of the snapshots
are not counted; each process has compiled every model on one snapshot before the clock runs. Cost
grows with snapshots x models, nothing else.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from commonmode.adapters.feeds.recorded.deribit import DeribitOptionsFeed
from commonmode.core.ids import CurrencyCode
from commonmode.core.result import Failure
from commonmode.pricing import SURFACE_MODELS

FIRST, LAST, MINUTES = "2023-04-12T10:40Z", "2023-04-13T23:55Z", 5
CHAINS: list[Any] = []


def load() -> None:
    """All snapshots into this process, and every model once."""
    folder = os.environ.get("COMMONMODE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    feed = DeribitOptionsFeed(Path(folder))
    times = feed.snapshot_times(FIRST, LAST, MINUTES, ("BTC",))
    btc = CurrencyCode("BTC")
    CHAINS.extend(s.chains[btc] for s in feed.snapshots(times, ("BTC",)) if btc in s.chains)
    for kind in SURFACE_MODELS:
        calibrate(kind, 0)


def calibrate(kind: str, number: int) -> tuple[str, float, bool]:
    """Type, processor seconds, whether it failed."""
    begin = time.process_time()
    result = SURFACE_MODELS[kind](id=kind).calibrate(CHAINS[number])
    return kind, time.process_time() - begin, isinstance(result, Failure)


def warm(_: int) -> int:
    """Keeps one process busy until all have loaded."""
    time.sleep(1.0)
    return len(CHAINS)


def main(processes: int) -> None:
    """Print the table."""
    with ProcessPoolExecutor(processes, initializer=load) as pool:
        count = max(pool.map(warm, range(processes)))
        jobs = [(kind, number) for kind in SURFACE_MODELS for number in range(count)]
        begin = time.perf_counter()
        found = list(pool.map(calibrate, *zip(*jobs, strict=True), chunksize=31))
        wall = time.perf_counter() - begin
    for kind in SURFACE_MODELS:
        seconds = [s for name, s, _ in found if name == kind]
        failed = sum(f for name, _, f in found if name == kind)
        print(f"{kind:15} {1e3 * sum(seconds) / count:7.1f} ms a snapshot, {failed} failed")
    print(
        f"{count} snapshots x {len(SURFACE_MODELS)} models: {wall:.1f} s on {processes} processes"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
