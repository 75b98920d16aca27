"""The study's market, opened as a feed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from commonmode.adapters.feeds.laboratory import LaboratoryFeed
from commonmode.adapters.feeds.own import OwnFeed
from commonmode.adapters.feeds.recorded import RecordedFeed, find_recordings
from commonmode.adapters.feeds.tables import read_chain_table, read_history
from commonmode.app.study.schema import StudyFile
from commonmode.core.errors import DataError
from commonmode.market.clock import TimeLike, utc_iso, utc_ms
from commonmode.market.feed import Feed
from commonmode.market.instruments import Settlement
from commonmode.market.snapshot import Snapshot

__all__ = ["open_feed", "snapshot_at"]


def open_feed(study: StudyFile, folder: Path) -> Feed:
    """The study's market: recordings, the user's own tables, or the laboratory's simulation.

    Parameters
    ----------
    study : StudyFile
    folder : Path
        Paths of tables are relative to it.

    Raises
    ------
    DataError
        The recordings are needed and not here, or a table cannot be read.
    """
    if study.market.source == "laboratory":
        start = study.market.start
        assert start is not None, "the schema demands a start"
        return LaboratoryFeed.simulate(
            start, study.market.hours, seed=study.study.seed, steps_per_hour=12
        )
    if study.market.source == "files":
        return _own_tables(study, folder)
    root = find_recordings()
    if root is None:
        raise DataError(
            f"study {study.study.name} needs the recorded market data, which is not here",
            remedy="set COMMONMODE_DATA to its folder, or run with --source evidence if the study "
            "has an evidence folder",
        )
    return RecordedFeed(root)


def snapshot_at(feed: Feed, when: TimeLike, underlyings: Sequence[str]) -> Snapshot:
    """The feed's snapshot at ``when``.

    Raises
    ------
    DataError
        If there is none.
    """
    time = utc_ms(when)
    for snapshot in feed.snapshots(np.array([time]), underlyings):
        return snapshot
    raise DataError(
        f"there is no snapshot of {', '.join(underlyings)} at {utc_iso(time)}",
        remedy="choose a time on the feed's grid",
    )


def _own_tables(study: StudyFile, folder: Path) -> OwnFeed:
    histories = {
        table.underlying: read_history(
            folder / table.path,
            table.columns,
            table.underlying,
            table.step_minutes * 60_000,
            label=table.label,
            time_unit=table.time_unit,
            timezone=table.timezone,
        )
        for table in study.market.histories
    }
    snapshots: list[Snapshot] = []
    for chain in study.market.chains:
        snapshots += read_chain_table(
            folder / chain.path,
            chain.columns,
            venue=chain.venue,
            underlying=chain.underlying,
            settlement=Settlement(chain.settlement),
            volatility=chain.volatility,
            time_unit=chain.time_unit,
            timezone=chain.timezone,
        )
    return OwnFeed(histories, snapshots)
